// What this is: the breaker and the rate of services outside, told call by call.
// Owns: the story of a target that fails, rests and comes back.
// Never: waits: instants are given.
// On failure: shows the state.
import JobModel
import Testing

@Suite struct TargetTests {
    private func at(_ seconds: Int64) -> Timestamp { Timestamp(seconds: 1_800_000_000 + seconds) }
    private var policy: TargetPolicy {
        var policy = TargetPolicy()
        policy.failures = 3
        return policy
    }

    private func opened(_ policy: TargetPolicy) -> TargetState {
        var state = TargetState()
        for _ in 0..<policy.failures { state.leave("x", .down("E"), policy, now: at(0)) }
        return state
    }

    @Test func itOpensAfterFailuresInARowAndLetsOneThroughWhenItsTimeIsOver() {
        var state = TargetState()
        for (second, outcome) in [
            (0, TargetOutcome.down("E-A")), (1, .down("E-A")), (2, .answered), (3, .down("E-A")),
            (4, .down("E-A")), (5, .unknown),
        ] {
            #expect(state.enter("run", policy, now: at(Int64(second)), share: 0) == .go)
            state.leave("run", outcome, policy, now: at(Int64(second)))
        }
        #expect(state.openUntil == nil && state.failures == 2)
        state.leave("run", .down("E-B"), policy, now: at(10))
        #expect(state.openUntil == at(70) && state.lastFailure == "E-B" && state.downSince == at(3))
        #expect(state.enter("a", policy, now: at(20), share: 0) == .wait(until: at(70), isDown: true))
        #expect(
            state.enter("b", policy, now: at(20), share: 0.5)
                == .wait(until: at(77).adding(.milliseconds(500)), isDown: true))
        #expect(state.enter("a", policy, now: at(70), share: 0) == .go)
        #expect(state.enter("b", policy, now: at(71), share: 0) == .wait(until: at(72), isDown: true))
        // Asked again after a crash it is still the one.
        #expect(state.enter("a", policy, now: at(72), share: 0) == .go)
        state.leave("a", .down("E-A"), policy, now: at(73))
        #expect(state.openUntil == at(133))
        #expect(state.enter("b", policy, now: at(133), share: 0) == .go)
        state.leave("b", .answered, policy, now: at(134))
        #expect(state.isPlain)
    }

    @Test func whoWasCalledBeforeItWasGivenUpSaysNothingNew() {
        var state = opened(policy)
        let before = state
        for outcome in [TargetOutcome.answered, .down("E-LATE"), .unknown] {
            state.leave("late", outcome, policy, now: at(1))
            #expect(state == before)
        }
        state.leave("late", .rest(.seconds(100)), policy, now: at(1))
        #expect(state.openUntil == at(101))
        state.leave("later", .answered, policy, now: at(2))
        #expect(state.openUntil == at(101))
    }

    @Test func aProbeThatTakesLongLetsAllGoAndOneFailureClosesItAgain() {
        var state = opened(policy)
        #expect(state.enter("long", policy, now: at(60), share: 0) == .go)
        #expect(state.enter("b", policy, now: at(121), share: 0) == .go)
        #expect(state.enter("c", policy, now: at(121), share: 0) == .go)
        state.leave("b", .down("E"), policy, now: at(122))
        #expect(state.openUntil == at(182))
    }

    @Test func patienceIsForTheServiceAndNotForARest() {
        var policy = policy
        policy.patience = .seconds(100)
        var state = opened(policy)
        // Nobody waits beyond it.
        #expect(state.enter("a", policy, now: at(59), share: 0) == .wait(until: at(60), isDown: true))
        #expect(state.enter("probe", policy, now: at(60), share: 0) == .go)
        state.leave("probe", .down("E"), policy, now: at(61))
        #expect(state.enter("a", policy, now: at(62), share: 0) == .wait(until: at(100), isDown: true))
        #expect(state.enter("a", policy, now: at(100), share: 0) == .refuse)
        // One is let through all the same, and while it is out the others wait for what it finds.
        #expect(state.enter("probe2", policy, now: at(121), share: 0) == .go)
        #expect(state.enter("a", policy, now: at(122), share: 0) == .wait(until: at(123), isDown: true))
        state.leave("probe2", .answered, policy, now: at(123))
        #expect(state.enter("a", policy, now: at(123), share: 0) == .go)
        var resting = TargetState()
        resting.leave("x", .rest(.seconds(3600)), policy, now: at(0))
        #expect(resting.enter("a", policy, now: at(3599), share: 0) == .wait(until: at(3600), isDown: true))
        // After a rest all go, not one at a time.
        #expect(resting.enter("a", policy, now: at(3600), share: 0) == .go)
        #expect(resting.enter("b", policy, now: at(3600), share: 0) == .go && resting.isPlain)
    }

    @Test func aRestIsBoundedAndAClockThatWentBackKeepsNobodyForLonger() {
        var state = TargetState()
        state.leave("b", .rest(.seconds(1 << 31)), policy, now: at(0))
        #expect(state.openUntil == at(3600))
        let back: Int64 = -31_536_000
        #expect(
            state.enter("c", policy, now: at(back), share: 0) == .wait(until: at(back + 3600), isDown: true))
        #expect(state.enter("c", policy, now: at(back + 3600), share: 0) == .go)
    }

    @Test func whoIsCutOffLeavesItsPlaceToTheNext() {
        var state = opened(policy)
        #expect(state.enter("run1/1/1.1", policy, now: at(60), share: 0) == .go)
        state.leave("run1/1/1.1", .unknown, policy, now: at(61))
        #expect(state.enter("run2/1/1.1", policy, now: at(61), share: 0) == .go)
        state.release { $0.hasPrefix("run2") }
        #expect(state.enter("run3/1/1.1", policy, now: at(61), share: 0) == .go)
    }

    @Test func withoutABreakerItNeverOpens() {
        var (state, policy) = (TargetState(), policy)
        policy.failures = 0
        for second in 0..<100 {
            #expect(state.enter("a", policy, now: at(Int64(second)), share: 0) == .go)
            state.leave("a", .down("E"), policy, now: at(Int64(second)))
        }
    }

    @Test func theRateCountsOnlyWhileThereIsOne() {
        var (state, policy) = (TargetState(), policy)
        policy.rate = RateLimit(limit: 1, per: .seconds(10))
        #expect(state.enter("a", policy, now: at(0), share: 0) == .go)
        #expect(state.enter("b", policy, now: at(1), share: 0) == .wait(until: at(10), isDown: false))
        #expect(state.enter("b", policy, now: at(10), share: 0) == .go)
        policy.rate = nil
        #expect(state.enter("c", policy, now: at(11), share: 0) == .go && state.isPlain)
    }

    @Test func aPolicyIsFoundByHostAndPortThenByHost() {
        var policies = TargetPolicies()
        policies.named["a:1"] = policy
        policies.named["b"] = policy
        policies.named["[::1]"] = policy
        #expect(policies.policy("a:1").failures == 3 && policies.policy("a:2").failures == 5)
        #expect(policies.policy("b:9").failures == 3 && policies.policy("[::1]:80").failures == 3)
    }
}
