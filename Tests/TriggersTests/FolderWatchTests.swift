// What this is: folder watchers on a real directory with clocks of our own: what counts, when it is whole, what a restart finds.
// Owns: a driver that plays the desk: record, decide, confirm, or crash in between.
// Never: sleeps: time is a number that the test adds to.
// On failure: what was fired is in the message.
import Foundation
import JobModel
import LinuxSystem
import TestKit
import Testing

@testable import Triggers

/// A watcher and its folder.
private final class Scene {
    let folder: Folder
    let ledgers: Directory
    var watcher: Watcher
    var watch: FolderWatch
    /// Monotonic.
    var now: Int64 = 1_000_000_000_000
    var fired: [String] = []
    var groups: [[String]] = []
    /// Tickets that were decided.
    var decided: Set<String> = []
    var serial = 0

    init(_ change: (inout Watcher) -> Void = { _ in }) throws {
        folder = try Folder()
        ledgers = try folder.folder("ledgers")
        _ = try folder.folder("in")
        watcher = Watcher(
            id: "w", name: "w", path: folder.path + "/in", template: "t.yaml", queue: .standard,
            priority: .normal)
        change(&watcher)
        watch = try FolderWatch(watcher, ledgers: ledgers)
    }
    var wall: Timestamp { Timestamp(seconds: 1_795_000_000 + now / 1_000_000_000) }

    /// Some time goes by.
    func pump(_ milliseconds: Int64 = 5000, crash: Crash? = nil) throws {
        for _ in 0..<10 {
            now += milliseconds * 100_000
            watch.takeHints(now: now)
            try watch.look(now: now, wall: wall)
            let groups = try watch.take(now: now, wall: wall)
            if groups.isEmpty { continue }
            let tickets = groups.map { _ -> String in
                serial += 1
                return "T\(serial)"
            }
            let decisions = Array(zip(groups, tickets)).map { ($0, ticket: $1) }
            try watch.record(decisions)
            if crash == .beforeDecision { return }
            decided.formUnion(tickets)
            for group in groups {
                self.groups.append(group.events.map(Scene.text))
                fired += group.events.map(Scene.text)
            }
            if crash == .afterDecision { return }
            try watch.confirm(decisions)
        }
    }
    enum Crash { case beforeDecision, afterDecision }
    static func text(_ event: FileEvent) -> String {
        "\(event.event.rawValue) \(event.path)\(event.oldPath.map { " from \($0)" } ?? "")"
    }
    /// A new process: what the ledger has, and what the world looks like.
    func restart() throws {
        watch = try FolderWatch(watcher, ledgers: ledgers)
        try watch.ledger.settle(known: decided)
    }
    func take() -> [String] {
        defer { fired = [] }
        return fired.sorted()
    }
    func put(_ name: String, _ text: String) throws { try folder.put("in/\(name)", text) }
    func path(_ name: String) -> String { "\(folder.path)/in/\(name)" }
    func move(_ name: String, to other: String) throws {
        #expect(rename(path(name), path(other)) == 0)
    }
    func remove(_ name: String) { unlink(path(name)) }
}

@Suite struct FolderWatchTests {
    @Test func eachKindOfChangeOnce() throws {
        let scene = try Scene {
            $0.events = Set(Watcher.Event.allCases)
            $0.isRecursive = true
        }
        try scene.put("old.txt", "x")
        try scene.pump()
        #expect(scene.take() == ["created old.txt"])
        try scene.put("a.txt", "a")
        try scene.put("old.txt", "changed")
        try scene.pump()
        #expect(scene.take() == ["created a.txt", "modified old.txt"])
        _ = try scene.folder.folder("in/sub/deep")
        try scene.put("sub/deep/b.txt", "b")
        try scene.move("a.txt", to: "sub/a2.txt")
        try scene.pump()
        #expect(scene.take() == ["created sub/deep/b.txt", "moved sub/a2.txt from a.txt"])
        scene.remove("old.txt")
        try FileManager.default.removeItem(atPath: scene.path("sub"))
        try scene.pump()
        #expect(scene.take() == ["deleted old.txt", "deleted sub/a2.txt", "deleted sub/deep/b.txt"])
        try scene.pump(60_000)
        #expect(scene.take() == [] && scene.watch.ledger.count == 0)
    }

