// What this is: families of failures that users of other systems report again and again, where they concern limits and language.
// Owns: one test a family, by its name; those about arrival, crashes and damage have suites of their own.
// Never: tells how a limit is kept; it counts what the jobs did outside.
// On failure: shows the log and the files.
import LinuxSystem
import Testing

@Suite("families of failures", .onSites) struct FamilyTests {
    private static let narrow = """
        kill_grace: 1s
        queues:
          default: {max_concurrent: 1, retry_policy: {max_attempts: 3, base_delay: 50ms}}
          background: {max_concurrent: 1}
        targets: {"*": {breaker: {failures: 1, open_for: 1h}}}

        """

    @Test("slot leak: a run that is cancelled in whatever state it is leaves its slot free") func slotLeak()
        throws
    {
        try TestSite.use(Self.narrow) { site in
            site.mayHaveChildren = true
            try site.up()
            _ = try site.gate("g")
            // Its key is held by a run of the other queue, its target is down, its child waits at a gate.
            try site.drop(
                "holder.yaml", job(["run: [\"\(site.path)/gate\", g]"], head: "concurrency_key: k\n"),
                "background")
            try site.waitForEffect("g", "gate")
            try site.drop(
                "down.yaml",
                job(["make_request: \"http://127.0.0.1:1/\""], head: "retry: {max_attempts: 1}\n"))
            #expect(try site.result(of: "down.yaml").state == "failed")
            try site.drop("first.yaml", job(["log: x"], head: "rate_limit: {limit: 1, per: 1h, key: r}\n"))
            #expect(try site.result(of: "first.yaml").state == "succeeded")
            let states: [(name: String, text: String)] = [
                ("retry", job(["shell: exit 1"], head: "retry: {max_attempts: 5, base_delay: 1h}\n")),
                ("scheduled", job(["log: x"], head: "not_before: +1h\n")),
                ("key", job(["log: x"], head: "concurrency_key: k\n")),
                ("rate", job(["log: x"], head: "rate_limit: {limit: 1, per: 1h, key: r}\n")),
                ("target", job(["make_request: \"http://127.0.0.1:1/\""])),
                (
                    "child",
                    job([
                        "submit: {wait: true, queue: background, job: {dsl_version: \"1.1\", steps: [{log: late}]}}"
                    ])
                ),
            ]
            for state in states {
                try site.drop("\(state.name).yaml", state.text)
                let parked = try site.parked("\(state.name).yaml", state.name)
                try probe(site, "behind-\(state.name).yaml")
                #expect(try site.bobbin("cancel", parked.id).code == 0)
                #expect(try site.result(of: "\(state.name).yaml").state == "cancelled")
                try probe(site, "after-\(state.name).yaml")
            }
            // While it works, and while it is held.
            try site.drop("working.yaml", job(["run: [\"\(site.path)/gate\", g]"]))
            try site.waitForEffect("g", "gate", times: 2)
            let working = try #require(site.find("working.yaml", [.claimed]).first)
            #expect(try site.bobbin("cancel", working.id).code == 0)
            #expect(try site.result(of: "working.yaml").state == "cancelled")
            try probe(site, "after-working.yaml")
            // A result is there before its slot is free again.
            try Signals.wait("a free slot", in: ["\(site.spool)/.bobbin/runners/*"], pace: 50) {
                let status = try site.bobbin("status").out
                return status.contains("0/1") && status.contains("1/1") ? () : nil
            }
            try site.open(gate: "g")
            #expect(try site.result(of: "holder.yaml").state == "succeeded")
        }
    }
    private func probe(_ site: TestSite, _ name: String) throws {
        try site.drop(name, job(["log: x"]))
        #expect(try site.result(of: name).state == "succeeded")
    }

