// What this is: what inotify tells, and what it stops telling.
// Owns: the hint of each way of arriving, overflow, the end of a watched directory.
// Never: waits: inotify queues before the call that caused the event returns.
// On failure: the hints that came are in the message.
// The overflow test makes as many events as the kernel queues; it does not change the kernel's limit.
import Foundation
import Glibc
import TestKit
import Testing

@testable import LinuxSystem

@Suite struct DirectoryWatchTests {
    private func watch(_ directory: Directory) throws -> DirectoryWatch {
        let watch = try DirectoryWatch()
        try watch.add(directory, tag: 1)
        return watch
    }
    private func hints(_ watch: DirectoryWatch) throws -> [DirectoryWatch.Hint] {
        try watch.drain().hints.map(\.hint)
    }

    /// Reports until there are so many hints. Wherever a file is closed a test must wait like this, and may not count on
    /// the order of closings: children that other tests start hold copies of a writer's descriptor until their exec, and
    /// a file is closed with the last.
    private func reports(_ watch: DirectoryWatch, _ count: Int) throws -> [(
        tag: Int, hint: DirectoryWatch.Hint
    )] {
        var all = try watch.drain().hints
        let end = Clocks.monotonic + 20_000_000_000
        while all.count < count, Clocks.monotonic < end {
            sched_yield()
            all += try watch.drain().hints
        }
        return all
    }
    private func hints(_ watch: DirectoryWatch, _ count: Int) throws -> [DirectoryWatch.Hint] {
        try reports(watch, count).map(\.hint)
    }

