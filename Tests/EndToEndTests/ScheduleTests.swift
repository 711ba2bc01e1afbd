// What this is: ops/schedules.yaml with a real clock: drops, what the job sees, missed ones, overlap, edits, kills.
// Owns: the scenes; a clock that is put on or back between two starts (BOBBIN_CLOCK_OFFSET).
// Never: waits for a time of the day: schedules of seconds come by themselves.
// On failure: shows the log and the files.
import LinuxSystem
import Testing

@Suite("schedules", .onSites) struct ScheduleTests {
    private static let template = """
        dsl_version: "1.1"
        name: tick
        variables: {who: nobody}
        steps:
          - run: [SITE/effect, "{{ schedule.id }}", "{{ schedule.at }}"]
            idempotent: false
        outputs: {at: "{{ schedule.at }}", who: "{{ who }}", zone: "{{ schedule.timezone }}", kind: "{{ trigger.kind }}"}

        """
    private func site(_ schedules: String, _ body: (TestSite) throws -> Void) throws {
        try TestSite.use { site in
            site.mayHaveChildren = true
            try Disk.write(
                ScheduleTests.template.replacing("SITE", with: site.path),
                to: "\(site.path)/templates/tick.yaml")
            try write(schedules, site)
            try body(site)
        }
    }
    private func write(_ schedules: String, _ site: TestSite) throws {
        try Disk.write("schedules:\n" + schedules, to: "\(site.path)/ops/.new")
        try Disk.move("\(site.path)/ops/.new", to: "\(site.path)/ops/schedules.yaml")
    }
    /// The instants at which runs of a schedule were begun.
    private func instants(_ id: String, _ site: TestSite) -> [String] {
        Disk.lines(site.effects).filter { $0.hasPrefix("\(id) ") }.map {
            String($0.split(separator: " ")[1])
        }
    }
    private func wait(_ count: Int, of id: String, _ site: TestSite) throws {
        try site.wait("\(count) runs of \(id)", in: [site.path]) {
            instants(id, site).count >= count ? () : nil
        }
    }

