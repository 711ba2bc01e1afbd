// What this is: the verbs as a script uses them: output, JSON, exit codes, prefixes, filters.
// Owns: one site with a few ended runs for the reading verbs.
// Never: compares whole texts.
// On failure: shows code and output of the call.
import LinuxSystem
import Testing
import YamlText

@Suite("command line", .onSites) struct CommandLineTests {
    @Test("usage is 2, help is 0, nothing of it needs a site") func usage() throws {
        let rows: [([String], Int32)] = [
            (["--help"], 0), (["help", "submit"], 0), (["version"], 0), (["--version"], 0),
            (["--generate-completion-script", "bash"], 0), (["steps"], 0), (["steps", "run"], 0),
            (["nonsense"], 2), (["submit"], 2), (["run", "--runner", "A B"], 2), (["steps", "nonsense"], 2),
            (["status", "--site", "/nowhere/at/all"], 2), (["runs", "--limit", "0", "--site", "/"], 2),
        ]
        for (arguments, code) in rows {
            let said = try Program.call(arguments)
            #expect(said.code == code, "\(arguments): \(said)")
            #expect(code == 0 || !said.err.isEmpty, "\(arguments) says nothing on stderr")
        }
    }

    @Test("--site stands before or after the verb, or in the environment, or is found upward")
    func whichSite() throws {
        try TestSite.use { site in
            #expect(try Program.call(["--site", site.path, "status"]).code == 0)
            #expect(try Program.call(["--site=\(site.path)", "queues"]).code == 0)
            #expect(try Program.call(["status", "--site", site.path]).code == 0)
            #expect(try Program.call(["status"], environment: ["BOBBIN_SITE": site.path]).code == 0)
            #expect(try Program.call(["status"], in: "\(site.path)/spool/done").code == 0)
            let nested = try Program.call(["--site", site.path, "journal", "verify"])
            do {
                #expect(nested.code == 0, "\(nested)")
            }
        }
    }

    @Test("init makes a site once and keeps what is there") func initialise() throws {
        try TestSite.use { site in
            let before = Disk.text("\(site.path)/ops/orchestrator.yaml")
            let again = try Program.call(["init", site.path])
            #expect(again.code == 0 && again.out.contains("already"))
            #expect(Disk.text("\(site.path)/ops/orchestrator.yaml") == before)
            for queue in ["default", "high_priority", "background"] {
                #expect(try site.bobbin("queues").out.contains(queue))
            }
        }
    }

