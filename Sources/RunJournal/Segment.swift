// What this is: one file of the journal: a header, then records, then zeros (docs/SPOOL.md section 5 has the bytes).
// Owns: the framing: header 64 bytes; record = length u32, kind u8, version u8, zero u16, sequence u64,
//   durable u64, payload, CRC-32C u32 over all of it seeded by the segment's salt, padded to 8 bytes. Little endian.
// Never: appends behind a broken tail: a runner always starts a new segment.
// On failure: reading is total: what is not a record ends the scan and is classified as torn or damaged.
import JobModel

struct SegmentHeader: Hashable {
    static let size = 64
    static let magic = Array("BOBBINJ2".utf8)
    var number: UInt64
    /// How many records of runs carried over it begins with: without all of them the segment never counted.
    var carried: UInt64
    var firstSequence: UInt64
    /// Random, so that the records of a recycled file's former life never verify.
    var salt: UInt64

    var bytes: [UInt8] {
        var out = SegmentHeader.magic
        for word in [number, firstSequence, salt, carried] { out.append(littleEndian: word) }
        out.append(littleEndian: UInt64(out.withUnsafeBytes { Checksum.crc32c($0) }))
        return out + [UInt8](repeating: 0, count: SegmentHeader.size - out.count)
    }
    init(number: UInt64, firstSequence: UInt64, salt: UInt64, carried: Int) {
        self.carried = UInt64(carried)
        self.number = number
        self.firstSequence = firstSequence
        self.salt = salt
    }
    init?(_ bytes: ArraySlice<UInt8>) {
        guard bytes.count >= SegmentHeader.size, bytes.prefix(8).elementsEqual(SegmentHeader.magic) else {
            return nil
        }
        let start = bytes.startIndex
        let checked = bytes[start..<(start + 40)].withUnsafeBytes { Checksum.crc32c($0) }
        guard bytes.word64(at: start + 40) == UInt64(checked) else { return nil }
        number = bytes.word64(at: start + 8)
        firstSequence = bytes.word64(at: start + 16)
        salt = bytes.word64(at: start + 24)
        carried = bytes.word64(at: start + 32)
    }
}

enum Frame {
    static let header = 24
    static let overhead = 28

    /// `durable`: the last record that was synced when this one was written. What lies before it can be missing
    /// only through damage; what lies behind it may have been lost by a power cut, in any order of pages.
    static func write(
        kind: UInt8, sequence: UInt64, durable: UInt64, payload: [UInt8], salt: UInt64,
        into out: inout [UInt8]
    ) {
        let start = out.count
        out.append(littleEndian: UInt32(payload.count))
        out.append(kind)
        out.append(EventCoding.version)
        out.append(0)
        out.append(0)
        out.append(littleEndian: sequence)
        out.append(littleEndian: durable)
        out.append(contentsOf: payload)
        let crc = out.withUnsafeBytes {
            Checksum.crc32c(
                UnsafeRawBufferPointer(rebasing: $0[start...]), seed: UInt32(truncatingIfNeeded: salt))
        }
        out.append(littleEndian: crc)
        while out.count % 8 != 0 { out.append(0) }
    }

    struct Found {
        var kind: UInt8
        var version: UInt8
        var sequence: UInt64
        var durable: UInt64
        var payload: Range<Int>
        var next: Int
    }

    /// The record at `offset`, or nil where there is none that verifies.
    static func read(_ bytes: [UInt8], at offset: Int, salt: UInt64) -> Found? {
        guard offset + overhead <= bytes.count else { return nil }
        let length = Int(bytes[...].word32(at: offset))
        guard length <= bytes.count - offset - overhead, length > 0 else {
            return nil
        }
        let end = offset + header + length
        let crc = bytes.withUnsafeBytes {
            Checksum.crc32c(
                UnsafeRawBufferPointer(rebasing: $0[offset..<end]), seed: UInt32(truncatingIfNeeded: salt))
        }
        guard crc == bytes[...].word32(at: end) else { return nil }
        return Found(
            kind: bytes[offset + 4], version: bytes[offset + 5], sequence: bytes[...].word64(at: offset + 8),
            durable: bytes[...].word64(at: offset + 16), payload: (offset + header)..<end,
            next: (end + 4 + 7) / 8 * 8)
    }
}

extension Array where Element == UInt8 {
    mutating func append<Word: FixedWidthInteger>(littleEndian word: Word) {
        Swift.withUnsafeBytes(of: word.littleEndian) { append(contentsOf: $0) }
    }
}
extension ArraySlice where Element == UInt8 {
    func word64(at index: Int) -> UInt64 {
        withUnsafeBytes {
            UInt64(littleEndian: $0.loadUnaligned(fromByteOffset: index - startIndex, as: UInt64.self))
        }
    }
    func word32(at index: Int) -> UInt32 {
        withUnsafeBytes {
            UInt32(littleEndian: $0.loadUnaligned(fromByteOffset: index - startIndex, as: UInt32.self))
        }
    }
}
