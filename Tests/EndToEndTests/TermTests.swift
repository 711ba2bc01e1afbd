// What this is: the terms of jobs in the built program: keys, times, rates, labels; limits that must hold whatever happens.
// Owns: that two runs with one key never work at one time, and that nobody who waits holds a slot.
// Never: tells how texts are read (JobLanguageTests do).
// On failure: shows the log and the files.
import LinuxSystem
import Testing

@Suite("terms", .onSites) struct TermTests {
    private func keyed(_ id: String, _ steps: [String], _ key: String = "k", head: String = "") -> String {
        job(steps, head: "concurrency_key: \(key)\n" + head)
    }

    @Test("one key, two runners: never two at one time, and each once") func oneAtATime() throws {
        try TestSite.use { site in
            try site.runner("a")
            try site.runner("b")
            let names = (1...12).map { "j\($0).yaml" }
            for name in names {
                try site.drop(
                    name,
                    keyed(
                        name,
                        [
                            "run: [\"\(site.path)/effect\", k, enter]",
                            "run: [\"\(site.path)/effect\", k, leave]",
                        ]),
                    ["default", "high_priority", "background"][names.firstIndex(of: name)! % 3])
            }
            for name in names { #expect(try site.result(of: name).state == "succeeded") }
            let order = Disk.lines(site.effects).map { String($0.split(separator: " ")[1]) }
            #expect(order == Array(repeating: ["enter", "leave"], count: 12).flatMap { $0 }, "\(order)")
        }
    }

    @Test("who waits for a key holds no slot, and what comes behind it goes on") func noSlot() throws {
        try TestSite.use { site in
            try site.up()
            _ = try site.gate("g")
            try site.drop("first.yaml", keyed("first", ["run: [\"\(site.path)/gate\", g]"]))
            try site.waitForEffect("g", "gate")
            // The queue `background` has one slot.
            try site.drop(
                "second.yaml", keyed("second", ["run: [\"\(site.path)/effect\", second, ran]"]), "background")
            let parked = try site.parked("second.yaml", "key")
            try site.drop("third.yaml", job(["log: hello"]), "background")
            #expect(try site.result(of: "third.yaml").state == "succeeded")
            #expect(try site.bobbin("show", parked.id).out.contains("key"))
            try site.open(gate: "g")
            #expect(try site.result(of: "second.yaml").state == "succeeded")
            let waits = try site.result(of: "second.yaml")
            #expect(waits["waits.0.reason"] == "key")
        }
    }

    @Test("a busy key: skip ends as skipped, replace ends the others") func busy() throws {
        try TestSite.use { site in
            try site.up()
            _ = try site.gate("g")
            try site.drop(
                "first.yaml",
                keyed("first", ["run: [\"\(site.path)/gate\", g]"], head: "finally: [log: bye]\n"))
            try site.waitForEffect("g", "gate")
            try site.drop("skip.yaml", keyed("skip", ["log: x"], "{key: k, when_busy: skip}"))
            let skipped = try site.result(of: "skip.yaml")
            #expect(skipped.state == "skipped" && skipped["error.code"] == "E-KEY-BUSY")
            #expect(site.find("skip.yaml", [.done]).count == 1)
            try site.drop("waits.yaml", keyed("waits", ["log: x"]))
            try site.parked("waits.yaml", "key")
            try site.drop("new.yaml", keyed("new", ["log: x"], "{key: k, when_busy: replace}"))
            #expect(try site.result(of: "new.yaml").state == "succeeded")
            #expect(try site.result(of: "first.yaml").state == "cancelled")
            #expect(try site.result(of: "waits.yaml").state == "cancelled")
            #expect(try site.bobbin("wait", skipped["run"] ?? "").code == 0)
        }
    }

    @Test("cancel, hold and release while a run waits for its key; the key goes to the next") func commands()
        throws
    {
        try TestSite.use { site in
            try site.up()
            _ = try site.gate("g")
            try site.drop("first.yaml", keyed("first", ["run: [\"\(site.path)/gate\", g]"]))
            try site.waitForEffect("g", "gate")
            for name in ["a.yaml", "b.yaml", "c.yaml"] {
                try site.drop(name, keyed(name, ["run: [\"\(site.path)/effect\", \(name), ran]"]))
                try site.parked(name, "key")
            }
            let held = try site.parked("b.yaml", "key")
            #expect(try site.bobbin("cancel", site.parked("a.yaml", "key").id).code == 0)
            #expect(try site.result(of: "a.yaml").state == "cancelled")
            #expect(try site.bobbin("hold", held.id).code == 0)
            try site.parked("b.yaml", "held")
            try site.open(gate: "g")
            #expect(try site.result(of: "c.yaml").state == "succeeded")
            // Who is held has no place in the line: nobody has the key.
            try site.drop("d.yaml", keyed("d", ["log: x"], "{key: k, when_busy: skip}"))
            #expect(try site.result(of: "d.yaml").state == "succeeded")
            #expect(try site.bobbin("release", held.id).code == 0)
            #expect(try site.result(of: "b.yaml").state == "succeeded")
            #expect(site.count("a.yaml", "ran") == 0)
        }
    }

    @Test("a run that waits for another try keeps its key") func retryKeepsKey() throws {
        try TestSite.use { site in
            try site.up()
            try site.drop(
                "first.yaml",
                keyed(
                    "first",
                    [
                        "run: [\"\(site.path)/effect\", k, try]",
                        "{shell: \"test -e '\(site.path)/go'\", retry: {max_attempts: 50, base_delay: 200ms, backoff_multiplier: 1}}",
                        "run: [\"\(site.path)/effect\", k, end]",
                    ]))
            try site.parked("first.yaml", "retry")
            try site.drop("second.yaml", keyed("second", ["run: [\"\(site.path)/effect\", k, second]"]))
            try site.parked("second.yaml", "key")
            try Disk.write("", to: "\(site.path)/go")
            #expect(try site.result(of: "second.yaml").state == "succeeded")
            let order = Disk.lines(site.effects).map { String($0.split(separator: " ")[1]) }
            #expect(order == ["try", "end", "second"])
        }
    }

    @Test("kill -9 with a key in hand: the next waits until a person has said what became of it")
    func killed() throws {
        try TestSite.use { site in
            let runner = try site.up()
            _ = try site.gate("g")
            try site.drop("first.yaml", keyed("first", ["run: [\"\(site.path)/gate\", g]"]))
            try site.waitForEffect("g", "gate")
            try site.drop("second.yaml", keyed("second", ["run: [\"\(site.path)/effect\", second, ran]"]))
            try site.parked("second.yaml", "key")
            try runner.killNow()
            try site.up()
            let open = try site.parked("first.yaml", "interrupted")
            try site.fence("fence.yaml")
            #expect(site.count("second", "ran") == 0)
            try site.parked("second.yaml", "key")
            #expect(try site.bobbin("resolve", open.id, "--skip").code == 0)
            #expect(try site.result(of: "second.yaml").state == "succeeded")
            #expect(try site.result(of: "first.yaml").state == "succeeded")
        }
    }

    @Test("an idempotency key: the duplicate points at the first, and only success counts") func once() throws
    {
        try TestSite.use { site in
            let runner = try site.up()
            func once(_ id: String, _ step: String, _ key: String = "once-{{ n }}") -> String {
                job([step], head: "variables: {n: 1}\nidempotency_key: \(key)\n")
            }
            let effect = "run: [\"\(site.path)/effect\", x, ran]"
            try site.drop("bad.yaml", once("bad", "fail: no"))
            #expect(try site.result(of: "bad.yaml").state == "failed")
            // That one did not succeed, so it does not count.
            try site.drop("first.yaml", once("first", effect))
            let first = try site.result(of: "first.yaml")
            #expect(first.state == "succeeded" && first["idempotency_key"] == "once-1")
            try runner.killNow()
            try site.up()
            try site.drop("again.yaml", once("again", effect))
            let again = try site.result(of: "again.yaml")
            #expect(again.state == "skipped" && again["error.code"] == "E-DUPLICATE")
            #expect(again["outputs.duplicate_of"] == first["run"])
            #expect(site.count("x", "ran") == 1)
            // A key that has expired counts no more; that of a run which is on its way never expires.
            try site.drop("later.yaml", once("later", effect, "{key: once-1, within: 1ms}"))
            #expect(try site.result(of: "later.yaml").state == "succeeded")
            _ = try site.gate("g")
            try site.drop("long.yaml", once("long", "run: [\"\(site.path)/gate\", g]", "long"))
            try site.waitForEffect("g", "gate")
            try site.drop("beside.yaml", once("beside", effect, "{key: long, within: 1ms}"))
            #expect(try site.result(of: "beside.yaml").state == "skipped")
            try site.open(gate: "g")
            // Without a key nothing is a duplicate, however alike.
            for name in ["twin1.yaml", "twin2.yaml"] { try site.drop(name, job([effect])) }
            for name in ["twin1.yaml", "twin2.yaml"] {
                #expect(try site.result(of: name).state == "succeeded")
            }
            #expect(site.count("x", "ran") == 4)
        }
    }

    @Test("twenty drops of one idempotency key at two runners: one runs") func onceAmongMany() throws {
        try TestSite.use { site in
            try site.runner("a")
            try site.runner("b")
            let names = (1...20).map { "d\($0).yaml" }
            for name in names {
                try site.drop(
                    name, job(["run: [\"\(site.path)/effect\", x, ran]"], head: "idempotency_key: same\n"),
                    ["default", "high_priority"][names.firstIndex(of: name)! % 2])
            }
            let states = try names.map { try site.result(of: $0).state }
            #expect(states.count { $0 == "succeeded" } == 1 && states.count { $0 == "skipped" } == 19)
            #expect(site.count("x", "ran") == 1)
        }
    }

    @Test("times: not before, across a kill; and no more after") func times() throws {
        try TestSite.use { site in
            let runner = try site.up()
            try site.drop("late.yaml", job(["log: now"], head: "not_before: \"+3s\"\n"))
            try site.parked("late.yaml", "scheduled")
            try site.drop("over.yaml", job(["log: never"], head: "expires_at: 2020-01-01\n"))
            let over = try site.result(of: "over.yaml")
            #expect(over.state == "timed_out" && over["error.code"] == "E-EXPIRED")
            try site.drop(
                "wrong.yaml", job(["log: never"], head: "not_before: \"+2h\"\nexpires_at: \"+1h\"\n"))
            #expect(try site.reason(of: "wrong.yaml")["code"] == "E-EXPIRED")
            try runner.killNow()
            try site.up()
            let late = try site.result(of: "late.yaml")
            #expect(late.state == "succeeded" && late["waits.0.reason"] == "scheduled")
            #expect((late["started_at"] ?? "") >= (late["not_before"] ?? "~"))
        }
    }

    @Test("a job that expires while it waits for its key ends, and the key is free") func expiresInLine()
        throws
    {
        try TestSite.use { site in
            try site.up()
            _ = try site.gate("g")
            try site.drop("first.yaml", keyed("first", ["run: [\"\(site.path)/gate\", g]"]))
            try site.waitForEffect("g", "gate")
            try site.drop("second.yaml", keyed("second", ["log: x"], head: "expires_at: \"+1s\"\n"))
            #expect(try site.result(of: "second.yaml")["error.code"] == "E-EXPIRED")
            try site.open(gate: "g")
            try site.drop("third.yaml", keyed("third", ["log: x"]))
            #expect(try site.result(of: "third.yaml").state == "succeeded")
        }
    }

    /// A run that the journal has aside, and whose file is still among the claims for a second.
    private func onItsWay(_ site: TestSite, _ second: String) throws -> Found {
        try site.up(["BOBBIN_FAULT": "renameat2@parked/key:1:late"])
        _ = try site.gate("g")
        try site.drop("first.yaml", keyed("first", ["run: [\"\(site.path)/gate\", g]"]))
        try site.waitForEffect("g", "gate")
        try site.drop("second.yaml", second)
        let claimed = try site.wait("the claim of second.yaml", in: ["\(site.spool)/claimed/*"]) {
            site.find("second.yaml", [.claimed]).first
        }
        try Signals.ask("its wait") { try site.bobbin("show", claimed.id).out.contains("key") }
        return claimed
    }

    @Test("called up before its file has gone aside: it works, and its file is not aside")
    func calledOnItsWay() throws {
        try TestSite.use { site in
            _ = try onItsWay(site, keyed("second", ["run: [\"\(site.path)/gate\", h]"]))
            _ = try site.gate("h")
            try site.open(gate: "g")
            try site.waitForEffect("h", "gate")
            // Long enough for the late rename in any case: it is behind it that things are wrong.
            try site.drop("behind.yaml", job(["{sleep: 1200ms}"]))
            try site.result(of: "behind.yaml")
            #expect(site.find("second.yaml", [.parked]).isEmpty)
            #expect(site.find("second.yaml", [.claimed]).count == 1)
            try site.open(gate: "h")
            #expect(try site.result(of: "second.yaml").state == "succeeded")
        }
    }

    @Test("held before its file has gone aside: the file lies where the run is") func heldOnItsWay() throws {
        try TestSite.use { site in
            let second = try onItsWay(site, keyed("second", ["log: x"]))
            #expect(try site.bobbin("hold", second.id).code == 0)
            try site.parked("second.yaml", "held")
            try site.drop("behind.yaml", job(["{sleep: 1200ms}"]))
            try site.result(of: "behind.yaml")
            #expect(site.find("second.yaml", [.parked, .claimed]).count == 1)
            #expect(try site.bobbin("release", second.id).code == 0)
            try site.open(gate: "g")
            #expect(try site.result(of: "second.yaml").state == "succeeded")
        }
    }

    @Test("a rate: two at once, the third waits for its turn and takes no slot") func rate() throws {
        try TestSite.use { site in
            let runner = try site.up()
            let rated = job(["log: x"], head: "rate_limit: {limit: 2, per: 2h, key: api}\n")
            for name in ["a.yaml", "b.yaml"] {
                try site.drop(name, rated, "background")
                #expect(try site.result(of: name).state == "succeeded")
            }
            try site.drop("c.yaml", rated, "background")
            let parked = try site.parked("c.yaml", "rate")
            try site.drop("d.yaml", job(["log: x"]), "background")
            #expect(try site.result(of: "d.yaml").state == "succeeded")
            try runner.killNow()
            try site.up()
            try site.fence("fence.yaml")
            // A person may let it go first.
            #expect(try site.bobbin("release", parked.id).code == 0)
            #expect(try site.result(of: "c.yaml").state == "succeeded")
        }
    }

    @Test("labels, artifacts and typed outputs are in the result; another site's job is sent back")
    func labels() throws {
        try TestSite.use(TestSite.configuration + "environment: staging\n") { site in
            try site.up()
            try site.drop(
                "a.yaml",
                job(
                    [
                        "write_file: {path: outside/a.txt, content: one}",
                        "write_file: {path: outside/b.txt, content: two}", "{set: {n: \"7\"}, id: s}",
                    ],
                    head:
                        "tags: [night, team/ops]\nenvironment: staging\nartifacts: [outside/*.txt, outside/none.pdf]\n",
                    tail: "outputs: {n: {value: \"{{ steps.s.n | int }}\", type: integer}}\n"))
            let a = try site.result(of: "a.yaml")
            #expect(
                a.state == "succeeded" && a["tags.1"] == "team/ops" && a["environment"] == "staging", "\(a)")
            #expect(a["outputs.n"] == "7" && a["artifacts.1.bytes"] == "3")
            #expect(Disk.text("\(site.spool)/\(a["artifacts.0.path"] ?? "")") == "one")
            // Files of one name, kept by several steps.
            try site.drop(
                "same.yaml",
                job([
                    "foreach: {items: [1, 2], steps: [{write_file: {path: \"outside/{{ item }}/o.txt\", content: \"{{ item }}\"}}, {keep_artifacts: [\"outside/{{ item }}/o.txt\"]}]}"
                ]))
            let same = try site.result(of: "same.yaml")
            for number in [1, 2] {
                let path = same["artifacts.\(number - 1).path"] ?? ""
                #expect(Disk.text("\(site.spool)/\(path)") == "\(number)", "\(same)")
            }
            try site.drop(
                "b.yaml",
                job(
                    ["{set: {n: x}, id: s}"],
                    tail: "outputs: {n: {value: \"{{ steps.s.n }}\", type: integer}}\n"))
            let b = try site.result(of: "b.yaml")
            #expect(b.state == "failed" && b["error.code"] == "E-OUTPUT")
            try site.drop("c.yaml", job(["log: x"], head: "environment: production\n"))
            #expect(try site.reason(of: "c.yaml")["code"] == "E-ENVIRONMENT")
        }
    }
}
