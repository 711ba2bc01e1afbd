// What this is: the course of one run: its steps in order, what a failure leads to, where it stops and may go on later.
// Owns: control flow, retries of steps and runs, what is recorded when.
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
    private var record: RunRecord
    private let spec: JobSpec
    private let actions: [String: any StepAction]
    private let recorder: any RunRecorder
    private let surroundings: RunSurroundings
    private let signals: RunSignals
    private let queueRetry: RetryPolicy
    private let timeout: Span?
    private var failure: Failure?
    private var finished: [Scope.StepOutputs] = []
    private var detached: [ChildProcess] = []
    private let startedDriving = Clocks.monotonic
    /// What on_failure and finally steps get when the run's own time is over.
    private static let cleanUpTime = Span.seconds(600)

    /// Thrown through the section loops when the drive is over for now.
    private enum Break: Error { case suspend(Wait), starve(Wait, Failure), stop }

    public init(
        record: RunRecord, spec: JobSpec, actions: [String: any StepAction], recorder: any RunRecorder,
        surroundings: RunSurroundings, signals: RunSignals, queue: QueuePolicy
    ) {
        self.record = record
        self.spec = spec
        self.actions = actions
        self.recorder = recorder
        self.surroundings = surroundings
        self.signals = signals
        queueRetry = queue.retry
        timeout = spec.timeout ?? queue.timeout
    }

    /// Drives from wherever the record says the run is.
    public func drive() -> RunEnding {
        defer {
            DetachedProcesses.end(
                detached, marks: ["BOBBIN_RUN_ID=\(record.id)", "BOBBIN_SITE=\(surroundings.sitePath)"],
                grace: surroundings.killGrace)
        }
        do throws(Break) {
            failure = try drive(.main)
            if let failure, let wait = try retryOfRun(failure) { return wait }
            if let failure, failure.kind != .cancelled { _ = try drive(.onFailure) }
            if failure == nil && signals.request == .cancel { failure = StepRun.cancelled }
            let late = try drive(.finally)
            return end(failure ?? late)
        } catch {
            switch error {
            case .suspend(let wait): return .suspended(wait)
            case .starve(let wait, let failure): return .starved(wait, failure)
            case .stop: return .stopped
            }
        }
    }

    private func end(_ failure: Failure?) -> RunEnding {
        if let failure { return .ended(FinalState(failure.kind), failure, outputs: whatCanBeSaid()) }
        do throws(ExpressionError) {
            let outputs = try Value.map(spec.outputs).rendered(scope())
            return .ended(.succeeded, nil, outputs: outputs.mapValue ?? [:])
        } catch {
            return .ended(.failed, RunDriver.failure(error, in: "outputs"), outputs: [:])
        }
    }

    /// The outputs of a run that did not succeed: those whose steps came that far.
    private func whatCanBeSaid() -> ValueMap {
        var outputs = ValueMap()
        let scope = scope()
        for entry in spec.outputs.entries {
            // An output of a step that never ran has no value, which is no second failure.
            if let value = try? entry.value.rendered(scope) { outputs[entry.key] = value }
        }
        return outputs
    }

    /// Runs a section; nil when it went through, else the failure that ended it.
    private func drive(_ section: Section) throws(Break) -> Failure? {
        var first: Failure?
        for step in spec.steps(of: section) {
            guard let failure = try perform(step) else { continue }
            first = first ?? failure
            // A failed clean-up step does not keep the others from running.
            if section == .main { return failure }
        }
        return first
    }

    // MARK: one step

    /// Brings a step to its end, whatever of it happened before.
    private func perform(_ step: StepSpec) throws(Break) -> Failure? {
        guard let last = record.last(step.section, step.number) else {
            return try start(step, attempt: 1, isRerun: false)
        }
        switch last.state {
        case .succeeded, .skipped:
            absorb(last)
            return nil
        case .running: return try judgeInterrupted(step, last)
        case .interrupted: return try resolve(step, last)
        case .failed, .timedOut, .denied, .cancelled:
            guard let failure = last.failure else { return nil }
            if failure.code == Failure.notSpawned {
                return try start(step, attempt: last.attempt, isRerun: false)
            }
            if !isRunTimeUp(failure, step), canRetry(step, failure, attempt: last.attempt) {
                return try start(step, attempt: last.attempt + 1, isRerun: true)
            }
            absorb(last)
            return mayContinue(step, after: failure) ? nil : failure
        }
    }

    /// `continue_on_error` is about the step's own failure, not about the end of the run.
    private func mayContinue(_ step: StepSpec, after failure: Failure) -> Bool {
        step.continueOnError && failure.kind != .cancelled && !isRunTimeUp(failure, step)
    }
    private func isRunTimeUp(_ failure: Failure, _ step: StepSpec) -> Bool {
        guard failure.kind == .timedOut, step.section == .main, let timeout else { return false }
        return Clocks.monotonic - startedDriving + activeBefore >= timeout.nanoseconds
    }

    /// The step was running when its runner died.
    private func judgeInterrupted(_ step: StepSpec, _ last: StepRecord) throws(Break) -> Failure? {
        var ended = last
        ended.state = .interrupted
        ended.endedAt = now
        ended.failure = Failure(
            "E-INT-UNKNOWN",
            "step \(step.label) (\(step.title)) may or may not have had its effect; it is not repeated by itself",
            whatToDo: "Look at what it did, then: bobbin resolve \(record.id) --retry|--skip|--fail",
            kind: .interrupted, step: step.label)
        note(.stepEnded(ended), durable: true)
        if step.isRepeatable { return try start(step, attempt: last.attempt + 1, isRerun: true) }
        if signals.request == .cancel { return StepRun.cancelled }
        throw .suspend(Wait(.interrupted, since: now, nextAttempt: record.attempt))
    }

    /// A person said what to do about a step whose outcome nobody knows.
    private func resolve(_ step: StepSpec, _ last: StepRecord) throws(Break) -> Failure? {
        if step.isRepeatable && record.resolution == nil {
            return try start(step, attempt: last.attempt + 1, isRerun: true)
        }
        switch record.resolution {
        case nil where signals.request == .cancel: return StepRun.cancelled
        case nil: throw .suspend(Wait(.interrupted, since: now, nextAttempt: record.attempt))
        case .retry: return try start(step, attempt: last.attempt + 1, isRerun: true)
        case .skip:
            var skipped = last
            skipped.state = .skipped
            skipped.failure = nil
            skipped.startedAt = now
            skipped.endedAt = now
            skipped.outputs = ["skipped_because": "a person resolved it so"]
            note(.stepEnded(skipped), durable: false)
            absorb(skipped)
            return nil
        case .fail:
            // Recorded as the step's own end, so that no later crash asks again.
            var failed = last
            var failure =
                last.failure
                ?? Failure("E-INT-UNKNOWN", "step \(step.label) was interrupted", step: step.label)
            failure.kind = .failed
            failure.retry = .never
            failed.state = .failed
            failed.failure = failure
            note(.stepEnded(failed), durable: true)
            absorb(failed)
            return failure
        }
    }

    private func start(_ step: StepSpec, attempt: Int, isRerun: Bool) throws(Break) -> Failure? {
        // A cancelled run still cleans up.
        if step.section == .finally { signals.forgiveCancel() }
        try obeySignals(before: step)
        var entry = StepRecord(
            section: step.section, number: step.number, title: step.title, id: step.id, type: step.type.name,
            runAttempt: record.attempt, attempt: attempt, state: .running, startedAt: now)
        let prepared: Prepared?
        do throws(Failure) { prepared = try prepare(step) } catch { return try end(step, &entry, error) }
        guard let prepared else {
            entry.state = .skipped
            entry.endedAt = now
            entry.outputs = ["skipped_because": .string("not: \(step.when ?? "")")]
            note(.stepEnded(entry), durable: false)
            absorb(entry)
            return nil
        }
        // A step that must not run twice starts only when its start would survive a power cut.
        note(.stepStarted(entry), durable: !step.isRepeatable)
        return try execute(step, &entry, prepared, attempt: attempt, isRerun: isRerun)
    }

    private func execute(
        _ step: StepSpec, _ entry: inout StepRecord, _ prepared: Prepared, attempt: Int, isRerun: Bool
    ) throws(Break) -> Failure? {
        let context = StepRun(
            record: record, step: step, attempt: attempt, isRerun: isRerun, environment: prepared.environment,
            deadline: deadline(step), surroundings: surroundings, signals: signals)
        do throws(Failure) {
            try context.checkpoint()
            entry.outputs = try prepared.action.perform(prepared.arguments, context)
            entry.state = .succeeded
        } catch {
            close(context, &entry)
            // Nothing is recorded: the next start finds the step open and judges it by its rule.
            if error.kind == .interrupted { throw .stop }
            return try end(step, &entry, error)
        }
        close(context, &entry)
        entry.endedAt = now
        note(.stepEnded(entry), durable: false)
        absorb(entry)
        return nil
    }

    private func close(_ context: StepRun, _ entry: inout StepRecord) {
        detached += context.detached
        context.log.close()
        if context.log.isUsed { entry.log = "runs/\(record.id)/\(context.log.name)" }
    }

    /// Records a failed attempt and finds what follows from it.
    private func end(_ step: StepSpec, _ entry: inout StepRecord, _ failure: Failure) throws(Break)
        -> Failure?
    {
        var failure = failure
        failure.step = step.label
        if let log = entry.log {
            failure.whatToDo = failure.whatToDo.replacing("the step's log", with: "spool/\(log)")
        } else {
            failure.whatToDo = failure.whatToDo.replacing("see the step's log", with: "it wrote nothing")
        }
        entry.state = StepState(failure.kind)
        entry.endedAt = now
        entry.failure = failure
        note(.stepEnded(entry), durable: false)
        if failure.code == Failure.notSpawned { throw .starve(waitForHost(step), failure) }
        if let policy = step.retry, !isRunTimeUp(failure, step),
            canRetry(step, failure, attempt: entry.attempt)
        {
            let delay = policy.delay(afterAttempt: entry.attempt, random: Clocks.randomShare())
            throw .suspend(Wait(.retry, until: now.adding(delay), since: now, nextAttempt: record.attempt))
        }
        absorb(entry)
        return mayContinue(step, after: failure) ? nil : failure
    }

    /// From 1 s, doubled with each time in a row, to 60 s.
    private func waitForHost(_ step: StepSpec) -> Wait {
        let row = record.steps.reversed().prefix {
            $0.section == step.section && $0.number == step.number && $0.failure?.code == Failure.notSpawned
        }
        let delay = Span.seconds(min(60, 1 << min(row.count - 1, 6)))
        let since = now
        return Wait(.retry, until: since.adding(delay), since: since, nextAttempt: record.attempt)
    }

    private func canRetry(_ step: StepSpec, _ failure: Failure, attempt: Int) -> Bool {
        guard let policy = step.retry, failure.kind == .failed || failure.kind == .timedOut else {
            return false
        }
        return attempt < policy.maxAttempts && failure.retry != .never
    }

    private func obeySignals(before step: StepSpec) throws(Break) {
        switch signals.request {
        case .stop: throw .stop
        case .hold where step.section == .main:
            throw .suspend(Wait(.held, since: now, nextAttempt: record.attempt))
        default: break
        }
    }

    // MARK: preparing

    private struct Prepared {
        var action: any StepAction
        var arguments: ValueMap
        var environment: ValueMap
    }

    /// Renders and binds; nil when the step's condition is false. Rendering happens here and never earlier, so that a
    /// step sees what the steps before it left.
    private func prepare(_ step: StepSpec) throws(Failure) -> Prepared? {
        guard let action = actions[step.type.name] else {
            throw Failure("E-STEP-TYPE", "this runner has no step type `\(step.type.name)`", retry: .never)
        }
        let scope = scope()
        do throws(ExpressionError) {
            if let when = step.when, try !Condition.evaluate(when, scope) { return nil }
        } catch { throw RunDriver.failure(error, in: "when") }
        var values = ValueMap()
        for entry in step.parameters.entries {
            let kind = step.type.parameters.first { $0.name == entry.key }?.kind ?? .any
            do throws(ExpressionError) { values[entry.key] = try render(entry.value, kind, scope) } catch {
                throw RunDriver.failure(error, in: entry.key)
            }
        }
        var environment = ValueMap()
        do throws(ExpressionError) {
            environment = try Value.map(step.environment).rendered(scope).mapValue ?? [:]
        } catch {
            throw RunDriver.failure(error, in: "env")
        }
        return Prepared(action: action, arguments: try step.type.bind(values), environment: environment)
    }

    private func render(_ value: Value, _ kind: Parameter.Kind, _ scope: Scope) throws(ExpressionError)
        -> Value
    {
        switch (kind, value) {
        case (.condition, .string(let text)): return .bool(try Condition.evaluate(text, scope))
        case (.script, .string(let text)):
            let shell = try ShellText.parse(text)
            let values = try shell.bind(scope).map { ($0.name, Value.string($0.text)) }
            return .map(["script": .string(shell.script), "values": .map(ValueMap(distinct: values))])
        default: return try value.rendered(scope)
        }
    }

    private static func failure(_ error: ExpressionError, in key: String) -> Failure {
        let place = error.path.isEmpty ? key : "\(key).\(error.path)"
        return Failure(error.code, "`\(place)`: \(error.message)", whatToDo: error.hint, retry: .never)
    }

    private func scope() -> Scope {
        let instant = now
        let local = instant.civil(
            offsetSeconds: Clocks.zoneOffset(atSeconds: instant.seconds), withMilliseconds: false)
        var run: ValueMap = [
            "id": .string(record.id.text), "name": .string(spec.name),
            "queue": .string(record.acceptance.queue.text),
            "priority": .int(record.acceptance.priority.level), "attempt": .int(record.attempt),
            "submitted_by": .string(record.acceptance.submitter.name),
            "file": .string(record.acceptance.dropName),
            "site": .string(surroundings.sitePath),
            "directory": .string("\(surroundings.runsPath)/\(record.id)"),
        ]
        if let failure {
            run["error"] = .map([
                "code": .string(failure.code), "message": .string(failure.message),
                "step": .string(failure.step ?? ""),
            ])
        }
        let base = surroundings.sitePath
        return Scope(
            variables: spec.variables, steps: finished, run: run, now: instant,
            localDate: String(local.prefix(10)), zoneOffset: { Clocks.zoneOffset(atSeconds: $0) },
            environment: { [base = surroundings.baseEnvironment] in base[$0]?.text },
            fileExists: { Host.exists($0.hasPrefix("/") ? $0 : base + "/" + $0) })
    }

    // MARK: time, records

    private var now: Timestamp { Timestamp(nanoseconds: Clocks.wall) }

    /// Applies an event to our copy and hands it to the recorder.
    private func note(_ event: RunEvent, durable: Bool) {
        record.apply(event)
        recorder.record(event, of: record.id, durable: durable)
    }

    private func absorb(_ entry: StepRecord) {
        var outputs = entry.outputs
        outputs["state"] = outputs["state"] ?? .string(entry.state.rawValue)
        if let failure = entry.failure {
            outputs["error"] = .map(["code": .string(failure.code), "message": .string(failure.message)])
        }
        finished.append(Scope.StepOutputs(label: entry.label, id: entry.id, outputs: outputs))
    }

    private func deadline(_ step: StepSpec) -> StepRun.Deadline? {
        let now = Clocks.monotonic
        var nearest: StepRun.Deadline?
        if let limit = step.timeout {
            nearest = .init(
                instant: now + limit.nanoseconds, what: "step \(step.label) (\(step.title))", span: limit)
        }
        let whole = step.section == .main ? timeout : RunDriver.cleanUpTime
        guard let whole else { return nearest }
        let used = step.section == .main ? now - startedDriving + activeBefore : 0
        let instant = now + max(0, whole.nanoseconds - used)
        if let nearest, nearest.instant <= instant { return nearest }
        return .init(
            instant: instant, what: step.section == .main ? "the run" : step.section.rawValue, span: whole)
    }

    /// Time that steps of this attempt took in earlier drives: waits do not count against the run's time.
    private lazy var activeBefore: Int64 = {
        record.steps.filter {
            $0.runAttempt == record.attempt && $0.section == .main && $0.state != .interrupted
        }.reduce(0) {
            sum, step in
            sum + max(0, (step.endedAt ?? step.startedAt).since(step.startedAt).nanoseconds)
        }
    }()

    /// The run's own policy tries again whatever is not hopeless; the queue's only what cannot have done harm.
    private func retryOfRun(_ failure: Failure) throws(Break) -> RunEnding? {
        guard failure.kind == .failed || failure.kind == .timedOut, failure.retry != .never else {
            return nil
        }
        let policy = spec.retry ?? queueRetry
        guard record.attempt < policy.maxAttempts else { return nil }
        if spec.retry == nil, failure.retry != .transient || hasOwnRetry(failure) || !everythingIsRepeatable {
            return nil
        }
        let delay = policy.delay(afterAttempt: record.attempt, random: Clocks.randomShare())
        return .suspended(Wait(.retry, until: now.adding(delay), since: now, nextAttempt: record.attempt + 1))
    }

    /// Who says how often a step is tried has said how often: the queue's default does not multiply it.
    private func hasOwnRetry(_ failure: Failure) -> Bool {
        spec.steps.contains { $0.label == failure.step && $0.retry != nil }
    }

    private var everythingIsRepeatable: Bool {
        record.steps.filter { $0.runAttempt == record.attempt && $0.section == .main && $0.state != .skipped }
            .allSatisfy { entry in spec.steps.first { $0.number == entry.number }?.isRepeatable ?? false }
    }
}