    @Test(
        "retry bypasses limits: first tries, retries, children, requeues and what a person lets go, one at a time"
    )
    func retryBypassesLimits() throws {
        try TestSite.use(Self.narrow) { site in
            site.mayHaveChildren = true
            // Fails at its first call for each name; two of it at one time would show in the order of its lines.
            try Disk.write(
                """
                #!/bin/sh
                echo enter >> \(site.path)/order
                for i in 1 2 3 4 5 6 7 8 9 10; do :; done
                code=0; [ -e "\(site.path)/seen-$1" ] || { : > "\(site.path)/seen-$1"; code=75; }
                echo leave >> \(site.path)/order
                exit $code

                """, to: "\(site.path)/work", mode: 0o755)
            try site.up()
            try site.runner("second")
            func work(_ name: String) -> String { "run: [\"\(site.path)/work\", \(name)]" }
            for number in 1...4 {
                // Tried again by the step, by the run, by nobody, by another job.
                try site.drop(
                    "step\(number).yaml",
                    job(["{\(work("s\(number)")), retry: {max_attempts: 2, base_delay: 10ms}}"]))
                try site.drop(
                    "run\(number).yaml",
                    job([work("r\(number)")], head: "retry: {max_attempts: 2, base_delay: 10ms}\n"))
                try site.drop(
                    "fails\(number).yaml", job([work("f\(number)")], head: "retry: {max_attempts: 1}\n"))
                try site.drop(
                    "parent\(number).yaml",
                    job([
                        "submit: {wait: true, job: {dsl_version: \"1.1\", retry: {max_attempts: 2, base_delay: 10ms}, steps: [{\(work("c\(number)"))}]}}"
                    ]),
                    "background")
            }
            for number in 1...4 {
                #expect(try site.result(of: "step\(number).yaml").state == "succeeded")
                #expect(try site.result(of: "run\(number).yaml").state == "succeeded")
                let failed = try site.result(of: "fails\(number).yaml")
                #expect(failed.state == "failed")
                #expect(try site.bobbin("requeue", failed.run).code == 0)
                site.expect("fails\(number).yaml")
                #expect(try site.result(of: "parent\(number).yaml").state == "succeeded")
            }
            for number in 1...4 {
                #expect(try site.result(of: "fails\(number).yaml", run: 2).state == "succeeded")
            }
            let order = Disk.lines("\(site.path)/order")
            #expect(
                order.count == 64 && order == Array(repeating: ["enter", "leave"], count: 32).flatMap { $0 },
                "\(order)")
        }
    }

    @Test(
        "one child of one step: also when the disk refuses in the moment after its drop appeared",
        arguments: [5, 28, 122])
    func oneChild(_ errno: Int) throws {
        try TestSite.use(Self.narrow) { site in
            site.mayHaveChildren = true
            try site.up(["BOBBIN_FAULT": "fsync@background/p5:1:\(errno)"])
            let child =
                "submit: {name: child, wait: true, job: {queue: background, steps: [{\(site.effect("child"))}]}}"
            try site.drop("parent.yaml", job([child]))
            let result = try site.result(of: "parent.yaml")
            #expect(result.state == "succeeded", "\(result)")
            #expect(site.count("child", "once") == 1)
        }
    }

    @Test("over-eager dedup: what is alike runs each time; only an explicit key makes a duplicate")
    func dedup() throws {
        try TestSite.use { site in
            try site.up()
            let same = job(["run: [\"\(site.path)/effect\", same, ran]"])
            for name in ["a.yaml", "b.yaml", "c.yaml"] { try site.drop(name, same) }
            for name in ["a.yaml", "b.yaml", "c.yaml"] {
                #expect(try site.result(of: name).state == "succeeded")
            }
            // The same name once more, and the same bytes by the verb.
            try site.drop("a.yaml", same)
            #expect(try site.result(of: "a.yaml", run: 2).state == "succeeded")
            #expect(Disk.lines(site.effects).count { $0.hasPrefix("same ran") } == 4)
            let keyed = job(["run: [\"\(site.path)/effect\", keyed, ran]"], head: "idempotency_key: once\n")
            try site.drop("k1.yaml", keyed)
            let first = try site.result(of: "k1.yaml")
            try site.drop("k2.yaml", keyed)
            let second = try site.result(of: "k2.yaml")
            #expect(second.state == "skipped" && second["outputs.duplicate_of"] == first.run)
            #expect(Disk.lines(site.effects).count { $0.hasPrefix("keyed ran") } == 1)
        }
    }

    @Test(
        "surprise defaults: what a file does not say is what the documents say, and a version is never guessed"
    )
    func defaults() throws {
        try TestSite.use("queues: {plain: {}}\n") { site in
            let repository = "\(#filePath)".split(separator: "/").dropLast(3).map { "/" + $0 }.joined()
            let manual = try #require(Disk.text("\(repository)/docs/OPERATING.md"))
            let queues = try Papers.parse(site.bobbin("queues", "--json").out)
            let plain = try #require(queues.items?.first { $0.text("name") == "plain" })
            for key in [
                "max_concurrent", "priority_levels", "max_attempts", "base_delay", "backoff_multiplier",
                "max_delay", "require_end",
            ] {
                let row = manual.split(separator: "\n").first { $0.hasPrefix("| `\(key)` |") }
                let cell = try #require(row?.split(separator: "|").dropFirst().first)
                let told = cell.filter { $0 != " " }
                #expect(plain.text(key) == told, "\(key): the manual says \(told)")
            }
            try site.up()
            for (name, head) in [
                ("none", ""), ("old", "dsl_version: \"1.0\"\n"), ("new", "dsl_version: \"2.0\"\n"),
                ("tenth", "dsl_version: 1.10\n"),
            ] {
                try site.drop("\(name).yaml", head + "steps: [{log: x}]\n")
                let answer = try site.reason(of: "\(name).yaml")
                #expect(
                    answer.code == "E-VERSION" && (answer["what_to_do"] ?? "").contains("1.1"), "\(answer)")
            }
        }
    }
}
