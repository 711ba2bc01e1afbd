// What this is: files that are held open: bounded reads, whole writes, and what the kernel says about other writers.
// Owns: read, append, write at a place, leases.
// Never: waits for a lease to break.
// On failure: the bytes or the answer of the kernel are in the message.
// A second descriptor of the same process is a writer like any other.
import Glibc
import TestKit
import Testing

@testable import LinuxSystem

/// Children that other tests start hold copies of this process's descriptors until their exec: looks again then.
private func lease(_ file: OpenFile) -> OpenFile.Writers {
    for _ in 0..<10_000 {
        let answer = file.takeLease()
        if answer != .some { return answer }
        sched_yield()
    }
    return .some
}

@Suite struct OpenFileTests {
    @Test func readsAreBounded() throws {
        let folder = try Folder()
        try folder.put("a", "0123456789")
        let file = try folder.directory.openForReading("a")
        #expect(try file.read(upTo: 4) == Array("0123".utf8))
        #expect(try file.read(upTo: 4, from: 8) == Array("89".utf8))
        #expect(try file.read(upTo: 100) == Array("0123456789".utf8))
        #expect(try file.read(upTo: 0).isEmpty && file.read(upTo: 5, from: 100).isEmpty)
    }
    @Test func aLargeFileComesBackAsItWent() throws {
        let folder = try Folder()
        let bytes = (0..<(3 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 13) }
        let file = try folder.directory.create("big")
        try file.append(bytes)
        try file.sync()
        #expect(try folder.directory.openForReading("big").read(upTo: bytes.count + 1) == bytes)
        try file.write([1, 2, 3], at: 10)
        try file.truncate(to: 13)
        #expect(try file.read(upTo: 100) == Array(bytes[..<10]) + [1, 2, 3])
        try file.setMode(0o440)
        #expect(try file.status().mode == 0o440)
    }
    @Test func appendingGoesToTheEnd() throws {
        let folder = try Folder()
        let first = try folder.directory.openForAppending("log"),
            second = try folder.directory.openForAppending("log")
        for number in 0..<50 { try (number % 2 == 0 ? first : second).append(Array("\(number)\n".utf8)) }
        #expect(try folder.text("log") == (0..<50).map { "\($0)\n" }.joined())
        try first.append([])
    }
    @Test func aWriterIsSeenAndForgotten() throws {
        let folder = try Folder()
        try folder.put("a", "x")
        let reader = try folder.directory.openForReading("a")
        do {
            let writer = try folder.directory.openForUpdate("a")
            #expect(reader.takeLease() == .some)
            _ = writer
        }
        #expect(lease(reader) == .none)
        reader.dropLease()
    }
    @Test func anotherReaderIsNoWriter() throws {
        let folder = try Folder()
        try folder.put("a", "x")
        let reader = try folder.directory.openForReading("a"),
            other = try folder.directory.openForReading("a")
        #expect(lease(reader) == .none && lease(other) == .none)
        other.dropLease()
        reader.dropLease()
    }
    @Test func whereTheKernelCannotBeAskedTheAnswerIsUnknown() throws {
        // A descriptor that can write cannot hold a read lease, a device none at all.
        #expect(try OpenFile.open("/dev/null").takeLease() == .unknown)
    }
    @Test func aWriteOfADropThatIsLeasedDoesNotHoldUsUp() throws {
        // The other way round: the owner's lease may not block our open (45 s, reliability.md finding 7).
        let folder = try Folder()
        try folder.put("a", "x")
        let owner = try folder.directory.openForUpdate("a")
        let setLease: Int32 = 1024  // F_SETLEASE, a macro that Swift cannot read
        guard fcntl(owner.fd, setLease, F_WRLCK) == 0 else { return }
        signal(SIGIO, SIG_IGN)
        let before = Clocks.monotonic
        let error = failure { _ = try folder.directory.openForReading("a") }
        #expect(error?.errno == EAGAIN)
        #expect(Clocks.monotonic - before < 5_000_000_000)
    }
    @Test func timesAreKept() throws {
        let folder = try Folder()
        let file = try folder.directory.create("a")
        for instant in [Int64(0), -1, 1_700_000_000_123_456_789, -86_400_000_000_001] {
            try file.setModified(instant)
            #expect(try file.status().modified == instant)
        }
    }
}
