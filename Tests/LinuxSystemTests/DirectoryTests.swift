// What this is: directory handles: renames that replace nothing, paths that lead nowhere else, listings that miss nothing.
// Owns: NOREPLACE, openat2, getdents, the status of odd files.
// Never: looks at a file by a path of the code under test.
// On failure: the errno is in the message.
// Symbolic links, hard links and FIFOs are made with the C library.
import Foundation
import Glibc
import TestKit
import Testing

@testable import LinuxSystem

@Suite struct DirectoryTests {
    @Test func aRenameReplacesNothing() throws {
        let folder = try Folder()
        let other = try folder.folder("other")
        try folder.put("a", "A")
        try folder.put("other/b", "B")
        #expect(failure { try folder.directory.rename("a", to: other, "b") }?.errno == EEXIST)
        #expect(try folder.text("a") == "A" && folder.text("other/b") == "B")
        try folder.directory.rename("a", to: other, "c")
        #expect(try folder.listing() == ["other"] && folder.text("other/c") == "A")
        #expect(failure { try folder.directory.rename("a", to: other, "d") }?.isMissing == true)
    }
    @Test func twoNamesOfOneFileAreNoRename() throws {
        // rename(2) would answer 0 and do nothing, which would look like a won claim.
        let folder = try Folder()
        try folder.put("a", "A")
        #expect(link(folder.path + "/a", folder.path + "/b") == 0)
        #expect(failure { try folder.directory.rename("a", to: folder.directory, "b") }?.errno == EEXIST)
        #expect(try folder.listing() == ["a", "b"])
    }
    @Test func replacingIsAskedForByName() throws {
        let folder = try Folder()
        try folder.put("a", "A")
        try folder.put("b", "B")
        try folder.directory.renameReplacing("a", to: folder.directory, "b")
        #expect(try folder.listing() == ["b"] && folder.text("b") == "A")
    }
    @Test func pathsBelowLeadNowhereElse() throws {
        let folder = try Folder()
        _ = try folder.folder("in/deep")
        _ = try folder.folder("out")
        try folder.link("in/link", to: "../out")
        try folder.link("in/inside", to: "deep")
        let inner = try folder.directory.directory("in")
        #expect(try inner.directory("deep").names().isEmpty)
        for (path, code) in [
            ("link", ELOOP), ("inside", ELOOP), ("..", EXDEV), ("deep/../../out", EXDEV), ("/", EXDEV),
            ("/tmp", EXDEV), ("no", ENOENT),
        ] {
            #expect(failure { _ = try inner.directory(path) }?.errno == code, "\(path)")
        }
        #expect(failure { _ = try inner.child("link") }?.fileTrouble == .kind)
        #expect(try inner.enter("link").names().isEmpty)
    }
    @Test func filesAreNotOpenedThroughLinks() throws {
        let folder = try Folder()
        try folder.put("real", "secret")
        try folder.link("link", to: "real")
        let directory = folder.directory
        #expect(failure { _ = try directory.openForReading("link") }?.errno == ELOOP)
        #expect(failure { _ = try directory.openForAppending("link") }?.errno == ELOOP)
        #expect(failure { _ = try directory.openForUpdate("link") }?.errno == ELOOP)
        #expect(failure { _ = try directory.create("link") }?.errno == EEXIST)
        #expect(failure { _ = try directory.create("real") }?.errno == EEXIST)
        #expect(try directory.status("link").kind == .symbolicLink)
    }
    @Test func nothingBlocksTheOpen() throws {
        let folder = try Folder()
        #expect(mkfifo(folder.path + "/fifo", 0o644) == 0)
        let file = try folder.directory.openForReading("fifo")
        #expect(try file.status().kind == .fifo)
        #expect(failure { _ = try folder.directory.openForAppending("fifo2/x") } != nil)
    }
    @Test func aDirectoryIsMadeOnceAndKept() throws {
        let folder = try Folder()
        let made = try folder.directory.makeDirectory("d", mode: 0o700)
        try folder.put("d/x", "x")
        #expect(try folder.directory.makeDirectory("d", mode: 0o755).names() == ["x"])
        #expect(try made.status().mode == 0o700)
        try folder.put("plain", "")
        #expect(failure { _ = try folder.directory.makeDirectory("plain") }?.errno == ENOTDIR)
    }
    @Test func everyOneOfFiftyThousandNamesIsListed() throws {
        let folder = try Folder(in: DirectoryTests.fast)
        try folder.put("first", "")
        // Links are the cheapest entries; ext4 allows 65,000 to one file.
        for number in 0..<50_000 { #expect(link(folder.path + "/first", folder.path + "/n\(number)") == 0) }
        let names = try folder.directory.names()
        #expect(names.count == 50_001)
        #expect(Set(names) == Set((0..<50_000).map { "n\($0)" } + ["first"]))
    }
    static let fast = FileManager.default.fileExists(atPath: "/dev/shm") ? "/dev/shm" : NSTemporaryDirectory()

    @Test func oddNamesAreListedAndFoundAgain() throws {
        let folder = try Folder()
        let names = [
            "-rf", "a b", "new\nline", "esc\u{1B}[31m", "ümläut", "日本語", "%41", "~", ".dot",
            String(repeating: "x", count: 255),
        ]
        for name in names { _ = try folder.directory.create(name) }
        #expect(try folder.directory.names().sorted() == names.sorted())
        for name in try folder.directory.names() { try folder.directory.remove(name) }
        #expect(try folder.listing().isEmpty)
    }
    @Test func namesThatAreNotUTF8AreFoundAgain() throws {
        let folder = try Folder()
        let bytes = [CChar(bitPattern: 0xFF), 0x61, 0]
        let fd = openat(folder.directory.fd, bytes, O_CREAT | O_WRONLY, 0o644)
        close(fd)
        let name = try #require(try folder.directory.names().first)
        #expect(RawName.isOdd(name) && name.hasSuffix("a"))
        #expect(try folder.directory.status(name).size == 0)
        try folder.directory.rename(name, to: folder.directory, "b" + name)
        #expect(try folder.directory.names() == ["b" + name])
        try folder.directory.remove("b" + name)
        #expect(try folder.directory.names().isEmpty)
    }
    /// Whatever bytes a name has, the text gives them back, and no two names share a text.
    @Test func everyNameOfBytesHasATextOfItsOwn() {
        var random = SeededRandom(seed: 31)
        let pieces: [[UInt8]] = [
            [0x61], [0x80], [0xFF], [0xC3], [0xA9], [0xC3, 0xA9], [0xED, 0xA0, 0x80],
            [0xF4, 0x8F, 0xBE, 0x80],
            [0xF4, 0x8F, 0xBF, 0xBF], [0xF4, 0x90, 0x80, 0x80], [0xE2, 0x82], [0xF0, 0x9F, 0x99, 0x82],
            [0xC0, 0x80],
        ]
        var seen: [[UInt8]: [UInt8]] = [:]
        for _ in 0..<20_000 {
            let bytes = (0..<(1 + random.below(6))).flatMap { _ in pieces[random.below(pieces.count)] }
            let text = bytes.withUnsafeBufferPointer(RawName.text)
            #expect(RawName.bytes(text) == bytes)
            #expect(seen.updateValue(bytes, forKey: Array(text.utf8)) ?? bytes == bytes)
            if let plain = String(validating: bytes, as: UTF8.self), !bytes.contains(0xF4) {
                #expect(text == plain && !RawName.isOdd(text))
            }
        }
    }
    @Test func listingsDoNotDisturbEachOther() throws {
        let folder = try Folder()
        for number in 0..<300 { _ = try folder.directory.create("n\(number)") }
        try folder.directory.forEachName { _ in
            let inner = try? folder.directory.names().count
            if inner != 300 { Issue.record("an inner listing saw \(String(describing: inner))") }
        }
    }
    @Test func statusTellsKindLinksAndMode() throws {
        let folder = try Folder()
        try folder.put("a", "12345", mode: 0o640)
        #expect(link(folder.path + "/a", folder.path + "/b") == 0)
        let status = try folder.directory.status("a")
        #expect(
            status.kind == .regular && status.size == 5 && status.links == 2 && status.mode == 0o640
                && status.uid == getuid())
        #expect(try status.identity == folder.directory.status("b").identity)
        #expect(try folder.directory.statusIfPresent("none") == nil)
        #expect(try folder.directory.status().kind == .directory)
        #expect(try FileStatus.of("/dev/null").kind == .device)
        #expect(abs(status.changed - Clocks.wall) < 3_600_000_000_000 && status.birth <= status.changed)
    }
    @Test func removingWhatIsNotThere() throws {
        let folder = try Folder()
        try folder.directory.removeIfPresent("none")
        #expect(failure { try folder.directory.remove("none") }?.isMissing == true)
        _ = try folder.folder("d")
        #expect(failure { try folder.directory.remove("d") }?.errno == EISDIR)
        try folder.directory.removeDirectory("d")
        #expect(try folder.listing().isEmpty)
    }
    @Test func theFileSystemIsKnown() throws {
        let facts = try Folder().directory.fileSystem()
        #expect(facts.localName != nil && !facts.isFull && facts.totalBytes > facts.freeBytes)
        #expect(try Directory.open("/proc").fileSystem().localName == nil)
    }
    @Test func anErrorSaysCallSubjectAndName() throws {
        let folder = try Folder()
        let error = failure { _ = try folder.directory.openForReading("none") }
        #expect(error?.description == "openat \(folder.path)/none: No such file or directory (ENOENT)")
    }
}
