// What this is: which bundles the rules keep, against the same rules said another way.
// Owns: seeded sets of instants.
// Never: uses the rules' own periods.
// On failure: names the seed.
import Bundles
import Foundation
import JobModel
import TestKit
import Testing

@Suite struct KeepRulesTests {
    private let calendar: Calendar = {
        var calendar = Calendar(identifier: .iso8601)
        calendar.timeZone = TimeZone(identifier: "UTC")!
        return calendar
    }()

    /// Kept is: among the newest; young; or the newest of a period that is among the newest periods.
    private func model(_ rules: KeepRules, _ all: [Timestamp], _ index: Int, _ now: Timestamp) -> Bool {
        let date = { (at: Timestamp) in Date(timeIntervalSince1970: Double(at.seconds)) }
        let rank = all.indices.count { (all[index], index) < (all[$0], $0) }
        if rank < max(1, rules.last) { return true }
        if now.seconds - all[index].seconds <= rules.days * 86_400 { return true }
        func isKept(_ count: Int, _ period: (Date) -> DateComponents) -> Bool {
            let mine = period(date(all[index]))
            let isNewest = !all.indices.contains {
                (all[index], index) < (all[$0], $0) && period(date(all[$0])) == mine
            }
            let later = Set(all.filter { all[index] < $0 }.map { period(date($0)) }).subtracting([mine])
            return isNewest && later.count < count
        }
        return isKept(rules.daily) { calendar.dateComponents([.year, .month, .day], from: $0) }
            || isKept(rules.weekly) { calendar.dateComponents([.yearForWeekOfYear, .weekOfYear], from: $0) }
            || isKept(rules.monthly) { calendar.dateComponents([.year, .month], from: $0) }
    }

    @Test func asTheModelSays() {
        for seed in 0..<300 {
            var random = SeededRandom(seed: UInt64(seed))
            var rules = KeepRules()
            rules.last = Int.random(in: 0...4, using: &random)
            rules.days = [0, 3, 30].randomElement(using: &random) ?? 0
            rules.daily = Int.random(in: 0...8, using: &random)
            rules.weekly = Int.random(in: 0...5, using: &random)
            rules.monthly = Int.random(in: 0...4, using: &random)
            let now = Timestamp(seconds: 1_795_000_000)
            let span = [86_400, 40 * 86_400, 800 * 86_400].randomElement(using: &random) ?? 1
            // Before 1970 and in the future as well.
            let base: Int64 = seed % 7 == 0 ? 0 : now.seconds
            let all = (0..<Int.random(in: 0...40, using: &random)).map { _ in
                Timestamp(seconds: base + 3_600 - Int64.random(in: 0...Int64(span), using: &random))
            }
            let verdicts = rules.judge(all, now: now)
            for index in all.indices {
                #expect(
                    verdicts[index].isKept == model(rules, all, index, now),
                    "seed \(seed), \(all[index].rfc3339)")
                #expect(verdicts[index].isKept != verdicts[index].why.isEmpty)
            }
        }
    }
}
