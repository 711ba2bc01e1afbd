// What this is: report, metrics and clusters: what the reporter writes into reports/, asked for now.
// Owns: the layout for people; `clusters resolve`.
// Never: writes into reports/ (the reporter does).
// On failure: where there is no index to ask, standard error says that the past is 0; mistakes in ops/failure-rules.yaml are told, and the built-in rules hold.
import ArgumentParser
import BobbinDaemon
import Glibc
import JobModel
import LinuxSystem
import Reporting
import YamlText

struct ReportVerb: ParsableCommand {
    enum Format: String, ExpressibleByArgument, CaseIterable { case html, md, json }
    static let configuration = CommandConfiguration(
        commandName: "report",
        abstract: "What happened, why it failed, what to do: as a page, as Markdown, as JSON.",
        discussion: """
              bobbin report > report.md
              bobbin report --format html > report.html
              bobbin report --since 2026-11-01 --until 2026-12-01     a month
            `bobbin up` keeps all three in reports/latest/, and the last of each day in reports/daily/.
            """)
    @Option(help: "html, md or json.") var format = Format.md
    @Option(help: ArgumentHelp("What ended since then (\(InstantText.forms)).", valueName: "time"))
    var since: String?
    @Option(help: ArgumentHelp("And until then; what is so now is left out.", valueName: "time"))
    var until: String?
    @OptionGroup var site: SiteOption

    private func window() throws -> (until: Timestamp?, stretch: Span) {
        let end = try until.map { try InstantText.read($0, "--until") }
        guard let since else { return (end, SiteReport.day) }
        // `24h` and now are read one after the other.
        let exact = (end ?? Terminal.now).since(try InstantText.read(since, "--since"))
        let stretch = Span.seconds((exact.milliseconds + 500) / 1000)
        guard stretch <= .seconds(400 * 86_400) else {
            throw ValidationError("a report is of 400 days at most")
        }
        guard stretch >= .seconds(60) else {
            throw ValidationError("--since is at least a minute before --until")
        }
        return (end, stretch)
    }
    func validate() throws { _ = try window() }

    func run() throws {
        let window = try window()
        let report = try SiteReport(
            site.openOwn(), now: Terminal.now, until: window.until, stretch: window.stretch)
        if let trouble = report.ruleTrouble { Terminal.complain(trouble) }
        if !report.hasHistory { Terminal.complain(NoIndex.text) }
        switch format {
        case .html: print(report.metrics.page, terminator: "")
        case .md: print(report.metrics.markdown, terminator: "")
        case .json: Terminal.print(json: .map(report.metrics.fields))
        }
    }
}

struct ReporterVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reporter", abstract: "Keep reports/ up to date, without running jobs.",
        discussion: """
              bobbin reporter
            `bobbin up` does it itself; this is for sites whose runners are all `bobbin run`. One process of a site reports.
            """)
    @OptionGroup var site: SiteOption
    func run() throws {
        let site = try site.openOwn()
        Terminal.complain("bobbin reports on \(site.path) into reports/; Ctrl-C stops")
        try Reporter.work(site, echo: true)
    }
}

enum NoIndex {
    static let text =
        "there is no index (yet): of the past everything is 0\n  `bobbin up` makes one; so does `bobbin index rebuild`"
}

struct MetricsVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "metrics", abstract: "The numbers of this site: of now, of 24 hours, of 7 days.",
        discussion: """
              bobbin metrics --json | jq .top_failure_clusters_24h
            `bobbin up` writes the same into reports/metrics.json and reports/metrics.prom every minute. docs/REPORTS.md has the
            formula of each.
            """)
    @OptionGroup var json: JSONFlag
    @Flag(help: "Print them as Prometheus reads them.") var prom = false
    @Flag(help: "Print them again every five seconds, until interrupted.") var watch = false
    @OptionGroup var site: SiteOption

    func validate() throws {
        if prom && json.json { throw ValidationError("--json or --prom, not both") }
    }

    func run() throws {
        let site = try site.openOwn()
        let pause = Monitor(false)
        while true {
            let report = try SiteReport(site, now: Terminal.now)
            if let trouble = report.ruleTrouble { Terminal.complain(trouble) }
            if !report.hasHistory { Terminal.complain(NoIndex.text) }
            if json.json {
                Terminal.print(json: .map(report.metrics.fields))
            } else if prom {
                print(report.metrics.prometheus, terminator: "")
            } else {
                print(MetricsText.lines(report.metrics).joined(separator: "\n"))
            }
            if !watch { return }
            fflush(nil)
            _ = pause.wait(until: Clocks.monotonic + Span.seconds(5).nanoseconds) { $0 ? true : nil }
            if !json.json && !prom { print("") }
        }
    }
}

