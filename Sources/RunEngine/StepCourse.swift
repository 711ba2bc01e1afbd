// What this is: the course of one step: whatever of it happened before, it is brought to its end.
// Owns: a step's retries, what is recorded when, what becomes of a step that a crash cut off.
// Never: sleeps out a retry, runs twice what may not run twice.
// On failure: the step's failure is its ending; what follows from it is said in what it returns or throws.
import JobLanguage
import JobModel
import LinuxSystem

struct StepCourse: Sendable {
    let drive: Drive
    let step: StepSpec
    let place: StepPlace
    let frame: Frame
    private var progress: Progress { drive.progress }
    private var signals: RunSignals { drive.signals }

    init(drive: Drive, step: StepSpec, place: StepPlace, frame: Frame) {
        self.drive = drive
        self.step = step
        self.place = place
        self.frame = frame
    }

    /// Nil when the list may go on, else the failure that ends it.
    func perform() throws(Break) -> Failure? {
        guard let last = progress.last(place, since: frame.floor) else {
            return try start(attempt: 1, isRerun: false)
        }
        switch last.state {
        case .succeeded, .skipped:
            absorb(last)
            return nil
        // A step that holds others has no outcome of its own that could be unknown.
        case .running where step.type.control != nil, .interrupted where step.type.control != nil:
            return try hold(last, isResumed: true)
        case .running: return try judgeInterrupted(last)
        case .interrupted: return try resolve(last)
        // It has done nothing since, and goes on where it was.
        case .waiting: return try start(attempt: last.attempt, isRerun: true, waited: last)
        case .failed, .timedOut, .denied, .cancelled:
            guard let failure = last.failure else { return nil }
            // It was cut short by what failed beside it, and will be again.
            if failure.code == Failure.halted { throw .halted }
            if failure.code == Failure.notSpawned, step.type.control == nil {
                return try start(attempt: last.attempt, isRerun: false)
            }
            if canRetry(failure, attempt: last.attempt) {
                try waitUntilDue(last)
                return try start(attempt: last.attempt + 1, isRerun: true)
            }
            absorb(last)
            return mayContinue(after: failure) ? nil : failure
        }
    }

    /// How it failed for good, as its record says; nil where anything may still follow.
    var settledFailure: Failure? {
        guard let last = progress.last(place, since: frame.floor), let failure = last.failure,
            [.failed, .timedOut, .denied, .cancelled].contains(last.state), failure.code != Failure.halted,
            failure.code != Failure.notSpawned || step.type.control != nil
        else { return nil }
        return canRetry(failure, attempt: last.attempt) || mayContinue(after: failure) ? nil : failure
    }
    /// Hands on what its record says, without beginning anything.
    func absorbRecorded() {
        if let last = progress.last(place, since: frame.floor) { absorb(last) }
    }

    /// `continue_on_error` is about the step's own failure, not about the end of the run, and not about a person's no.
    private func mayContinue(after failure: Failure) -> Bool {
        step.continueOnError && failure.kind != .cancelled && failure.kind != .denied
            && failure.code != Progress.full
            && !isTimeUp(failure)
    }
    /// Of the run, or of what holds the step.
    private func isTimeUp(_ failure: Failure) -> Bool { failure.kind == .timedOut && frame.isLate }

    private func canRetry(_ failure: Failure, attempt: Int) -> Bool {
        guard let policy = step.retry, failure.kind == .failed || failure.kind == .timedOut else {
            return false
        }
        return attempt < policy.maxAttempts && policy.covers(failure) && !isTimeUp(failure)
            && (!policy.onlyIdempotent || step.isRepeatable)
    }
    /// The run may have gone on for the sake of another of its steps.
    private func waitUntilDue(_ last: StepRecord) throws(Break) {
        guard let due = last.retryAt, due > drive.now else { return }
        if let served = progress.served, served >= due { return }
        throw .suspend(Wait(.retry, until: due, since: drive.now, nextAttempt: progress.attempt))
    }

    // MARK: what a crash cut off

    /// The step was running when its runner died.
    private func judgeInterrupted(_ last: StepRecord) throws(Break) -> Failure? {
        var ended = last
        ended.state = .interrupted
        ended.endedAt = drive.now
        ended.failure = Failure(
            "E-INT-UNKNOWN",
            "step \(place.text) (\(step.title)) may or may not have had its effect; it is not repeated by itself",
            whatToDo: "Look at what it did, then: bobbin resolve \(drive.id) --retry|--skip|--fail",
            kind: .interrupted, step: place.text)
        progress.note(.stepEnded(ended), durable: true)
        if step.isRepeatable { return try start(attempt: last.attempt + 1, isRerun: true) }
        if signals.request == .cancel { return StepRun.cancelled }
        throw ask
    }
    private var ask: Break {
        .suspend(Wait(.interrupted, since: drive.now, nextAttempt: progress.attempt, step: place))
    }

