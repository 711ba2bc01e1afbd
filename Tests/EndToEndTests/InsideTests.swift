// What this is: doctor and journal dump, as an operator meets them.
// Owns: a site that is well, and the same site with one thing wrong after another.
// Never: asks for the words of a rule more closely than an operator would.
// On failure: shows all findings.
import Glibc
import Testing

@Suite("insides", .onSites) struct InsideTests {
    @Test("the doctor finds nothing wrong with a working site, and names what is wrong with others")
    func doctor()
        throws
    {
        try TestSite.use { site in
            #expect(try site.bobbin("doctor").out.contains("warning  runners: nobody is working"))
            try site.up()
            let well = try site.bobbin("doctor")
            #expect(well.code == 0 && !well.out.contains("wrong"), "\(well)")
            #expect(well.out.contains("watching 27 priority directories"), "\(well.out)")

            #expect(chmod("\(site.spool)/control", 0o777) == 0)
            try Disk.write("", to: "\(site.spool)/control/pause-background")
            try site.drop("bad.yaml", "steps: [nonsense: 1]\n")
            try site.reason(of: "bad.yaml")
            let warned = try site.bobbin("doctor")
            #expect(warned.code == 0)
            for word in ["chmod go-w", "bobbin resume background", "1 in spool/rejected"] {
                #expect(warned.out.contains(word), "\(word): \(warned.out)")
            }
            let json = try site.bobbin("doctor", "--json").out
            _ = try Papers.parse(json)
            #expect(json.contains("\"what_to_do\": \"bobbin resume background\""), "\(json)")
            #expect(chmod("\(site.spool)/control", 0o755) == 0)

            try Disk.write("queues: [no]\n", to: "\(site.path)/ops/orchestrator.yaml")
            let wrong = try site.bobbin("doctor")
            #expect(wrong.code == 1 && wrong.out.contains("wrong    configuration"), "\(wrong)")
        }
    }

    @Test("a damaged journal and a missing directory are found by the doctor") func damage() throws {
        try TestSite.use { site in
            try site.up()
            try site.drop("i.yaml", job(["log: x"]))
            try site.result(of: "i.yaml")
            try site.stop()
            let journal = "\(site.spool)/.bobbin/runners/main/journal"
            let name = try #require(Disk.names(journal).filter { $0.hasSuffix(".seg") }.sorted().last)
            let whole = try #require(Disk.bytes("\(journal)/\(name)"))
            try Disk.write(
                [UInt8](repeating: 0x55, count: 4096) + whole.dropFirst(4096), to: "\(journal)/\(name)")
            let damaged = try site.bobbin("doctor")
            #expect(
                damaged.code == 1 && damaged.out.contains("wrong    journal: of runner main"), "\(damaged)")
            let dump = try site.bobbin("journal", "dump")
            #expect(dump.code == 0 && dump.out.contains("no header of this version"), "\(dump)")
            try Disk.write(whole, to: "\(journal)/\(name)")
            #expect(rename("\(site.spool)/claimed", "\(site.spool)/elsewhere") == 0)
            let lost = try site.bobbin("doctor")
            #expect(lost.code == 1 && lost.out.contains("E-STATE"), "\(lost)")
            #expect(rename("\(site.spool)/elsewhere", "\(site.spool)/claimed") == 0)
        }
    }

    @Test("journal dump shows every record of a run in the order in which it came") func dump() throws {
        try TestSite.use { site in
            try site.drop("d.yaml", job(["log: a", "log: b"], head: "name: dumped\n"))
            let runner = try site.launch(
                "main", ["run", "--until-idle"], ["BOBBIN_FAULT": "renameat2:3:kill"])
            _ = try runner.end()
            let text = try site.bobbin("journal", "dump").out
            let words = [
                "accepted d.yaml in default/p5", "step 1 started", "step 1 succeeded", "step 2 succeeded",
                "ended succeeded",
            ]
            let places = words.map { word in text.split(separator: "\n").firstIndex { $0.contains(word) } }
            #expect(
                !places.contains(nil) && places.compactMap { $0 } == places.compactMap { $0 }.sorted(),
                "\(text)")
            let json = try site.bobbin("journal", "dump", "--json", "--runner", "main")
            #expect(json.out.contains("\"event\": \"ended succeeded, result of"), "\(json)")
            #expect(try site.bobbin("journal", "dump", "--runner", "nobody").out.isEmpty)
            try site.up()
            try site.settle()
        }
    }
}
