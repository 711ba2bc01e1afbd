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
        #expect(state.openUntil == at(70) && state.lastFailure == "E-B")
        // One that was called before says nothing new.
        state.leave("late", .down("E-A"), policy, now: at(11))
        #expect(state.openUntil == at(70) && state.failures == 3)
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
        // The one that was let through never came back: another takes its place.
        #expect(state.enter("c", policy, now: at(194), share: 0) == .go)
        state.leave("c", .answered, policy, now: at(195))
        #expect(state.isPlain)
    }

    @Test func aRestThatWasAskedForIsKeptAndBounded() {
        var state = TargetState()
        state.leave("a", .rest(.seconds(30)), policy, now: at(0))
        #expect(state.enter("b", policy, now: at(29), share: 0) == .wait(until: at(30), isDown: true))
        #expect(state.enter("b", policy, now: at(30), share: 0) == .go)
        state.leave("b", .rest(.seconds(1 << 31)), policy, now: at(30))
        #expect(state.openUntil == at(3630))
        // A clock that went back a year.
        guard case .wait(let until, true) = state.enter("c", policy, now: at(-31_536_000), share: 0) else {
            Issue.record("it goes")
            return
        }
        #expect(until == at(-31_536_000 + 3600))
    }

    @Test func whoIsCutOffLeavesItsPlaceToTheNext() {
        var state = TargetState()
        for _ in 0..<3 { state.leave("x", .down("E"), policy, now: at(0)) }
        #expect(state.enter("a", policy, now: at(60), share: 0) == .go)
        state.leave("a", .unknown, policy, now: at(61))
        #expect(state.enter("b", policy, now: at(61), share: 0) == .go)
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
