// What this is: the durable write of a whole file, with a fault at each of its system calls.
// Owns: whole or nothing, under failing calls, under a kill, and with several writers at once.
// Never: injects a fault into this process: each runs in one of its own.
// On failure: the number of the call that failed is in the message.
// BOBBIN_FAULT counts the calls of the seam in SystemCalls.swift.
import Glibc
import TestKit
import Testing

@testable import LinuxSystem

@Suite struct AtomicFileTests {
    static let old = [UInt8](repeating: 0x6F, count: 300), new = [UInt8](repeating: 0x6E, count: 70_000)

    @Test func writesAndRefuses() throws {
        let folder = try Folder()
        try AtomicFile.write(AtomicFileTests.old, to: "f", in: folder.directory, mode: 0o600)
        #expect(try folder.directory.status("f").mode == 0o600)
        #expect(failure { try AtomicFile.write([1], to: "f", in: folder.directory) }?.isExisting == true)
        #expect(try folder.directory.openForReading("f").read(upTo: 1000) == AtomicFileTests.old)
        try AtomicFile.write([1], to: "f", in: folder.directory, existing: .replace, durable: false)
        #expect(try folder.directory.openForReading("f").read(upTo: 1000) == [1])
        #expect(try folder.listing() == ["f"], "nothing is left beside it")
    }
    @Test func longNamesHaveATemporaryNameToo() throws {
        let folder = try Folder()
        for name in [
            String(repeating: "x", count: 255), String(repeating: "é", count: 125),
            String(repeating: "x", count: 200),
        ] {
            try AtomicFile.write([1], to: name, in: folder.directory)
        }
        #expect(try folder.listing().count == 3)
        try AtomicFile.write([1], to: String(repeating: "語", count: 84), in: folder.directory)
    }
    /// What is under the name after a write that failed at its `call`-th system call.
    @Test(arguments: 1...14, ["5", "28", "kill"]) func aFaultLeavesTheOldOrTheNew(call: Int, fault: String)
        async throws
    {
        let folder = try Folder()
        try AtomicFile.write(AtomicFileTests.old, to: "f", in: folder.directory)
        let path = folder.path
        await #expect(processExitsWith: fault == "kill" ? .signal(SIGKILL) : .exitCode(7)) {
            [path = path as String, call = call as Int, fault = fault as String] in
            setenv("BOBBIN_FAULT", "any:\(call):\(fault)", 1)
            do {
                let directory = try Directory.open(path)
                try AtomicFile.write(
                    [UInt8](repeating: 0x6E, count: 70_000), to: "f", in: directory, existing: .replace)
            } catch { exit(7) }
            // The write went through before that call came: ended the way that was asked for.
            if fault == "kill" { kill(getpid(), SIGKILL) }
            exit(7)
        }
        let bytes = try folder.directory.openForReading("f").read(upTo: 100_000)
        #expect(
            bytes == AtomicFileTests.old || bytes == AtomicFileTests.new,
            "call \(call), \(fault): \(bytes.count) bytes")
        if fault != "kill" { #expect(try folder.listing() == ["f"], "call \(call)") }
    }
    @Test func twoWritersOfOneNameLeaveOneOfTheTwo() throws {
        let folder = try Folder()
        let directory = folder.directory
        let bad = Counter()
        let texts = (0..<4).map { [UInt8](repeating: UInt8(0x41 + $0), count: 20_000 + $0 * 17_000) }
        let threads = try texts.map { text in
            try BlockingThread.start("writer") {
                for _ in 0..<60 {
                    do {
                        try AtomicFile.write(
                            text, to: "f", in: directory, existing: .replace, durable: false)
                        let found = try directory.openForReading("f").read(upTo: 100_000)
                        if !texts.contains(found) { bad.increment() }
                    } catch { bad.increment() }
                }
            }
        }
        for thread in threads { thread.join() }
        #expect(bad.count == 0)
    }
}
