// What this is: archives of other people's files, zip or tar, written and read back through libarchive.
// Owns: the entry order (as given), names in UTF-8, deflate, mode and time of each file.
// Never: opens or names the archive itself (the caller gives the open file), follows a link at a source.
// On failure: ArchiveError; the archive's content is then worthless and for the caller to remove.
import LinuxSystem

public enum ZipArchive {
    /// One file to pack, or an empty directory where the name ends with `/`.
    public struct Source: Hashable, Sendable {
        public var name: String
        public var path: String

        public init(name: String, path: String) {
            self.name = name
            self.path = path
        }
    }

    public struct Entry: Hashable, Sendable {
        public var name: String
        public var size: Int
        /// Nanoseconds since 1970; zip keeps whole seconds.
        public var modified: Int64
    }

    /// Packs `sources` in their order, as a zip, or as a `tar` packed so. `packed` sees each piece of each source (by its index) as it goes in;
    /// false stops with ArchiveError.stopped.
    public static func write(
        _ sources: [Source], to file: OpenFile, tar: Packing? = nil,
        packed: (Int, UnsafeRawBufferPointer) -> Bool = { _, _ in true }
    ) throws(ArchiveError) {
        // libarchive writes an archive without entries but does not take it back.
        guard !sources.isEmpty else { throw .library("nothing to pack", entry: nil) }
        func perform() throws(ArchiveError) {
            let writer = try ZipWriter(file, tar: tar)
            for (index, source) in sources.enumerated() {
                try writer.add(source) { piece in packed(index, piece) }
            }
            try writer.finish()
        }
        // A tar keeps names byte by byte: see TarWriter.
        if tar != nil { return try perform() }
        try NameLocale.utf8 { () throws(ArchiveError) in try perform() }
    }
    /// As `read`, of a tar, packed or not.
    public static func read(
        tar file: OpenFile,
        piece: (_ name: String, _ bytes: UnsafeRawBufferPointer) -> Bool = { _, _ in true }
    ) throws(ArchiveError) -> [Entry] {
        var entries: [Entry] = []
        try ArchiveReader.read(file, .tar) { entry in
            entries.append(Entry(name: entry.name, size: 0, modified: entry.modified))
            return true
        } piece: { bytes in
            entries[entries.count - 1].size += bytes.count
            return piece(entries[entries.count - 1].name, bytes)
        }
        return entries
    }

    /// Reads every byte of every entry, which checks lengths and CRCs; returns the entries in archive order.
    public static func read(
        _ file: OpenFile, piece: (_ name: String, _ bytes: UnsafeRawBufferPointer) -> Bool = { _, _ in true }
    ) throws(ArchiveError) -> [Entry] {
        try NameLocale.utf8 { () throws(ArchiveError) in
            let reader = try ZipReader(file)
            var entries: [Entry] = []
            while let entry = try reader.next() {
                let read = try reader.content(of: entry) { bytes in piece(entry.name, bytes) }
                entries.append(Entry(name: entry.name, size: read, modified: entry.modified))
            }
            return entries
        }
    }
}
