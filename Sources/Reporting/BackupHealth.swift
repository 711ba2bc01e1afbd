// What this is: how old the newest bundle is, and whether it could be brought back when somebody tried.
// Owns: the formulas of the metrics `backup_…` (docs/REPORTS.md).
// Never: looks at a bundle; takes no news for good news: where there is none, the number is null.
// On failure: nothing here fails.
import JobModel

extension Metrics {
    var lastBackup: HistoryFact? { latest("backup.made") }
    var lastDrill: HistoryFact? { latest("backup.drill") }
    private func latest(_ kind: String) -> HistoryFact? {
        backups.filter { $0.kind == kind && $0.at <= now }.max { $0.at < $1.at }
    }

    var backupFields: ValueMap {
        func age(_ fact: HistoryFact?) -> Value {
            fact.map { .double(Double(now.since($0.at).milliseconds) / 1000) } ?? .null
        }
        return [
            "backup_age_seconds": age(lastBackup), "backup_bytes": lastBackup?.detail["bytes"] ?? .null,
            "backup_drill_age_seconds": age(lastDrill),
            "backup_drill_failed": lastDrill.map { .int($0.outcome == "ok" ? 0 : 1) } ?? .null,
            "backup_recovery_seconds": lastDrill.flatMap { $0.outcome == "ok" ? $0.detail["seconds"] : nil }
                ?? .null,
        ]
    }
}
