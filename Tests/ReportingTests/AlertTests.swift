// What this is: tests of alerts: levels, waiting, hysteresis, what is told, what an acknowledgement silences.
// Owns: looks at made-up numbers; for chance looks, an oracle that judges from the whole past each time.
// Never: waits.
// On failure: shows the looks so far.
import JobModel
import TestKit
import Testing

@testable import Reporting

private func at(_ seconds: Int) -> Timestamp { Timestamp(seconds: 1_800_000_000 + Int64(seconds)) }
private func rule(
    _ thresholds: [AlertLevel: Double], side: AlertRule.Side = .above, hold: Int64 = 0, keep: Int64 = 0,
    margin: AlertRule.Margin = .share(0.1), repeatEvery: Int64? = nil
) -> AlertRule {
    var rule = AlertRule(id: "r", metric: ["m"], side: side, thresholds: thresholds)
    rule.hold = .seconds(hold)
    rule.keepFiring = .seconds(keep)
    rule.margin = margin
    rule.repeatEvery = repeatEvery.map { .seconds($0) }
    return rule
}

@Suite("alerts") struct AlertTests {
    /// Looks a minute apart: numbers to what changes.
    private func changes(_ rule: AlertRule, _ values: [Double?]) -> [String] {
        var state = AlertState()
        return values.enumerated().map {
            state.look(rule, $0.element, now: at($0.offset * 60))?.rawValue ?? "-"
        }
    }

