// What this is: the log of the triggers and the drops made from it: each call failing, a crash at each call, cut and damaged files.
// Owns: a small spool of one lane, and a reader that says what became of a ticket.
// Never: starts a runner.
// On failure: the call and the blow are in the message.
import Foundation
import JobModel
import LinuxSystem
import TestKit
import Testing

@testable import Triggers

private struct Wrong: Error, CustomStringConvertible { var description: String }

private final class World {
    let folder: Folder
    let state: Directory, lane: Directory
    let fires: [Fire]
    var troubles = 0

    init(_ count: Int = 3) throws {
        folder = try Folder(in: "/dev/shm")
        state = try folder.folder("state")
        lane = try folder.folder("lane")
        fires = (0..<count).map { number in
            let instant = Timestamp(seconds: Int64(1_795_000_000 + number))
            let ticket = TriggerDrops.ticket(
                spool: "S", trigger: "schedule/a", about: String(number), at: instant)
            return Fire(
                trigger: "schedule/a", ticket: ticket.text, queue: .standard, priority: .normal,
                name: "a.\(ticket).yaml", text: "job \(number)\n")
        }
    }
    /// As a new process would.
    func open() throws -> TriggerDrops {
        TriggerDrops(
            try FireLog(state),
            spool: .init(
                lane: { [lane] _, _ in lane },
                known: { [lane] tickets in
                    Set(try lane.names().compactMap { name in tickets.first { name.contains($0) } })
                }),
            trouble: { [unowned self] _, _ in troubles += 1 })
    }
    /// After a new start each of them is there once, whole, or was never decided.
    func check(_ outcome: ThreadFaults.Outcome) throws {
        let drops = try open()
        let decided = drops.log.facts["schedule/a"] != nil
        drops.finishOpen()
        let names = try lane.names().filter { !$0.hasPrefix(".") }
        if outcome.error == nil, !decided { throw Wrong(description: "told, but not decided") }
        guard decided else {
            if !names.isEmpty { throw Wrong(description: "made, but not decided: \(names)") }
            return
        }
        guard names.sorted() == fires.map(\.name).sorted() else {
            throw Wrong(description: "there: \(names)")
        }
        for fire in fires where try folder.text("lane/\(fire.name)") != fire.text {
            throw Wrong(description: "\(fire.name) is not whole")
        }
        guard drops.log.open.isEmpty else { throw Wrong(description: "still open: \(drops.log.open.count)") }
    }
}

@Suite struct FireLogTests {
    @Test func eachCallOfDecidingAndMakingFails() throws {
        let points = try FaultLoop.run(mustThrow: false, make: { try World() }) { world in
            try world.open().make(world.fires, facts: ["schedule/a": ["mark": .int(1)]])
        } check: { world, outcome in
            try world.check(outcome)
        }
        #expect(points > 100)
    }

    @Test func finishingAfterACrashFails() throws {
        let points = try FaultLoop.run(
            mustThrow: false,
            make: {
                let world = try World()
                try world.open().log.decide(world.fires, facts: ["schedule/a": ["mark": .int(1)]])
                return world
            }
        ) {
            try $0.open().finishOpen()
        } check: { world, _ in
            try world.check(ThreadFaults.Outcome())
        }
        #expect(points > 80)
    }

    @Test func whatWasTakenMeanwhileIsNotMadeAgain() throws {
        let world = try World()
        try world.open().log.decide(world.fires)
        let drops = TriggerDrops(
            try FireLog(world.state),
            spool: .init(
                lane: { [lane = world.lane] _, _ in lane },
                known: { [fires = world.fires] _ in [fires[1].ticket] }),
            trouble: { _, _ in })
        drops.finishOpen()
        #expect(try world.lane.names().sorted() == [world.fires[0].name, world.fires[2].name].sorted())
        #expect(drops.log.open.isEmpty)
    }

    @Test func aDropThatLostItsTextWithThePowerIsMadeAgain() throws {
        let world = try World()
        try world.open().log.decide(world.fires)
        try world.folder.put("lane/\(world.fires[0].name)", "")
        try world.open().finishOpen()
        #expect(try world.folder.text("lane/\(world.fires[0].name)") == world.fires[0].text)
    }

    @Test func aQueueThatIsMissingIsWaitedFor() throws {
        let world = try World()
        let lane = Monitor<Directory?>(nil)
        let drops = TriggerDrops(
            try FireLog(world.state),
            spool: .init(lane: { _, _ in lane.with { $0 } }, known: { _ in [] }),
            trouble: { _, error in #expect(error is NoSuchLane) })
        try drops.make(world.fires)
        #expect(drops.log.open.count == 3)
        lane.with { $0 = world.lane }
        drops.finishOpen()
        #expect(drops.log.open.isEmpty)
        #expect(try world.lane.names().count == 3)
    }

    @Test func aFileThatIsCutAnywhereReadsAsWhatWasWhole() throws {
        let world = try World()
        let log = try FireLog(world.state)
        try log.decide(world.fires, facts: ["x": ["a": .int(1)]])
        try log.made([world.fires[0]], facts: ["x": ["a": .int(2)], "y": ["b": .bool(true)]])
        let bytes = try Data(contentsOf: URL(fileURLWithPath: world.folder.path + "/state/fires.log"))
        for length in 0...bytes.count {
            let folder = try Folder(in: "/dev/shm")
            try bytes.prefix(length).write(to: URL(fileURLWithPath: folder.path + "/fires.log"))
            let read = try FireLog(folder.directory)
            #expect(read.damaged == 0)
            // And goes on in a line of its own.
            try read.made([], facts: ["z": ["c": .int(3)]])
            #expect(try FireLog(folder.directory).facts["z"] == ["c": .int(3)])
        }
        #expect(try FireLog(world.state).facts["x"] == ["a": .int(2)])
    }

    @Test func aDamagedLineTakesNothingElseWithIt() throws {
        let world = try World()
        try FireLog(world.state).decide(world.fires, facts: ["x": ["a": .int(1)]])
        var lines = try world.folder.text("state/fires.log").split(separator: "\n").map(String.init)
        lines[1] = "{\"fire\": garbled"
        try world.folder.put("state/fires.log", lines.joined(separator: "\n") + "\n")
        let read = try FireLog(world.state)
        #expect(read.damaged == 1 && read.open.count == 2 && read.facts["x"] != nil)
    }

    @Test func itIsRewrittenWhenItHasGrown() throws {
        let folder = try Folder(in: "/dev/shm")
        let log = try FireLog(folder.directory, rewriteAt: 10_000)
        let world = try World()
        try log.decide(world.fires)
        for number in 0..<1000 { try log.made([], facts: ["k\(number % 7)": ["n": .int(number)]]) }
        let size = try folder.directory.status("fires.log").size
        #expect(size < 25_000)
        let read = try FireLog(folder.directory)
        #expect(read.open.count == 3 && read.facts["k5"] == ["n": .int(999)])
        #expect(read.facts == log.facts)
        // What is forgotten is gone for good.
        try log.made([], facts: ["k1": nil])
        #expect(try FireLog(folder.directory).facts["k1"] == nil)
    }
}
