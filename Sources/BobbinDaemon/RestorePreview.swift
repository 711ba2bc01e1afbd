// What this is: what a restore would change, told before it is done.
// Owns: the comparison of each file of a bundle with the one of the site, and of the runs in flight.
// Never: changes anything; believes a size or a time.
// On failure: SystemError for what cannot be read of the site.
import Bundles
import JobModel
import LinuxSystem
import SpoolQueue

public struct RestorePreview: Sendable {
    public struct Difference: Hashable, Sendable {
        public enum Kind: String, Sendable {
            /// In the bundle only; in both, with other contents; in the site only, and there no more afterwards.
            case new, changed, gone
            /// A run in flight that the bundle does not know.
            case lost
        }
        public var kind: Kind
        public var path: String
    }
    public private(set) var differences: [Difference] = []
    public private(set) var same = 0
    /// What is made of runs in flight, or is nobody's business but the runners'.
    private static let derived: Set<String> = [
        SpoolName.state, SpoolName.claimed, SpoolName.parked, SpoolName.control, SpoolName.requests,
        SpoolName.responses,
    ]

    init(_ manifest: BundleManifest, _ extent: Restore.Extent, in site: Directory) throws {
        var paths: Set<String> = []
        // What runners remember changes with every run, and is no file of people.
        for row in manifest.rows where extent.has(row) && row.kind != .journal {
            paths.insert(row.path)
            let known = try RestorePreview.hash(row.path, in: site)
            if known == row.hash { same += 1; continue }
            // What only grows stays as it is.
            if known != nil, BundlePlan.isGrowing(row.path),
                !row.path.hasPrefix(SpoolName.spool) || extent != .everything
            {
                continue
            }
            differences.append(Difference(kind: known == nil ? .new : .changed, path: row.path))
        }
        if extent == .everything, try site.statusIfPresent(SpoolName.spool) != nil {
            let root = try site.directory(SpoolName.spool)
            try walk(root, "") { path in
                let full = "\(SpoolName.spool)/\(path)"
                if !paths.contains(full) { differences.append(Difference(kind: .gone, path: full)) }
            }
            try findLost(manifest, root)
        }
        try RestoredFiles.check(
            manifest.rows.filter {
                extent.has($0) && (extent != .everything || !$0.path.hasPrefix(SpoolName.spool + "/"))
            }
            .map(\.path), in: site)
        differences.sort { ($0.path, $0.kind.rawValue) < ($1.path, $1.kind.rawValue) }
    }

    private mutating func findLost(_ manifest: BundleManifest, _ root: Directory) throws {
        var known = Set(manifest.inFlight.map(\.run))
        for row in manifest.rows where row.kind == .results && row.path.hasSuffix(FinalName.resultEnding) {
            known.insert(String(BundlePath.split(row.path).name.prefix(RunID.length)))
        }
        for parent in [SpoolName.claimed, SpoolName.parked] where try root.statusIfPresent(parent) != nil {
            let folder = try root.directory(parent)
            for inner in try folder.names().sorted() {
                for name in try folder.directory(inner).names().sorted() {
                    guard let claim = ClaimedName(name), !known.contains(claim.run.text) else { continue }
                    differences.append(
                        Difference(kind: .lost, path: "\(SpoolName.spool)/\(parent)/\(inner)/\(name)"))
                }
            }
        }
    }
    private func walk(_ directory: Directory, _ path: String, _ see: (String) -> Void) throws {
        for name in try directory.names().sorted() {
            let inner = path.isEmpty ? name : "\(path)/\(name)"
            // Gone since it was listed, or of no interest.
            guard !RestorePreview.derived.contains(inner), let status = try directory.statusIfPresent(name)
            else { continue }
            if status.kind == .directory {
                try walk(directory.directory(name), inner, see)
            } else {
                see(inner)
            }
        }
    }

    /// Nil where there is no file.
    private static func hash(_ path: String, in site: Directory) throws -> ContentHash? {
        let (folder, name) = BundlePath.split(path)
        let file: OpenFile
        do throws(SystemError) {
            file = try (folder.isEmpty ? site : site.directory(folder)).openForReading(name)
        } catch {
            guard error.isMissing || error.fileTrouble == .kind else { throw error }
            return nil
        }
        guard try file.status().kind == .regular else { return nil }
        var running = ContentHash.Running(), offset = 0
        while true {
            let piece = try file.read(upTo: 1 << 20, from: offset)
            if piece.isEmpty { return running.end() }
            piece.withUnsafeBytes { running.update($0) }
            offset += piece.count
        }
    }
}
