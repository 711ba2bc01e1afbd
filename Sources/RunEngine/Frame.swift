// What this is: where a step stands while it runs: what it sees, which records are of now, what ends it.
// Owns: Frame, and the shelf on which steps leave their outputs for those after them.
// Never: runs anything.
// On failure: nothing here fails.
import JobLanguage
import JobModel
import LinuxSystem

/// A list of steps at work: a section, the inside of a group, one round of a loop.
final class Frame: Sendable {
    let parent: Frame?
    /// The place that the numbers of the list are added to.
    let place: StepPlace
    /// Names that only this list sees, such as `item`; those of the outer ones are in it.
    let names: ValueMap
    /// How much of a place is that of the template's caller: a template counts its steps from 1.
    private let origin: Int
    /// Those of the template that is called; nil: the job's.
    let variables: ValueMap?
    let environment: ValueMap
    /// Records before this index are of an earlier try of what holds the list.
    let floor: Int
    let deadline: StepRun.Deadline?
    let shelf: Shelf
    /// Raised when something beside it has failed: nothing more begins here.
    private let halt: Flag?

    init(section: Section, deadline: StepRun.Deadline?, shelf: Shelf) {
        parent = nil
        place = StepPlace(section, [])
        names = [:]
        origin = 0
        variables = nil
        environment = [:]
        floor = 0
        self.deadline = deadline
        self.shelf = shelf
        halt = nil
    }
    /// One that is inside `parent`; a `shelf` of its own is what a round has.
    init(
        inside parent: Frame, at place: StepPlace, names: ValueMap = [:], environment: ValueMap = [:],
        floor: Int? = nil, deadline: StepRun.Deadline? = nil, shelf: Shelf? = nil, halt: Flag? = nil
    ) {
        self.parent = parent
        self.place = place
        self.names = parent.names.merging(names)
        origin = parent.origin
        variables = parent.variables
        self.environment = parent.environment.merging(environment)
        self.floor = floor ?? parent.floor
        self.deadline = deadline ?? parent.deadline
        self.shelf = shelf ?? parent.shelf
        self.halt = halt
    }

    /// The steps of a template: they see its variables and each other, and nothing of who called.
    init(
        calledFrom parent: Frame, at place: StepPlace, variables: ValueMap, environment: ValueMap, floor: Int,
        deadline: StepRun.Deadline?
    ) {
        self.parent = parent
        self.place = place
        names = [:]
        origin = place.path.count
        self.variables = variables
        self.environment = parent.environment.merging(environment)
        self.floor = floor
        self.deadline = deadline ?? parent.deadline
        shelf = Shelf()
        halt = nil
    }

    /// Under which a step of this list is seen by the others.
    func label(_ place: StepPlace) -> String {
        origin == 0 ? place.text : StepPlace(.main, Array(place.path.dropFirst(origin))).text
    }

    var isHalted: Bool { halt?.isRaised ?? false || parent?.isHalted ?? false }
    var isLate: Bool { deadline.map { Clocks.monotonic >= $0.instant } ?? false }
}

final class Flag: Sendable {
    private let state = Monitor(false)
    func raise() { state.with { $0 = true } }
    var isRaised: Bool { state.with { $0 } }
}

/// What steps left behind, in the order in which they ended. A round sees its own and those of outside.
final class Shelf: Sendable {
    private let outer: Shelf?
    private let outputs = Monitor<[Scope.StepOutputs]>([])

    init(inside outer: Shelf? = nil) { self.outer = outer }

    func put(_ entry: Scope.StepOutputs) { outputs.with { $0.append(entry) } }
    func has(_ label: String) -> Bool { outputs.with { $0.contains { $0.label == label } } }
    var visible: [Scope.StepOutputs] { (outer?.visible ?? []) + outputs.with { $0 } }
}

extension ValueMap {
    func merging(_ other: ValueMap) -> ValueMap {
        guard !other.isEmpty else { return self }
        var merged = self
        merged.merge(other)
        return merged
    }
}
