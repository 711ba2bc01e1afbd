// What this is: one call of a step to a service outside, as the gate in front of that service sees it.
// Owns: how a run waits for its turn: a moment here, a longer time parked; how what cleans up is let through.
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
        /// Something ends or holds the run, or has failed beside this step: it does not begin.
        case interrupted
    }
    private let gate: any TargetGate
    private let target: String
    private let who: String
    private let isCleanUp: Bool
    /// All that is waited for here and not parked, together.
    private static let short = Span.seconds(2)

    /// Nil where the step calls nobody, or nobody keeps count. By its name a call gets its own turn again after a crash;
    /// another attempt is another call.
    init?(
        _ action: (any StepAction)?, _ arguments: ValueMap, _ place: StepPlace, attempt: Int, _ drive: Drive
    ) {
        guard let gate = drive.surroundings.targets, let target = action?.target(arguments) else {
            return nil
        }
        self.gate = gate
        self.target = target
        isCleanUp = place.section != .main
        who = "\(drive.id)/\(place.text)/\(drive.progress.effort(of: place)).\(attempt)"
    }

    func wait(_ drive: Drive, _ frame: Frame) -> Answer {
        let began = Clocks.monotonic
        while true {
            let request = drive.signals.request
            guard !frame.isHalted, request == .none || request == .hold && isCleanUp else {
                return .interrupted
            }
            switch gate.enter(target, for: who) {
            case .go: return .go
            // What cleans up is not kept waiting for a service that may be gone; it fails as it fails.
            case .refuse where isCleanUp, .wait(_, isDown: true) where isCleanUp: return .go
            case .refuse: return .refused(gate.refusal(target))
            case .wait(let until, _):
                let left = until.since(drive.now).nanoseconds
                guard Clocks.monotonic - began + left <= TargetCall.short.nanoseconds else {
                    return .wait(until: until)
                }
                drive.signals.pause(until: Clocks.monotonic + max(0, left))
            }
        }
    }

    func leave(_ failure: Failure?) {
        gate.leave(target, for: who, failure.map { $0.target ?? .unknown } ?? .answered)
    }
}
