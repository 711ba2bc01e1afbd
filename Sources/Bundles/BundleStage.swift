// What this is: the files of a bundle, put below one directory that nobody else has: our own writing, one name at a time.
// Owns: making directories and files, never through a link, never over anything; modes without rights to write for others.
// Never: goes above its directory; makes anything but files and directories; gives a file to another account.
// On failure: SystemError or BundleProblem; the directory is then worthless, and for the caller to remove.
import JobModel
import LinuxSystem

public final class BundleStage: BundleTaker {
    private let root: Directory
    private let isWanted: (BundleManifest.Row) -> Bool
    private let check: (BundleManifest) throws -> Void
    private var folder = "", directory: Directory
    private var file: OpenFile?
    public private(set) var manifest: BundleManifest?

    /// `root`: an empty directory. `check` sees the manifest before anything is written.
    public init(
        _ root: Directory, wanted: @escaping (BundleManifest.Row) -> Bool,
        check: @escaping (BundleManifest) throws -> Void
    ) {
        self.root = root
        isWanted = wanted
        self.check = check
        directory = root
    }

    public func open(_ manifest: BundleManifest) throws {
        self.manifest = manifest
        try check(manifest)
    }
    public func begin(_ row: BundleManifest.Row) throws {
        guard row.kind != .taken, isWanted(row) else { return }
        let (folder, name) = BundlePath.split(row.path)
        if folder != self.folder {
            directory = try make(folder)
            self.folder = folder
        }
        file = try directory.create(name, mode: row.mode & 0o755)
    }
    public func take(_ bytes: UnsafeRawBufferPointer) throws { try file?.append(bytes) }
    public func end(_ row: BundleManifest.Row) throws {
        guard let file else { return }
        try file.setModified(row.modified)
        self.file = nil
    }

    private func make(_ path: String) throws -> Directory {
        var directory = root
        for part in path.split(separator: "/") { directory = try directory.makeDirectory(String(part)) }
        return directory
    }
}
