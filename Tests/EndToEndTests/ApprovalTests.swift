// What this is: runs that wait for people: asked, answered by file and by verb, refused, timed out, killed in between.
// Owns: the scenes of reliability.md rows A1 to A10 on a private site, with the built program.
// Never: writes a decision where an answer file is what is tested, but by copying the request and editing it.
// On failure: shows the files of approvals/ and the log.
import Glibc
import LinuxSystem
import Testing

extension TestSite {
    var responses: String { "\(spool)/approvals/responses" }
    /// The request of a drop's run, once it is published; `number` of several.
    func request(of name: String, _ number: Int = 0) throws -> String {
        try wait("the request of \(name)", in: ["\(spool)/approvals/requests", "\(spool)/parked/*"]) {
            guard let run = find(name, [.parked, .claimed]).first?.id else { return nil }
            let names = Disk.names("\(spool)/approvals/requests").filter {
                $0.hasPrefix("\(run).") && $0.hasSuffix(".yaml")
            }
            return names.count > number ? names.sorted()[number].replacing(".yaml", with: "") : nil
        }
    }
    func requestText(_ id: String) -> String { Disk.text("\(spool)/approvals/requests/\(id).yaml") ?? "" }
    /// What a person does: a copy, edited elsewhere, moved in.
    func answer(_ id: String, _ decision: String, as name: String? = nil, _ edit: (String) -> String = { $0 })
        throws
    {
        let text = edit(requestText(id).replacing("decision:", with: "decision: \(decision)"))
        let file = name ?? "\(id).yaml"
        try Disk.write(text, to: outside(file))
        try Disk.move(outside(file), to: "\(responses)/\(file)")
    }
    /// What became of an answer file.
    func verdict(_ name: String) throws -> Paper {
        let path = try wait("the verdict on \(name)", in: ["\(spool)/approvals/closed"]) {
            Disk.names("\(spool)/approvals/closed").sorted().first {
                $0.hasSuffix("~\(name).verdict.yaml") && !$0.hasPrefix(".")
            }
        }
        let paper = try Papers.read("\(spool)/approvals/closed/\(path)")
        // The next look is at the next one.
        try Disk.move("\(spool)/approvals/closed/\(path)", to: "\(spool)/approvals/closed/seen-\(path)")
        return paper
    }
}

@Suite("approvals", .onSites) struct ApprovalTests {
    private func gate(_ more: String = "") -> String { "human_confirm: {message: \"Go on?\"\(more)}" }

