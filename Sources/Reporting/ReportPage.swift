// What this is: a report as one page: no network, no script, light and dark, for a phone and for a screen reader.
// Owns: the page's parts and its style; charts are in Chart.
// Never: writes a text that is not escaped, or a style that is not its own.
// On failure: cannot fail.
import JobModel

extension Metrics {
    public var page: String {
        let needs = needs
        // Of a longer stretch all its days, as many as a chart has room for.
        let isLong = stretch > .seconds(7 * 86_400)
        let days = Array((isLong ? day : week).days.suffix(isLong ? 31 : 7))
        var body =
            "<header><h1>Bobbin</h1><p>\(ReportWords.moment(now)) · version \(Html.escaped(version))</p></header>\n<main>\n"
        body += Html.section(
            "needs", "Needs a person",
            needs.isEmpty
                ? "<p class=\"good\">Nothing.</p>"
                : "<ul>"
                    + needs.map {
                        "<li class=\"\($0.kind.rawValue)\">\(link($0.page ?? "", Html.escaped($0.text))) <code>\(Html.escaped($0.command))</code></li>"
                    }.joined() + "</ul>")
        if !firing.isEmpty { body += Html.section("alerts", "Alerts", alertList) }
        body += Html.section("health", "Health", tiles)
        body += Html.section(
            "throughput", "Runs of each hour", Chart.hours(Array(day.hours.suffix(24)), until: now))
        body += Html.section(
            "week", "Runs of each day", Chart.days(days, until: now))
        if stretch == .seconds(86_400) {
            body += Html.section("depth", "How many waited", Chart.depth(samples, now: now))
        }
        if !queues.isEmpty { body += Html.section("queues", "Queues", queueTable + ageTable) }
        body += Html.section("failures", "Failures of \(ReportWords.stretch(stretch))", failureList)
        if !slowestJobs.isEmpty { body += Html.section("slow", "Slowest jobs", slowTable) }
        if !queues.isEmpty { body += Html.section("capacity", "Capacity", capacity) }
        if !backupSentences.isEmpty {
            let lines = backupSentences.map { "<li>\(Html.withCode($0))</li>" }.joined()
            body += Html.section("bundles", "Bundles", "<ul>\(lines)</ul>")
        }
        if !schedules.rows.isEmpty { body += Html.section("schedules", "Schedules", scheduleTable) }
        body +=
            "</main>\n<footer><p>Each number with its formula: docs/REPORTS.md. The same for programs: metrics.json, metrics.prom.</p></footer>\n"
        return Html.page("Bobbin, \(ReportWords.moment(now))", body)
    }

    private var alertList: String {
        firing.map { alert in
            let level = alert.state.level?.rawValue ?? ""
            let actions = alert.rule.recommendedActions.map { "<li>\(Html.withCode($0))</li>" }.joined()
            return
                "<details open><summary><em class=\"\(level == "critical" ? "critical" : "mark")\">\(level)</em> \(Html.escaped(alert.sentence + since(alert)))</summary>\(actions.isEmpty ? "" : "<ol>\(actions)</ol>")</details>"
        }.joined(separator: "\n")
    }

    private var tiles: String {
        func tile(_ value: String, _ name: String, _ week: String?, _ mood: String = "") -> String {
            let past = week.map { "<small>7 days: \($0)</small>" } ?? ""
            return "<div class=\"tile \(mood)\"><dt>\(name)</dt><dd><b>\(value)</b>\(past)</dd></div>"
        }
        let rate = day.successRate
        let mood = rate.map { $0 >= 0.95 ? "good" : $0 >= 0.8 ? "fair" : "bad" } ?? ""
        return "<dl class=\"tiles\">"
            + tile(ReportWords.amount(day.runs), "Runs", ReportWords.amount(week.runs))
            + tile(ReportWords.percent(rate), "Succeeded", ReportWords.percent(week.successRate), mood)
            + tile(ReportWords.percent(day.retryRate), "Tried again", ReportWords.percent(week.retryRate))
            + tile(
                ReportWords.time(day.duration(0.5)), "Run time, median", ReportWords.time(week.duration(0.5)))
            + tile(
                ReportWords.time(day.duration(0.95)), "Run time, 95 % below",
                ReportWords.time(week.duration(0.95)))
            + tile(ReportWords.time(day.wait(0.95)), "Wait, 95 % below", ReportWords.time(week.wait(0.95)))
            + tile(ReportWords.bytes(diskFreeBytes), "Free space", nil) + "</dl>"
    }

    private var queueTable: String {
        let levels = queues.map(\.byPriority.count).max() ?? 0
        let head =
            ["Queue"] + (1...max(1, levels)).map { "p\($0)" } + ["Waiting", "Oldest", "Running", "Parked"]
        let rows = queues.map { queue in
            [Html.escaped(queue.name) + (queue.isPaused ? " <em>paused</em>" : "")]
                + (0..<max(1, levels)).map { index in
                    let number = index < queue.byPriority.count ? queue.byPriority[index] : 0
                    return number == 0 ? "·" : ReportWords.amount(number)
                }
                + [
                    ReportWords.amount(queue.waiting), queue.oldest.map(ReportWords.age) ?? "",
                    "\(queue.running) of \(queue.limit)", String(queue.parked),
                ]
        }
        return Html.table("Waiting drops by priority, the most urgent left", head, rows)
    }

