// What this is: several runners on one spool: each job once, a dead one's work taken over, limits for all together.
// Owns: the scenes with four processes.
// Never: trusts a count alone: every job is looked for by name.
// On failure: names the jobs.
import Glibc
import Testing

@Suite("runners", .onSites, .serialized) struct RunnersTests {
    private static let wide = TestSite.configuration.replacing(
        "default: {max_concurrent: 3,", with: "default: {max_concurrent: 16,")
    private func start(_ site: TestSite) throws {
        try site.up()
        for name in ["b", "c", "d"] { try site.runner(name) }
    }
    private func names(_ prefix: String, _ count: Int) -> [String] { (1...count).map { "\(prefix)\($0)" } }

    @Test("four runners, 2,000 jobs, each exactly once") func many() throws {
        try TestSite.use(RunnersTests.wide) { site in
            try start(site)
            let ids = names("m", 2_000)
            // Half of them run a process, half only write a line of the run's log.
            for (index, id) in ids.enumerated() {
                try site.drop(
                    "\(id).yaml", job([index % 2 == 0 ? site.effect(id) : "log: \(id)"]),
                    index % 3 == 0 ? "high_priority" : "default")
            }
            try site.waitForDone(2_000, seconds: 180)
            let counts = site.effectCounts
            for (index, id) in ids.enumerated() where index % 2 == 0 {
                #expect(counts["\(id) once"] == 1, "\(id)")
            }
            let workers = Set(
                try Papers.parse(site.bobbin("status", "--json").out).at("runners")?.items?.compactMap {
                    $0.text("name")
                } ?? [])
            #expect(workers == ["main", "b", "c", "d"])
            #expect(try site.runnersOfResults().count == 4, "one runner did everything")
        }
    }

    @Test("one of four is killed midway: its claims are taken over") func killed() throws {
        try TestSite.use(RunnersTests.wide) { site in
            try start(site)
            let ids = names("x", 400)
            for id in ids { try site.drop("\(id).yaml", job([site.effect(id)])) }
            let victims = [site.runners[2], site.runners[0]]
            for (number, victim) in victims.enumerated() {
                // Midway by the effects seen, not by the clock.
                try site.waitForEffects(100 * (number + 1), by: 100)
                try victim.killNow()
            }
            try site.settle(seconds: 120)
            for victim in victims {
                try site.wait("\(victim.name) to be buried", in: ["\(site.spool)/claimed"]) {
                    Disk.exists("\(site.spool)/claimed/\(victim.name)") ? nil : ()
                }
            }
            let counts = site.effectCounts
            for id in ids where counts["\(id) once"] != 1 {
                let result = try #require(try site.results(of: "\(id).yaml").first)
                #expect(result.node("waits") != nil, "neither run nor asked about: \(result)")
            }
        }
    }

    @Test("max_concurrent and pause hold for all runners together") func limits() throws {
        try TestSite.use { site in
            try start(site)
            for number in 1...6 { try site.drop("l\(number).yaml", job([site.gate("l\(number)")])) }
            try site.waitForEffects(3, by: 0)
            try site.fence("f.yaml")
            #expect(Disk.lines(site.effects).count == 3)
            #expect(try site.bobbin("pause", "background").code == 0)
            for _ in 1...4 { try site.waitForLog("queue background is paused") }
            for number in 1...6 { try site.open(gate: "l\(number)") }
            for number in 1...6 { try site.result(of: "l\(number).yaml") }
        }
    }

    @Test("a command reaches the run of another runner") func forwarded() throws {
        try TestSite.use { site in
            try start(site)
            for number in 1...3 { try site.drop("c\(number).yaml", job([site.gate("c\(number)")])) }
            for number in 1...3 { try site.waitForEffect("c\(number)", "gate") }
            for number in 1...3 {
                let run = try #require(site.find("c\(number).yaml").first?.id)
                let said = try site.bobbin("cancel", run)
                #expect(said.code == 0, "\(said)")
                #expect(try site.result(of: "c\(number).yaml").state == "cancelled")
            }
        }
    }

    @Test("drain stops all runners") func drain() throws {
        try TestSite.use { site in
            try start(site)
            try site.drop("d.yaml", job([site.gate("d")]))
            try site.waitForEffect("d", "gate")
            #expect(try site.bobbin("drain").code == 0)
            try site.waitForLog("draining (control/drain)")
            try site.open(gate: "d")
            for runner in site.runners { #expect(try runner.end() == 0, "\(runner.name)") }
            #expect(!Disk.exists("\(site.spool)/control/drain"))
            #expect(try site.results(of: "d.yaml").first?.state == "succeeded")
        }
    }
}

extension TestSite {
    /// Lines of the effect log by `id step`.
    var effectCounts: [String: Int] {
        Dictionary(
            Disk.lines(effects).map { ($0.split(separator: " ").prefix(2).joined(separator: " "), 1) },
            uniquingKeysWith: +)
    }
    /// Waits for lines of the effect log; looks now and then where many come.
    func waitForEffects(_ number: Int, by pace: Int) throws {
        try Signals.wait("\(number) effects", in: [path], processes: working, pace: pace / 2) {
            Disk.lines(effects).count >= number ? () : nil
        }
    }
    func runnersOfResults() throws -> Set<String> {
        var runners: Set<String> = []
        for day in Disk.names("\(spool)/done") {
            for name in Disk.names("\(spool)/done/\(day)") where name.hasSuffix(".result.yaml") {
                if let line = Disk.lines("\(spool)/done/\(day)/\(name)").last(where: {
                    $0.hasPrefix("  runner: ")
                }) {
                    runners.insert(line)
                }
            }
        }
        return runners
    }
}
