// What this is: read_file, write_file, checksum, and the places no step may write.
// Owns: nothing.
// Never: writes outside its site.
// On failure: the code of the failure is in the message.
import JobModel
import LinuxSystem
import Testing

@testable import StepLibrary

@Suite struct ReadWriteTests {
    @Test func aFileIsReadInEachForm() throws {
        let site = try TestSite()
        try site.file("t", "\u{FEFF}one\r\ntwo\n\nthree")
        #expect(
            try site.perform("read_file", ["path": .string("t")])["text"] == .string("one\r\ntwo\n\nthree"))
        let lines = try site.perform("read_file", ["path": .string("t"), "parse": .string("lines")])
        #expect(lines["lines"] == .texts(["one", "two", "", "three"]) && lines["count"] == .int(4))
        try site.file("j", "{\"a\": [1]}")
        let json = try site.perform("read_file", ["path": .string("j"), "parse": .string("json")])
        #expect(json["json"] == .map(["a": .list([.int(1)])]))
        #expect(json["bytes"] == .int(10))
        #expect(json["sha256"] == (try site.perform("checksum", ["files": .string("j")]))["sum"])
    }

    @Test func whatCannotBeReadSaysWhy() throws {
        let site = try TestSite()
        try site.file("big", String(repeating: "x", count: 100))
        _ = try site.perform(
            "shell", ["script": .string("printf 'ok\\nb\\351d' > latin; mkfifo pipe; mkdir dir")])
        let cases: [(ValueMap, String)] = [
            (["path": .string("none")], "E-FILE-MISSING"), (["path": .string("pipe")], "E-FILE-KIND"),
            (["path": .string("dir")], "E-FILE-KIND"),
            (["path": .string("big"), "limit": .int(99)], "E-FILE-SIZE"),
            (["path": .string("latin")], "E-FILE-TEXT"), (["path": .string("~/x")], "E-PATH"),
            (["path": .string("")], "E-PATH"),
            (["path": .string("big"), "parse": .string("json")], "E-JSON"),
        ]
        for (arguments, code) in cases { #expect(try site.failure("read_file", arguments).code == code) }
        #expect(try site.failure("read_file", ["path": .string("latin")]).message.contains("line 2"))
        #expect(
            try site.perform("read_file", ["path": .string("big"), "limit": .int(100)])["bytes"] == .int(100))
        // A file of /proc says that it is empty and is not.
        #expect(
            try site.failure("read_file", ["path": .string("/proc/self/status"), "limit": .int(10)]).code
                == "E-FILE-SIZE")
    }

    @Test func aResultThatIsTooLargeIsRefused() throws {
        let site = try TestSite()
        try site.file("big", String(repeating: "x", count: Limits.outputBytes + 10))
        let failure = try site.failure("read_file", ["path": .string("big"), "limit": .string("2MiB")])
        #expect(failure.code == "E-OUTPUT-SIZE" && !failure.whatToDo.isEmpty)
    }

    @Test func csvIsReadByTheRules() throws {
        let text = "id, name ,,note\r\n1,\"a, \"\"b\"\"\nc\",x,\n\n2,é,\"\",last"
        let table = try CSVTable(text, separator: 0x2C, ragged: .fail)
        #expect(table.columns == ["id", "name", "column_3", "note"])
        #expect(table.rows.count == 2)
        #expect(table.rows[0].mapValue?["name"] == .string("a, \"b\"\nc"))
        #expect(table.rows[1].mapValue?["note"] == .string("last"))
        #expect(table.rows[1].mapValue?["column_3"] == .string(""))
        #expect(try CSVTable("", separator: 0x2C, ragged: .fail).columns == [])
        #expect(try CSVTable("a\n\nb\n", separator: 0x2C, ragged: .fail).rows.count == 2)
        #expect(
            try CSVTable("a;b\n1;2", separator: 0x3B, ragged: .fail).rows[0].mapValue?["b"] == .string("2"))
    }

    @Test func raggedRowsAreAChoice() throws {
        let text = "a,b\n1\n1,2,3\n5,6\n"
        #expect { try CSVTable(text, separator: 0x2C, ragged: .fail) } throws: {
            ($0 as? Failure)?.message == "row 2 has 1 cells, the header has 2"
        }
        let kept = try CSVTable(text, separator: 0x2C, ragged: .keep)
        #expect(kept.rows[0] == .map(["a": .string("1"), "b": .string("")]))
        #expect(kept.rows[1] == .map(["a": .string("1"), "b": .string("2"), "extra_3": .string("3")]))
        let skipped = try CSVTable(text, separator: 0x2C, ragged: .skip)
        #expect(skipped.rows.count == 1 && skipped.skipped == 2)
        for wrong in ["a,b\n\"x,1", "a,b\n\"x\"y,1", "a,a\n"] {
            #expect(throws: Failure.self) { try CSVTable(wrong, separator: 0x2C, ragged: .keep) }
        }
    }

    @Test func aFileIsWrittenWhole() throws {
        let site = try TestSite()
        let outputs = try site.perform(
            "write_file",
            ["path": .string("out/new/a.txt"), "content": .string("hello"), "mode": .string("0664")])
        #expect(site.text("out/new/a.txt") == "hello" && outputs["bytes"] == .int(5))
        #expect(try FileStatus.of(site.path + "/out/new/a.txt").mode == 0o664)
        _ = try site.perform("write_file", ["path": .string("out/new/a.txt"), "content": .list([.int(1)])])
        #expect(site.text("out/new/a.txt") == "[\n  1\n]\n")
        #expect(try site.folder("out/new").names() == ["a.txt"])
        for mode in ["rw", "8", "10000"] {
            let wrong: ValueMap = ["path": .string("b"), "content": .string("x"), "mode": .string(mode)]
            #expect(try site.failure("write_file", wrong).code == "E-STEP-PARAM")
        }
    }

    @Test func aTakenNameIsKeptWhereTheJobSaysSo() throws {
        let site = try TestSite()
        let arguments: ValueMap = [
            "path": .string("a"), "content": .string("1"), "collision": .string("fail"),
        ]
        _ = try site.perform("write_file", arguments)
        #expect(try site.failure("write_file", arguments).code == "E-FILE-EXISTS")
        let again = FakeContext(site)
        again.isRerun = true
        #expect(try site.perform("write_file", arguments, again)["bytes"] == .int(1))
        var other = arguments
        other["content"] = .string("2")
        #expect(try site.failure("write_file", other, again).code == "E-FILE-EXISTS")
    }

    @Test func appendingAddsAndFollowsNoLink() throws {
        let site = try TestSite()
        let arguments: ValueMap = ["path": .string("log"), "content": .string("x\n"), "append": .bool(true)]
        for _ in 1...3 { _ = try site.perform("write_file", arguments) }
        #expect(site.text("log") == "x\nx\nx\n")
        _ = try site.perform("shell", ["script": .string("ln -s log alias; mkdir dir")])
        for name in ["alias", "dir"] {
            var wrong = arguments
            wrong["path"] = .string(name)
            #expect(try site.failure("write_file", wrong).code == "E-FILE-KIND")
        }
        #expect(site.text("log") == "x\nx\nx\n")
    }

    @Test func sumsAreCompared() throws {
        let site = try TestSite()
        try site.file("a", "abc")
        try site.file("b", "")
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        let both = Value.texts(["a", "b"])
        let outputs = try site.perform("checksum", ["files": both])
        #expect(outputs["sum"] == .string(abc) && outputs["count"] == .int(2))
        _ = try site.perform("checksum", ["files": .string("a"), "expect": .string(abc.uppercased() + "\n")])
        let long = try site.perform("checksum", ["files": .string("a"), "algorithm": .string("sha512")])[
            "sum"]?.text
        #expect(long?.hasPrefix("ddaf35a193617abacc417349ae204131") == true)
        let wrong: [(ValueMap, String)] = [
            (["files": .string("a"), "expect": .string("00")], "E-CHECKSUM"),
            (["files": both, "expect": .map(["./a": .string(abc)])], "E-CHECKSUM"),
            (["files": .string("a"), "expect": .map(["a": .string(abc), "c": .string(abc)])], "E-CHECKSUM"),
            (["files": both, "expect": .string(abc)], "E-STEP-PARAM"),
            (["files": .string("none")], "E-FILE-MISSING"),
        ]
        for (arguments, code) in wrong { #expect(try site.failure("checksum", arguments).code == code) }
    }
}

