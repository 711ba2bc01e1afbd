// What this is: copy_to, move_to and rename on real files.
// Owns: nothing.
// Never: simulates a file system; a second one is /dev/shm, where there is one.
// On failure: the tree is in the message.
import JobModel
import LinuxSystem
import Testing

@testable import StepLibrary

@Suite struct TransferTests {
    static let hasSecondFileSystem: Bool = {
        // Without /dev/shm those tests are skipped visibly.
        guard let one = try? FileStatus.of("/tmp"), let two = try? FileStatus.of("/dev/shm") else {
            return false
        }
        return one.device != two.device
    }()

    @Test func filesMove() throws {
        let site = try TestSite()
        try site.file("in/a", "A")
        try site.file("in/b", "BB", age: 1000)
        let before = try FileStatus.of(site.path + "/in/b")
        let outputs = try site.perform(
            "move_to", ["files": .texts(["in/a", "in/b", "./in/a"]), "dest": .string("out/x")])
        #expect(try site.tree("in") == [:])
        #expect(try site.tree("out") == ["out/x/a": "A", "out/x/b": "BB"])
        #expect(site.relative(outputs["files"]) == ["out/x/a", "out/x/b"])
        #expect(outputs["count"] == .int(2) && outputs["bytes"] == .int(3))
        #expect(try FileStatus.of(site.path + "/out/x/b").modified == before.modified)
    }

    @Test func copiesKeepModeAndTime() throws {
        let site = try TestSite()
        try site.file("in/a", "A", age: 5000)
        try OpenFile.open(site.path + "/in/a").setMode(0o4750)
        _ = try site.perform("copy_to", ["files": .string("in/a"), "dest": .string("out")])
        let (old, new) = (try FileStatus.of(site.path + "/in/a"), try FileStatus.of(site.path + "/out/a"))
        #expect(new.modified == old.modified && new.mode == 0o750)
        #expect(try site.tree("out") == ["out/a": "A"])
    }

    @Test(.enabled(if: hasSecondFileSystem)) func filesMoveToAnotherFileSystem() throws {
        let site = try TestSite(), other = try TestSite(in: "/dev/shm")
        let text = String(repeating: "abcdefgh", count: 400_000)
        try site.file("in/a", text, age: 5000)
        let time = try FileStatus.of(site.path + "/in/a").modified
        _ = try site.perform("move_to", ["files": .string("in/a"), "dest": .string(other.path + "/out")])
        #expect(try site.tree("in") == [:])
        #expect(try other.tree("out") == ["out/a": text])
        #expect(try FileStatus.of(other.path + "/out/a").modified == time)
    }

    @Test(arguments: ["move_to", "copy_to"]) func aTakenNameStopsEverythingBeforehand(step: String) throws {
        let site = try TestSite()
        for (name, text) in [("in/a", "A"), ("in/b", "B"), ("out/b", "old")] { try site.file(name, text) }
        let files = Value.texts(["in/a", "in/b"])
        let failure = try site.failure(step, ["files": files, "dest": .string("out")])
        #expect(failure.code == "E-FILE-EXISTS" && failure.message.contains("/out/b"))
        #expect(try site.tree("in") == ["in/a": "A", "in/b": "B"])
        #expect(try site.tree("out") == ["out/b": "old"])
    }

