// What this is: the letting go of old bundles by the rules of ops/backup.yaml.
// Owns: which bundles the rules are asked about: those of this spool, each selection of classes by itself.
// Never: removes what is no bundle, is another site's, or cannot be read.
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
    public let troubled: [(name: String, why: String)]
    private let folder: Directory

    public init(_ folder: Directory, spool: String, _ keep: KeepRules, now: Timestamp) throws {
        let list = try BackupList(folder)
        self.folder = folder
        troubled = list.troubled
        var verdicts: [String: KeepRules.Verdict] = [:]
        let ours = list.rows.filter { $0.manifest.spool == spool }
        for (_, group) in Dictionary(grouping: ours, by: { $0.selection }) {
            let judged = keep.judge(group.map(\.manifest.takenAt), now: now)
            for (row, verdict) in zip(group, judged) { verdicts[row.name] = verdict }
        }
        rows = list.rows.map { row in
            Row(bundle: row, verdict: verdicts[row.name] ?? .init(isKept: true, why: "of another site"))
        }
    }
    /// Returns the names of what went.
    public func perform() throws -> [String] {
        let gone = rows.filter { !$0.verdict.isKept }.map(\.bundle.name)
        for name in gone { try folder.removeIfPresent(name) }
        if !gone.isEmpty { try folder.sync() }
        return gone
    }
}

extension BackupList.Row {
    /// What its name says of the classes that were chosen; empty for all.
    fileprivate var selection: String {
        let parts = name.split(separator: ".").first.map { $0.split(separator: "_").dropFirst(3) } ?? []
        return parts.filter { Int($0) == nil }.joined(separator: "_")
    }
}
