// What this is: reading a journal back: which runs are in flight and what is known of them.
// Owns: the difference between a torn tail (normal after a crash) and damage (never normal).
// Never: writes; it serves the starting runner, a takeover, `bobbin show` and `bobbin journal` alike.
// On failure: JournalDamage names segment and offset; nothing is skipped in silence.
import JobModel
import LinuxSystem

public struct JournalDamage: Error, Hashable, Sendable, CustomStringConvertible {
    public var segment: String
    public var offset: Int
    public var message: String
    public var description: String { "journal segment \(segment), offset \(offset): \(message)" }
}

public struct Replay: Sendable {
    /// Runs that are not retired, by id.
    public var live: [RunID: RunRecord] = [:]
    public var records = 0
    public var lastSequence: UInt64 = 0
    public var lastSegment: UInt64 = 0
    /// Bytes of a torn last record that were left out.
    public var tornBytes = 0
    public var segments: [String] = []

    /// Reads every segment of `directory` in order.
    public static func read(_ directory: Directory) throws -> Replay {
        var replay = Replay()
        replay.segments = try directory.names().filter { $0.hasSuffix(".seg") && !$0.hasPrefix(".") }.sorted()
        for (index, name) in replay.segments.enumerated() {
            do {
                let file = try directory.openForReading(name)
                let bytes = try file.read(upTo: Int(try file.status().size))
                try replay.take(bytes, name: name, isLast: index == replay.segments.count - 1)
            } catch let error as SystemError where error.isMissing {
                // A reader beside a live runner: the segment was recycled between listing and opening.
                continue
            }
        }
        return replay
    }

    /// Every record of the bytes of one segment, for tests and for `journal dump`.
    mutating func take(_ bytes: [UInt8], name: String, isLast: Bool) throws(JournalDamage) {
        guard let header = SegmentHeader(bytes.prefix(SegmentHeader.size)) else {
            // A segment whose header never reached the disk holds nothing that anybody was told of.
            guard isLast else {
                throw JournalDamage(segment: name, offset: 0, message: "the header is damaged")
            }
            if let offset = Replay.firstRecord(bytes, after: 0, salt: nil) {
                throw JournalDamage(
                    segment: name, offset: offset, message: "the header is damaged but records follow")
            }
            return
        }
        lastSegment = max(lastSegment, header.number)
        var offset = SegmentHeader.size
        while let found = Frame.read(bytes, at: offset, salt: header.salt) {
            if lastSequence != 0 && found.sequence != lastSequence + 1 {
                throw JournalDamage(
                    segment: name, offset: offset,
                    message: "record \(found.sequence) follows record \(lastSequence)")
            }
            lastSequence = found.sequence
            if found.kind == Frame.endKind { return }
            try apply(found, bytes, name: name, offset: offset)
            offset = found.next
        }
        try classifyEnd(bytes, from: offset, name: name, salt: header.salt, isLast: isLast)
    }

    private mutating func apply(_ found: Frame.Found, _ bytes: [UInt8], name: String, offset: Int)
        throws(JournalDamage)
    {
        guard found.version <= EventCoding.version else {
            throw JournalDamage(
                segment: name, offset: offset, message: "written by a newer version (format \(found.version))"
            )
        }
        do {
            let (run, event) = try EventCoding.decode(kind: found.kind, bytes[found.payload])
            records += 1
            fold(run, event)
        } catch {
            throw JournalDamage(
                segment: name, offset: offset, message: "a whole record that makes no sense: \(error)")
        }
    }

    private mutating func fold(_ run: RunID, _ event: RunEvent) {
        switch event {
        case .accepted(let acceptance): if live[run] == nil { live[run] = RunRecord(acceptance) }
        case .carried(let record): live[run] = record
        case .retired: live[run] = nil
        default: live[run]?.apply(event)
        }
    }

    private mutating func classifyEnd(
        _ bytes: [UInt8], from offset: Int, name: String, salt: UInt64, isLast: Bool
    ) throws(JournalDamage) {
        if let later = Replay.firstRecord(bytes, after: offset, salt: salt) {
            throw JournalDamage(
                segment: name, offset: offset, message: "damaged here, but a whole record follows at \(later)"
            )
        }
        if !isLast {
            throw JournalDamage(
                segment: name, offset: offset, message: "the segment ends without its end record")
        }
        tornBytes = bytes[min(offset, bytes.count)...].lastIndex { $0 != 0 }.map { $0 + 1 - offset } ?? 0
    }

    /// The first place behind `offset` where a whole record of this segment stands.
    private static func firstRecord(_ bytes: [UInt8], after offset: Int, salt: UInt64?) -> Int? {
        guard let salt else { return nil }
        var place = (offset + 8) / 8 * 8
        while place + Frame.overhead <= bytes.count {
            // A length of zero is not a record, and skipping it makes the scan of zeros cheap.
            if bytes[place] != 0 || bytes[place + 1] != 0 || bytes[place + 4] == Frame.endKind,
                Frame.read(bytes, at: place, salt: salt) != nil
            {
                return place
            }
            place += 8
        }
        return nil
    }
}