    @Test("check: 65, and the same text as the rejection's details") func check() throws {
        try TestSite.use { site in
            try site.up()
            let text = "dsl_version: \"1.1\"\nprioritty: 3\nsteps:\n  - logg: x\n  - sleep: soon\n"
            try site.drop("c.yaml", text)
            let reason = try site.reason(of: "c.yaml")
            try Disk.write(text, to: site.outside("c.yaml"))
            let said = try Program.call(["check", "c.yaml"], in: "\(site.path)/outside")
            #expect(said.code == 65)
            #expect(reason["details"]?.trimmingEnds == said.out.trimmingEnds, "\(reason)\n\(said.out)")
            #expect(said.out.contains("c.yaml:2:1: error:") && said.out.contains("^"), "\(said.out)")
            let rows = try Papers.parse(
                Program.call(["check", "c.yaml", "--json"], in: "\(site.path)/outside").out)
            #expect(
                rows.items?.count == 3 && rows.text("0.line") == "2" && rows.text("0.code") == "E-KEY",
                "\(said.out)")
            try Disk.write(job(["log: x"]), to: site.outside("g.yaml"))
            #expect(try site.bobbin("check", site.outside("g.yaml")).code == 0)
            #expect(try site.bobbin("check", site.outside("g.yaml"), site.outside("c.yaml")).code == 65)
            #expect(try site.bobbin("check", site.outside("missing.yaml")).code == 65)
            #expect(try site.bobbin("submit", site.outside("c.yaml")).code == 65)
            #expect(try site.bobbin("explain", site.outside("g.yaml")).out.contains("log"))
        }
    }

    @Test("submit --wait: 0, 1, 65, and --var with its type") func submitAndWait() throws {
        try TestSite.use { site in
            try site.up()
            let text = job(
                ["assert: {condition: \"n == 4\"}"], head: "variables: {n: 3, name: x}\n",
                tail: "outputs: {n: \"{{ n }}\", name: \"{{ name }}\"}\n")
            try Disk.write(text, to: site.outside("v.yaml"))
            func submit(_ options: String...) throws -> Outcome {
                let said = try Program.call(
                    ["submit", site.outside("v.yaml"), "--site", site.path] + options)
                if let path = said.out.split(whereSeparator: \.isWhitespace).first(where: {
                    $0.hasPrefix("spool/")
                }) {
                    site.expect(String(path.split(separator: "/").last ?? ""))
                }
                return said
            }
            let good = try submit("--wait", "--var", "n=4", "--var", "name=a b")
            #expect(good.code == 0 && good.out.contains("succeeded") && good.out.contains("a b"), "\(good)")
            let bad = try submit("--wait")
            #expect(bad.code == 1 && bad.out.contains("E-ASSERT"), "\(bad)")
            #expect(try submit("--queue", "nowhere").code == 65)
            #expect(try submit("--priority", "12").code == 2)
            #expect(try submit("--var", "n").code == 2)
        }
    }

    @Test("wait: 0, 1, 65 for a rejected drop, 2 for what nobody knows (3: see stopping)") func wait() throws
    {
        try TestSite.use { site in
            try site.up()
            let good = try site.submit("g.yaml", job([site.gate("g")]))
            let bad = try site.submit("b.yaml", job(["fail: no"]))
            try site.waitForEffect("g", "gate")
            try site.open(gate: "g")
            #expect(try site.bobbin("wait", good.ticket).code == 0)
            #expect(try site.bobbin("wait", good.ticket, bad.ticket).code == 1)
            #expect(try site.bobbin("wait", "01KAJ0000000000000000000AA").code == 2)
            // A drop with a ticket that is sent back: the queue forbids what the file says.
            let ticket = "01KAJ00000000000000000ZZZZ"
            try site.drop("r.\(ticket).yaml", job(["log: x"], head: "queue: background\n"))
            try site.reason(of: "r.\(ticket).yaml")
            let said = try site.bobbin("wait", ticket)
            do {
                #expect(said.code == 65 && said.err.contains("E-QUEUE"), "\(said)")
            }
        }
    }

    @Test("under a working leader the index is made anew by that leader") func rebuildWhileWorking() throws {
        try TestSite.use { site in
            try site.up()
            try site.drop("before.yaml", job(["log: x"], head: "name: before\n"))
            try site.result(of: "before.yaml")
            _ = try site.wait("the index with it", in: ["\(site.spool)/.bobbin"]) {
                try site.bobbin("runs").out.contains("before") ? true : nil
            }
            #expect(try site.bobbin("index", "rebuild").code == 0)
            _ = try site.waitForLog("the index was removed or replaced")
            try site.drop("after.yaml", job(["log: x"], head: "name: after\n"))
            try site.result(of: "after.yaml")
            _ = try site.wait("the new index with both", in: ["\(site.spool)/.bobbin"]) {
                let runs = try site.bobbin("runs").out
                return runs.contains("before") && runs.contains("after") ? true : nil
            }
        }
    }

    @Test("run JOB in the foreground: its code, its variables, no spool touched") func foreground() throws {
        try TestSite.use { site in
            let text = job(
                [site.effect("fg"), "assert: {condition: \"n == 2\"}"], head: "variables: {n: 1}\n")
            try Disk.write(text, to: site.outside("fg.yaml"))
            #expect(try site.bobbin("run", site.outside("fg.yaml"), "--var", "n=2").code == 0)
            #expect(try site.bobbin("run", site.outside("fg.yaml")).code == 1)
            #expect(site.count("fg", "once") == 2)
            try Disk.write("x\n", to: site.outside("bad.yaml"))
            #expect(try site.bobbin("run", site.outside("bad.yaml")).code == 65)
        }
    }
}

extension String {
    var trimmingEnds: String {
        var text = Substring(self)
        while let last = text.last, last.isWhitespace { text.removeLast() }
        return String(text)
    }
}
