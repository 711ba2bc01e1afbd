// What this is: in which order publishing reaches the disk, read off the recorded calls.
// Owns: bytes before the name, the name before the promise.
// Never: infers the order from what is there at the end: that shows nothing of syncs.
// On failure: the name whose turn was wrong.
import Foundation
import Glibc
import JobModel
import LinuxSystem
import TestKit
import Testing

@testable import SpoolQueue

@Suite struct OrderTests {
    @Test(arguments: [1, 5, 6, 9]) func resultsAreOnTheDiskBeforeTheirNames(count: Int) async throws {
        let folder = try Folder()
        _ = try folder.folder("tmp")
        _ = try folder.folder("done")
        let path = folder.path
        await #expect(processExitsWith: .exitCode(0)) { [path = path as String, count = count as Int] in
            setenv("BOBBIN_TRACE", path + "/trace", 1)
            let temporary = try Directory.open(path + "/tmp"), done = try Directory.open(path + "/done")
            let items = (0..<count).map { number in
                Publication(
                    acceptance: sampleAcceptance(freshID(UInt64(number) << 32), name: "job\(number).yaml"),
                    bytes: Array("text \(number)".utf8), directory: done)
            }
            try Publish(temporary: temporary).publish(items)
            // The promise: everything before this line is visible and durable.
            _ = try done.create("promise")
            try Publish(temporary: temporary).placeJob(items[0].acceptance, in: done)
            _exit(0)
        }
        let trace = try Trace(path + "/trace")
        let promise = try #require(trace.changes.firstIndex { $0.kind == "create" && $0.name == "promise" })
        let names = trace.changes.indices.filter { trace.changes[$0].kind == "rename" }
        #expect(names.count == count + 1)
        for index in names {
            let change = trace.changes[index]
            let inode = try #require(trace.inode(of: change.oldName, before: index))
            #expect(
                trace.isSynced(inode, before: index),
                "\(change.name) appears before its bytes are on the disk")
            if index < promise {
                #expect(
                    trace.isSynced(directory: change.number(2), after: index, before: promise),
                    "\(change.name) is promised before its name is on the disk")
            }
        }
        // Few of them are synced one by one, many at once.
        #expect(trace.changes.contains { $0.kind == "syncall" } == (count >= Publish.groupFrom))
    }
}
