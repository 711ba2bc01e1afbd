// What this is: what the audit log says of secrets and refusals, counted: windows, and what is called unusual.
// Owns: a hand-made log of nine days.
// Never: reads a clock.
// On failure: shows the sentences that were said.
import AccessControl
import JobModel
import LinuxSystem
import TestKit
import Testing

@testable import BobbinDaemon

@Suite struct SecretMetricsTests {
    private static let now = Timestamp(seconds: 1_800_000_000)
    private static let anna = Submitter(uid: 1001, name: "anna"), bert = Submitter(uid: 1002, name: "bert")
    private func hours(_ ago: Int) -> Timestamp { Self.now.adding(.seconds(Int64(-3600 * ago))) }
    private func read(_ key: String, _ who: Submitter, _ job: String) -> AuditEntry {
        AuditEntry(
            SecretLookup.given, key, by: who, outcome: "files",
            why: "run 01M8H8F5KRFJMYHQ3WGKHAJMTM, job \(job)")
    }
    private func records(_ fill: (AuditLog) throws -> Void) throws -> [AuditRecord] {
        let folder = try Folder()
        let ops = try Directory.open(folder.path)
        try fill(AuditLog(ops: ops, state: ops, origin: "test"))
        return try AuditLog.records(ops: ops)
    }

    @Test func countsTheLastDayAndTellsWhatIsUnusual() throws {
        let all = try records { log in
            for day in (2...9).reversed() {
                try log.append(
                    [read("erp/key", Self.anna, "intake"), read("erp/key", Self.anna, "intake")],
                    at: hours(24 * day))
            }
            try log.append((0..<30).map { _ in read("erp/key", Self.anna, "intake") }, at: hours(3))
            try log.append(
                [read("erp/key", Self.bert, "intake"), read("new", Self.bert, "other")], at: hours(2))
            try log.append([AuditEntry("secret.set", "new", by: Self.anna, outcome: "new")], at: hours(25))
            try log.append(
                [AuditEntry("secret.set", "new", by: Self.anna, outcome: "replaced")], at: hours(1))
            try log.append(
                (0..<3).map { _ in
                    AuditEntry(SecretLookup.missing, "none", by: Self.bert, outcome: "E-SECRET")
                },
                at: hours(1))
        }
        let metrics = SecretMetrics(all, now: Self.now)
        #expect(metrics.lookups == 32 && metrics.stores == 1 && metrics.errors == 3)
        #expect(metrics.popular.map(\.name) == ["erp/key", "new"] && metrics.popular.first?.count == 31)
        #expect(metrics.unusual.count == 3, "\(metrics.unusual)")
        #expect(
            metrics.unusual.contains {
                $0.contains("erp/key") && $0.contains("first time by bert, job intake")
            })
        #expect(metrics.unusual.contains { $0.contains("erp/key was read 31 times") })
        #expect(metrics.unusual.contains { $0.contains("bert") && $0.contains("3 times") })
    }

    @Test func whatIsAsAlwaysIsNotUnusual() throws {
        let all = try records { log in
            for day in (0...9).reversed() {
                try log.append(
                    (0..<25).map { _ in read("erp/key", Self.anna, "intake") }, at: hours(24 * day + 1))
            }
        }
        let metrics = SecretMetrics(all, now: Self.now)
        #expect(metrics.unusual == [] && metrics.lookups == 25)
        #expect(SecretMetrics([], now: Self.now).unusual == [])
    }

    @Test func refusalsAreCountedByWhomAndWhat() throws {
        let all = try records { log in
            let entry = { (who: Submitter, what: String) in
                AuditEntry(
                    AccessLog.denied, "a.yaml", by: who, outcome: "E-ACCESS",
                    why: "\(who.name) (Runner) may not \(what). It takes more.")
            }
            try log.append([entry(Self.bert, "use the step `shell`")], at: hours(30))
            try log.append(
                [
                    entry(Self.bert, "use the step `shell`"), entry(Self.bert, "use the step `shell`"),
                    entry(Self.anna, "drop into queue `x`"),
                ], at: hours(1))
        }
        let log = AccessLog(all, now: Self.now)
        #expect(log.denied24h == 3 && log.activeUsers == 2)
        #expect(
            log.byAccount.map(\.name) == ["bert", "anna"] && log.byRight.first?.name == "use the step `shell`"
        )
    }
}
