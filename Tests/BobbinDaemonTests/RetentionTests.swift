// What this is: the rule of retention against a model that keeps one thing after the other; ops/retention.yaml and its mistakes.
// Owns: the model.
// Never: touches a disk.
// On failure: the seed and the rule.
import JobModel
import LinuxSystem
import TestKit
import Testing

@testable import BobbinDaemon

@Suite struct RetentionTests {
    /// Kept, from the newest on, as long as all three hold for it and for all before it.
    private static func model(_ things: [RetentionRule.Size], _ rule: RetentionRule, day today: Int) -> Int {
        for index in things.indices {
            let kept = things[...index]
            let age = today - Int(things[index].day.suffix(2))!
            let isYoung = rule.days.map { age <= $0 } ?? true
            let isFew = rule.count.map { limit in kept.map(\.count).reduce(0, +) <= limit } ?? true
            let isSmall = rule.bytes.map { limit in kept.map(\.bytes).reduce(0, +) <= limit } ?? true
            if !isYoung || !isFew || !isSmall { return index }
        }
        return things.count
    }

    @Test("what stays is what the model keeps", arguments: 1...300 as ClosedRange<UInt64>) func rule(
        _ seed: UInt64
    ) {
        var random = SeededRandom(seed: seed)
        let things = (0..<Int.random(in: 0...20, using: &random)).map { _ in
            RetentionRule.Size(
                day: "2026-11-" + ["01", "05", "09", "10", "11", "17", "28", "29"].randomElement(
                    using: &random)!,
                count: Int.random(in: 1...5, using: &random), bytes: Int.random(in: 0...9, using: &random))
        }.sorted { $0.day > $1.day }
        func maybe(_ range: ClosedRange<Int>) -> Int? {
            Bool.random(using: &random) ? Int.random(in: range, using: &random) : nil
        }
        let rule = RetentionRule(days: maybe(1...30), count: maybe(1...40), bytes: maybe(1...60))
        let cut = rule.cut(things, today: "2026-11-29")
        #expect(cut?.index ?? things.count == RetentionTests.model(things, rule, day: 29), "\(seed): \(rule)")
        // In two parts it comes to the same.
        if let cut, cut.index > 0 {
            let kept = things[0]
            let rest = rule.cut(
                Array(things[1...]), after: (kept.count, kept.bytes), today: "2026-11-29")
            #expect(rest?.index == cut.index - 1, "\(seed): \(rule)")
        }
    }

    @Test(
        "after a long silence nothing goes by its age until its end is two weeks old",
        arguments: 1...100 as ClosedRange<UInt64>)
    func doubt(_ seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let start = Timestamp(seconds: 1_795_000_000)
        func day(_ number: Int) -> String { start.adding(.seconds(Int64(number) * 86_400)).utcDay }
        let active = Set((0..<6).map { _ in Int.random(in: 0...400, using: &random) })
        let today = Int.random(in: 0...420, using: &random)
        // The model goes by numbers of days, from the latest on.
        let all = active.filter { $0 <= today }.union([today]).sorted()
        let silence = zip(all, all.dropFirst()).reversed().first { $1 - $0 > 60 }
        let expected = silence.flatMap { today - $1 < 14 ? [day($0), day($1)] : nil }
        let found = RetentionRule.doubt(Set(active.map(day)), today: day(today))
        #expect(found.map { [$0.from, $0.to] } == expected, "\(seed): \(all)")
    }

    @Test("the file: defaults, what it says, and that a mistake gives nothing") func file() throws {
        #expect(try RetentionFile.read(nil) == RetentionFile())
        #expect(try RetentionFile.read(Array("# nothing\n".utf8)) == RetentionFile())
        let read = try RetentionFile.read(
            Array("pack_after: never\nkeep: {done: {days: 3, bytes: 2GiB}, log: forever}\n".utf8))
        #expect(read.packAfter == nil && read.rules[.done] == RetentionRule(days: 3, bytes: 2 << 30))
        #expect(read.rules[.log] == RetentionRule() && read.rules[.failed]?.days == 365)
        for (text, place) in [
            ("keep: {dome: {days: 3}}", "1:8"), ("keep: {done: {days: 0}}", "1:"), ("keep: {done: {}}", "1:"),
            ("keep: {done: {bytes: lots}}", "1:"), ("pack_after: 0", "1:"), ("keep: [done]", "1:"),
            ("kept: {}", "1:1"), ("keep: {done: 3}", "1:"),
        ] {
            do {
                _ = try RetentionFile.read(Array((text + "\n").utf8))
                Issue.record("\(text) was taken")
            } catch {
                #expect(error.text.contains("ops/retention.yaml:\(place)"), "\(text): \(error.text)")
            }
        }
    }

    @Test("the shipped file says what holds without it") func shipped() throws {
        let tree = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let bytes = try OpenFile.open("/\(tree)/ops/retention.yaml").read(upTo: 1 << 20)
        #expect(try RetentionFile.read(bytes) == RetentionFile())
    }
}
