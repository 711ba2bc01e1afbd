// What this is: how a runner stops and what is left for the next: SIGTERM, grace, a second SIGTERM, kill -9, resolve.
// Owns: the scenes with one known step in flight.
// Never: kills at random (KillTests does).
// On failure: shows the log and the files.
import Glibc
import LinuxSystem
import Testing

@Suite("stopping", .onSites) struct StoppingTests {
    @Test("SIGTERM lets running steps end and starts nothing new") func gentle() throws {
        try TestSite.use { site in
            let runner = try site.up()
            try site.drop("g.yaml", job([site.gate("g"), site.effect("g", "once2")]))
            try site.waitForEffect("g", "gate")
            runner.signal(SIGTERM)
            try site.waitForLog("draining (a signal)")
            try site.drop("late.yaml", job([site.effect("late")]))
            try site.open(gate: "g")
            #expect(try runner.end() == 0)
            #expect(try site.results(of: "g.yaml").first?.state == "succeeded")
            #expect(site.find("late.yaml").map(\.place) == [.queue])
            try site.up()
            #expect(try site.result(of: "late.yaml").state == "succeeded")
        }
    }

    @Test("after the grace, and at a second SIGTERM, steps end by their rule", arguments: [true, false])
    func stopNow(second: Bool) throws {
        let configuration = TestSite.configuration.replacing(
            "shutdown_grace: 20s", with: "shutdown_grace: \(second ? "1h" : "300ms")")
        try TestSite.use(configuration) { site in
            let runner = try site.up()
            try site.drop("once.yaml", job([site.gate("once")]))
            try site.drop("again.yaml", job([site.gate("again") + "\n    idempotent: true"]))
            for id in ["once", "again"] { try site.waitForEffect(id, "gate") }
            runner.signal(SIGTERM)
            if second {
                try site.waitForLog("draining (a signal)")
                runner.signal(SIGTERM)
            }
            #expect(try runner.end() == 0)
            try site.up()
            // The repeatable one runs again by itself; the other waits for a person.
            try site.waitForEffect("again", "gate", times: 2)
            try site.open(gate: "again")
            #expect(try site.result(of: "again.yaml").state == "succeeded")
            let parked = try site.parked("once.yaml", "interrupted")
            #expect(site.count("once", "gate") == 1)
            #expect(try site.bobbin("wait", parked.id).code == 3)
            #expect(try site.bobbin("resolve", parked.id, "--fail").code == 0)
            #expect(try site.result(of: "once.yaml").state == "failed")
        }
    }

    @Test("kill -9: interrupted, and a person's answer decides", arguments: ["retry", "skip", "fail"])
    func resolve(_ answer: String) throws {
        try TestSite.use { site in
            let runner = try site.up()
            let (ticket, name) = try site.submit(
                "i.yaml",
                job(
                    [site.effect("i", "once1"), site.gate("i"), site.effect("i", "once2")],
                    tail: "finally: [{\(site.effect("i", "finally"))}]\n"))
            try site.waitForEffect("i", "gate")
            try runner.killNow()
            try site.up()
            let parked = try site.parked(name, "interrupted")
            let shown = try site.bobbin("show", ticket)
            #expect(shown.out.contains("interrupted") && shown.out.contains("E-INT-UNKNOWN"), "\(shown.out)")
            do {
                #expect(shown.out.contains("bobbin resolve"), "\(shown.out)")
            }
            #expect(try site.bobbin("wait", ticket).code == 3)
            let wrong = try site.bobbin("resolve", parked.id, "--perhaps")
            #expect(wrong.code == 2 && wrong.err.contains("retry"))
            #expect(try site.bobbin("resolve", parked.id, "--\(answer)").code == 0)
            if answer == "retry" { try site.open(gate: "i") }
            let result = try site.result(of: name)
            #expect(result.state == (answer == "fail" ? "failed" : "succeeded"), "\(result)")
            #expect(site.count("i", "once1") == 1 && site.count("i", "gate") == (answer == "retry" ? 2 : 1))
            #expect(site.count("i", "once2") == (answer == "fail" ? 0 : 1) && site.count("i", "finally") == 1)
            #expect(result["waits.0.reason"] == "interrupted", "\(result)")
        }
    }

    @Test("what a killed runner's step left running is ended before anything goes on") func leftovers() throws
    {
        try TestSite.use { site in
            let runner = try site.up()
            try site.drop(
                "l.yaml",
                job(["run: [sh, -c, \"\(site.path)/effect l begun; setsid sleep 313 & sleep 314\"]"]))
            try site.waitForEffect("l", "begun")
            try runner.killNow()
            try site.up()
            let parked = try site.parked("l.yaml", "interrupted")
            for seconds in ["313", "314"] {
                #expect(!Program.isRunning(["sleep", seconds]), "sleep \(seconds) lives")
            }
            #expect(try site.bobbin("resolve", parked.id, "--skip").code == 0)
            try site.result(of: "l.yaml")
        }
    }

