// What this is: a report as Markdown, for mail and scripts.
// Owns: its order: what needs a person, numbers, queues, failures, slow jobs.
// Never: says what the page does not.
// On failure: cannot fail.
import JobModel

extension Metrics {
    public var markdown: String {
        var lines = ["# Bobbin, \(ReportWords.moment(now))", ""]
        lines += ["## Needs a person", ""]
        let needs = needs
        if needs.isEmpty { lines.append("Nothing.") }
        for need in needs { lines.append("- \(Metrics.escaped(need.text)): \(Metrics.code(need.command))") }
        if !firing.isEmpty { lines += ["", "## Alerts", ""] }
        for alert in firing {
            lines.append(
                "- **\(alert.state.level?.rawValue ?? "")**: \(Metrics.escaped(alert.sentence + since(alert)))"
            )
            for action in alert.rule.recommendedActions {
                lines.append("  - To do: \(Metrics.escaped(action))")
            }
        }
        lines += ["", "## Numbers", "", "| | \(ReportWords.stretch(stretch)) | 7 days |", "|---|---:|---:|"]
        func row(_ name: String, _ day: String, _ week: String) {
            lines.append("| \(name) | \(day) | \(week) |")
        }
        row("Runs", ReportWords.amount(day.runs), ReportWords.amount(week.runs))
        row("Succeeded", ReportWords.percent(day.successRate), ReportWords.percent(week.successRate))
        row("Tried again", ReportWords.percent(day.retryRate), ReportWords.percent(week.retryRate))
        row("Run time, median", ReportWords.time(day.duration(0.5)), ReportWords.time(week.duration(0.5)))
        row("Run time, 95 %", ReportWords.time(day.duration(0.95)), ReportWords.time(week.duration(0.95)))
        row("Wait, median", ReportWords.time(day.wait(0.5)), ReportWords.time(week.wait(0.5)))
        row("Wait, 95 %", ReportWords.time(day.wait(0.95)), ReportWords.time(week.wait(0.95)))
        row("Most that waited", ReportWords.amount(depthPeak), "")
        lines += [
            "", "## Queues", "", "| Queue | Waiting | Running | Parked | Oldest |",
            "|---|---:|---:|---:|---:|",
        ]
        for queue in queues {
            lines.append(
                "| \(Metrics.escaped(queue.name))\(queue.isPaused ? " (paused)" : "") | \(ReportWords.amount(queue.waiting)) | \(queue.running) of \(queue.limit) | \(queue.parked) | \(queue.oldest.map(ReportWords.age) ?? "") |"
            )
        }
        lines += ["", "## Failures", ""]
        let failing = clusters.filter { $0.count > 0 }
        if failing.isEmpty { lines.append("None in \(ReportWords.stretch(stretch)).") }
        for cluster in failing.prefix(20) {
            let mark = cluster.status == .known ? "" : ", \(cluster.status.rawValue)"
            lines.append(
                "- **\(cluster.count) × \(Metrics.escaped(cluster.displayName))** (`\(cluster.id)`, \(cluster.severity.rawValue)\(mark), \(cluster.trend.rawValue), \(cluster.countBefore) in the \(ReportWords.stretch(stretch)) before)"
            )
            lines.append(
                "  - Jobs: \(cluster.jobs.prefix(5).map { "\(Metrics.escaped($0.name)) \($0.count)" }.joined(separator: ", "))"
            )
            for sample in cluster.samples.prefix(1) {
                lines.append("  - For example: \(Metrics.escaped(Metrics.oneLine(sample)))")
            }
            for action in cluster.recommendedActions { lines.append("  - To do: \(action)") }
        }
        if !slowestJobs.isEmpty {
            lines += [
                "", "## Slowest jobs", "", "| Job | Runs | Failed | Mean | Longest |",
                "|---|---:|---:|---:|---:|",
            ]
            for (name, job) in slowestJobs {
                lines.append(
                    "| \(Metrics.escaped(name)) | \(job.runs) | \(job.failed) | \(ReportWords.time(job.total / max(1, job.runs))) | \(ReportWords.time(job.longest)) |"
                )
            }
        }
        if !backupSentences.isEmpty {
            lines += ["", "## Bundles", ""] + backupSentences.map { "- \(Metrics.escaped($0))" }
        }
        if let next = schedules.next {
            lines += ["", "Next schedule: `\(next.id)`, \(ReportWords.moment(next.at))."]
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// How long it has fired, and who knows.
    func since(_ alert: Alert) -> String {
        let age = alert.state.firingSince.map { now.since($0) } ?? .zero
        var text = age < .seconds(1) ? "" : ", for \(ReportWords.age(age))"
        if alert.isAcknowledged(now), let known = alert.acknowledgement {
            text += "; \(known.by) knows, until \(ReportWords.moment(known.until))"
            if !known.note.isEmpty { text += ": \(known.note)" }
        }
        return text
    }

    var slowestJobs: [(String, OutcomeTally.Job)] {
        day.jobs.sorted { ($1.value.longest, $0.key) < ($0.value.longest, $1.key) }.prefix(10).map {
            ($0.key, $0.value)
        }
    }
    static func oneLine(_ text: String) -> String {
        String(text.split(whereSeparator: \.isNewline).joined(separator: " ").prefix(240))
    }
    /// What Markdown would take for a mark of its own.
    private static func escaped(_ text: String) -> String {
        var out = ""
        for character in ReportWords.visible(oneLine(text)) {
            if "\\`*_[]<>|#".contains(character) { out.append("\\") }
            out.append(character)
        }
        return out
    }
    private static func code(_ text: String) -> String {
        "`" + ReportWords.visible(oneLine(text)).replacing("`", with: "'") + "`"
    }
}
