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

    private func runGraph(_ steps: [StepSpec], _ order: Order, _ goesOn: Bool) throws(Break) -> Failure? {
        let needs = steps.indices.map { index -> [Int] in
            guard let ids = steps[index].needs else { return order == .listed ? Array(0..<index) : [] }
            return ids.compactMap { id in steps.firstIndex { $0.id == id } }
        }
        let halt = Flag()
        let inner = Frame(inside: frame, at: frame.place, halt: halt)
        let batch = Batch(
            steps.count, width: steps.count, crew: drive.crew, halt: halt, goesOn: { _ in goesOn },
            isReady: { index, isOver in needs[index].allSatisfy { isOver[$0] } },
            piece: { index throws(Break) in try perform(steps[index], inner) })
        let outcome = try batch.run()
        return outcome.fatal?.failure ?? outcome.failures.min { $0.key < $1.key }?.value
    }

    private func perform(_ step: StepSpec, _ frame: Frame) throws(Break) -> Failure? {
        try StepCourse(drive: drive, step: step, place: frame.place.inside(step.number), frame: frame)
            .perform()
    }
}