    /// A person said what to do about a step whose outcome nobody knows.
    private func resolve(_ last: StepRecord) throws(Break) -> Failure? {
        let answer = progress.takeAnswer(for: place)
        if step.isRepeatable && answer == nil { return try start(attempt: last.attempt + 1, isRerun: true) }
        switch answer {
        case nil where signals.request == .cancel: return StepRun.cancelled
        case nil: throw ask
        case .retry: return try start(attempt: last.attempt + 1, isRerun: true)
        case .skip:
            var skipped = last
            skipped.state = .skipped
            skipped.failure = nil
            skipped.startedAt = drive.now
            skipped.endedAt = skipped.startedAt
            skipped.outputs = ["skipped_because": "a person resolved it so"]
            progress.note(.stepEnded(skipped), durable: false)
            absorb(skipped)
            return nil
        case .fail:
            // Recorded as the step's own end, so that no later crash asks again.
            var failed = last
            var failure =
                last.failure
                ?? Failure("E-INT-UNKNOWN", "step \(place.text) was interrupted", step: place.text)
            failure.kind = .failed
            failure.retry = .never
            failed.state = .failed
            failed.failure = failure
            progress.note(.stepEnded(failed), durable: true)
            absorb(failed)
            return failure
        }
    }

    // MARK: from start to end

    private func start(attempt: Int, isRerun: Bool, waited: StepRecord? = nil) throws(Break) -> Failure? {
        if frame.isHalted { throw .halted }
        // A cancelled run still cleans up.
        if step.section == .finally { signals.forgiveCancel() }
        try obeySignals()
        var entry = StepRecord(
            place: place, title: step.title, id: step.id, type: step.type.name, runAttempt: progress.attempt,
            attempt: attempt, state: .running, startedAt: drive.now)
        let prepared: Prepared?
        do throws(Failure) {
            // What has begun something is asked about it, whatever has changed since.
            if waited == nil, let full = progress.fullness(step.section) { throw full }
            prepared = try prepare(mayBeSkipped: waited == nil)
        } catch { return try end(&entry, error) }
        guard let prepared else {
            entry.state = .skipped
            entry.endedAt = drive.now
            entry.outputs = ["skipped_because": .string("not: \(step.when ?? "")")]
            progress.note(.stepEnded(entry), durable: false)
            absorb(entry)
            return nil
        }
        let call =
            waited == nil
            ? TargetCall(prepared.action, prepared.arguments, place, attempt: attempt, drive) : nil
        // Nothing is recorded of one that waits for its turn: a crash finds it not begun. Its time begins afterwards.
        switch call?.wait(drive, frame) {
        case .wait(let until):
            throw .suspend(
                Wait(.target, until: until, since: drive.now, nextAttempt: progress.attempt, step: place))
        case .refused(let failure): return try end(&entry, failure)
        case .interrupted:
            if frame.isHalted { throw .halted }
            try obeySignals()
            return try end(&entry, StepRun.cancelled)
        case .go: entry.startedAt = drive.now
        case nil: break
        }
        let context: StepRun
        do throws(Failure) {
            context = try self.context(prepared, attempt: attempt, isRerun: isRerun, waited: waited)
        } catch { return try end(&entry, error) }
        if step.type.control != nil {
            do throws(Failure) {
                try context.checkpoint()
                var plan = ValueMap()
                if let call = step.call {
                    // Of a step type of the site all parameters are the template's.
                    let given =
                        prepared.action == nil
                        ? prepared.arguments : prepared.arguments["variables"]?.mapValue
                    plan["variables"] = .map(try call.bind(given ?? [:]))
                } else if let action = prepared.action {
                    plan = try action.perform(prepared.arguments, context)
                }
                entry.outputs = RoundPlan.outputs(plan, environment: prepared.environment)
            } catch {
                if error.kind == .interrupted { throw .stop }
                return try end(&entry, error)
            }
            progress.note(.stepStarted(entry), durable: false)
            return try hold(entry, isResumed: false)
        }
        // One that waited has begun already: its record says so, until it has more to say.
        if waited != nil { return try execute(&entry, prepared, context, waited) }
        // A step that must not run twice starts only when its start would survive a power cut.
        progress.note(.stepStarted(entry), durable: !step.isRepeatable)
        return try execute(&entry, prepared, context, nil, call)
    }

