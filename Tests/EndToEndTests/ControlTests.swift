// What this is: what people command: cancel, hold, release, requeue, pause, resume, drain, and two signals.
// Owns: the scenes for runs and for drops that nobody claimed yet.
// Never: writes a control file where the verb is what is tested, but where the file is.
// On failure: shows the answer of the verb and the files.
import Glibc
import Testing

@Suite("control", .onSites) struct ControlTests {
    private let tail = "finally:\n  - %Y\n"
    private func withFinally(_ site: TestSite, _ id: String, _ steps: [String]) -> String {
        job(steps, tail: tail.replacing("%Y", with: site.effect(id, "finally")))
    }
    private func good(_ outcome: Outcome, _ location: SourceLocation = #_sourceLocation) {
        #expect(outcome.code == 0, "\(outcome.code): \(outcome.both)", sourceLocation: location)
    }

    @Test("cancel a running run: its step ends, finally runs, the queue goes on") func cancelRunning() throws
    {
        try TestSite.use { site in
            try site.up()
            let (ticket, name) = try site.submit(
                "c.yaml", withFinally(site, "c", [site.gate("c"), site.effect("c", "later")]))
            try site.waitForEffect("c", "gate")
            good(try site.bobbin("cancel", ticket))
            let result = try site.result(of: name)
            #expect(result.state == "cancelled" && result["steps.0.state"] == "cancelled", "\(result)")
            #expect(site.count("c", "finally") == 1 && site.count("c", "later") == 0)
            let again = try site.bobbin("cancel", result.run)
            #expect(again.code == 1 && again.both.contains("ended"))
        }
    }

