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

    @Test func turnsOfARateOutliveTheBookThatGaveThem() throws {
        let folder = try Folder()
        let run = runs(3)
        let rate = RateLimit(limit: 1, per: .seconds(10))
        let now = Timestamp(seconds: 1_800_000_000)
        #expect(try RateBook(folder.directory).ask("k", run[0], rate, now: now) == nil)
        #expect(try RateBook(folder.directory).ask("k", run[1], rate, now: now) == now.adding(.seconds(10)))
        #expect(try RateBook(folder.directory).ask("k", run[0], rate, now: now) == nil)
        #expect(try RateBook(folder.directory).ask("other", run[2], rate, now: now) == nil)
        #expect(try RateBook(folder.directory).ask("k", run[1], rate, now: now.adding(.seconds(10))) == nil)
    }

    @Test func threadsNeverTakeMoreTurnsThanThereAre() throws {
        let folder = try Folder()
        let gone = Monitor(0)
        let now = Timestamp(seconds: 1_800_000_000)
        let threads = try runs(8).map { run in
            let book = try RateBook(folder.directory)
            return try BlockingThread.start("rate") {
                // An error leaves the count too low.
                let begins = try? book.ask("k", run, RateLimit(limit: 3, per: .seconds(10)), now: now) == nil
                if begins == true { gone.with { $0 += 1 } }
            }
        }
        for thread in threads { thread.join() }
        #expect(gone.with { $0 } == 3)
    }

    @Test func whatIsKnownOfATargetIsKeptUntilItAnswers() throws {
        let folder = try Folder()
        let (a, b) = (try TargetBook(folder.directory), try TargetBook(folder.directory))
        var policy = TargetPolicy()
        policy.failures = 1
        let now = Timestamp(seconds: 1_800_000_000)
        for name in [
            "db.example.com:5432", "[::1]:80", "odd/../name:1",
        ] {
            // What says nothing makes no file.
            let first = try a.change(name, makes: false) { $0.enter("run", policy, now: now, share: 0) }
            #expect(first == .go)
            try a.change(name, makes: false) { $0.leave("run", .answered, policy, now: now) }
            #expect(try TargetBook.all(folder.directory).isEmpty)
            try a.change(name, makes: false) { $0.leave("run", .down("E-X 503"), policy, now: now) }
            let found = try TargetBook.all(folder.directory)
            #expect(found.count == 1 && found.first?.target == name)
            #expect(found.first?.state.failures == 1 && found.first?.state.lastFailure == "E-X 503")
            let second = try b.change(name, makes: false) { $0.enter("r", policy, now: now, share: 0) }
            #expect(second == .wait(until: now.adding(.seconds(60)), isDown: true))
            let probe = try b.change(name, makes: false) {
                $0.enter("r", policy, now: now.adding(.seconds(60)), share: 0)
            }
            #expect(probe == .go)
            #expect(try TargetBook.all(folder.directory).first?.state.probe?.who == "r")
            #expect(try a.forget(name) && !a.forget(name))
            var rated = policy
            rated.rate = RateLimit(limit: 1, per: .seconds(10))
            let run = runs(2)
            for run in run {
                _ = try a.change(name, makes: true) { $0.enter("\(run)/1/1.1", rated, now: now, share: 0) }
            }
            try b.release(run[1])
            #expect(
                try TargetBook.all(folder.directory).first?.state.turns.turns.map(\.who) == [
                    "\(run[0])/1/1.1"
                ])
            try b.prune(now: Timestamp(nanoseconds: Clocks.wall))
            #expect(try TargetBook.all(folder.directory).count == 1)
            try b.prune(now: Timestamp(nanoseconds: Clocks.wall).adding(.seconds(800 * 86_400)))
            #expect(try TargetBook.all(folder.directory).isEmpty)
        }
    }
}
