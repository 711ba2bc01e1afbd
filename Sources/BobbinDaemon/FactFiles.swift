// What this is: what the audit log and spool/history/ say, brought into the index.
// Owns: which files these are, how far each has been read, what a line of each becomes.
// Never: judges a line; reads one that has no end yet; changes a file.
// On failure: a line that is none is left out and counted; a file that cannot be read is tried at the next look.
import AccessControl
import JobModel
import LinuxSystem
import RunHistory
import SpoolQueue

struct FactFiles {
    static let sampleKind = "sample.depth"
    private enum Form { case history, audit }
    private let spool: Spool
    /// Read at once: a line is never longer than this.
    private static let piece = 4 << 20

    init(_ spool: Spool) { self.spool = spool }

    /// Adds what is new. Returns how many lines were none.
    func read(into history: RunHistory) throws -> Int {
        let known = try history.sources()
        var odd = 0
        if try spool.root.statusIfPresent(SpoolName.history) != nil {
            odd += try read(spool.root.directory(SpoolName.history), .history, known, history)
        }
        guard try spool.site.statusIfPresent("ops") != nil else { return odd }
        let ops = try spool.site.directory("ops")
        if try ops.statusIfPresent(AuditLog.folder) != nil {
            odd += try read(ops.directory(AuditLog.folder), .audit, known, history)
        }
        return odd
    }

    private func read(
        _ directory: Directory, _ form: Form, _ known: [String: Int], _ history: RunHistory
    ) throws -> Int {
        var odd = 0
        for name in try directory.names().sorted() where name.hasSuffix(AuditLog.ending) {
            let source = (form == .audit ? AuditLog.folder : SpoolName.history) + "/" + name
            var offset = known[source] ?? 0
            // Its length is asked before it is opened: most files do not change any more.
            guard try directory.status(name).size > offset else { continue }
            let file = try directory.openForReading(name)
            var isCut = false
            while true {
                let bytes = try file.read(upTo: FactFiles.piece, from: offset)
                // What has no end yet is being written, or was torn off by a crash and is ended by the next line.
                guard let last = bytes.lastIndex(of: UInt8(ascii: "\n")) else {
                    guard bytes.count == FactFiles.piece else { break }
                    // No line of ours is that long: its next piece is passed over too, and what ends it is odd.
                    offset += bytes.count
                    isCut = true
                    continue
                }
                var facts: [HistoryFact] = [], samples: [DepthSample] = []
                var start = 0
                if isCut {
                    odd += 1
                    isCut = false
                    start = (bytes.firstIndex(of: UInt8(ascii: "\n")) ?? last) + 1
                }
                while start <= last, let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) {
                    let line = bytes[start..<end]
                    let place = offset + start
                    start = end + 1
                    guard !line.isEmpty else { continue }
                    switch form {
                    case .audit:
                        guard let record = AuditRecord(line: line) else { odd += 1; continue }
                        facts.append(FactFiles.fact(record, source, place))
                    case .history:
                        // A line that is no JSON is counted below like one that is no map.
                        guard let map = (try? JSONReader.read(Array(line)))?.mapValue,
                            let at = map["at"]?.stringValue.flatMap(Timestamp.init(rfc3339:)),
                            let kind = map["kind"]?.stringValue
                        else { odd += 1; continue }
                        if kind == FactFiles.sampleKind {
                            guard let rows = FactFiles.samples(map, at) else {
                                odd += 1
                                continue
                            }
                            samples += rows
                        } else {
                            facts.append(FactFiles.fact(map, at, kind, source, place))
                        }
                    }
                }
                offset += last + 1
                try history.add(facts, samples, from: source, readTo: offset)
            }
        }
        return odd
    }

    private static func fact(_ record: AuditRecord, _ source: String, _ place: Int) -> HistoryFact {
        HistoryFact(
            source: source, place: place, at: record.at, kind: record.entry.action,
            subject: record.entry.subject, user: record.entry.who, outcome: record.entry.outcome,
            detail: record.entry.why.isEmpty ? [:] : ["why": .string(record.entry.why)])
    }
    private static func fact(
        _ map: ValueMap, _ at: Timestamp, _ kind: String, _ source: String, _ place: Int
    ) -> HistoryFact {
        let told = ["at", "kind", "trigger", "subject", "outcome"]
        let detail = ValueMap(
            distinct: map.entries.filter { !told.contains($0.key) }.map { ($0.key, $0.value) })
        return HistoryFact(
            source: source, place: place, at: at, kind: kind,
            subject: (map["subject"] ?? map["trigger"])?.text ?? "", user: nil,
            outcome: map["outcome"]?.text ?? "", detail: detail)
    }

    /// `{"at":…,"kind":"sample.depth","queues":{"default":{"waiting":1,"running":0,"parked":0,"oldest_seconds":2}}}`
    static func sampleLine(_ samples: [DepthSample]) -> ValueMap {
        var queues = ValueMap()
        for sample in samples {
            var row: ValueMap = [
                "waiting": .int(sample.waiting), "running": .int(sample.running),
                "parked": .int(sample.parked),
            ]
            if let oldest = sample.oldest {
                row["oldest_seconds"] = .double(Double(oldest.milliseconds) / 1000)
            }
            queues[sample.queue] = .map(row)
        }
        return ["kind": .string(sampleKind), "queues": .map(queues)]
    }
    /// More than this no queue has: what says so is damaged.
    private static let most = 1_000_000_000
    /// nil: the line is damaged.
    private static func samples(_ map: ValueMap, _ at: Timestamp) -> [DepthSample]? {
        guard let queues = map["queues"]?.mapValue else { return nil }
        var samples: [DepthSample] = []
        for entry in queues.entries {
            guard let row = entry.value.mapValue else { return nil }
            let numbers = ["waiting", "running", "parked"].map { row[$0]?.intValue ?? 0 }
            let seconds = row["oldest_seconds"]?.doubleValue
            guard numbers.allSatisfy((0...most).contains),
                seconds.map({ (0...Double(most)).contains($0) }) ?? true
            else { return nil }
            samples.append(
                DepthSample(
                    at: at, queue: entry.key, waiting: numbers[0], running: numbers[1], parked: numbers[2],
                    oldest: seconds.map { .milliseconds(Int64(($0 * 1000).rounded())) }))
        }
        return samples
    }
}
