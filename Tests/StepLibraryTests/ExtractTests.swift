// What this is: the steps `extract` and `render`.
// Owns: archives made by Python, honest and hostile.
// Never: writes outside its site.
// On failure: the tree of the site is in the message.
import JobModel
import LinuxSystem
import Testing

@testable import StepLibrary

@Suite struct ExtractTests {
    private static let hasPython = MailTests.hasPython

    private func make(_ site: TestSite, _ body: String) throws {
        let script = """
            import io, tarfile, zipfile
            def tar(name, entries, mode="w"):
                with tarfile.open(name, mode) as t:
                    for n, kind, data in entries:
                        i = tarfile.TarInfo(n); i.mode = 0o6777; i.mtime = 1000000000
                        if kind == "file": i.size = len(data); t.addfile(i, io.BytesIO(data))
                        else:
                            i.type = {"dir": tarfile.DIRTYPE, "link": tarfile.SYMTYPE, "hard": tarfile.LNKTYPE, "fifo": tarfile.FIFOTYPE}[kind]
                            i.linkname = data.decode(); t.addfile(i)
            def zip(name, entries):
                with zipfile.ZipFile(name, "w", zipfile.ZIP_DEFLATED) as z:
                    for n, data in entries: z.writestr(n, data)
            """
        _ = try site.perform(
            "run", ["argv": .texts(["python3", "-c", script + "\n" + body]), "cwd": .string(site.path)])
    }
    private func unpack(
        _ site: TestSite, _ archive: String, _ more: ValueMap = [:], _ context: FakeContext? = nil
    )
        throws -> ValueMap
    {
        var arguments: ValueMap = ["archive": .string(archive), "dest": .string("out/new")]
        arguments.merge(more)
        return try site.perform("extract", arguments, context)
    }
    private func refusal(_ site: TestSite, _ archive: String, _ more: ValueMap = [:]) throws -> Failure {
        var arguments: ValueMap = ["archive": .string(archive), "dest": .string("out/new")]
        arguments.merge(more)
        return try site.failure("extract", arguments)
    }

    @Test(.enabled(if: hasPython), arguments: ["tar", "tar.gz", "tar.bz2", "tar.xz", "zip"])
    func anArchiveComesOut(ending: String) throws {
        let site = try TestSite()
        let body =
            ending == "zip"
            ? "zip('a.zip', [('d/x.txt', b'one'), ('é.txt', b'two')])"
            : "tar('a.\(ending)', [('./', 'dir', b''), ('d', 'dir', b''), ('d/x.txt', 'file', b'one'), ('é.txt', 'file', b'two')], 'w:\(ending == "tar" ? "" : ending.dropFirst(4))')"
        try make(site, body)
        let outputs = try unpack(site, "a.\(ending)")
        #expect(try site.tree("out") == ["out/new/d/x.txt": "one", "out/new/é.txt": "two"])
        #expect(outputs["count"] == .int(2) && outputs["bytes"] == .int(6))
        #expect(site.relative(outputs["files"]) == ["out/new/d/x.txt", "out/new/é.txt"])
        // Neither set-uid nor writable by others.
        let mode = try FileStatus.of(site.path + "/out/new/d/x.txt").mode
        #expect(mode & 0o7022 == 0, "\(String(mode, radix: 8))")
    }

