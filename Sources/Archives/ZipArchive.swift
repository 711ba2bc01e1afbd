// What this is: zip archives, written and read back through libarchive.
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

    /// Packs `sources` in their order. `packed` sees each piece of each source (by its index) as it goes in;
    /// false stops with ArchiveError.stopped.
    public static func write(
        _ sources: [Source], to file: OpenFile,
        packed: (Int, UnsafeRawBufferPointer) -> Bool = { _, _ in true }
    ) throws(ArchiveError) {
        // libarchive writes an archive without entries but does not take it back.
        guard !sources.isEmpty else { throw .library("nothing to pack", entry: nil) }
        try NameLocale.utf8 { () throws(ArchiveError) in
            let writer = try ZipWriter(file)
            for (index, source) in sources.enumerated() {
                try writer.add(source) { piece in packed(index, piece) }
            }
            try writer.finish()
        }
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
