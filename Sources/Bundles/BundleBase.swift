// What this is: the bundle on which a new one stands: what it has need not be packed again.
// Owns: the rule by which a file counts as the one that is in it.
// Never: takes a file for unchanged by its size and time alone: those anybody can set; has anything of what is in flight.
// On failure: nil: the file is packed.
import JobModel
import LinuxSystem

public struct BundleBase {
    public let reference: BundleManifest.Base
    let file: OpenFile
    let keys: BundleKeys
    private var rows: [BundlePath.Key: BundleManifest.Row] = [:]
    private let before: Int64
    /// A file's time comes from a clock that ticks every few milliseconds, and may be behind by one.
    private static let margin: Int64 = 1_000_000_000

    /// Nil for one that stands on another itself, and for one that was not read from a file.
    public init?(_ manifest: BundleManifest, name: String, _ file: OpenFile, _ keys: BundleKeys) {
        guard manifest.base == nil, let hash = manifest.textHash else { return nil }
        reference = .init(id: manifest.id, name: name, takenAt: manifest.takenAt, hash: hash)
        self.file = file
        self.keys = keys
        before = manifest.takenAt.nanoseconds - BundleBase.margin
        rows.reserveCapacity(manifest.rows.count)
        for row in manifest.rows where ![.work, .journal, .taken].contains(row.kind) {
            rows[BundlePath.Key(row.path)] = row
        }
    }

    /// By a ctime, which only the kernel sets, and which tells of every writing and renaming.
    func isBefore(_ changed: Int64) -> Bool { changed < before }

    /// The line of a file that is the same as it was: nobody has touched it since before the bundle was begun, and size, time
    /// and mode are those of the line. A directory that takes another's place brings files whose ctime tells nothing: so
    /// whoever asks has looked at those above as well. Not of what people write, which is little, and is read.
    func row(_ path: String, _ kind: BundleClass, _ status: FileStatus) -> BundleManifest.Row? {
        guard ![.config, .secrets, .reports].contains(kind), isBefore(status.changed),
            let row = rows[BundlePath.Key(path)], row.kind == kind, row.size == status.size,
            row.modified == status.modified, row.mode == BundleWriter.safe(status.mode)
        else { return nil }
        return inherited(row)
    }
    /// The line of a file that was read and found to be the same.
    func row(_ read: BundleManifest.Row) -> BundleManifest.Row? {
        guard let row = rows[BundlePath.Key(read.path)], row == read else { return nil }
        return inherited(row)
    }
    private func inherited(_ row: BundleManifest.Row) -> BundleManifest.Row {
        var row = row
        row.isInBase = true
        return row
    }
}
