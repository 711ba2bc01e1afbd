// What this is: tar archives, written entry by entry: pax where a name or a size needs it, ustar else.
// Owns: the handle, freed on every path; the packing; a first entry that stands before all others in a piece of its own.
// Never: opens a source, names the archive, sorts or skips an entry.
// On failure: ArchiveError with the entry's name; the archive's content is then worthless and for the caller to remove.
import CArchive
import LinuxSystem

public final class TarWriter {
    /// What takes the archive's bytes, and why it took no more.
    private final class Drain {
        let take: (UnsafeRawBufferPointer) throws(SystemError) -> Void
        var error: SystemError?
        init(_ take: @escaping (UnsafeRawBufferPointer) throws(SystemError) -> Void) { self.take = take }
    }
    private let handle: OpaquePointer
    private let drain: Drain
    private var name = ""

    public init(
        _ packing: Packing, threads: Int,
        to take: @escaping (UnsafeRawBufferPointer) throws(SystemError) -> Void
    ) throws(ArchiveError) {
        drain = Drain(take)
        guard let handle = archive_write_new() else { throw ArchiveError.last(nil) }
        self.handle = handle
        try check(archive_write_set_format_pax_restricted(handle))
        try packing.add(to: handle, threads: threads)
        // Written as it comes out of the packing, without zeros behind the end.
        try check(archive_write_set_bytes_in_last_block(handle, 1))
        try check(
            archive_write_open2(
                handle, Unmanaged.passUnretained(drain).toOpaque(), nil,
                { handle, context, bytes, count in
                    guard let context, let bytes else { return -1 }
                    let drain = Unmanaged<Drain>.fromOpaque(context).takeUnretainedValue()
                    do throws(SystemError) {
                        try drain.take(UnsafeRawBufferPointer(start: bytes, count: count))
                        return count
                    } catch {
                        drain.error = error
                        return -1
                    }
                }, nil, nil))
    }
    deinit {
        // Frees it in any state; after a failure nobody wants the rest written, and finish() has reported it.
        archive_write_fail(handle)
        archive_write_free(handle)
    }

    /// Of a file with exactly `size` bytes to come. `modified`: nanoseconds since 1970; tar keeps whole seconds.
    public func begin(_ name: String, size: Int, mode: UInt32, modified: Int64) throws(ArchiveError) {
        self.name = name
        do throws(ArchiveError) {
            try TarWriter.header(handle, name, size: size, mode: mode, modified: modified)
        } catch { throw drain.error.map { .file($0) } ?? error }
    }
    public func write(_ bytes: UnsafeRawBufferPointer) throws(ArchiveError) {
        guard archive_write_data(handle, bytes.baseAddress, bytes.count) == bytes.count else {
            throw failure()
        }
    }
    public func end() throws(ArchiveError) { try check(archive_write_finish_entry(handle)) }
    public func finish() throws(ArchiveError) { try check(archive_write_close(handle)) }

    /// A small file that is in memory.
    public struct Small: Sendable {
        public var name: String
        public var bytes: [UInt8]
        public var mode: UInt32
        /// Nanoseconds since 1970; tar keeps whole seconds.
        public var modified: Int64
        public init(_ name: String, _ bytes: [UInt8], mode: UInt32, modified: Int64) {
            self.name = name
            self.bytes = bytes
            self.mode = mode
            self.modified = modified
        }
    }
    /// Entries as a piece of its own, packed by itself: what comes behind it in the file goes on as the same archive, up to the
    /// piece that `isLast`. So a first entry can be made last, when everything is known that it tells, and one piece can be
    /// read without those before it.
    public static func piece(_ entries: [Small], _ packing: Packing, isLast: Bool = false)
        throws(ArchiveError) -> [UInt8]
    {
        // For each its header, its padding and, where it needs one, a pax header.
        let room = entries.reduce(64 << 10) { $0 + $1.bytes.count + 4 * $1.name.utf8.count + 4096 }
        let plain = try memory(room) { handle throws(ArchiveError) in
            guard archive_write_set_format_pax_restricted(handle) == ARCHIVE_OK,
                archive_write_set_bytes_in_last_block(handle, 1) == ARCHIVE_OK
            else { throw .last(handle) }
        } fill: { handle throws(ArchiveError) in
            for entry in entries {
                try header(
                    handle, entry.name, size: entry.bytes.count, mode: entry.mode, modified: entry.modified)
                guard
                    entry.bytes.withUnsafeBytes({ archive_write_data(handle, $0.baseAddress, $0.count) })
                        == entry.bytes.count,
                    archive_write_finish_entry(handle) == ARCHIVE_OK
                else { throw .last(handle, entry: entry.name) }
            }
            if isLast, archive_write_close(handle) != ARCHIVE_OK { throw .last(handle) }
        }
        return try packing.packed(plain)
    }

    private static func header(
        _ handle: OpaquePointer, _ name: String, size: Int, mode: UInt32, modified: Int64
    ) throws(ArchiveError) {
        guard let entry = archive_entry_new() else { throw ArchiveError.last(handle, entry: name) }
        defer { archive_entry_free(entry) }
        archive_entry_set_pathname(entry, name)
        archive_entry_set_filetype(entry, UInt32(S_IFREG))
        archive_entry_set_perm(entry, mode & 0o777)
        archive_entry_set_mtime(entry, time_t(modified / 1_000_000_000), 0)
        archive_entry_set_size(entry, Int64(size))
        // Not in the locale of names: as text they would be brought into Unicode's composed form, and two files could have one
        // name. What is no ASCII then has a header that says `hdrcharset=BINARY` and goes byte by byte, with a warning.
        let code = archive_write_header(handle, entry)
        guard code == ARCHIVE_OK || code == ARCHIVE_WARN && !name.utf8.allSatisfy({ $0 < 0x80 }) else {
            throw ArchiveError.last(handle, entry: name)
        }
    }

    private func check(_ code: Int32) throws(ArchiveError) {
        // A warning means that something was written differently from what was asked: no archive of ours.
        guard code == ARCHIVE_OK else { throw failure() }
    }
    /// Why the bytes were not taken, where that was it.
    private func failure() -> ArchiveError {
        drain.error.map { .file($0) } ?? ArchiveError.last(handle, entry: name.isEmpty ? nil : name)
    }
}