    @Test func aFileThatIsBeingWrittenIsWaitedFor() throws {
        let scene = try Scene()
        try scene.pump()
        let fd = open(scene.path("big.dat"), O_WRONLY | O_CREAT, 0o644)
        #expect(write(fd, "half", 4) == 4)
        for _ in 0..<5 { try scene.pump(10_000) }
        #expect(scene.take() == [])
        #expect(write(fd, "rest", 4) == 4)
        close(fd)
        try scene.pump()
        #expect(scene.take() == ["created big.dat"])
    }

    @Test func aPathMustBeQuiet() throws {
        let scene = try Scene { $0.debounce = .seconds(5) }
        try scene.pump(100)
        for round in 0..<20 {
            try scene.put("a.txt", "round \(round)")
            try scene.pump(1000)
        }
        #expect(scene.take() == [])
        try scene.pump(6000)
        #expect(scene.take() == ["created a.txt"])
    }

    @Test func whatWasThereBefore() throws {
        for (existing, wanted) in [(Watcher.Existing.process, ["created a.txt"]), (.ignore, [])] {
            let scene = try Scene { $0.existing = existing }
            try scene.put("a.txt", "x")
            try scene.pump()
            #expect(scene.take() == wanted)
            // Also after a restart it is not new, and what comes is.
            try scene.restart()
            try scene.put("b.txt", "x")
            try scene.pump()
            #expect(scene.take() == ["created b.txt"])
        }
    }

