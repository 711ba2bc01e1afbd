// What this is: the memory of one watcher: which files it knows in which version, and which contents it has had.
// Owns: its file (a line for each change), the rewriting of it, and what is undone after a crash.
// Never: looks at the watched folder; decides what a change means.
// On failure: SystemError of the disk: then nothing was recorded. Damaged lines are left out and counted.
import JobModel
import LinuxSystem

/// The order with the log of fires: a change that starts something is recorded here with its ticket, synced; then the fire is
/// decided there; then `confirm`. A ticket after the last confirmation that nobody knows was never decided: it is undone.
public final class FileLedger {
    /// A file as it was seen.
    public struct Known: Hashable, Sendable {
        public var inode: UInt64
        public var size: Int
        public var modified: Int64
        /// It is no more; kept where a name must not be processed again. Seconds since 1970 of when it went.
        public var goneAt: Int64?
        public init(inode: UInt64, size: Int, modified: Int64, goneAt: Int64? = nil) {
            self.inode = inode
            self.size = size
            self.modified = modified
            self.goneAt = goneAt
        }
        public init(_ status: FileStatus) {
            self.init(inode: status.inode, size: status.size, modified: status.modified)
        }
    }
    /// The first 128 bits of a SHA-256.
    public struct Content: Hashable, Sendable {
        var high: UInt64
        var low: UInt64
        public init?(hex text: String) {
            guard text.utf8.count >= 32, let high = UInt64(text.prefix(16), radix: 16),
                let low = UInt64(text.dropFirst(16).prefix(16), radix: 16)
            else { return nil }
            self.high = high
            self.low = low
        }
        var hex: String {
            func digits(_ word: UInt64) -> String {
                let text = String(word, radix: 16)
                return String(repeating: "0", count: 16 - text.utf8.count) + text
            }
            return digits(high) + digits(low)
        }
    }
    public enum Change: Hashable, Sendable {
        /// Nil: nothing is known of it any more.
        case file(String, Known?)
        /// Seconds since 1970; nil: forgotten.
        case content(Content, Int64?)
    }
    private struct Entry: Hashable {
        var change: Change
        var ticket: String?
    }

    private let directory: Directory
    private let name: String
    private let rewriteAt: Int
    private var file: OpenFile
    private var size = 0
    private var sizeAtRewrite = 0
    /// What tells the folder that was watched from others, and since when (seconds since 1970); 0: not known yet.
    public private(set) var folder: (inode: UInt64, since: Int64) = (0, 0)
    /// By folder ("" is the watched one), then by name.
    private var folders = ByteMap<ByteMap<Known>>()
    private var contents: [Content: Int64] = [:]
    private var byInode: [UInt64: String]?
    /// What held before each change that nobody has confirmed, in order.
    private var unsure: [(ticket: String, before: Change)] = []
    public private(set) var damaged = 0
    /// Whether its watcher has never looked through its folder to the end.
    public private(set) var isNew = true
    /// What is true in memory and could not be written yet: it goes before the next line.
    private var owed: [UInt8] = []
    /// The file was replaced and could not be opened anew.
    private var isStale = false
    private static let largest = 4 << 30

    /// `tracksMoves`: files are found by inode as well.
    public init(_ name: String, in directory: Directory, tracksMoves: Bool, rewriteAt: Int = 4 << 20)
        throws(SystemError)
    {
        self.directory = directory
        self.name = name
        self.rewriteAt = rewriteAt
        byInode = tracksMoves ? [:] : nil
        file = try directory.openForUpdate(name, mode: 0o600)
        let bytes = try file.readToEnd(limit: FileLedger.largest)
        // Its end is the newest: a file that is not read whole must not be cut.
        guard bytes.count < FileLedger.largest else { throw SystemError.tooLarge(name) }
        let whole = bytes.lastIndex(of: 0x0A).map { $0 + 1 } ?? 0
        if whole < bytes.count { try file.truncate(to: whole) }
        size = whole
        var start = 0, lines = 0
        while start < whole, let end = bytes[start...].firstIndex(of: 0x0A) {
            take(bytes[start..<end])
            start = end + 1
            lines += 1
        }
        // About what it would be if it had been written anew.
        sizeAtRewrite = lines == 0 ? 0 : whole / lines * (count + contents.count)
    }

    // MARK: asking

