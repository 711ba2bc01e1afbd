// What this is: how often secrets were read, set and missed, and which readings are unlike those before (guide 000, Secrets).
// Owns: the windows and the measures of what is unusual.
// Never: knows a value; reads anything but the audit log's records.
// On failure: nothing here fails; without records everything is 0.
import AccessControl
import JobModel
import SecretStore

public struct SecretMetrics: Sendable {
    public var lookups = 0
    public var stores = 0
    public var errors = 0
    /// By name, the most read first.
    public var popular: [(name: String, count: Int)] = []
    /// One sentence each.
    public var unusual: [String] = []
    public static let day = Span.seconds(86_400)
    /// More than this in a day is looked at: how much more than on the days before.
    private static let (burst, factor) = (20, 5.0)
    private static let missesTold = 3

    public init(_ records: [AuditRecord], now: Timestamp) {
        let start = now.adding(Span(nanoseconds: -SecretMetrics.day.nanoseconds))
        var today: [String: Int] = [:], before: [String: Int] = [:]
        var readers: [String: Set<String>] = [:], fresh: [(String, String)] = []
        var misses: [String: Int] = [:]
        var first: Timestamp?
        for record in records {
            let (entry, isToday) = (record.entry, record.at >= start)
            switch entry.action {
            case SecretLookup.given:
                first = first ?? record.at
                let reader = SecretLookup.reader(entry)
                if isToday {
                    lookups += 1
                    today[entry.subject, default: 0] += 1
                    if let known = readers[entry.subject], !known.contains(reader) {
                        fresh.append((entry.subject, reader))
                    }
                } else {
                    before[entry.subject, default: 0] += 1
                    readers[entry.subject, default: []].insert(reader)
                }
                // Told once.
                if isToday, readers[entry.subject] != nil { readers[entry.subject]?.insert(reader) }
            case SecretLookup.missing where isToday:
                errors += 1
                misses[entry.who?.name ?? "?", default: 0] += 1
            case "secret.set" where isToday, "secret.rotated" where isToday: stores += 1
            default: break
            }
        }
        popular = today.map { ($0.key, $0.value) }.sorted { ($1.count, $0.name) < ($0.count, $1.name) }
        let days = max(
            1, first.map { Double(start.since($0).nanoseconds) / Double(SecretMetrics.day.nanoseconds) } ?? 1)
        unusual = fresh.map { "\($0.0) was read for the first time by \($0.1)" }
        for (name, count) in popular where count >= SecretMetrics.burst {
            // One that was never read before today has nothing to be compared with.
            guard let earlier = before[name], Double(count) > SecretMetrics.factor * Double(earlier) / days
            else { continue }
            unusual.append(
                "\(name) was read \(count) times in a day; before, \((Double(earlier) / days).rounded()) times"
            )
        }
        for (who, count) in misses.sorted(by: { $0.key < $1.key }) where count >= SecretMetrics.missesTold {
            unusual.append(
                "jobs of \(who) asked \(count) times in a day for secrets that they were not given")
        }
    }

    public static func read(_ site: Site, now: Timestamp) throws -> SecretMetrics {
        SecretMetrics(try AuditLog.records(ops: site.spool.site.directory("ops")), now: now)
    }

    /// Which sources could answer now.
    public static func sources(_ site: Site) throws -> [(source: SecretSource, isThere: Bool, why: String)] {
        try SecretLookup.sources(site: site.path, try site.configuration().secrets).active()
    }
}
