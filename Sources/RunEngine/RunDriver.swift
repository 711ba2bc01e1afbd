// What this is: the course of one run: its sections in order, what a failure leads to, where it stops and may go on later.
// Owns: the run's own retry, its ending, its outputs.
// Never: moves files, publishes, sleeps out a retry: it returns and the run is parked without slot or thread.
// On failure: a run's failure is an ending, not an error; there is no other.
import JobLanguage
import JobModel
import LinuxSystem

/// How a drive of a run came to its end.
public enum RunEnding: Sendable {
    case ended(FinalState, Failure?, outputs: ValueMap)
    /// Park it.
    case suspended(Wait)
    /// Park it: the host had no process for its step, which did not begin. No try is counted for that.
    case starved(Wait, Failure)
    /// The runner stops: the open step, if any, is judged at the next start.
    case stopped
}

public final class RunDriver {
    private let common: Drive
    private let progress: Progress
    private let spec: JobSpec
    private let signals: RunSignals
    private let queueRetry: RetryPolicy
    private let shelf = Shelf()

    public init(
        record: RunRecord, spec: JobSpec, actions: [String: any StepAction], recorder: any RunRecorder,
        surroundings: RunSurroundings, signals: RunSignals, queue: QueuePolicy
    ) {
        self.spec = spec
        self.signals = signals
        queueRetry = queue.retry
        progress = Progress(record, recorder: recorder)
        common = Drive(
            progress: progress, spec: spec, actions: actions, surroundings: surroundings, signals: signals,
            timeout: spec.timeout ?? queue.timeout)
    }

    /// Drives from wherever the record says the run is.
    public func drive() -> RunEnding {
        defer {
            DetachedProcesses.end(
                progress.detached,
                marks: ["BOBBIN_RUN_ID=\(progress.id)", "BOBBIN_SITE=\(common.surroundings.sitePath)"],
                grace: common.surroundings.killGrace,
                of: common.account)
        }
        do throws(Break) {
            if let wait = try runMain() { return wait }
            if let failure = progress.failure, failure.kind != .cancelled, failure.kind != .denied {
                _ = try run(.onFailure)
            }
            let late = try run(.finally)
            return end(progress.failure ?? late)
        } catch {
            switch error {
            case .suspend(let wait): return .suspended(wait)
            case .starve(let wait, let failure): return .starved(wait, failure)
            case .stop, .halted: return .stopped
            }
        }
    }

    /// Main comes out once: what comes after it may wait, and would find its steps, asked again, to say something else.
    private func runMain() throws(Break) -> RunEnding? {
        if let known = progress.record.mainEnd, known.attempt == progress.attempt {
            progress.fail(known.failure)
            // Cancelled while its clean-up waited; kept, so that a crash from here on does not forget it.
            if known.failure == nil, signals.request == .cancel {
                progress.fail(StepRun.cancelled)
                progress.note(.mainEnded(StepRun.cancelled), durable: false)
            }
            ListCourse(drive: common, frame: frame(.main)).absorbRecorded(spec.steps)
            return nil
        }
        // Before the first step: half a job that then finds no key helps nobody.
        if let failure = common.secretFailure {
            progress.fail(failure)
        } else {
            progress.fail(try run(.main))
        }
        if let failure = progress.failure {
            if let wait = retryOfRun(failure) { return wait }
        } else if signals.request == .cancel {
            progress.fail(StepRun.cancelled)
        }
        if !spec.onFailure.isEmpty || !spec.finally.isEmpty {
            progress.note(.mainEnded(progress.failure), durable: false)
        }
        return nil
    }

    /// Runs a section; nil when it went through, else the failure that ended it.
    private func run(_ section: Section) throws(Break) -> Failure? {
        let frame = frame(section)
        var failure: Failure?
        do throws(Break) {
            // A failed clean-up step does not keep the others from running.
            failure = try ListCourse(drive: common, frame: frame).run(
                spec.steps(of: section), goesOn: section != .main)
        } catch {
            guard case .halted = error else { throw error }
            failure = Failure(
                Failure.halted, "a step was cut short by a failure that nothing tells of any more",
                retry: .never)
        }
        if failure != nil { progress.close(inside: frame.place, since: 0) { !spec.isLeaf($0) } }
        return failure
    }

    private func frame(_ section: Section) -> Frame {
        Frame(section: section, deadline: section == .main ? common.deadline(.main) : nil, shelf: shelf)
    }

    private func end(_ failure: Failure?) -> RunEnding {
        progress.closeLeft(spec.isLeaf)
        if let failure { return .ended(FinalState(failure.kind), failure, outputs: whatCanBeSaid()) }
        let outputs: ValueMap
        do throws(ExpressionError) {
            outputs = try Value.map(spec.outputs).rendered(scope).mapValue ?? [:]
        } catch {
            return .ended(.failed, Drive.failure(error, in: "outputs"), outputs: [:])
        }
        do throws(Failure) {
            return .ended(.succeeded, nil, outputs: try outputs.judged(as: spec.outputKinds))
        } catch {
            return .ended(.failed, error, outputs: outputs)
        }
    }

    /// The outputs of a run that did not succeed: those whose steps came that far.
    private func whatCanBeSaid() -> ValueMap {
        var outputs = ValueMap()
        let scope = scope
        for entry in spec.outputs.entries {
            // An output of a step that never ran has no value, which is no second failure.
            if let value = try? entry.value.rendered(scope) { outputs[entry.key] = value }
        }
        return outputs
    }
    private var scope: Scope { common.scope(Frame(section: .main, deadline: nil, shelf: shelf)) }

    // MARK: the run's retry

    /// The run's own policy tries again whatever is not hopeless; the queue's only what cannot have done harm.
    private func retryOfRun(_ failure: Failure) -> RunEnding? {
        let policy = spec.retry ?? queueRetry
        guard failure.kind == .failed || failure.kind == .timedOut, policy.covers(failure) else { return nil }
        guard progress.attempt < policy.maxAttempts else { return nil }
        if spec.retry == nil, failure.retry != .transient || hasOwnRetry(failure) || !everythingIsRepeatable {
            return nil
        }
        if policy.onlyIdempotent, !everythingIsRepeatable { return nil }
        let delay = policy.delay(afterAttempt: progress.attempt, random: Clocks.randomShare())
        let now = common.now
        return .suspended(
            Wait(.retry, until: now.adding(delay), since: now, nextAttempt: progress.attempt + 1))
    }

    /// Who says how often a step is tried has said how often: the queue's default does not multiply it.
    private func hasOwnRetry(_ failure: Failure) -> Bool {
        guard let place = failure.step.flatMap({ StepPlace($0) }) else { return false }
        return spec.steps(to: place).contains { $0.retry != nil }
    }

    private var everythingIsRepeatable: Bool {
        progress.record.steps.filter {
            $0.runAttempt == progress.attempt && $0.place.section == .main && $0.state != .skipped
        }.allSatisfy { spec.steps(to: $0.place).last?.isRepeatable ?? false }
    }
}