    @Test("up through the levels and down again, with the way back that is asked for") func levels() {
        let depth = rule([.warning: 50, .critical: 100])
        #expect(
            changes(depth, [50, 51, 101, 100, 91, 90, 46, 45, 51])
                == ["-", "fired", "raised", "-", "-", "lowered", "-", "resolved", "fired"])
        let rate = rule([.warning: 0.9, .critical: 0.8], side: .below, margin: .amount(0.05))
        #expect(
            changes(rate, [0.9, 0.85, 0.79, 0.84, 0.86, 0.94, 0.95])
                == ["-", "fired", "raised", "-", "lowered", "-", "resolved"])
        // Straight to the top; a number that is not there is not beyond.
        #expect(changes(depth, [200, nil]) == ["fired", "resolved"])
        // What may not fall below one is well again at one; a share that may not fall below 95 % need not come to 104.5 %.
        var runners = AlertRule(id: "r", metric: ["m"], side: .below, thresholds: [.critical: 1])
        #expect(changes(runners, [1, 0, 1]) == ["-", "fired", "resolved"])
        runners.thresholds = [.warning: 0.95]
        #expect(changes(runners, [0.9, 0.95]) == ["fired", "resolved"])
        // Above nothing: the first one fires, and none ends it.
        #expect(changes(rule([.warning: 0]), [0, 1, 1, 0]) == ["-", "fired", "-", "resolved"])
    }

    @Test("it waits before it fires and before it ends; one good look begins the waiting anew") func waits() {
        let slow = rule([.warning: 10], hold: 120, keep: 60)
        #expect(
            changes(slow, [11, 11, 11, 5, 11, 5, 5, 11])
                == ["-", "-", "fired", "-", "-", "-", "resolved", "-"])
        #expect(changes(slow, [11, 11, 5, 11, 11]) == ["-", "-", "-", "-", "-"])
        // After a long pause nobody knows what was in between.
        var state = AlertState()
        _ = state.look(slow, 11, now: at(0))
        #expect(state.pending?.level == .warning)
        #expect(state.look(slow, 11, now: at(1000)) == nil && state.pending?.since == at(1000))
        #expect(state.look(slow, 11, now: at(1120)) == .fired)
        // What fires goes on firing over a pause, and over a clock that is set back.
        #expect(state.look(slow, 11, now: at(9000)) == nil && state.level == .warning)
        #expect(state.look(slow, 11, now: at(100)) == nil && state.level == .warning)
    }

    @Test("told once a level, again when it gets worse, when asked to repeat, and when it ends") func told() {
        func tellings(_ rule: AlertRule, _ values: [Double], _ known: AlertAcknowledgement? = nil) -> [String]
        {
            var state = AlertState()
            return values.enumerated().map { number, value in
                _ = state.look(rule, value, now: at(number * 60))
                switch state.telling(rule, known, now: at(number * 60)) {
                case .firing(let level): return level.rawValue
                case .again(let level): return "again \(level.rawValue)"
                case .resolved: return "resolved"
                case nil: return "-"
                }
            }
        }
        let depth = rule([.warning: 50, .critical: 100])
        #expect(
            tellings(depth, [60, 60, 120, 60, 120, 0, 0]) == [
                "warning", "-", "critical", "-", "-", "resolved", "-",
            ])
        #expect(
            tellings(rule([.warning: 50], repeatEvery: 120), [60, 60, 60, 60, 60])
                == ["warning", "-", "again warning", "-", "again warning"])
        let known = AlertAcknowledgement(at: at(0), until: at(150), level: .warning, by: "ann", note: "")
        // Silent while somebody knows; when that is over and it still fires, it is told.
        #expect(tellings(depth, [60, 60, 60, 60, 60], known) == ["-", "-", "-", "warning", "-"])
        // Worse than what she knows of.
        #expect(tellings(depth, [60, 120, 0], known) == ["-", "critical", "resolved"])
        // Told, then known for a while: told again when that is over. And only of this time: the next is news.
        let later = AlertAcknowledgement(at: at(60), until: at(150), level: .warning, by: "ann", note: "")
        #expect(tellings(depth, [60, 60, 60, 60, 60], later) == ["warning", "-", "-", "again warning", "-"])
        let month = AlertAcknowledgement(at: at(0), until: at(90_000), level: .critical, by: "ann", note: "")
        #expect(tellings(depth, [60, 0, 60, 120], month) == ["-", "-", "warning", "critical"])
        // Over before anybody was told: nothing to take back.
        #expect(tellings(depth, [60, 0, 0], known) == ["-", "-", "-"])
    }

    @Test("what is remembered is what was known") func remembered() {
        let slow = rule([.warning: 10, .critical: 20], hold: 60, keep: 60)
        var state = AlertState()
        for (number, value) in [11.0, 21, 21, 15, 12].enumerated() {
            _ = state.look(slow, value, now: at(number * 60))
            _ = state.telling(slow, nil, now: at(number * 60))
            #expect(AlertState(state.map) == state)
        }
        #expect(state.level == .warning && state.firingSince == at(60) && state.told?.level == .critical)
        #expect(AlertState(["warning": "x", "told_at": .int(5)]) == AlertState())
    }

    @Test("numbers of metrics.json by their path, by each queue, under a condition") func values() {
        let fields: ValueMap = [
            "depth": .int(7), "rate": .null, "on": .bool(true),
            "queues": .map([
                "a": .map(["oldest": .double(1.5)]), "b": .map(["oldest": .null]),
            ]),
        ]
        func found(_ path: [String], _ condition: AlertRule.Condition? = nil) -> [String] {
            var rule = AlertRule(id: "r", metric: path, side: .above, thresholds: [.warning: 1])
            rule.condition = condition
            return rule.values(in: fields).map { "\($0.instance)=\($0.value.map { "\($0)" } ?? "nil")" }
        }
        #expect(found(["depth"]) == ["=7.0"] && found(["rate"]) == ["=nil"] && found(["on"]) == ["=1.0"])
        #expect(found(["queues", "*", "oldest"]) == ["a=1.5", "b=nil"])
        #expect(found(["queues", "a", "oldest"]) == ["=1.5"] && found(["no", "such"]) == ["=nil"])
        #expect(found(["rate"], .init(metric: ["depth"], side: .above, bound: 7)) == ["=nil"])
        #expect(found(["on"], .init(metric: ["depth"], side: .above, bound: 6)) == ["=1.0"])
        #expect(found(["on"], .init(metric: ["rate"], side: .below, bound: 6)) == ["=nil"])
    }

    /// Judged from all looks so far, without a state that is carried along.
    private static func oracle(_ rule: AlertRule, _ looks: [(Int, Double)]) -> Bool {
        var isActive = false, start = 0
        while start < looks.count {
            let rest = looks[start...]
            if isActive {
                // The first stretch of looks that are all back, and long enough.
                guard
                    let end = rest.indices.first(where: { end in
                        guard
                            let begin = looks[start...end].lastIndex(where: { $0.1 > 9 }).map({ $0 + 1 })
                                ?? start as Int?,
                            begin <= end
                        else { return false }
                        return looks[end].0 - looks[begin].0 >= 90
                    })
                else { return true }
                isActive = false
                start = end + 1
            } else {
                guard
                    let end = rest.indices.first(where: { end in
                        guard looks[end].1 > 10 else { return false }
                        let begin = (looks[start...end].lastIndex { $0.1 <= 10 }).map { $0 + 1 } ?? start
                        return looks[end].0 - looks[begin].0 >= 120
                    })
                else { return false }
                isActive = true
                start = end + 1
            }
        }
        return isActive
    }

    @Test("looks by chance: as the oracle says", arguments: 0..<40) func chance(_ seed: Int) {
        var random = SeededRandom(seed: UInt64(seed) &+ 11)
        let slow = rule([.warning: 10], hold: 120, keep: 90)
        var state = AlertState(), looks: [(Int, Double)] = [], time = 0
        for _ in 0..<120 {
            time += Int.random(in: 20...100, using: &random)
            looks.append(
                (
                    time,
                    Bool.random(using: &random) ? 9.5 : Bool.random(using: &random) ? 12 : looks.last?.1 ?? 3
                ))
            if Int.random(in: 0..<4, using: &random) == 0 { looks[looks.count - 1].1 = 3 }
            _ = state.look(slow, looks[looks.count - 1].1, now: at(time))
            #expect((state.level != nil) == AlertTests.oracle(slow, looks), "\(looks)")
        }
    }
}
