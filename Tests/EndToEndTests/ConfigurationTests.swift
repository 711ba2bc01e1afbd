// What this is: ops/orchestrator.yaml while a runner works: new queues, new limits, mistakes.
// Owns: the scenes that edit it.
// Never: restarts where no restart should be needed.
// On failure: shows the log and the files.
import Testing

@Suite("configuration", .onSites) struct ConfigurationTests {
    @Test("a new queue needs no restart, and a bad edit keeps the old one") func configuration() throws {
        try TestSite.use { site in
            try site.up()
            let file = "\(site.path)/ops/orchestrator.yaml"
            try Disk.write("  nightly: {max_concurrent: 2}\n", to: file, append: true)
            try site.wait("the new queue", in: ["\(site.spool)", "\(site.spool)/*"]) {
                Disk.exists(site.lane("nightly", 9)) ? () : nil
            }
            try site.drop("n1.yaml", job(["log: here"]), "nightly")
            #expect(try site.result(of: "n1.yaml")["queue"] == "nightly")
            let good = Disk.text(file) ?? ""
            try Disk.write(good + "  broken: {max_concurent: 2}\n", to: file)
            let line = try site.waitForLog("is not used, the old one holds")
            #expect(line.contains("ops/orchestrator.yaml:8:12"), "\(line)")
            try site.drop("n2.yaml", job(["log: here"]), "nightly")
            #expect(try site.result(of: "n2.yaml").state == "succeeded")
            try Disk.write(good + "  second: {}\n", to: "\(file).new")
            try Disk.move("\(file).new", to: file)
            try site.wait("the second queue", in: ["\(site.spool)", "\(site.spool)/*"]) {
                Disk.exists(site.lane("second", 9)) ? () : nil
            }
            try site.drop("n3.yaml", job(["log: here"]), "second", 9)
            #expect(try site.result(of: "n3.yaml").state == "succeeded")
        }
    }

    @Test("a run whose queue is no longer configured still comes to its end") func droppedQueue() throws {
        try TestSite.use(TestSite.configuration + "  old: {}\n") { site in
            try site.up()
            try site.drop("o.yaml", job([site.gate("o"), site.effect("o")]), "old")
            try site.waitForEffect("o", "gate")
            let run = site.find("o.yaml").first?.id ?? ""
            #expect(try site.bobbin("hold", run).code == 0)
            try site.open(gate: "o")
            try site.parked("o.yaml", "held")
            try site.stop()
            try Disk.write(TestSite.configuration, to: "\(site.path)/ops/orchestrator.yaml")
            try site.up()
            #expect(try site.bobbin("release", run).code == 0)
            #expect(try site.result(of: "o.yaml").state == "succeeded")
        }
    }

    @Test("a limit that is raised holds at once") func raisedLimit() throws {
        try TestSite.use { site in
            try site.up()
            for name in ["g1", "g2"] { try site.drop("\(name).yaml", job([site.gate(name)]), "background") }
            try site.waitForEffect("g1", "gate")
            #expect(site.count("g2", "gate") == 0)
            let text = Disk.text("\(site.path)/ops/orchestrator.yaml") ?? ""
            try Disk.write(
                text.replacing("background: {max_concurrent: 1}", with: "background: {max_concurrent: 2}"),
                to: "\(site.path)/ops/orchestrator.yaml")
            try site.waitForEffect("g2", "gate")
            for name in ["g1", "g2"] { try site.open(gate: name) }
            for name in ["g1", "g2"] { #expect(try site.result(of: "\(name).yaml").state == "succeeded") }
        }
    }

    @Test("a bad configuration stops the start with its place") func badStart() throws {
        try TestSite.use { site in
            try Disk.write(
                "queues:\n  default: {max_concurrent: lots}\n", to: "\(site.path)/ops/orchestrator.yaml")
            let said = try site.bobbin("up")
            #expect(said.code == 65 && said.err.contains("ops/orchestrator.yaml:2:29"), "\(said)")
            try Disk.write(TestSite.configuration, to: "\(site.path)/ops/orchestrator.yaml")
        }
    }
}