    /// Nothing waits: nothing to show.
    private var ageTable: String {
        let waiting = queues.filter { $0.byAge.contains { $0 > 0 } }
        guard !waiting.isEmpty else { return "" }
        let head = ["Queue"] + Queue.ageWords.map { $0 == "more" ? $0 : "< \($0)" }.map(Html.escaped)
        return Html.table(
            "Waiting drops by age", head,
            waiting.map { queue in
                [Html.escaped(queue.name)] + queue.byAge.map { $0 == 0 ? "·" : ReportWords.amount($0) }
            })
    }

    private var capacity: String {
        let slots = queues.reduce(0) { $0 + $1.limit }
        let days = Array(zip(week.days, zip(week.busyDays, busyByDay)).suffix(7).enumerated())
        let rows = days.map { index, day in
            let start = now.adding(.seconds(-86_400 * Int64(days.count - index)))
            return [
                String(start.civil(offsetSeconds: 0, withMilliseconds: false).prefix(10)),
                ReportWords.amount(day.0.runs), ReportWords.time(day.1.0), ReportWords.percent(day.1.1),
            ]
        }
        return Html.table(
            "24 hours from each day on: time in runs, and its share of \(slots) runs at one time",
            ["From", "Runs", "Time in runs", "Busy"], rows)
    }

    private var scheduleTable: String {
        let rows = schedules.rows.prefix(100).map { row in
            [
                Html.escaped(row.id)
                    + (row.name == row.id ? "" : " <small>\(Html.escaped(row.name))</small>"),
                row.isEnabled ? row.next.map(ReportWords.moment) ?? "never" : "switched off",
                Html.escaped(row.last),
            ]
        }
        return Html.table("\(schedules.enabled) switched on", ["Schedule", "Next", "Last one"], Array(rows))
    }

    private func link(_ page: String, _ text: String) -> String {
        pages.contains(page) ? "<a href=\"\(pagesFrom)/\(page)\">\(text)</a>" : text
    }

    private var failureList: String {
        let failing = clusters.filter { $0.count > 0 }
        guard !failing.isEmpty else { return "<p class=\"good\">None.</p>" }
        return failing.prefix(20).map { cluster in
            let mark = cluster.status == .known ? "" : "<em class=\"mark\">\(cluster.status.rawValue)</em> "
            var text =
                "<details\(cluster.status == .known ? "" : " open")><summary><b>\(ReportWords.amount(cluster.count))</b> \(mark)\(Html.escaped(cluster.displayName)) <em class=\"\(cluster.severity.rawValue)\">\(cluster.severity.rawValue)</em></summary>"
            text +=
                "<p>\(cluster.trend.rawValue): \(cluster.countBefore) in the \(ReportWords.stretch(stretch)) before. First \(ReportWords.moment(cluster.firstSeen)), last \(ReportWords.moment(cluster.lastSeen)). <code>\(Html.escaped(cluster.id))</code></p>"
            let page = "clusters/\(cluster.id).html"
            if pages.contains(page) {
                text += "<p>\(link(page, "All of it, with its runs"))</p>"
            }
            text +=
                "<p>Jobs: \(Html.escaped(cluster.jobs.prefix(8).map { "\($0.name) \($0.count)" }.joined(separator: ", ")))</p><ul>"
            for sample in cluster.samples {
                text += "<li><samp>\(Html.escaped(Metrics.oneLine(sample)))</samp></li>"
            }
            text += "</ul><p>To do:</p><ol>"
            for action in cluster.recommendedActions { text += "<li>\(Html.withCode(action))</li>" }
            return text + "</ol></details>"
        }.joined(separator: "\n")
    }

    private var slowTable: String {
        Html.table(
            "By their longest run of \(ReportWords.stretch(stretch))",
            ["Job", "Runs", "Failed", "Mean", "Longest"],
            slowestJobs.map { name, job in
                [
                    Html.escaped(name), ReportWords.amount(job.runs), ReportWords.amount(job.failed),
                    ReportWords.time(job.total / max(1, job.runs)), ReportWords.time(job.longest),
                ]
            })
    }
}