    @Test("cancel and hold a drop that nobody claimed, by its ticket") func unclaimed() throws {
        try TestSite.use { site in
            try site.up()
            try site.drop("busy.yaml", job([site.gate("busy")]), "background")
            try site.waitForEffect("busy", "gate")
            let first = try site.submit("c.yaml", job([site.effect("c")]), "--queue", "background")
            let second = try site.submit("h.yaml", job([site.effect("h")]), "--queue", "background")
            good(try site.bobbin("cancel", first.ticket))
            let cancelled = try site.result(of: first.name)
            #expect(
                cancelled.state == "cancelled" && cancelled["drop.ticket"] == first.ticket, "\(cancelled)")
            good(try site.bobbin("hold", second.ticket))
            try site.parked(second.name, "held")
            try site.open(gate: "busy")
            try site.fence("f.yaml", "background")
            #expect(site.count("h", "once") == 0)
            good(try site.bobbin("release", second.ticket))
            #expect(try site.result(of: second.name).state == "succeeded")
            #expect(site.count("c", "once") == 0 && site.count("h", "once") == 1)
        }
    }

    @Test("hold takes effect at the next step, release goes on there") func hold() throws {
        try TestSite.use { site in
            try site.up()
            let (ticket, name) = try site.submit(
                "h.yaml", job([site.effect("h", "once1"), site.gate("h"), site.effect("h", "once2")]),
                "--queue", "background")
            try site.waitForEffect("h", "gate")
            good(try site.bobbin("hold", ticket))
            try site.open(gate: "h")
            let parked = try site.parked(name, "held")
            #expect(site.count("h", "once2") == 0)
            // Its slot is free, and waiting needs nobody: it is there after a restart too.
            try site.fence("f.yaml", "background")
            #expect(try site.bobbin("hold", parked.id).code == 1)
            try site.stop()
            try site.up()
            good(try site.bobbin("release", parked.id))
            #expect(try site.result(of: name).state == "succeeded")
            #expect(
                site.count("h", "once1") == 1 && site.count("h", "gate") == 1 && site.count("h", "once2") == 1
            )
        }
    }

    @Test("cancel a run that is held, and one that waits for its retry") func cancelWaiting() throws {
        try TestSite.use { site in
            try site.up()
            let held = try site.submit(
                "h.yaml", withFinally(site, "h", [site.gate("h"), site.effect("h", "later")]))
            try site.waitForEffect("h", "gate")
            good(try site.bobbin("hold", held.ticket))
            try site.open(gate: "h")
            try site.parked(held.name, "held")
            let retry = try site.submit(
                "r.yaml",
                withFinally(
                    site, "r",
                    ["run: [\"false\"]\n    retry: {max_attempts: 2, base_delay: 1h, max_delay: 1h}"]))
            try site.parked(retry.name, "retry")
            for drop in [held, retry] {
                good(try site.bobbin("cancel", drop.ticket))
                #expect(try site.result(of: drop.name).state == "cancelled")
            }
            #expect(
                site.count("h", "later") == 0 && site.count("h", "finally") == 1
                    && site.count("r", "finally") == 1)
        }
    }

    @Test("requeue by verb and by mv: a new run that knows the old one") func requeue() throws {
        try TestSite.use { site in
            try site.up()
            try site.drop("q.yaml", job([site.effect("q", "try"), "fail: on purpose"]), "high_priority", 2)
            let first = try site.result(of: "q.yaml")
            site.expect("q.yaml")
            good(try site.bobbin("requeue", first.run))
            let second = try site.result(of: "q.yaml", run: 2)
            #expect(
                second["drop.requeue_of"] == first.run && second["queue"] == "high_priority"
                    && second["priority"] == "2", "\(second)")
            // Where people move the job file itself, its old result stays alone, which is no damage.
            let file = second.path.replacing(".result.yaml", with: ".yaml")
            try Disk.move(file, to: "\(site.lane("default", 4))/\(file.split(separator: "/").last ?? "")")
            let third = try site.wait("the third run", in: ["\(site.spool)/failed/*"]) {
                try site.results(of: "q.yaml").last { $0["drop.requeue_of"] == second.run }
            }
            #expect(
                third["queue"] == "default" && third["priority"] == "4" && third["drop.name"] == "q.yaml",
                "\(third)")
            #expect(site.count("q", "try") == 3)
            try Disk.write(Disk.bytes(third.path.replacing(".result.yaml", with: ".yaml")) ?? [], to: file)
            site.expect("q.yaml")
        }
    }

    @Test("a paused queue starts nothing, others go on; resume goes on") func pause() throws {
        try TestSite.use { site in
            try site.up()
            good(try site.bobbin("pause", "background"))
            try site.waitForLog("queue background is paused")
            try site.drop("p.yaml", job([site.effect("p")]), "background")
            try site.fence("f.yaml", "default")
            let status = try Papers.parse(site.bobbin("status", "--json").out)
            #expect(status.text("queues.2.paused") == "true" && status.text("queues.2.waiting.4") == "1")
            #expect(site.count("p", "once") == 0 && site.find("p.yaml").map(\.place) == [.queue])
            good(try site.bobbin("resume", "background"))
            #expect(try site.result(of: "p.yaml").state == "succeeded")
            #expect(try site.bobbin("pause", "backgroun").both.contains("background"))
        }
    }

    @Test("a full queue never blocks another, and priority 1 goes first") func fullQueue() throws {
        try TestSite.use { site in
            try site.up()
            try site.drop("busy.yaml", job([site.gate("busy")]), "background")
            try site.waitForEffect("busy", "gate")
            for priority in [9, 5, 1] {
                try site.drop("w\(priority).yaml", job([site.effect("w\(priority)")]), "background", priority)
            }
            for queue in ["default", "high_priority"] { try site.fence("f-\(queue).yaml", queue) }
            #expect(Disk.lines(site.effects).count == 1)
            try site.open(gate: "busy")
            for priority in [1, 5, 9] { try site.result(of: "w\(priority).yaml") }
            #expect(Disk.lines(site.effects).dropFirst().map { $0.prefix(2) } == ["w1", "w5", "w9"])
        }
    }

    @Test("never more at once than max_concurrent") func limits() throws {
        try TestSite.use { site in
            try site.up()
            for number in 1...6 { try site.drop("l\(number).yaml", job([site.gate("l\(number)")])) }
            try site.wait("three to run", in: [site.path]) { Disk.lines(site.effects).count >= 3 ? () : nil }
            try site.fence("f.yaml")
            #expect(Disk.lines(site.effects).count == 3)
            for number in 1...6 { try site.open(gate: "l\(number)") }
            for number in 1...6 { try site.result(of: "l\(number).yaml") }
        }
    }

    @Test("drain: what runs ends, nothing new starts, the runner stops, the file goes") func drain() throws {
        try TestSite.use { site in
            let runner = try site.up()
            try site.drop("d.yaml", job([site.gate("d"), site.effect("d", "once2")]), "background")
            try site.drop("w.yaml", job([site.effect("w")]), "background")
            try site.waitForEffect("d", "gate")
            good(try site.bobbin("drain"))
            try site.waitForLog("draining")
            try site.drop("late.yaml", job([site.effect("late")]), "high_priority")
            try site.open(gate: "d")
            #expect(try runner.end() == 0)
            #expect(
                site.count("d", "once2") == 1 && site.count("w", "once") == 0
                    && site.count("late", "once") == 0)
            #expect(try site.result(of: "d.yaml").state == "succeeded")
            #expect(!Disk.exists("\(site.spool)/control/drain"))
            try site.up()
            for name in ["w.yaml", "late.yaml"] { #expect(try site.result(of: name).state == "succeeded") }
        }
    }

    @Test("commands are files: a person's own file works as the verb does") func files() throws {
        try TestSite.use { site in
            try site.up()
            let (ticket, name) = try site.submit("c.yaml", job([site.gate("c")]))
            try site.waitForEffect("c", "gate")
            try Disk.write("", to: "\(site.spool)/control/cancel-\(ticket)")
            #expect(try site.result(of: name).state == "cancelled")
            try Disk.write("", to: "\(site.spool)/control/canzel-\(ticket)")
            let closed = "\(site.spool)/control/closed"
            let answers = try site.wait("two answers", in: [closed]) {
                let names = Disk.names(closed).filter { $0.hasSuffix(".answer.yaml") }.sorted()
                return names.count >= 2 ? try names.map { try Papers.read("\(closed)/\($0)") } : nil
            }
            #expect(answers[0]["outcome"] == "done" && answers[0]["by"] != nil && answers[0]["at"] != nil)
            #expect(answers[1]["outcome"] == "refused" && answers[1]["message"]?.contains("cancel-") == true)
        }
    }

    @Test("a command waits for a runner") func nobodyWorks() throws {
        try TestSite.use { site in
            let (ticket, name) = try site.submit("c.yaml", job([site.effect("c")]))
            let said = try site.bobbin("cancel", ticket)
            #expect(said.code == 0 && said.err.contains("no runner"))
            try site.up()
            let answer = try site.waitForLog("cancel-\(ticket): ")
            #expect(answer.contains("done"), "\(answer)")
            #expect(try site.result(of: name).state == "cancelled" && site.count("c", "once") == 0)
        }
    }

    @Test("directories that a person removes or replaces while a runner works are there again")
    func replacedDirectories() throws {
        try TestSite.use { site in
            try site.up()
            try site.fence("f1.yaml", "default")
            for name in ["control", "inbox", "rejected"] {
                try Disk.move("\(site.spool)/\(name)", to: site.outside(name))
            }
            // One notice for each that the events told of; the look that comes every few seconds finds the rest.
            for name in ["control", "inbox", "rejected"] { _ = try site.waitForLog("spool/\(name)") }
            let (ticket, name) = try site.submit("c.yaml", job([site.gate("c")]))
            try site.waitForEffect("c", "gate")
            good(try site.bobbin("cancel", ticket))
            #expect(try site.result(of: name).state == "cancelled")
            try site.drop("bad.yaml", "steps: 7\n")
            try site.wait("its rejection", in: ["\(site.spool)/rejected"]) {
                Disk.names("\(site.spool)/rejected").count == 2 ? () : nil
            }
            try Disk.write(job([site.effect("i")]), to: site.outside("i.yaml"))
            site.expect("i.yaml")
            try Disk.move(site.outside("i.yaml"), to: "\(site.spool)/inbox/i.yaml")
            #expect(try site.result(of: "i.yaml").state == "succeeded")
        }
    }

    /// Found by the crash states: a power cut in the middle of a rename may leave both names.
    @Test("a run whose file has two names goes on with one") func twoNames() throws {
        try TestSite.use { site in
            try site.up()
            let (ticket, name) = try site.submit("h.yaml", job([site.gate("h"), site.effect("h")]))
            try site.waitForEffect("h", "gate")
            good(try site.bobbin("hold", ticket))
            try site.open(gate: "h")
            let parked = try site.parked(name, "held")
            try site.stop()
            let file = String(parked.path.split(separator: "/").last ?? "")
            let twin = "\(site.spool)/claimed/main/\(file)"
            #expect(link(parked.path, twin) == 0)
            try site.up()
            try site.fence("f.yaml")
            #expect(!Disk.exists(twin) && Disk.exists(parked.path))
            good(try site.bobbin("release", ticket))
            #expect(try site.result(of: name).state == "succeeded" && site.count("h", "once") == 1)
        }
    }

    @Test("a hold that came before the runner holds the drop") func holdBeforeTheRunner() throws {
        try TestSite.use { site in
            let (ticket, name) = try site.submit("h.yaml", job([site.effect("h")]))
            good(try site.bobbin("hold", ticket))
            try site.up()
            #expect(try site.waitForLog("hold-\(ticket): ").contains("done"))
            try site.parked(name, "held")
            #expect(site.count("h", "once") == 0)
            good(try site.bobbin("release", ticket))
            #expect(try site.result(of: name).state == "succeeded" && site.count("h", "once") == 1)
        }
    }
}
