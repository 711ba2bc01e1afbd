// What this is: events as bytes and back, framing and checksum.
// Owns: the round trip of every event, and that no bytes at all can trap the reader.
// Never: touches a disk.
// On failure: the seed of the event is in the message.
// The checksum's vectors are those of RFC 3720 appendix B.4.
import JobModel
import TestKit
import Testing

@testable import RunJournal

@Suite struct CodingTests {
    @Test func everyEventComesBack() throws {
        for seed in UInt64(1)...1500 {
            var events = RandomEvents(seed: seed)
            let id = events.id(), event = events.event(id)
            let (kind, payload) = EventCoding.encode(event, of: id)
            let (run, read) = try EventCoding.decode(kind: kind, payload[...])
            #expect(run == id && read == event, "seed \(seed)")
            // Equality of texts forgives another normal form; the bytes must not.
            #expect(EventCoding.encode(read, of: run).payload == payload, "seed \(seed)")
        }
    }
    @Test func notANumberComesBackToo() throws {
        let event = RunEvent.ended(
            .succeeded, at: Timestamp(seconds: 0), failure: nil,
            outputs: ["x": .double(.nan), "y": .double(-0.0)], result: [])
        var events = RandomEvents(seed: 1)
        let (kind, payload) = EventCoding.encode(event, of: events.id())
        #expect(
            try EventCoding.encode(
                EventCoding.decode(kind: kind, payload[...]).1,
                of: EventCoding.decode(kind: kind, payload[...]).0
            ).payload == payload)
    }
    @Test func everyTruncationIsAnError() throws {
        for seed in UInt64(1)...60 {
            var events = RandomEvents(seed: seed)
            let id = events.id()
            let (kind, payload) = EventCoding.encode(events.event(id), of: id)
            for length in 0..<payload.count {
                #expect(throws: DecodeError.self, "seed \(seed), \(length) of \(payload.count)") {
                    try EventCoding.decode(kind: kind, payload[..<length])
                }
            }
            #expect(throws: DecodeError.self) { try EventCoding.decode(kind: kind, (payload + [0])[...]) }
        }
    }
    @Test func decodingIsTotalOnNoise() {
        var random = SeededRandom(seed: 2)
        for _ in 0..<20_000 {
            let bytes = (0..<random.below(80)).map { _ in
                UInt8(random.pick([random.below(256), random.below(8), 0, 255]))
            }
            _ = try? EventCoding.decode(kind: UInt8(random.below(12)), bytes[...])
        }
    }
    @Test func decodingIsTotalOnFlippedEvents() throws {
        for seed in UInt64(1)...40 {
            var events = RandomEvents(seed: seed)
            let id = events.id()
            let (kind, payload) = EventCoding.encode(events.event(id), of: id)
            for _ in 0..<300 where !payload.isEmpty {
                var bytes = payload
                for _ in 0...events.random.below(3) {
                    bytes[events.random.below(bytes.count)] ^= 1 << UInt8(events.random.below(8))
                }
                if let (run, event) = try? EventCoding.decode(kind: kind, bytes[...]) {
                    _ = EventCoding.encode(event, of: run)
                }
            }
        }
    }
    @Test func numbersOfEverySize() throws {
        var writer = ByteWriter()
        let numbers = (0..<64).map { UInt64(1) << $0 } + [0, .max, 127, 128, 300]
        for number in numbers { writer.number(number) }
        for number in numbers { writer.signed(Int64(bitPattern: number)) }
        var reader = ByteReader(writer.bytes[...])
        for number in numbers { #expect(try reader.number() == number) }
        for number in numbers { #expect(try reader.signed() == Int64(bitPattern: number)) }
        #expect(throws: DecodeError.self) { try reader.byte() }
        var long = ByteReader([UInt8](repeating: 0xFF, count: 9)[...] + [2])
        #expect(throws: DecodeError.self) { try long.number() }
    }
    @Test func valuesAsDeepAsTheLanguageAllowsComeBack() throws {
        // ExpressionLimits.nesting is 100; the journal must hold whatever a step can hand on.
        for depth in [1, 100, 110] {
            var value = Value.int(1)
            for level in 0..<depth { value = level % 2 == 0 ? .list([value]) : .map(["k": value]) }
            var writer = ByteWriter()
            writer.map(["v": value])
            var reader = ByteReader(writer.bytes[...])
            #expect(try reader.map() == ["v": value])
        }
        var deep = ByteReader(
            [UInt8](repeating: 6, count: 1)[...] + [UInt8](repeating: 1, count: 100_000).flatMap { [$0, 6] })
        #expect(throws: DecodeError.self) { try deep.value() }
    }

    @Test func checksumVectors() {
        func crc(_ bytes: [UInt8]) -> UInt32 { bytes.withUnsafeBytes { Checksum.crc32c($0) } }
        #expect(crc(Array("123456789".utf8)) == 0xE306_9283 && crc([]) == 0)
        #expect(
            crc([UInt8](repeating: 0, count: 32)) == 0x8A91_36AA
                && crc([UInt8](repeating: 0xFF, count: 32)) == 0x62A8_AB43)
        #expect(crc(Array(0..<32)) == 0x46DD_794E && crc((0..<32).reversed()) == 0x113F_DB5C)
    }
    @Test func theChecksumIsThatOfOneByteAtATime() {
        var random = SeededRandom(seed: 3)
        for _ in 0..<300 {
            let bytes = (0..<random.below(70)).map { _ in UInt8(random.below(256)) }
            let seed = UInt32(truncatingIfNeeded: random.next())
            var crc = ~seed
            for byte in bytes {
                crc ^= UInt32(byte)
                for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0x82F6_3B78 : crc >> 1 }
            }
            #expect(bytes.withUnsafeBytes { Checksum.crc32c($0, seed: seed) } == ~crc)
        }
    }
    @Test func framesStandOnEightBytes() throws {
        var random = SeededRandom(seed: 4)
        var bytes: [UInt8] = []
        var payloads: [[UInt8]] = []
        for sequence in 1...200 {
            let payload = (0...random.below(50)).map { _ in UInt8(random.below(256)) }
            Frame.write(
                kind: 3, sequence: UInt64(sequence), durable: 0, payload: payload, salt: 77, into: &bytes)
            payloads.append(payload)
            #expect(bytes.count % 8 == 0)
        }
        var offset = 0
        for (index, payload) in payloads.enumerated() {
            let found = try #require(Frame.read(bytes, at: offset, salt: 77))
            #expect(
                found.sequence == UInt64(index + 1) && Array(bytes[found.payload]) == payload
                    && found.kind == 3)
            #expect(Frame.read(bytes, at: offset, salt: 78) == nil, "another salt is another segment")
            offset = found.next
        }
        #expect(offset == bytes.count && Frame.read(bytes, at: offset, salt: 77) == nil)
    }
    @Test func segmentHeaders() {
        let header = SegmentHeader(number: 7, firstSequence: 9, salt: .max, carried: 3)
        #expect(header.bytes.count == SegmentHeader.size && SegmentHeader(header.bytes[...]) == header)
        for bit in 0..<(48 * 8) {
            var bytes = header.bytes
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(SegmentHeader(bytes[...]) == nil, "bit \(bit)")
        }
        #expect(SegmentHeader(header.bytes[..<63]) == nil)
    }
}
