// What this is: zip_folder with real archives.
// Owns: nothing.
// Never: needs a zip program.
// On failure: the names in the archive are in the message.
import Archives
import JobModel
import LinuxSystem
import Testing

@testable import BobbinDaemon
@testable import StepLibrary

@Suite struct ZipFolderTests {
    private func filled(_ site: TestSite) throws {
        try site.file("data/b.txt", "bbb", age: 500)
        try site.file("data/a/ä.txt", String(repeating: "text ", count: 200_000), age: 500)
        try site.file("data/.hidden", "", age: 500)
        _ = try site.folder("data/empty/inner")
    }
    private func names(_ path: String) throws -> [String] {
        try ZipArchive.read(OpenFile.open(path)).map(\.name)
    }

    @Test func aFolderIsPackedInOrder() throws {
        let site = try TestSite()
        try filled(site)
        let outputs = try site.perform("zip_folder", ["folder": .string("data"), "out": .string("pack")])
        #expect(outputs["zip"] == .string(site.path + "/pack.zip") && outputs["files"] == .int(3))
        #expect(try names(site.path + "/pack.zip") == [".hidden", "a/ä.txt", "b.txt", "empty/inner/"])
        let sum = try site.perform("checksum", ["files": .string("pack.zip")])["sum"]
        #expect(outputs["sha256"] == sum && outputs["removed"] == .int(0))
        #expect(site.exists("data/b.txt"))
        #expect(
            try site.failure("zip_folder", ["folder": .string("data"), "out": .string("pack.zip")]).code
                == "E-FILE-EXISTS")
    }

    @Test func sourcesGoAfterTheProof() throws {
        let site = try TestSite()
        try filled(site)
        let outputs = try site.perform(
            "zip_folder", ["folder": .string("data"), "out": .string("p.zip"), "remove_sources": .bool(true)])
        #expect(outputs["removed"] == .int(3))
        #expect(try site.folder("data").names() == [])
        #expect(try names(site.path + "/p.zip").count == 4)
        let unproved: ValueMap = [
            "folder": .string("data"), "out": .string("q"), "remove_sources": .bool(true),
            "verify": .bool(false),
        ]
        #expect(try site.failure("zip_folder", unproved).code == "E-STEP-PARAM")
    }

    @Test func anArchiveInItsOwnFolderStaysOutside() throws {
        let site = try TestSite()
        try filled(site)
        let arguments: ValueMap = [
            "folder": .string("data"), "out": .string("data/self.zip"), "collision": .string("overwrite"),
            "remove_sources": .bool(true),
        ]
        _ = try site.perform("zip_folder", arguments)
        try site.file("data/late", "1")
        _ = try site.perform("zip_folder", arguments)
        #expect(try names(site.path + "/data/self.zip") == ["late"])
        #expect(try site.folder("data").names() == ["self.zip"])
    }

    @Test func chosenFilesMayBeAbsolute() throws {
        let site = try TestSite()
        try filled(site)
        let files = Value.texts(["b.txt", site.path + "/data/a/ä.txt", "./b.txt"])
        _ = try site.perform("zip_folder", ["folder": .string("data"), "out": .string("p"), "files": files])
        #expect(try names(site.path + "/p.zip") == ["b.txt", "a/ä.txt"])
        for (wrong, code) in [
            ("../x", "E-PATH"), ("/etc/passwd", "E-PATH"), ("a", "E-FILE-KIND"), ("none", "E-FILE-MISSING"),
        ] {
            let failure = try site.failure(
                "zip_folder", ["folder": .string("data"), "out": .string("q"), "files": .string(wrong)])
            #expect(failure.code == code, "\(wrong)")
        }
        #expect(!site.exists("q.zip"))
    }

    @Test func linksAreNamedAndNotPacked() throws {
        let site = try TestSite()
        try filled(site)
        _ = try site.perform("shell", ["script": .string("ln -s /etc/passwd data/link")])
        let context = FakeContext(site)
        let outputs = try site.perform(
            "zip_folder", ["folder": .string("data"), "out": .string("p"), "remove_sources": .bool(true)],
            context)
        #expect(outputs["skipped"] == .int(1) && context.lines.contains { $0.contains("data/link") })
        #expect(site.exists("data/link"))
    }

    @Test func nothingToPackIsAnError() throws {
        let site = try TestSite()
        _ = try site.folder("data")
        #expect(
            try site.failure("zip_folder", ["folder": .string("data"), "out": .string("p")]).code
                == "E-ZIP-EMPTY")
    }

    /// A port that packs rightly but reads back something else.
    @Test func anArchiveThatDiffersKeepsTheSources() throws {
        let site = try TestSite()
        try filled(site)
        let step = ZipFolderStep { (request) throws(Failure) in
            var outcome = try StepConnections.ports.zip(request)
            _ = [UInt8(1)].withUnsafeBytes { request.unpacked("b.txt", $0) }
            outcome.entries = outcome.entries.map { $0 }
            return outcome
        }
        let arguments = try step.type.bind([
            "folder": .string("data"), "out": .string("p"), "remove_sources": .bool(true),
        ])
        #expect { try step.perform(arguments, FakeContext(site)) } throws: {
            ($0 as? Failure)?.code == "E-ZIP-VERIFY"
        }
        #expect(site.exists("data/b.txt") && !site.exists("p.zip"))
        #expect(try Directory.open(site.path).names().filter { $0.hasSuffix(".part") } == [])
    }

    @Test func aSourceThatChangedIsKept() throws {
        let site = try TestSite()
        let data = site.path + "/data"
        try filled(site)
        let step = ZipFolderStep { (request) throws(Failure) in
            let outcome = try StepConnections.ports.zip(request)
            try onDisk("change b.txt") { () throws(SystemError) in
                try Directory.open(data).openForAppending("b.txt").append([1])
            }
            return outcome
        }
        let arguments = try step.type.bind([
            "folder": .string("data"), "out": .string("p"), "remove_sources": .bool(true),
        ])
        let outputs = try step.perform(arguments, FakeContext(site))
        #expect(outputs["removed"] == .int(2) && site.exists("data/b.txt") && !site.exists("data/a"))
    }

    @Test func anyStopEndsTheSame() throws {
        for stop in 0..<24 {
            let site = try TestSite()
            try filled(site)
            let arguments: ValueMap = [
                "folder": .string("data"), "out": .string("p"), "remove_sources": .bool(true),
            ]
            var outputs: ValueMap?
            for round in 0..<60 where outputs == nil {
                let context = FakeContext(site)
                context.isRerun = round > 0
                context.checkpointsLeft = stop + round
                do { outputs = try site.perform("zip_folder", arguments, context) } catch let failure
                    as Failure
                {
                    #expect(failure.code == "E-STOPPED", "\(failure)")
                }
            }
            #expect(outputs?["removed"] == .int(3) && outputs?["files"] == .int(3), "stop \(stop)")
            #expect(try site.folder("data").names() == [])
            #expect(try names(site.path + "/p.zip") == [".hidden", "a/ä.txt", "b.txt", "empty/inner/"])
        }
    }

    @Test func aRerunAfterTheEndFindsItDone() throws {
        let site = try TestSite()
        try filled(site)
        let arguments: ValueMap = [
            "folder": .string("data"), "out": .string("p"), "remove_sources": .bool(true),
        ]
        let first = try site.perform("zip_folder", arguments)
        let again = FakeContext(site)
        again.isRerun = true
        #expect(try site.perform("zip_folder", arguments, again) == first)
    }

    @Test func aLostArchiveIsNotReplacedByItsRest() throws {
        let site = try TestSite()
        try filled(site)
        let arguments: ValueMap = [
            "folder": .string("data"), "out": .string("p"), "remove_sources": .bool(true),
        ]
        _ = try site.perform("zip_folder", arguments)
        try Directory.open(site.path).remove("p.zip")
        try site.file("data/new", "1")
        let again = FakeContext(site)
        again.isRerun = true
        #expect(try site.failure("zip_folder", arguments, again).code == "E-PLAN")
    }
}