    @Test("kill -9 while a run is parked changes nothing") func parked() throws {
        try TestSite.use { site in
            let runner = try site.up()
            try site.drop(
                "r.yaml",
                job([
                    "run: [sh, -c, \"\(site.path)/effect r try; test $(grep -c '^r try' \(site.effects)) -ge 2\"]\n    retry: {max_attempts: 2, base_delay: 1h, max_delay: 1h}"
                ]))
            let waiting = try site.parked("r.yaml", "retry")
            try runner.killNow()
            try site.up()
            #expect(site.find("r.yaml").map(\.place) == [.parked] && site.count("r", "try") == 1)
            #expect(try site.bobbin("release", waiting.id).code == 0)
            #expect(try site.result(of: "r.yaml").state == "succeeded")
        }
    }

    @Test("a second runner of the same name is told so") func secondUp() throws {
        try TestSite.use { site in
            let runner = try site.up()
            let said = try site.bobbin("up")
            #expect(said.code == 75 && said.err.contains("pid \(runner.pid)"), "\(said)")
            #expect(try site.bobbin("run", "--runner", "main").code == 75)
            try site.fence("f.yaml")
        }
    }

    @Test("the runner that leads dies: another takes its lead and its runs") func takeover() throws {
        try TestSite.use { site in
            let first = try site.up()
            try site.runner("b")
            try site.drop("t.yaml", job([site.gate("t")]))
            try site.waitForEffect("t", "gate")
            let owner = site.find("t.yaml").first?.path ?? ""
            let dead = owner.contains("/claimed/main/") ? first : site.runners[1]
            try Disk.write("half", to: "\(site.spool)/.bobbin/runners/\(dead.name)/tmp/left")
            try dead.killNow()
            let parked = try site.parked("t.yaml", "interrupted")
            // Nothing of it is left, or each start would look through it again.
            try site.wait("the end of what was \(dead.name)'s", in: ["\(site.spool)/.bobbin/runners"]) {
                Disk.exists("\(site.spool)/.bobbin/runners/\(dead.name)") ? nil : ()
            }
            // What the dead runner's step had started was ended before its run was touched.
            #expect(Host.killAll(marked: ["BOBBIN_RUN_ID=\(parked.id)", "BOBBIN_SITE=\(site.path)"]) == 0)
            #expect(try site.bobbin("resolve", parked.id, "--skip").code == 0)
            #expect(try site.result(of: "t.yaml").state == "succeeded")
            #expect(!Disk.exists("\(site.spool)/claimed/\(dead.name)"))
        }
    }

    @Test("a copied site leaves the processes of its original alone, and asks about its own open step")
    func copied() throws {
        try TestSite.use { site in
            try site.up()
            try site.drop("c.yaml", job([site.gate("c"), site.effect("c")]))
            try site.waitForEffect("c", "gate")
            let copy = site.path + "-copy"
            defer { Disk.removeTree(copy) }
            // The runner goes on meanwhile: a file that is renamed under the copier's hands makes it complain.
            for _ in 0..<20 where try Program.call(["-a", site.path, copy], path: "/bin/cp").code != 0 {
                Disk.removeTree(copy)
            }
            #expect(Disk.exists("\(copy)/ops/orchestrator.yaml"))
            let run = try Program.call(["run", "--until-idle", "--site", copy])
            #expect(run.code == 0, "\(run.both)")
            #expect(Disk.names("\(copy)/spool/parked/interrupted").count == 1)
            try site.open(gate: "c")
            #expect(try site.result(of: "c.yaml").state == "succeeded")
            #expect(site.count("c", "gate") == 1 && site.count("c", "once") == 1)
        }
    }

    @Test("a runner that is stopped but lives keeps its claims") func stoppedRunner() throws {
        try TestSite.use { site in
            try site.up()
            try site.runner("b")
            try site.drop("s.yaml", job([site.gate("s"), site.effect("s")]))
            try site.waitForEffect("s", "gate")
            let path = site.find("s.yaml").first?.path ?? ""
            let owner = try #require(site.runners.first { path.contains("/claimed/\($0.name)/") })
            owner.signal(SIGSTOP)
            try site.open(gate: "s")
            for number in 1...3 { try site.fence("f\(number).yaml") }
            #expect(site.find("s.yaml").first?.path == path && site.count("s", "once") == 0)
            #expect(
                try site.bobbin("status").out.contains(
                    "runner \(owner.name) gives no sign of life: its process is held"))
            owner.signal(SIGCONT)
            try Signals.wait("a runner that goes on", in: ["\(site.spool)/.bobbin/runners/*"]) {
                try site.bobbin("status").out.contains("no sign of life") ? nil : ()
            }
            #expect(try site.result(of: "s.yaml").state == "succeeded")
            #expect(site.count("s", "gate") == 1 && site.count("s", "once") == 1)
        }
    }

    @Test("run --until-idle ends by itself, with everything done") func untilIdle() throws {
        for round in 1...8 {
            try TestSite.use { site in
                for number in 1...3 { try site.drop("u\(number).yaml", job([site.effect("u\(number)")])) }
                let runner = try site.launch("main", ["run", "--until-idle"])
                #expect(try runner.end() == 0)
                for number in 1...3 {
                    #expect(site.count("u\(number)", "once") == 1, "round \(round), u\(number)")
                }
            }
        }
    }
}