    public func known(_ path: String) -> Known? {
        let (folder, name) = FileLedger.split(path)
        return folders[folder]?[name]
    }
    public func names(in folder: String) -> [String] { folders[folder]?.keys ?? [] }
    /// Every folder that has files in it, itself or below.
    public func folders(below folder: String) -> [String] {
        folders.keys.filter { $0.isInside(folder) || $0.hasBytes(of: folder) }
    }
    public func has(_ content: Content) -> Bool { contents[content] != nil }
    public func path(inode: UInt64) -> String? { byInode?[inode] }
    public var count: Int { folders.values.reduce(0) { $0 + $1.count } }

    static func split(_ path: String) -> (folder: String, name: String) {
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return ("", path) }
        return (String(path[..<slash]), String(path[path.utf8.index(after: slash)...]))
    }

    // MARK: recording

    /// Takes changes; with a ticket they are durable when this returns, and unsure until `confirm`.
    public func record(_ changes: [(Change, ticket: String?)]) throws(SystemError) {
        guard !changes.isEmpty else { return }
        var bytes: [UInt8] = []
        for (change, ticket) in changes { FileLedger.write(change, ticket, &bytes) }
        try append(bytes, durable: changes.contains { $0.ticket != nil })
        for (change, ticket) in changes { apply(change, ticket) }
        if unsure.isEmpty { try rewriteIfGrown() }
    }
    /// What was recorded with these tickets is decided.
    public func confirm(_ tickets: Set<String>) throws(SystemError) {
        guard !unsure.isEmpty else { return }
        unsure.removeAll { tickets.contains($0.ticket) }
        // A confirmation speaks of all lines above it.
        guard unsure.isEmpty else { return }
        try append([0x43, 0x0A], durable: false)
        try rewriteIfGrown()
    }
    /// The tickets that nobody has confirmed.
    public var unsureTickets: Set<String> { Set(unsure.map(\.ticket)) }
    /// Undoes what was recorded with tickets that were never decided; those in `known` hold. In memory it is undone when
    /// this throws, too: then its lines are owed.
    public func settle(known: Set<String>) throws(SystemError) {
        guard !unsure.isEmpty else { return }
        let undone = unsure.reversed().filter { !known.contains($0.ticket) }.map(\.before)
        unsure = []
        for change in undone {
            FileLedger.write(change, nil, &owed)
            apply(change, nil)
        }
        owed += [0x43, 0x0A]
        try append([], durable: false)
    }
    /// A new watcher's first look is over, and what it saw is on disk.
    public func founded() throws(SystemError) {
        guard isNew else { return }
        try append([0x46, 0x0A], durable: true)
        isNew = false
    }
    /// Which folder it is that is watched.
    public func set(folder inode: UInt64, at seconds: Int64) throws(SystemError) {
        try append(Array("r - \(inode) \(seconds)\n".utf8), durable: false)
        folder = (inode, seconds)
    }
    /// Forgets what went, and contents that came, before an instant (seconds since 1970).
    public func forget(before instant: Int64) throws(SystemError) {
        var old: [(Change, ticket: String?)] = []
        folders.forEach { folder, files in
            files.forEach { name, known in
                guard let gone = known.goneAt, gone < instant else { return }
                old.append((.file(folder.isEmpty ? name : "\(folder)/\(name)", nil), nil))
            }
        }
        for (content, at) in contents where at < instant { old.append((.content(content, nil), nil)) }
        try record(old)
    }

    private func apply(_ change: Change, _ ticket: String?) {
        switch change {
        case .file(let path, let known):
            let (folder, name) = FileLedger.split(path)
            let before = folders[folder]?[name]
            if let ticket { unsure.append((ticket, .file(path, before))) }
            if let before, byInode?[before.inode]?.hasBytes(of: path) == true { byInode?[before.inode] = nil }
            folders[folder, default: ByteMap()][name] = known
            if folders[folder]?.isEmpty == true { folders.removeValue(folder) }
            if let known, known.goneAt == nil { byInode?[known.inode] = path }
        case .content(let content, let at):
            if let ticket { unsure.append((ticket, .content(content, contents[content]))) }
            contents[content] = at
        }
    }

    private func append(_ bytes: [UInt8], durable: Bool) throws(SystemError) {
        if isStale {
            file = try directory.openForUpdate(name, mode: 0o600)
            size = try file.status().size
            isStale = false
        }
        let all = owed + bytes
        do {
            try file.write(all, at: size)
            if durable { try file.syncData() }
        } catch {
            // What cannot be cut is overwritten by the next line.
            try? file.truncate(to: size)
            throw error
        }
        size += all.count
        owed = []
    }

    private func rewriteIfGrown() throws(SystemError) {
        guard size > rewriteAt, size > 2 * sizeAtRewrite else { return }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(size / 2)
        folders.forEach { folder, files in
            files.forEach { name, known in
                FileLedger.write(.file(folder.isEmpty ? name : "\(folder)/\(name)", known), nil, &bytes)
            }
        }
        for (content, at) in contents { FileLedger.write(.content(content, at), nil, &bytes) }
        bytes += "r - \(folder.inode) \(folder.since)\n\(isNew ? "" : "F\n")C\n".utf8
        // From the rename on, the old file is nobody's.
        isStale = true
        try AtomicFile.write(bytes, to: name, in: directory, mode: 0o600, existing: .replace)
        sizeAtRewrite = bytes.count
        try append([], durable: false)
    }

    // MARK: lines
    //
    // f TICKET INODE SIZE MODIFIED GONE PATH    (- for none; the path is last, with % and newline as %25 and %0A)
    // x TICKET PATH                             nothing is known of it any more
    // c TICKET HEX SECONDS                      a content; - for forgotten
    // r - INODE SECONDS                         the folder that is watched, and since when
    // F                                         the first look is over
    // C                                         all above is decided

    private static func write(_ change: Change, _ ticket: String?, _ out: inout [UInt8]) {
        let ticket = ticket ?? "-"
        switch change {
        case .file(let path, let known?):
            let gone = known.goneAt.map(String.init) ?? "-"
            out += "f \(ticket) \(known.inode) \(known.size) \(known.modified) \(gone) ".utf8
            writePath(path, &out)
        case .file(let path, nil):
            out += "x \(ticket) ".utf8
            writePath(path, &out)
        case .content(let content, let at):
            out += "c \(ticket) \(content.hex) \(at.map(String.init) ?? "-")".utf8
        }
        out.append(0x0A)
    }
    private static func writePath(_ path: String, _ out: inout [UInt8]) {
        for byte in path.utf8 {
            switch byte {
            case 0x25: out += "%25".utf8
            case 0x0A: out += "%0A".utf8
            default: out.append(byte)
            }
        }
    }
    private static func path(_ bytes: ArraySlice<UInt8>) -> String {
        guard bytes.contains(0x25) else { return String(decoding: bytes, as: UTF8.self) }
        var out: [UInt8] = []
        var rest = bytes
        while let byte = rest.popFirst() {
            if byte == 0x25, rest.count >= 2 {
                out.append(Array(rest.prefix(2)) == [0x30, 0x41] ? 0x0A : 0x25)
                rest = rest.dropFirst(2)
            } else {
                out.append(byte)
            }
        }
        return String(decoding: out, as: UTF8.self)
    }

    private func take(_ line: ArraySlice<UInt8>) {
        if line.count == 1, line.first == 0x43 { return unsure = [] }
        if line.count == 1, line.first == 0x46 { return isNew = false }
        if line.first == UInt8(ascii: "r") {
            let words = line.split(separator: 0x20).map { String(decoding: $0, as: UTF8.self) }
            if words.count == 4, let inode = UInt64(words[2]), let since = Int64(words[3]) {
                folder = (inode, since)
                return
            }
        }
        guard let entry = FileLedger.entry(line) else {
            damaged += 1
            return
        }
        apply(entry.change, entry.ticket)
    }
    private static func entry(_ line: ArraySlice<UInt8>) -> Entry? {
        var rest = line
        func word() -> ArraySlice<UInt8>? {
            guard let space = rest.firstIndex(of: 0x20) else { return nil }
            defer { rest = rest[(space + 1)...] }
            return rest[..<space]
        }
        func number<Whole: FixedWidthInteger>(_: Whole.Type) -> Whole? {
            word().flatMap { Whole(String(decoding: $0, as: UTF8.self)) }
        }
        guard let kind = word(), let ticketBytes = word() else { return nil }
        let text = String(decoding: ticketBytes, as: UTF8.self)
        let ticket = text == "-" ? nil : text
        switch kind.first {
        case UInt8(ascii: "f"):
            guard let inode = number(UInt64.self), let size = number(Int.self),
                let modified = number(Int64.self),
                let gone = word(), !rest.isEmpty
            else { return nil }
            let known = Known(
                inode: inode, size: size, modified: modified,
                goneAt: Int64(String(decoding: gone, as: UTF8.self)))
            return Entry(change: .file(path(rest), known), ticket: ticket)
        case UInt8(ascii: "x"):
            return rest.isEmpty ? nil : Entry(change: .file(path(rest), nil), ticket: ticket)
        case UInt8(ascii: "c"):
            guard let hex = word(), let content = Content(hex: String(decoding: hex, as: UTF8.self)) else {
                return nil
            }
            return Entry(
                change: .content(content, Int64(String(decoding: rest, as: UTF8.self))), ticket: ticket)
        default: return nil
        }
    }
}
