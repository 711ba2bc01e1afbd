// What this is: in which order a journal reaches the disk, read off the recorded calls.
// Owns: records before the promise; a new segment, its name too, before the old one goes; a wiped header before a new name.
// Never: infers the order from what is there at the end: that shows nothing of syncs.
// On failure: the segment whose turn was wrong.
import Foundation
import Glibc
import JobModel
import LinuxSystem
import TestKit
import Testing

@testable import RunJournal

@Suite struct OrderTests {
    @Test func whatIsPromisedIsOnTheDisk() async throws {
        let folder = try Folder()
        let path = folder.path
        for _ in 1...2 {
            await #expect(processExitsWith: .exitCode(0)) { [path = path as String] in
                setenv("BOBBIN_TRACE", path + "/trace", 1)
                try FileManager.default.createDirectory(
                    atPath: path + "/journal", withIntermediateDirectories: true)
                let directory = try Directory.open(path + "/journal")
                let journal = try Journal(
                    directory, replay: Replay.read(directory), segmentBytes: 8192,
                    salt: { Clocks.randomBits().1 },
                    settle: { try directory.syncFileSystem() }, halt: { fatalError("\($0)") })
                var events = RandomEvents(seed: 3)
                for number in 0..<80 {
                    let id = events.id()
                    let sequence = journal.append(.accepted(events.acceptance(id)), of: id)
                    if number % 4 == 0 {
                        journal.waitUntilDurable(sequence)
                        _ = try directory.create("promise-\(getpid())-\(number)")
                    }
                    journal.append(.retired, of: id)
                }
                journal.close()
                _exit(0)
            }
        }
        try check(Trace(path + "/trace"), number: try FileStatus.of(path + "/journal").inode)
    }

    private func check(_ trace: Trace, number directory: UInt64) throws {
        let directory = Int(directory)
        var promises = 0, retired = 0, recycled = 0
        /// The segment that counts, and where its name came.
        var current: (name: String, inode: Int, named: Int)?
        for (index, change) in trace.changes.enumerated() {
            switch change.kind {
            case "create" where change.name.hasPrefix("promise"):
                promises += 1
                let segment = try #require(current)
                #expect(
                    trace.isSynced(segment.inode, before: index),
                    "\(change.name): records are not on the disk")
                #expect(
                    trace.isSynced(directory: directory, after: segment.named, before: index),
                    "\(change.name): the name of \(segment.name) is not on the disk")
            case "create" where change.name.hasSuffix(".seg"):
                current = (change.name, change.number(2), index)
            case "rename" where change.name.hasSuffix(".seg"):
                recycled += 1
                let inode = try #require(trace.inode(of: change.oldName, before: index))
                current = (change.name, inode, index)
                let header = trace.changes[..<index].last {
                    $0.kind == "write" && $0.number(0) == inode && $0.number(1) == 0
                }
                let bytes = Trace.bytes(header?.fields[2] ?? "")
                #expect(
                    !bytes.isEmpty && bytes.allSatisfy { $0 == 0 }, "\(change.name) comes with an old header")
                #expect(
                    trace.isSynced(inode, before: index),
                    "\(change.name): the wiped header is not on the disk")
            case "rename" where change.oldName.hasSuffix(".seg"),
                "remove" where change.oldName.hasSuffix(".seg"):
                retired += 1
                let segment = try #require(current)
                #expect(
                    trace.isSynced(segment.inode, before: index),
                    "\(change.oldName) goes before \(segment.name) is on the disk")
                #expect(
                    trace.isSynced(directory: directory, after: segment.named, before: index),
                    "\(change.oldName) goes before the name of \(segment.name) is on the disk")
            default: break
            }
        }
        #expect(promises == 40 && retired > 4 && recycled > 2, "\(promises), \(retired), \(recycled)")
    }
}
