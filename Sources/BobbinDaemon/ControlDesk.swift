// What this is: control/: states that hold while their file is there, commands that are carried out once and answered.
// Owns: pause and drain; cancel, hold, release, requeue, resolve on runs and on drops that nobody claimed yet.
// Never: trusts a name: who commands is the owner of the file.
// On failure: the answer in control/closed/ says what did not work; the command is never tried again by itself.
import JobModel
import LinuxSystem
import SpoolQueue
import YamlText

final class ControlDesk {
    private let core: RunnerCore
    /// So many commands in one turn of the main loop.
    private static let atOnce = 64
    /// Where the next turn begins.
    private var turn = 0
    private let admission: Admission
    private(set) var isDraining = false
    private var paused: Set<QueueName> = []
    /// Monotonic: when a command whose drop was not whole yet is looked at again; .max when there is none.
    private(set) var lookAgain = Int64.max

    init(_ core: RunnerCore) {
        self.core = core
        admission = core.admission()
    }

    /// Reads control/ whole: it is small, and a state is what is there now.
    func sweep(isLeader: Bool) {
        lookAgain = .max
        do {
            let names = try core.site.spool.control.names().sorted()
            obeyStates(names)
            core.keepExpected(Set(names.compactMap { ControlFile(name: $0).subject }))
            guard isLeader else { return }
            let due = names.filter { ControlFile(name: $0).isToBeTaken }
            // The rest in the next turns, each in its time: whoever fills the directory delays nobody else for long.
            let first = due.isEmpty ? 0 : turn % due.count
            for name in (due[first...] + due[..<first]).prefix(ControlDesk.atOnce) {
                take(name, in: core.site.spool.control)
            }
            guard due.count > ControlDesk.atOnce else { return }
            turn = first + ControlDesk.atOnce
            lookAgain = min(lookAgain, Clocks.monotonic + Span.milliseconds(10).nanoseconds)
        } catch {
            core.diskTrouble("reading control/", error)
        }
    }
    /// Commands that the leader passed on because their run is ours.
    func sweepOrders(_ orders: Directory) {
        do { for name in try orders.names().sorted() { take(name, in: orders) } } catch {
            core.diskTrouble("reading orders", error)
        }
    }

    private func obeyStates(_ names: [String]) {
        var now: Set<QueueName> = []
        for name in names {
            let file = ControlFile(name: name)
            switch file {
            case .pause(let queue): if mayHold(name, file) { now.insert(queue) }
            case .drain: if mayHold(name, file) { isDraining = true }
            default: break
            }
        }
        guard now != paused else { return }
        for queue in now.subtracting(paused) { core.log.info("control", "queue \(queue) is paused") }
        for queue in paused.subtracting(now) { core.log.info("control", "queue \(queue) goes on") }
        paused = now
        core.scheduler.pause(now)
    }

    private var rights: CommandRights {
        CommandRights(policy: core.access, audit: core.audit) { [core] in
            core.diskTrouble("the audit log", $0)
        }
    }

    /// Whether a state holds; one that nobody had a right to is answered and goes.
    private func mayHold(_ name: String, _ file: ControlFile) -> Bool {
        guard let failure = rights.refusal(name, in: core.site.spool.control, file, runOf: nil) else {
            return true
        }
        answer(name, in: core.site.spool.control, "refused", CommandRights.told(failure))
        return false
    }

    private func take(_ name: String, in directory: Directory) {
        switch ControlFile(name: name) {
        case .ignored, .pause, .drain: return
        case .unknown:
            // The directory of answers, and whatever a person put beside the commands by mistake.
            if name == SpoolName.closed { return }
            answer(
                name, in: directory, "refused",
                "E-CONTROL: `\(name)` is no command; commands are cancel- hold- release- requeue- resolve-<run-id>, pause-<queue>, drain"
            )
        case .command(let verb, let subject): carryOut(verb, subject, name, directory)
        }
    }

    private func carryOut(_ verb: ControlFile.Verb, _ subject: String, _ name: String, _ directory: Directory)
    {
        guard let run = RunID(subject) else { return }
        if core.access.isEnforced {
            let owner = submitter(of: run)
            if let failure = rights.refusal(
                name, in: directory, .command(verb, subject: subject), runOf: owner)
            {
                return answer(name, in: directory, "refused", CommandRights.told(failure))
            }
        }
        if verb == .cancel || verb == .hold, let obeyed = core.obeyed(ticket: subject) {
            return answer(
                name, in: directory, "done",
                verb == .hold
                    ? "held before its first step as run \(obeyed)"
                    : "cancelled before it began, as run \(obeyed)")
        }
        if let record = liveRecord(run) {
            let (outcome, text) = act(verb, record, name, directory)
            return answer(name, in: directory, outcome, text)
        }
        if let orders = Whereabouts(core.site.spool, notOf: core.name).owner(of: run) {
            // The run's own runner carries it out and answers.
            do { _ = try Move(core.site.spool).forward(command: name, to: orders) } catch {
                core.diskTrouble("passing on \(name)", error)
            }
            return
        }
        switch actOnDrop(verb, subject) {
        case .later:
            // It holds from the moment the drop is accepted, and is answered when we look again.
            // Taken away meanwhile: then nobody commands it.
            guard let uid = try? directory.status(name).uid else { return }
            core.expect(
                verb == .cancel ? .cancel : .hold, ticket: subject,
                by: Submitter(uid: uid, name: Host.userName(uid)))
            lookAgain = min(lookAgain, Clocks.monotonic + Span.milliseconds(250).nanoseconds)
        case .answer(let outcome, let text): answer(name, in: directory, outcome, text)
        case .none:
            // A worker may have accepted it since we looked.
            let (outcome, text) =
                liveRecord(run).map { act(verb, $0, name, directory) } ?? actOnEnded(verb, run)
            answer(name, in: directory, outcome, text)
        }
    }

