// What this is: kernel locks between descriptors and between processes.
// Owns: one holder at a time; a dead holder holds nothing.
// Never: waits for a lock.
// On failure: which of the two believed to hold the lock is in the message.
// The other process is an exit test of this one.
import Glibc
import TestKit
import Testing

@testable import LinuxSystem

@Suite struct FileLockTests {
    @Test func oneHolderAtATime() throws {
        let folder = try Folder()
        let other = try Directory.open(folder.path)
        do {
            let lock = try FileLock.take("lock", in: folder.directory)
            #expect(lock != nil)
            #expect(try FileLock.take("lock", in: other) == nil)
            #expect(
                try FileLock.take("lock", in: folder.directory) == nil,
                "the same process is another holder too")
            #expect(try FileLock.isHeld("lock", in: other))
            _ = lock
        }
        // Children that other tests start hold copies of our descriptors until their exec.
        for _ in 0..<10_000 where try FileLock.isHeld("lock", in: other) { sched_yield() }
        #expect(try !FileLock.isHeld("lock", in: other))
        #expect(try FileLock.take("lock", in: other) != nil)
    }
    @Test func askingMakesNoFile() throws {
        let folder = try Folder()
        #expect(try !FileLock.isHeld("lock", in: folder.directory))
        #expect(try folder.listing().isEmpty)
    }
    @Test func theFileOfALockIsPrivate() throws {
        let folder = try Folder()
        let lock = try FileLock.take("lock", in: folder.directory)
        #expect(try folder.directory.status("lock").mode == 0o600 && lock?.file.status().size == 0)
    }
    @Test func aReusableLockIsTakenAndReleased() throws {
        let folder = try Folder()
        let mine = try ReusableLock("n", in: folder.directory),
            theirs = try ReusableLock("n", in: folder.directory)
        for _ in 0..<3 {
            #expect(try mine.take() && !theirs.take())
            try mine.release()
            #expect(try theirs.take() && !mine.take())
            try theirs.release()
        }
        #expect(try mine.take() && mine.take(), "taking twice is holding once")
    }
    @Test func manyThreadsOneWinner() throws {
        let folder = try Folder()
        let directory = folder.directory
        let kept = Monitor<[FileLock]>([])
        let threads = try (0..<16).map { _ in
            try BlockingThread.start("taker") {
                if let lock = try? FileLock.take("lock", in: directory) { kept.with { $0.append(lock) } }
            }
        }
        for thread in threads { thread.join() }
        #expect(kept.with { $0.count } == 1)
    }
    @Test func anotherProcessIsKeptOutAndADeadOneHoldsNothing() async throws {
        let folder = try Folder()
        let mine = try FileLock.take("mine", in: folder.directory)
        #expect(mine != nil)
        let path = folder.path
        await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String] in
            let directory = try Directory.open(path)
            guard try FileLock.take("mine", in: directory) == nil, try FileLock.isHeld("mine", in: directory)
            else { exit(1) }
            let theirs = try FileLock.take("theirs", in: directory)
            guard theirs != nil, try FileLock.isHeld("theirs", in: directory) else { exit(2) }
            try directory.create("was-held").append([1])
            kill(getpid(), SIGKILL)
        }
        #expect(try folder.listing() == ["mine", "theirs", "was-held"])
        #expect(try !FileLock.isHeld("theirs", in: folder.directory))
        #expect(try FileLock.take("theirs", in: folder.directory) != nil)
    }
    @Test func aChildDoesNotInheritALock() async throws {
        // Alone in its process: a child of another test that is on its way to exec holds a copy for a moment.
        let folder = try Folder()
        let path = folder.path
        await #expect(processExitsWith: .exitCode(0)) { [path = path as String] in
            let directory = try Directory.open(path)
            var lock = try FileLock.take("lock", in: directory)
            guard lock != nil else { exit(1) }
            let child = try ChildProcess.start(
                path: "/bin/cat", arguments: ["cat"], environment: [], directory: nil)
            lock = nil
            guard try FileLock.take("lock", in: directory) != nil else { exit(2) }
            child.closeInput()
            exit(try child.reap() == ChildProcess.Exit(code: 0, wasKilled: false) ? 0 : 3)
        }
    }
}