    @Test(
        "a copy of the request, edited: what is asked, who, until when, what comes; it holds no slot; the form is used"
    )
    func byHand() throws {
        try TestSite.use { site in
            try site.up()
            let text = job(
                [
                    "set: {count: 23}\n    id: found",
                    "human_confirm: {message: \"Move {{ steps.found.count }} invoices?\", risk_level: high, inputs: {why: {type: string}, limit: 10}}\n    id: ok",
                    "run: [\"\(site.path)/effect\", a, \"{{ steps.ok.inputs.why }}-{{ steps.found.count }}\"]",
                    "make_request: {url: \"https://api.example.com/x?token=tr0ub4dor\", method: POST}\n    when: \"false\"",
                ], head: "name: invoices\n", tail: "outputs: {limit: \"{{ steps.ok.inputs.limit + 1 }}\"}\n")
            try site.drop("a.yaml", text, "background")
            let id = try site.request(of: "a.yaml")
            // The one slot of the queue is free.
            try site.fence("f.yaml", "background")
            let request = try Papers.parse(site.requestText(id))
            #expect(request.text("message") == "Move 23 invoices?" && request.text("risk_level") == "high")
            #expect(request.text("next.0.with.argv.2")?.contains("-23") == true, "\(site.requestText(id))")
            #expect(
                request.text("next.1.calls") == "api.example.com:443"
                    && !site.requestText(id).contains("tr0ub4dor"))
            #expect(site.requestText(id).contains("\ndecision:\n"))
            let listed = try site.bobbin("approvals")
            #expect(listed.out.contains(id) && listed.out.contains("Move 23 invoices?"), "\(listed.both)")
            #expect(try site.bobbin("wait", String(id.prefix(26))).code == 3)
            // Begun, and not finished: it waits, and is shown.
            try Disk.write(site.requestText(id), to: "\(site.responses)/\(id).yaml")
            #expect(try site.bobbin("approvals").out.contains("has begun an answer"))
            let edited = site.requestText(id).replacing("decision:", with: "decision: approve").replacing(
                "why:", with: "why: quarter")
            try Disk.write(edited, to: "\(site.responses)/\(id).yaml")
            let result = try site.result(of: "a.yaml")
            #expect(result.state == "succeeded" && result["outputs.limit"] == "11", "\(result)")
            #expect(site.count("a", "quarter-23") == 1)
            let decision = result["approvals.0.decisions.0.decision"]
            #expect(decision == "approve" && result["approvals.0.decisions.0.self_approved"] == "true")
            #expect(try site.verdict("\(id).yaml")["outcome"] == "accepted")
            #expect(Disk.names("\(site.spool)/approvals/requests").isEmpty)
            let audit = try site.bobbin("audit", "search", id).out
            #expect(audit.contains("approve (self-approved)"), "\(audit)")
        }
    }

    @Test(
        "no: the run ends denied, with finally and without on_failure; continue_on_error and loops do not help"
    )
    func deny() throws {
        try TestSite.use { site in
            try site.up()
            let tail =
                "on_failure:\n  - \(site.effect("d", "failure"))\nfinally:\n  - \(site.effect("d", "finally"))\n"
            try site.drop(
                "d.yaml",
                job([gate() + "\n    continue_on_error: true", site.effect("d", "later")], tail: tail))
            let id = try site.request(of: "d.yaml")
            let said = try site.bobbin("deny", String(id.prefix(26)), "--comment", "not before Monday")
            #expect(said.code == 0 && said.out.contains("deny"), "\(said.both)")
            let result = try site.result(of: "d.yaml")
            #expect(result.state == "denied" && result["error.code"] == "E-DENIED")
            #expect(result["error.message"]?.contains("not before Monday") == true)
            #expect(
                site.count("d", "later") == 0 && site.count("d", "finally") == 1
                    && site.count("d", "failure") == 0)
            #expect(try site.bobbin("wait", result.run).code == 1)
            let loop =
                "foreach: {items: [1, 2], continue_on_error: true, steps: [{\(gate())}, {\(site.effect("l", "once"))}]}"
            try site.drop("l.yaml", job([loop]))
            #expect(try site.bobbin("deny", site.request(of: "l.yaml")).code == 0)
            #expect(try site.result(of: "l.yaml").state == "denied")
            #expect(site.count("l", "once") == 0)
        }
    }

    @Test(
        "time: nobody answers, which is a no, or a yes where the job says so; reminders and escalation tell people"
    )
    func time() throws {
        try TestSite.use(
            TestSite.configuration + "approvals: {notify: [ops]}\n"
        ) { site in
            try Disk.makeDirectory("\(site.path)/ops/notify.d")
            for name in ["ops", "boss"] {
                try Disk.write(
                    "#!/bin/sh\ncat >> '\(site.path)/told-\(name)'\n",
                    to: "\(site.path)/ops/notify.d/\(name)", mode: 0o755)
            }
            try site.up()
            try site.drop("n.yaml", job([gate(", timeout_minutes: 0.02"), site.effect("n")]))
            try site.drop(
                "y.yaml",
                job(
                    [
                        gate(", timeout_minutes: 0.02, auto_action: approve") + "\n    id: ok",
                        site.effect("y"),
                    ],
                    tail: "outputs: {auto: \"{{ steps.ok.auto_approved }}\"}\n"))
            #expect(try site.result(of: "n.yaml").state == "denied")
            let yes = try site.result(of: "y.yaml")
            #expect(
                yes.state == "succeeded" && yes["outputs.auto"] == "true"
                    && yes["approvals.0.expired_at"] != nil)
            #expect(site.count("n", "once") == 0 && site.count("y", "once") == 1)
            try site.drop(
                "r.yaml",
                job([
                    gate(
                        ", timeout_minutes: 0.1, remind_every: 1s, escalate_to: boss, escalate_after: 1500ms")
                ]))
            #expect(try site.result(of: "r.yaml").state == "denied")
            try site.stop()
            let told = Disk.lines("\(site.path)/told-ops")
            #expect(told.count { $0.contains("approval.requested") } == 3, "\(told)")
            #expect(told.count { $0.contains("approval.reminder") } >= 2)
            #expect(told.count { $0.contains("approval.closed") } == 3)
            let boss = Disk.lines("\(site.path)/told-boss")
            #expect(boss.count == 1 && boss[0].contains("approval.escalated"), "\(boss)")
            #expect(try site.bobbin("audit", "search", "--action", "approval.expired").out.contains("deny"))
        }
    }

    @Test("answers that do not count: each is put aside with its code, and the question stays open")
    func wrong() throws {
        try TestSite.use { site in
            try site.up()
            try site.drop("w.yaml", job([gate(), site.effect("w")]))
            let id = try site.request(of: "w.yaml")
            let spoilt: [(String, String, (String) -> String)] = [
                ("nonce", "E-APP-FORGED", { $0.replacing("nonce: ", with: "nonce: x") }),
                ("digest", "E-APP-FORGED", { $0.replacing("sha256:", with: "sha256:0") }),
                ("request", "E-APP-FORM", { $0.replacing("request: ", with: "request: x") }),
                ("other", "E-APP-STALE", { $0.replacing("request: \(id)", with: "request: \(id)9") }),
                ("unknown", "E-APP-FORM", { $0.replacing("comment:", with: "commend: x") }),
                ("twice", "E-APP-FORM", { $0.replacing("comment:", with: "decision: approve") }),
                ("word", "E-APP-FORM", { $0.replacing("decision: approve", with: "decision: ok") }),
                ("yaml", "E-APP-FORM", { $0.replacing("comment:", with: "comment: [") }),
                ("form", "E-APP-INPUT", { $0.replacing("comment:", with: "inputs: {a: 1}") }),
                ("cut", "E-APP-INCOMPLETE", { String($0.dropLast(1)) }),
                ("bare", "E-APP-FORM", { _ in "decision: approve\n" }),
                ("big", "E-APP-FORM", { $0 + String(repeating: "# x\n", count: 300_000) }),
            ]
            for (name, code, edit) in spoilt {
                try site.answer(id, "approve", as: "\(name).yaml", edit)
                let verdict = try site.verdict("\(name).yaml")
                #expect(verdict["code"] == code && verdict["outcome"] == "refused", "\(name): \(verdict)")
                #expect(verdict["what_to_do"]?.isEmpty == false)
                if name == "yaml" { #expect(verdict["message"]?.hasPrefix("yaml.yaml:") == true) }
            }
            // What is no file of its own.
            try site.answer(id, "approve", as: "real.yaml") { $0.replacing("sha256:", with: "sha256:1") }
            #expect(try site.verdict("real.yaml")["code"] == "E-APP-FORGED")
            try Disk.write(
                site.requestText(id).replacing("decision:", with: "decision: approve"),
                to: site.outside("kept"))
            #expect(symlink(site.outside("kept"), "\(site.responses)/link.yaml") == 0)
            #expect(mkfifo("\(site.responses)/fifo.yaml", 0o644) == 0)
            #expect(link(site.outside("kept"), "\(site.responses)/hard.yaml") == 0)
            for name in ["link", "fifo", "hard"] {
                #expect(try site.verdict("\(name).yaml")["code"] == "E-APP-FILE", "\(name)")
            }
            try Disk.write(
                site.requestText(id).replacing("decision:", with: "decision: approve"),
                to: site.outside("m.yaml"), mode: 0o666)
            #expect(chmod(site.outside("m.yaml"), 0o666) == 0)
            try Disk.move(site.outside("m.yaml"), to: "\(site.responses)/mode.yaml")
            #expect(try site.verdict("mode.yaml")["code"] == "E-APP-FILE")
            if geteuid() == 0 {
                try Disk.write(
                    site.requestText(id).replacing("decision:", with: "decision: approve"),
                    to: site.outside("s.yaml"))
                #expect(chown(site.outside("s.yaml"), 54_321, 54_321) == 0)
                try Disk.move(site.outside("s.yaml"), to: "\(site.responses)/stranger.yaml")
                #expect(try site.verdict("stranger.yaml")["code"] == "E-APP-ROLE")
            }
            // Names that are nobody's answers are left alone.
            for name in [".x.yaml.swp", "x.yaml~", "x.part"] {
                try Disk.write("decision: approve\n", to: "\(site.responses)/\(name)")
            }
            #expect(site.count("w", "once") == 0)
            try site.answer(id, "approve")
            #expect(try site.result(of: "w.yaml").state == "succeeded")
            #expect(try site.verdict("\(id).yaml")["outcome"] == "accepted")
            // Too late, the same again, and once more.
            try Disk.write("x", to: site.outside("x"))
            try Disk.write(Disk.text(site.outside("kept")) ?? "", to: "\(site.responses)/late.yaml")
            #expect(try site.verdict("late.yaml")["code"] == "E-APP-STALE")
            #expect(
                Disk.names(site.responses).filter { !$0.hasPrefix(".") }.sorted() == ["x.part", "x.yaml~"])
            let grave = try site.bobbin("audit", "search", "--high").out
            Disk.remove("\(site.responses)/.x.yaml.swp")
            #expect(grave.contains("E-APP-FORGED") && grave.contains("E-APP-FILE"))
        }
    }

    @Test("a no and a yes that came at one time: no counts, both are written down")
    func tie() throws {
        try TestSite.use { site in
            try site.up()
            try site.drop("t.yaml", job([gate(", approvals_required: 2"), site.effect("t")]))
            let id = try site.request(of: "t.yaml")
            try site.stop()
            try site.answer(id, "approve", as: "a.yaml")
            try site.answer(id, "deny", as: "b.yaml")
            try site.up()
            #expect(try site.result(of: "t.yaml").state == "denied")
            #expect(try site.verdict("b.yaml")["outcome"] == "accepted")
            #expect(try site.verdict("a.yaml")["code"] == "E-APP-STALE")
            let audit = try site.bobbin("audit", "search", id).out
            #expect(audit.contains("deny") && audit.contains("E-APP-STALE"), "\(audit)")
        }
    }

    @Test("two branches ask: each goes on with its own answer", arguments: [true, false])
    func branches(first: Bool) throws {
        try TestSite.use { site in
            try site.up()
            let steps =
                "parallel: [{steps: [{\(gate())}, {\(site.effect("b", "left"))}]}, {steps: [{\(gate())}, {\(site.effect("b", "right"))}]}]"
            try site.drop("b.yaml", job([steps, site.effect("b", "after")]))
            // Once both are there: one may be published before the other.
            let last = try site.request(of: "b.yaml", 1)
            let ids = [try site.request(of: "b.yaml"), last]
            let order = first ? ids : ids.reversed(), names = first ? ["left", "right"] : ["right", "left"]
            #expect(try site.bobbin("approve", order[0]).code == 0)
            try site.waitForEffect("b", names[0])
            #expect(site.count("b", names[1]) == 0 && site.count("b", "after") == 0)
            try site.wait("only one to be open", in: ["\(site.spool)/approvals/requests"]) {
                Disk.names("\(site.spool)/approvals/requests") == ["\(order[1]).yaml"] ? () : nil
            }
            // Across a death.
            _ = try site.runners[0].killNow()
            try site.up()
            #expect(try site.bobbin("approve", order[1]).code == 0)
            #expect(try site.result(of: "b.yaml").state == "succeeded")
            #expect(["left", "right", "after"].allSatisfy { site.count("b", $0) == 1 })
        }
    }

    @Test("kill -9 while it is asked, with the answer in place, and after: it goes on once")
    func killed() throws {
        try TestSite.use { site in
            try site.up()
            try site.drop("k.yaml", job([gate(), site.effect("k")]))
            let id = try site.request(of: "k.yaml")
            let nonce = try Papers.parse(site.requestText(id)).text("nonce")
            _ = try site.runners[0].killNow()
            // Nobody works: the verb says so, and the answer waits.
            let said = try site.bobbin("approve", id)
            #expect(said.code == 0 && said.both.contains("no runner is working"), "\(said.both)")
            Disk.remove("\(site.spool)/approvals/requests/\(id).yaml")
            try site.up()
            let result = try site.result(of: "k.yaml")
            #expect(result.state == "succeeded" && result["approvals.0.nonce"] == nonce)
            #expect(site.count("k", "once") == 1)
        }
    }

    @Test(
        "a call that dies at the n-th record, rename or sync of an answer: recorded once, gone on once",
        arguments: 1...14)
    func killedBetween(point: Int) throws {
        try TestSite.use { site in
            try site.up()
            try site.drop("c.yaml", job([gate(), site.effect("c", "later") + "\n    idempotent: true"]))
            let id = try site.request(of: "c.yaml")
            try site.stop()
            try site.answer(id, "approve")
            let kind = ["fdatasync", "renameat2"][point % 2]
            let dying = try site.launch("main", ["up"], ["BOBBIN_FAULT": "\(kind):\((point + 1) / 2):kill"])
            // It dies, or has gone through before its turn came.
            try site.wait("the runner to die or the run to end", in: ["\(site.spool)/done/*"], seconds: 20) {
                let isOpen = try site.results(of: "c.yaml").isEmpty
                return dying.isRunning && isOpen ? nil : ()
            }
            if dying.isRunning { try site.stop() } else { _ = try dying.end() }
            try site.up()
            let result = try site.result(of: "c.yaml")
            #expect(result.state == "succeeded" && result["approvals.0.decisions.1"] == nil, "\(result)")
            #expect(site.count("c", "later") >= 1)
            #expect(Disk.names(site.responses).isEmpty)
        }
    }

    @Test("a request that cannot be written: its time does not run, and it comes when there is room")
    func unpublished() throws {
        try TestSite.use { site in
            try site.up()
            // Something else stands in its place.
            try Disk.move("\(site.spool)/approvals/requests", to: site.outside("requests"))
            try Disk.write("", to: "\(site.spool)/approvals/requests")
            _ = try site.waitForLog("approvals/requests")
            try site.drop(
                "u.yaml", job([gate(", timeout_minutes: 0.05, auto_action: approve"), site.effect("u")]))
            try site.parked("u.yaml", "approval")
            Disk.remove("\(site.spool)/approvals/requests")
            try Disk.move(site.outside("requests"), to: "\(site.spool)/approvals/requests")
            let result = try site.result(of: "u.yaml")
            #expect(result.state == "succeeded" && result["approvals.0.asked_at"] != nil)
        }
    }

    @Test("a clock that is set back gives nobody more time; one that was wrong by days stops nothing")
    func clock() throws {
        try TestSite.use { site in
            try site.up()
            try site.drop("c.yaml", job([gate(", timeout_minutes: 10")]))
            let id = try site.request(of: "c.yaml")
            try site.stop()
            func see(_ seconds: Int) {
                // What the site had seen before somebody set the clock back by so much.
                let instant = timespec(tv_sec: Glibc.time(nil) + seconds, tv_nsec: 0)
                #expect(utimensat(AT_FDCWD, "\(site.spool)/.bobbin/clock", [instant, instant], 0) == 0)
            }
            see(5 * 86_400)
            try site.answer(id, "approve", as: "early.yaml") {
                $0.replacing("decision: approve", with: "decision: ")
            }
            try site.up()
            #expect(site.requestText(id).contains("then: deny"), "it is open still")
            try site.stop()
            see(1800)
            try site.answer(id, "approve")
            try site.up()
            #expect(try site.verdict("\(id).yaml")["code"] == "E-APP-STALE")
            #expect(try site.result(of: "c.yaml").state == "denied")
            // Its time goes on from there, at its own pace.
            try site.drop("n.yaml", job([gate(", timeout_minutes: 0.02")]))
            #expect(try site.result(of: "n.yaml").state == "denied")
            Disk.remove("\(site.responses)/early.yaml")
        }
    }

    @Test("cancel, hold, and a later attempt: the old request is void, and its answer too")
    func otherEnds() throws {
        try TestSite.use { site in
            try site.up()
            try site.drop("c.yaml", job([gate()], tail: "finally:\n  - \(site.effect("c", "finally"))\n"))
            let id = try site.request(of: "c.yaml")
            let text = site.requestText(id).replacing("decision:", with: "decision: approve")
            #expect(try site.bobbin("cancel", String(id.prefix(26))).code == 0)
            #expect(try site.result(of: "c.yaml").state == "cancelled")
            #expect(site.count("c", "finally") == 1)
            try Disk.write(text, to: site.outside("c"))
            try Disk.move(site.outside("c"), to: "\(site.responses)/c.yaml")
            #expect(try site.verdict("c.yaml")["code"] == "E-APP-STALE")
            #expect(Disk.names("\(site.spool)/approvals/closed").contains { $0.hasSuffix(".decision.yaml") })

            try site.drop("h.yaml", job([gate(), site.effect("h")]))
            let held = try site.request(of: "h.yaml")
            #expect(try site.bobbin("hold", String(held.prefix(26))).code == 0)
            try site.parked("h.yaml", "held")
            #expect(try site.bobbin("approve", held).code == 0)
            let listed = try site.bobbin("approvals").out
            #expect(!listed.contains(held))
            #expect(site.count("h", "once") == 0)
            #expect(try site.bobbin("release", String(held.prefix(26))).code == 0)
            #expect(try site.result(of: "h.yaml").state == "succeeded")

            let again = job(
                [gate(), "assert: {condition: \"run.attempt == 2\"}"],
                head: "retry: {max_attempts: 2, base_delay: 100ms}\n")
            try site.drop("r.yaml", again)
            let first = try site.request(of: "r.yaml")
            let old = site.requestText(first).replacing("decision:", with: "decision: approve")
            let nonce = try Papers.parse(old).text("nonce") ?? ""
            #expect(try site.bobbin("approve", first).code == 0)
            try site.wait("the second question", in: ["\(site.spool)/approvals/requests"]) {
                let text = site.requestText(first)
                return !text.isEmpty && !text.contains(nonce) ? () : nil
            }
            try Disk.write(old, to: site.outside("old"))
            try Disk.move(site.outside("old"), to: "\(site.responses)/old.yaml")
            #expect(try site.verdict("old.yaml")["code"] == "E-APP-REPLAY")
            let same = try #require(
                Disk.names("\(site.spool)/approvals/closed").first {
                    $0.contains("~\(first).")
                        && Disk.text("\(site.spool)/approvals/closed/\($0)")?.contains("decision: approve\n")
                            == true
                        && $0.hasSuffix(".yaml") && !$0.contains(".verdict.") && !$0.contains(".decision.")
                })
            try Disk.write(
                Disk.text("\(site.spool)/approvals/closed/\(same)") ?? "", to: site.outside("same"))
            try Disk.move(site.outside("same"), to: "\(site.responses)/same.yaml")
            let replayed = try site.verdict("same.yaml")
            #expect(replayed["code"] == "E-APP-REPLAY", "\(replayed)")
            #expect(try site.bobbin("approve", first).code == 0)
            #expect(try site.result(of: "r.yaml").state == "succeeded")
        }
    }

    @Test("two runners: each answers for its own runs, whoever leads")
    func runners() throws {
        try TestSite.use { site in
            try site.up()
            func drop(_ numbers: ClosedRange<Int>) throws {
                for number in numbers {
                    try site.drop("r\(number).yaml", job([gate(), site.effect("r\(number)")]))
                }
                for number in numbers { _ = try site.request(of: "r\(number).yaml") }
            }
            try drop(1...6)
            try site.runner("b")
            // Stopped, not dead: it keeps the lead, and the other takes what comes.
            site.runners[0].signal(SIGSTOP)
            try drop(7...12)
            site.runners[0].signal(SIGCONT)
            let ids = try (1...12).map { try site.request(of: "r\($0).yaml") }
            for (index, id) in ids.enumerated() { try site.answer(id, index % 3 == 0 ? "deny" : "approve") }
            let results = try (1...12).map { try site.result(of: "r\($0).yaml") }
            for (index, result) in results.enumerated() {
                #expect(result.state == (index % 3 == 0 ? "denied" : "succeeded"))
            }
            #expect(Set(results.compactMap { $0["drop.runner"] }).count == 2, "one runner had all of them")
            try site.answer("\(ids[0].prefix(26)).7", "approve", as: "none.yaml") { _ in
                "request: \(ids[0])\nnonce: \"1\"\ndigest: x\ndecision: approve\n"
            }
            #expect(try site.verdict("none.yaml")["code"] == "E-APP-STALE")
        }
    }

    @Test("a question that is left behind by what failed beside it is void, and nobody spins")
    func abandoned() throws {
        try TestSite.use { site in
            try site.up()
            let holds = try site.gate("x")
            let parallel = "parallel: [{\(gate())}, {steps: [{\(holds)}, {fail: on purpose}]}]"
            try site.drop("a.yaml", job([parallel], tail: "finally:\n  - \(gate())\n"))
            let first = try site.request(of: "a.yaml")
            let old = site.requestText(first).replacing("decision:", with: "decision: approve")
            try site.waitForEffect("x", "gate")
            try site.open(gate: "x")
            try site.wait("the question of finally", in: ["\(site.spool)/approvals/requests"]) {
                Disk.names("\(site.spool)/approvals/requests") == ["\(first.prefix(26)).finally.1.yaml"]
                    ? () : nil
            }
            try Disk.write(old, to: site.outside("old"))
            try Disk.move(site.outside("old"), to: "\(site.responses)/old.yaml")
            #expect(try site.verdict("old.yaml")["code"] == "E-APP-STALE")
            #expect(try site.bobbin("approve", String(first.prefix(26))).code == 0)
            let result = try site.result(of: "a.yaml")
            #expect(result.state == "failed" && result["error.code"] == "E-FAIL", "\(result)")
            #expect(result["waits.4.reason"] == nil, "it waited again and again: \(result)")
        }
    }

    @Test(
        "hold outlives a death; a request that is removed comes back; a moved audit log is begun anew in its place"
    )
    func robust() throws {
        try TestSite.use { site in
            try site.up()
            try site.drop("h.yaml", job([gate(), site.effect("h")]))
            let id = try site.request(of: "h.yaml")
            let run = String(id.prefix(26))
            #expect(try site.bobbin("hold", run).code == 0)
            _ = try site.runners[0].killNow()
            try site.up()
            Disk.remove("\(site.spool)/approvals/requests/\(id).yaml")
            try site.wait("the request again", in: ["\(site.spool)/approvals/requests"]) {
                Disk.exists("\(site.spool)/approvals/requests/\(id).yaml") ? () : nil
            }
            #expect(try site.bobbin("approve", id).code == 0)
            try site.parked("h.yaml", "held")
            #expect(site.count("h", "once") == 0)
            #expect(try site.bobbin("release", run).code == 0)
            #expect(try site.result(of: "h.yaml").state == "succeeded")
            try Disk.move("\(site.path)/ops/audit", to: site.outside("audit"))
            try site.drop("i.yaml", job([gate()]))
            let asked = try site.request(of: "i.yaml")
            #expect(try site.bobbin("deny", asked).code == 0)
            #expect(try site.bobbin("audit", "tail").out.contains("deny"))
            Disk.removeTree("\(site.path)/ops/audit")
            try Disk.move(site.outside("audit"), to: "\(site.path)/ops/audit")
            #expect(try site.bobbin("audit", "verify").code == 0)
        }
    }

    @Test(
        "a loop that asks two hundred times is answered by files at once, and other work goes on",
        .timeLimit(.minutes(3)))
    func many() throws {
        try TestSite.use { site in
            try site.up()
            try site.drop(
                "m.yaml",
                job(["foreach: {items: \"{{ range(200) }}\", concurrency: 8, steps: [{\(gate())}]}"]))
            _ = try site.request(of: "m.yaml", 199)
            let names = Disk.names("\(site.spool)/approvals/requests").filter { $0.hasSuffix(".yaml") }
            for name in names { try site.answer(name.replacing(".yaml", with: ""), "approve") }
            try site.drop("other.yaml", job([site.effect("other")]))
            #expect(try site.result(of: "other.yaml").state == "succeeded")
            let result = try site.result(of: "m.yaml")
            #expect(result.state == "succeeded" && result["approvals.199.decisions.0.decision"] == "approve")
        }
    }

    @Test(
        "explain says who is asked; the checker judges the form; in the foreground nobody is there, or says yes to all"
    )
    func plan() throws {
        try TestSite.use { site in
            let text = job([
                "human_confirm: {message: \"Go?\", required_role: Admin, risk_level: high, timeout_minutes: 5, approvers: [anna], approvals_required: 2}",
                site.effect("p"),
            ])
            try Disk.write(text, to: site.outside("p.yaml"))
            let plan = try site.bobbin("explain", site.outside("p.yaml")).out
            #expect(
                plan.contains("asks: step 1: anna, if Admin; 2 different people; high risk; 5m, then deny"),
                "\(plan)")
            try Disk.write(
                job([
                    "human_confirm: {message: x, inputs: {a: {type: strin}, b: {default: 3, min: x}}, risk_level: huge}"
                ]),
                to: site.outside("bad.yaml"))
            let bad = try site.bobbin("check", site.outside("bad.yaml")).both
            #expect(bad.contains("did you mean `string`") && bad.contains("risk_level"), "\(bad)")
            try Disk.write(job([gate(", inputs: {a: 3}"), site.effect("p")]), to: site.outside("one.yaml"))
            let alone = try site.bobbin("run", site.outside("one.yaml"))
            #expect(alone.code == 1 && alone.both.contains("nobody could be asked here"), "\(alone.both)")
            try Disk.write(
                job([gate(", approvals_required: 2")]), to: site.outside("two.yaml"))
            let two = try site.bobbin("run", site.outside("two.yaml"), "--auto-approve")
            #expect(two.code == 1 && two.both.contains("here is one"), "\(two.both)")
            try Disk.write(
                job(["{human_confirm: {message: x, timeout_minutes: 1e30}, timeout: 4s}"]),
                to: site.outside("time.yaml"))
            let time = try site.bobbin("check", site.outside("time.yaml")).both
            #expect(
                time.contains("`timeout` does not stand beside") && time.contains("from 0 to 525600"),
                "\(time)")
            #expect(try site.bobbin("run", site.outside("one.yaml"), "--auto-approve").code == 0)
            #expect(site.count("p", "once") == 1)
        }
    }
}
