// What this is: the files of a day's ended runs in one file, `2026-11-20.tar.zst`, from which those of one run are read at once.
// Owns: the format (docs/decisions/0021-packed-days.md): a tar in pieces of whole runs that are packed each by itself, a list
//   of all files as `sha256sum` prints it, and a table of the pieces behind the archive, which other programs skip.
// Never: writes (PackedDayWriter does); gives bytes whose hash is not the one that was written.
// On failure: BundleProblem E-PACKED with the file and what is wrong with it; SystemError of the disk.
import Archives
import JobModel
import LinuxSystem

public struct PackedDay: Sendable {
    /// A file of a run: its path below the spool and its bytes.
    public typealias File = TarWriter.Small
    public struct Row: Sendable {
        public var path: String
        public var hash: ContentHash
        /// Whose it is.
        public var run: RunID
    }
    struct Block: Sendable {
        var offset: Int
        var length: Int
        var hash: ContentHash
        var first: RunID
        var last: RunID
        var runs: Int
    }
    /// Its place, as `done/2026-11-20.tar.zst`.
    public let path: String
    public let day: String
    public let name: String
    public let size: Int
    let blocks: [Block]
    private let list: (offset: Int, length: Int, hash: ContentHash)
    private let folder: Directory
    private let file: String

    static let ending = Packing.zstd.ending
    public static let listName = ".list"
    /// A frame that zstd skips: magic, length, then what is ours; its last bytes say where it begins.
    static let frameMagic: [UInt8] = [0x50, 0x2A, 0x4D, 0x18]
    static let trailerMagic = Array("BOBBINPD".utf8)
    static let title = "bobbin packed day 1"
    static let largestTable = 64 << 20
    /// A piece is about this long unpacked; what one run has is never in two.
    static let blockBytes = 256 << 10
    /// Files of a run that are more than this together are left as they are.
    public static let largestRun = 8 << 20

    /// The day of a name that a packed day has; nil for every other.
    public static func day(of name: String) -> String? {
        guard name.hasSuffix(ending) else { return nil }
        let parts = name.dropLast(ending.count).split(separator: ".", omittingEmptySubsequences: false)
        guard let day = parts.first, isDay(day), parts.count == 1 || parts.count == 2 && Int(parts[1]) != nil
        else { return nil }
        return String(day)
    }
    /// `2026-11-20`.
    public static func isDay(_ text: some StringProtocol) -> Bool {
        let bytes = Array(text.utf8)
        return bytes.count == 10
            && bytes.enumerated().allSatisfy { index, byte in
                index == 4 || index == 7 ? byte == UInt8(ascii: "-") : (0x30...0x39).contains(byte)
            }
    }
    /// Whose a file is, by its path: `done/<day>/<run>~…`, `runs/<run>/…`.
    static func run(of path: String) -> RunID? {
        let parts = path.split(separator: "/", maxSplits: 2)
        guard parts.count == 3 else { return nil }
        return parts[0] == "runs" ? RunID(parts[1]) : RunID(parts[2].prefix(RunID.length))
    }

    /// Reads the table alone.
    public init(_ name: String, in folder: Directory) throws {
        try self.init(reading: name, as: name, in: folder)
    }
    /// One that has another name as yet.
    init(reading file: String, as name: String, in folder: Directory) throws {
        self.folder = folder
        self.file = file
        self.name = name
        let place = folder.path.split(separator: "/").last.map(String.init) ?? ""
        path = "\(place)/\(name)"
        guard let day = PackedDay.day(of: name) else {
            throw PackedDay.trouble(path, "it is not named as a packed day is")
        }
        self.day = day
        let open = try folder.openForReading(file)
        size = try open.status().size
        let table = try PackedDay.table(open, size, path)
        (blocks, list) = try PackedDay.parse(table, path, within: size)
    }
    static func trouble(_ path: String, _ what: String) -> BundleProblem {
        BundleProblem(
            "E-PACKED", "spool/\(path): \(what)",
            whatToDo:
                "The runs of that day cannot be read from it. Bring it back: bobbin backup restore BUNDLE --only spool/\(path); of a bundle from before that day was packed, its directory: --only spool/\(path.prefix { $0 != "." }). Then remove the damaged file."
        )
    }

