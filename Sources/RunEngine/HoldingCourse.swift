// What this is: the inside of a step that holds others: a group, branches side by side, the rounds of a loop.
// Owns: what each round sees, what the rounds came to.
// Never: records anything of the steps inside; their own courses do. A round's end it does record.
// On failure: a round that fails ends the loop, unless the others are to go on; then their count is the failure.
import JobLanguage
import JobModel
import LinuxSystem

struct HoldingCourse: Sendable {
    private let drive: Drive
    private let step: StepSpec
    private let place: StepPlace
    private let frame: Frame
    private let entry: StepRecord
    /// Index of the step's record: what is before it belongs to an earlier try.
    private let floor: Int
    private let deadline: StepRun.Deadline?
    /// It began in an earlier drive.
    private let isResumed: Bool
    private static let failuresTold = 20
    private var isLate: Bool { deadline.map { Clocks.monotonic >= $0.instant } ?? false }

    init(drive: Drive, step: StepSpec, place: StepPlace, frame: Frame, entry: StepRecord, isResumed: Bool) {
        self.drive = drive
        self.step = step
        self.place = place
        self.frame = frame
        self.entry = entry
        self.isResumed = isResumed
        floor = drive.progress.index(place) ?? 0
        deadline = drive.deadline(holding: step, at: place, since: floor, in: frame)
    }

    /// What the step hands on, and why it failed.
    func run() throws(Break) -> (outputs: ValueMap, failure: Failure?) {
        let plan = RoundPlan(entry)
        switch step.type.control {
        case .foreach: return try runItems(plan)
        case .repeated: return try runRounds(plan)
        case .call: return try runCalled(plan)
        case .group, .parallel, nil:
            let inner = Frame(
                inside: frame, at: place, environment: plan.environment, floor: floor, deadline: deadline)
            let order = step.type.control == .parallel ? ListCourse.Order.sideBySide : .listed
            return ([:], try ListCourse(drive: drive, frame: inner).run(step.steps, order))
        }
    }

    private func runCalled(_ plan: RoundPlan) throws(Break) -> (outputs: ValueMap, failure: Failure?) {
        let inner = Frame(
            calledFrom: frame, at: place, variables: plan.variables, environment: plan.environment,
            floor: floor,
            deadline: deadline)
        if let failure = try ListCourse(drive: drive, frame: inner).run(step.steps) { return ([:], failure) }
        var outputs: ValueMap
        do throws(ExpressionError) {
            outputs = try Value.map(step.call?.outputs ?? [:]).rendered(drive.scope(inner)).mapValue ?? [:]
        } catch { return ([:], Drive.failure(error, in: "outputs")) }
        do throws(Failure) { outputs = try outputs.judged(as: step.call?.outputKinds ?? [:]) } catch {
            return ([:], error)
        }
        return isFitting(outputs) ? (outputs, nil) : ([:], tooMuch)
    }

    // MARK: rounds

    private func round(_ index: Int, of count: Int, _ item: Value, _ plan: RoundPlan, halt: Flag) -> Frame {
        let loop: ValueMap = [
            "index": .int(index), "number": .int(index + 1), "count": .int(count),
            "first": .bool(index == 0), "last": .bool(index == count - 1),
        ]
        return Frame(
            inside: frame, at: place.inside(index + 1), names: [plan.name: item, "loop": .map(loop)],
            environment: plan.environment, floor: floor, deadline: deadline,
            shelf: Shelf(inside: frame.shelf),
            halt: halt)
    }

    private enum Round {
        /// With what `collect` kept, and whether `until` held.
        case over(ValueMap)
        case failed(Failure)
    }

    /// Brings a round to its end. How it ended is on record where it cannot be seen from its steps alone.
    private func perform(
        _ index: Int, _ plan: RoundPlan, halt: Flag, judge: @Sendable (Frame) throws(Failure) -> ValueMap
    ) throws(Break) -> Round {
        let place = place.inside(index + 1)
        if let known = drive.progress.last(place, since: floor) {
            return known.failure.map(Round.failed) ?? .over(known.outputs)
        }
        let started = drive.now
        let inner = round(index, of: plan.items.count, plan.items[index], plan, halt: halt)
        if let failure = try ListCourse(drive: drive, frame: inner).run(step.steps) {
            return note(.failed(failure), place, started)
        }
        do throws(Failure) {
            var outputs = try judge(inner)
            if step.parameters["collect"] != nil { outputs["value"] = try collect(inner) }
            return note(.over(outputs), place, started)
        } catch {
            var failure = error
            failure.step = place.text
            return note(.failed(failure), place, started)
        }
    }
    private func note(_ round: Round, _ place: StepPlace, _ started: Timestamp) -> Round {
        var record = StepRecord(
            place: place, title: "round \(place.path.last ?? 0)", id: nil, type: StepRecord.roundType,
            runAttempt: drive.progress.attempt, attempt: entry.attempt, state: .succeeded, startedAt: started,
            endedAt: drive.now)
        switch round {
        case .over(let outputs):
            if outputs.isEmpty { return round }
            record.outputs = outputs
        case .failed(let failure):
            record.state = StepState(failure.kind)
            record.failure = failure
        }
        drive.progress.note(.stepEnded(record), durable: false)
        return round
    }

