// What this is: how an archive's bytes are packed, and packing pieces of it that can stand one after the other in a file.
// Owns: the names and endings of the packings; what is asked of libarchive for each.
// Never: packs what is not to be read back by the common tools: two packed pieces in a row read as one stream.
// On failure: ArchiveError with libarchive's text.
import CArchive
import LinuxSystem

public enum Packing: String, CaseIterable, Sendable {
    case zstd, gzip, none

    public var ending: String {
        switch self {
        case .zstd: ".tar.zst"
        case .gzip: ".tar.gz"
        case .none: ".tar"
        }
    }

    /// Threads beside the caller's that pack; gzip has none.
    func add(to handle: OpaquePointer, threads: Int) throws(ArchiveError) {
        switch self {
        case .none: return
        case .gzip: guard archive_write_add_filter_gzip(handle) == ARCHIVE_OK else { throw .last(handle) }
        case .zstd:
            // A warning: this libarchive calls an outside program, which knows no threads.
            let code = archive_write_add_filter_zstd(handle)
            guard code == ARCHIVE_OK || code == ARCHIVE_WARN else { throw .last(handle) }
            // Older ones pack in the caller's thread: slower, and the same bytes come out of it.
            _ = archive_write_set_filter_option(handle, "zstd", "threads", String(threads))
        }
    }

    /// Packs bytes to a whole piece in memory.
    public func packed(_ bytes: [UInt8]) throws(ArchiveError) -> [UInt8] {
        if self == .none { return bytes }
        // Incompressible bytes become a little longer; both packings add less than this.
        return try memory(bytes.count + bytes.count / 64 + (64 << 10)) { handle throws(ArchiveError) in
            guard archive_write_set_format_raw(handle) == ARCHIVE_OK else { throw .last(handle) }
            try add(to: handle, threads: 0)
        } fill: { handle throws(ArchiveError) in
            guard let entry = archive_entry_new() else { throw .last(handle) }
            defer { archive_entry_free(entry) }
            archive_entry_set_filetype(entry, UInt32(S_IFREG))
            guard archive_write_header(handle, entry) == ARCHIVE_OK,
                bytes.withUnsafeBytes({ archive_write_data(handle, $0.baseAddress, $0.count) })
                    == bytes.count,
                archive_write_close(handle) == ARCHIVE_OK
            else { throw .last(handle) }
        }
    }
}

/// What libarchive writes into memory of at most `limit` bytes.
func memory(
    _ limit: Int, _ prepare: (OpaquePointer) throws(ArchiveError) -> Void,
    fill: (OpaquePointer) throws(ArchiveError) -> Void
) throws(ArchiveError) -> [UInt8] {
    guard let handle = archive_write_new() else { throw ArchiveError.last(nil) }
    defer {
        archive_write_fail(handle)
        archive_write_free(handle)
    }
    try prepare(handle)
    archive_write_set_bytes_per_block(handle, 0)
    let out = UnsafeMutableRawBufferPointer.allocate(byteCount: limit, alignment: 16)
    let used = UnsafeMutablePointer<Int>.allocate(capacity: 1)
    used.initialize(to: 0)
    defer {
        out.deallocate()
        used.deallocate()
    }
    guard archive_write_open_memory(handle, out.baseAddress, out.count, used) == ARCHIVE_OK else {
        throw .last(handle)
    }
    try fill(handle)
    return Array(out[..<used.pointee])
}
