// What this is: the bad-input table from outside: what each row is, and what a person must see.
// Owns: the scenes around the table of BadDrops.swift.
// Never: asks for a message's exact words.
// On failure: names the row and shows its reason file.
import Glibc
import LinuxSystem
import Testing
import YamlText

@Suite("bad input", .onSites) struct BadInputTests {
    @Test("each row is sent back with its reason, and nothing else waits for it") func table() throws {
        try TestSite.use(environment: ["BOBBIN_ARRIVAL_PATIENCE": "3s"]) { site in
            try site.up()
            for row in badTexts + badFiles {
                site.expect(row.name)
                try row.make(site, site.lane())
            }
            // Behind all of them, in the same directory.
            try site.drop("zz-good.yaml", job([site.effect("good")]))
            #expect(try site.result(of: "zz-good.yaml").state == "succeeded")
            for row in badTexts + badFiles { try check(row, site) }
            #expect(site.count("bad", "once") == 0)
            try noRawCharacters(site)
        }
    }

    private func check(_ row: BadDrop, _ site: TestSite) throws {
        let reason: Paper
        do { reason = try site.reason(of: row.name, seconds: 20) } catch {
            Issue.record("\(row.name.debugDescription): \(error)")
            return
        }
        #expect(reason.code == row.code, "\(row.name.debugDescription):\n\(reason)")
        #expect(!(reason["message"] ?? "").isEmpty && !(reason["what_to_do"] ?? "").isEmpty, "\(reason)")
        if let line = row.line {
            #expect(reason["line"] == "\(line)", "\(row.name.debugDescription):\n\(reason)")
        }
        if let column = row.column {
            #expect(reason["column"] == "\(column)", "\(row.name.debugDescription):\n\(reason)")
        }
        #expect(
            row.says.isEmpty || "\(reason)".contains(row.says),
            "\(row.name) should speak of \(row.says):\n\(reason)")
        #expect(!TestSite.isRaw("\(reason)"), "\(row.name.debugDescription)")
    }

    private func noRawCharacters(_ site: TestSite) throws {
        for verb in [
            ["status"], ["queues"], ["runs"], ["log"], ["status", "--json"], ["runs", "--json"],
            ["show", "esc\u{1B}[31m.yaml"],
        ] {
            let said = try Program.call(verb + ["--site", site.path])
            #expect(!TestSite.isRaw(said.both), "\(verb)")
        }
        #expect(!TestSite.isRaw(site.runners.map(\.said).joined()))
    }

    @Test("a name that is no UTF-8 is sent back") func oddBytes() throws {
        try TestSite.use { site in
            try site.up()
            try Disk.write(job([site.effect("bad")]), to: site.outside("odd"))
            let target = Array("\(site.lane())/odd".utf8) + [0xFF, 0xFE] + Array(".yaml".utf8) + [0]
            let moved = target.map { CChar(bitPattern: $0) }.withUnsafeBufferPointer { buffer in
                buffer.baseAddress.map { rename(site.outside("odd"), $0) } ?? -1
            }
            try #require(moved == 0)
            try site.fence("f.yaml", "default")
            let back = try site.wait("its rejection", in: ["\(site.spool)/rejected"], seconds: 10) {
                Disk.names("\(site.spool)/rejected").first {
                    $0.contains("odd") && $0.hasSuffix(".reason.yaml")
                }
            }
            let reason = try #require(Disk.text("\(site.spool)/rejected/\(back)"))
            #expect(reason.contains("E-NAME") && reason.contains("odd\\xFF\\xFE.yaml"))
            #expect(back.contains("odd%FF%FE.yaml") && Disk.names(site.lane()).isEmpty)
            if let name = Disk.names("\(site.spool)/rejected").first(where: {
                $0.contains("odd") && !$0.hasSuffix(".reason.yaml")
            }) {
                site.expectEscaped(String(name.dropFirst(27)))
            }
        }
    }

    @Test("a directory stays where it is, with one warning") func directory() throws {
        try TestSite.use { site in
            try site.up()
            for name in ["folder", "folder.yaml"] { try Disk.makeDirectory("\(site.lane())/\(name)") }
            try Disk.write(job([site.effect("bad")]), to: "\(site.lane())/folder/inside.yaml")
            try site.fence("f1.yaml", "default")
            try site.waitForLog("folder.yaml is a directory")
            for number in 2...4 { try site.fence("f\(number).yaml", "default") }
            #expect(Disk.lines(site.log).count { $0.contains("folder.yaml is a directory") } == 1)
            #expect(
                Disk.exists("\(site.lane())/folder/inside.yaml") && Disk.exists("\(site.lane())/folder.yaml"))
            #expect(site.count("bad", "once") == 0)
        }
    }

    @Test("editors' and copiers' files are never touched") func ignored() throws {
        try TestSite.use { site in
            try site.up()
            let names = [
                ".a.yaml.swp", "a.yaml~", "#a.yaml#", "a.yaml.tmp", "a.yaml.part", ".hidden.yaml", "4913.swp",
                "a.yaml.filepart",
            ]
            for name in names { try Disk.write(job([site.effect("bad")]), to: "\(site.lane())/\(name)") }
            try site.fence("f.yaml", "default")
            #expect(names.allSatisfy { Disk.exists("\(site.lane())/\($0)") })
            #expect(site.count("bad", "once") == 0)
        }
    }

    @Test("a queue that requires the end mark waits for it") func requireEnd() throws {
        let configuration = TestSite.configuration + "  strict: {require_end: true}\n"
        try TestSite.use(configuration, environment: ["BOBBIN_ARRIVAL_PATIENCE": "1s"]) { site in
            try site.up()
            try site.drop("without.yaml", job([site.effect("without")]), "strict")
            try site.drop("with.yaml", job([site.effect("with")], tail: "...\n"), "strict")
            #expect(try site.result(of: "with.yaml").state == "succeeded")
            let reason = try site.reason(of: "without.yaml", seconds: 20)
            #expect(reason.code == "E-ARR-INCOMPLETE" && reason["what_to_do"]?.contains("...") == true)
            #expect(site.count("without", "once") == 0)
        }
    }

    @Test("the inbox sends back what it cannot file") func inbox() throws {
        try TestSite.use { site in
            try site.up()
            for (name, text) in [
                ("q.yaml", job(["log: x"], head: "queue: nowhere\n")), ("k.yaml", job(["logg: x"])),
            ] {
                try Disk.write(text, to: site.outside(name))
                site.expect(name)
                try Disk.move(site.outside(name), to: "\(site.spool)/inbox/\(name)")
            }
            #expect(try site.reason(of: "q.yaml").code == "E-QUEUE")
            let step = try site.reason(of: "k.yaml")
            #expect(step.code == "E-STEP-TYPE" && step["line"] == "3")
        }
    }
}

extension TestSite {
    /// Whether a text would do something to a terminal.
    static func isRaw(_ text: String) -> Bool {
        text.unicodeScalars.contains {
            $0.value < 0x20 && $0 != "\n" || (0x7F...0x9F).contains($0.value) || $0 == "\u{202E}"
        }
    }
}
