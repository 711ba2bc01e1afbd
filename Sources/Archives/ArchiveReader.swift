// What this is: archives of other people, read entry by entry: zip, and tar as it is or packed by gzip, bzip2, xz or zstd.
// Owns: which formats are read; the handle, freed on every path.
// Never: writes to disk, follows a name: what an entry is called is for the caller to judge.
// On failure: ArchiveError with libarchive's text; .stopped when a closure said no.
import CArchive
import LinuxSystem

public enum ArchiveReader {
    public enum Kind: Sendable { case file, directory, other(String) }
    public struct Entry: Sendable {
        public var name: String
        public var kind: Kind
        public var mode: UInt32
        /// Nanoseconds since 1970.
        public var modified: Int64
        /// As its header says; nil where it says nothing.
        public var size: Int?
    }
    public enum Formats: Sendable {
        /// What people send.
        case any
        /// What we write ourselves: the less is read, the less can be wrong with the reading.
        case tar
    }

    /// Calls `entry` for each entry and `piece` for its bytes in order; false ends the reading.
    public static func read(
        _ file: OpenFile, _ formats: Formats = .any, entry: (Entry) -> Bool,
        piece: (UnsafeRawBufferPointer) -> Bool
    ) throws(ArchiveError) {
        try reading(formats, entry, piece) { (handle) throws(ArchiveError) in
            do throws(SystemError) { try file.rewind() } catch { throw ArchiveError.file(error) }
            return archive_read_open_fd(handle, file.fd, 64 << 10)
        }
    }
    /// The same of an archive, or a piece of one, that is in memory.
    public static func read(
        _ bytes: UnsafeRawBufferPointer, _ formats: Formats = .any, entry: (Entry) -> Bool,
        piece: (UnsafeRawBufferPointer) -> Bool
    ) throws(ArchiveError) {
        try reading(formats, entry, piece) { (handle) throws(ArchiveError) in
            archive_read_open_memory(handle, bytes.baseAddress, bytes.count)
        }
    }
    /// The same of what a closure gives, which fills a buffer and says with how much: 0 at the end, less when it failed; why,
    /// it knows itself.
    public static func read(
        from source: @escaping (UnsafeMutableRawBufferPointer) -> Int, _ formats: Formats = .any,
        entry: (Entry) -> Bool, piece: (UnsafeRawBufferPointer) -> Bool
    ) throws(ArchiveError) {
        let spring = Spring(source)
        defer { withExtendedLifetime(spring) {} }
        try reading(formats, entry, piece) { (handle) throws(ArchiveError) in
            archive_read_open2(
                handle, Unmanaged.passUnretained(spring).toOpaque(), nil,
                { _, context, bytes in
                    guard let context else { return -1 }
                    let spring = Unmanaged<Spring>.fromOpaque(context).takeUnretainedValue()
                    bytes?.pointee = UnsafeRawPointer(spring.buffer.baseAddress)
                    return max(-1, spring.source(spring.buffer))
                }, nil, nil)
        }
    }
    private final class Spring {
        let source: (UnsafeMutableRawBufferPointer) -> Int
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 16)
        init(_ source: @escaping (UnsafeMutableRawBufferPointer) -> Int) { self.source = source }
        deinit { buffer.deallocate() }
    }

    private static func reading(
        _ formats: Formats, _ entry: (Entry) -> Bool, _ piece: (UnsafeRawBufferPointer) -> Bool,
        open: (OpaquePointer) throws(ArchiveError) -> Int32
    ) throws(ArchiveError) {
        try NameLocale.utf8 { () throws(ArchiveError) in
            guard let handle = archive_read_new() else { throw ArchiveError.last(nil) }
            defer { archive_read_free(handle) }
            var supports = [
                archive_read_support_format_tar(handle), archive_read_support_filter_gzip(handle),
                archive_read_support_filter_zstd(handle),
            ]
            if formats == .any {
                supports += [
                    archive_read_support_format_zip(handle), archive_read_support_filter_bzip2(handle),
                    archive_read_support_filter_xz(handle),
                ]
            }
            // A warning: this libarchive calls an outside program for a filter.
            guard supports.allSatisfy({ $0 == ARCHIVE_OK || $0 == ARCHIVE_WARN }) else {
                throw ArchiveError.last(handle)
            }
            guard try open(handle) == ARCHIVE_OK else { throw ArchiveError.last(handle) }
            try entries(handle, entry, piece)
        }
    }

    private static func entries(
        _ handle: OpaquePointer, _ entry: (Entry) -> Bool, _ piece: (UnsafeRawBufferPointer) -> Bool
    ) throws(ArchiveError) {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 16)
        defer { buffer.deallocate() }
        while true {
            var found: OpaquePointer?
            let code = archive_read_next_header(handle, &found)
            if code == ARCHIVE_EOF { return }
            guard code == ARCHIVE_OK, let found else { throw ArchiveError.last(handle) }
            guard let raw = archive_entry_pathname_utf8(found) else { throw ArchiveError.last(handle) }
            let name = String(cString: raw)
            guard
                entry(
                    Entry(
                        name: name, kind: kind(found), mode: archive_entry_perm(found), modified: time(found),
                        size: archive_entry_size_is_set(found) != 0 ? Int(archive_entry_size(found)) : nil)
                )
            else { throw .stopped }
            while true {
                let count = archive_read_data(handle, buffer.baseAddress, buffer.count)
                guard count >= 0 else { throw ArchiveError.last(handle, entry: name) }
                guard count > 0 else { break }
                guard piece(UnsafeRawBufferPointer(rebasing: buffer[..<count])) else { throw .stopped }
            }
        }
    }

    private static func kind(_ entry: OpaquePointer) -> Kind {
        if archive_entry_hardlink(entry) != nil { return .other("hard link") }
        switch archive_entry_filetype(entry) {
        case UInt32(S_IFREG): return .file
        case UInt32(S_IFDIR): return .directory
        case UInt32(S_IFLNK): return .other("symbolic link")
        default: return .other("device or socket")
        }
    }
    /// Years beyond reason, which an archive can say, count as none.
    private static func time(_ entry: OpaquePointer) -> Int64 {
        let seconds = Int64(archive_entry_mtime(entry))
        return (0..<(1 << 33)).contains(seconds) ? seconds * 1_000_000_000 : 0
    }
}