enum Html {
    static func escaped(_ text: String) -> String {
        var out = ""
        for scalar in ReportWords.visible(text).unicodeScalars {
            switch scalar {
            case "&": out += "&amp;"
            case "<": out += "&lt;"
            case ">": out += "&gt;"
            case "\"": out += "&quot;"
            case "'": out += "&#39;"
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out
    }
    /// A text in which backticks stand around what is to be typed.
    static func withCode(_ text: String) -> String {
        escaped(text).split(separator: "`", omittingEmptySubsequences: false).enumerated()
            .map { $0.offset % 2 == 0 ? String($0.element) : "<code>\($0.element)</code>" }.joined()
    }
    static func section(_ id: String, _ title: String, _ content: String) -> String {
        "<section aria-labelledby=\"\(id)\"><h2 id=\"\(id)\">\(title)</h2>\n\(content)\n</section>\n"
    }
    /// Cells are HTML already; the first column is the row's name.
    static func table(_ caption: String, _ head: [String], _ rows: [[String]]) -> String {
        let first = head.enumerated().map {
            "<th scope=\"col\"\($0.offset == 0 ? "" : " class=\"n\"")>\($0.element)</th>"
        }.joined()
        let body = rows.map { row in
            "<tr>"
                + row.enumerated().map {
                    $0.offset == 0
                        ? "<th scope=\"row\">\($0.element)</th>" : "<td class=\"n\">\($0.element)</td>"
                }.joined() + "</tr>"
        }.joined(separator: "\n")
        return
            "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"\(caption)\"><table><caption>\(caption)</caption><thead><tr>\(first)</tr></thead><tbody>\(body)</tbody></table></div>"
    }
    static func page(_ title: String, _ body: String) -> String {
        """
        <!DOCTYPE html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
        <meta name="color-scheme" content="light dark">
        <link rel="icon" href="data:,">
        <title>\(escaped(title))</title>
        <style>
        \(style)
        </style>
        </head>
        <body>
        \(body)</body>
        </html>

        """
    }
    /// On a narrow screen a chart is moved, and begins with the latest, at its right.
    /// Contrast of text on its ground is at least 4.5 in both schemes (WCAG 2.1, AA).
    private static let style = """
        :root{--ground:#fff;--card:#f4f5f7;--text:#1b1f24;--soft:#4b5560;--line:#c9d0d8;--good:#116329;--fair:#7a4d00;--bad:#a40e26;--ok:#2f6fb3;--fail:#c2334d}
        @media(prefers-color-scheme:dark){:root{--ground:#14171a;--card:#1f2428;--text:#e6eaee;--soft:#a9b4bf;--line:#3b444d;--good:#5fd07f;--fair:#e3b341;--bad:#ff8a94;--ok:#5c9fe0;--fail:#ff7b88}}
        *{box-sizing:border-box}
        body{margin:0;font:16px/1.5 system-ui,sans-serif;background:var(--ground);color:var(--text)}
        header,main,footer{max-width:62rem;margin:0 auto;padding:0 1rem}
        h1{margin:1rem 0 0;font-size:1.5rem}h2{font-size:1.15rem;margin:1.75rem 0 .5rem}
        header p,footer p,small,caption,summary em{color:var(--soft)}
        a{color:var(--ok)}pre{background:var(--card);border-radius:6px;padding:.5rem .75rem;overflow-x:auto;font:.875em/1.4 ui-monospace,monospace}svg.bar{min-width:8rem;width:12rem;height:.8rem}
        p,h1,dd{overflow-wrap:anywhere}ul,ol{padding-left:1.25rem}li{margin:.25rem 0;overflow-wrap:anywhere}
        code,samp{font:.875em ui-monospace,monospace;overflow-wrap:anywhere}code{background:var(--card);padding:.1em .3em;border-radius:3px}
        .tiles{display:grid;grid-template-columns:repeat(auto-fill,minmax(9.5rem,1fr));gap:.5rem;margin:0}
        .tile{background:var(--card);border-radius:6px;padding:.6rem .75rem}
        dt{color:var(--soft);font-size:.875rem}dd{margin:0}dd b{display:block;font-size:1.35rem}
        .good,.good b{color:var(--good)}.fair b{color:var(--fair)}.bad b,.critical,.high{color:var(--bad)}em.mark{color:var(--fair);font-style:normal;font-weight:600}
        .wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
        caption{text-align:left;font-size:.875rem}th,td{padding:.3rem .5rem;border-bottom:1px solid var(--line);text-align:left;white-space:nowrap}
        .n{text-align:right}tbody th{font-weight:600}
        details{background:var(--card);border-radius:6px;padding:.5rem .75rem;margin:.5rem 0}summary{cursor:pointer;overflow-wrap:anywhere}
        svg{width:100%;min-width:34rem;height:auto;display:block}.chart{direction:rtl}.chart svg{direction:ltr}svg text{fill:var(--soft);font:12px system-ui,sans-serif}
        .axis{stroke:var(--line)}.ok{fill:var(--ok)}.fail{fill:var(--fail)}.line{fill:none;stroke:var(--ok);stroke-width:2}
        .key{font-size:.875rem;color:var(--soft)}.key i{display:inline-block;width:.8em;height:.8em;border-radius:2px;margin:0 .3em 0 .8em}
        footer{padding-bottom:2rem}
        """
}
