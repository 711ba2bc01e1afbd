// What this is: journal segments of any bytes, read by Replay as a starting runner reads them.
// Owns: the making of segments whose checksums are right, so that what lies behind the checksums is reached.
// Never: uses the journal's own coding: the format is written here a second time, from docs/SPOOL.md section 5.
// On failure: must() traps; only JournalDamage may be thrown.
// First byte even: the rest is the segment. Odd: the rest is records, each kind u8, length u16, payload.
import BobbinDaemon
import Glibc
import JobModel
import LinuxSystem
import RunJournal

enum JournalTarget {
    private static let name = "000000000001.seg"
    private static let salt: UInt64 = 0x5EED
    private static let run = Array("\u{1A}01ARZ3NDEKTSV4RRFFQ69G5FAV".utf8)

    /// A directory in memory, gone with the process.
    private static let directory: Directory = {
        let path = "/dev/shm/bobbin-fuzz-\(getpid())"
        do {
            try Host.makeDirectories(path)
            return try Directory.open(path)
        } catch { fatalError("\(path): \(error)") }
    }()
    private static let prepared: Bool = {
        atexit { JournalTarget.tidy() }
        return true
    }()
    private static func tidy() {
        // A leftover in memory is gone with the next start of the machine.
        try? directory.removeIfPresent(name)
        rmdir("/dev/shm/bobbin-fuzz-\(getpid())")
    }

    @Sendable static func run(_ bytes: [UInt8]) {
        guard prepared, let mode = bytes.first else { return }
        let rest = bytes.dropFirst()
        let segment = mode % 2 == 0 ? Array(rest) : segment(rest, carried: UInt64(mode / 2 % 8))
        do {
            try directory.removeIfPresent(name)
            try directory.create(name, mode: 0o600).append(segment)
            let replay = try Replay.read(directory)
            must(replay.tornBytes >= 0 && replay.tornBytes <= segment.count, "torn: \(replay.tornBytes)")
            must(replay.live.count <= replay.records, "more runs than records")
            for (id, record) in replay.live { check(id, record) }
        } catch let damage as JournalDamage {
            must((0...segment.count + 8).contains(damage.offset), "outside of the segment: \(damage)")
        } catch { must(false, "\(error)") }
    }

    /// What was read is written as a result sooner or later.
    private static func check(_ id: RunID, _ record: RunRecord) {
        _ = ResultFile.read(ResultFile.render(record))
        _ = JSONText.write(.map(record.outputs))
    }

    // MARK: a whole segment

    private static func segment(_ script: ArraySlice<UInt8>, carried: UInt64) -> [UInt8] {
        var out = Array("BOBBINJ2".utf8)
        for word in [1, 1, salt, carried] { append(word, 8, to: &out) }
        append(UInt64(crc(out[...], seed: 0)), 8, to: &out)
        out += [UInt8](repeating: 0, count: 64 - out.count)
        var rest = script
        var sequence: UInt64 = 0
        while rest.count >= 3 {
            let head = Array(rest.prefix(3))
            let length = Int(head[1]) | Int(head[2]) << 8
            rest = rest.dropFirst(3)
            sequence += 1
            // The highest bit: any payload; otherwise one that begins with a run's id.
            let payload = (head[0] < 0x80 ? run : []) + rest.prefix(length)
            frame(head[0] & 0x7F, sequence, payload, into: &out)
            rest = rest.dropFirst(length)
        }
        return out
    }
    private static func frame(_ kind: UInt8, _ sequence: UInt64, _ payload: [UInt8], into out: inout [UInt8])
    {
        let start = out.count
        append(UInt64(payload.count), 4, to: &out)
        out += [kind, 1, 0, 0]
        append(sequence, 8, to: &out)
        append(sequence - 1, 8, to: &out)
        out += payload
        append(UInt64(crc(out[start...], seed: UInt32(truncatingIfNeeded: salt))), 4, to: &out)
        while out.count % 8 != 0 { out.append(0) }
    }
    private static func append(_ word: UInt64, _ bytes: Int, to out: inout [UInt8]) {
        for index in 0..<bytes { out.append(UInt8(truncatingIfNeeded: word >> UInt64(8 * index))) }
    }
    private static let table: [UInt32] = (0..<256).map { index in
        (0..<8).reduce(UInt32(index)) { crc, _ in crc & 1 == 1 ? crc >> 1 ^ 0x82F6_3B78 : crc >> 1 }
    }
    private static func crc(_ bytes: ArraySlice<UInt8>, seed: UInt32) -> UInt32 {
        ~bytes.reduce(~seed) { $0 >> 8 ^ table[Int(($0 ^ UInt32($1)) & 0xFF)] }
    }
}
