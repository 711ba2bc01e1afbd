// What this is: a thread that carries runs: it takes work, admits, drives, parks or ends, and takes the next.
// Owns: the way from a driver's ending to the journal and the publisher.
// Never: waits for a result to be published: the slot is free when the steps are done.
// On failure: an error of the disk is logged with the run and the file, and the worker goes on with other work.
import JobLanguage
import JobModel
import LinuxSystem
import RunEngine
import RunJournal
import SpoolQueue

/// The journal as the engine's recorder.
struct JournalRecorder: RunRecorder {
    let journal: Journal
    /// Tells of a run of which a step asks people.
    let asks: @Sendable (RunID) -> Void
    func record(_ event: RunEvent, of run: RunID, durable: Bool) {
        let sequence = journal.append(event, of: run)
        if durable { journal.waitUntilDurable(sequence) }
        if case .stepEnded(let step) = event, step.state == .waiting, step.type == ApprovalQuestion.stepType {
            asks(run)
        }
    }
}

final class Worker: Sendable {
    private let core: RunnerCore

    init(_ core: RunnerCore) { self.core = core }

    func loop() {
        let admission = core.admission { [core] run in _ = core.scheduler.begin(run) }
        while true {
            switch core.scheduler.next() {
            case .exit: return
            case .drop(let candidate, let key, let slot): take(candidate, key, slot, admission)
            case .run(let run, let slot): goOn(run, slot)
            }
        }
    }

    private func take(_ candidate: Candidate, _ key: LaneKey, _ slot: Slot, _ admission: Admission) {
        guard let lane = core.lane(key), let policy = core.policy(key.queue) else {
            core.scheduler.judged(candidate.name, key, stays: false)
            return finish(slot, nil)
        }
        guard core.mayBegin() else {
            core.scheduler.putBack(candidate, key)
            return finish(slot, nil)
        }
        var driven: RunID?
        do {
            switch try admission.admit(candidate, key, from: lane, policy: policy) {
            case .settled: core.scheduler.judged(candidate.name, key, stays: false)
            case .directory:
                core.scheduler.judged(candidate.name, key, stays: false)
                core.warnOnce(
                    "\(lane.path)/\(candidate.name) is a directory: it stays where it is and is not looked into"
                )
            case .arriving(let why, let span):
                core.scheduler.judged(candidate.name, key, stays: true)
                core.post(.arriving(candidate, key, why: why, lookAgainIn: span))
            case .accepted(let record, let spec):
                core.scheduler.judged(candidate.name, key, stays: false)
                driven = record.id
                core.obeyExpected(record)
                drive(record, spec)
            }
        } catch  where Pressure.isHostTrouble(error) {
            core.scheduler.putBack(candidate, key)
            core.strike(error)
        } catch {
            core.diskTrouble("\(lane.path)/\(candidate.name)", error)
            core.scheduler.judged(candidate.name, key, stays: true)
            core.post(.arriving(candidate, key, why: "\(error)", lookAgainIn: .seconds(1)))
        }
        finish(slot, driven)
    }

    /// The main loop is woken only when the last worker falls idle: it may be waiting for just that.
    private func finish(_ slot: Slot?, _ run: RunID?) {
        if core.scheduler.finish(slot: slot, run: run) { core.post(.quiet) }
    }

    private func goOn(_ run: RunID, _ slot: Slot?) {
        if let record = core.journal.record(run), record.finalState == nil {
            if let spec = core.spec(of: record) { drive(record, spec) } else { endUnreadable(record) }
        }
        finish(slot, run)
    }

    /// A snapshot that this program's checker refuses: the language changed under a run that waited.
    private func endUnreadable(_ record: RunRecord) {
        let failure = Failure(
            "E-SNAPSHOT", "the job as it was accepted is not valid for this version of Bobbin",
            whatToDo: "bobbin check the job file beside this result, correct it, and drop it again.",
            retry: .never)
        core.end(record.id, .failed, failure, outputs: [:])
    }

    private func drive(_ record: RunRecord, _ spec: JobSpec) {
        let signals = core.scheduler.begin(record.id)
        guard mayDrive(record, signals) else { return }
        let driver = RunDriver(
            record: record, spec: spec, actions: core.site.actions,
            recorder: JournalRecorder(journal: core.journal) { [core] in core.post(.asks($0)) },
            surroundings: core.surroundings, signals: signals,
            queue: core.policy(record.acceptance.queue) ?? QueuePolicy(name: record.acceptance.queue))
        switch driver.drive() {
        case .ended(let state, let failure, let outputs):
            core.pressure.ease()
            core.end(record.id, state, failure, outputs: outputs)
        case .suspended(let wait): core.park(record.id, wait)
        case .starved(let wait, let failure):
            core.park(record.id, wait)
            core.strike(failure)
        case .stopped: break
        }
    }

    /// Asks the gate; what does not go on now is parked or has ended when this comes back.
    private func mayDrive(_ record: RunRecord, _ signals: RunSignals) -> Bool {
        guard record.acceptance.terms.bindStart else { return true }
        if signals.request == .cancel {
            // What has begun ends in the way it says; what has not, was never let in.
            guard record.startedAt == nil else { return true }
            core.end(
                record.id, .cancelled,
                Failure("E-CANCELLED", "cancelled before it began", kind: .cancelled, retry: .never),
                outputs: [:])
            return false
        }
        if signals.request == .hold, record.startedAt == nil {
            // Before it can get a key that it would keep from others.
            let now = Timestamp(nanoseconds: Clocks.wall)
            core.park(record.id, Wait(.held, since: now, nextAttempt: record.attempt))
            return false
        }
        do throws(SystemError) {
            switch try core.gate.decide(record) {
            case .go: return true
            case .wait(let wait): core.park(record.id, wait)
            case .end(let state, let failure, let outputs):
                core.end(record.id, state, failure, outputs: outputs)
            }
        } catch {
            core.diskTrouble("the start of \(record.id)", error)
            let now = Timestamp(nanoseconds: Clocks.wall)
            core.park(
                record.id,
                Wait(.retry, until: now.adding(.seconds(5)), since: now, nextAttempt: record.attempt))
        }
        return false
    }
}
