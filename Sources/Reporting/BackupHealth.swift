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

    /// For people: how old the newest bundle is and what became of the last drill; empty where nobody ever made one.
    var backupSentences: [String] {
        guard lastBackup != nil || lastDrill != nil else { return [] }
        var sentences = [
            lastBackup.map {
                let size = $0.detail["bytes"]?.intValue.map { ", \(ReportWords.bytes($0))" } ?? ""
                return "The newest bundle is \(ReportWords.age(now.since($0.at))) old\(size)."
            } ?? "There is no bundle of the whole site."
        ]
        sentences.append(
            lastDrill.map { drill in
                let age = ReportWords.age(now.since(drill.at))
                guard drill.outcome == "ok" else {
                    return "The restore drill \(age) ago failed: \(drill.detail["why"]?.text ?? "")"
                }
                let took = drill.detail["seconds"]?.doubleValue.map {
                    ": back and at work in \(ReportWords.time(Int(($0 * 1000).rounded())))"
                }
                return "The restore drill \(age) ago went well\(took ?? "")."
            } ?? "Nobody has tried yet to bring one back: `bobbin backup drill`.")
        return sentences
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
