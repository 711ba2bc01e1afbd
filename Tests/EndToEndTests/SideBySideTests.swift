// What this is: steps that hold others, in the built program: loops, branches, `needs:`, and what a crash leaves of them.
// Owns: that each effect of each round happens once, and that a person is asked about each unknown step for itself.
// Never: tells the course of lists (RunEngineTests do).
// On failure: shows the log and the files.
import LinuxSystem
import Testing

@Suite("side by side", .onSites) struct SideBySideTests {
    @Test("kill -9 among the rounds of a loop: each round goes on by its own rule") func killedLoop() throws {
        try TestSite.use { site in
            let runner = try site.up()
            let gates = ["r1", "r2", "r3"]
            for id in gates { _ = try site.gate(id) }
            try site.drop(
                "loop.yaml",
                job(
                    [
                        """
                        foreach:
                              items: [1, 2, 3, 4, 5, 6]
                              concurrency: 3
                              collect: "{{ item * 10 }}"
                              steps:
                                - run: ["\(site.path)/effect", "r{{ item }}", once]
                                - {run: ["\(site.path)/gate", "r{{ item }}"], when: item <= 3}
                                - run: ["\(site.path)/effect", "r{{ item }}", once2]
                            id: each
                        """
                    ], tail: "outputs: {all: \"{{ steps.each.results }}\"}\n"))
            for id in gates { try site.waitForEffect(id, "gate") }
            let shown = try site.bobbin("status")
            #expect(shown.out.contains("and 2 beside it"), "\(shown.out)")
            try runner.killNow()
            try site.up()
            // Three gates were cut off; a person is asked about one after the other.
            var open: Set = ["1.1.2", "1.2.2", "1.3.2"]
            while !open.isEmpty {
                let parked = try site.parked("loop.yaml", "interrupted")
                let place = try site.wait("a question about \(open)", in: ["\(site.spool)/parked/*"]) {
                    let shown = try site.bobbin("show", parked.id).out
                    return open.first { shown.contains("step \($0) (run) may or may not") }
                }
                open.remove(place)
                #expect(try site.bobbin("resolve", parked.id, "--skip").code == 0)
            }
            let result = try site.result(of: "loop.yaml")
            #expect(result.state == "succeeded", "\(result)")
            for round in 1...6 {
                for step in ["once", "once2"] {
                    #expect(site.count("r\(round)", step) == 1, "\(round) \(step)")
                }
            }
            #expect(result["outputs.all.0"] == "10" && result["outputs.all.5"] == "60", "\(result)")
        }
    }

    @Test(
        "branches: one waits for another try while the others go on, and a crash in between changes nothing")
    func branches() throws {
        try TestSite.use { site in
            let runner = try site.up()
            _ = try site.gate("slow")
            let flaky =
                "run: [sh, -c, \"\(site.path)/effect f try; test $(grep -c '^f try' \(site.effects)) -ge 2\"], retry: {max_attempts: 2, base_delay: 1h, max_delay: 1h}"
            try site.drop(
                "sides.yaml",
                job([
                    """
                    parallel:
                          - {\(flaky), id: flaky}
                          - steps:
                              - {run: ["\(site.path)/gate", slow]}
                              - run: ["\(site.path)/effect", slow, once]
                    """,
                    "{run: [\"\(site.path)/effect\", last, once], id: last}",
                    "{log: \"{{ steps.flaky.state }}\", needs: [last]}",
                ]))
            try site.waitForEffect("slow", "gate")
            try site.waitForEffect("f", "try")
            try site.open(gate: "slow")
            let waiting = try site.parked("sides.yaml", "retry")
            #expect(site.count("slow", "once") == 1 && site.count("last", "once") == 0)
            try runner.killNow()
            try site.up()
            #expect(site.count("f", "try") == 1)
            #expect(try site.bobbin("release", waiting.id).code == 0)
            let result = try site.result(of: "sides.yaml")
            #expect(result.state == "succeeded", "\(result)")
            #expect(site.count("f", "try") == 2 && site.count("slow", "once") == 1)
            #expect(site.count("slow", "gate") == 1 && site.count("last", "once") == 1)
        }
    }

    @Test("a cancel ends all branches, and the clean-up runs") func cancel() throws {
        try TestSite.use { site in
            try site.up()
            for id in ["a", "b"] { _ = try site.gate(id) }
            let (ticket, name) = try site.submit(
                "c.yaml",
                job(
                    [
                        "parallel: [{run: [\"\(site.path)/gate\", a]}, {run: [\"\(site.path)/gate\", b]}]",
                        site.effect("c", "never"),
                    ], tail: "finally: [{\(site.effect("c", "finally"))}]\n"))
            for id in ["a", "b"] { try site.waitForEffect(id, "gate") }
            #expect(try site.bobbin("cancel", ticket).code == 0)
            #expect(try site.result(of: name).state == "cancelled")
            #expect(site.count("c", "finally") == 1 && site.count("c", "never") == 0)
        }
    }

    /// What was accepted is what runs: also of the step types of the site, and of the templates they call.
    @Test("a step type of the site that is changed while a run of it is cut off") func changedTemplate()
        throws
    {
        try TestSite.use { site in
            let folder = "\(site.path)/templates/steps"
            if !Disk.exists(folder) { try Disk.makeDirectory(folder) }
            func write(_ word: String) throws {
                let text = try job(
                    [site.gate("c"), site.effect("c", "\"{{ what }}-\(word)\"")],
                    head: "params: {what: {type: string}}\n", tail: "outputs: {done: \"\(word)\"}\n")
                try Disk.write(text, to: "\(folder)/work.yaml")
            }
            try write("old")
            let runner = try site.up()
            try site.drop(
                "c.yaml",
                job(["{work: once, id: w}"], tail: "outputs: {done: \"{{ steps.w.done }}\"}\n"))
            try site.waitForEffect("c", "gate")
            try runner.killNow()
            try write("new")
            try site.up()
            let parked = try site.parked("c.yaml", "interrupted")
            #expect(try site.bobbin("show", parked.id).out.contains("step 1.1 (run) may or may not"))
            #expect(try site.bobbin("resolve", parked.id, "--skip").code == 0)
            let result = try site.result(of: "c.yaml")
            #expect(result.state == "succeeded" && result["outputs.done"] == "old", "\(result)")
            #expect(site.count("c", "once-old") == 1 && site.count("c", "once-new") == 0)
            // The next drop gets the new one; and who asks is told of it.
            let listed = try site.bobbin("steps")
            #expect(listed.out.contains("work"), "\(listed)")
            let said = try site.bobbin("steps", "work")
            #expect(said.code == 0 && said.out.contains("what"), "\(said)")
        }
    }

    /// There the threads of the run and the main thread start programs, whose ends each must learn of.
    @Test("in the foreground: hundreds of programs, eight at one time, and each end is known")
    func foreground() throws {
        try TestSite.use { site in
            let file = site.outside("many.yaml")
            let list = "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]"
            try Disk.write(
                job([
                    "foreach: {items: \(list), steps: [{foreach: {items: \(list), concurrency: 8, steps: [{run: [\"true\"]}]}}]}"
                ]),
                to: file)
            let said = try site.bobbin("run", file)
            #expect(said.code == 0 && !said.both.contains("E-WAIT"), "\(said.both.suffix(2000))")
        }
    }
}
