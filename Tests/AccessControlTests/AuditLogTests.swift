// What this is: the audit log: growing, rotation, damage of every kind found, checkpoints.
// Owns: every bit of a log of 100 records flipped; lines removed, swapped, repeated, cut.
// Never: trusts the log's own word: what was written is kept beside it.
// On failure: names the byte and the bit.
import JobModel
import LinuxSystem
import TestKit
import Testing

@testable import AccessControl

@Suite struct AuditLogTests {
    private static let now = Timestamp(seconds: 1_800_000_000)
    private struct World {
        let folder: Folder
        let ops: Directory
        let state: Directory
        init() throws {
            folder = try Folder()
            ops = try folder.folder("ops")
            state = try folder.folder("state")
        }
        func log(_ longest: Int = 1 << 20) throws -> AuditLog {
            AuditLog(ops: ops, state: state, origin: "bobbin/test", longestFile: longest)
        }
        func verify(_ outside: String? = nil) throws -> AuditVerification {
            try AuditVerification(ops: ops, origin: "bobbin/test", outside: outside)
        }
        var audit: Directory { get throws { try ops.directory("audit") } }
        func bytes(_ name: String) throws -> [UInt8] {
            try audit.openForReading(name).read(upTo: 1 << 22)
        }
        func put(_ name: String, _ bytes: [UInt8]) throws {
            try AtomicFile.write(bytes, to: name, in: audit, existing: .replace, durable: false)
        }
    }
    private func entry(_ number: Int) -> AuditEntry {
        AuditEntry(
            "approval.decided", "run.\(number)",
            by: Submitter(uid: UInt32(number), name: "anna \"\(number)\"\n"),
            file: "sha256:\(number)", outcome: "approve", why: "because \u{7} ü \(number)", severity: .notice)
    }

    @Test func whatIsWrittenIsReadAndWhole() throws {
        let world = try World()
        let log = try world.log()
        for number in 1...30 { try log.append([entry(number)], at: AuditLogTests.now) }
        // Another writer, and the first again: each finds the end.
        try world.log().append([entry(31), entry(32)], at: AuditLogTests.now)
        try log.append([entry(33)], at: AuditLogTests.now)
        let records = try AuditLog.records(ops: world.ops)
        #expect(records.map(\.entry) == (1...33).map(entry) && records.map(\.sequence) == Array(1...33))
        let found = try world.verify()
        #expect(found.isWhole && found.records == 33, "\(found)")
    }

    @Test func everyFlippedBitIsFound() throws {
        let world = try World()
        let log = try world.log()
        for number in 1...100 { try log.append([entry(number)], at: AuditLogTests.now) }
        let name = try #require(try AuditLog.files(world.audit).first)
        let bytes = try world.bytes(name)
        // In memory: a flip harms its own line, or the line end behind it. That nothing else hides it, files show below.
        var flips = 0
        var lines: [(start: Int, end: Int)] = []
        var start = 0
        for (index, byte) in bytes.enumerated() where byte == 0x0A {
            lines.append((start, index))
            start = index + 1
        }
        #expect(lines.count == 101, "the checkpoint too")
        for (start, end) in lines {
            var line = Array(bytes[start..<end])
            #expect(AuditRecord(line: line) != nil)
            for index in line.indices {
                for bit in 0..<8 {
                    line[index] ^= 1 << bit
                    flips += 1
                    // A new line end splits it; both halves are no records.
                    let parts = line.split(separator: 0x0A, omittingEmptySubsequences: false)
                    if parts.contains(where: { AuditRecord(line: $0) != nil }) {
                        Issue.record("byte \(start + index), bit \(bit) is not found")
                    }
                    line[index] ^= 1 << bit
                }
            }
        }
        // Line ends, and a sample of all the others, through the files.
        var random = SeededRandom(seed: 3)
        for (_, end) in lines { for bit in 0..<8 { try check(world, name, bytes, end, bit) } }
        for _ in 0..<500 { try check(world, name, bytes, random.below(bytes.count), random.below(8)) }
        print("audit: \(flips + lines.count * 8) flipped bits, all found")
        try world.put(name, bytes)
        #expect(try world.verify().isWhole)
    }
    private func check(_ world: World, _ name: String, _ bytes: [UInt8], _ index: Int, _ bit: Int) throws {
        var wrong = bytes
        wrong[index] ^= 1 << bit
        try world.put(name, wrong)
        #expect(try !world.verify().isWhole, "byte \(index), bit \(bit)")
    }

    @Test func removedSwappedRepeatedAndCutLinesAreFound() throws {
        let world = try World()
        let log = try world.log()
        for number in 1...100 { try log.append([entry(number)], at: AuditLogTests.now) }
        let name = try #require(try AuditLog.files(world.audit).first)
        let whole = try world.bytes(name)
        let lines = whole.split(separator: 0x0A).map(Array.init)
        func check(_ lines: [[UInt8]], _ what: String) throws {
            try world.put(name, Array(lines.joined(separator: [0x0A])) + [0x0A])
            #expect(try !world.verify().isWhole, "\(what)")
        }
        for index in stride(from: 0, to: lines.count - 1, by: 7) {
            var wrong = lines
            wrong.remove(at: index)
            try check(wrong, "line \(index) removed")
            wrong = lines
            wrong.swapAt(index, index + 1)
            try check(wrong, "line \(index) swapped")
            wrong = lines
            wrong.insert(lines[index], at: index)
            try check(wrong, "line \(index) repeated")
        }
        // The last ones cut off: known because of the checkpoint.
        for count in [99, 50, 1] { try check(Array(lines.prefix(count)), "cut to \(count)") }
        try world.put(name, whole)
        #expect(try world.verify().isWhole)
        try world.audit.remove(name)
        #expect(try !world.verify().isWhole, "the whole file removed")
    }

