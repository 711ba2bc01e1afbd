// What this is: age files written and read a chunk at a time, held against the reader and writer that take them whole.
// Owns: lengths around the chunk; every cut; pieces of every size.
// Never: believes the stream alone.
// On failure: names the length, or the byte.
import LinuxSystem
import TestKit
import Testing

@testable import SecretStore

@Suite struct AgeStreamTests {
    private let identity = AgeIdentity.generate()
    private static let lengths = [
        0, 1, 65_535, 65_536, 65_537, 131_071, 131_072, 131_073, 300_000,
    ]
    private func plain(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 131) } }

    private func seal(_ plain: [UInt8], _ file: OpenFile, piece: Int) throws -> AgeFileKey {
        let sealer = try AgeSealer(to: [#require(identity.recipient)]) { try file.append($0) }
        for start in stride(from: 0, to: plain.count, by: piece) {
            try plain[start..<min(start + piece, plain.count)].withUnsafeBytes { try sealer.write($0) }
        }
        try sealer.finish()
        return sealer.fileKey
    }
    private func read(_ opener: AgeOpener, piece: Int) throws -> [UInt8] {
        var out: [UInt8] = [], buffer = [UInt8](repeating: 0, count: piece)
        while true {
            let count = try buffer.withUnsafeMutableBytes { try opener.read(into: $0) }
            if count == 0 { return out }
            out += buffer[..<count]
        }
    }

    @Test("what is streamed is what is written whole, both ways", arguments: lengths) func bothWays(
        _ length: Int
    ) throws {
        let folder = try Folder(in: "/dev/shm"), plain = plain(length)
        for (index, piece) in [1 << 20, 65_536, 70_001, 4_099].enumerated() {
            let file = try folder.directory.create("streamed\(index)")
            let key = try seal(plain, file, piece: piece)
            let whole = try AgeFile.open(file.read(upTo: 1 << 20), [.generate(), identity])
            #expect(whole.withBytes { Array($0) } == plain)
            #expect(try read(AgeOpener(file, key), piece: piece) == plain)
            #expect(try read(AgeOpener(file, [identity]), piece: 65_537) == plain)
            #expect(throws: AgeProblem.self) { try AgeOpener(file, [.generate()]) }
        }
        let file = try folder.directory.create("whole")
        try file.append(AgeFile.write(SecretBytes(copying: plain), to: [#require(identity.recipient)]))
        #expect(try AgeOpener.isAge(file))
        #expect(try read(AgeOpener(file, [identity]), piece: 50_000) == plain)
    }

    @Test("cut off anywhere, longer by anything: its end is never reached") func cuts() throws {
        let folder = try Folder(in: "/dev/shm")
        let file = try folder.directory.create("good")
        _ = try seal(plain(131_072), file, piece: 1 << 20)
        let bytes = try file.read(upTo: 1 << 20)
        let chunks = (0...2).map { bytes.count - $0 * AgePayload.whole }
        var lengths = Set(stride(from: 0, to: bytes.count, by: 997))
        for chunk in chunks { lengths.formUnion([chunk - 17, chunk - 16, chunk - 1, chunk, chunk + 1]) }
        lengths.remove(bytes.count)
        for length in lengths.sorted() {
            let wrong = try folder.directory.create("cut\(length)")
            try wrong.append(
                Array(bytes.prefix(length)) + [UInt8](repeating: 0, count: max(0, length - bytes.count)))
            #expect(throws: AgeProblem.self, "\(length)") {
                try read(AgeOpener(wrong, [identity]), piece: 65_536)
            }
            try folder.directory.remove("cut\(length)")
        }
        // Chunks that change places, and one that stands twice.
        let start = bytes.count - 2 * AgePayload.whole
        let head = bytes[..<start], one = bytes[start..<(start + AgePayload.whole)]
        let two = bytes[(start + AgePayload.whole)...]
        for (index, wrong) in [head + two + one, head + one + one, head + two, head + one + two + two]
            .enumerated()
        {
            let file = try folder.directory.create("moved\(index)")
            try file.append(Array(wrong))
            #expect(throws: AgeProblem.self) { try read(AgeOpener(file, [identity]), piece: 65_536) }
        }
    }
}
