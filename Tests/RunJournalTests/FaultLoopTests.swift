// What this is: each call of a journal's writing half, failing in every way; then a start in peace.
// Owns: that what was promised is found, that what is found was once so, and that the next life can write.
// Never: uses the journal's threads: the committer alone is struck, and after a failure it writes no more, as in the journal.
// On failure: the call and the blow are in the message.
import Glibc
import JobModel
import LinuxSystem
import TestKit
import Testing

@testable import RunJournal

private struct Wrong: Error, CustomStringConvertible {
    var description: String
}

@Suite struct FaultLoopTests {
    /// A life of a journal by hand: opening over a former life, writes with and without a sync, two rotations.
    private final class Life {
        let folder: Folder
        var model = ModelJournal()
        /// What is live after each event, and how many were promised.
        var history: [[RunID: RunRecord]] = []
        var promised = 0
        private var events = RandomEvents(seed: 5)

        init() throws {
            folder = try Folder(in: "/dev/shm")
            let journal = try Journal(
                folder.directory, replay: Replay.read(folder.directory), segmentBytes: 8192, salt: { 7 },
                settle: {},
                halt: { fatalError("\($0)") })
            for _ in 0..<3 {
                let id = events.id()
                let event = RunEvent.accepted(events.acceptance(id))
                journal.append(event, of: id)
                model.take(event, id)
            }
            journal.close()
            history = [model.live]
        }

        func live() throws {
            let replay = try Replay.read(folder.directory)
            var committer = Committer(
                directory: folder.directory, segmentBytes: 8192, salt: { Clocks.randomBits().1 }
            ) {}
            committer.number = replay.lastSegment
            committer.sequence = replay.lastSequence
            committer.old = replay.segments
            try committer.adoptSpare()
            try committer.rotate(carrying: Array(replay.live.values))
            try committer.prepareSpare()
            for number in 0..<12 {
                let id = events.id()
                var coded = [EventCoding.encode(.accepted(events.acceptance(id)), of: id)]
                let event = try EventCoding.decode(kind: coded[0].kind, coded[0].payload[...]).1
                model.take(event, id)
                history.append(model.live)
                if number % 2 == 0 {
                    coded.append(EventCoding.encode(.retired, of: id))
                    model.take(.retired, id)
                    history.append(model.live)
                }
                let isSynced = number % 3 == 0
                try committer.write(coded, sync: isSynced)
                if isSynced { promised = history.count - 1 }
                if number % 5 == 4 {
                    try committer.rotate(carrying: Array(model.live.values))
                    promised = history.count - 1
                    try committer.prepareSpare()
                }
            }
        }
    }

    @Test func everyCallOfALife() throws {
        let points = try FaultLoop.run(make: { try Life() }, work: { try $0.live() }) { life, _ in
            let found = try Replay.read(life.folder.directory).live
            guard let count = life.history.lastIndex(of: found) else {
                throw Wrong(description: "what is found was never so: \(found.count) runs")
            }
            guard count >= life.promised else {
                throw Wrong(description: "\(life.promised) events were promised, \(count) are found")
            }
            let journal = try Journal(
                life.folder.directory, replay: Replay.read(life.folder.directory), segmentBytes: 8192,
                salt: { Clocks.randomBits().1 }, settle: {}, halt: { fatalError("\($0)") })
            var events = RandomEvents(seed: 6)
            let id = events.id()
            journal.waitUntilDurable(journal.append(.accepted(events.acceptance(id)), of: id))
            journal.close()
            guard try Replay.read(life.folder.directory).live.count == found.count + 1 else {
                throw Wrong(description: "the next life did not keep what it wrote")
            }
        }
        #expect(points > 400)
    }

    /// A reader that is struck says so; it never finds less than there is.
    @Test func everyCallOfAReplay() throws {
        let bench = try JournalBench()
        var events = RandomEvents(seed: 9)
        let journal = try bench.open()
        for _ in 0..<20 {
            let id = events.id()
            journal.append(.accepted(events.acceptance(id)), of: id)
        }
        journal.close()
        let whole = try bench.replay().live
        var read: [RunID: RunRecord]?
        try FaultLoop.run(make: { read = nil }, work: { read = try bench.replay().live }) { _, _ in
            if let read, read != whole { throw Wrong(description: "\(read.count) runs of \(whole.count)") }
        }
    }
}
