// What this is: a spool that somebody or something has damaged: said at the start, nothing guessed, nothing made worse.
// Owns: the scenes of a journal, a directory and an index that are not what they were.
// Never: damages a site that works.
// On failure: shows what the program said.
import Glibc
import LinuxSystem
import Testing

@Suite("damage", .onSites) struct DamageTests {
    /// A site whose only run is held, so that its journal holds something that matters.
    private func withHeldRun(_ body: (TestSite, _ drop: String) throws -> Void) throws {
        try TestSite.use { site in
            try site.up()
            let (ticket, name) = try site.submit("h.yaml", job([site.gate("h"), site.effect("h")]))
            try site.waitForEffect("h", "gate")
            #expect(try site.bobbin("hold", ticket).code == 0)
            try site.open(gate: "h")
            try site.parked(name, "held")
            try site.stop()
            try body(site, name)
            try site.up()
            #expect(try site.bobbin("release", ticket).code == 0)
            #expect(try site.result(of: name).state == "succeeded")
        }
    }

    @Test("a journal damaged in the middle stops the start with 65, and is left as it is") func journal()
        throws
    {
        try withHeldRun { site, _ in
            let directory = "\(site.spool)/.bobbin/runners/main/journal"
            let file = try #require(Disk.names(directory).filter { $0.hasSuffix(".seg") }.sorted().last)
            let whole = try #require(Disk.bytes("\(directory)/\(file)"))
            var bad = whole
            // Behind the header, inside the first record; later records are good, so this is no torn tail.
            bad[100] ^= 0xFF
            try Disk.write(bad, to: "\(directory)/\(file)")
            let verified = try site.bobbin("journal", "verify")
            #expect(verified.code == 65 && verified.err.contains(file), "\(verified)")
            let started = try site.bobbin("up")
            #expect(started.code == 65 && started.err.contains(file), "\(started)")
            #expect(Disk.bytes("\(directory)/\(file)") == bad)
            try Disk.write(whole, to: "\(directory)/\(file)")
        }
    }

    @Test("a torn tail is cut and said") func tornTail() throws {
        try TestSite.use { site in
            let runner = try site.up()
            try site.drop("t.yaml", job([site.gate("t")]))
            try site.waitForEffect("t", "gate")
            try runner.killNow()
            let directory = "\(site.spool)/.bobbin/runners/main/journal"
            let file = try #require(Disk.names(directory).filter { $0.hasSuffix(".seg") }.sorted().last)
            var bytes = try #require(Disk.bytes("\(directory)/\(file)"))
            let end = (bytes.lastIndex { $0 != 0 } ?? 0) + 1
            // What a power cut leaves of a record that was being written.
            for index in 0..<24 { bytes[end + 8 + index] = 0xA5 }
            try Disk.write(bytes, to: "\(directory)/\(file)")
            try site.up()
            let parked = try site.parked("t.yaml", "interrupted")
            #expect(try site.bobbin("resolve", parked.id, "--skip").code == 0)
            try site.result(of: "t.yaml")
        }
    }

    @Test(
        "a directory with work in it that is gone stops the start",
        arguments: ["claimed", "parked", "done", "failed"])
    func directory(_ name: String) throws {
        try withHeldRun { site, _ in
            try Disk.move("\(site.spool)/\(name)", to: site.outside(name))
            let said = try site.bobbin("up")
            #expect(said.code == 69 && said.err.contains("E-STATE") && said.err.contains(name), "\(said)")
            #expect(!Disk.exists("\(site.spool)/\(name)"), "made again behind the operator's back")
            try Disk.move(site.outside(name), to: "\(site.spool)/\(name)")
        }
    }

    @Test("an index that is damaged or gone is made anew from the results", arguments: [true, false])
    func index(gone: Bool) throws {
        try withHeldRun { site, name in
            try site.up()
            try site.drop("i.yaml", job(["log: x"], head: "name: remembered\n"))
            try site.result(of: "i.yaml")
            try site.stop()
            for ending in ["-wal", "-shm"] { Disk.remove("\(site.spool)/.bobbin/index.sqlite\(ending)") }
            if gone {
                Disk.remove("\(site.spool)/.bobbin/index.sqlite")
            } else {
                try Disk.write("garbage", to: "\(site.spool)/.bobbin/index.sqlite")
            }
            try site.up()
            try site.stop()
            #expect(try site.bobbin("runs").out.contains("remembered"))
        }
    }

    @Test("a newer format is refused") func format() throws {
        try withHeldRun { site, _ in
            try Disk.write("99\n", to: "\(site.spool)/.bobbin/format")
            let said = try site.bobbin("up")
            #expect(said.code == 69 && said.err.contains("format"), "\(said)")
            try Disk.write("1\n", to: "\(site.spool)/.bobbin/format")
        }
    }
}