    /// By its id, or by the ticket of its drop.
    private func liveRecord(_ run: RunID) -> RunRecord? {
        core.journal.record(run)
            ?? core.journal.liveRecords.first { $0.acceptance.ticket == run.text }
    }

    /// Of a run, or of a drop that nobody claimed yet; nil where nobody knows.
    private func submitter(of run: RunID) -> Submitter? {
        if let record = liveRecord(run) { return record.acceptance.submitter }
        if let accepted = Whereabouts.acceptance(ofRun: run.text, core.site.spool, core.journal) {
            return accepted.submitter
        }
        return core.ownerOfDrop(ticket: run.text)
    }

    // MARK: runs

    private func act(_ verb: ControlFile.Verb, _ record: RunRecord, _ name: String, _ directory: Directory)
        -> (String, String)
    {
        if let state = record.finalState {
            return ("refused", "the run has ended already: \(state.rawValue)")
        }
        switch verb {
        case .cancel: return cancel(record)
        case .hold: return hold(record)
        case .release: return release(record)
        case .resolve: return resolve(record, name, directory)
        case .requeue: return ("refused", "the run has not ended; cancel it first, or wait")
        }
    }

    private func cancel(_ record: RunRecord) -> (String, String) {
        core.scheduler.signals(of: record.id).raise(.cancel)
        if case .waiting = record.state {
            return wakeUp(record, .resumed(at: now), where: { _ in true }) {
                core.scheduler.urgent(record.id)
            } ?? (
                "done", "cancelled while it waited"
            )
        }
        if !core.scheduler.isDriving(record.id) { core.scheduler.urgent(record.id) }
        return (
            "done",
            record.state == .running
                ? "cancelling: its step is being ended" : "cancelled before its first step"
        )
    }

    private func hold(_ record: RunRecord) -> (String, String) {
        switch record.state {
        case .waiting(let wait) where wait.reason == .held: return ("refused", "the run is held already")
        case .waiting(let wait) where wait.reason.endsByItself:
            guard core.park(record.id, Wait(.held, since: now, nextAttempt: wait.nextAttempt), again: true)
            else { return holdNext(record) }
            return (
                "done",
                wait.reason == .retry
                    ? "held instead of its next attempt" : "held; it waited (\(wait.reason.rawValue))"
            )
        case .waiting(let wait) where wait.reason == .approval:
            guard core.park(record.id, Wait(.held, since: now, nextAttempt: wait.nextAttempt), again: true)
            else { return holdNext(record) }
            return ("done", "held; its questions can still be answered, and it stays until it is released")
        case .waiting(let wait):
            return ("refused", "the run waits (\(wait.reason.rawValue)) and holds no slot")
        default: return holdNext(record)
        }
    }
    private func holdNext(_ record: RunRecord) -> (String, String) {
        core.scheduler.signals(of: record.id).raise(.hold)
        return ("done", "it will be held before its next step")
    }

    private func release(_ record: RunRecord) -> (String, String) {
        let fits: (Wait.Reason) -> Bool = { [.held, .retry, .rate, .target].contains($0) }
        guard case .waiting(let wait) = record.state, fits(wait.reason) else {
            return ("refused", "the run is not held: it is \(record.state.text)")
        }
        return wakeUp(record, .resumed(at: now), where: fits) { core.makeReady(record) } ?? (
            "done", "released"
        )
    }

    private func resolve(_ record: RunRecord, _ name: String, _ directory: Directory) -> (String, String) {
        guard case .waiting(let wait) = record.state, wait.reason == .interrupted else {
            return ("refused", "the run is not interrupted: it is \(record.state.text)")
        }
        guard let resolution = answerIn(name, directory) else {
            return (
                "refused",
                "say what to do: the file's text must be retry, skip or fail (bobbin resolve RUN --retry|--skip|--fail)"
            )
        }
        return wakeUp(record, .resolved(resolution, at: now), where: { $0 == .interrupted }) {
            core.makeReady(record)
        } ?? (
            "done", "resolved: \(resolution.rawValue)"
        )
    }

