// What this is: spool/history/<day>.jsonl: facts that are in no result: what triggers did, one JSON object a line.
// Owns: the form of a line.
// Never: is read to decide anything about a run; holds anything up.
// On failure: the line is lost, and the log says so.
import JobModel
import LinuxSystem
import SpoolQueue

struct HistoryFile {
    private let spool: Spool
    private let log: DaemonLog
    init(_ spool: Spool, _ log: DaemonLog) {
        self.spool = spool
        self.log = log
    }

    func append(_ facts: [ValueMap], at now: Timestamp) {
        do throws(SystemError) { try HistoryFile.write(facts, spool, at: now) } catch {
            log.warn("history", "spool/\(SpoolName.history) lacks \(facts.count) lines: \(error)")
        }
    }

    static func write(_ facts: [ValueMap], _ spool: Spool, at now: Timestamp) throws(SystemError) {
        guard !facts.isEmpty else { return }
        let lines = facts.map { fact -> String in
            var line: ValueMap = ["at": .string(now.rfc3339)]
            line.merge(fact)
            return JSONText.write(.map(line)) + "\n"
        }
        let directory = try spool.root.makeDirectory(SpoolName.history)
        let name = "\(now.utcDay).jsonl"
        var text = lines.joined()
        // What a crash tore off must not take this line with it.
        if let size = try directory.statusIfPresent(name)?.size, size > 0,
            try directory.openForReading(name).read(upTo: 1, from: size - 1) != [UInt8(ascii: "\n")]
        {
            text = "\n" + text
        }
        try directory.openForAppending(name).append(Array(text.utf8))
    }
}
