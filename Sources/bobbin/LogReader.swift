// What this is: the logs of a run's steps, in order, and the following of them.
// Owns: the header line of each step's log.
// Never: prints raw control characters, unless asked for with --raw.
// On failure: a log that is gone (retention, a move) is named.
import BobbinDaemon
import JobModel
import LinuxSystem
import SpoolQueue

struct LogReader {
    private let site: Site
    private let raw: Bool
    init(_ site: Site, raw: Bool = false) {
        self.site = site
        self.raw = raw
    }

    func print(_ record: RunRecord, follow: Bool) throws {
        var offsets: [String: Int] = [:]
        while true {
            let ended = try isOver(record.id)
            try printNew(record.id, &offsets)
            guard follow, !ended else { break }
            _ = try Waker.sleep([], until: Clocks.monotonic + 100_000_000)
        }
        if offsets.isEmpty { Terminal.complain("its steps said nothing") }
    }

    private func isOver(_ run: RunID) throws -> Bool {
        !Replays.live(site.spool).contains { $0.id == run && $0.finalState == nil }
    }

    private func printNew(_ run: RunID, _ offsets: inout [String: Int]) throws {
        guard let directory = try RunLogs(site.spool).folder(run) else {
            guard offsets.isEmpty else { return }
            let logs = try RunLogs(site.spool).packed(run)
            for log in logs.sorted(by: { LogReader.inOrder($0.name, $1.name) }) where !log.bytes.isEmpty {
                offsets[log.name] = log.bytes.count
                head(log.name)
                show(log.bytes)
            }
            return
        }
        for name in try directory.names().filter({ $0.hasSuffix(".log") }).sorted(by: LogReader.inOrder) {
            let offset = offsets[name] ?? 0
            let bytes = try directory.openForReading(name).read(upTo: 16 << 20, from: offset)
            guard !bytes.isEmpty else { continue }
            if offset == 0 { head(name) }
            offsets[name] = offset + bytes.count
            show(bytes)
        }
    }

    private func head(_ name: String) {
        StandardOutput.write(Array((Terminal.paint("== \(name.dropLast(4))", .dim) + "\n").utf8))
    }

    /// `2.…` before `10.…`, rounds in their order; the clean-up steps after the others.
    private static func inOrder(_ left: String, _ right: String) -> Bool {
        func key(_ name: String) -> [Int] {
            let section = name.hasPrefix("on_failure") ? 1 : name.hasPrefix("finally") ? 2 : 0
            let parts = name.split(separator: ".").dropFirst(section == 0 ? 0 : 1)
            return [section] + parts.prefix { Int($0) != nil }.compactMap { Int($0) }
        }
        let keys = (key(left), key(right))
        return keys.0 == keys.1 ? left < right : keys.0.lexicographicallyPrecedes(keys.1)
    }

    private func show(_ bytes: [UInt8]) {
        if raw { return StandardOutput.write(bytes) }
        let lines = String(decoding: bytes, as: UTF8.self).split(
            separator: "\n", omittingEmptySubsequences: false)
        StandardOutput.write(Array(lines.map { Terminal.escape(String($0)) }.joined(separator: "\n").utf8))
    }

    func daemon(follow: Bool) throws {
        var offset = 0
        var known: FileIdentity?
        repeat {
            if let status = try site.spool.log.statusIfPresent(SpoolName.logFile) {
                // Set aside since: the new one from its beginning.
                if status.identity != known || status.size < offset { offset = 0 }
                known = status.identity
                let bytes = try site.spool.log.openForReading(SpoolName.logFile).read(
                    upTo: 16 << 20, from: offset)
                offset += bytes.count
                StandardOutput.write(bytes)
            }
            if follow { _ = try Waker.sleep([], until: Clocks.monotonic + 200_000_000) }
        } while follow
    }
}
