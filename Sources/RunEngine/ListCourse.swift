// What this is: the course of a list of steps: one after the other, side by side, or as their `needs:` allow.
// Owns: which step of the list is next.
// Never: knows what a step does.
// On failure: nothing more of the list begins, unless it goes on by its nature (on_failure, finally).
import JobModel
import LinuxSystem

struct ListCourse: Sendable {
    let drive: Drive
    let frame: Frame

    enum Order {
        /// One after the other; with `needs:` somewhere, a step without waits for all above it.
        case listed
        /// A step without `needs:` waits for nobody.
        case sideBySide
    }

    /// Nil when it went through, else the failure that ended it.
    func run(_ steps: [StepSpec], _ order: Order = .listed, goesOn: Bool = false) throws(Break) -> Failure? {
        if order == .sideBySide || steps.contains(where: { $0.needs != nil }) {
            return try runGraph(steps, order, goesOn)
        }
        var first: Failure?
        for step in steps {
            guard let failure = try perform(step, frame) else { continue }
            if !goesOn { return failure }
            first = first ?? failure
        }
        return first
    }

    /// Puts what the steps left, as their records say, on the shelf; in the order in which they ended.
    func absorbRecorded(_ steps: [StepSpec]) {
        let ended = steps.map { step in
            (
                course(step, frame),
                drive.progress.last(frame.place.inside(step.number), since: frame.floor)?.endedAt
            )
        }
        for (course, _) in ended.filter({ $0.1 != nil }).sorted(by: {
            ($0.1?.nanoseconds ?? 0) < ($1.1?.nanoseconds ?? 0)
        }) { course.absorbRecorded() }
    }

    private func runGraph(_ steps: [StepSpec], _ order: Order, _ goesOn: Bool) throws(Break) -> Failure? {
        // What had failed before this drive lets nothing more begin in it, not even what only waited for another try.
        let isSettled = !goesOn && steps.contains { course($0, frame).settledFailure != nil }
        let indexes = Dictionary(
            steps.indices.compactMap { index in steps[index].id.map { ($0, index) } },
            uniquingKeysWith: { $1 })
        let needs = steps.map { step -> Batch.Need in
            guard let ids = step.needs else { return order == .listed ? .allAbove : .these([]) }
            return .these(ids.compactMap { indexes[$0] })
        }
        let halt = Flag()
        let inner = Frame(inside: frame, at: frame.place, halt: halt)
        let batch = Batch(
            steps.count, width: steps.count, crew: drive.crew, halt: halt, goesOn: { _ in goesOn },
            needs: needs, isSettled: isSettled,
            piece: { index throws(Break) in try perform(steps[index], inner) })
        let outcome = try batch.run()
        return outcome.fatal?.failure ?? outcome.failures.min { $0.key < $1.key }?.value
    }

    private func perform(_ step: StepSpec, _ frame: Frame) throws(Break) -> Failure? {
        try course(step, frame).perform()
    }
    private func course(_ step: StepSpec, _ frame: Frame) -> StepCourse {
        StepCourse(drive: drive, step: step, place: frame.place.inside(step.number), frame: frame)
    }
}
