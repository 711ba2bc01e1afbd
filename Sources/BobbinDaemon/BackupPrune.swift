// What this is: the letting go of old bundles by the rules of ops/backup.yaml.
// Owns: which bundles the rules are asked about: those of this spool, each selection of classes by itself; what stands on what.
// Never: removes what is no bundle, is another site's, cannot be read, or carries one that is kept.
// On failure: SystemError; those before it are gone, the rest is there.
import Bundles
import JobModel
import LinuxSystem

public struct BackupPrune: Sendable {
    public struct Row: Sendable {
        public var bundle: BackupList.Row
        public var verdict: KeepRules.Verdict
    }
    /// Newest first.
    public let rows: [Row]
    public let troubled: [(name: String, why: String, isLocked: Bool)]
    private let folder: Directory

    public init(_ folder: Directory, _ keys: BundleKeys, spool: String, _ keep: KeepRules, now: Timestamp)
        throws
    {
        let list = try BackupList(folder, keys)
        self.folder = folder
        troubled = list.troubled
        var verdicts: [String: KeepRules.Verdict] = [:]
        // What lacks its base brings nothing back, and so stands for no day and no week.
        let ours = list.rows.filter {
            $0.manifest.spool == spool && $0.manifest.proof.isKnown && !$0.lacksBase
        }
        for (_, group) in Dictionary(grouping: ours, by: { $0.manifest.classes }) {
            let judged = keep.judge(group.map(\.manifest.takenAt), now: now)
            for (row, verdict) in zip(group, judged) { verdicts[row.name] = verdict }
        }
        // What stands on a bundle is worth nothing without it; whosever that is, it stays.
        for row in list.rows where verdicts[row.name]?.isKept ?? true {
            guard let base = row.manifest.base,
                let under = ours.first(where: { $0.manifest.textHash == base.hash }),
                verdicts[under.name]?.isKept == false
            else { continue }
            verdicts[under.name] = .init(isKept: true, why: "\(row.name) stands on it")
        }
        rows = list.rows.map { row in
            let why =
                row.manifest.spool != spool
                ? "of another site"
                : row.lacksBase ? "what it stands on is missing" : "nobody known signed it"
            return Row(bundle: row, verdict: verdicts[row.name] ?? .init(isKept: true, why: why))
        }
    }
    /// By the site's own rules, and nothing is made meanwhile that may stand on what goes. Returns what was judged, and the
    /// names of what went.
    public static func perform(_ site: Site, _ folder: Directory, _ keys: BundleKeys, patience: Span) throws
        -> (
            BackupPrune, gone: [String]
        )
    {
        let lock = try Prune.lock(site.spool, patience: patience)
        defer { withExtendedLifetime(lock) {} }
        let prune = try BackupPrune(
            folder, keys, spool: site.spool.id, BackupFile.read(site).keep,
            now: Timestamp(nanoseconds: Clocks.wall))
        return (prune, try prune.perform())
    }
    /// Returns the names of what went.
    public func perform() throws -> [String] {
        let going = rows.filter { !$0.verdict.isKept }.map(\.bundle)
        // Increments first: cut off in the middle, none is left without what it stands on.
        let gone = (going.filter { $0.manifest.base != nil } + going.filter { $0.manifest.base == nil }).map(
            \.name)
        for name in gone { try folder.removeIfPresent(name) }
        if !gone.isEmpty { try folder.sync() }
        return gone
    }
}