    @Test("a schedule drops its job, and the job sees the instant it is for") func firing() throws {
        try site(
            "  - {id: beat, every: 1s, template: tick.yaml, queue: high_priority, priority: 2, variables: {who: me}, timezone: Asia/Kathmandu}\n"
        ) { site in
            try site.up()
            try wait(3, of: "beat", site)
            try site.stop()
            let seen = instants("beat", site)
            #expect(Set(seen).count == seen.count && seen.sorted() == seen)
            let day = try #require(Disk.names("\(site.spool)/done").first)
            let name = try #require(
                Disk.names("\(site.spool)/done/\(day)").sorted().first { $0.hasSuffix(".result.yaml") })
            let paper = try Papers.read("\(site.spool)/done/\(day)/\(name)")
            #expect(paper["outputs.at"] == seen.first && paper["outputs.who"] == "me")
            #expect(paper["outputs.zone"] == "Asia/Kathmandu" && paper["outputs.kind"] == "schedule")
            #expect(paper["queue"] == "high_priority" && paper["priority"] == "2")
            #expect(paper["tags.0"] == "schedule:beat" && paper["drop.template"] == "tick.yaml")
            let facts = Disk.lines("\(site.spool)/history/\(day).jsonl")
            #expect(facts.count { $0.contains("\"trigger.fired\"") } >= seen.count)
        }
    }

    @Test(
        "what was missed while nobody served is made up for once, and a clock that is put back repeats nothing"
    )
    func missed() throws {
        let file = """
              - {id: last, every: 1h, template: tick.yaml}
              - {id: all, every: 1h, template: tick.yaml, catch_up: {mode: all, limit: 3}}
              - {id: none, every: 1h, template: tick.yaml, catch_up: none}

            """
        try site(file) { site in
            try site.up()
            _ = try site.waitForLog("ops/schedules.yaml: 3 schedules")
            try site.stop()
            try site.up(["BOBBIN_CLOCK_OFFSET": "36000"])
            try wait(3, of: "all", site)
            try wait(1, of: "last", site)
            try site.stop()
            #expect(instants("last", site).count == 1 && instants("all", site).count == 3)
            #expect(instants("all", site).last == instants("last", site).last)
            // One whose time came in the last minute is not missed.
            #expect(instants("none", site).count <= 1)
            let before = Disk.lines(site.effects).count
            for offset in ["34200", "32400", "36000"] {
                let bytes = Disk.bytes(site.log)?.count ?? 0
                try site.up(["BOBBIN_CLOCK_OFFSET": offset])
                try site.wait("the schedules to be read", in: ["\(site.spool)/log"]) {
                    String(decoding: (Disk.bytes(site.log) ?? []).dropFirst(bytes), as: UTF8.self)
                        .contains("ops/schedules.yaml: 3 schedules") ? () : nil
                }
                try site.stop()
            }
            #expect(Disk.lines(site.effects).count == before)
        }
    }

    @Test("killed at any moment, no instant runs twice") func killed() throws {
        try site("  - {id: beat, every: 1s, template: tick.yaml, overlap: allow, catch_up: all}\n") { site in
            var chance = Chance("schedules, killed")
            for round in 1...5 {
                let runner = try site.up()
                try wait(2 * round, of: "beat", site)
                // Somewhere in the next second, which has an instant in it.
                _ = Signals.poll([], until: Moment.after(milliseconds: Int(chance.next() % 1000)))
                _ = try runner.killNow()
            }
            try site.up()
            try wait(12, of: "beat", site)
            _ = try site.settle()
            try site.stop()
            let seen = instants("beat", site)
            #expect(Set(seen).count == seen.count, "\(seen)")
            // A step that a kill had cut off waits for a person; every other instant ran.
            let interrupted = Disk.names("\(site.spool)/parked/interrupted").count
            let seconds = seen.compactMap { Int($0.dropFirst(17).prefix(2)) }
            #expect(!seconds.isEmpty && seen.count + interrupted >= 12)
        }
    }

    @Test("a run that has not ended keeps the next one out, or is replaced by it") func overlap() throws {
        try TestSite.use { site in
            site.mayHaveChildren = true
            for name in ["skipper", "replacer"] {
                try Disk.write(
                    job([site.gate(name)], head: "name: \(name)\n"), to: "\(site.path)/templates/\(name).yaml"
                )
            }
            try write("  - {id: skipper, every: 1s, template: skipper.yaml}\n", site)
            try site.up()
            try site.waitForEffect("skipper", "gate")
            _ = try site.waitForLog("skipper: the one of")
            #expect(site.count("skipper", "gate") == 1)
            try site.open(gate: "skipper")
            try site.waitForEffect("skipper", "gate", times: 2)
            try write("  - {id: replacer, every: 1s, template: replacer.yaml, overlap: replace}\n", site)
            try site.waitForEffect("replacer", "gate", times: 2)
            let listed = try site.bobbin("schedule", "ls", "--json")
            #expect(listed.code == 0 && listed.out.contains("\"overlap\": \"replace\""))
            try write("  []\n", site)
            _ = try site.waitForLog("0 schedules")
            for name in ["skipper", "replacer"] { try site.open(gate: name) }
            try site.open(gate: "replacer")
            _ = try site.settle()
            try site.stop()
            let cancelled = try site.bobbin("runs", "--state", "cancelled", "--json", "--limit", "100")
            #expect(cancelled.out.contains("replacer"))
        }
    }

    @Test("what waits for a run still waits after a kill") func heldOverAKill() throws {
        try TestSite.use { site in
            site.mayHaveChildren = true
            try Disk.write(
                job(
                    ["{run: [\(site.path)/gate, \"{{ schedule.id }}\"], idempotent: true}"],
                    head: "name: slow\n"),
                to: "\(site.path)/templates/slow.yaml")
            _ = try site.gate("slow")
            try write("  - {id: slow, every: 1s, template: slow.yaml, overlap: queue}\n", site)
            let runner = try site.up()
            try site.waitForEffect("slow", "gate")
            let log = "\(site.spool)/.bobbin/triggers/fires.log"
            try site.wait("the wait to be noted", in: ["\(site.spool)/.bobbin/triggers"]) {
                (Disk.text(log) ?? "").contains("\"held\":true") ? () : nil
            }
            _ = try runner.killNow()
            #expect(try site.bobbin("schedule", "disable", "slow").code == 0)
        }
    }

    @Test("a bad edit keeps the schedules of before, and says so in log, status and doctor") func badEdit()
        throws
    {
        try site("  - {id: beat, every: 1s, template: tick.yaml}\n") { site in
            try site.up()
            try wait(1, of: "beat", site)
            try write(
                "  - {id: beat, every: 1s, template: tick.yaml}\n  - {id: worse, cron: \"0 25 * * *\", template: tick.yaml}\n",
                site)
            let line = try site.waitForLog("the schedules of before hold")
            #expect(line.contains("ops/schedules.yaml:3:26: error: hours: 25 is not from 0 to 23"), "\(line)")
            try wait(instants("beat", site).count + 1, of: "beat", site)
            let status = try site.bobbin("status")
            #expect(
                status.out.contains("ops/schedules.yaml:3:26")
                    && status.out.contains("what held before holds"))
            #expect(try site.bobbin("doctor").out.contains("hours: 25 is not from 0 to 23"))
            #expect(try site.bobbin("schedule", "ls").code == 65)
            try write("  - {id: other, every: 1s, template: tick.yaml}\n", site)
            try wait(1, of: "other", site)
            // The file is gone: so are its schedules.
            Disk.remove("\(site.path)/ops/schedules.yaml")
            _ = try site.waitForLog("0 schedules")
        }
    }

    @Test("schedules are switched, run by hand, listed and explained by verbs") func verbs() throws {
        let file = """
              # what people wrote stays as it is
              - id: nightly          # the id
                cron: "30 2 * * *"
                timezone: Europe/Berlin
                template: tick.yaml
                description: the books
              - {id: flow, every: 1d, template: missing.yaml}

            """
        try site(file) { site in
            let list = try site.bobbin("schedule", "ls")
            #expect(
                list.code == 0 && list.out.contains("nightly")
                    && list.out.contains("30 2 * * * Europe/Berlin"))
            #expect(
                list.err.contains("flow: its job would be sent back: there is no template `missing.yaml`"))
            #expect(list.err.contains("nobody serves them"))
            #expect(try site.bobbin("schedule", "disable", "nightly").out == "nightly is disabled\n")
            #expect(try site.bobbin("schedule", "disable", "flow").code == 0)
            let text = try #require(Disk.text("\(site.path)/ops/schedules.yaml"))
            let wanted =
                "schedules:\n"
                + file
                .replacing("# the id\n", with: "# the id\n    enabled: false\n")
                .replacing("id: flow,", with: "id: flow, enabled: false,")
            #expect(text == wanted, "\(text)")
            #expect(try site.bobbin("schedule", "disable", "nightly").out == "nightly is disabled already\n")
            #expect(try site.bobbin("schedule", "enable", "nightly").code == 0)
            #expect(try #require(Disk.text("\(site.path)/ops/schedules.yaml")).contains("enabled: true"))
            let explained = try site.bobbin("schedule", "explain", "nightly")
            #expect(
                explained.out.contains("the books")
                    && explained.out.contains("a time of the day: once each day"))
            #expect(try site.bobbin("schedule", "next", "--count", "3").out.split(separator: "\n").count == 3)
            #expect(try site.bobbin("schedule", "explain", "nope").code == 2)
            try site.up()
            let run = try site.bobbin("schedule", "run", "nightly", "--at", "2026-01-02T03:04:05Z", "--wait")
            #expect(run.code == 0, "\(run.both)")
            #expect(instants("nightly", site) == ["2026-01-02T03:04:05Z"])
        }
    }

    @Test("cron next answers one expression, or as many as come by standard input") func cron() throws {
        let one = try Program.call([
            "cron", "next", "30 2 * * *", "--tz", "Europe/Berlin", "--from", "2026-03-28T12:00:00Z",
            "--count", "2",
        ])
        #expect(one.code == 0 && one.out == "2026-03-29T01:00:00Z\n2026-03-30T00:30:00Z\n")
        let bad = try Program.call(["cron", "next", "0 25 * * *"])
        #expect(
            bad.code == 65 && bad.err.contains("hours: 25 is not from 0 to 23") && bad.err.contains("\n    ^")
        )
        #expect(try Program.call(["cron", "next", "* * * * *", "--tz", "Europe/Nowhere"]).code == 65)
        #expect(try Program.call(["cron", "next"]).code == 2)
        let lines = """
            {"expr":"0 9 * * 1-5","tz":"UTC","from":"2026-11-28T00:00:00Z","count":2}
            {"expr":"0 9 * * 1-9","tz":"UTC","from":"2026-11-28T00:00:00Z","count":2}
            not json
            {"expr":"@daily","tz":"Mars/Olympus","from":"2026-11-28T00:00:00Z","count":2}
            {"expr":"*/30 * * * * *","tz":"Asia/Tokyo","from":"2026-11-28T00:00:00Z","count":3}

            """
        let batch = try Program.call(["cron", "next", "--batch"], input: lines)
        let answers = batch.out.split(separator: "\n").map(String.init)
        #expect(batch.code == 1 && answers.count == 5)
        #expect(answers[0] == #"["2026-11-30T09:00:00Z","2026-12-01T09:00:00Z"]"#)
        #expect(answers[1].hasPrefix(#"{"error":{"code":"E-CRON","message":"days of the week: 9"#))
        #expect(answers[1].hasSuffix(#""column":11}}"#), "\(answers[1])")
        #expect(answers[2].contains("E-BATCH") && answers[3].contains("E-ZONE"))
        #expect(answers[4] == #"["2026-11-28T00:00:30Z","2026-11-28T00:01:00Z","2026-11-28T00:01:30Z"]"#)
    }
}
