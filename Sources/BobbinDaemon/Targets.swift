// What this is: the gate in front of the services outside, as ops/orchestrator.yaml wants it.
// Owns: which policy holds for which target, the refusal of a step that has waited too long, the words in the log.
// Never: holds a call back because its own file is in trouble: then the call goes, and the log says so.
// On failure: E-TARGET-DOWN when the patience of a policy is over.
import JobModel
import LinuxSystem
import SpoolQueue

struct Targets: TargetGate {
    let book: TargetBook
    let policies: @Sendable () -> TargetPolicies
    let log: DaemonLog

    func enter(_ target: String, for who: String, since: Timestamp) throws(Failure) -> Timestamp? {
        let policy = policies().policy(target)
        let now = Timestamp(nanoseconds: Clocks.wall)
        let share = Clocks.randomShare()
        let state: TargetState
        let answer: TargetState.Answer
        do throws(SystemError) {
            (state, answer) = try book.change(target, makes: policy.rate != nil) { state in
                let answer = state.enter(who, policy, now: now, share: share)
                return (state, answer)
            }
        } catch {
            log.warn("targets", "what is known of \(target) cannot be read or kept: \(error)")
            return nil
        }
        guard case .wait(let until, let isDown) = answer else { return nil }
        guard isDown, now.since(since) >= policy.patience else { return until }
        throw Failure(
            "E-TARGET-DOWN",
            "\(target) has not answered for \(policy.patience.text): \(state.failures) calls in a row failed"
                + (state.lastFailure.isEmpty ? "" : " [\(state.lastFailure)]"),
            whatToDo:
                "look at \(target); `patience` in ops/orchestrator.yaml (targets) says how long steps wait")
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
}
