// What this is: the appearance of result files.
// Owns: whole files alone and in groups, what becomes of a result that is there already, faults at each call.
// Never: injects a fault into this process.
// On failure: the number of the call that failed is in the message.
// BOBBIN_FAULT counts the calls of the seam in LinuxSystem.
import Foundation
import Glibc
import JobModel
import LinuxSystem
import TestKit
import Testing

@testable import SpoolQueue

@Suite struct PublishTests {
    private func publications(_ count: Int, _ directory: Directory, from first: Int = 0) -> [Publication] {
        (first..<(first + count)).map { number in
            let id = freshID(UInt64(number) << 32)
            return Publication(
                acceptance: sampleAcceptance(id, name: "job\(number).yaml"),
                bytes: [UInt8](repeating: UInt8(number), count: 100 + number),
                directory: directory)
        }
    }
    private func check(_ items: [Publication]) throws {
        for item in items {
            #expect(
                try item.directory.openForReading(FinalName.result(item.acceptance)).read(upTo: 10_000)
                    == item.bytes)
        }
    }

    @Test(arguments: [0, 1, 5, 6, 40]) func aGroupAppearsWhole(count: Int) throws {
        let folder = try Folder()
        let temporary = try folder.folder("tmp"), done = try folder.folder("done"),
            failed = try folder.folder("failed")
        let items = publications(count, done) + publications(1, failed, from: 100)
        try Publish(temporary: temporary).publish(items)
        try check(items)
        #expect(try temporary.names().isEmpty && done.names().count == count)
    }
    @Test func theSameResultAgainIsTheSameResult() throws {
        let folder = try Folder()
        let temporary = try folder.folder("tmp"), done = try folder.folder("done")
        let items = publications(3, done)
        let publish = Publish(temporary: temporary)
        try publish.publish(items)
        let before = try done.status(FinalName.result(items[0].acceptance))
        try publish.publish(items)
        #expect(
            try done.status(FinalName.result(items[0].acceptance)).identity == before.identity,
            "the file is the first one")
        #expect(try temporary.names().isEmpty)
    }
    @Test func aLeftoverTemporaryIsReplaced() throws {
        let folder = try Folder()
        let temporary = try folder.folder("tmp"), done = try folder.folder("done")
        let items = publications(1, done)
        try folder.put("tmp/" + items[0].acceptance.id.text, "half")
        try Publish(temporary: temporary).publish(items)
        try check(items)
        #expect(try temporary.names().isEmpty)
    }
    @Test func theJournalsBytesReplaceOthers() throws {
        let folder = try Folder()
        let temporary = try folder.folder("tmp"), done = try folder.folder("done")
        let items = publications(1, done)
        for text in ["", "torn", String(repeating: "longer than the result is ", count: 50)] {
            try folder.put("done/" + FinalName.result(items[0].acceptance), text)
            try Publish(temporary: temporary).publish(items)
            try check(items)
        }
        #expect(try temporary.names().isEmpty)
    }
    @Test(arguments: 1...14, ["28", "kill"]) func aFaultShowsNoHalfResult(call: Int, fault: String)
        async throws
    {
        let folder = try Folder()
        _ = try folder.folder("tmp")
        let done = try folder.folder("done")
        let path = folder.path
        await #expect(processExitsWith: fault == "kill" ? .signal(SIGKILL) : .exitCode(7)) {
            [path = path as String, call = call as Int, fault = fault as String] in
            setenv("BOBBIN_FAULT", "any:\(call + 2):\(fault)", 1)
            let temporary = try Directory.open(path + "/tmp"), done = try Directory.open(path + "/done")
            try? Publish(temporary: temporary).publish(PublishTests().publications(3, done))
            if fault == "kill" { kill(getpid(), SIGKILL) }
            exit(7)
        }
        let items = publications(3, done)
        for name in try done.names() {
            let item = try #require(items.first { FinalName.result($0.acceptance) == name })
            #expect(try done.openForReading(name).read(upTo: 10_000) == item.bytes, "call \(call), \(fault)")
        }
        // The next life publishes all of them, whatever was left.
        try Publish(temporary: folder.folder("tmp")).publish(items)
        try check(items)
        #expect(try folder.directory.directory("tmp").names().isEmpty)
    }
}
