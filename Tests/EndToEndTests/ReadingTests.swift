// What this is: the verbs that read: show, log, runs, status; as text, as JSON, on a terminal.
// Owns: names by which a run is found, filters, the index against the files.
// Never: compares whole texts.
// On failure: shows code and output of the call.
import Testing
import YamlText

@Suite("reading verbs", .onSites) struct ReadingTests {
    private func json(_ outcome: Outcome, _ location: SourceLocation = #_sourceLocation) throws -> YamlNode {
        #expect(outcome.code == 0, "\(outcome)", sourceLocation: location)
        return try Papers.parse(outcome.out)
    }

    @Test("show by id, prefix, ticket and path; log; several matches are named") func show() throws {
        try TestSite.use { site in
            try site.up()
            let drop = try site.submit(
                "s.yaml", job(["run: [echo, hello there]\n    name: greet", "log: bye"]))
            let run = try site.result(of: drop.name).run
            for name in [
                run, String(run.prefix(25)), run.lowercased(), drop.ticket, "spool/default/p5/\(drop.name)",
                "\(run)~\(drop.name)",
            ] {
                let said = try site.bobbin("show", name)
                #expect(
                    said.code == 0 && said.out.contains(run) && said.out.contains("greet")
                        && said.out.contains("succeeded"), "\(name): \(said)")
            }
            let tree = try json(site.bobbin("show", run, "--json"))
            #expect(
                tree.text("state") == "succeeded" && tree.text("steps.0.title") == "greet"
                    && tree.text("drop.ticket") == drop.ticket)
            #expect(try site.bobbin("log", run).out.contains("hello there"))
            #expect(try site.bobbin("log").out.contains("main began"))
            let followed = try site.submit(
                "f.yaml", job(["run: [sh, -c, \"echo first; read x < '\(site.path)/gates/f'; echo last\"]"]))
            _ = try site.gate("f")
            try site.open(gate: "f")
            let said = try site.bobbin("log", "-f", followed.ticket)
            #expect(said.code == 0 && said.out.contains("first") && said.out.contains("last"), "\(said)")
            let second = try site.submit("t.yaml", job(["log: x"]))
            try site.result(of: second.name)
            let many = try site.bobbin("show", "01")
            #expect(many.code == 2 && many.err.contains(run))
            try site.stop()
            try site.drop("waits.yaml", job(["log: x"]))
            let waiting = try site.bobbin("show", "spool/default/p5/waits.yaml")
            #expect(waiting.code == 0 && waiting.out.contains("waits"), "\(waiting)")
        }
    }

    @Test("a terminal never gets raw control characters") func terminal() throws {
        try TestSite.use { site in
            try site.up()
            try site.drop(
                "esc.yaml",
                job(
                    ["run: [printf, \"a\\\\033[31mred\\\\007\\\\n\"]", "fail: \"\\e]0;title\\a\""],
                    head: "name: \"n\\e[2J\"\n"))
            let run = try site.result(of: "esc.yaml").run
            for verb in ["status", "runs", "show \(run)", "log \(run)", "log", "queues"] {
                let script = "NO_COLOR=1 \(Program.path) \(verb) --site \(site.path)"
                let said = try Program.call(["-qec", script, "/dev/null"], path: "/usr/bin/script")
                let text = said.out.replacing("\r\n", with: "\n")
                #expect(said.code == 0 && !TestSite.isRaw(text), "\(verb): \(text.debugDescription)")
            }
        }
    }

    @Test("runs: filters and limit, and the index says the same after a rebuild") func runs() throws {
        try TestSite.use { site in
            try site.up()
            for number in 1...3 {
                try site.drop(
                    "ok\(number).yaml", job(["log: x"], head: "name: good-\(number)\n"), "high_priority")
            }
            try site.drop("no.yaml", job(["fail: x"], head: "name: bad-1\n"), "background")
            try site.drop(
                "gone.yaml", job(["run: [sleep, \"300\"]\n    timeout: 100ms"], head: "name: late-1\n"))
            for name in ["ok1", "ok2", "ok3", "no", "gone"] { try site.result(of: "\(name).yaml") }
            func rows(_ options: String...) throws -> [String] {
                let tree = try json(Program.call(["runs", "--json", "--site", site.path] + options))
                return (tree.items ?? []).map { $0.text("job") ?? "" }.sorted()
            }
            // The index is fed behind the results; a stopped runner has fed it.
            try site.stop()
            #expect(try rows() == ["bad-1", "good-1", "good-2", "good-3", "late-1"])
            #expect(try rows("--state", "failed") == ["bad-1"])
            #expect(try rows("--state", "timed_out") == ["late-1"])
            #expect(try rows("--queue", "high_priority") == ["good-1", "good-2", "good-3"])
            #expect(try rows("--job", "*-1") == ["bad-1", "good-1", "late-1"])
            #expect(try rows("--user", "nobody-like-this") == [])
            #expect(try rows("--limit", "2").count == 2)
            #expect(try site.bobbin("runs", "--state", "perhaps").code == 2)
            let before = try site.bobbin("runs", "--json", "--limit", "100").out
            for ending in ["", "-wal", "-shm"] { Disk.remove("\(site.spool)/.bobbin/index.sqlite\(ending)") }
            let rebuilt = try site.bobbin("index", "rebuild")
            #expect(rebuilt.code == 0 && rebuilt.out.contains("5 runs"), "\(rebuilt)")
            #expect(try site.bobbin("runs", "--json", "--limit", "100").out == before)
        }
    }

    @Test("status --json at a glance") func status() throws {
        try TestSite.use { site in
            let idle = try json(site.bobbin("status", "--json"))
            #expect(idle.text("working") == "false")
            try site.up()
            try site.drop("busy.yaml", job([site.gate("busy")]), "background")
            try site.waitForEffect("busy", "gate")
            try site.drop("next.yaml", job(["log: x"]), "background", 7)
            try site.drop("bad.yaml", "nothing\n")
            try site.reason(of: "bad.yaml")
            let tree = try json(site.bobbin("status", "--json"))
            #expect(
                tree.text("working") == "true" && tree.text("runners.0.leading") == "true"
                    && tree.text("rejected") == "1")
            #expect(
                tree.text("queues.2.name") == "background" && tree.text("queues.2.running") == "1"
                    && tree.text("queues.2.waiting.6") == "1")
            #expect(tree.text("queues.2.oldest_seconds") != nil)
            let text = try site.bobbin("status").out
            #expect(text.contains("gate") || text.contains("run"), "\(text)")
            try site.open(gate: "busy")
            try site.result(of: "next.yaml")
            #expect(try json(site.bobbin("status", "--json")).text("today.succeeded") == "2")
        }
    }
}