    private func context(_ prepared: Prepared, attempt: Int, isRerun: Bool, waited: StepRecord?)
        throws(Failure)
        -> StepRun
    {
        // What touches neither files nor programs is the site's own business, and asks people or drops jobs in its name.
        let account =
            step.type.staysInside ? nil : try drive.surroundings.account(progress.acceptance.submitter)
        let began = waited.map { progress.began(place, attempt: attempt, since: frame.floor) ?? $0.startedAt }
        let used = began.map { drive.now.since($0).nanoseconds } ?? 0
        return StepRun(
            drive: drive, step: step, place: place, attempt: attempt, isRerun: isRerun,
            environment: prepared.environment,
            waited: waited.map { ($0.outputs, began ?? $0.startedAt) },
            upcoming: { [drive, frame, place] in drive.upcoming(after: place, in: frame) },
            deadline: drive.deadline(step, at: place, in: frame, used: used), account: account)
    }

    private func execute(
        _ entry: inout StepRecord, _ prepared: Prepared, _ context: StepRun, _ waited: StepRecord?,
        _ call: TargetCall? = nil
    ) throws(Break) -> Failure? {
        do throws(Failure) {
            // One that waited is asked even if the run is cancelled: it may have to call back what it began.
            if context.before == nil { try context.checkpoint() }
            entry.outputs = drive.kept(try perform(prepared, context))
            entry.state = context.wish == nil ? .succeeded : .waiting
            call?.leave(nil)
        } catch {
            call?.leave(error)
            close(context, &entry)
            // Nothing is recorded: the next start finds the step open and judges it by its rule.
            if error.kind == .interrupted { throw .stop }
            return try end(&entry, error)
        }
        close(context, &entry)
        if let wish = context.wish {
            entry.endedAt = drive.now
            // Parking makes it durable. What says nothing new is not said again.
            if waited?.outputs != entry.outputs { progress.note(.stepEnded(entry), durable: false) }
            let ends = step.timeout.map { context.began.adding($0) }
            throw .suspend(
                Wait(
                    wish.reason, until: [wish.until, ends].compactMap { $0 }.min { $0 < $1 },
                    since: drive.now, nextAttempt: progress.attempt,
                    step: place))
        }
        succeed(&entry)
        return nil
    }

    /// As who submitted the run, where the site has it so.
    private func perform(_ prepared: Prepared, _ context: StepRun) throws(Failure) -> ValueMap {
        guard let action = prepared.action else { return [:] }
        guard let account = context.account else { return try action.perform(prepared.arguments, context) }
        return try account.reachingFiles { () throws(Failure) in
            try action.perform(prepared.arguments, context)
        }
    }

    private func close(_ context: StepRun, _ entry: inout StepRecord) {
        progress.keep(detached: context.detached)
        context.log.close()
        if context.log.isUsed { entry.log = "runs/\(drive.id)/\(context.log.name)" }
    }

    /// A step that holds others: they run, wherever they are, and then it ends as they did.
    private func hold(_ entry: StepRecord, isResumed: Bool) throws(Break) -> Failure? {
        var entry = entry
        let course = HoldingCourse(
            drive: drive, step: step, place: place, frame: frame, entry: entry, isResumed: isResumed)
        let (outputs, failure) = try course.run()
        entry.outputs = outputs
        if let failure {
            progress.close(inside: place, since: progress.index(place) ?? 0) { !drive.spec.isLeaf($0) }
            return try end(&entry, failure)
        }
        entry.state = .succeeded
        succeed(&entry)
        return nil
    }

    private func succeed(_ entry: inout StepRecord) {
        entry.endedAt = drive.now
        progress.note(.stepEnded(entry), durable: false)
        absorb(entry)
    }