struct ClustersVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "clusters",
        abstract: "Failures in groups, by what went wrong, with what to do about each.",
        subcommands: [List.self, Resolve.self], defaultSubcommand: List.self)

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "ls", abstract: "The clusters of a stretch of time, the most frequent first.",
            discussion: """
                  bobbin clusters --since 7d
                  bobbin requeue --cluster NETWORK_ERROR     run them again once it is mended
                Rules of ops/failure-rules.yaml are asked first, then the built-in ones; what no rule knows is grouped by its words.
                """)
        @Option(help: ArgumentHelp("Failures since then (\(InstantText.forms)).", valueName: "time"))
        var since = "24h"
        @OptionGroup var site: SiteOption
        @OptionGroup var json: JSONFlag

        func validate() throws { _ = try InstantText.read(since, "--since") }
        func run() throws {
            let site = try site.openOwn()
            let now = Terminal.now
            let found = try SiteReport.clusters(site, since: InstantText.read(since, "--since"), now: now)
            if let trouble = found.trouble { Terminal.complain(trouble) }
            if !found.hasHistory { Terminal.complain(NoIndex.text) }
            if json.json { return Terminal.print(json: .list(found.clusters.map { .map($0.fields) })) }
            if found.clusters.isEmpty { return print("no failures since \(since)") }
            print(
                found.clusters.map { ClusterText.lines($0, now: now).joined(separator: "\n") }.joined(
                    separator: "\n\n"))
        }
    }

    struct Resolve: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Say that the cause of a cluster is mended; a failure after now opens it again.",
            discussion: "  bobbin clusters resolve NETWORK_ERROR")
        @Argument(help: ArgumentHelp("Clusters.", valueName: "id")) var ids: [String]
        @OptionGroup var site: SiteOption

        func run() throws {
            let site = try site.openOwn()
            let now = Terminal.now
            let found = try SiteReport.clusters(site, since: now.adding(.seconds(-90 * 86_400)), now: now)
            for id in ids where found.find(id) == nil {
                let near =
                    NearestName.find(id, in: found.clusters.map(\.id)).map { "; did you mean `\($0)`?" } ?? ""
                Terminal.complain("there is no cluster `\(Terminal.escape(id))`\(near)")
                throw ExitCode(Exit.usage)
            }
            try SiteReport.resolve(ids.compactMap(found.find), site, now: now)
            for id in ids { print("\(id): mended, as of now; its next failure opens it again") }
        }
    }
}

enum ClusterText {
    static func lines(_ cluster: FailureCluster, now: Timestamp) -> [String] {
        let arrow =
            switch cluster.trend {
            case .rising: "rising"
            case .steady: "steady"
            case .falling: "falling"
            }
        let status = cluster.status == .known ? "" : "  \(cluster.status.rawValue.uppercased())"
        var lines = [
            "\(cluster.count)  \(cluster.id)  \(Terminal.escape(cluster.displayName))  [\(cluster.severity.rawValue)]\(status)"
        ]
        guard cluster.count > 0 else { return lines }
        lines.append(
            "    \(arrow) (\(cluster.countBefore) in the stretch before), last \(Terminal.age(now.since(cluster.lastSeen))) ago, first \(Terminal.age(now.since(cluster.firstSeen))) ago"
        )
        lines.append(
            "    jobs: " + counted(cluster.jobs)
                + (cluster.steps.isEmpty ? "" : "   steps: " + counted(cluster.steps)))
        for sample in cluster.samples {
            let line = sample.split(whereSeparator: \.isNewline).first.map(String.init) ?? ""
            lines.append("    e.g. " + Terminal.escape(String(line.prefix(160))))
        }
        if let run = cluster.runs.first { lines.append("    newest run: \(run)") }
        for action in cluster.recommendedActions { lines.append("    - " + Terminal.escape(action)) }
        return lines
    }
    private static func counted(_ list: [(name: String, count: Int)]) -> String {
        list.prefix(5).map { "\(Terminal.escape($0.name)) \($0.count)" }.joined(separator: ", ")
            + (list.count > 5 ? ", and \(list.count - 5) more" : "")
    }
}

enum MetricsText {
    static func lines(_ metrics: Metrics) -> [String] {
        let day = metrics.day, week = metrics.week
        func percent(_ share: Double?) -> String { share.map { "\(($0 * 1000).rounded() / 10) %" } ?? "-" }
        func time(_ milliseconds: Int?) -> String {
            milliseconds.map { ResultFile.brief(Span.milliseconds(Int64($0))) } ?? "-"
        }
        var rows = [["", "24 h", "7 d"]]
        rows.append(["runs", String(day.runs), String(week.runs)])
        rows.append(["succeeded", percent(day.successRate), percent(week.successRate)])
        rows.append(["tried again", percent(day.retryRate), percent(week.retryRate)])
        rows.append([
            "run time, half / 95 % below", "\(time(day.duration(0.5))) / \(time(day.duration(0.95)))",
            "\(time(week.duration(0.5))) / \(time(week.duration(0.95)))",
        ])
        rows.append([
            "wait, half / 95 % below", "\(time(day.wait(0.5))) / \(time(day.wait(0.95)))",
            "\(time(week.wait(0.5))) / \(time(week.wait(0.95)))",
        ])
        rows.append(["most that waited", String(metrics.depthPeak), ""])
        rows.append(["kinds of failures", String(metrics.clusters.count { $0.count > 0 }), ""])
        var lines = [Terminal.table(rows)]
        var queues = [["queue", "waiting", "running", "parked", "oldest"]]
        for queue in metrics.queues {
            queues.append([
                queue.name, String(queue.waiting), "\(queue.running) of \(queue.limit)", String(queue.parked),
                queue.oldest.map(Terminal.age) ?? "",
            ])
        }
        lines.append("")
        lines.append(Terminal.table(queues))
        let top = metrics.clusters.filter { $0.count > 0 }.prefix(5)
        if !top.isEmpty { lines.append("") }
        for cluster in top {
            lines.append(
                "\(cluster.count)  \(cluster.id)  \(Terminal.escape(cluster.displayName))  [\(cluster.severity.rawValue)]"
            )
        }
        return lines
    }
}
