// What this is: which path of a site is of which class, and which has no place in a bundle.
// Owns: that table, the same when a bundle is made and when one is brought back.
// Never: believes what a manifest says of a class: by its path a file is what it is.
// On failure: nil for a path that no bundle of ours has.
import Bundles
import JobModel
import SpoolQueue

enum BundlePlan {
    /// Of .bobbin/: what is made anew, what holds a lock, what is a key, what a restore says of itself, and journals, which are
    /// packed as what they say. Intents name inodes of this disk.
    static let notState: Set<String> = [
        SpoolName.index, SpoolName.index + "-wal", SpoolName.index + "-shm", SpoolName.lock,
        SpoolName.recoveryLock, SpoolName.reporterLock, SpoolName.slots, SpoolName.runners, SpoolName.clock,
        SpoolName.auditKey, SpoolName.bundleKey, SpoolName.undelivered, SpoolName.restored,
        SpoolName.restoreRest, "intents",
    ]
    /// The runner, which is none, under whose name a bundle has the runs in flight.
    static let runner = "bundle"
    static let journalPath =
        "\(SpoolName.spool)/\(SpoolName.state)/\(SpoolName.runners)/\(runner)/\(SpoolName.journal)"

    static func kind(_ path: String) -> BundleClass? {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count > 1 else { return nil }
        switch parts[0] {
        case "ops":
            return parts[1] == SpoolName.backups
                ? nil : parts[1] == SpoolName.audit && parts.count > 2 ? .audit : .config
        case SpoolName.templates: return .config
        case SpoolName.secrets: return .secrets
        case SpoolName.reports: return .reports
        case SpoolName.spool: return parts.count > 2 ? kind(inSpool: parts.dropFirst(), path) : nil
        default: return nil
        }
    }
    private static func kind(inSpool all: ArraySlice<Substring>, _ path: String) -> BundleClass? {
        let parts = Array(all)
        switch parts[0] {
        case SpoolName.state:
            if path.hasPrefix(journalPath + "/"), parts.count == 5 { return .journal }
            let last = parts.last ?? ""
            let isLock = last == SpoolName.lock || last.hasSuffix(".lock")
            return notState.contains(String(parts[1])) || isLock ? nil : .journal
        case "done", "failed":
            return parts.count == 3 || PackedDay.day(of: String(parts[1])) != nil ? .results : nil
        case SpoolName.rejected: return .results
        case SpoolName.runs, SpoolName.log: return .logs
        case SpoolName.history: return .history
        case "approvals": return parts[1] == SpoolName.closed && parts.count > 2 ? .approvals : nil
        case SpoolName.control: return parts[1] == SpoolName.closed ? .audit : parts.count == 2 ? .work : nil
        case SpoolName.events: return parts[1] == SpoolName.closed ? .history : .work
        case SpoolName.inbox: return parts.count == 2 ? .work : nil
        case SpoolName.intake: return parts.count == 3 ? .work : nil
        case SpoolName.claimed, SpoolName.parked: return nil
        default:
            let isLane =
                QueueName(parts[0]) != nil && Priority.all.contains { $0.directory == String(parts[1]) }
            return isLane && parts.count == 3 ? .work : nil
        }
    }

    /// Whether a file is only ever appended to: one that is there knows more than that of a bundle, and may be held open.
    static func isGrowing(_ path: String) -> Bool {
        [
            // Whose bundles count: a line that was taken out does not come back with an old bundle.
            BackupKeys.path, "ops/\(SpoolName.audit)/", "\(SpoolName.spool)/\(SpoolName.log)/",
            "\(SpoolName.spool)/\(SpoolName.history)/",
        ].contains { path.hasPrefix($0) }
    }
}
