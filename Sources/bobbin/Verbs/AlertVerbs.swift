// What this is: `bobbin alerts`: what fires, what is about to, and the word that somebody knows.
// Owns: the layout; who is written down as the one who knows.
// Never: moves an alert's state (the reporter does, once a minute).
// On failure: mistakes in ops/alerts.yaml are told, exit 65; an alert that is not there, exit 2.
import ArgumentParser
import BobbinDaemon
import JobModel
import LinuxSystem
import Reporting
import YamlText

struct AlertsVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "alerts", abstract: "Numbers that are beyond their thresholds (ops/alerts.yaml).",
        subcommands: [List.self, Acknowledge.self], defaultSubcommand: List.self)

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "ls", abstract: "What fires and what is about to; the gravest first.",
            discussion: """
                  bobbin alerts --all            every rule, with its number now
                States are those of the reporter's last look (`bobbin up` looks once a minute); numbers are of now. The same is
                in reports/alerts/, one file each.
                """)
        @Flag(help: "Quiet ones too.") var all = false
        @Option(help: ArgumentHelp("Only of this level: warning or critical.", valueName: "level"))
        var severity: AlertLevel?
        @OptionGroup var json: JSONFlag
        @OptionGroup var site: SiteOption

        func run() throws {
            let now = Terminal.now
            let alerts = try AlertText.alerts(site.openOwn(), now)
            let shown = alerts.filter { alert in
                guard severity == nil || alert.state.level == severity else { return false }
                return all || alert.state.level != nil || alert.state.pending != nil
            }.sorted { ($1.rank, $0.id) < ($0.rank, $1.id) }
            if json.json { return Terminal.print(json: .list(shown.map { .map($0.fields) })) }
            guard !shown.isEmpty else {
                return print(
                    alerts.isEmpty
                        ? "no rules: write ops/alerts.yaml (docs/REPORTS.md)"
                        : "nothing fires; \(alerts.count) numbers are watched (--all shows them)")
            }
            for alert in shown { print(AlertText.lines(alert, now).joined(separator: "\n")) }
        }
    }

    struct Acknowledge: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "ack",
            abstract: "Say that you know: nobody is told of it again for a while, unless it gets worse.",
            discussion: "  bobbin alerts ack queue_depth --for 4h --note \"the import of the month\"")
        @Argument(help: ArgumentHelp("Alerts, as `bobbin alerts` names them.", valueName: "id"))
        var ids: [String]
        @Option(name: .customLong("for"), help: ArgumentHelp("For so long: 30m, 4h, 2d.", valueName: "time"))
        var duration = "4h"
        @Option(help: "For whoever reads it next.") var note = ""
        @OptionGroup var site: SiteOption

        private func span() throws -> Span {
            guard let span = Span(.string(duration)), span > .zero, span <= AlertView.longestSilence else {
                throw ValidationError("--for is a duration of up to 30 days: 30m, 4h, 2d")
            }
            return span
        }
        func validate() throws {
            _ = try span()
            if note.utf8.count > 1_000 || note.unicodeScalars.contains(where: { $0.value < 0x20 }) {
                throw ValidationError("--note is one line of up to 1,000 bytes")
            }
        }
        func run() throws {
            let site = try site.openOwn()
            let now = Terminal.now
            let alerts = try AlertText.alerts(site, now)
            let chosen = try ids.map { id in
                if let alert = alerts.first(where: { $0.id == id }) { return alert }
                let near = NearestName.find(id, in: alerts.map(\.id)).map { "; did you mean `\($0)`?" } ?? ""
                Terminal.complain("there is no alert `\(Terminal.escape(id))`\(near)")
                throw ExitCode(Exit.usage)
            }
            for alert in chosen where alert.state.level == nil && alert.state.pending == nil {
                Terminal.complain(
                    "\(alert.id) does not fire: what nobody was told of cannot be known; to hear nothing of it at all, `enabled: false` in \(AlertFile.path)"
                )
                throw ExitCode(Exit.failed)
            }
            try AlertView.acknowledge(
                chosen, site, by: Host.userName(ProcessSetup.uid), for: span(), note: note, now: now)
            for alert in chosen {
                let level =
                    (alert.state.level ?? alert.state.pending?.level).map { " at \($0.rawValue)" } ?? ""
                print(
                    "\(alert.id): known\(level); nobody is told again while it is no worse, before \(now.adding(try span()).rfc3339)"
                )
            }
        }
    }
}

extension AlertLevel: ExpressibleByArgument {}

extension Alert {
    fileprivate var rank: Int {
        switch state.level {
        case .critical: 3
        case .warning: 2
        case nil: state.pending == nil ? 0 : 1
        }
    }
}

enum AlertText {
    static func alerts(_ site: Site, _ now: Timestamp) throws -> [Alert] {
        let report = try SiteReport(site, now: now)
        if let trouble = report.alertTrouble { throw ConfigurationProblem(text: trouble) }
        if !report.hasHistory { Terminal.complain(NoIndex.text) }
        return report.metrics.alerts
    }

    static func lines(_ alert: Alert, _ now: Timestamp) -> [String] {
        var head = "\(alert.word.uppercased())  \(alert.id)  \(Terminal.escape(alert.sentence))"
        if let since = alert.state.firingSince { head += ", for \(Terminal.age(now.since(since)))" }
        if let pending = alert.state.pending, alert.state.level == nil {
            head += ", for \(Terminal.age(now.since(pending.since))) of \(ResultFile.brief(alert.rule.hold))"
        }
        var lines = [head]
        if let known = alert.acknowledgement {
            let note = known.note.isEmpty ? "" : ": \(Terminal.escape(known.note))"
            lines.append("    \(Terminal.escape(known.by)) knows, until \(known.until.rfc3339)\(note)")
        }
        guard alert.state.level != nil else { return lines }
        return lines + alert.rule.recommendedActions.map { "    - \(Terminal.escape($0))" }
    }
}
