// What this is: one call of a step to a service outside, as the gate in front of that service sees it.
// Owns: how a run waits for its turn: a moment here, a longer time parked.
// Never: lets a step begin before it may; asks for a step that calls nobody.
// On failure: the gate's own failure (E-TARGET-DOWN) is the step's.
import JobModel
import LinuxSystem

struct TargetCall {
    private let gate: any TargetGate
    private let target: String
    private let who: String
    /// A shorter wait is not worth a park.
    private static let short = Span.seconds(2)

    /// Nil where the step calls nobody, or nobody keeps count.
    init?(
        _ action: (any StepAction)?, _ arguments: ValueMap, _ place: StepPlace, _ context: StepRun,
        _ drive: Drive
    ) {
        guard let gate = drive.surroundings.targets, let target = action?.target(arguments) else {
            return nil
        }
        self.gate = gate
        self.target = target
        who = "\(drive.id)/\(place.text)/\(context.effort)"
    }

    /// Nil: the call may go. Else the run is to be parked until then. Throws when the run is cancelled meanwhile.
    func wait(since: Timestamp, _ context: StepRun) throws(Failure) -> Timestamp? {
        while true {
            let now = Timestamp(nanoseconds: Clocks.wall)
            guard let until = try gate.enter(target, for: who, since: since), until > now else { return nil }
            let left = until.since(now)
            guard left <= TargetCall.short else {
                try context.log("waits for \(target) until \(until.rfc3339)")
                return until
            }
            do throws(Failure) { try context.pause(left) } catch {
                leave(error)
                throw error
            }
        }
    }

    func leave(_ failure: Failure?) {
        gate.leave(target, for: who, failure.map { $0.target ?? .unknown } ?? .answered)
    }
}