    @Test(.enabled(if: hasPython)) func hostileEntriesAreRefused() throws {
        let entries = [
            "('../x', 'file', b'!')", "('/tmp/bobbin-abs', 'file', b'!')", "('a/../../x', 'file', b'!')",
            "('a//x', 'file', b'!')",
            "('l', 'link', b'/etc')", "('h', 'hard', b'/etc/passwd')", "('f', 'fifo', b'')",
            "('a\\\\b', 'file', b'!')",
            "('x', 'file', b'1'), ('x', 'file', b'2')", "('d', 'file', b'1'), ('d/x', 'file', b'2')",
            "('../\u{301}x', 'file', b'!')", "('/\u{301}bobbin-abs', 'file', b'!')",
            "('/\u{301}d\u{600}/', 'dir', b'')",
            "('ok/..\u{301}/../../x', 'file', b'!')",
            "('l', 'link', b'..'), ('l/x', 'file', b'!')", "('a/' * 70 + 'x', 'file', b'!')",
        ]
        for entry in entries {
            let site = try TestSite()
            try make(site, "tar('a.tar', [('ok', 'file', b'ok'), \(entry)])")
            let failure = try refusal(site, "a.tar")
            #expect(
                failure.code.hasPrefix("E-ARCHIVE") || failure.code.hasPrefix("E-FILE"),
                "\(entry): \(failure)")
            #expect(try site.tree("out").isEmpty, "\(entry)")
            #expect(try site.folder("out").names().isEmpty, "\(entry)")
        }
        let site = try TestSite()
        try make(site, "tar('a.tar', [('ok', 'file', b'ok'), ('l', 'link', b'/etc')])")
        #expect(try unpack(site, "a.tar", ["links": .string("skip")])["skipped"] == .int(1))
    }

    @Test(.enabled(if: hasPython)) func bombsAndPiecesAreRefused() throws {
        let site = try TestSite()
        try make(
            site,
            "zip('bomb.zip', [('x', b'0' * 20000000)]); zip('many.zip', [(str(i), b'') for i in range(30)])")
        #expect(try refusal(site, "bomb.zip", ["max_bytes": .string("1MiB")]).code == "E-ARCHIVE-SIZE")
        #expect(try refusal(site, "many.zip", ["max_files": .int(29)]).code == "E-ARCHIVE-SIZE")
        _ = try site.perform(
            "shell",
            [
                "script": .string("head -c 10000 bomb.zip > cut.zip; echo text > no.tar"),
                "cwd": .string(site.path),
            ])
        #expect(try refusal(site, "cut.zip").code == "E-ARCHIVE")
        #expect(try refusal(site, "no.tar").code == "E-ARCHIVE")
        #expect(try refusal(site, "none.zip").code == "E-FILE-MISSING")
        #expect(try refusal(site, "many.zip", ["dest": .string("ops")]).code == "E-PATH-PROTECTED")
        #expect(try site.folder("out").names().isEmpty)
    }

    @Test(.enabled(if: hasPython)) func whatIsThereStays() throws {
        let site = try TestSite()
        try make(site, "zip('a.zip', [('x', b'1')])")
        try site.file("out/new/old", "mine")
        #expect(try refusal(site, "a.zip").code == "E-FILE-EXISTS")
        #expect(try site.tree("out") == ["out/new/old": "mine"])
        // A second start of a step whose end was not recorded finds its own work.
        let other: ValueMap = ["dest": .string("fresh")]
        let first = try unpack(site, "a.zip", other)
        let again = FakeContext(site)
        again.isRerun = true
        #expect(try unpack(site, "a.zip", other, again) == first)
        // An empty directory is as good as none.
        _ = try site.folder("empty")
        #expect(try unpack(site, "a.zip", ["dest": .string("empty")])["count"] == .int(1))
    }

    @Test func aTextTemplateIsFilled() throws {
        let site = try TestSite()
        try site.file("t/letter.txt", "Dear {{ name | upper }},\n{{ items | join(', ') }} {{ '{{' }}\n")
        let outputs = try site.perform(
            "render",
            [
                "template": .string("t/letter.txt"), "dest": .string("out/l.txt"),
                "values": .map(["name": .string("Ada {{ x }}"), "items": .texts(["a", "b"])]),
            ])
        #expect(site.text("out/l.txt") == "Dear ADA {{ X }},\na, b {{\n")
        #expect(outputs["path"] == .string(site.path + "/out/l.txt"))
        try site.file("t/bad.txt", "one\ntwo {{ nmae }}\n")
        let failure = try site.failure(
            "render",
            [
                "template": .string("t/bad.txt"), "dest": .string("out/l.txt"),
                "values": .map(["name": .string("x")]),
            ])
        #expect(failure.message.contains("t/bad.txt:2:8") && failure.whatToDo.contains("name"), "\(failure)")
        #expect(site.text("out/l.txt")?.hasPrefix("Dear") == true)
        // It sees nothing of the run, and writes where steps may write.
        #expect(
            try site.failure(
                "render",
                [
                    "template": .string("t/letter.txt"), "dest": .string("ops/x"),
                    "values": .map(["name": .string("a"), "items": .list([])]),
                ]
            ).code
                == "E-PATH-PROTECTED")
    }
}
