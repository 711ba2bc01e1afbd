// What this is: the writing half of ZipArchive: one libarchive handle and what goes into it.
// Owns: the handle, freed on every path; one buffer.
// Never: pads, sorts or skips an entry.
// On failure: ArchiveError with the entry's name.
import CArchive
import LinuxSystem

final class ZipWriter {
    private let handle: OpaquePointer
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 16)

    private let isTar: Bool

    init(_ file: OpenFile, tar: Packing?) throws(ArchiveError) {
        isTar = tar != nil
        guard let handle = archive_write_new() else { throw ArchiveError.last(nil) }
        self.handle = handle
        if let tar {
            try check(archive_write_set_format_pax_restricted(handle))
            try tar.add(to: handle, threads: 1)
            try check(archive_write_set_bytes_in_last_block(handle, 1))
        } else {
            try check(archive_write_set_format_zip(handle))
            try check(archive_write_set_options(handle, "zip:compression=deflate,zip:hdrcharset=UTF-8"))
        }
        try check(archive_write_open_fd(handle, file.fd))
    }
    deinit {
        // Frees it in any state; after a failure nobody wants the rest written, and finish() has reported it.
        archive_write_fail(handle)
        archive_write_free(handle)
        buffer.deallocate()
    }

    func add(_ source: ZipArchive.Source, _ packed: (UnsafeRawBufferPointer) -> Bool) throws(ArchiveError) {
        guard ZipWriter.isLegal(source.name) else { throw .name(source.name) }
        let isDirectory = source.name.hasSuffix("/")
        let file = isDirectory ? nil : try ZipWriter.open(source.path)
        let status = try ZipWriter.onDisk { () throws(SystemError) -> FileStatus in
            if let file { return try file.status() }
            return try FileStatus.of(source.path)
        }
        guard status.kind == (isDirectory ? .directory : .regular) else {
            throw .library(
                "is a \(status.kindName), not a \(isDirectory ? "directory" : "file")", entry: source.name)
        }
        try header(source.name, status)
        if let file { try content(of: file, source, status.size, packed) }
        try check(archive_write_finish_entry(handle), source.name)
    }

    private func header(_ name: String, _ status: FileStatus) throws(ArchiveError) {
        guard let entry = archive_entry_new() else { throw ArchiveError.last(handle, entry: name) }
        defer { archive_entry_free(entry) }
        archive_entry_set_pathname(entry, name)
        archive_entry_set_filetype(entry, status.kind == .directory ? UInt32(S_IFDIR) : UInt32(S_IFREG))
        archive_entry_set_perm(entry, status.mode & 0o777)
        archive_entry_set_mtime(entry, time_t(status.modified / 1_000_000_000), 0)
        if status.kind == .regular { archive_entry_set_size(entry, Int64(status.size)) }
        let code = archive_write_header(handle, entry)
        // As in TarWriter: names that are no ASCII go byte by byte, with a warning.
        if isTar, code == ARCHIVE_WARN, !name.utf8.allSatisfy({ $0 < 0x80 }) { return }
        try check(code, name)
    }

    private func content(
        of file: OpenFile, _ source: ZipArchive.Source, _ size: Int,
        _ packed: (UnsafeRawBufferPointer) -> Bool
    ) throws(ArchiveError) {
        var done = 0
        while true {
            let count = try ZipWriter.onDisk { () throws(SystemError) in
                try file.read(into: buffer, from: done)
            }
            guard count > 0 else { break }
            let piece = UnsafeRawBufferPointer(rebasing: buffer[..<count])
            done += count
            guard done <= size else { throw .changed(source.path) }
            guard packed(piece) else { throw .stopped }
            guard archive_write_data(handle, piece.baseAddress, count) == count else {
                throw ArchiveError.last(handle, entry: source.name)
            }
        }
        guard done == size else { throw .changed(source.path) }
    }

    func finish() throws(ArchiveError) { try check(archive_write_close(handle)) }

    private func check(_ code: Int32, _ entry: String? = nil) throws(ArchiveError) {
        // A warning means that something was written differently from what was asked: no archive of ours.
        guard code == ARCHIVE_OK else { throw ArchiveError.last(handle, entry: entry) }
    }

    private static func open(_ path: String) throws(ArchiveError) -> OpenFile {
        let (folder, name) = path.splitAtLastSlash
        return try onDisk { () throws(SystemError) in try Directory.open(folder).openForReading(name) }
    }
    private static func onDisk<Out>(_ body: () throws(SystemError) -> Out) throws(ArchiveError) -> Out {
        do { return try body() } catch { throw .file(error) }
    }
    /// Relative, without `..`, so that no tool that unpacks it leaves its directory.
    private static func isLegal(_ name: String) -> Bool {
        let parts = name.utf8.split(separator: 0x2F, omittingEmptySubsequences: false)
            .map { String(decoding: $0, as: UTF8.self) }
        let last = parts.last == "" ? parts.dropLast() : parts[...]
        return !last.isEmpty
            && last.allSatisfy { !$0.isEmpty && $0 != "." && $0 != ".." && !$0.utf8.contains(0) }
    }
}

extension String {
    fileprivate var splitAtLastSlash: (folder: String, name: String) {
        guard let slash = lastIndex(of: "/") else { return (".", self) }
        return (slash == startIndex ? "/" : String(self[..<slash]), String(self[index(after: slash)...]))
    }
}
