// What this is: which clusters of failures have a name already, and which somebody said are mended.
// Owns: the two facts in spool/history/ that say so; how they are read from the index.
// Never: decides what is a cluster.
// On failure: a fact that is none is passed over; the index that cannot be read is thrown.
import JobModel
import LinuxSystem
import Reporting
import RunHistory
import SpoolQueue

enum ClusterMemory {
    static let seen = "cluster.seen", resolved = "cluster.resolved"

    static func known(_ history: RunHistory, until now: Timestamp) throws -> [KnownCluster] {
        var byID: [String: KnownCluster] = [:]
        let facts = try history.facts([seen, resolved], since: Timestamp(seconds: 0), until: now)
        for fact in facts {
            let first = fact.detail["first_seen"]?.stringValue.flatMap(Timestamp.init(rfc3339:)) ?? fact.at
            var cluster =
                byID[fact.subject]
                ?? KnownCluster(
                    id: fact.subject, code: fact.detail["code"]?.stringValue ?? "",
                    template: fact.detail["template"]?.stringValue ?? "", firstSeen: first)
            // The latest words, which may cover more than the first.
            if let template = fact.detail["template"]?.stringValue { cluster.template = template }
            if let pattern = fact.detail["pattern"]?.stringValue { cluster.pattern = pattern }
            if fact.kind == resolved { cluster.resolvedAt = fact.at }
            byID[fact.subject] = cluster
        }
        return Array(byID.values)
    }

    /// The lines by which clusters get their names, and those whose words have changed theirs anew.
    static func lines(_ clusters: [FailureCluster], besides known: [KnownCluster]) -> [ValueMap] {
        let patterns = Dictionary(known.map { ($0.id, $0.pattern) }, uniquingKeysWith: { first, _ in first })
        return clusters.filter { patterns[$0.id] != $0.pattern }.map { line($0, seen) }
    }
    static func line(_ cluster: FailureCluster, _ kind: String) -> ValueMap {
        [
            "kind": .string(kind), "subject": .string(cluster.id), "code": .string(cluster.code),
            "template": .string(cluster.template), "pattern": .string(cluster.pattern),
            "first_seen": .string(cluster.firstSeen.rfc3339),
        ]
    }
}
