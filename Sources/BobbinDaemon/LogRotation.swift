// What this is: the setting aside of spool/log/bobbin.log: a new one every day, the older ones packed.
// Owns: the names of those set aside, `bobbin-2026-11-29.log`; which of them are packed (all but the newest), as logrotate's
//   `daily`, `delaycompress` and `notifempty` do.
// Never: copies or cuts a log that somebody writes: a writer sees that its file has another name and opens the new one.
// On failure: SystemError; what was renamed stays so, and a half packed file is removed by the next rotation.
import Archives
import Bundles
import JobModel
import LinuxSystem
import SpoolQueue

struct LogRotation {
    private let folder: Directory
    private static let prefix = "bobbin-", plain = ".log", gzip = ".log.gz", temporary = ".tmp"
    private static let piece = 4 << 20

    init(_ spool: Spool) { folder = spool.log }

    /// The day on which a log was set aside; nil for what is none of ours.
    static func day(of name: String) -> String? {
        guard name.hasPrefix(prefix), name.hasSuffix(plain) || name.hasSuffix(gzip) else { return nil }
        // The whole of it: what an operator called `bobbin-2026-11-20-incident.log` is his.
        let stem = name.dropFirst(prefix.count).dropLast(name.hasSuffix(gzip) ? gzip.count : plain.count)
        let parts = stem.split(separator: ".", omittingEmptySubsequences: false)
        guard let day = parts.first, PackedDay.isDay(day),
            parts.count == 1 || parts.count == 2 && Int(parts[1]) != nil
        else { return nil }
        return String(day)
    }

    /// The new name of the log of until now; nil where nothing is to be set aside.
    func next(_ now: Timestamp) throws -> String? {
        guard let status = try folder.statusIfPresent(SpoolName.logFile), status.size > 0 else { return nil }
        let day = now.utcDay
        // Once a day; a second one of a day is made only when the first is large.
        let names = try folder.names().filter { LogRotation.day(of: $0) == day }
        if !names.isEmpty, status.size < 64 << 20 { return nil }
        for number in 1...1_000 {
            let stem = LogRotation.prefix + day + (number == 1 ? "" : ".\(number)")
            if !names.contains(stem + LogRotation.plain), !names.contains(stem + LogRotation.gzip) {
                return stem + LogRotation.plain
            }
        }
        return nil
    }

    /// Returns the new name, and which older logs were packed.
    func perform(_ now: Timestamp) throws -> (aside: String?, packed: [String]) {
        let before = try folder.names().filter {
            LogRotation.day(of: $0) != nil && $0.hasSuffix(LogRotation.plain)
        }
        let name = try next(now)
        if let name { try folder.rename(SpoolName.logFile, to: folder, name) }
        // The one of yesterday stays plain for a day: people read it, and a writer may have a last line for it.
        let ready = name == nil ? before.sorted().dropLast() : before.sorted()[...]
        for old in ready { try pack(old) }
        return (name, Array(ready))
    }
    private func pack(_ name: String) throws {
        let source = try folder.openForReading(name)
        let status = try source.status()
        let target = name + ".gz"
        try folder.removeIfPresent(target + LogRotation.temporary)
        let file = try folder.create(target + LogRotation.temporary, mode: status.mode & 0o777)
        var offset = 0
        while true {
            let bytes = try source.read(upTo: LogRotation.piece, from: offset)
            if bytes.isEmpty { break }
            offset += bytes.count
            // Packed pieces one after the other are one gzip file.
            try file.append(Packing.gzip.packed(bytes))
        }
        try file.setModified(status.modified)
        try file.syncData()
        try folder.rename(target + LogRotation.temporary, to: folder, target)
        try folder.sync()
        try folder.remove(name)
    }
}
