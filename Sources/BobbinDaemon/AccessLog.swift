// What this is: refusals for want of a right, counted from the audit log (guide 000: rbac_denied_24h).
// Owns: the actions under which they are recorded, the window.
// Never: decides anything.
// On failure: nothing here fails; without records everything is 0.
import AccessControl
import JobModel
import SpoolQueue

public struct AccessLog: Sendable {
    public static let denied = "access.denied"
    public var denied24h = 0
    /// By account and by what was refused, the most frequent first.
    public var byAccount: [(name: String, count: Int)] = []
    public var byRight: [(name: String, count: Int)] = []
    /// Distinct people who dropped, answered or commanded something that is on record.
    public var activeUsers = 0

    public init(_ records: [AuditRecord], now: Timestamp) {
        let start = now.adding(Span(nanoseconds: -SecretMetrics.day.nanoseconds))
        var accounts: [String: Int] = [:], rights: [String: Int] = [:]
        var active: Set<UInt32> = []
        for record in records where record.at >= start {
            if let who = record.entry.who { active.insert(who.uid) }
            guard record.entry.action == AccessLog.denied else { continue }
            denied24h += 1
            accounts[record.entry.who?.name ?? "?", default: 0] += 1
            let right =
                record.entry.outcome == "E-ACCESS"
                ? AccessLog.right(record.entry.why) : record.entry.outcome
            rights[right, default: 0] += 1
        }
        activeUsers = active.count
        byAccount = AccessLog.sorted(accounts)
        byRight = AccessLog.sorted(rights)
    }
    private static func sorted(_ counts: [String: Int]) -> [(name: String, count: Int)] {
        counts.map { ($0.key, $0.value) }.sorted { ($1.count, $0.name) < ($0.count, $1.name) }
    }
    /// `may not drop into queue …` of the sentence that was recorded.
    private static func right(_ why: String) -> String {
        guard let cut = why.range(of: "may not ") else { return why }
        return String(why[cut.upperBound...].prefix { $0 != "." })
    }

    public static func read(_ site: Site, now: Timestamp) throws -> AccessLog {
        AccessLog(try AuditLog.records(ops: site.spool.site.directory("ops")), now: now)
    }
}