    @Test func aLogThatWasWrittenAnewIsFoundByTheCheckpointElsewhere() throws {
        let world = try World()
        let log = try world.log()
        try log.append((1...5).map(entry), at: AuditLogTests.now)
        let note = try #require(try log.checkpoint(at: AuditLogTests.now))
        #expect(try log.checkpoint(at: AuditLogTests.now) == nil, "nothing is new")
        #expect(try world.verify(note).isWhole)
        let saved = try world.bytes("0000000001.jsonl")
        // Somebody with the service's rights writes another story, with a chain and a signature of its own.
        for name in try world.audit.names() where name != "key.pub" { try world.audit.removeIfPresent(name) }
        try world.log().append((2...9).map(entry), at: AuditLogTests.now)
        #expect(try world.verify().isWhole, "without a copy elsewhere nobody can tell")
        #expect(try world.verify(note).damage?.contains("written anew") == true)
        // The key of another site signs nothing here.
        try world.put("0000000001.jsonl", saved)
        try world.state.remove("audit.key")
        try world.audit.removeIfPresent("checkpoint.txt")
        try world.audit.remove("key.pub")
        try world.log().append([], at: AuditLogTests.now)
        #expect(try world.verify().damage?.contains("not signed with this site's key") == true)
    }

    @Test func theChainGoesOnOverFiles() throws {
        let world = try World()
        let log = try world.log(2_000)
        for number in 1...250 { try log.append([entry(number)], at: AuditLogTests.now) }
        let names = try AuditLog.files(world.audit)
        #expect(names.count > 10)
        let found = try world.verify()
        #expect(found.isWhole && found.records == 252 && found.checkpoints == 2, "\(found)")
        let middle = names[names.count / 2]
        let bytes = try world.bytes(middle)
        try world.audit.remove(middle)
        #expect(try !world.verify().isWhole)
        try world.put(middle, bytes)
        #expect(try world.verify().isWhole)
    }

    @Test func aCheckpointThatCannotBeWrittenIsNoReasonToWriteTwice() throws {
        let world = try World()
        let log = try world.log()
        try log.append((1...99).map(entry), at: AuditLogTests.now)
        // Something else has its place.
        _ = try world.audit.makeDirectory("checkpoint.txt")
        #expect(try log.append([entry(100)], at: AuditLogTests.now) == nil)
        try world.audit.removeDirectory("checkpoint.txt")
        try log.append([entry(101)], at: AuditLogTests.now)
        let own = try AuditLog.records(ops: world.ops).map(\.entry).filter { $0.action != "audit.checkpoint" }
        #expect(own == (1...101).map(entry))
        #expect(try log.checkpoint(at: AuditLogTests.now) != nil && world.verify().isWhole)
    }

    @Test func aTornLastLineIsCutAndTheChainGoesOn() throws {
        let world = try World()
        try world.log().append([entry(1), entry(2)], at: AuditLogTests.now)
        let whole = try world.bytes("0000000001.jsonl")
        for cut in [1, 20, whole.count / 2 - 1] {
            try world.put("0000000001.jsonl", whole + whole.prefix(cut))
            try world.log().append([entry(3)], at: AuditLogTests.now)
            let found = try world.verify()
            #expect(found.isWhole && found.records == 3, "\(cut): \(found)")
        }
        // What is whole and wrong is not written over.
        var wrong = whole
        wrong[whole.count - 20] ^= 1
        try world.put("0000000001.jsonl", wrong)
        #expect(throws: SystemError.self) { try world.log().append([entry(3)], at: AuditLogTests.now) }
    }

    @Test func base64AndHexadecimalAreStrict() {
        #expect(Base64.encode(Array("Man".utf8)) == "TWFu" && Base64.encode(Array("Ma".utf8)) == "TWE=")
        #expect(Base64.encode([]) == "" && Base64.encode(Array("M".utf8), padded: false) == "TQ")
        var random = SeededRandom(seed: 8)
        for count in 0..<200 {
            let bytes = (0..<count).map { _ in UInt8(random.below(256)) }
            for padded in [true, false] {
                #expect(Base64.decode(Base64.encode(bytes, padded: padded), padded: padded) == bytes)
            }
            #expect(Hexadecimal.decode(Hexadecimal.encode(bytes)) == bytes)
        }
        for wrong in ["TWE", "TWF=", "TW E=", "T===", "TWFu\n", "TQ==TWFu", "!!!!", "="] {
            #expect(Base64.decode(wrong) == nil, "\(wrong)")
        }
        #expect(Base64.decode("TWE=", padded: false) == nil && Base64.decode("TR", padded: false) == nil)
        for wrong in ["0", "0G", "AB"] { #expect(Hexadecimal.decode(wrong) == nil) }
    }
}
