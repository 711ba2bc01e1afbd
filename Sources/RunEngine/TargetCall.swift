// What this is: one call of a step to a service outside, as the gate in front of that service sees it.
// Owns: how a run waits for its turn: a moment here, a longer time parked; that a run has one turn ahead for each service.
// Never: lets a step begin before it may; asks for a step that calls nobody.
// On failure: the gate's refusal (E-TARGET-DOWN) is the step's.
import JobModel
import LinuxSystem

struct TargetCall {
    enum Answer {
        case go
        /// The run is to be parked.
        case wait(until: Timestamp)
        case refused(Failure)
        /// The run is cancelled or to stop: the step finds that itself.
        case interrupted
    }
    private let gate: any TargetGate
    private let target: String
    private let who: String
    private let drive: Drive
    private let isCleanUp: Bool
    /// A shorter wait is not worth a park.
    private static let short = Span.seconds(2)

    /// Nil where the step calls nobody, or nobody keeps count.
    init?(_ action: (any StepAction)?, _ arguments: ValueMap, _ place: StepPlace, _ drive: Drive) {
        guard let gate = drive.surroundings.targets, let target = action?.target(arguments) else {
            return nil
        }
        self.gate = gate
        self.target = target
        self.drive = drive
        isCleanUp = place.section != .main
        who = "\(drive.id)/\(place.text)/\(drive.progress.effort(of: place))"
    }

    func wait() -> Answer {
        while true {
            guard drive.signals.request <= .hold else { return .interrupted }
            let now = drive.now
            // Another step of this drive waits there: those behind it ask when it has been let in.
            if let until = drive.waitingTargets.with({ $0[target] }), until > now {
                return .wait(until: until)
            }
            switch gate.enter(target, for: who) {
            case .go: return .go
            // What cleans up is not kept waiting for a service that may be gone; it fails as it fails.
            case .refuse where isCleanUp, .wait(_, isDown: true) where isCleanUp: return .go
            case .refuse: return .refused(gate.refusal(target))
            case .wait(let until, _):
                let left = until.since(now)
                guard left <= TargetCall.short else {
                    drive.waitingTargets.with { $0[target] = until }
                    return .wait(until: until)
                }
                drive.signals.pause(until: Clocks.monotonic + left.nanoseconds)
            }
        }
    }

    func leave(_ failure: Failure?) {
        gate.leave(target, for: who, failure.map { $0.target ?? .unknown } ?? .answered)
    }
}
