// What this is: a journal as it lies on the disk, segment by segment and record by record, for `bobbin journal dump`.
// Owns: what is shown of segments that no longer count, or never did; Replay alone says what is true.
// Never: writes; folds records into runs.
// On failure: a segment that cannot be understood is listed with the reason, and the others are listed all the same.
import JobModel
import LinuxSystem

public struct SegmentDump: Sendable {
    public struct Record: Sendable {
        public var offset: Int
        public var sequence: UInt64
        /// The last record that a sync had covered when this one was written.
        public var durable: UInt64
        public var run: RunID
        public var event: RunEvent
    }
    public var name: String
    public var bytes: Int
    /// How many records of runs carried over it must begin with to count; nil: it has no header.
    public var carried: UInt64?
    public var records: [Record] = []
    /// Where the records end, and what stands there if it is not zeros.
    public var end = 0
    public var trouble: String?

    /// Every segment of a journal's directory, the oldest first.
    public static func read(_ directory: Directory) throws -> [SegmentDump] {
        let names = try directory.names().filter { $0.hasSuffix(".seg") }.sorted()
        return try names.compactMap { name in
            do throws(SystemError) {
                let file = try directory.openForReading(name)
                return SegmentDump(
                    name, try file.read(upTo: Int(try file.status().size)), isOnly: names.count == 1)
            } catch {
                // A rotation has just recycled it.
                if error.isMissing { return nil }
                throw error
            }
        }
    }

    init(_ name: String, _ bytes: [UInt8], isOnly: Bool) {
        self.name = name
        self.bytes = bytes.count
        guard let header = SegmentHeader(bytes.prefix(SegmentHeader.size)) else {
            let isBlank = !bytes.prefix(SegmentHeader.size).contains { $0 != 0 }
            trouble = isBlank ? "not written yet" : "no header of this version"
            return
        }
        carried = header.carried
        end = SegmentHeader.size
        while let found = Frame.read(bytes, at: end, salt: header.salt) {
            do {
                let (run, event) = try EventCoding.decode(
                    kind: found.kind, version: found.version, bytes[found.payload])
                records.append(
                    Record(
                        offset: end, sequence: found.sequence, durable: found.durable, run: run, event: event)
                )
            } catch {
                trouble = "the record at \(end) makes no sense: \(error)"
                return
            }
            end = found.next
        }
        var replay = Replay()
        do throws(JournalDamage) {
            let counts = try replay.take(bytes, name: name, isOnly: isOnly)
            if !counts { trouble = "it was cut off while it was made and never counted" }
            if replay.tornBytes > 0 {
                trouble = "\(replay.tornBytes) torn bytes at \(end) that were never promised"
            }
        } catch {
            trouble = "at \(error.offset): \(error.message)"
        }
    }
}
