// What this is: zip archives written and read back, whole and damaged.
// Owns: a folder per test.
// Never: needs a zip program.
// On failure: the test names the entry.
import Archives
import LinuxSystem
import Testing

@Suite struct ZipArchiveTests {
    @Test func everyEntryComesBackAsItWentIn() throws {
        let folder = try Folder()
        let large = (0..<700_000).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 8) }
        try folder.file("b.txt", Array("hello".utf8))
        try folder.file("Größe ✓.bin", large)
        try folder.file("empty", [])
        let names = ["b.txt", "Größe ✓.bin", "empty"]
        let archive = try folder.directory.create("a.zip")
        var packed = [Int](repeating: 0, count: 3)
        try ZipArchive.write(names.map(folder.source), to: archive) { index, piece in
            packed[index] += piece.count
            return true
        }
        var contents: [String: [UInt8]] = [:]
        let entries = try ZipArchive.read(archive) { name, piece in
            contents[name, default: []] += piece
            return true
        }
        #expect(entries.map(\.name) == names)
        #expect(entries.map(\.size) == [5, large.count, 0])
        #expect(packed == [5, large.count, 0])
        #expect(contents["Größe ✓.bin"] == large)
        #expect(contents["b.txt"] == Array("hello".utf8))
    }

    @Test func theTimeOfAFileIsKept() throws {
        let folder = try Folder()
        try folder.file("old", [1]).setModified(1_000_000_000_000_000_000)
        let archive = try folder.directory.create("a.zip")
        try ZipArchive.write([folder.source("old")], to: archive)
        #expect(try ZipArchive.read(archive).first?.modified == 1_000_000_000_000_000_000)
    }

    @Test func theSameSourcesGiveTheSameBytes() throws {
        let folder = try Folder()
        try folder.file("x", Array("same".utf8))
        let one = try folder.directory.create("1.zip"), two = try folder.directory.create("2.zip")
        try ZipArchive.write([folder.source("x")], to: one)
        try ZipArchive.write([folder.source("x")], to: two)
        #expect(try one.read(upTo: 10_000) == two.read(upTo: 10_000))
    }

    @Test func anEmptyDirectoryIsAnEntry() throws {
        let folder = try Folder()
        _ = try folder.directory.makeDirectory("sub")
        let archive = try folder.directory.create("a.zip")
        try ZipArchive.write([.init(name: "sub/", path: folder.path + "/sub")], to: archive)
        #expect(try ZipArchive.read(archive).map(\.name) == ["sub/"])
    }

    @Test func anArchiveOfNothingIsRefused() throws {
        let folder = try Folder()
        let archive = try folder.directory.create("a.zip")
        #expect(throws: ArchiveError.self) { try ZipArchive.write([], to: archive) }
    }

    @Test func aFlippedByteIsFound() throws {
        let folder = try Folder()
        let text = (0..<5000).map { "line \($0 &* 7919)\n" }.joined()
        try folder.file("x", Array(text.utf8))
        let archive = try folder.directory.create("a.zip")
        try ZipArchive.write([folder.source("x")], to: archive)
        let byte = try archive.read(upTo: 1, from: 6000)
        try archive.write([byte[0] ^ 0x10], at: 6000)
        #expect(throws: ArchiveError.self) { try ZipArchive.read(archive) }
    }

    @Test func aCutArchiveIsFound() throws {
        let folder = try Folder()
        try folder.file("x", [UInt8](repeating: 7, count: 100_000))
        let archive = try folder.directory.create("a.zip")
        try ZipArchive.write([folder.source("x")], to: archive)
        try archive.truncate(to: 60)
        #expect(throws: ArchiveError.self) { try ZipArchive.read(archive) }
    }

    @Test(arguments: ["", "/", "../x", "a/../b", "/abs", "a//b", "."])
    func namesThatLeaveTheFolderAreRefused(name: String) throws {
        let folder = try Folder()
        try folder.file("x", [1])
        let archive = try folder.directory.create("a.zip")
        #expect(throws: ArchiveError.name(name)) {
            try ZipArchive.write([.init(name: name, path: folder.path + "/x")], to: archive)
        }
    }

    @Test func aLinkIsNotFollowed() throws {
        let folder = try Folder()
        let archive = try folder.directory.create("a.zip")
        #expect(throws: ArchiveError.self) {
            try ZipArchive.write([.init(name: "exe", path: "/proc/self/exe")], to: archive)
        }
    }

    @Test func aClosureThatSaysNoStops() throws {
        let folder = try Folder()
        try folder.file("x", [1, 2])
        let archive = try folder.directory.create("a.zip")
        #expect(throws: ArchiveError.stopped) {
            try ZipArchive.write([folder.source("x")], to: archive) { _, _ in false }
        }
    }
}

/// A directory that is removed with its files when the test ends.
final class Folder {
    let directory: Directory
    let path: String

    init() throws {
        let name = "bobbin-zip-\(Clocks.randomBits().1)"
        directory = try Directory.open("/tmp").makeDirectory(name)
        path = "/tmp/" + name
    }
    deinit {
        // Leftovers of a test harm nobody.
        for name in (try? directory.names()) ?? [] {
            try? directory.remove(name)
            try? directory.removeDirectory(name)
        }
        try? Directory.open("/tmp").removeDirectory(String(path.dropFirst(5)))
    }

    @discardableResult func file(_ name: String, _ bytes: [UInt8]) throws -> OpenFile {
        let file = try directory.create(name)
        try file.append(bytes)
        return file
    }
    func source(_ name: String) -> ZipArchive.Source { .init(name: name, path: path + "/" + name) }
}
