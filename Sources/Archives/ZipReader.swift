// What this is: the reading half of ZipArchive: entries one after the other, with their bytes.
// Owns: the handle, freed on every path; one buffer.
// Never: writes to disk; unpacking is not its business.
// On failure: ArchiveError with libarchive's text (a wrong CRC or length among them).
import CArchive
import LinuxSystem

final class ZipReader {
    private let handle: OpaquePointer
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 16)

    init(_ file: OpenFile) throws(ArchiveError) {
        guard let handle = archive_read_new() else { throw ArchiveError.last(nil) }
        self.handle = handle
        try check(archive_read_support_format_zip_seekable(handle))
        // libarchive reads from the descriptor's position, which writing has moved to the end.
        do { try file.rewind() } catch { throw .file(error) }
        try check(archive_read_open_fd(handle, file.fd, 64 << 10))
    }
    deinit {
        archive_read_free(handle)
        buffer.deallocate()
    }

    struct Header {
        var name: String
        var modified: Int64
        var declared: Int?
    }

    /// The next entry, or nil at the end.
    func next() throws(ArchiveError) -> Header? {
        var entry: OpaquePointer?
        let code = archive_read_next_header(handle, &entry)
        if code == ARCHIVE_EOF { return nil }
        try check(code)
        guard let entry, let name = archive_entry_pathname_utf8(entry) else {
            throw ArchiveError.last(handle)
        }
        return Header(
            name: String(cString: name), modified: Int64(archive_entry_mtime(entry)) * 1_000_000_000,
            declared: archive_entry_size_is_set(entry) != 0 ? Int(archive_entry_size(entry)) : nil)
    }

    /// Reads the entry to its end and returns its length.
    func content(of entry: Header, _ piece: (UnsafeRawBufferPointer) -> Bool) throws(ArchiveError) -> Int {
        var total = 0
        while true {
            let count = archive_read_data(handle, buffer.baseAddress, buffer.count)
            guard count >= 0 else { throw ArchiveError.last(handle, entry: entry.name) }
            guard count > 0 else { break }
            total += count
            guard piece(UnsafeRawBufferPointer(rebasing: buffer[..<count])) else { throw .stopped }
        }
        if let declared = entry.declared, declared != total {
            throw .library("holds \(total) bytes instead of \(declared)", entry: entry.name)
        }
        return total
    }

    private func check(_ code: Int32) throws(ArchiveError) {
        guard code == ARCHIVE_OK else { throw ArchiveError.last(handle) }
    }
}
