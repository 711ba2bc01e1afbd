// What this is: ops/alerts.yaml: what people write, with its mistakes; the one that is shipped; what the desk makes of it.
// Owns: one line of YAML a case, and what must be said of it.
// Never: starts anything.
// On failure: shows what was said.
import Foundation
import JobModel
import Reporting
import SpoolQueue
import TestKit
import Testing

@testable import BobbinDaemon

@Suite struct AlertFileTests {
    private let queues = [QueuePolicy(name: .standard, maxConcurrent: 3)]
    private func read(_ text: String) throws -> AlertFile {
        try AlertFile.read(Array(text.utf8), queues: queues)
    }
    private func problem(_ text: String) -> String {
        do { _ = try read(text) } catch { return (error as? ConfigurationProblem)?.text ?? "\(error)" }
        return ""
    }

    @Test(arguments: [
        ("metric: queue_depth, above: 1", "3:21: error: there is no metric `queue_depth`"),
        ("metric: queue_depth_curent, above: 1", "did you mean `queue_depth_current`?"),
        ("metric: trend_runs_24h, above: 1", "`trend_runs_24h` is no number"),
        ("metric: queues, above: 1", "`queues` is no number"),
        ("metric: queues.fast.waiting, above: 1", "there is no queue `fast`"),
        ("metric: queues.*.oldest, above: 1", "there is no metric `queues.*.oldest`"),
        ("metric: rolling_7d.succes_rate, above: 1", "did you mean `success_rate`?"),
        ("metric: runs_24h", "needs either `above` or `below`"),
        ("metric: runs_24h, above: 1, below: 2", "needs either `above` or `below`"),
        ("metric: runs_24h, above: many", "must be a number"),
        ("metric: runs_24h, above: {}", "names no threshold"),
        ("metric: runs_24h, above: {grave: 1}", "has no key `grave`"),
        ("metric: runs_24h, above: {warning: 5, critical: 1}", "critical is the larger one"),
        ("metric: runs_24h, below: {warning: 1, critical: 5}", "critical is the smaller one"),
        ("metric: runs_24h, above: 1, for: long", "`for` must be a duration"),
        ("metric: runs_24h, above: 1, hysteresis: 200%", "`hysteresis` must be a share"),
        ("metric: success_rate_24h, below: 0.95, hysteresis: 10%", "would never end"),
        ("metric: scheduler_metrics.next_run, above: 1", "there is no metric"),
        ("metric: runs_24h, above: 1, repeat: 5s", "at least a minute"),
        ("metric: runs_24h, above: 1, only_if: {metric: runs_24h}", "`only_if` needs either"),
        ("metric: runs_24h, above: 1, only_if: {metric: runs_by_state_24h.*, above: 1}", "asks one metric"),
        ("metric: runs_24h, above: 1, actions: [{mail: x}]", "has no key `mail`"),
        ("metric: runs_24h, above: 1, actions: [{notify: x, when: critcal}]", "did you mean `critical`?"),
        ("metric: runs_24h, above: 1, actions: [{drop: {queue: default}}]", "needs `template`"),
        ("metric: runs_24h, above: 1, actions: [{drop: {template: a.yaml, queue: fast}}]", "no queue `fast`"),
        ("metric: runs_24h, above: 1, actions: [{when: critical}]", "either `notify` or `drop`"),
        ("metric: runs_24h, above: 1, severity: high", "an alert has no key `severity`"),
    ]) func aMistake(_ entry: String, _ wanted: String) {
        let said = problem("\nalerts:\n  - {id: a, \(entry)}\n")
        #expect(said.contains(wanted) && said.contains("ops/alerts.yaml:3:"), "\(said)")
    }

