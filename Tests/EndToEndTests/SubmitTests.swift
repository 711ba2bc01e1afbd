// What this is: jobs that submit jobs, in the built program.
// Owns: that a child runs once, with limits of its own, and that its parent sleeps without a slot.
// Never: looks into the parent's memory: files and verbs tell.
// On failure: shows the log and the files.
import LinuxSystem
import Testing

@Suite("submit", .onSites) struct SubmitTests {
    private func parent(_ child: String, _ more: String = "", tail: String = "") -> String {
        job(["{submit: {job: \(child), wait: true, name: child\(more)}, id: c}"], tail: tail)
    }
    private func children(_ site: TestSite) -> [String] {
        ["done", "failed"].flatMap { place in
            Disk.names("\(site.spool)/\(place)").flatMap { day in
                Disk.names("\(site.spool)/\(place)/\(day)").filter {
                    $0.contains("~child.") && $0.hasSuffix(".result.yaml")
                }
            }
        }
    }

    @Test("a parent in the queue's only slot sleeps while its child has it") func oneSlot() throws {
        try TestSite.use { site in
            site.mayHaveChildren = true
            try site.up()
            try site.drop(
                "p.yaml",
                parent(
                    "{queue: background, steps: [{run: [\"\(site.path)/effect\", c, ran]}, {set: {x: [1, a]}, id: s}], outputs: {x: \"{{ steps.s.x }}\"}}",
                    tail: "outputs: {x: \"{{ steps.c.outputs.x }}\", state: \"{{ steps.c.state }}\"}\n"),
                "background")
            let p = try site.result(of: "p.yaml")
            #expect(
                p.state == "succeeded" && p["outputs.x.1"] == "a" && p["outputs.state"] == "succeeded", "\(p)"
            )
            #expect(p["waits.0.reason"] == "child")
            #expect(site.count("c", "ran") == 1)
        }
    }

    @Test("a child that fails fails its step, and says why") func failing() throws {
        try TestSite.use { site in
            site.mayHaveChildren = true
            try site.up()
            try site.drop(
                "p.yaml",
                parent(
                    "{steps: [{fail: no ledger}]}", tail: "on_failure: [log: \"{{ run.error.message }}\"]\n"))
            let p = try site.result(of: "p.yaml")
            #expect(p.state == "failed" && p["error.code"] == "E-CHILD")
            #expect(p["error.message"]?.contains("no ledger") == true)
            try site.drop("bad.yaml", parent("{steps: [{lgo: x}]}"))
            #expect(try site.result(of: "bad.yaml")["error.code"] == "E-CHILD-JOB")
            // Sent back by the runner, which nobody is told of.
            try site.drop(
                "back.yaml",
                parent(
                    "{queue: high_priority, priority: 3, not_before: \"{{ run.name | replace('child', 'soon') }}\", steps: [{log: x}]}"
                ))
            let back = try site.result(of: "back.yaml")
            #expect(
                back["error.code"] == "E-CHILD" && back["error.message"]?.contains("rejected") == true,
                "\(back)")
        }
    }

    @Test("the same child is waited for again after kill -9, and the parent goes on") func killed() throws {
        try TestSite.use { site in
            site.mayHaveChildren = true
            let runner = try site.up()
            _ = try site.gate("g")
            try site.drop(
                "p.yaml",
                parent(
                    "{steps: [{run: [\"\(site.path)/gate\", g]}, {run: [\"\(site.path)/effect\", c, ran]}]}"))
            try site.waitForEffect("g", "gate")
            try site.parked("p.yaml", "child")
            try runner.killNow()
            try site.up()
            let child = try site.wait("the question about the child", in: ["\(site.spool)/parked/*"]) {
                Disk.names("\(site.spool)/parked/interrupted").first { $0.contains("~child.") }
            }
            #expect(try site.bobbin("resolve", String(child.prefix(26)), "--skip").code == 0)
            #expect(try site.result(of: "p.yaml").state == "succeeded")
            #expect(site.count("c", "ran") == 1 && children(site).count == 1)
        }
    }

    @Test("a run that is cancelled takes its child with it, or leaves it") func cancelled() throws {
        try TestSite.use { site in
            site.mayHaveChildren = true
            try site.up()
            for (id, word) in [("g1", "cancel"), ("g2", "leave")] {
                _ = try site.gate(id)
                try site.drop(
                    "\(id).yaml",
                    parent("{steps: [{run: [\"\(site.path)/gate\", \(id)]}]}", ", on_cancel: \(word)"))
                try site.waitForEffect(id, "gate")
                #expect(try site.bobbin("cancel", site.parked("\(id).yaml", "child").id).code == 0)
                #expect(try site.result(of: "\(id).yaml").state == "cancelled")
                if word == "leave" { try site.open(gate: id) }
            }
            let ends = try site.wait("two children", in: ["\(site.spool)/done/*", "\(site.spool)/failed/*"]) {
                let all = children(site)
                return all.count == 2 ? all : nil
            }
            let states = try ends.map { name -> String in
                let place =
                    Disk.names("\(site.spool)/done").contains {
                        Disk.names("\(site.spool)/done/\($0)").contains(name)
                    } ? "done" : "failed"
                let day =
                    Disk.names("\(site.spool)/\(place)").first {
                        Disk.names("\(site.spool)/\(place)/\($0)").contains(name)
                    } ?? ""
                return try Papers.read("\(site.spool)/\(place)/\(day)/\(name)").state
            }
            #expect(Set(states) == ["cancelled", "succeeded"])
        }
    }

    @Test("children side by side, at two runners; each once") func many() throws {
        try TestSite.use { site in
            site.mayHaveChildren = true
            try Disk.write(
                job(
                    ["run: [\"\(site.path)/effect\", \"c{{ n }}\", ran]"],
                    head: "params: {n: {type: integer}}\n", tail: "outputs: {n: \"{{ n }}\"}\n"),
                to: "\(site.path)/templates/child.yaml")
            try site.runner("a")
            try site.runner("b")
            try site.drop(
                "p.yaml",
                job(
                    [
                        """
                        foreach:
                              items: [1, 2, 3, 4, 5, 6]
                              concurrency: 6
                              collect: "{{ steps.c.outputs.n }}"
                              steps:
                                - {submit: {template: child.yaml, variables: {n: "{{ item }}"}, wait: true}, id: c}
                            id: each
                        """
                    ], tail: "outputs: {all: \"{{ steps.each.results }}\"}\n"))
            let p = try site.result(of: "p.yaml")
            #expect(p.state == "succeeded" && p["outputs.all.5"] == "6", "\(p)")
            for n in 1...6 { #expect(site.count("c\(n)", "ran") == 1) }
        }
    }

    @Test("a job that submits itself comes to an end, and one that waits for its own key is told so")
    func bounds() throws {
        try TestSite.use { site in
            site.mayHaveChildren = true
            try Disk.write(
                job(["submit: {template: self.yaml, wait: true}"]), to: "\(site.path)/templates/self.yaml")
            try site.up()
            try site.drop("p.yaml", "template: self.yaml\n")
            let p = try site.result(of: "p.yaml")
            #expect(p["error.code"] == "E-CHILD")
            let last = try site.wait("the end of the chain", in: ["\(site.spool)/failed/*"]) {
                Disk.lines(site.log).first { $0.contains("E-CHILD-DEPTH") }
            }
            #expect(last.contains("self"))
            try site.drop(
                "k.yaml", "concurrency_key: k\n" + parent("{concurrency_key: k, steps: [{log: x}]}"))
            let k = try site.result(of: "k.yaml")
            #expect(
                k["error.code"] == "E-CHILD" && k["error.message"]?.contains("E-DEADLOCK") == true, "\(k)")
        }
    }

    @Test("another try submits another job; a crash does not") func retries() throws {
        try TestSite.use { site in
            site.mayHaveChildren = true
            try site.up()
            // The step's own retry, that of a step which holds it, and that of the run.
            let child =
                "submit: {name: child, wait: true, job: {steps: [{run: [\"\(site.path)/effect\", ID, ran]}, {fail: no}]}}"
            func body(_ id: String) -> String { child.replacing("ID", with: id) }
            try site.drop("own.yaml", job(["{\(body("own")), retry: {max_attempts: 2, base_delay: 10ms}}"]))
            try site.drop(
                "held.yaml",
                job(["{steps: [{\(body("held"))}], retry: {max_attempts: 2, base_delay: 10ms}}"]))
            try site.drop(
                "run.yaml", job(["{\(body("run"))}"], head: "retry: {max_attempts: 2, base_delay: 10ms}\n"))
            for id in ["own", "held", "run"] {
                #expect(try site.result(of: "\(id).yaml")["error.code"] == "E-CHILD")
                #expect(site.count(id, "ran") == 2, "\(id)")
            }
        }
    }

    @Test("the time of a step holds while it waits; its condition is not asked again") func times() throws {
        try TestSite.use { site in
            site.mayHaveChildren = true
            try site.up()
            for id in ["g1", "g2"] { _ = try site.gate(id) }
            try site.drop(
                "late.yaml",
                job([
                    "{submit: {name: child, wait: true, job: {steps: [{run: [\"\(site.path)/gate\", g1]}]}}, timeout: 1s}"
                ]))
            let late = try site.result(of: "late.yaml")
            #expect(late.state == "timed_out" && late["error.code"] == "E-TIMEOUT", "\(late)")
            try site.drop(
                "when.yaml",
                job([
                    "{submit: {name: child, wait: true, job: {steps: [{run: [\"\(site.path)/gate\", g2]}, {fail: no}]}}, when: not file_exists('gone')}"
                ]))
            try site.parked("when.yaml", "child")
            try Disk.write("", to: "\(site.path)/gone")
            try site.open(gate: "g2")
            #expect(try site.result(of: "when.yaml")["error.code"] == "E-CHILD")
        }
    }

    @Test("what fails beside a waiting step ends its job, too, and the record says so") func besides() throws
    {
        try TestSite.use { site in
            site.mayHaveChildren = true
            try site.up()
            _ = try site.gate("g")
            try site.drop(
                "p.yaml",
                job([
                    "parallel: [{submit: {name: child, wait: true, job: {steps: [{run: [\"\(site.path)/gate\", g]}]}}}, {steps: [{wait_for_file: {path: go, stable_for: 0s}}, {fail: no}]}]"
                ]))
            try site.waitForEffect("g", "gate")
            try Disk.write("", to: "\(site.path)/go")
            let p = try site.result(of: "p.yaml")
            #expect(p["error.code"] == "E-FAIL", "\(p)")
            let ended = try site.wait("the child's end", in: ["\(site.spool)/failed/*"]) {
                children(site).first
            }
            #expect(
                Disk.names("\(site.spool)/failed").contains {
                    Disk.names("\(site.spool)/failed/\($0)").contains(ended)
                })
        }
    }

    @Test("a child with its parent's key, for which nobody waits, has its turn") func sameKey() throws {
        try TestSite.use { site in
            site.mayHaveChildren = true
            try site.up()
            try site.drop(
                "k.yaml",
                "concurrency_key: k\n"
                    + job([
                        "submit: {name: child, job: {concurrency_key: k, steps: [{run: [\"\(site.path)/effect\", c, ran]}]}}"
                    ]))
            #expect(try site.result(of: "k.yaml").state == "succeeded")
            try site.waitForEffect("c", "ran")
        }
    }

    @Test("a mistake in the configuration is no end of what waits") func badConfiguration() throws {
        try TestSite.use { site in
            site.mayHaveChildren = true
            try site.up()
            _ = try site.gate("g")
            try site.drop("p.yaml", parent("{steps: [{run: [\"\(site.path)/gate\", g]}]}"))
            try site.waitForEffect("g", "gate")
            try Disk.write("queues: {default: {max: 3}}\n", to: "\(site.path)/ops/orchestrator.yaml")
            try site.waitForLog("is not used, the old one holds")
            try site.open(gate: "g")
            #expect(try site.result(of: "p.yaml").state == "succeeded")
            try Disk.write(TestSite.configuration, to: "\(site.path)/ops/orchestrator.yaml")
        }
    }
}
