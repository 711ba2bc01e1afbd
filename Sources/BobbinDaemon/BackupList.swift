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

    /// By their first lines: a row has no files.
    public init(_ folder: Directory, _ keys: BundleKeys) throws {
        for name in try folder.names().sorted() where name.hasPrefix(Backup.prefix) {
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
    private static func row(_ name: String, _ folder: Directory, _ keys: BundleKeys) throws -> Row {
        let file = try folder.openForReading(name)
        let size = try file.status().size
        return Row(
            name: name, path: "\(folder.path)/\(name)", size: size,
            manifest: try BundleReader(file, keys).head())
    }
}