    /// Records a failed attempt and finds what follows from it.
    private func end(_ entry: inout StepRecord, _ failure: Failure) throws(Break) -> Failure? {
        var failure = drive.kept(failure)
        failure.target = nil
        // Of a step that holds others: the one of them that failed.
        if step.type.control == nil || failure.step == nil { failure.step = place.text }
        if let log = entry.log {
            failure.whatToDo = failure.whatToDo.replacing("the step's log", with: "spool/\(log)")
        } else if step.type.control == nil {
            failure.whatToDo = failure.whatToDo.replacing("see the step's log", with: "it wrote nothing")
        }
        entry.state = StepState(failure.kind)
        entry.endedAt = drive.now
        entry.failure = failure
        if failure.code == Failure.notSpawned, step.type.control == nil {
            progress.note(.stepEnded(entry), durable: false)
            throw .starve(waitForHost, failure)
        }
        if let policy = step.retry, canRetry(failure, attempt: entry.attempt) {
            let delay = policy.delay(afterAttempt: entry.attempt, random: Clocks.randomShare())
            let due = drive.now.adding(delay)
            entry.retryAt = due
            progress.note(.stepEnded(entry), durable: false)
            throw .suspend(Wait(.retry, until: due, since: drive.now, nextAttempt: progress.attempt))
        }
        progress.note(.stepEnded(entry), durable: false)
        absorb(entry)
        return mayContinue(after: failure) ? nil : failure
    }

    /// From 1 s, doubled with each time in a row, to 60 s.
    private var waitForHost: Wait {
        let row = progress.record.steps.reversed().lazy.filter { $0.place == place }.prefix {
            $0.failure?.code == Failure.notSpawned
        }
        let count = row.reduce(0) { sum, _ in sum + 1 }
        let since = drive.now
        let delay = Span.seconds(min(60, 1 << min(count - 1, 6)))
        return Wait(.retry, until: since.adding(delay), since: since, nextAttempt: progress.attempt)
    }

    private func obeySignals() throws(Break) {
        switch signals.request {
        case .stop: throw .stop
        case .hold where step.section == .main:
            throw .suspend(Wait(.held, since: drive.now, nextAttempt: progress.attempt))
        default: break
        }
    }

    // MARK: preparing

    private struct Prepared {
        /// Nil of a step type of the site: its steps are all that it does.
        var action: (any StepAction)?
        var arguments: ValueMap
        var environment: ValueMap
    }

    /// Renders and binds; nil when the step's condition is false. Rendering happens here and never earlier, so that a
    /// step sees what the steps before it left.
    private func prepare(mayBeSkipped: Bool) throws(Failure) -> Prepared? {
        let action = drive.actions[step.type.name]
        guard action != nil || step.call != nil else {
            throw Failure("E-STEP-TYPE", "this runner has no step type `\(step.type.name)`", retry: .never)
        }
        let scope = drive.scope(frame)
        do throws(ExpressionError) {
            if mayBeSkipped, let when = step.when, try !Condition.evaluate(when, scope) { return nil }
        } catch { throw Drive.failure(error, in: "when") }
        var values = ValueMap()
        for entry in step.parameters.entries {
            let kind = step.type.parameters.first { $0.name == entry.key }?.kind ?? .any
            do throws(ExpressionError) { values[entry.key] = try render(entry.value, kind, scope) } catch {
                throw Drive.failure(error, in: entry.key)
            }
        }
        var environment = frame.environment
        do throws(ExpressionError) {
            environment.merge(try Value.map(step.environment).rendered(scope).mapValue ?? [:])
        } catch {
            throw Drive.failure(error, in: "env")
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
        // Those are for the end of each round.
        case (.roundCondition, _), (.roundValue, _): return value
        case (.literal, _), (.form, _): return value
        default: return try value.rendered(scope)
        }
    }

    // MARK: what later steps see

    private func absorb(_ entry: StepRecord) {
        if step.type.control?.isOpen == true { absorbInside(step, place) }
        frame.shelf.put(
            Scope.StepOutputs(label: frame.label(entry.place), id: entry.id, outputs: StepCourse.seen(entry)))
    }
    private static func seen(_ entry: StepRecord) -> ValueMap {
        var outputs = entry.outputs
        outputs["state"] = outputs["state"] ?? .string(entry.state.rawValue)
        if let failure = entry.failure { outputs["error"] = .map(failure.seen) }
        return outputs
    }

    /// Steps of a group are seen by those after it, also when an earlier drive ran them, or when none did.
    private func absorbInside(_ group: StepSpec, _ place: StepPlace) {
        let floor = progress.index(self.place) ?? 0
        for child in group.steps {
            let at = place.inside(child.number)
            guard !frame.shelf.has(frame.label(at)) else { continue }
            if child.type.control?.isOpen == true { absorbInside(child, at) }
            let outputs: ValueMap =
                progress.last(at, since: floor).map(StepCourse.seen)
                ?? [
                    "skipped_because": "what holds it did not run it",
                    "state": .string(StepState.skipped.rawValue),
                ]
            frame.shelf.put(Scope.StepOutputs(label: frame.label(at), id: child.id, outputs: outputs))
        }
    }
}
