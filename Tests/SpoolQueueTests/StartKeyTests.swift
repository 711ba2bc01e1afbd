// What this is: concurrency keys, idempotency keys and rates as files.
// Owns: nothing.
// Never: waits for time: instants are given.
// On failure: the seed and the turn are in the message.
import JobModel
import LinuxSystem
import TestKit
import Testing

@testable import SpoolQueue

@Suite struct StartKeyTests {
    private func runs(_ count: Int) -> [RunID] {
        var maker = RunIDMaker()
        return (0..<count).map { _ in maker.next(now: Timestamp(seconds: 1_800_000_000), random: (1, 1)) }
    }

    @Test func aKeyIsOneRunsAtATime() throws {
        let folder = try Folder()
        let (a, b) = (try KeyLocks(folder.directory), try KeyLocks(folder.directory))
        let run = runs(3)
        #expect(try a.take("k", for: run[0]) && a.take("k", for: run[0]))
        #expect(try !a.take("k", for: run[1]) && !b.take("k", for: run[1]))
        #expect(a.holder("k") == run[0] && b.holder("k") == nil && b.named("k") == run[0])
        #expect(try b.take("other", for: run[1]))
        try a.pass("k", to: run[2])
        #expect(a.holder("k") == run[2] && b.named("k") == run[2])
        #expect(try !b.take("k", for: run[1]))
        try a.release("k")
        #expect(try b.take("k", for: run[1]) && !a.take("k", for: run[0]))
        try b.release("k")
        try b.release("other")
        // No file stays of a key that nobody has.
        #expect(try folder.directory.directory(SpoolName.keys).names().isEmpty)
    }

    @Test func threadsNeverHaveAKeyTogether() throws {
        let folder = try Folder()
        let run = runs(8)
        let inside = Monitor((now: 0, most: 0, times: 0))
        let threads = try run.map { run in
            let locks = try KeyLocks(folder.directory)
            return try BlockingThread.start("key") {
                var left = 200
                while left > 0 {
                    guard (try? locks.take("k", for: run)) ?? false else { continue }
                    inside.with {
                        $0.now += 1
                        $0.most = max($0.most, $0.now)
                        $0.times += 1
                    }
                    inside.with { $0.now -= 1 }
                    try? locks.release("k")
                    left -= 1
                }
            }
        }
        for thread in threads { thread.join() }
        #expect(inside.with { $0.most } == 1 && inside.with { $0.times } == 1600)
    }

    @Test func theFirstOfAKeyIsRemembered() throws {
        let folder = try Folder()
        let run = runs(4)
        let start = Timestamp(seconds: 1_800_000_000)
        do {
            let once = try OnceKeys(folder.directory)
            #expect(try once.claim("ab12", for: run[0], at: start, within: nil) == nil)
            // The same run, asked again after a crash.
            #expect(try once.claim("ab12", for: run[0], at: start, within: nil) == nil)
        }
        let once = try OnceKeys(folder.directory)
        var first = OnceKeys.First(run: run[0], acceptedAt: start)
        #expect(try once.claim("ab12", for: run[1], at: start.adding(.seconds(9)), within: nil) == first)
        // While it is on its way it counts, however long that is.
        #expect(
            try once.claim("ab12", for: run[1], at: start.adding(.seconds(99)), within: .seconds(10)) == first
        )
        first.endedAt = start.adding(.seconds(20))
        try once.keep("ab12", of: run[1], at: start, ended: start)
        try once.keep("ab12", of: run[0], at: start, ended: start.adding(.seconds(20)))
        #expect(try once.claim("ab12", for: run[0], at: start, within: nil) == nil)
        #expect(
            try once.claim("ab12", for: run[1], at: start.adding(.seconds(30)), within: .seconds(10)) == first
        )
        #expect(try once.claim("ab12", for: run[1], at: start.adding(.seconds(99)), within: nil) == first)
        #expect(
            try once.claim("ab12", for: run[1], at: start.adding(.seconds(31)), within: .seconds(10)) == nil)
        // What another run has taken over is none of the first's to give up.
        try once.forget("ab12", of: run[0])
        #expect(try once.claim("ab12", for: run[2], at: start, within: nil)?.run == run[1])
        try once.forget("ab12", of: run[1])
        try once.forget("ab12", of: run[1])
        try once.forget("cd", of: run[1])
        #expect(try once.claim("ab12", for: run[2], at: start, within: nil) == nil)
    }

    @Test func aFileThatNobodyCanReadNamesNobody() throws {
        let folder = try Folder()
        let once = try OnceKeys(folder.directory)
        let run = runs(2)
        _ = try once.claim("ab12", for: run[0], at: Timestamp(seconds: 5), within: nil)
        try folder.directory.directory("once/ab").openForUpdate("ab12").truncate(to: 0)
        #expect(try once.claim("ab12", for: run[1], at: Timestamp(seconds: 6), within: nil) == nil)
    }

    @Test(arguments: 0..<40) func noSpanHasMoreTurnsThanTheLimit(seed: Int) throws {
        var random = SeededRandom(seed: UInt64(seed))
        let folder = try Folder()
        let book = try RateBook(folder.directory)
        let limit = 1 + random.below(5), per = Span.seconds(Int64(1 + random.below(20)))
        var now = Timestamp(seconds: 1_800_000_000)
        var turns: [Int64] = []
        for _ in 0..<60 {
            now = now.adding(.milliseconds(Int64(random.below(random.chance(4) ? 30_000 : 900))))
            let due = try book.turn("k", limit: limit, per: per, now: now)
            #expect(due >= now, "seed \(seed)")
            // In the order in which they asked, and none later than the limit makes it.
            let soonest =
                turns.count < limit
                ? now.nanoseconds : max(now.nanoseconds, turns[turns.count - limit] + per.nanoseconds)
            #expect(due.nanoseconds == max(soonest, turns.last ?? 0), "seed \(seed), turn \(turns.count)")
            turns.append(due.nanoseconds)
        }
        for (index, turn) in turns.enumerated() {
            let inSpan = turns[index...].count { $0 < turn + per.nanoseconds }
            #expect(inSpan <= limit, "seed \(seed), span from turn \(index)")
        }
    }
}