@Suite struct ProtectedPathTests {
    @Test(arguments: ProtectedPaths.names) func noStepWritesThere(place: String) throws {
        let site = try TestSite()
        try site.file("a", "1")
        _ = try site.perform(
            "shell", ["script": .string("mkdir -p '\(place)'; echo x > '\(place)/old'; ln -s '\(place)' way")]
        )
        let below = Value.string(place + "/x"), through = Value.string("way/x"),
            deep = Value.string("spool/../\(place)/d/e/x")
        for path in [below, through, deep] {
            #expect(
                try site.failure("write_file", ["path": path, "content": .string("1")]).code
                    == "E-PATH-PROTECTED")
            #expect(
                try site.failure(
                    "zip_folder", ["folder": .string("spool/.."), "files": .string("a"), "out": path]
                ).code == "E-PATH-PROTECTED")
            #expect(
                try site.failure("make_request", ["url": .string("http://127.0.0.1:1/"), "save_to": path])
                    .code == "E-PATH-PROTECTED")
        }
        for step in ["copy_to", "move_to"] {
            #expect(
                try site.failure(step, ["files": .string("a"), "dest": .string(place + "/d")]).code
                    == "E-PATH-PROTECTED")
        }
        let old = Value.string(place + "/old")
        #expect(
            try site.failure("move_to", ["files": old, "dest": .string("out")]).code == "E-PATH-PROTECTED")
        #expect(
            try site.failure("rename", ["files": old, "rule": .string("{stem}2")]).code == "E-PATH-PROTECTED")
        #expect(try site.folder(place).names() == ["old"])
    }

    @Test func aMissingPlaceCannotBeMade() throws {
        let site = try TestSite()
        try Directory.open(site.path).directory("spool").removeDirectory("control")
        let wrong: ValueMap = ["path": .string("spool/control/pause-default"), "content": .string("")]
        #expect(try site.failure("write_file", wrong).code == "E-PATH-PROTECTED")
        #expect(
            try site.failure("write_file", ["path": .string("spool/control"), "content": .string("")]).code
                == "E-PATH-PROTECTED")
        #expect(!site.exists("spool/control"))
    }

    @Test func namesThatOnlyLookAlikeAreFree() throws {
        let site = try TestSite()
        for path in ["ops2/x", "out/ops/x", "spool/default/p5/x.yaml", "secrets.txt"] {
            _ = try site.perform("write_file", ["path": .string(path), "content": .string("1")])
        }
    }

    @Test func aPlaceThatIsALinkProtectsWhatItLeadsTo() throws {
        let site = try TestSite()
        _ = try site.perform("shell", ["script": .string("rmdir ops; mkdir elsewhere; ln -s elsewhere ops")])
        let wrong: ValueMap = ["path": .string("elsewhere/x"), "content": .string("1")]
        #expect(try site.failure("write_file", wrong).code == "E-PATH-PROTECTED")
    }

    /// To Swift a slash and a mark behind it are one character; to the kernel they are a slash.
    @Test(arguments: ["ops/\u{301}x", "spool/control/\u{301}x", "secrets/\u{200D}k", "out/../ops/\u{301}x"])
    func aMarkBehindASlashOpensNoProtectedPlace(path: String) throws {
        let site = try TestSite()
        let failure = try site.failure("write_file", ["path": .string(path), "content": .string("x")])
        #expect(["E-PATH-PROTECTED", "E-FILE-MISSING"].contains(failure.code), "\(failure)")
        for folder in ["ops", "spool/control", "secrets"] { #expect(try site.folder(folder).names().isEmpty) }
    }

    @Test func aNameThatIsMadeIsOneName() throws {
        let site = try TestSite()
        let folder = try site.folder("out")
        for name in ["../x", "a/b", "/\u{301}x", "..", "."] {
            #expect(throws: SystemError.self) { try folder.create(name) }
            #expect(throws: SystemError.self) { _ = try folder.makeDirectory(name) }
            #expect(throws: SystemError.self) { try folder.rename("a", to: folder, name) }
        }
    }
}
