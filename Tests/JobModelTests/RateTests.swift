// What this is: turns under a strict rate, with those who come late and those who never come.
// Owns: the property itself, counted over what really began.
// Never: waits: instants are given.
// On failure: the seed and the turn are in the message.
import JobModel
import TestKit
import Testing

@Suite struct RateTests {
    private func at(_ seconds: Int) -> Timestamp { Timestamp(seconds: 1_800_000_000 + Int64(seconds)) }

    @Test(arguments: 1...40) func noSpanHoldsMoreStartsThanItsLimit(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let (limit, per) = (1 + random.below(5), 1 + random.below(20))
        let rate = RateLimit(limit: limit, per: .seconds(Int64(per)))
        var turns = RateTurns()
        var (now, begun, waiting): (Int, [Int], [(due: Timestamp, who: String)]) = (0, [], [])
        for turn in 0..<600 {
            now += random.below(3)
            var asking = waiting.filter { $0.due <= at(now) && !random.chance(3) }.map(\.who)
            if random.chance(2) { asking.append("w\(turn)") }
            for who in asking {
                waiting.removeAll { $0.who == who }
                if let due = turns.ask(who, rate, now: at(now)) {
                    #expect(due > at(now), "seed \(seed), turn \(turn)")
                    waiting.append((due, who))
                } else {
                    begun.append(now)
                    // Asked again, as after a crash, it still goes, and counts once.
                    let before = turns.turns.count
                    #expect(turns.ask(who, rate, now: at(now)) == nil && turns.turns.count == before)
                }
            }
            turns = RateTurns(lines: turns.lines)
        }
        #expect(begun.count > 25)
        for (index, start) in begun.enumerated() {
            let inSpan = begun[index...].count { $0 < start + per }
            #expect(inSpan <= limit, "seed \(seed), span from start \(index)")
        }
    }

    @Test func theyBeginInTheOrderInWhichTheyAsked() {
        let rate = RateLimit(limit: 2, per: .seconds(10))
        var turns = RateTurns()
        let answers = ["a", "b", "c", "d", "e"].map { turns.ask($0, rate, now: at(0)) }
        #expect(answers == [nil, nil, at(10), at(10), at(20)])
        #expect(turns.ask("d", rate, now: at(10)) == nil && turns.ask("f", rate, now: at(10)) == at(20))
    }

    @Test func whoComesLatePushesTheNextBack() {
        let rate = RateLimit(limit: 1, per: .seconds(10))
        var turns = RateTurns()
        #expect(turns.ask("a", rate, now: at(0)) == nil && turns.ask("b", rate, now: at(0)) == at(10))
        #expect(turns.ask("c", rate, now: at(0)) == at(20))
        #expect(turns.ask("b", rate, now: at(18)) == nil)
        #expect(turns.ask("c", rate, now: at(20)) == at(28) && turns.ask("c", rate, now: at(28)) == nil)
    }

    @Test func aRunHasOneTurnAheadWhoeverOfItComes() {
        let rate = RateLimit(limit: 1, per: .seconds(10))
        var turns = RateTurns()
        #expect(turns.ask("r/1", rate, now: at(0)) == nil && turns.ask("r/2", rate, now: at(0)) == at(10))
        #expect(turns.ask("r/3", rate, now: at(0)) == at(10) && turns.ask("s/1", rate, now: at(0)) == at(20))
        #expect(turns.ask("r/3", rate, now: at(10)) == nil && turns.ask("r/2", rate, now: at(10)) == at(30))
        #expect(turns.ask("r/3", rate, now: at(10)) == nil && turns.ask("s/1", rate, now: at(20)) == nil)
    }

    @Test func thoseWhoAreLateKeepTheirOrderAndAskLittle() {
        let rate = RateLimit(limit: 1, per: .seconds(60))
        var turns = RateTurns()
        var waiting = (0..<100).map { ("w\($0)", at(0)) }
        for (name, _) in waiting { _ = turns.ask(name, rate, now: at(0)) }
        // Nobody works for three hours.
        var now = 10_800
        waiting = waiting.dropFirst().map { ($0.0, at(now)) }
        var begun: [String] = []
        var asked = 0
        while !waiting.isEmpty {
            var next: [(String, Timestamp)] = []
            for (name, due) in waiting {
                guard due <= at(now) else {
                    next.append((name, due))
                    continue
                }
                asked += 1
                if let due = turns.ask(name, rate, now: at(now)) {
                    next.append((name, due))
                } else {
                    begun.append(name)
                }
            }
            waiting = next
            now += 60
        }
        #expect(begun == (1..<100).map { "w\($0)" } && asked < 300, "\(asked)")
    }

    @Test func aClockThatWentWrongKeepsNobodyWaiting() {
        let rate = RateLimit(limit: 1, per: .seconds(10))
        var turns = RateTurns(lines: [
            "turn 9000000000000000000 begun x", "turn 9000000000000000000 due y", "turn 12", "nonsense",
            "turn 1 due",
        ])
        #expect(turns.ask("y", rate, now: at(0)) == at(10))
        #expect(turns.ask("z", rate, now: at(0)) == at(20))
    }

    @Test func whoWentAwayLeavesHisTurnToTheNext() {
        let rate = RateLimit(limit: 1, per: .seconds(10))
        var turns = RateTurns()
        for name in ["a", "b1", "b2", "b3", "c"] { _ = turns.ask(name, rate, now: at(0)) }
        #expect(turns.ahead(of: at(0)) == 4)
        turns.release { $0.hasPrefix("b") || $0 == "a" }
        // What has begun counts, whoever it was.
        #expect(turns.ask("c", rate, now: at(0)) == at(10) && turns.ask("d", rate, now: at(0)) == at(20))
        #expect(turns.ask("c", rate, now: at(10)) == nil)
        // Let go by a person, it counts from then.
        turns.begin("d", now: at(11))
        #expect(turns.ask("d", rate, now: at(11)) == nil && turns.ask("e", rate, now: at(11)) == at(21))
    }
}