    private func answerIn(_ name: String, _ directory: Directory) -> Resolution? {
        // Unreadable is the same as empty: the answer says what the file must hold.
        guard let bytes = try? directory.openForReading(name).read(upTo: 4096) else { return nil }
        let text = String(decoding: bytes, as: UTF8.self).trimmed
        return Resolution(rawValue: text.split(separator: ":").last.map { String($0).trimmed } ?? text)
    }

    private func wakeUp(
        _ record: RunRecord, _ event: RunEvent, where fits: (Wait.Reason) -> Bool, then: () -> Void
    ) -> (String, String)? {
        do {
            guard try core.aside.unpark(record.id, where: fits, with: event) else {
                return ("refused", "the run waits no more: look at it, and ask again")
            }
        } catch { return ("failed", "the job's file cannot be moved: \(error)") }
        then()
        return nil
    }

    // MARK: drops that nobody claimed, runs that ended

    /// What became of a command on a drop that nobody claimed.
    private enum OnDrop { case none, later, answer(String, String) }

    private func actOnDrop(_ verb: ControlFile.Verb, _ ticket: String) -> OnDrop {
        guard verb == .cancel || verb == .hold else { return .none }
        guard let (found, key) = core.scheduler.remove(where: { DropName.ticket(in: $0) == ticket }),
            let directory = core.lane(key), let policy = core.policy(key.queue)
        else { return core.hasDrop(ticket: ticket) ? .later : .none }
        var candidate = found
        // What is not to run need not be whole; that nobody writes it is enough.
        if verb == .cancel { candidate.evidence = .movedIn }
        do {
            let outcome = try admission.admit(candidate, key, from: directory, policy: policy)
            guard case .accepted(let record, _) = outcome else {
                core.scheduler.judged(candidate.name, key, stays: true)
                core.post(
                    .arriving(candidate, key, why: "it was judged for a command", lookAgainIn: .seconds(1)))
                // Not whole yet, or sent back meanwhile: the next sweep knows which.
                return .later
            }
            core.scheduler.judged(candidate.name, key, stays: false)
            if verb == .hold {
                core.park(record.id, Wait(.held, since: now, nextAttempt: 1))
                return .answer("done", "held before its first step as run \(record.id)")
            }
            core.end(
                record.id, .cancelled,
                Failure("E-CANCELLED", "cancelled before it began", kind: .cancelled, retry: .never),
                outputs: [:])
            return .answer("done", "cancelled before it began, as run \(record.id)")
        } catch {
            core.scheduler.judged(candidate.name, key, stays: false)
            return .answer("failed", "\(error)")
        }
    }

    private func actOnEnded(_ verb: ControlFile.Verb, _ run: RunID) -> (String, String) {
        guard let found = FinalFiles(core.site.spool).find(run) else {
            return ("refused", "there is no run or waiting drop \(run)")
        }
        guard verb == .requeue else {
            return ("refused", "the run has ended already; only requeue works on it")
        }
        // It would come under the service's name, with the service's rights.
        guard !core.access.isShared else {
            return (
                "refused",
                "on a shared site a job is dropped again by who wants it: bobbin submit \(found.jobPath)"
            )
        }
        do {
            let drop = try Requeue(core.site.spool).perform(found, configuration: core.configuration)
            return ("done", "dropped again as \(drop)")
        } catch {
            return ("failed", "\(error)")
        }
    }

    // MARK: answers

    private var now: Timestamp { Timestamp(nanoseconds: Clocks.wall) }

    /// Moves the command to control/closed/ and writes beside it who asked, when, and what came of it.
    private func answer(_ name: String, in directory: Directory, _ outcome: String, _ text: String) {
        do {
            let owner = try directory.status(name).uid
            let closed = "\(Identities.fresh())~\(DropName.escaped(name))"
            if case .command(_, let subject) = ControlFile(name: name) {
                core.forgetExpected(ticket: subject)
            }
            guard try Move(core.site.spool).close(command: name, from: directory, as: closed) else { return }
            let bytes = YamlWriter.write([
                ("command", .string(name)), ("outcome", .string(outcome)), ("message", .string(text)),
                ("by", .string(Host.userName(owner))), ("uid", .int(Int(owner))),
                ("at", .string(now.rfc3339)),
            ])
            try AtomicFile.write(
                Array(bytes.utf8), to: closed + ".answer.yaml", in: core.site.spool.controlClosed)
            core.log.info("control", "\(name): \(outcome): \(text)")
        } catch {
            core.diskTrouble("answering \(name)", error)
        }
    }

    /// Taken away when the drain it asked for is over, so that the next start works.
    func endDrain() {
        do { try core.site.spool.control.removeIfPresent(ControlFile.drain.name) } catch {
            core.diskTrouble("removing control/drain", error)
        }
    }
}
