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
        public var isWhole: Bool { Restore.isWhole(manifest) }
    }
    /// Newest first.
    public private(set) var rows: [Row] = []
    public private(set) var troubled: [(name: String, why: String)] = []

    public init(_ folder: Directory) throws {
        for name in try folder.names().sorted() where name.hasPrefix(Backup.prefix) {
            do {
                let file = try folder.openForReading(name)
                let size = try file.status().size
                rows.append(
                    Row(
                        name: name, path: "\(folder.path)/\(name)", size: size,
                        manifest: try BundleReader.manifest(file)))
            } catch { troubled.append((name, "\(error)")) }
        }
        rows.sort { ($1.manifest.takenAt, $1.name) < ($0.manifest.takenAt, $0.name) }
    }
}
