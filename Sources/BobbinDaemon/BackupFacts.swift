// What this is: what is remembered of bundles and drills: lines of spool/history/.
// Owns: their words.
// Never: decides anything; a bundle is there or not, whatever they say.
// On failure: the line is lost, and whoever made the bundle says so.
import Bundles
import JobModel
import LinuxSystem
import SpoolQueue

public enum BackupFacts {
    static let made = "backup.made", drill = "backup.drill"

    public static func note(_ bundle: Backup.Made, took: Span, _ spool: Spool, now: Timestamp)
        throws(SystemError)
    {
        // A part of a site brings no site back.
        guard bundle.isWhole else { return }
        try HistoryFile.write(
            [
                [
                    "kind": .string(made), "subject": .string(bundle.name), "outcome": "ok",
                    "bytes": .int(bundle.size), "files": .int(bundle.manifest.rows.count),
                    "seconds": .double(Double(took.milliseconds) / 1000),
                ]
            ], spool, at: now)
    }
    public static func note(_ found: BackupDrill, _ spool: Spool, now: Timestamp) throws(SystemError) {
        let name = BundlePath.split(found.bundle).name
        try HistoryFile.write(
            [
                [
                    "kind": .string(drill), "subject": .string(name),
                    "outcome": found.trouble == nil ? "ok" : "failed",
                    "why": .string(found.trouble ?? ""), "files": .int(found.files),
                    "restore_seconds": .double(Double(found.restored.milliseconds) / 1000),
                    "seconds": .double(Double(found.recovered.milliseconds) / 1000),
                ]
            ], spool, at: now)
    }
}