    @Test("what a rule may say") func everything() throws {
        let file = try read(
            """
            notify: [ops, boss@example.com]
            alerts:
              - {id: a, metric: failure_rate_1h, above: {warning: 10 %, critical: 0.25}, for: 5m, hysteresis: 0, keep_firing_for: 1m, repeat: 4h}
              - {id: b, metric: queues.*.paused, above: 0, enabled: false, actions: []}
              - id: c
                metric: rolling_7d.success_rate
                below: {critical: 80%}
                only_if: {metric: runs_24h, above: 9}
                hysteresis: 0.02
                actions:
                  - {notify: ops, when: resolved}
                  - {drop: {template: scale.yaml, priority: 2, variables: {n: "{{ trigger.value }}"}}, when: [critical]}
            """)
        let (a, c) = (file.rules[0], file.rules[2])
        #expect(a.thresholds == [.warning: 0.1, .critical: 0.25] && a.margin == .amount(0))
        #expect(a.hold == .seconds(300) && a.keepFiring == .seconds(60) && a.repeatEvery == .seconds(14_400))
        #expect(
            file.actions["a"] == [
                .init(
                    deed: .notify(["ops", "boss@example.com"]), occasions: [.warning, .critical, .resolved])
            ])
        #expect(
            !file.rules[1].isEnabled && file.actions["b"] == [] && file.rules[1].thresholds == [.warning: 0])
        #expect(c.side == .below && c.margin == .amount(0.02) && c.condition?.bound == 9)
        #expect(file.actions["c"]?.map(\.occasions) == [[.resolved], [.critical]])
        #expect(try read("# nothing\n").rules.isEmpty && read("alerts:\n").rules.isEmpty)
    }

    @Test("the file that is shipped: every rule can fire, with the guides' numbers") func shipped() throws {
        let tree = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let bytes = try Data(contentsOf: tree.appendingPathComponent("ops/alerts.yaml"))
        let file = try AlertFile.read(Array(bytes), queues: queues)
        let byID = Dictionary(uniqueKeysWithValues: file.rules.map { ($0.id, $0) })
        #expect(byID["queue_depth"]?.thresholds == [.warning: 50, .critical: 100])
        #expect(byID["failure_rate"]?.thresholds == [.warning: 0.1, .critical: 0.25])
        #expect(byID["success_rate"]?.thresholds[.critical] == 0.8)
        #expect(byID["connection_failures"]?.thresholds == [.warning: 5, .critical: 20])
        #expect(byID["memory"]?.thresholds == [.warning: 0.8, .critical: 0.95])
        for rule in file.rules { #expect(!rule.recommendedActions.isEmpty, "\(rule.id)") }
    }

    @Test("a queue that is gone, a rule that is gone: their alerts end") func gone() {
        var rule = AlertRule(
            id: "age", metric: ["queues", "*", "waiting"], side: .above, thresholds: [.warning: 1])
        rule.margin = .amount(0)
        func fields(_ names: [String]) -> ValueMap {
            ["queues": .map(ValueMap(distinct: names.map { ($0, .map(["waiting": .int(5)])) }))]
        }
        func look(_ rules: [AlertRule], _ before: [String: AlertState], _ names: [String], _ second: Int64)
            -> AlertDesk.Looked
        {
            AlertDesk.look(rules, before, fields(names), [:], now: Timestamp(seconds: 1_800_000_000 + second))
        }
        let first = look([rule], [:], ["a", "b"], 0)
        #expect(first.changes.map(\.0.id) == ["age@a", "age@b"] && first.tellings.count == 2)
        let second = look([rule], first.states, ["b"], 60)
        #expect(second.changes.map { "\($0.0.id) \($0.1.rawValue)" } == ["age@a resolved"])
        #expect(second.states.keys.sorted() == ["age@b"] && second.tellings.count == 1)
        let third = look([], second.states, ["b"], 120)
        #expect(third.changes.map { "\($0.0.id) \($0.1.rawValue)" } == ["age@b resolved"])
        #expect(third.states.isEmpty && third.tellings.isEmpty)
    }
}
