// What this is: the inside of a step that holds others: a group, branches side by side, the rounds of a loop.
// Owns: what each round sees, what the rounds came to.
// Never: records anything of the steps inside; their own courses do.
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
    private static let failuresTold = 20
    private var isLate: Bool { deadline.map { Clocks.monotonic >= $0.instant } ?? false }

    init(drive: Drive, step: StepSpec, place: StepPlace, frame: Frame, entry: StepRecord) {
        self.drive = drive
        self.step = step
        self.place = place
        self.frame = frame
        self.entry = entry
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
        do throws(ExpressionError) {
            let outputs =
                try Value.map(step.call?.outputs ?? [:]).rendered(drive.scope(inner)).mapValue ?? [:]
            guard let outputs = fitting(outputs) else { return ([:], tooMuch) }
            return (outputs, nil)
        } catch { return ([:], Drive.failure(error, in: "outputs")) }
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

    private func runItems(_ plan: RoundPlan) throws(Break) -> (outputs: ValueMap, failure: Failure?) {
        let halt = Flag()
        let results = Monitor<[Int: Value]>([:])
        let batch = Batch(
            plan.items.count, width: plan.concurrency, crew: drive.crew, halt: halt,
            // The end of the run, or of the step's own time, is no failure that the other rounds could survive.
            goesOn: { plan.goesOn && $0.kind != .cancelled && !($0.kind == .timedOut && isLate) },
            piece: { index throws(Break) in
                let inner = round(index, of: plan.items.count, plan.items[index], plan, halt: halt)
                if let failure = try ListCourse(drive: drive, frame: inner).run(step.steps) {
                    return failure
                }
                do throws(Failure) {
                    let value = try collect(inner)
                    results.with { $0[index] = value }
                    return nil
                } catch { return error }
            })
        let outcome = try batch.run()
        var failures = outcome.failures
        if let fatal = outcome.fatal { failures[fatal.index] = fatal.failure }
        let outputs = outputs(plan, results.with { $0 }, failures)
        if let fatal = outcome.fatal { return (fitting(outputs) ?? [:], fatal.failure) }
        guard let first = failures.min(by: { $0.key < $1.key }) else {
            guard let outputs = fitting(outputs) else { return ([:], tooMuch) }
            return (outputs, nil)
        }
        var failure = first.value
        failure.message =
            "\(failures.count) of \(plan.items.count) rounds failed; the first, round \(first.key + 1): \(failure.message)"
        return (fitting(outputs) ?? [:], failure)
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
    private func fitting(_ outputs: ValueMap) -> ValueMap? {
        JSONText.write(.map(outputs)).utf8.count <= Limits.outputBytes ? outputs : nil
    }
    private var tooMuch: Failure {
        Failure(
            "E-OUTPUT-SIZE", "what the steps inside handed on is more than \(Limits.outputBytes) bytes",
            whatToDo: "hand on less of it, or write it to a file", retry: .never)
    }

    private func runRounds(_ plan: RoundPlan) throws(Break) -> (outputs: ValueMap, failure: Failure?) {
        let begun = drive.progress.rounds(in: place, since: floor)
        let until = step.parameters["until"]
        var results: [Value] = []
        for index in plan.items.indices {
            if index >= begun, index > 0, let delay = plan.delay {
                do throws(Failure) { try pause(delay) } catch {
                    if error.kind == .interrupted { throw .stop }
                    return (outputs(results), error)
                }
            }
            let inner = round(index, of: plan.items.count, plan.items[index], plan, halt: Flag())
            if let failure = try ListCourse(drive: drive, frame: inner).run(step.steps) {
                return (outputs(results), failure)
            }
            do throws(Failure) {
                results.append(try collect(inner))
                // A round that had begun says that the condition did not hold before it.
                guard let until, index + 1 >= begun else { continue }
                if try holds(until, inner) { return finish(results) }
            } catch { return (outputs(results), error) }
        }
        guard plan.mustHold else { return finish(results) }
        return (
            outputs(results),
            Failure(
                "E-UNTIL", "`until` did not hold after \(results.count) round\(results.count == 1 ? "" : "s")"
            )
        )
    }
    private func outputs(_ results: [Value]) -> ValueMap {
        var outputs: ValueMap = ["count": .int(results.count)]
        if step.parameters["collect"] != nil { outputs["results"] = .list(results) }
        return outputs
    }
    private func finish(_ results: [Value]) -> (ValueMap, Failure?) {
        guard let outputs = fitting(outputs(results)) else { return ([:], tooMuch) }
        return (outputs, nil)
    }
    private func holds(_ until: Value, _ inner: Frame) throws(Failure) -> Bool {
        do throws(ExpressionError) {
            return try Condition.evaluate(until.text, drive.scope(inner))
        } catch { throw Drive.failure(error, in: "until") }
    }
    private func pause(_ span: Span) throws(Failure) {
        try StepRun(
            drive: drive, step: step, place: place, attempt: entry.attempt, isRerun: false, environment: [:],
            deadline: deadline
        ).pause(span)
    }
}
