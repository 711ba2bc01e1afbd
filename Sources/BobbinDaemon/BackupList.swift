// What this is: the bundles of a directory, by what their manifests say.
// Owns: which files are bundles; their order.
// Never: reads more of a bundle than its manifest.
// On failure: a file that is no bundle is told with its reason, and the others are listed.
import Bundles
import JobModel
import LinuxSystem

public struct BackupList {
    public struct Row: Sendable {
        public var name: String
        public var path: String
        public var size: Int
        public var manifest: BundleManifest
        /// A site can be made of it.
        public var isWhole: Bool { manifest.isWhole }
        /// It stands on one that is not in this directory.
        public fileprivate(set) var lacksBase = false
    }
    /// Newest first.
    public private(set) var rows: [Row] = []
    /// `isLocked`: nobody here has the key.
    public private(set) var troubled: [(name: String, why: String, isLocked: Bool)] = []

    /// By their first lines: a row has no files. `named`: only those whose names say so of their classes; one that somebody
    /// gave another name is not looked at then.
    public init(_ folder: Directory, _ keys: BundleKeys, named selection: String? = nil) throws {
        for name in try folder.names().sorted() where name.hasPrefix(Backup.prefix) {
            if let selection, BackupList.selection(name) != selection { continue }
            do { rows.append(try BackupList.row(name, folder, keys)) } catch {
                troubled.append(
                    (name, "\(error)", (error as? BundleProblem)?.code == BundleReader.locked))
            }
        }
        let there = Set(rows.compactMap(\.manifest.textHash))
        for index in rows.indices {
            rows[index].lacksBase = rows[index].manifest.base.map { !there.contains($0.hash) } ?? false
        }
        rows.sort { ($1.manifest.takenAt, $1.name) < ($0.manifest.takenAt, $0.name) }
    }
    /// `bobbin_20261129_020000_config_increment_2.tar.zst` says `config`.
    private static func selection(_ name: String) -> String {
        let parts = name.split(separator: ".").first.map { $0.split(separator: "_").dropFirst(3) } ?? []
        return parts.filter { Int($0) == nil && $0 != Backup.increment }.joined(separator: "_")
    }
    private static func row(_ name: String, _ folder: Directory, _ keys: BundleKeys) throws -> Row {
        let file = try folder.openForReading(name)
        let size = try file.status().size
        return Row(
            name: name, path: "\(folder.path)/\(name)", size: size,
            manifest: try BundleReader(file, keys).head())
    }
}
