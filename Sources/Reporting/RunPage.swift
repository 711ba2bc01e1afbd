// What this is: a run as one page: what became of it, its steps in time, answers, waits, the ends of its logs.
// Owns: the order, the bars of the timeline; the masking of what is personal.
// Never: reads a log; writes a text that is not escaped.
// On failure: cannot fail; of a run without steps the timeline is a sentence.
import JobModel

public enum RunPage {
    /// The end of what a step said.
    public struct Log: Sendable {
        public var step: String
        public var text: String
        public var isCut: Bool
        public init(step: String, text: String, isCut: Bool) {
            self.step = step
            self.text = text
            self.isCut = isCut
        }
    }
    private static let mostSteps = 200
    /// In the page of a run that has not ended, near its beginning.
    public static let openMark = "data-run=\"open\""

    public static func html(_ run: RunRecord, logs: [Log], now: Timestamp) -> String {
        let job = personal(run.acceptance.jobName)
        var body =
            "<header\(run.finalState == nil ? " \(openMark)" : "")><h1>\(job) <em class=\"\(run.finalState?.isFailure == true ? "critical" : "mark")\">\(run.state.text)</em></h1><p><code>\(run.id)</code> · as of \(ReportWords.moment(now))</p></header>\n<main>\n"
        if let failure = run.failure ?? run.unknownStep?.failure {
            let step = failure.step.map { "Step \(Html.escaped($0)): " } ?? ""
            body += Html.section(
                "why", "Why",
                "<p class=\"critical\">\(step)\(personal(failure.message)) <code>\(Html.escaped(failure.code))</code></p><p>\(Html.withCode(PersonalData.masked(failure.whatToDo)))</p>"
            )
        }
        body += Html.section("facts", "Facts", facts(run))
        body += Html.section("steps", "Steps in time", timeline(run, now))
        let answers = self.answers(run)
        if !answers.isEmpty { body += Html.section("answers", "Answers", "<ul>\(answers)</ul>") }
        if !run.outputs.entries.isEmpty {
            let rows = run.outputs.entries.map {
                [Html.escaped($0.key), personal(String($0.value.text.prefix(500)))]
            }
            body += Html.section(
                "outputs", "Outputs", Html.table("Outputs of the job", ["Name", "Value"], rows))
        }
        for (number, log) in logs.enumerated() {
            body += Html.section(
                "log\(number)", "Log of step \(personal(log.step))",
                (log.isCut ? "<p>The end of it: <code>bobbin log \(run.id)</code> shows all.</p>" : "")
                    + "<pre tabindex=\"0\">\(personal(log.text))</pre>")
        }
        body +=
            "</main>\n<footer><p>Mail addresses, people's directories and phone numbers are masked.</p></footer>\n"
        return Html.page("\(PersonalData.masked(run.acceptance.jobName)), \(run.state.text)", body)
    }

    private static func personal(_ text: String) -> String { Html.escaped(PersonalData.masked(text)) }

    private static func facts(_ run: RunRecord) -> String {
        let accepted = run.acceptance
        var rows: [(String, String)] = [
            ("Queue", "\(accepted.queue), priority \(accepted.priority.level)"),
            ("File", accepted.dropName), ("Submitted by", accepted.submitter.name),
            ("Arrived", ReportWords.moment(accepted.arrivedAt)),
        ]
        if let started = run.startedAt {
            rows.append(("Waited", ReportWords.age(started.since(accepted.arrivedAt))))
            if let ended = run.endedAt { rows.append(("Took", ReportWords.age(ended.since(started)))) }
        }
        if run.attempt > 1 { rows.append(("Attempts", "\(run.attempt)")) }
        if let template = accepted.templateName { rows.append(("Template", template)) }
        if let origin = accepted.requeueOf { rows.append(("Requeue of", origin)) }
        for wait in run.waits {
            let end = wait.endedAt.map { ReportWords.age($0.since(wait.wait.since)) } ?? "until now"
            rows.append(
                ("Wait (\(wait.wait.reason.rawValue))", "from \(ReportWords.moment(wait.wait.since)), \(end)")
            )
        }
        let cells = rows.map {
            "<div class=\"tile\"><dt>\(Html.escaped($0.0))</dt><dd>\(personal($0.1))</dd></div>"
        }
        return "<dl class=\"tiles\">\(cells.joined())</dl>"
    }