    private func runItems(_ plan: RoundPlan) throws(Break) -> (outputs: ValueMap, failure: Failure?) {
        let halt = Flag()
        let results = Monitor<[Int: Value]>([:])
        // The end of the run, or of the step's own time, is no failure that the other rounds could survive.
        let goesOn: @Sendable (Failure) -> Bool = {
            plan.goesOn && $0.kind != .cancelled && $0.kind != .denied && $0.code != Progress.full
                && !($0.kind == .timedOut && isLate)
        }
        // What had failed before this drive lets no other round begin in it.
        let isSettled = isResumed && hasSettledFailure(plan, goesOn)
        let batch = Batch(
            plan.items.count, width: plan.concurrency, crew: drive.crew, halt: halt, goesOn: goesOn,
            isSettled: isSettled,
            piece: { index throws(Break) in
                switch try perform(index, plan, halt: halt, judge: { _ in [:] }) {
                case .over(let outputs):
                    results.with { $0[index] = outputs["value"] ?? .null }
                    return nil
                case .failed(let failure): return failure
                }
            })
        let outcome = try batch.run()
        let outputs = outputs(plan, results.with { $0 }, outcome.failures)
        if let fatal = outcome.fatal { return (fitting(outputs), fatal.failure) }
        guard let first = outcome.failures.min(by: { $0.key < $1.key }) else {
            return isFitting(outputs) ? (outputs, nil) : (fitting(outputs), tooMuch)
        }
        var failure = first.value
        failure.message =
            "\(outcome.failures.count) of \(plan.items.count) rounds failed; the first, round \(first.key + 1): \(failure.message)"
        return (fitting(outputs), failure)
    }
    private func hasSettledFailure(_ plan: RoundPlan, _ goesOn: (Failure) -> Bool) -> Bool {
        plan.items.indices.contains { index in
            drive.progress.last(place.inside(index + 1), since: floor)?.failure.map { !goesOn($0) } ?? false
        }
    }

    private func outputs(_ plan: RoundPlan, _ values: [Int: Value], _ failures: [Int: Failure]) -> ValueMap {
        var outputs: ValueMap = [
            "count": .int(plan.items.count), "succeeded": .int(values.count), "failed": .int(failures.count),
        ]
        if step.parameters["collect"] != nil {
            outputs["results"] = .list(plan.items.indices.map { values[$0] ?? .null })
        }
        if !failures.isEmpty {
            let told = failures.sorted { $0.key < $1.key }.prefix(HoldingCourse.failuresTold)
            outputs["failures"] = .list(
                told.map { index, failure in
                    .map([
                        "round": .int(index + 1), "item": plan.items[index], "code": .string(failure.code),
                        "message": .string(failure.message), "step": .string(failure.step ?? ""),
                    ])
                })
        }
        return outputs
    }

    private func collect(_ inner: Frame) throws(Failure) -> Value {
        guard let template = step.parameters["collect"] else { return .null }
        do throws(ExpressionError) { return try template.rendered(drive.scope(inner)) } catch {
            throw Drive.failure(error, in: "collect")
        }
    }
    private func isFitting(_ outputs: ValueMap) -> Bool {
        Value.map(outputs).roughBytes <= Limits.outputBytes
    }
    /// Of what is too much the counts are kept: a failure must not be one of two.
    private func fitting(_ outputs: ValueMap) -> ValueMap {
        if isFitting(outputs) { return outputs }
        var outputs = outputs
        outputs["results"] = nil
        if !isFitting(outputs) { outputs["failures"] = nil }
        return outputs
    }
    private var tooMuch: Failure {
        Failure(
            "E-OUTPUT-SIZE", "what the steps inside handed on is more than \(Limits.outputBytes) bytes",
            whatToDo: "hand on less of it, or write it to a file", retry: .never)
    }

    private func runRounds(_ plan: RoundPlan) throws(Break) -> (outputs: ValueMap, failure: Failure?) {
        let begun = isResumed ? drive.progress.rounds(in: place, since: floor) : 0
        let until = step.parameters["until"]
        var results: [Value] = []
        for index in plan.items.indices {
            if index >= begun, index > 0, let delay = plan.delay {
                do throws(Failure) { try pause(delay) } catch {
                    if error.kind == .interrupted { throw .stop }
                    return (fitting(outputs(results)), error)
                }
            }
            let round = try perform(index, plan, halt: Flag()) { (inner) throws(Failure) in
                try until.map { (until) throws(Failure) in ["holds": .bool(try holds(until, inner))] } ?? [:]
            }
            switch round {
            case .failed(let failure): return (fitting(outputs(results)), failure)
            case .over(let outputs):
                results.append(outputs["value"] ?? .null)
                if outputs["holds"]?.boolValue == true { return finish(results) }
            }
        }
        guard plan.mustHold else { return finish(results) }
        let rounds = "\(results.count) round\(results.count == 1 ? "" : "s")"
        return (fitting(outputs(results)), Failure("E-UNTIL", "`until` did not hold after \(rounds)"))
    }
    private func outputs(_ results: [Value]) -> ValueMap {
        var outputs: ValueMap = ["count": .int(results.count)]
        if step.parameters["collect"] != nil { outputs["results"] = .list(results) }
        return outputs
    }
    private func finish(_ results: [Value]) -> (ValueMap, Failure?) {
        let outputs = outputs(results)
        return isFitting(outputs) ? (outputs, nil) : (fitting(outputs), tooMuch)
    }
    private func holds(_ until: Value, _ inner: Frame) throws(Failure) -> Bool {
        do throws(ExpressionError) {
            return try Condition.evaluate(until.text, drive.scope(inner))
        } catch { throw Drive.failure(error, in: "until") }
    }
    private func pause(_ span: Span) throws(Failure) {
        try StepRun(
            drive: drive, step: step, place: place, attempt: entry.attempt, isRerun: false, environment: [:],
            waited: nil,
            deadline: deadline
        ).pause(span)
    }
}
