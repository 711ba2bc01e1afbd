// What this is: which failures a policy tries again, and after how long.
// Owns: the words of `retry_on` and `never_on`; the series of delays.
// Never: waits.
// On failure: the words and the failure are in the message.
import TestKit
import Testing

@testable import JobModel

@Suite struct RetryPolicyTests {
    @Test func theDocumentedSeries() {
        let seconds = [5.0, 7.5, 11.25, 16.875, 25.3125]
        for (index, wanted) in seconds.enumerated() {
            // `random` of one half is no jitter at all.
            #expect(RetryPolicy.standard.delay(afterAttempt: index + 1, random: 0.5).inSeconds == wanted)
        }
        #expect(RetryPolicy.standard.delay(afterAttempt: 99, random: 0.5) == .seconds(300))
        #expect(RetryPolicy.standard.maxAttempts == 3 && RetryPolicy.none.maxAttempts == 1)
    }
    @Test func jitterStaysWithinAFifth() {
        var random = SeededRandom(seed: 1)
        for _ in 0..<2000 {
            let policy = RetryPolicy(
                maxAttempts: 100, baseDelay: .milliseconds(Int64(random.below(100_000))),
                backoffMultiplier: Double.random(in: 1...100, using: &random),
                maxDelay: .milliseconds(Int64(random.below(10_000_000))))
            let attempt = 1 + random.below(100)
            let middle = policy.delay(afterAttempt: attempt, random: 0.5).inSeconds
            let share = Double.random(in: 0..<1, using: &random)
            let delay = policy.delay(afterAttempt: attempt, random: share).inSeconds
            #expect(middle <= policy.maxDelay.inSeconds + 1e-9)
            #expect(delay >= middle * 0.8 - 1e-6 && delay <= middle * 1.2 + 1e-6)
            #expect((delay - middle) * (share - 0.5) >= -1e-6, "a larger share is a longer delay")
        }
    }
    @Test func oddPoliciesDoNotTrap() {
        for multiplier in [0, 1, 1e300, Double.greatestFiniteMagnitude] {
            for attempt in [Int.min, -1, 0, 1, 100] {
                let policy = RetryPolicy(
                    maxAttempts: 1, baseDelay: Span.longest, backoffMultiplier: multiplier,
                    maxDelay: Span.longest)
                #expect(policy.delay(afterAttempt: attempt, random: 0.999).nanoseconds >= 0)
            }
        }
    }
    @Test func whatIsTriedAgain() {
        let exit = Failure("E-EXIT", "", retry: .transient, exitCode: 75)
        let late = Failure("E-TIMEOUT", "", kind: .timedOut, retry: .transient)
        let server = Failure("E-HTTP-STATUS", "", retry: .transient)
        let check = Failure("E-ASSERT", ""), hopeless = Failure("E-EXEC", "", retry: .never)
        let rows: [(words: [String], covered: [Failure])] = [
            (["75"], [exit]), (["7"], []), (["E-EXIT"], [exit]), (["E-HTTP*"], [server]), (["E-HTTP"], []),
            (["timeout"], [late]), (["transient"], [exit, late, server]), (["permanent"], [check]),
            (["E-EXEC", "transient", "E-ASSERT"], [exit, late, server, check]), ([], []),
        ]
        for (words, covered) in rows {
            let matches = words.compactMap { FailureMatch($0) }
            #expect(matches.count == words.count)
            for failure in [exit, late, server, check, hopeless] {
                var policy = RetryPolicy.standard
                #expect(policy.covers(failure) == (failure.retry != .never))
                policy.retryOn = matches
                #expect(policy.covers(failure) == covered.contains(failure), "\(words), \(failure.code)")
                policy.retryOn = nil
                policy.neverOn = matches
                #expect(
                    policy.covers(failure) == (failure.retry != .never && !covered.contains(failure)),
                    "never \(words), \(failure.code)")
            }
        }
        for word in ["", "256", "-1", "exit", "e-exit", "E-", "E-*x", "E-exit", "Timeout"] {
            #expect(FailureMatch(word) == nil, "\(word)")
        }
    }
}
