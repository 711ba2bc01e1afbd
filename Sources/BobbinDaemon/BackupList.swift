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
        /// The classes that were chosen, as its name says it; empty for all.
        var selection: String {
            let parts = name.split(separator: ".").first.map { $0.split(separator: "_").dropFirst(3) } ?? []
            return parts.filter { Int($0) == nil && $0 != Backup.increment }.joined(separator: "_")
        }
    }
    /// Newest first.
    public private(set) var rows: [Row] = []
    public private(set) var troubled: [(name: String, why: String)] = []

    public init(_ folder: Directory, _ keys: BundleKeys) throws {
        for name in try folder.names().sorted() where name.hasPrefix(Backup.prefix) {
            do { rows.append(try BackupList.row(name, folder, keys)) } catch {
                troubled.append((name, "\(error)"))
            }
        }
        rows.sort { ($1.manifest.takenAt, $1.name) < ($0.manifest.takenAt, $0.name) }
    }
    /// The newest, by the instant in its name, that is as it is wanted; what cannot be read is passed over. It is asked for by
    /// its first line: a row has no files then.
    static func newest(_ folder: Directory, _ keys: BundleKeys, _ isWanted: (Row) -> Bool) throws -> Row? {
        for name in try folder.names().sorted().reversed() where name.hasPrefix(Backup.prefix) {
            // Whoever lists them all is told of it.
            guard let row = try? row(name, folder, keys, onlyHead: true), isWanted(row) else { continue }
            return try self.row(name, folder, keys)
        }
        return nil
    }
    private static func row(
        _ name: String, _ folder: Directory, _ keys: BundleKeys, onlyHead: Bool = false
    ) throws -> Row {
        let file = try folder.openForReading(name)
        let size = try file.status().size
        return Row(
            name: name, path: "\(folder.path)/\(name)", size: size,
            manifest: try onlyHead ? BundleReader(file, keys).head() : BundleReader(file, keys).manifest())
    }
}
