// What this is: tests of what the index takes from the audit log and spool/history/, and of rules of failures in files.
// Owns: a site whose files the test writes itself.
// Never: has a runner.
// On failure: shows the two dumps, or the sentences.
import AccessControl
import JobModel
import LinuxSystem
import Reporting
import RunHistory
import SpoolQueue
import TestKit
import Testing

@testable import BobbinDaemon

@Suite struct FactFileTests {
    private let folder: TestKit.Folder
    private let spool: Spool

    init() throws {
        folder = try TestKit.Folder()
        spool = try Spool(site: folder.path, newID: "0123456789abcdef")
    }
    private func append(_ text: String, _ day: String = "2026-11-28") throws {
        let directory = try spool.root.makeDirectory(SpoolName.history)
        try directory.openForAppending(day + ".jsonl").append(Array(text.utf8))
    }
    private let lines = [
        #"{"at":"2026-11-28T10:00:00.000Z","kind":"trigger.fired","trigger":"schedule/a","ticket":"T"}"#,
        #"{"at":"2026-11-28T10:00:01.500Z","kind":"sample.depth","queues":{"default":{"waiting":3,"running":1,"parked":0,"oldest_seconds":2.5},"x":{}}}"#,
        "no json", #"{"kind":"without.time"}"#, "",
        #"{"at":"2026-11-28T10:00:02.000Z","kind":"cluster.resolved","subject":"T-1","outcome":"é"}"#,
    ]

