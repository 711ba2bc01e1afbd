// What this is: how runs end and what a result says about it: succeeded, failed, timed_out, retries, clean-up steps.
// Owns: the scenes that need no command from a person.
// Never: looks at timings beyond what was asked for.
// On failure: shows the result file.
import Testing

private let cleanUp = "on_failure:\n  - %F\nfinally:\n  - %Y\n"

@Suite("states", .onSites) struct StateTests {
    /// A job with an effect in each section.
    private func guarded(
        _ site: TestSite, _ id: String, _ steps: [String], head: String = "", tail: String = ""
    ) -> String {
        let sections = cleanUp.replacing("%F", with: site.effect(id, "on_failure")).replacing(
            "%Y", with: site.effect(id, "finally"))
        return job(steps, head: head, tail: sections + tail)
    }

    @Test("succeeded: outputs with their types, finally, no on_failure") func succeeded() throws {
        try TestSite.use { site in
            try site.up()
            let steps = [
                "set: {n: 3, list: [1, two]}\n    id: s", "run: [echo, \"{{ steps.s.n }}\"]\n    id: e",
                "log: never\n    when: \"false\"",
            ]
            let tail =
                "outputs: {n: \"{{ steps.s.n }}\", said: \"{{ steps.e.stdout }}\", all: \"{{ steps.s.list }}\"}\n"
            try site.drop("ok.yaml", guarded(site, "ok", steps, tail: tail))
            let result = try site.result(of: "ok.yaml")
            #expect(result.state == "succeeded", "\(result)")
            #expect(
                result.node("outputs.n")?.scalar?.value == .int(3) && result["outputs.said"] == "3"
                    && result["outputs.all.1"] == "two", "\(result)")
            #expect(
                result["steps.2.state"] == "skipped" && result["attempts"] == "1"
                    && result["error.code"] == nil)
            #expect(site.count("ok", "finally") == 1 && site.count("ok", "on_failure") == 0)
        }
    }

    @Test("failed: the error, on_failure before finally, later steps not run") func failed() throws {
        try TestSite.use { site in
            try site.up()
            let steps = [
                "run: [sh, -c, \"echo out; echo oops >&2; exit 7\"]\n    name: break it",
                site.effect("bad", "later"),
            ]
            try site.drop("bad.yaml", guarded(site, "bad", steps))
            let result = try site.result(of: "bad.yaml")
            #expect(
                result.state == "failed" && result.path.contains("/failed/") && result.code == "E-EXIT",
                "\(result)")
            #expect(
                result["error.step"] == "1" && result["error.message"]?.contains("7") == true
                    && result["steps.0.title"] == "break it", "\(result)")
            #expect("\(result)".contains("oops"))
            #expect(
                Disk.lines(site.effects).map { $0.split(separator: " ")[1] } == ["on_failure", "finally"])
        }
    }

    @Test(
        "fail, a false assert, an undefined value, a signal",
        arguments: [
            ("fail: enough", "E-FAIL"), ("assert: {condition: \"1 > 2\", message: no}", "E-ASSERT"),
            ("run: [sh, -c, \"kill -9 $$\"]", "E-SIGNAL"), ("run: [/nowhere/program]", "E-EXEC"),
            ("log: \"{{ steps.x.nothing }}\"", "E-UNDEFINED"),
        ]) func failures(_ step: String, _ code: String) throws
    {
        try TestSite.use { site in
            try site.up()
            try site.drop("f.yaml", job(["set: {a: 1}\n    id: x", step]))
            let result = try site.result(of: "f.yaml")
            #expect(
                result.state == "failed" && result.code == code && result["error.step"] == "2", "\(result)")
        }
    }

    @Test("timed_out: a step's limit and the run's, the process is gone, finally runs") func timedOut() throws
    {
        try TestSite.use { site in
            try site.up()
            try site.drop("step.yaml", guarded(site, "s", ["run: [sleep, \"311\"]\n    timeout: 300ms"]))
            try site.drop("run.yaml", guarded(site, "r", ["run: [sleep, \"312\"]"], head: "timeout: 300ms\n"))
            for (name, id) in [("step.yaml", "s"), ("run.yaml", "r")] {
                let result = try site.result(of: name)
                #expect(result.state == "timed_out" && result["steps.0.state"] == "timed_out", "\(result)")
                #expect(site.count(id, "finally") == 1 && site.count(id, "on_failure") == 1)
            }
            for seconds in ["311", "312"] {
                #expect(!Program.isRunning(["sleep", seconds]), "sleep \(seconds) lives")
            }
        }
    }

    @Test("continue_on_error goes on") func goesOn() throws {
        try TestSite.use { site in
            try site.up()
            try site.drop(
                "go.yaml",
                guarded(site, "go", ["run: [\"false\"]\n    continue_on_error: true", site.effect("go")]))
            let result = try site.result(of: "go.yaml")
            #expect(
                result.state == "succeeded" && result["steps.0.state"] == "failed"
                    && site.count("go", "once") == 1, "\(result)")
        }
    }

    @Test("a step's retries, then success; the same key each time") func stepRetry() throws {
        try TestSite.use { site in
            try site.up()
            let flaky =
                "run: [sh, -c, \"\(site.path)/effect r try; test $(grep -c '^r try' \(site.effects)) -ge 3\"]\n    retry: {max_attempts: 5, base_delay: 50ms}"
            try site.drop("r.yaml", guarded(site, "r", [site.effect("r", "once-before"), flaky]))
            let result = try site.result(of: "r.yaml")
            #expect(
                result.state == "succeeded" && result["steps.3.attempt"] == "3"
                    && result["waits.1.reason"] == "retry", "\(result)")
            #expect(site.count("r", "try") == 3 && site.count("r", "on_failure") == 0)
            let keys = Set(
                Disk.lines(site.effects).filter { $0.hasPrefix("r try") }.map {
                    $0.split(separator: " ").last
                })
            #expect(keys.count == 1)
        }
    }

    @Test("a run's own retry begins anew; on_failure only at the end") func runRetry() throws {
        try TestSite.use { site in
            try site.up()
            try site.drop(
                "rr.yaml",
                guarded(
                    site, "rr", [site.effect("rr", "try"), "run: [\"false\"]"],
                    head: "retry: {max_attempts: 3, base_delay: 50ms}\n"))
            let result = try site.result(of: "rr.yaml")
            #expect(result.state == "failed" && result["attempts"] == "3", "\(result)")
            #expect(
                site.count("rr", "try") == 3 && site.count("rr", "on_failure") == 1
                    && site.count("rr", "finally") == 1)
        }
    }

    @Test("a queue's own retry is for failures from outside, with repeatable steps") func queueRetry() throws
    {
        try TestSite.use { site in
            try site.up()
            try site.drop("q.yaml", job(["make_request: {url: \"http://127.0.0.1:9/\"}"]))
            try site.drop("e.yaml", job(["run: [\"false\"]"]))
            #expect(try site.result(of: "q.yaml")["attempts"] == "3")
            #expect(try site.result(of: "e.yaml")["attempts"] == "1")
        }
    }

    @Test("a failure that is final is not retried") func neverRetried() throws {
        try TestSite.use { site in
            try site.up()
            try site.drop(
                "n.yaml",
                job(
                    [site.effect("n", "try"), "fail: enough"],
                    head: "retry: {max_attempts: 3, base_delay: 50ms}\n"))
            #expect(try site.result(of: "n.yaml")["attempts"] == "1")
            #expect(site.count("n", "try") == 1)
        }
    }

    @Test("a run that waits for its retry holds no slot, and release starts it now") func retryHoldsNoSlot()
        throws
    {
        try TestSite.use { site in
            try site.up()
            let once =
                "run: [sh, -c, \"\(site.path)/effect w try; test $(grep -c '^w try' \(site.effects)) -ge 2\"]\n    retry: {max_attempts: 2, base_delay: 1h, max_delay: 1h}"
            try site.drop("w.yaml", job([once]), "background")
            let parked = try site.parked("w.yaml", "retry")
            try site.drop("other.yaml", job([site.effect("other")]), "background")
            #expect(try site.result(of: "other.yaml").state == "succeeded")
            let status = try Papers.parse(site.bobbin("status", "--json").out)
            #expect(status.text("queues.2.parked.retry") == "1" && status.text("queues.2.running") == "0")
            #expect(try site.bobbin("release", parked.id).code == 0)
            #expect(try site.result(of: "w.yaml").state == "succeeded")
        }
    }

    @Test("a template with variables") func template() throws {
        try TestSite.use { site in
            try Disk.write(
                job(
                    ["log: \"{{ who }}\"\n    id: l"], head: "variables: {who: nobody}\n",
                    tail: "outputs: {who: \"{{ who }}\"}\n"), to: "\(site.path)/templates/greet.yaml")
            try site.up()
            try site.drop("t.yaml", "template: greet.yaml\nvariables: {who: Ada}\n")
            let result = try site.result(of: "t.yaml")
            #expect(
                result.state == "succeeded" && result["outputs.who"] == "Ada"
                    && result["drop.template"] == "greet.yaml", "\(result)")
        }
    }

    @Test(
        "a template with parameters: what does not fit never runs, from the spool and from the command line alike"
    )
    func parameters() throws {
        try TestSite.use { site in
            let head = """
                params:
                  target: {type: string, enum: [staging, production]}
                  count: {type: integer, max: 9, default: 3}
                  release: {type: string, default: none}

                """
            try Disk.write(
                job(
                    ["log: \"{{ target }} {{ count }}\""], head: head,
                    tail: "outputs: {count: \"{{ count }}\", release: \"{{ release }}\"}\n"),
                to: "\(site.path)/templates/send.yaml")
            try site.up()
            try site.drop("good.yaml", "template: send.yaml\nvariables: {target: staging, count: 5}\n")
            #expect(try site.result(of: "good.yaml")["outputs.count"] == "5")
            for (name, variables) in [
                ("none", "{}"), ("wrong", "{target: moon}"), ("large", "{target: staging, count: 10}"),
            ] {
                try site.drop("\(name).yaml", "template: send.yaml\nvariables: \(variables)\n")
                let reason = try site.reason(of: "\(name).yaml")
                #expect(reason.code == "E-PARAM", "\(name): \(reason)")
            }
            let call = site.outside("call.yaml")
            try Disk.write("template: send.yaml\n", to: call)
            #expect(try site.bobbin("submit", call).code == 65)
            #expect(
                try site.bobbin("submit", call, "--var", "target=moon").err.contains(
                    "must be one of staging, production"))
            _ = try site.submit("sent.yaml", "template: send.yaml\n", "--wait", "--var", "target=production")
            #expect(
                try site.bobbin("run", call, "--var", "target=production", "--var", "count=x").err.contains(
                    "E-PARAM"))
            #expect(try site.bobbin("run", call, "--var", "target=staging").out.contains("count: 3"))
            // A text stays as it was written, whatever number it looks like.
            #expect(
                try site.bobbin("run", call, "--var", "target=staging", "--var", "release=1.10").out.contains(
                    "release: 1.10"))
            #expect(
                try site.bobbin("run", call, "--var", "target=staging", "--var", "relase=1").err.contains(
                    "there is no parameter `relase`"))
            #expect(try site.bobbin("explain", call).out.contains("must be given"))
        }
    }

    @Test("what a step prints is kept, capped and escaped in the result") func output() throws {
        try TestSite.use { site in
            try site.up()
            try site.drop(
                "o.yaml",
                job([
                    "run: [printf, \"\\\\033[31mred\\\\007\"]",
                    "run: [sh, -c, \"head -c 3000000 /dev/zero | tr '\\\\0' x\"]",
                ]))
            let result = try site.result(of: "o.yaml")
            #expect(
                result.state == "succeeded" && result["steps.1.outputs.truncated"] == "true",
                "\(result.state) \(result.code)")
            #expect(!TestSite.isRaw("\(result)"))
            let said = try site.bobbin("log", result.run)
            #expect(said.code == 0 && said.out.contains("red") && !TestSite.isRaw(said.out))
            #expect(try site.bobbin("log", "--raw", result.run).out.contains("\u{1B}[31mred"))
            #expect(
                Disk.bytes("\(site.spool)/\(result["steps.0.log"] ?? "")")?.contains(0x1B) == true,
                "the log keeps what was said")
        }
    }
}
