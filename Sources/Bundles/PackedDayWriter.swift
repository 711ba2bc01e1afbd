// What this is: the making of a packed day: runs in, one file out, read back before it has its name.
// Owns: the temporary file, the pieces and their table, the sync and the rename.
// Never: replaces a file; removes what was packed: that is for who called, when this has returned.
// On failure: nothing has a name; the temporary file is removed, or by removeLeftovers() after a kill.
import Archives
import JobModel
import LinuxSystem

public final class PackedDayWriter {
    private let folder: Directory
    private let day: String
    private let temporary: String
    private let file: OpenFile
    private var pending: [PackedDay.File] = []
    private var pendingBytes = 0
    private var pendingRuns: (first: RunID, last: RunID, count: Int)?
    private var last: RunID?
    private var offset = 0
    /// Who may read all that is in it, may read it.
    private var modes: UInt32 = 0o444
    private var table = ""
    private var list: [UInt8] = []

    /// `folder`: done/, failed/ or runs/.
    public init(_ day: String, in folder: Directory, nonce: String) throws {
        self.folder = folder
        self.day = day
        temporary = ".\(day)-\(nonce).tmp"
        file = try folder.create(temporary, mode: 0o600)
    }
    public static func isLeftover(_ name: String) -> Bool {
        name.hasPrefix(".") && name.hasSuffix(".tmp") && PackedDay.isDay(name.dropFirst().prefix(10))
    }
    public func abandon() throws { try folder.removeIfPresent(temporary) }

    /// The files of one run, whose id is greater than that of the one before.
    public func add(_ run: RunID, _ files: [PackedDay.File]) throws {
        precondition(last.map { $0 < run } ?? true, "runs are packed in the order of their ids")
        precondition(files.allSatisfy { PackedDay.run(of: $0.name) == run }, "a file of another run")
        last = run
        pendingRuns = (pendingRuns?.first ?? run, run, (pendingRuns?.count ?? 0) + 1)
        for file in files {
            modes &= file.mode
            ContentHash(of: file.bytes).write(&list)
            list += Array("  \(file.name)\n".utf8)
            pendingBytes += file.bytes.count + 512
        }
        pending += files
        if pendingBytes >= PackedDay.blockBytes { try flush() }
    }

    private func flush() throws {
        guard let runs = pendingRuns else { return }
        let packed = try pack(pending, isLast: false)
        table +=
            "block \(offset) \(packed.count) \(ContentHash(of: packed).text) \(runs.first) \(runs.last) \(runs.count)\n"
        try file.append(packed)
        offset += packed.count
        (pending, pendingBytes, pendingRuns) = ([], 0, nil)
    }
    private func pack(_ files: [PackedDay.File], isLast: Bool) throws -> [UInt8] {
        do throws(ArchiveError) { return try TarWriter.piece(files, .zstd, isLast: isLast) } catch {
            throw BundleProblem("E-PACKED", "the runs of \(day) cannot be packed: \(error)")
        }
    }

    /// Gives the file its name, when all that is in it was read back.
    public func finish(modified: Int64) throws -> PackedDay {
        try flush()
        let place = folder.path.split(separator: "/").last.map(String.init) ?? ""
        let packed = try pack(
            [.init("\(place)/\(day)/\(PackedDay.listName)", list, mode: 0o444, modified: modified)],
            isLast: true)
        table += "list \(offset) \(packed.count) \(ContentHash(of: packed).text)\n"
        try file.append(packed)
        let text = Array(
            "\(PackedDay.title) \(ContentHash(of: Array(table.utf8)).text)\n\(table)".utf8)
        try file.append(
            PackedDay.frameMagic + PackedDayWriter.little(text.count + 16, bytes: 4) + text
                + PackedDayWriter.little(text.count, bytes: 8) + PackedDay.trailerMagic)
        try file.setMode(modes & 0o444 | 0o400)
        try file.syncData()
        return try appear()
    }
    private static func little(_ number: Int, bytes: Int) -> [UInt8] {
        (0..<bytes).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
    }
    private func appear() throws -> PackedDay {
        for number in 1...10_000 {
            let name = day + (number == 1 ? "" : ".\(number)") + PackedDay.ending
            guard try folder.statusIfPresent(name) == nil else { continue }
            // By another name first: what cannot be read back never has this one.
            let check = try PackedDay(reading: temporary, as: name, in: folder)
            try check.verify()
            try folder.rename(temporary, to: folder, name)
            try folder.sync()
            return try PackedDay(name, in: folder)
        }
        throw BundleProblem("E-PACKED", "the day \(day) has ten thousand packed files in \(folder.path)")
    }
}