    @Test func eachWayOfArrivingHasItsHint() throws {
        let folder = try Folder()
        let outside = try Folder()
        let watch = try watch(folder.directory)
        #expect(try hints(watch).isEmpty)
        // Made without a descriptor, of which a child could hold a copy: its closing would be told here, after the move.
        #expect(mknod(outside.path + "/a", S_IFREG | 0o644, 0) == 0)
        try outside.directory.rename("a", to: folder.directory, "moved.yaml")
        #expect(try hints(watch) == [.movedIn(name: "moved.yaml")])
        do {
            let file = try folder.directory.create("written.yaml")
            #expect(try hints(watch) == [.appeared(name: "written.yaml")])
            try file.append([1])
            #expect(try hints(watch).isEmpty, "writing alone is no news")
        }
        #expect(try hints(watch, 1) == [.closed(name: "written.yaml")])
        #expect(link(folder.path + "/written.yaml", folder.path + "/linked.yaml") == 0)
        #expect(try hints(watch) == [.appeared(name: "linked.yaml")])
        _ = try folder.directory.openForReading("linked.yaml")
        try folder.directory.remove("linked.yaml")
        #expect(try hints(watch).isEmpty, "reading and removing is no arrival")
    }
    @Test func aNamelessFileThatIsLinkedInAppears() throws {
        let folder = try Folder()
        let watch = try watch(folder.directory)
        let fd = open(folder.path, O_WRONLY | 0o20200000, 0o644)  // O_TMPFILE, a macro that Swift cannot read
        try #require(fd >= 0)
        #expect(
            linkat(AT_FDCWD, "/proc/self/fd/\(fd)", folder.directory.fd, "t.yaml", AT_SYMLINK_FOLLOW) == 0)
        #expect(try hints(watch).contains(.appeared(name: "t.yaml")))
        close(fd)
        #expect(try !hints(watch).contains(.movedIn(name: "t.yaml")))
    }
    @Test func tagsTellDirectoriesApartAndRemovedOnesAreSilent() throws {
        let first = try Folder(), second = try Folder()
        let watch = try DirectoryWatch()
        try watch.add(first.directory, tag: 1)
        try watch.add(second.directory, tag: 2)
        try second.put("b", "")
        try first.put("a", "")
        let all = try reports(watch, 4)
        #expect(all.filter { $0.tag == 2 }.map(\.hint) == [.appeared(name: "b"), .closed(name: "b")])
        #expect(all.filter { $0.tag == 1 }.map(\.hint) == [.appeared(name: "a"), .closed(name: "a")])
        try first.put("late", "")
        watch.remove(tag: 1)
        try first.put("a2", "")
        try second.put("b2", "")
        #expect(try reports(watch, 2).map(\.tag) == [2, 2])
    }
    @Test func aDirectoryThatIsRemovedWhileItIsHeldSaysNothingButItsParentDoes() throws {
        // Its inode lives on in our descriptor (reliability.md finding 4).
        let folder = try Folder()
        let inner = try folder.folder("queue")
        let watch = try watch(inner)
        let above = try DirectoryWatch()
        try above.add(folder.directory, tag: 1, removals: true)
        try folder.directory.removeDirectory("queue")
        #expect(try hints(watch).isEmpty)
        #expect(try hints(above) == [.removed(name: "queue")])
        #expect(try inner.status().links == 0 && folder.directory.statusIfPresent("queue") == nil)
    }
    @Test func removalsAreToldWhereTheyAreAskedFor() throws {
        let folder = try Folder()
        for asked in [true, false] {
            let watch = try DirectoryWatch()
            try folder.put("a", "")
            try folder.put("b", "")
            try watch.add(folder.directory, tag: 7, removals: asked)
            try folder.directory.remove("a")
            try folder.directory.rename("b", to: folder.directory, "c")
            let wanted: [DirectoryWatch.Hint] =
                asked
                ? [.removed(name: "a"), .removed(name: "b"), .movedIn(name: "c")] : [.movedIn(name: "c")]
            let told = try hints(watch).filter { if case .closed = $0 { false } else { true } }
            #expect(told == wanted, "their writers may be closed late")
            try folder.directory.remove("c")
        }
    }
    @Test func aMovedDirectoryIsGone() throws {
        let folder = try Folder()
        let inner = try folder.folder("queue")
        let watch = try watch(inner)
        try folder.directory.rename("queue", to: folder.directory, "other")
        #expect(try hints(watch) == [.gone])
        try folder.put("other/x", "")
        #expect(
            try hints(watch, 2) == [.appeared(name: "x"), .closed(name: "x")],
            "it is still watched, whatever its path")
    }
    @Test func theWatchFollowsTheHeldDirectoryNotThePath() throws {
        let folder = try Folder()
        let held = try folder.folder("queue")
        try folder.directory.rename("queue", to: folder.directory, "old")
        let fresh = try folder.folder("queue")
        let watch = try watch(held)
        try folder.put("queue/new", "")
        #expect(try hints(watch).isEmpty)
        try folder.put("old/x", "")
        #expect(try hints(watch, 2).contains(.closed(name: "x")))
        _ = fresh
    }
    private static let queued =
        (try? String(contentsOfFile: "/proc/sys/fs/inotify/max_queued_events", encoding: .utf8))
        .flatMap { Int($0.trimmingCharacters(in: .whitespacesAndNewlines)) } ?? .max

    @Test(.enabled(if: queued <= 100_000, "the kernel queues too many events to overflow them in a test"))
    func anOverflowIsTold() throws {
        let folder = try Folder(in: DirectoryTests.fast)
        try folder.put("f", "")
        let watch = try watch(folder.directory)
        for number in 0...DirectoryWatchTests.queued / 2 + 1000 {
            let from = number % 2 == 0 ? "f" : "g", to = number % 2 == 0 ? "g" : "f"
            try folder.directory.rename(from, to: folder.directory, to)
            #expect(link(folder.path + "/" + to, folder.path + "/l\(number)") == 0)
        }
        let report = try watch.drain()
        #expect(report.overflowed)
        #expect(report.hints.count <= DirectoryWatchTests.queued)
        try folder.put("after", "")
        #expect(
            try hints(watch, 2) == [.appeared(name: "after"), .closed(name: "after")],
            "it goes on after an overflow")
    }
    @Test func oddNamesDoNotBreakTheParsing() throws {
        let folder = try Folder()
        let watch = try watch(folder.directory)
        let names = [
            "a", "-x", "new\nline", "日本語.yaml", String(repeating: "n", count: 255), "1234567", "12345678",
            "123456789012345", "1234567890123456",
        ]
        for name in names { _ = try folder.directory.create(name) }
        let all = try hints(watch, 2 * names.count)
        #expect(all.count == 2 * names.count)
        #expect(Set(all) == Set(names.flatMap { [.appeared(name: $0), .closed(name: $0)] }))
    }
}