    @Test func whatHappenedWhileNobodyLooked() throws {
        let scene = try Scene { $0.events = Set(Watcher.Event.allCases) }
        for name in ["stays", "changes", "goes", "moves"] { try scene.put(name, name) }
        try scene.pump()
        _ = scene.take()
        try scene.put("changes", "other")
        scene.remove("goes")
        try scene.move("moves", to: "moved")
        try scene.put("comes", "new")
        try scene.restart()
        try scene.pump()
        #expect(
            scene.take() == ["created comes", "deleted goes", "modified changes", "moved moved from moves"])
        try scene.restart()
        try scene.pump()
        #expect(scene.take() == [])
    }

    @Test func onceByVersionByNameByContent() throws {
        for (once, wanted) in [
            (Watcher.Once.version, ["created again", "created copy", "modified a"]),
            (.name, ["created copy"]), (.content, ["modified a"]),
        ] {
            let scene = try Scene { $0.once = once }
            try scene.put("a", "same")
            try scene.put("again", "gone")
            try scene.pump()
            scene.remove("again")
            try scene.pump()
            _ = scene.take()
            try scene.restart()
            try scene.put("copy", "same")
            try scene.put("a", "other")
            try scene.put("again", "gone")
            try scene.pump()
            #expect(scene.take() == wanted, "\(once)")
        }
    }

    @Test func twoOfTheSameContentAtOnceAreOne() throws {
        let scene = try Scene { $0.once = .content }
        try scene.put("a", "same")
        try scene.put("b", "same")
        try scene.pump()
        #expect(scene.take().count == 1)
    }

    @Test func batchesByNumberAndByTime() throws {
        let scene = try Scene { $0.batch = .init(maxFiles: 3, maxWait: .seconds(20)) }
        try scene.pump(100)
        for number in 0..<7 { try scene.put("f\(number)", "x") }
        try scene.pump(6000)
        #expect(scene.groups.map(\.count) == [3, 3])
        try scene.pump(30_000)
        #expect(scene.groups.map(\.count) == [3, 3, 1])
        #expect(Set(scene.fired).count == 7)
        // What waits for its batch is not lost with the process.
        try scene.put("late", "x")
        try scene.pump(6000)
        try scene.restart()
        try scene.pump(40_000)
        #expect(scene.fired.last == "created late" && scene.fired.count == 8)
    }

    @Test func whatWaitsForItsBatchIsInItOnce() throws {
        let scene = try Scene {
            $0.batch = .init(maxFiles: 50, maxWait: .seconds(200))
            $0.once = .content
        }
        try scene.put("a", "one")
        try scene.pump(6000)
        // Longer than a sweep, and another file of the same bytes some seconds later.
        try scene.put("copy", "one")
        try scene.put("b", "two")
        try scene.put("c", "three")
        for _ in 0..<10 { try scene.pump(10_000) }
        // One is written anew meanwhile, one goes.
        try scene.put("b", "another two")
        scene.remove("c")
        for _ in 0..<12 { try scene.pump(10_000) }
        #expect(scene.groups == [["created a", "created b"]])
    }

    @Test func whatWentWaitsForItsBatchAndNoLonger() throws {
        let scene = try Scene {
            $0.events = [.deleted]
            $0.batch = .init(maxFiles: 50, maxWait: .seconds(100))
        }
        try scene.put("a", "x")
        try scene.pump(6000)
        scene.remove("a")
        for _ in 0..<11 { try scene.pump(10_000) }
        #expect(scene.groups == [["deleted a"]])
    }

    @Test func aBatchMayBeLargerThanWhatIsLookedAtInOneGo() throws {
        let scene = try Scene {
            $0.batch = .init(maxFiles: 5000, maxWait: .seconds(100))
            $0.takesChecksum = false
        }
        for number in 0..<1500 { try scene.put("f\(number)", "") }
        try scene.pump(6000)
        // Nothing is left to do before the batch is due.
        #expect(scene.groups.isEmpty && scene.watch.nextLook > scene.now)
        try scene.pump(120_000)
        #expect(scene.groups.map(\.count) == [1500])
    }

    @Test func aNewFileInAnOldNameIsNew() throws {
        for events in [[Watcher.Event.created], [.created, .modified]] {
            let scene = try Scene {
                $0.events = Set(events)
                $0.debounce = .seconds(5)
            }
            try scene.put("a.pdf", "first")
            try scene.pump(10_000)
            #expect(scene.take() == ["created a.pdf"])
            // As a job does that files it away; the next one comes before the path was quiet.
            #expect(rename(scene.path("a.pdf"), scene.folder.path + "/away") == 0)
            try scene.put("a.pdf", "second")
            try scene.pump(10_000)
            #expect(scene.take() == ["created a.pdf"])
        }
        // Also in another folder that stands in the place of the first.
        let scene = try Scene { $0.events = [.created] }
        try scene.put("a.pdf", "first")
        try scene.pump()
        #expect(rename(scene.folder.path + "/in", scene.folder.path + "/away") == 0)
        _ = try scene.folder.folder("in")
        try scene.put("a.pdf", "second")
        try scene.pump(20_000)
        #expect(scene.take() == ["created a.pdf", "created a.pdf"])
    }

    @Test func twoSpellingsOfOneLetterAreTwoFiles() throws {
        let scene = try Scene()
        try scene.pump()
        try scene.put("caf\u{E9}.pdf", "composed")
        try scene.put("cafe\u{301}.pdf", "decomposed")
        try scene.pump()
        #expect(scene.fired.count == 2 && scene.watch.ledger.count == 2)
        try scene.restart()
        try scene.pump()
        #expect(scene.fired.count == 2)
    }

    @Test func patternsThatChangeAreHeeded() throws {
        let scene = try Scene()
        try scene.put("a.pdf", "x")
        try scene.pump()
        scene.watcher.patterns = ["*.txt"]
        try scene.restart()
        try scene.pump()
        try scene.put("a.pdf", "changed")
        try scene.pump(20_000)
        #expect(scene.take() == ["created a.pdf"])
    }

    @Test func aGreatFileKeepsNobodyWaiting() throws {
        let scene = try Scene()
        try scene.pump()
        let fd = open(scene.path("great"), O_WRONLY | O_CREAT, 0o644)
        #expect(ftruncate(fd, 150 << 20) == 0)
        close(fd)
        try scene.put("small", "x")
        var turns = 0
        while scene.fired.count < 2, turns < 100 {
            try scene.pump(100)
            turns += 1
        }
        #expect(scene.fired == ["created small", "created great"])
    }

    @Test func whichFilesAreWanted() throws {
        let scene = try Scene {
            $0.patterns = ["*.pdf", "in/*.txt"]
            $0.ignorePatterns = ["draft-*", "skip"]
            $0.isRecursive = true
        }
        for folder in ["sub", "in", "skip", ".hidden"] { _ = try scene.folder.folder("in/\(folder)") }
        let names = [
            "a.pdf", "b.PDF", "draft-a.pdf", ".a.pdf", "c.txt", "in/c.txt", "in/d.pdf", "sub/c.txt",
            "skip/a.pdf",
            ".hidden/a.pdf", "a.pdf~", "x.pdf.tmp", "ü.pdf",
        ]
        for name in names { try scene.put(name, "x") }
        try scene.folder.link("in/link.pdf", to: scene.path("c.txt"))
        #expect(mkfifo(scene.path("pipe.pdf"), 0o644) == 0)
        try scene.pump()
        #expect(scene.take() == ["created a.pdf", "created in/c.txt", "created in/d.pdf", "created ü.pdf"])
    }

    @Test func anotherFolderInItsPlaceMakesNothingGone() throws {
        let scene = try Scene { $0.events = Set(Watcher.Event.allCases) }
        try scene.put("a", "x")
        try scene.put("b", "x")
        try scene.pump()
        _ = scene.take()
        // As if a disk were not mounted any more, and something else lay there.
        #expect(rename(scene.folder.path + "/in", scene.folder.path + "/away") == 0)
        try scene.pump(20_000)
        #expect(scene.watch.trouble != nil)
        _ = try scene.folder.folder("in")
        try scene.put("c", "x")
        try scene.pump(20_000)
        #expect(scene.take() == ["created c"] && scene.watch.trouble == nil)
        try FileManager.default.removeItem(atPath: scene.folder.path + "/in")
        #expect(rename(scene.folder.path + "/away", scene.folder.path + "/in") == 0)
        try scene.pump(20_000)
        #expect(scene.take() == ["deleted c"])
    }

    @Test func aDirectoryThatIsReplacedIsWatchedAnew() throws {
        let scene = try Scene { $0.isRecursive = true }
        _ = try scene.folder.folder("in/sub")
        try scene.put("sub/a", "x")
        try scene.pump()
        try FileManager.default.removeItem(atPath: scene.path("sub"))
        _ = try scene.folder.folder("in/sub")
        try scene.put("sub/b", "x")
        try scene.pump()
        try scene.put("sub/c", "x")
        try scene.pump()
        #expect(scene.take() == ["created sub/a", "created sub/b", "created sub/c"])
    }

    @Test func aCrashBetweenLedgerAndDecisionLosesNothing() throws {
        for crash in [Scene.Crash.beforeDecision, .afterDecision] {
            let scene = try Scene()
            for number in 0..<5 { try scene.put("f\(number)", "x") }
            try scene.pump(crash: crash)
            try scene.restart()
            try scene.pump()
            #expect(scene.take() == (0..<5).map { "created f\($0)" }, "\(crash)")
        }
    }

    @Test func aWatchForEachDirectoryAndNoneForAFile() throws {
        let scene = try Scene { $0.isRecursive = true }
        for folder in 0..<10 {
            _ = try scene.folder.folder("in/d\(folder)")
            for file in 0..<20 { try scene.put("d\(folder)/f\(file)", "") }
        }
        try scene.pump()
        let watched = try String(
            contentsOfFile: "/proc/self/fdinfo/\(#require(scene.watch.fd))", encoding: .utf8)
        #expect(watched.split(separator: "\n").count { $0.hasPrefix("inotify") } == 11)
        #expect(scene.take().count == 200)
    }

    /// A model of a few lines beside it: what was put, and what is there in the end.
    @Test(arguments: 0..<12) func anythingInAnyOrder(_ seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let scene = try Scene {
            $0.isRecursive = true
            $0.events = [.created, .modified]
        }
        _ = try scene.folder.folder("in/s")
        var files: [String: Int] = [:]
        var version = 0
        for _ in 0..<120 {
            let name = (random.chance(2) ? "s/" : "") + "f\(random.below(6))"
            switch random.below(8) {
            case 0, 1, 2:
                version += 1
                try scene.put(name, String(repeating: "v", count: version))
                files[name] = version
            case 3:
                scene.remove(name)
                files[name] = nil
            case 4 where files[name] != nil:
                let other = "m\(random.below(4))"
                try scene.move(name, to: other)
                files[other] = files[name]
                files[name] = nil
            case 5: try scene.restart()
            case 6:
                try scene.pump(Int64(1 + random.below(3000)), crash: random.chance(2) ? .beforeDecision : nil)
                if !scene.watch.ledger.unsureTickets.isEmpty { try scene.restart() }
            default: try scene.pump(Int64(1 + random.below(3000)))
            }
        }
        for _ in 0..<50 {
            try scene.pump()
            if scene.watch.status["pending"] == .int(0) { break }
        }
        // All that is there has been seen in the version that it has, and a further look finds nothing.
        #expect(scene.watch.ledger.count == files.count, "seed \(seed)")
        for (name, version) in files {
            #expect(scene.watch.ledger.known(name)?.size == version, "seed \(seed): \(name)")
            #expect(scene.fired.contains { $0.hasSuffix(" \(name)") }, "seed \(seed): \(name)")
        }
        scene.fired = []
        try scene.restart()
        try scene.pump()
        #expect(scene.take() == [], "seed \(seed)")
    }
}
