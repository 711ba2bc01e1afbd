// What this is: `ops/audit/*.jsonl`: the decisions of people and the refusals of the site, one line each, chained by hash.
// Owns: the files, the lock under which they grow, their rotation, the signed checkpoints.
// Never: changes or removes a line; a torn one that a crash left at the end was never acknowledged, and is cut.
// On failure: SystemError to whoever wants to record; what cannot be recorded is not done.
// A file is named by the number of its first record; the chain goes on from file to file.
import JobModel
import LinuxSystem

public final class AuditLog: Sendable {
    public static let folder = "audit", ending = ".jsonl", checkpointFile = "checkpoint.txt"
    private static let lockFile = ".lock"
    static let checkpointAction = "audit.checkpoint"
    /// A checkpoint after so many records.
    private static let checkpointEvery = 100
    private static let patience = Span.milliseconds(500).nanoseconds
    private let ops: Directory
    private let state: Directory
    /// Made with the first record: a site on which nobody decides anything has no log.
    private let place = Monitor<Place?>(nil)
    private let origin: String
    private let longestFile: Int
    /// Of the last record, as we left it: where nobody else has written since, the tail need not be read.
    private let known = Monitor<Tail?>(nil)

    private struct Place: Sendable {
        var directory: Directory
        var key: AuditKey
    }
    private struct Tail: Sendable {
        var file: String
        var size: Int
        var sequence: Int
        var hash: String
        var sinceCheckpoint: Int
    }

    /// `ops`: the site's; `state`: its `.bobbin`. `origin` names the site in checkpoints.
    public init(ops: Directory, state: Directory, origin: String, longestFile: Int = 4 << 20) {
        self.ops = ops
        self.state = state
        self.origin = origin
        self.longestFile = longestFile
    }
    private func opened() throws(SystemError) -> Place {
        // Moved away or removed since: what is written must be where people look for it.
        if let known = place.with({ $0 }), let there = try ops.statusIfPresent(AuditLog.folder),
            try there.identity == known.directory.status().identity
        {
            return known
        }
        let isNew = try ops.statusIfPresent(AuditLog.folder) == nil
        let directory = try ops.makeDirectory(AuditLog.folder, mode: 0o750)
        if isNew { try ops.sync() }
        let fresh = Place(directory: directory, key: try AuditKey(state, directory))
        place.with { $0 = fresh }
        known.with { $0 = nil }
        return fresh
    }

    /// Adds entries in this order; they are on disk when this returns. A checkpoint may come after them: its note, for whoever
    /// keeps a copy elsewhere.
    @discardableResult
    public func append(_ entries: [AuditEntry], at now: Timestamp) throws(SystemError) -> String? {
        try locked { (place) throws(SystemError) in
            var tail = try tail(place.directory)
            try add(entries, at: now, &tail, place.directory)
            known.with { $0 = tail }
            guard tail.sinceCheckpoint >= AuditLog.checkpointEvery else { return nil }
            // The entries are on disk: that they are not signed yet is no reason to write them again. The next append, or the
            // hourly checkpoint, tries once more and tells.
            guard let note = try? checkpoint(at: now, &tail, place) else { return nil }
            known.with { $0 = tail }
            return note
        }
    }

    /// Signs where the log ends now, if anything is new; nil where nothing is.
    public func checkpoint(at now: Timestamp) throws(SystemError) -> String? {
        // Nothing was ever written, here or by others: nothing is signed.
        guard try ops.statusIfPresent(AuditLog.folder) != nil else { return nil }
        return try locked { (place) throws(SystemError) in
            var tail = try tail(place.directory)
            guard tail.sinceCheckpoint > 0 else { return nil }
            let note = try checkpoint(at: now, &tail, place)
            known.with { $0 = tail }
            return note
        }
    }

    private func checkpoint(at now: Timestamp, _ tail: inout Tail, _ place: Place) throws(SystemError)
        -> String
    {
        let note = try place.key.sign(AuditCheckpoint(origin: origin, size: tail.sequence, head: tail.hash))
        try add(
            [AuditEntry(AuditLog.checkpointAction, origin, by: nil, outcome: "signed", why: note)], at: now,
            &tail,
            place.directory)
        tail.sinceCheckpoint = 0
        try AtomicFile.write(
            Array(note.utf8), to: AuditLog.checkpointFile, in: place.directory, existing: .replace)
        return note
    }

