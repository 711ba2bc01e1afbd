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
    /// Runs that were retired in this segment: published, but perhaps not all of their renames were on the disk when
    /// the power went. A rotation syncs them before it lets the segment go.
    public var retired: [RunID: RunRecord] = [:]
    public var records = 0
    public var lastSequence: UInt64 = 0
    public var lastSegment: UInt64 = 0
    /// Bytes of a torn last record that were left out.
    public var tornBytes = 0
    public var segments: [String] = []

    /// Reads the newest segment that is complete: it carries every run that was in flight when it began, so what is
    /// older says nothing more, and what is newer but lacks carried records was cut off while it was being made.
    public static func read(_ directory: Directory) throws -> Replay {
        // Beside a live runner a segment may be recycled between listing and reading: look again.
        for _ in 0..<20 {
            do { return try readOnce(directory) } catch let error as SystemError {
                if !error.isMissing { throw error }
            } catch is Vanished {
                continue
            }
        }
        return try readOnce(directory)
    }

    /// No complete segment was there, though there was one a moment ago.
    private struct Vanished: Error {}

    private static func readOnce(_ directory: Directory) throws -> Replay {
        let names = try directory.names().filter { $0.hasSuffix(".seg") && !$0.hasPrefix(".") }.sorted()
        let newestNumber = names.last.flatMap { UInt64($0.dropLast(4)) } ?? 0
        var isBlank = true
        for name in names.reversed() {
            let file = try directory.openForReading(name)
            let bytes = try file.read(upTo: Int(try file.status().size))
            var replay = Replay()
            replay.segments = names
            if try replay.take(bytes, name: name, isOnly: names.count == 1) {
                replay.lastSegment = max(replay.lastSegment, newestNumber)
                return replay
            }
            isBlank = isBlank && !bytes.prefix(SegmentHeader.size).contains { $0 != 0 }
        }
        var empty = Replay()
        empty.segments = names
        empty.lastSegment = newestNumber
        // Only first starts that were cut off: no header was ever written, so nothing was ever accepted.
        if isBlank { return empty }
        if try directory.names().filter({ $0.hasSuffix(".seg") }).sorted() != names { throw Vanished() }
        throw JournalDamage(
            segment: names.last ?? "", offset: 0, message: "no segment of this journal is complete")
    }

    /// Takes what was retired since the last rotation as ended only: publishing it once more finishes whatever of its
    /// moves did not survive, and changes nothing where all did.
    public mutating func reviveRetired() {
        live.merge(retired) { alive, _ in alive }
        retired = [:]
    }

    /// Reads one segment; false when it is not complete and so never counted.
    mutating func take(_ bytes: [UInt8], name: String, isOnly: Bool) throws(JournalDamage) -> Bool {
        guard let header = SegmentHeader(bytes.prefix(SegmentHeader.size)),
            "\(Committer.name(header.number))" == name
        else {
            if bytes.count >= 8, bytes.prefix(7).elementsEqual(SegmentHeader.magic.prefix(7)),
                bytes[7] != SegmentHeader.magic[7]
            {
                throw JournalDamage(
                    segment: name, offset: 0,
                    message:
                        "written by another version of bobbin (\(String(decoding: bytes.prefix(8), as: UTF8.self)), this one knows \(String(decoding: SegmentHeader.magic, as: UTF8.self))): let that version run until idle first"
                )
            }
            // A file that was just made, or recycled and not yet written: fine, unless it is all there is.
            guard isOnly, bytes.prefix(SegmentHeader.size).contains(where: { $0 != 0 }) else { return false }
            throw JournalDamage(segment: name, offset: 0, message: "the header is damaged")
        }
        lastSegment = header.number
        lastSequence = header.firstSequence &- 1
        var offset = SegmentHeader.size
        var carried: UInt64 = 0
        while let found = Frame.read(bytes, at: offset, salt: header.salt) {
            guard found.sequence == lastSequence &+ 1 else {
                throw JournalDamage(
                    segment: name, offset: offset,
                    message: "record \(found.sequence) follows record \(lastSequence)")
            }
            lastSequence = found.sequence
            try apply(found, bytes, name: name, offset: offset)
            carried += 1
            offset = found.next
        }
        if carried < header.carried {
            guard isOnly else { return false }
            throw JournalDamage(
                segment: name, offset: offset,
                message: "\(header.carried) carried runs were promised, \(carried) are whole")
        }
        try classifyEnd(bytes, from: offset, name: name, salt: header.salt)
        return true
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
            let (run, event) = try EventCoding.decode(
                kind: found.kind, version: found.version, bytes[found.payload])
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
        case .retired:
            retired[run] = live[run]
            live[run] = nil
        default: live[run]?.apply(event)
        }
    }

    private mutating func classifyEnd(
        _ bytes: [UInt8], from offset: Int, name: String, salt: UInt64
    ) throws(JournalDamage) {
        // What was synced cannot be torn; what was not may come back in any order, with holes (SPOOL.md section 5).
        if let later = Replay.promise(bytes, behind: offset, salt: salt, of: lastSequence &+ 1) {
            throw JournalDamage(
                segment: name, offset: offset,
                message: "damaged here, but the record at \(later) says that this one was synced")
        }
        if let end = Replay.endOfLast(bytes, behind: offset, salt: salt, above: lastSequence) {
            // Whole records behind a hole that no sync covered: they go with it, and are counted.
            tornBytes = end - offset
            return
        }
        // A recycled file holds old bytes behind its end; only a record begun for this place is torn.
        guard offset + Frame.header <= bytes.count, bytes[...].word64(at: offset + 8) == lastSequence &+ 1
        else {
            return
        }
        tornBytes = min(Int(bytes[...].word32(at: offset)) + Frame.overhead, bytes.count - offset)
    }

    /// Where the last whole record of this segment behind `offset` ends.
    private static func endOfLast(_ bytes: [UInt8], behind offset: Int, salt: UInt64, above sequence: UInt64)
        -> Int?
    {
        var end: Int?
        var place = nextPlace(bytes, offset + 8)
        while place + Frame.overhead <= bytes.count {
            if isPlausible(bytes, place, after: sequence),
                let found = Frame.read(bytes, at: place, salt: salt)
            {
                end = found.next
                place = nextPlace(bytes, found.next)
            } else {
                place = nextPlace(bytes, place + 8)
            }
        }
        return end
    }

    /// Whether a record of this segment can stand here, before its bytes are summed up: what a recycled file held
    /// before is full of small numbers that could be lengths of megabytes, and of text that could be sequences.
    private static func isPlausible(_ bytes: [UInt8], _ place: Int, after sequence: UInt64) -> Bool {
        let found = bytes[...].word64(at: place + 8)
        return bytes[place + 6] == 0 && bytes[place + 7] == 0
            && found > sequence && found - sequence <= UInt64(bytes.count / Frame.overhead)
            && bytes[...].word64(at: place + 16) < found
    }

    /// Where the next record can begin: a record's first word, its length and kind, is never zero. Most of a segment is.
    private static func nextPlace(_ bytes: [UInt8], _ from: Int) -> Int {
        Zeros.end(in: bytes, from: from / 8 * 8) / 8 * 8
    }

    /// The first place behind `offset` where a whole record of this segment says that record `sequence` was synced.
    private static func promise(_ bytes: [UInt8], behind offset: Int, salt: UInt64, of sequence: UInt64)
        -> Int?
    {
        var place = nextPlace(bytes, offset + 8)
        while place + Frame.overhead <= bytes.count {
            // Cheapest first: a plausible sequence is rare.
            if isPlausible(bytes, place, after: sequence - 1),
                bytes[...].word64(at: place + 16) >= sequence,
                Frame.read(bytes, at: place, salt: salt) != nil
            {
                return place
            }
            place = nextPlace(bytes, place + 8)
        }
        return nil
    }
}