    @Test func suffixFindsFreeNames() throws {
        let site = try TestSite()
        for (name, text) in [("in/a.tar.gz", "1"), ("in/2/a.tar.gz", "2"), ("out/a.tar.gz", "old")] {
            try site.file(name, text)
        }
        let outputs = try site.perform(
            "copy_to",
            [
                "files": .texts(["in/a.tar.gz", "in/2/a.tar.gz"]), "dest": .string("out"),
                "collision": .string("suffix"),
            ])
        #expect(site.relative(outputs["files"]) == ["out/a.tar_1.gz", "out/a.tar_2.gz"])
        #expect(
            try site.tree("out") == ["out/a.tar.gz": "old", "out/a.tar_1.gz": "1", "out/a.tar_2.gz": "2"])
    }

    @Test func overwriteReplacesFilesOnly() throws {
        let site = try TestSite()
        for (name, text) in [("in/a", "new"), ("out/a", "old"), ("in/d", "x"), ("out/d/y", "y")] {
            try site.file(name, text)
        }
        let overwrite = Value.string("overwrite")
        _ = try site.perform(
            "move_to", ["files": .string("in/a"), "dest": .string("out"), "collision": overwrite])
        #expect(site.text("out/a") == "new" && !site.exists("in/a"))
        let failure = try site.failure(
            "move_to", ["files": .string("in/d"), "dest": .string("out"), "collision": overwrite])
        #expect(failure.code == "E-FILE-KIND")
    }

    @Test func twoFilesNeverBecomeOne() throws {
        let site = try TestSite()
        try site.file("1/a", "1")
        try site.file("2/a", "2")
        for collision in ["fail", "overwrite"] {
            let failure = try site.failure(
                "move_to",
                ["files": .texts(["1/a", "2/a"]), "dest": .string("out"), "collision": .string(collision)])
            #expect(failure.code == "E-FILE-EXISTS")
        }
        #expect(site.exists("1/a") && site.exists("2/a"))
    }

    @Test func whatIsAlreadyThereStays() throws {
        let site = try TestSite()
        try site.file("out/a", "A")
        let outputs = try site.perform("move_to", ["files": .string("out/../out/a"), "dest": .string("out")])
        #expect(outputs["count"] == .int(1))
        #expect(site.text("out/a") == "A")
    }

    @Test func onlyPlainFilesAreTaken() throws {
        let site = try TestSite()
        try site.file("in/a")
        _ = try site.perform("shell", ["script": .string("ln -s a in/link; mkdir in/sub")])
        for name in ["in/link", "in/sub"] {
            let failure = try site.failure(
                "move_to", ["files": .texts(["in/a", name]), "dest": .string("out")])
            #expect(failure.code == "E-FILE-KIND")
        }
        #expect(
            try site.failure("move_to", ["files": .string("in/none"), "dest": .string("out")]).code
                == "E-FILE-MISSING")
        #expect(site.exists("in/a"))
        let absent = try site.failure(
            "copy_to", ["files": .string("in/a"), "dest": .string("gone/x"), "create_dest": .bool(false)])
        #expect(absent.code == "E-FILE-MISSING" && !site.exists("gone"))
    }

    @Test func noFilesIsNoError() throws {
        let outputs = try TestSite().perform("move_to", ["files": .list([]), "dest": .string("out")])
        #expect(outputs["count"] == .int(0))
    }

    @Test func rulesMakeNames() throws {
        let rule = try RenameRule("{date}_{index:3}-{stem}.{ext}~{basename}{index}", date: "2026-11-21")
        #expect(try rule.name(for: "a.b.pdf", index: 7) == "2026-11-21_007-a.b.pdf~a.b.pdf7")
        #expect(try RenameRule("{ext}|{stem}", date: "").name(for: ".profile", index: 1) == "|.profile")
        for wrong in ["{name}", "{", "{index:x}", "{index:99}", "{}"] {
            #expect(throws: Failure.self) { try RenameRule(wrong, date: "") }
        }
        for wrong in ["a/{stem}", "", ".."] {
            #expect(throws: Failure.self) { try RenameRule(wrong, date: "").name(for: "x", index: 1) }
        }
    }

    @Test func filesGetNewNames() throws {
        let site = try TestSite()
        try site.file("in/x.pdf", "X")
        try site.file("in/y.pdf", "Y")
        let outputs = try site.perform(
            "rename", ["files": .texts(["in/x.pdf", "in/y.pdf"]), "rule": .string("{index:2}.{ext}")])
        #expect(try site.tree("in") == ["in/01.pdf": "X", "in/02.pdf": "Y"])
        #expect(outputs["renamed"]?.listValue?.count == 2)
        let same = try site.perform("rename", ["files": .string("in/01.pdf"), "rule": .string("{basename}")])
        #expect(same["renamed"] == .list([]) && same["count"] == .int(1))
    }

    @Test(arguments: ["fail", "overwrite"]) func chainsOfNamesAreRefused(collision: String) throws {
        let site = try TestSite()
        try site.file("in/b2", "1")
        try site.file("in/b1", "2")
        // b2 would become b1 and b1 would become b2.
        let failure = try site.failure(
            "rename",
            [
                "files": .texts(["in/b2", "in/b1"]), "rule": .string("b{index}"),
                "collision": .string(collision),
            ])
        #expect(failure.code == "E-FILE-EXISTS")
        #expect(try site.tree("in") == ["in/b1": "2", "in/b2": "1"])
    }
}