    @Test("read in any pieces, again and again, it is what it is read at once") func pieces() throws {
        let ops = try spool.site.makeDirectory("ops")
        let audit = AuditLog(ops: ops, state: spool.state, origin: "test")
        let text = Array(lines.joined(separator: "\n").utf8)
        let growing = try RunHistory(path: folder.path + "/growing.sqlite")
        var odd = 0
        for (index, byte) in text.enumerated() {
            try spool.root.makeDirectory(SpoolName.history).openForAppending("2026-11-28.jsonl").append([byte]
            )
            if index % 7 == 0 { odd += try FactFiles(spool).read(into: growing) }
            if index % 60 == 0 {
                let who = Submitter(uid: 7, name: "eve")
                _ = try audit.append(
                    [AuditEntry("access.denied", "run-\(index)", by: who, outcome: "E-ACCESS", why: "no")],
                    at: Timestamp(seconds: 1_800_000_000 + Int64(index)))
            }
        }
        // The last line has no end yet.
        #expect(
            try growing.facts(["cluster.*"], since: Timestamp(seconds: 0), until: Timestamp(seconds: 1 << 33))
                .isEmpty)
        try append("\n")
        odd += try FactFiles(spool).read(into: growing)
        #expect(odd == 2)
        let whole = try RunHistory(path: folder.path + "/whole.sqlite")
        #expect(try FactFiles(spool).read(into: whole) == 2)
        #expect(try growing.dump() == whole.dump())
        let found = try whole.facts(
            ["trigger.fired", "cluster.resolved", "access.denied"], since: Timestamp(seconds: 0),
            until: Timestamp(seconds: 1 << 33))
        #expect(
            found.count { $0.kind == "access.denied" && $0.user?.name == "eve" } == (text.count + 59) / 60)
        #expect(found.first { $0.kind == "trigger.fired" }?.subject == "schedule/a")
        #expect(found.first { $0.kind == "cluster.resolved" }?.outcome == "é")
        let samples = try whole.samples(since: Timestamp(seconds: 0), until: Timestamp(seconds: 1 << 33))
        #expect(samples.map(\.queue) == ["default", "x"] && samples[0].oldest == .milliseconds(2500))
        #expect(try FactFiles(spool).read(into: whole) == 0)
    }

    @Test(
        "a damaged sample is left out, whatever stands in it",
        arguments: [
            #"{"default":{"oldest_seconds":1e300}}"#, #"{"default":{"oldest_seconds":1e15}}"#,
            #"{"default":{"oldest_seconds":-1}}"#,
            #"{"default":{"waiting":9223372036854775807},"x":{"waiting":9223372036854775807}}"#,
            #"{"default":{"running":-1}}"#, #"{"default":7}"#, "7",
        ]) func damagedSample(_ queues: String) throws
    {
        try append(
            #"{"at":"2026-11-28T10:00:00.000Z","kind":"sample.depth","queues":\#(queues)}"# + "\n" + lines[0]
                + "\n")
        let history = try RunHistory(path: folder.path + "/h.sqlite")
        #expect(try FactFiles(spool).read(into: history) == 1)
        #expect(
            try history.facts(["trigger.*"], since: Timestamp(seconds: 0), until: Timestamp(seconds: 1 << 33))
                .count == 1)
    }

    @Test("a line without end costs itself alone; one that a crash tore off takes no other with it")
    func longLine() throws {
        try append(String(repeating: "x", count: 9 << 20) + "\n" + lines[0] + "\n{\"at\":\"2026")
        let at = try #require(Timestamp(rfc3339: "2026-11-28T10:00:03Z"))
        try HistoryFile.write([["kind": "trigger.fired", "trigger": "event/e"]], spool, at: at)
        let history = try RunHistory(path: folder.path + "/h.sqlite")
        #expect(try FactFiles(spool).read(into: history) == 2)
        let found = try history.facts(
            ["trigger.*"], since: Timestamp(seconds: 0), until: Timestamp(seconds: 1 << 33))
        #expect(found.map(\.subject) == ["schedule/a", "event/e"])
    }

    @Test("a sample is read as it was written") func samples() throws {
        let at = try #require(Timestamp(rfc3339: "2026-11-28T10:00:00.250Z"))
        let sample = DepthSample(
            at: at, queue: "q", waiting: 7, running: 2, parked: 1, oldest: .milliseconds(1234))
        try HistoryFile.write([FactFiles.sampleLine([sample])], spool, at: at)
        let history = try RunHistory(path: folder.path + "/h.sqlite")
        #expect(try FactFiles(spool).read(into: history) == 0)
        #expect(try history.samples(since: at, until: at.adding(.seconds(1))) == [sample])
    }

    @Test("what keeps reports from being made is said in words") func sentences() {
        let failure = Failure("E-HISTORY", "the index cannot be opened", whatToDo: "look at the free space")
        #expect(
            Reporter.sentence(failure) == "the index cannot be opened [E-HISTORY]; look at the free space")
        #expect(
            Reporter.sentence(ConfigurationProblem(text: "ops/x.yaml:1:1: error")) == "ops/x.yaml:1:1: error")
    }

    // MARK: ops/failure-rules.yaml

    private func rules(_ text: String) throws -> [FailureRule] {
        try FailureRuleFile.rules(Array(text.utf8), "ops/failure-rules.yaml")
    }
    @Test("the guide's form; a site's rule comes first and replaces the built-in one of its name")
    func ownRules() throws {
        let own = try rules(
            """
            rules:
              NETWORK_TIMEOUT:
                patterns: ["timeout.*network", "connection.*timed out"]
                display_name: Network Timeout
                recommended_actions: [Check network connectivity, Verify proxy settings]
                severity: medium
              NETWORK_ERROR:
                patterns: '\\bours\\b'
            """)
        #expect(own.count == FailureRule.builtIn.count + 1)
        #expect(
            own[0].id == "NETWORK_TIMEOUT" && own[0].displayName == "Network Timeout"
                && own[0].severity == .medium)
        #expect(own[0].recommendedActions == ["Check network connectivity", "Verify proxy settings"])
        #expect(own[0].fits("E-EXIT Connection to db TIMED OUT") && !own[0].fits("E-EXIT connection refused"))
        #expect(own.count { $0.id == "NETWORK_ERROR" } == 1 && own[1].fits("it is OURS now"))
        #expect(try rules("# nothing\n").count == FailureRule.builtIn.count)
        #expect(try rules("rules:\n").count == FailureRule.builtIn.count)
    }
    @Test(
        "a mistake is told with its place, and no half of a file holds",
        arguments: [
            ("rules: [a]", "1:8", "must be a map of names"), ("rule: {}", "1:1", "did you mean `rules`?"),
            ("rules:\n  lower: {patterns: [a]}", "2:3", "cannot name a cluster"),
            ("rules:\n  A: {patern: [a]}", "2:7", "did you mean `patterns`?"),
            ("rules:\n  A: {severity: low}", "2:6", "needs `patterns`"),
            ("rules:\n  A: {patterns: ['a(']}", "2:17", "is no regular expression"),
            (
                "rules:\n  A: {patterns: [a], severity: grave}", "2:32",
                "must be one of low, medium, high, critical"
            ),
        ]) func badRules(_ text: String, _ place: String, _ sentence: String)
    {
        #expect {
            _ = try rules(text)
        } throws: { error in
            let said = (error as? ConfigurationProblem)?.text ?? ""
            #expect(said.contains("ops/failure-rules.yaml:\(place)") && said.contains(sentence), "\(said)")
            return true
        }
    }
}