    /// One write and one sync for all that go into one file.
    private func add(_ entries: [AuditEntry], at now: Timestamp, _ tail: inout Tail, _ directory: Directory)
        throws(SystemError)
    {
        var bytes: [UInt8] = []
        for entry in entries {
            if tail.size + bytes.count >= longestFile {
                try write(bytes, &tail, directory)
                bytes = []
                tail.file = AuditLog.name(of: tail.sequence + 1)
                tail.size = 0
            }
            let (text, hash) = AuditRecord.line(tail.sequence + 1, now, entry, after: tail.hash)
            bytes += Array((text + "\n").utf8)
            tail.sequence += 1
            tail.hash = hash
            tail.sinceCheckpoint += 1
        }
        try write(bytes, &tail, directory)
    }
    private func write(_ bytes: [UInt8], _ tail: inout Tail, _ directory: Directory) throws(SystemError) {
        guard !bytes.isEmpty else { return }
        do throws(SystemError) {
            let file = try directory.openForAppending(tail.file, mode: 0o640)
            try file.append(bytes)
            try file.syncData()
            if tail.size == 0 { try directory.sync() }
        } catch {
            // A part of it may be there: the next one looks, and cuts it off where it is no whole line.
            known.with { $0 = nil }
            throw error
        }
        tail.size += bytes.count
    }

    private static func name(of sequence: Int) -> String {
        let digits = String(sequence)
        return String(repeating: "0", count: max(0, 10 - digits.count)) + digits + ending
    }

    private func locked<Answer>(_ body: (Place) throws(SystemError) -> Answer) throws(SystemError) -> Answer {
        let place = try opened()
        let end = Clocks.monotonic + AuditLog.patience
        while true {
            if let lock = try FileLock.take(AuditLog.lockFile, in: place.directory) {
                defer { withExtendedLifetime(lock) {} }
                return try body(place)
            }
            // Others hold it for milliseconds; one that is stopped must not stop us.
            guard Clocks.monotonic < end else {
                throw SystemError("lock", "\(place.directory.path)/\(AuditLog.lockFile)", errno: 11)
            }
            _ = try Waker.sleep([], until: Clocks.monotonic + 1_000_000)
        }
    }

    /// Where the log ends; what a crash left of a last line is cut off.
    private func tail(_ directory: Directory) throws(SystemError) -> Tail {
        let names = try AuditLog.files(directory)
        guard let last = names.last else {
            return Tail(
                file: AuditLog.name(of: 1), size: 0, sequence: 0, hash: AuditRecord.noHash, sinceCheckpoint: 0
            )
        }
        let size = try directory.status(last).size
        if let known = known.with({ $0 }), known.file == last, known.size == size { return known }
        var lines = try AuditLog.lines(last, directory)
        let end = size - lines.torn
        if lines.torn > 0 { try directory.openForUpdate(last, mode: 0o640).truncate(to: end) }
        if lines.whole.isEmpty, names.count > 1 {
            lines = try AuditLog.lines(names[names.count - 2], directory)
        }
        guard let line = lines.whole.last, let record = AuditRecord(line: line) else {
            if lines.whole.isEmpty {
                return Tail(file: last, size: 0, sequence: 0, hash: AuditRecord.noHash, sinceCheckpoint: 0)
            }
            // Going on behind a line that is no record would hide that it was changed.
            throw SystemError("audit", "\(directory.path)/\(last)", errno: 74)
        }
        let since = lines.whole.reversed().prefix {
            AuditRecord(line: $0)?.entry.action != AuditLog.checkpointAction
        }.count
        return Tail(
            file: last, size: end, sequence: record.sequence, hash: record.hash,
            sinceCheckpoint: since)
    }

    // MARK: reading, which needs no lock: lines only come at the end

    static func files(_ directory: Directory) throws(SystemError) -> [String] {
        try directory.names().filter { $0.hasSuffix(ending) && !$0.hasPrefix(".") }.sorted()
    }
    static func lines(_ name: String, _ directory: Directory) throws(SystemError) -> (
        whole: [ArraySlice<UInt8>], torn: Int
    ) {
        let file = try directory.openForReading(name)
        let bytes = try file.read(upTo: file.status().size)
        var whole: [ArraySlice<UInt8>] = []
        var start = 0
        for (index, byte) in bytes.enumerated() where byte == 0x0A {
            whole.append(bytes[start..<index])
            start = index + 1
        }
        return (whole, bytes.count - start)
    }

    /// All records that can be read, from the oldest on.
    public static func records(ops: Directory) throws(SystemError) -> [AuditRecord] {
        guard try ops.statusIfPresent(folder) != nil else { return [] }
        let directory = try ops.directory(folder)
        var records: [AuditRecord] = []
        for name in try files(directory) {
            records += try lines(name, directory).whole.compactMap { AuditRecord(line: $0) }
        }
        return records
    }
}