    private static func timeline(_ run: RunRecord, _ now: Timestamp) -> String {
        let steps = run.steps.filter { $0.type != StepRecord.roundType }
        guard let first = steps.map(\.startedAt).min() else { return "<p>No step has begun.</p>" }
        let last = steps.map { $0.endedAt ?? now }.max() ?? now
        let whole = Double(max(1, last.since(first).milliseconds))
        let rows = steps.prefix(mostSteps).map { step -> [String] in
            let from = Double(max(0, step.startedAt.since(first).milliseconds)) / whole * 1000
            let length = max(
                4, Double(max(0, (step.endedAt ?? now).since(step.startedAt).milliseconds)) / whole * 1000)
            let color = step.failure == nil ? "ok" : "fail"
            let bar =
                "<svg class=\"bar\" viewBox=\"0 0 1000 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\"><rect class=\"\(color)\" x=\"\(Int(min(from, 996)))\" y=\"0\" width=\"\(Int(min(length, 1000 - min(from, 996))))\" height=\"10\"/></svg>"
            let again = step.runAttempt > 1 || step.attempt > 1 ? " (\(step.runAttempt).\(step.attempt))" : ""
            return [
                "\(Html.escaped(step.label))\(again) \(personal(String(step.title.prefix(80))))",
                Html.escaped(step.state.rawValue),
                step.endedAt.map { ReportWords.age($0.since(step.startedAt)) } ?? "runs",
                bar,
            ]
        }
        let more = steps.count > mostSteps ? "<p>and \(steps.count - mostSteps) more</p>" : ""
        return Html.table(
            "From \(ReportWords.moment(first)) to \(ReportWords.moment(last))",
            ["Step", "State", "Took", "When"], Array(rows)) + more
    }

    private static func answers(_ run: RunRecord) -> String {
        run.approvals.flatMap { entry -> [String] in
            var lines = entry.decisions.map { decision in
                let own = decision.isSelf && decision.verdict == .approve ? " (self-approved)" : ""
                let why = decision.comment.isEmpty ? "" : ": \(personal(decision.comment))"
                return
                    "<li>Step \(Html.escaped(entry.place.text)): \(decision.verdict.rawValue) by \(Html.escaped(decision.by.name)), \(ReportWords.moment(decision.at))\(own)\(why)</li>"
            }
            if let over = entry.expiredAt {
                lines.append(
                    "<li>Step \(Html.escaped(entry.place.text)): nobody said enough before \(ReportWords.moment(over))</li>"
                )
            }
            return lines
        }.joined()
    }
}

/// A cluster as one page.
public enum ClusterPage {
    private static let mostRuns = 50
    /// `link`: the address of a run's page, where it has one.
    public static func html(_ cluster: FailureCluster, now: Timestamp, link: (RunID) -> String?) -> String {
        var body =
            "<header><h1>\(Html.escaped(cluster.displayName)) <em class=\"\(cluster.severity.rawValue)\">\(cluster.severity.rawValue)</em></h1><p><code>\(Html.escaped(cluster.id))</code> · \(cluster.status.rawValue) · as of \(ReportWords.moment(now))</p></header>\n<main>\n"
        body += Html.section(
            "numbers", "Numbers",
            "<p><b>\(ReportWords.amount(cluster.count))</b>, \(cluster.trend.rawValue): \(ReportWords.amount(cluster.countBefore)) in the stretch before. First \(ReportWords.moment(cluster.firstSeen)), last \(ReportWords.moment(cluster.lastSeen)).</p>"
                + (cluster.template.isEmpty
                    ? "" : "<p>What they share: <samp>\(Html.escaped(cluster.template))</samp></p>"))
        var todo = cluster.recommendedActions.map { "<li>\(Html.withCode($0))</li>" }
        todo.append(
            "<li>Once it is mended: <code>bobbin requeue --cluster \(Html.escaped(cluster.id))</code>, <code>bobbin clusters resolve \(Html.escaped(cluster.id))</code></li>"
        )
        body += Html.section("todo", "To do", "<ol>\(todo.joined())</ol>")
        body += Html.section(
            "samples", "Examples",
            "<ul>\(cluster.samples.map { "<li><samp>\(Html.escaped($0))</samp></li>" }.joined())</ul>")
        for (id, title, list) in [
            ("jobs", "Jobs", cluster.jobs), ("stepnames", "Steps", cluster.steps),
            ("runners", "Runners", cluster.runners),
        ] where !list.isEmpty {
            body += Html.section(
                id, title,
                Html.table(
                    title, ["Name", "Failures"],
                    list.prefix(30).map { [Html.escaped($0.name), ReportWords.amount($0.count)] }))
        }
        let runs = cluster.runs.prefix(mostRuns).map { run in
            link(run).map { "<li><a href=\"\($0)\"><code>\(run)</code></a></li>" }
                ?? "<li><code>bobbin show \(run)</code></li>"
        }
        body += Html.section("runs", "Newest runs", "<ul>\(runs.joined())</ul>")
        return Html.page("\(cluster.displayName), failures", body + "</main>\n")
    }
}
