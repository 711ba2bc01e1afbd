// What this is: the gate in front of the services outside, as ops/orchestrator.yaml wants it.
// Owns: which policy holds for which target, the refusal of a call to one that is down for too long, the words in the log.
// Never: holds a call back because its own file is in trouble: then the call goes, and the log says so.
// On failure: what cannot be read or written is said in the log.
import JobModel
import LinuxSystem
import SpoolQueue

struct Targets: TargetGate {
    let book: TargetBook
    let policies: @Sendable () -> TargetPolicies
    let log: DaemonLog

    func enter(_ target: String, for who: String) -> TargetState.Answer {
        let policy = policies().policy(target)
        let share = Clocks.randomShare()
        do throws(SystemError) {
            return try book.change(target, makes: policy.rate != nil) {
                // The clock is read under the lock: what is written is in the order of time.
                $0.enter(who, policy, now: Timestamp(nanoseconds: Clocks.wall), share: share)
            }
        } catch {
            log.warn("targets", "what is known of \(target) cannot be read or kept: \(error)")
            return .go
        }
    }

    func refusal(_ target: String) -> Failure {
        let patience = policies().policy(target).patience.text
        return Failure(
            "E-TARGET-DOWN", "\(target) has not answered for \(patience)",
            whatToDo:
                "bobbin targets shows what failed; `patience` in ops/orchestrator.yaml (targets) says how long steps wait"
        )
    }

    func leave(_ target: String, for who: String, _ outcome: TargetOutcome) {
        let policy = policies().policy(target)
        let now = Timestamp(nanoseconds: Clocks.wall)
        do throws(SystemError) {
            let (before, after) = try book.change(target, makes: false) { state in
                let before = state
                state.leave(who, outcome, policy, now: now)
                return (before, state)
            }
            if let open = after.openUntil, before.openUntil != open {
                let why =
                    if case .rest = outcome { "it asked for a rest" } else {
                        "\(after.failures) calls in a row failed [\(after.lastFailure)]"
                    }
                log.warn("targets", "\(target) is not called before \(open.rfc3339): \(why)")
            } else if before.openUntil != nil, after.openUntil == nil {
                log.info("targets", "\(target) answers again")
            }
        } catch {
            log.warn("targets", "what is known of \(target) cannot be read or kept: \(error)")
        }
    }

    /// The run has ended: what it had still to begin is free. One that succeeded without a wait has left nothing.
    func release(_ record: RunRecord) {
        guard !record.waits.isEmpty || record.finalState != .succeeded else { return }
        do throws(SystemError) { try book.release(record.id) } catch {
            log.warn("targets", "turns of \(record.id) cannot be given back: \(error)")
        }
    }

    /// What nobody has called for a day is forgotten.
    func prune() {
        do throws(SystemError) { try book.prune(now: Timestamp(nanoseconds: Clocks.wall)) } catch {
            log.warn("targets", "old files of services cannot be removed: \(error)")
        }
    }
}
