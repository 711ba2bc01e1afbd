// What this is: tests of who starts next: priorities, limits, the bound against starvation, names dropped again.
// Owns: a scheduler without workers, asked by the test itself.
// Never: waits: next() is called only when there is work.
// On failure: shows the order that came out.
import Glibc
import JobModel
import LinuxSystem
import SpoolQueue
import Testing

@testable import BobbinDaemon

@Suite struct SchedulerTests {
    private let folder: Folder
    private let scheduler = Scheduler()
    private let slots: Directory

    init() throws {
        folder = try Folder()
        slots = try Directory.open(folder.path).makeDirectory("slots")
    }

    private func queue(_ name: String, _ limit: Int) throws -> QueuePolicy {
        QueuePolicy(name: try #require(QueueName(name)), maxConcurrent: limit)
    }
    private func key(_ queue: QueuePolicy, _ level: Int) throws -> LaneKey {
        LaneKey(queue: queue.name, priority: try #require(Priority(level)))
    }
    private func candidates(_ names: [String], at time: Int64 = 0) -> [Candidate] {
        names.map { Candidate(name: $0, evidence: .movedIn, seenAt: time) }
    }
    /// Takes the next file and gives its slot back at once.
    private func takeOne() -> String? {
        guard case .drop(let candidate, let key, let slot) = scheduler.next() else { return nil }
        scheduler.judged(candidate.name, key, stays: false)
        _ = scheduler.finish(slot: slot, run: nil)
        return candidate.name
    }

    @Test("more urgent first, then the order of observation") func priorities() throws {
        let policy = try queue("default", 1)
        try scheduler.configure([policy], slots: slots)
        scheduler.offer(candidates(["c", "a"]), try key(policy, 5))
        scheduler.offer(candidates(["z"]), try key(policy, 1))
        scheduler.offer(candidates(["m"]), try key(policy, 9))
        #expect((0..<4).map { _ in takeOne() } == ["z", "c", "a", "m"])
    }

    @Test("the longest waiting of the others has a turn after fifty") func starvation() throws {
        let policy = try queue("default", 1)
        try scheduler.configure([policy], slots: slots)
        scheduler.offer(candidates((0..<200).map { "urgent-\($0)" }, at: 10), try key(policy, 1))
        scheduler.offer(candidates(["young"], at: 9), try key(policy, 4))
        scheduler.offer(candidates(["old"], at: 1), try key(policy, 9))
        let order = (0..<120).map { _ in takeOne() ?? "" }
        #expect(order.firstIndex(of: "old") == Limits.starvationBound)
        #expect(order.firstIndex(of: "young") == 2 * Limits.starvationBound + 1)
    }

    @Test("users take turns within a priority") func usersTakeTurns() throws {
        let policy = try queue("default", 1)
        try scheduler.configure([policy], slots: slots)
        let flood = (0..<1000).map { Candidate(name: "a\($0)", evidence: .movedIn, seenAt: 0, user: 1) }
        scheduler.offer(flood, try key(policy, 5))
        let few = (0..<3).map { Candidate(name: "b\($0)", evidence: .movedIn, seenAt: 9, user: 2) }
        scheduler.offer(few, try key(policy, 5))
        #expect((0..<8).map { _ in takeOne() } == ["a0", "b0", "a1", "b1", "a2", "b2", "a3", "a4"])
    }

    @Test("what is put back is first again, and nothing begins while the work is held up") func heldUp()
        throws
    {
        let policy = try queue("default", 1)
        try scheduler.configure([policy], slots: slots)
        let lane = try key(policy, 5)
        scheduler.offer(candidates(["a", "b"]), lane)
        guard case .drop(let candidate, _, let slot) = scheduler.next() else { throw Stuck() }
        #expect(scheduler.holdUp(true) && !scheduler.holdUp(true) && scheduler.isHeldUp)
        scheduler.putBack(candidate, lane)
        #expect(scheduler.finish(slot: slot, run: nil) && scheduler.isQuiet && !scheduler.isIdle)
        #expect(scheduler.holdUp(false))
        #expect((0..<2).map { _ in takeOne() } == ["a", "b"])
        #expect(scheduler.isIdle)
    }
    private struct Stuck: Error {}

    @Test("while room is short one piece of work is out at a time, whoever asks") func slow() throws {
        let policy = try queue("default", 3), lane = try key(policy, 5), count = 300
        try scheduler.configure([policy], slots: slots)
        scheduler.offer(candidates((0..<count + 2).map { "j\($0)" }), lane)
        // Else as many as there are slots.
        guard case .drop(let one, _, let first) = scheduler.next(),
            case .drop(let two, _, let second) = scheduler.next()
        else { throw Stuck() }
        #expect(scheduler.slowDown(true) && !scheduler.slowDown(true))
        for (candidate, slot) in [(one, first), (two, second)] {
            scheduler.judged(candidate.name, lane, stays: false)
            _ = scheduler.finish(slot: slot, run: nil)
        }
        let out = Monitor((now: 0, most: 0, done: 0))
        let workers = try (0..<3).map { number in
            try BlockingThread.start("worker \(number)") { [scheduler] in
                while case .drop(let candidate, let key, let slot) = scheduler.next() {
                    out.with {
                        $0.now += 1
                        $0.most = max($0.most, $0.now)
                    }
                    // Time for another to be at it as well, where that is possible.
                    for _ in 0..<200 { sched_yield() }
                    let isLast = out.with {
                        $0.now -= 1
                        $0.done += 1
                        return $0.done == count
                    }
                    scheduler.judged(candidate.name, key, stays: false)
                    _ = scheduler.finish(slot: slot, run: nil)
                    if isLast { scheduler.exit() }
                }
            }
        }
        workers.forEach { $0.join() }
        #expect(out.with { $0.most } == 1 && out.with { $0.done } == count)
    }

    @Test("beyond the active set files wait on the disk, and a scan is asked for") func activeSet() throws {
        let small = Scheduler(activeSet: 10)
        let policy = try queue("default", 1)
        try small.configure([policy], slots: slots)
        let lane = try key(policy, 5)
        let all: [String] = (100..<195).map { "j\($0)" }
        var onDisk = all
        var ran: [String] = []
        small.offer(candidates(onDisk), lane)
        // Another user's file is not shut out by the first one's.
        small.offer([Candidate(name: "other", evidence: .seen, seenAt: 0, user: 7)], lane)
        while !small.isIdle {
            if !small.takeWantedScans().isEmpty { small.offer(candidates(onDisk), lane) }
            guard case .drop(let candidate, _, let slot) = small.next() else { break }
            ran.append(candidate.name)
            onDisk.removeAll { $0 == candidate.name }
            small.judged(candidate.name, lane, stays: false)
            _ = small.finish(slot: slot, run: nil)
        }
        #expect(ran.firstIndex(of: "other") == 1)
        #expect(ran.filter { $0 != "other" } == all)
    }

    @Test("a full queue does not hold up another") func fullQueue() throws {
        let narrow = try queue("narrow", 1), wide = try queue("wide", 2)
        try scheduler.configure([narrow, wide], slots: slots)
        scheduler.offer(candidates(["n1", "n2"]), try key(narrow, 1))
        scheduler.offer(candidates(["w1", "w2"]), try key(wide, 9))
        var taken: [String] = []
        for _ in 0..<3 {
            guard case .drop(let candidate, _, _) = scheduler.next() else { break }
            taken.append(candidate.name)
        }
        #expect(Set(taken) == ["n1", "w1", "w2"])
    }

    @Test("a slot that another runner holds is respected") func foreignSlot() throws {
        let policy = try queue("default", 1)
        let other = SlotSetBox(try SlotSet(policy.name, in: slots))
        #expect(try other.set.take(limit: 1) == 0)
        try scheduler.configure([policy], slots: slots)
        scheduler.offer(candidates(["x"]), try key(policy, 5))
        #expect(!scheduler.isIdle)
        try other.set.release(0)
        #expect(takeOne() == "x")
    }

    @Test("a name that is dropped again while it is judged is judged again") func again() throws {
        let policy = try queue("default", 2)
        try scheduler.configure([policy], slots: slots)
        let lane = try key(policy, 5)
        scheduler.offer(candidates(["a"]), lane)
        guard case .drop(let first, _, let slot) = scheduler.next() else {
            Issue.record("nothing came")
            return
        }
        scheduler.offer(candidates(["a"]), lane)
        scheduler.offer(candidates(["a"]), lane)
        scheduler.judged(first.name, lane, stays: false)
        _ = scheduler.finish(slot: slot, run: nil)
        #expect(takeOne() == "a")
        #expect(scheduler.isIdle)
    }

    @Test("a paused queue waits, and an unclaimed drop can be taken out") func pausing() throws {
        let policy = try queue("default", 1)
        try scheduler.configure([policy], slots: slots)
        scheduler.pause([policy.name])
        scheduler.offer(candidates(["a", "b"]), try key(policy, 5))
        #expect(scheduler.isIdle)
        #expect(scheduler.remove { $0 == "a" }?.0.name == "a")
        scheduler.pause([])
        #expect(takeOne() == "b")
    }
}

private final class SlotSetBox {
    let set: SlotSet
    init(_ set: SlotSet) { self.set = set }
}
