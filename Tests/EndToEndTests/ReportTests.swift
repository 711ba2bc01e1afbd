// What this is: end-to-end tests of the reporter: failures in groups, requeued as a group; metrics in files; a rebuilt index.
// Owns: fresh sites.
// Never: waits for the minute of the reporter: verbs ask now.
// On failure: shows what was printed.
import JobModel
import LinuxSystem
import Testing
import YamlText

@Suite("reports") struct ReportTests {
    private func json(_ outcome: Outcome, _ location: SourceLocation = #_sourceLocation) throws -> YamlNode {
        #expect(outcome.code == 0, "\(outcome)", sourceLocation: location)
        return try Papers.parse(outcome.out)
    }

    @Test("failures come in groups, a group is run again, said to be mended, and opens again by itself")
    func clusters() throws {
        try TestSite.use { site in
            try site.up()
            for number in 1...4 {
                try site.drop(
                    "f\(number).yaml",
                    job(["run: [sh, -c, \"echo table t\(number) is locked >&2; exit \(number)\"]"]))
            }
            for number in 1...2 {
                try site.drop("n\(number).yaml", job(["read_file: {path: /no/such/\(number)}"]))
            }
            try site.drop("ok.yaml", job(["log: x"]))
            for name in ["f1", "f2", "f3", "f4", "n1", "n2", "ok"] { try site.result(of: "\(name).yaml") }
            // The index is fed behind the results; a stopped runner has fed it.
            try site.stop()
            let rows = try json(site.bobbin("clusters", "--json"))
            #expect(rows.items?.count == 2)
            #expect(
                rows.text("0.count") == "4" && rows.text("0.status") == "new"
                    && rows.text("0.code") == "E-EXIT")
            #expect(rows.text("0.template") == "sh exited with <*>: table <*> is locked")
            #expect(rows.text("1.cluster") == "NO_FILES_FOUND" && rows.text("1.count") == "2")
            let id = try #require(rows.text("0.cluster"))
            let shown = try site.bobbin("clusters")
            #expect(shown.out.contains("4  \(id)") && shown.out.contains("bobbin requeue --cluster \(id)"))
            #expect(try site.bobbin("clusters", "--since", "yesterday").code == 2)

            let unknown = try site.bobbin("requeue", "--cluster", "NO_FILES_FUND")
            #expect(unknown.code == 1 && unknown.err.contains("did you mean `NO_FILES_FOUND`?"))
            let early = try site.bobbin("requeue", "--cluster", id, "--since", "2100-01-01")
            #expect(early.code == 1)
            let again = try site.bobbin("requeue", "--cluster", id)
            #expect(again.code == 0 && again.err.split(separator: "\n").count == 4, "\(again)")
            try site.up()
            for name in ["f1", "f2", "f3", "f4"] {
                site.expect("\(name).yaml")
                try site.result(of: "\(name).yaml", run: 2)
            }
            try site.stop()
            let after = try json(site.bobbin("clusters", "--json"))
            #expect(after.text("0.count") == "8" && after.text("0.cluster") == id)

            #expect(try site.bobbin("clusters", "resolve", "nothing").code == 2)
            #expect(try site.bobbin("clusters", "resolve", id).code == 0)
            #expect(try json(site.bobbin("clusters", "--json")).text("0.status") == "resolved")
            try site.up()
            try site.drop("again.yaml", job(["run: [sh, -c, \"echo table t9 is locked >&2; exit 9\"]"]))
            try site.result(of: "again.yaml")
            try site.stop()
            let back = try json(site.bobbin("clusters", "--json"))
            #expect(
                back.text("0.status") == "reappeared" && back.text("0.count") == "9"
                    && back.text("0.cluster") == id)
            let before = try site.bobbin("clusters", "--json").out
            for ending in ["", "-wal", "-shm"] { Disk.remove("\(site.spool)/.bobbin/index.sqlite\(ending)") }
            #expect(try site.bobbin("index", "rebuild").code == 0)
            #expect(try site.bobbin("clusters", "--json").out == before)
        }
    }

    @Test("metrics: as a table, as JSON, for Prometheus; reports/ has them") func metrics() throws {
        try TestSite.use { site in
            try site.up()
            try site.drop("ok.yaml", job(["log: x"]), "high_priority")
            try site.drop("no.yaml", job(["fail: x"]))
            for name in ["ok", "no"] { try site.result(of: "\(name).yaml") }
            // Written last.
            try site.wait("reports/metrics.json", in: [site.path, "\(site.path)/reports"]) {
                Disk.exists("\(site.path)/reports/metrics.json") ? () : nil
            }
            for name in ["metrics.prom", "latest/index.html", "latest/report.md", "latest/report.json"] {
                #expect(Disk.exists("\(site.path)/reports/\(name)"), "\(name)")
            }
            try site.stop()
            let tree = try json(site.bobbin("metrics", "--json"))
            #expect(tree.text("runs_24h") == "2" && tree.text("success_rate_24h") == "0.5")
            #expect(tree.text("failure_cluster_diversity") == "1" && tree.text("user_active_sessions") == "1")
            let prom = try site.bobbin("metrics", "--prom").out
            #expect(prom.contains("bobbin_runs_total{queue=\"high_priority\",state=\"succeeded\"} 1\n"))
            #expect(prom.contains("orchestrator_runs_total{status=\"failed\"} 1\n"))
            let table = try site.bobbin("metrics")
            #expect(table.code == 0 && table.out.contains("succeeded") && table.out.contains("50.0 %"))
            #expect(try site.bobbin("metrics", "--json", "--prom").code == 2)
            #expect(try site.bobbin("report").out.contains("| Runs | 2 | 2 |"))
            #expect(try site.bobbin("report", "--format", "html").out.hasSuffix("</html>\n"))
            #expect(try site.bobbin("report", "--format", "pdf").code == 2)
            // What the reporter wrote is whole, and the same kind of thing.
            let written = try #require(Disk.text("\(site.path)/reports/metrics.json"))
            let read = try #require(try JSONReader.read(Array(written.utf8)).mapValue)
            #expect(read["queues"]?.mapValue?["default"] != nil)
        }
    }

    @Test("an alert fires once, drops a job, tells, is acknowledged, ends; over restarts") func alerts()
        throws
    {
        try TestSite.use { site in
            site.mayHaveChildren = true
            let folder = "\(site.path)/reports/alerts", told = "\(site.path)/told"
            let reacted = "\(site.path)/reacted"
            try Disk.makeDirectory("\(site.path)/ops/notify.d")
            try Disk.write("#!/bin/sh\ncat >>'\(told)'\n", to: "\(site.path)/ops/notify.d/ops", mode: 0o755)
            try Disk.write(
                job(
                    ["run: [sh, -c, \"echo $1 >>'\(reacted)'\", sh, \"{{ value }}\"]"],
                    head: "name: react\nvariables: {value: 0}\n"),
                to: "\(site.path)/templates/react.yaml")
            func rule(_ bound: Int) throws {
                try Disk.write(
                    """
                    alerts:
                      - id: busy
                        metric: runs_24h
                        above: {warning: \(bound), critical: 1000}
                        recommended_actions: [have a coffee]
                        actions:
                          - notify: ops
                          - drop: {template: react.yaml, variables: {value: "{{ trigger.value }}"}}
                    """, to: "\(site.path)/ops/alerts.yaml")
            }
            func look() throws {
                Disk.remove("\(site.path)/reports/metrics.json")
                try site.up()
                try site.wait("reports/metrics.json", in: [site.path, "\(site.path)/reports"]) {
                    Disk.exists("\(site.path)/reports/metrics.json") ? () : nil
                }
            }
            try site.up()
            for name in ["a", "b"] {
                try site.drop("\(name).yaml", job(["log: x"]))
                try site.result(of: "\(name).yaml")
            }
            try site.stop()
            #expect(try site.bobbin("alerts").out.contains("no rules"))
            try rule(1)
            try look()
            try site.wait("the job that the alert drops", in: [site.path]) {
                Disk.lines(reacted) == ["2"] ? () : nil
            }
            try site.stop()
            let tagged = try json(site.bobbin("runs", "--tag", "alert:busy", "--json"))
            #expect(tagged.items?.count == 1 && tagged.text("0.state") == "succeeded")
            #expect(Disk.names(folder) == ["busy.json"])
            let written = try Papers.parse(Disk.text("\(folder)/busy.json") ?? "")
            #expect(written.text("state") == "warning" && written.text("value") == "2")
            #expect(Disk.text(told)?.contains("alert.warning") == true)
            let listed = try site.bobbin("alerts")
            #expect(
                listed.out.hasPrefix("WARNING  busy  busy: runs_24h is 3, above 1")
                    && listed.out.contains("- have a coffee"))
            #expect(try site.bobbin("report").out.contains("Warning: busy: runs\\_24h is 3, above 1"))

            #expect(try site.bobbin("alerts", "ack", "bussy").err.contains("did you mean `busy`?"))
            #expect(try site.bobbin("alerts", "ack", "busy", "--for", "40d").code == 2)
            #expect(try site.bobbin("alerts", "ack", "busy", "--note", "two\nlines").code == 2)
            #expect(try site.bobbin("alerts", "ack", "busy", "--for", "1h", "--note", "known").code == 0)
            #expect(try site.bobbin("alerts").out.contains(": known\n"))
            #expect(try !site.bobbin("report").out.contains("Warning: busy"))
            // Another life: it fires still, and nobody is told or asked to react once more.
            try look()
            try site.stop()
            #expect(Disk.text(told)?.split(separator: "\n").count == 1)
            #expect(Disk.lines(reacted) == ["2"])
            // A start with a mistake in the file moves nothing; mended, it is the alert of before.
            try Disk.write("alerts: [oops\n", to: "\(site.path)/ops/alerts.yaml")
            try look()
            try site.stop()
            #expect(Disk.names(folder) == ["busy.json"])
            try rule(1)
            try look()
            try site.stop()
            #expect(Disk.text(told)?.split(separator: "\n").count == 1 && Disk.lines(reacted) == ["2"])
            try rule(500)
            try look()
            try site.stop()
            #expect(Disk.names(folder) == [] && Disk.text(told)?.contains("alert.resolved") == true)
            #expect(
                try site.bobbin("alerts").out == "nothing fires; 1 numbers are watched (--all shows them)\n")
            let quiet = try site.bobbin("alerts", "ack", "busy")
            #expect(quiet.code == 1 && quiet.err.contains("does not fire"))
            try Disk.write(
                "alerts:\n  - {id: busy, metric: runs_24, above: 1}\n", to: "\(site.path)/ops/alerts.yaml")
            let wrong = try site.bobbin("alerts")
            #expect(wrong.code == 65 && wrong.err.contains("ops/alerts.yaml:2:"))
            #expect(try site.bobbin("report").out.contains("alerts.yaml has mistakes"))
            // Nor does something odd in its place keep the numbers back.
            Disk.remove("\(site.path)/ops/alerts.yaml")
            try Disk.makeDirectory("\(site.path)/ops/alerts.yaml")
            try look()
            try site.stop()
            #expect(try site.bobbin("metrics").code == 0)
        }
    }

    @Test("who could not be told is told in the next life; who was told is not told twice") func notices()
        throws
    {
        try TestSite.use { site in
            let told = "\(site.path)/told", numbers = "\(site.path)/reports/metrics.json"
            func look() throws {
                Disk.remove(numbers)
                try site.up()
                try site.wait("reports/metrics.json", in: [site.path, "\(site.path)/reports"]) {
                    Disk.exists(numbers) ? () : nil
                }
                try site.stop()
            }
            try Disk.write(
                "notify: [ops]\nalerts:\n  - {id: quiet, metric: runs_24h, below: 1}\n",
                to: "\(site.path)/ops/alerts.yaml")
            let before = try site.bobbin("doctor")
            #expect(before.out.contains("alert quiet") && before.out.contains("ops/notify.d/ops"))
            try look()
            #expect(Disk.names("\(site.path)/reports/alerts") == ["quiet.json"])
            try Disk.makeDirectory("\(site.path)/ops/notify.d")
            try Disk.write("#!/bin/sh\ncat >>'\(told)'\n", to: "\(site.path)/ops/notify.d/ops", mode: 0o755)
            for _ in 1...3 { try look() }
            #expect(Disk.lines(told).count == 1 && Disk.text(told)?.contains("alert.warning") == true)
        }
    }

    @Test("one of two cannot be told: the other is told once") func oneOfTwo() throws {
        try TestSite.use { site in
            let told = "\(site.path)/told", numbers = "\(site.path)/reports/metrics.json"
            try Disk.makeDirectory("\(site.path)/ops/notify.d")
            try Disk.write("#!/bin/sh\ncat >>'\(told)'\n", to: "\(site.path)/ops/notify.d/ops", mode: 0o755)
            try Disk.write(
                "notify: [ops, nobody]\nalerts:\n  - {id: quiet, metric: runs_24h, below: 1}\n",
                to: "\(site.path)/ops/alerts.yaml")
            for _ in 1...3 {
                Disk.remove(numbers)
                try site.up()
                try site.wait("reports/metrics.json", in: [site.path, "\(site.path)/reports"]) {
                    Disk.exists(numbers) ? () : nil
                }
                _ = try site.waitForLog("nobody could not be told")
                try site.stop()
            }
            #expect(Disk.lines(told).count == 1)
        }
    }

    @Test("the report's pages: of failed runs, of questions, of kinds of failures") func pages() throws {
        try TestSite.use { site in
            let reports = "\(site.path)/reports"
            try site.up()
            try site.drop("bad.yaml", job(["run: [sh, -c, \"echo anna@example.org burns >&2; exit 3\"]"]))
            try site.result(of: "bad.yaml")
            try site.drop("ask.yaml", job(["human_confirm: {message: \"really, though\"}"]))
            try site.wait("a question", in: [site.spool + "/approvals/requests"]) {
                Disk.names("\(site.spool)/approvals/requests").contains { $0.hasSuffix(".yaml") } ? () : nil
            }
            try site.stop()
            Disk.remove("\(reports)/metrics.json")
            try site.up()
            try site.wait("reports/metrics.json", in: [reports]) {
                Disk.exists("\(reports)/metrics.json") ? () : nil
            }
            let runs = Disk.names("\(reports)/runs"), clusters = Disk.names("\(reports)/clusters")
            #expect(runs.count == 2 && clusters.count == 1)
            let index = try #require(Disk.text("\(reports)/latest/index.html"))
            for name in runs + clusters where name.hasPrefix("T-") || index.contains("waited") {
                let folder = runs.contains(name) ? "runs" : "clusters"
                let page = try #require(Disk.text("\(reports)/\(folder)/\(name)"))
                #expect(page.hasSuffix("</html>\n") && !page.contains("anna@example.org"))
            }
            let cluster = try #require(Disk.text("\(reports)/clusters/\(clusters[0])"))
            #expect(index.contains("href=\"../clusters/\(clusters[0])\""))
            #expect(runs.count { cluster.contains("href=\"../runs/\($0)\"") } == 1)
            #expect(runs.count { index.contains("href=\"../runs/\($0)\"") } == 1)
            #expect(!(try site.bobbin("report", "--format", "html").out.contains("href=\"..")))
            let run = try #require(json(site.bobbin("runs", "--state", "waiting", "--json")).text("0.run"))
            #expect(try site.bobbin("cancel", run).code == 0)
            try site.result(of: "ask.yaml")
        }
    }

    @Test("the report of another stretch; the shipped daily_report writes it and tells") func windows() throws
    {
        try TestSite.use { site in
            let tree = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
            try Disk.write(
                try #require(Disk.text("/\(tree)/templates/daily_report.yaml")),
                to: "\(site.path)/templates/daily_report.yaml")
            try Disk.makeDirectory("\(site.path)/ops/notify.d")
            try Disk.write(
                "#!/bin/sh\ncat >>'\(site.path)/told'\n", to: "\(site.path)/ops/notify.d/ops", mode: 0o755)
            try site.up()
            try site.drop("ok.yaml", job(["log: x"]))
            try site.drop("no.yaml", job(["fail: x"]))
            for name in ["ok", "no"] { try site.result(of: "\(name).yaml") }
            try site.stop()
            try site.up()
            try site.drop(
                "r.yaml", "template: daily_report.yaml\nvariables: {report_type: weekly, notify: [ops]}\n")
            let paper = try site.result(of: "r.yaml")
            #expect(
                paper["state"] == "succeeded" && paper["outputs.runs"] == "2"
                    && paper["outputs.failed"] == "1")
            let page = try #require(paper["outputs.page"])
            #expect(page.hasPrefix("\(site.path)/reports/sent/weekly-"))
            #expect(Disk.text(page)?.hasSuffix("</html>\n") == true)
            let text = try #require(Disk.text(page.replacing(".html", with: ".md")))
            #expect(text.contains("| | 7 days | 7 days |") && text.contains("| Runs | 2 | 2 |"))
            #expect(Disk.text("\(site.path)/told")?.contains("weekly: 2 runs, 1 failed") == true)
            try site.drop("bad.yaml", job(["report: {until: yesterday}"]))
            #expect(try site.result(of: "bad.yaml")["error.code"] == "E-STEP-PARAM")
            try site.stop()

            let past = try json(
                site.bobbin("report", "--format", "json", "--until", "2001-01-01", "--since", "2000-01-01"))
            #expect(
                past.text("runs_window") == "0" && past.text("window.until") == "2001-01-01T00:00:00.000Z")
            #expect(past.text("runs_24h") == nil && past.text("queue_depth_current") == nil)
            // An end that is still to come is now.
            let coming = try json(
                site.bobbin("report", "--format", "json", "--until", "2200-01-01"))
            #expect(coming.text("runs_24h") == "4" && coming.text("queue_depth_current") == "0")
            #expect(past.text("scheduler_metrics.scheduled_runs_window") == "0")
            let month = try site.bobbin("report", "--since", "30d")
            #expect(month.out.contains("| | 30 days | 7 days |") && month.out.contains("| Runs | 4 | 4 |"))
            #expect(
                try site.bobbin("report", "--since", "2d", "--format", "html").out.contains(
                    "Failures of 2 days"))
            #expect(try site.bobbin("report", "--since", "2001-01-02", "--until", "2001-01-01").code == 2)
        }
    }

    @Test("bobbin top fits the screen that it is given, and shows what goes on") func top() throws {
        try TestSite.use { site in
            try site.up()
            try site.drop(
                "bad.yaml",
                job(["fail: \"\u{65E5}\u{672C}\u{8A9E} \(String(repeating: "long ", count: 60))\""]))
            try site.result(of: "bad.yaml")
            try site.drop("ask.yaml", job(["human_confirm: {message: x}"]))
            try site.wait("a question", in: [site.spool + "/approvals/requests"]) {
                Disk.names("\(site.spool)/approvals/requests").contains { $0.hasSuffix(".yaml") } ? () : nil
            }
            for (columns, rows) in [(80, 24), (40, 10), (20, 8), (200, 60)] {
                let screen = try Program.call(
                    ["top", "--once", "--site", site.path],
                    environment: ["COLUMNS": "\(columns)", "LINES": "\(rows)"])
                let lines = screen.out.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
                #expect(screen.code == 0 && lines.count == rows, "\(screen)")
                // Cells: the three wide letters take two each.
                let widths = lines.map { line in
                    line.unicodeScalars.reduce(0) { $0 + ($1.value >= 0x3000 ? 2 : 1) }
                }
                #expect((widths.max() ?? 0) <= columns, "\(screen.out)")
                #expect(screen.out.contains("Asking (1)") && screen.out.contains("> "))
                #expect(rows < 20 || screen.out.contains("OLDEST"))
            }
            let run = try #require(json(site.bobbin("runs", "--state", "waiting", "--json")).text("0.run"))
            #expect(try site.bobbin("cancel", run).code == 0)
            try site.result(of: "ask.yaml")
            try site.stop()
            // The index is fed behind the results; a stopped runner has fed it.
            let last = try site.bobbin("top", "--once").out
            #expect(last.contains("nobody is working") && last.contains("Failed lately (1)"))
        }
    }

    @Test("mistakes in ops/failure-rules.yaml are told, and the built-in rules hold") func badRules() throws {
        try TestSite.use { site in
            try site.up()
            try site.drop("n.yaml", job(["read_file: {path: /no/such}"]))
            try site.result(of: "n.yaml")
            try site.stop()
            try Disk.write(
                "rules:\n  OURS: {patterns: ['no such file'], severity: high}\n",
                to: "\(site.path)/ops/failure-rules.yaml")
            #expect(try json(site.bobbin("clusters", "--json")).text("0.cluster") == "OURS")
            try Disk.write("rules:\n  OURS: {patterns: ['(']}\n", to: "\(site.path)/ops/failure-rules.yaml")
            let answer = try site.bobbin("clusters", "--json")
            #expect(answer.code == 0 && answer.err.contains("ops/failure-rules.yaml:2:"))
            #expect(answer.out.contains("NO_FILES_FOUND"))
            Disk.remove("\(site.path)/ops/failure-rules.yaml")
            try Disk.makeDirectory("\(site.path)/ops/failure-rules.yaml")
            let folder = try site.bobbin("clusters", "--json")
            #expect(
                folder.code == 0 && folder.err.contains("must be a plain file")
                    && folder.out.contains("NO_FILES_FOUND"))
        }
    }

    @Test("runs by tag, time and text; pages that new runs do not move") func runs() throws {
        try TestSite.use { site in
            try site.up()
            for number in 1...7 {
                try site.drop(
                    "r\(number).yaml",
                    job(["log: x"], head: "name: r\(number)\ntags: [\(number % 2 == 0 ? "even" : "odd")]\n"))
                try site.result(of: "r\(number).yaml")
            }
            try site.drop("bad.yaml", job(["fail: the pump is hot"]))
            try site.result(of: "bad.yaml")
            try site.stop()
            func names(_ options: String...) throws -> [String] {
                let tree = try json(Program.call(["runs", "--json", "--site", site.path] + options))
                return (tree.items ?? []).map { $0.text("job") ?? "" }
            }
            #expect(try names("--tag", "even") == ["r6", "r4", "r2"])
            #expect(try names("--tag", "eve") == [])
            #expect(try names("--text", "PUMP") == ["bad"])
            #expect(try names("--since", "1h").count == 8 && names("--until", "1h") == [])
            #expect(try names("--since", "2100-01-01") == [])
            #expect(try site.bobbin("runs", "--since", "soon").code == 2)
            let page = try site.bobbin("runs", "--limit", "3")
            let last = try #require(page.out.split(separator: "\n").last?.split(separator: " ").first)
            #expect(page.err.contains("--before \(last)"))
            try site.up()
            try site.drop("new.yaml", job(["log: x"]))
            try site.result(of: "new.yaml")
            try site.stop()
            #expect(try names("--limit", "3", "--before", String(last)) == ["r5", "r4", "r3"])
            #expect(try site.bobbin("runs", "--before", "abc").code == 2)
            #expect(try site.bobbin("runs", "--limit", "9223372036854775807").code == 2)
        }
    }
}