    // MARK: the table

    private static func table(_ file: OpenFile, _ size: Int, _ path: String) throws -> [UInt8] {
        let end = try file.read(upTo: 16, from: max(0, size - 16))
        guard end.count == 16, Array(end[8...]) == trailerMagic else {
            throw trouble(path, "its end is missing: it was cut, or is none of ours")
        }
        let length = Int(truncatingIfNeeded: end[..<8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
        guard (0...largestTable).contains(length), length + 24 <= size else {
            throw trouble(path, "its end does not say where its table is")
        }
        let text = try file.read(upTo: length, from: size - 16 - length)
        guard text.count == length, let line = text.firstIndex(of: 0x0A),
            String(decoding: text[..<line], as: UTF8.self)
                == "\(title) \(ContentHash(of: text[(line + 1)...]).text)"
        else { throw trouble(path, "its table was changed") }
        return Array(text[(line + 1)...])
    }
    private static func parse(_ table: [UInt8], _ path: String, within size: Int) throws
        -> ([Block], (Int, Int, ContentHash))
    {
        var blocks: [Block] = []
        var list: (Int, Int, ContentHash)?
        for line in table.split(separator: 0x0A) {
            let words = line.split(separator: 0x20)
            guard words.count >= 4, let offset = Int(String(decoding: words[1], as: UTF8.self)),
                let length = Int(String(decoding: words[2], as: UTF8.self)), offset >= 0, length > 0,
                offset <= size, length <= size - offset, let hash = ContentHash(words[3])
            else { throw trouble(path, "its table has a line that is none") }
            switch String(decoding: words[0], as: UTF8.self) {
            case "block":
                guard words.count == 7, let runs = Int(String(decoding: words[6], as: UTF8.self)),
                    let first = RunID(String(decoding: words[4], as: UTF8.self)),
                    let last = RunID(String(decoding: words[5], as: UTF8.self))
                else { throw trouble(path, "its table has a line that is none") }
                blocks.append(
                    Block(
                        offset: offset, length: length, hash: hash, first: first, last: last, runs: runs))
            case "list": list = (offset, length, hash)
            default: throw trouble(path, "its table has a line that is none")
            }
        }
        guard let list else { throw trouble(path, "its table says nothing of its list") }
        return (blocks, list)
    }

    // MARK: what is in it

    public var runCount: Int { blocks.reduce(0) { $0 + max(0, min($1.runs, 1 << 30)) } }

    /// All files of a run; empty where it is not in here.
    public func files(of run: RunID) throws -> [File] {
        // The first piece that may have it: ids rise from piece to piece.
        var (low, high) = (0, blocks.count)
        while low < high {
            let middle = (low + high) / 2
            if blocks[middle].last < run { low = middle + 1 } else { high = middle }
        }
        guard low < blocks.count, blocks[low].first <= run else { return [] }
        let file = try folder.openForReading(file)
        return try files(blocks[low], in: file).filter { PackedDay.run(of: $0.name) == run }
    }
    /// Paths of the runs whose ids begin so, the newest run first, of `most` runs or a few more.
    public func paths(ofRunsFrom prefix: String, most: Int) throws -> [String] {
        let lower = Array(prefix.utf8), file = try folder.openForReading(file)
        var paths: [String] = []
        var runs: Set<RunID> = []
        for block in blocks.reversed() {
            // By bytes: what the prefix is between the ends of the piece.
            let first = Array(block.first.text.utf8.prefix(lower.count))
            let last = Array(block.last.text.utf8.prefix(lower.count))
            if last.lexicographicallyPrecedes(lower) { break }
            if lower.lexicographicallyPrecedes(first) { continue }
            for entry in try files(block, in: file) {
                guard let run = PackedDay.run(of: entry.name), run.text.hasPrefix(prefix) else { continue }
                runs.insert(run)
                paths.append(entry.name)
            }
            if runs.count >= most { break }
        }
        return paths
    }
    /// Paths with this text, for what is in the names of the files alone.
    public func paths(with text: String) throws -> [String] {
        let needle = Array(text.utf8), list = try listBytes()
        guard let head = needle.first else { return [] }
        return list.withUnsafeBufferPointer { bytes -> [String] in
            var paths: [String] = []
            var start = 0
            while start < bytes.count {
                let end = bytes[start...].firstIndex(of: 0x0A) ?? bytes.count
                var at = start + 66
                while at + needle.count <= end {
                    if bytes[at] == head, bytes[at..<(at + needle.count)].elementsEqual(needle) {
                        paths.append(String(decoding: bytes[(start + 66)..<end], as: UTF8.self))
                        break
                    }
                    at += 1
                }
                start = end + 1
            }
            return paths
        }
    }
    /// Every file, run by run.
    public func forEach(_ body: (File) throws -> Void) throws {
        let file = try folder.openForReading(file)
        for block in blocks { for entry in try files(block, in: file) { try body(entry) } }
    }
    /// What is in it, without reading it.
    public func rows() throws -> [Row] {
        try listBytes().split(separator: 0x0A).map { line in
            let path = String(decoding: line.dropFirst(66), as: UTF8.self)
            guard let hash = ContentHash(line.prefix(64)), let run = PackedDay.run(of: path) else {
                throw PackedDay.trouble(self.path, "its list has a line that is none")
            }
            return Row(path: path, hash: hash, run: run)
        }
    }
    private func listBytes() throws -> [UInt8] {
        let file = try folder.openForReading(file)
        guard let entry = try unpack(list.offset, list.length, list.hash, in: file).first else {
            throw PackedDay.trouble(path, "it has no list")
        }
        return entry.bytes
    }
    /// Reads all of it and compares each file with the list.
    public func verify() throws {
        var left: [[UInt8]: ContentHash] = [:]
        for row in try rows() { left[Array(row.path.utf8)] = row.hash }
        try forEach { entry in
            guard left.removeValue(forKey: Array(entry.name.utf8)) == ContentHash(of: entry.bytes) else {
                throw PackedDay.trouble(path, "\(BundleProblem.shown(entry.name)) is not what its list says")
            }
        }
        guard left.isEmpty else {
            throw PackedDay.trouble(path, "\(left.count) files of its list are not in it")
        }
    }

    private func files(_ block: Block, in file: OpenFile) throws -> [File] {
        try unpack(block.offset, block.length, block.hash, in: file)
    }
    private func unpack(_ offset: Int, _ length: Int, _ hash: ContentHash, in file: OpenFile) throws -> [File]
    {
        let packed = try file.read(upTo: length, from: offset)
        guard packed.count == length, ContentHash(of: packed) == hash else {
            throw PackedDay.trouble(path, "its bytes from \(offset) on were changed")
        }
        do throws(ArchiveError) { return try PackedDay.entries(packed) } catch {
            throw PackedDay.trouble(path, "its bytes from \(offset) on cannot be unpacked: \(error)")
        }
    }
    private static func entries(_ packed: [UInt8]) throws(ArchiveError) -> [File] {
        var all: [File] = []
        try packed.withUnsafeBufferPointer { (bytes) throws(ArchiveError) in
            try ArchiveReader.read(UnsafeRawBufferPointer(bytes), .tar) { found in
                all.append(File(found.name, [], mode: found.mode, modified: found.modified))
                return true
            } piece: { bytes in
                all[all.count - 1].bytes += bytes
                return true
            }
        }
        return all
    }
}
