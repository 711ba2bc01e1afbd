// What this is: the alerts at work: ops/alerts.yaml, one look at the numbers a minute, what is told and dropped because of it.
// Owns: the states (a log in spool/.bobbin/alerts/), reports/alerts/, the lines in spool/history/.
// Never: decides when an alert fires (AlertState does); keeps the report waiting for a notifier.
// On failure: a file with mistakes changes nothing and is told once; what cannot be written is tried at the next look.
import JobLanguage
import JobModel
import LinuxSystem
import Reporting
import RunHistory
import SpoolQueue
import Triggers

final class AlertDesk {
    private let site: Site
    private let log: DaemonLog
    private let notices: Notices
    private let drops: TriggerDrops
    private var file = AlertFile()
    private var bytes: [UInt8]?
    private var queues: [QueuePolicy] = []
    private var hasRead = false
    private var states: [String: AlertState]

    init(_ site: Site, log: DaemonLog, notices: Notices) throws {
        self.site = site
        self.log = log
        self.notices = notices
        let fires = try FireLog(site.spool.state.makeDirectory(SpoolName.alerts))
        if fires.damaged > 0 {
            log.warn(
                "alerts",
                "\(fires.damaged) lines of spool/.bobbin/\(SpoolName.alerts)/\(FireLog.fileName) could not be read and are left out"
            )
        }
        states = AlertView.states(fires.facts)
        let traces = DropTraces(site.spool)
        drops = TriggerDrops(
            fires, spool: .init(lane: traces.lane, known: traces.known),
            trouble: { fire, error in
                log.error("alerts", "the drop of \(fire.trigger) in \(fire.lane) is tried again: \(error)")
            })
        drops.finishOpen()
    }

    /// One look: the states move, what is to be told is told. Gives the metrics their alerts.
    func look(_ metrics: inout Metrics, _ acknowledgements: [String: AlertAcknowledgement]) throws {
        reread()
        drops.finishOpen()
        let now = metrics.now
        let looked = AlertDesk.look(file.rules, states, metrics.fields, acknowledgements, now: now)
        var fires: [Fire] = []
        for (alert, telling) in looked.tellings { fires += self.fires(alert, telling, now) }
        let facts = changes(looked.states)
        if fires.isEmpty {
            // Only what makes drops must survive the power; the log is written anew here when it has grown.
            try drops.log.made([], facts: facts)
        } else {
            try drops.make(fires, facts: facts)
        }
        states = looked.states
        for (alert, telling) in looked.tellings { tell(alert, telling, now) }
        HistoryFile(site.spool, log).append(looked.changes.map(AlertDesk.line), at: now)
        for (alert, change) in looked.changes {
            let level: DaemonLog.Level = change == .resolved ? .info : .warn
            log.write([log.line(level, "alerts", "\(alert.id) \(change.rawValue): \(alert.sentence)", nil)])
        }
        metrics.alerts = looked.alerts
    }

    struct Looked {
        var states: [String: AlertState] = [:]
        /// Of all rules that are switched on.
        var alerts: [Alert] = []
        var tellings: [(Alert, AlertState.Telling)] = []
        var changes: [(Alert, AlertState.Change)] = []
    }
    static func look(
        _ rules: [AlertRule], _ before: [String: AlertState], _ fields: ValueMap,
        _ acknowledgements: [String: AlertAcknowledgement], now: Timestamp
    ) -> Looked {
        var looked = Looked()
        for rule in rules where rule.isEnabled {
            var values = rule.values(in: fields)
            // A queue that is no more has no number, and so its alert ends.
            for id in before.keys.sorted() where id.hasPrefix(rule.id + "@") {
                let instance = String(id.dropFirst(rule.id.utf8.count + 1))
                if rule.metric.contains("*"), !values.contains(where: { $0.instance == instance }) {
                    values.append((instance, nil))
                }
            }
            for (instance, value) in values {
                let id = Alert.id(rule.id, instance)
                var state = before[id] ?? AlertState()
                let change = state.look(rule, value, now: now)
                let known = acknowledgements[id]
                let telling = state.telling(rule, known, now: now)
                let alert = Alert(
                    rule: rule, instance: instance, state: state,
                    acknowledgement: known.flatMap { now < $0.until ? $0 : nil })
                if !state.isQuiet { looked.states[id] = state }
                looked.alerts.append(alert)
                if let change { looked.changes.append((alert, change)) }
                if let telling { looked.tellings.append((alert, telling)) }
            }
        }
        // Of rules that are gone or switched off nobody is told, but that they fired is not left open.
        for (id, state) in before.sorted(by: { $0.key < $1.key })
        where state.level != nil && !looked.alerts.contains(where: { $0.id == id }) {
            let parts = id.split(separator: "@", maxSplits: 1).map(String.init)
            let rule = AlertRule(id: parts[0], metric: [], side: .above, thresholds: [:])
            let alert = Alert(rule: rule, instance: parts.count > 1 ? parts[1] : "", state: AlertState())
            looked.changes.append((alert, .resolved))
        }
        return looked
    }

    private func reread() {
        do {
            let bytes = try AlertFile.bytes(site)
            let queues = try site.configuration().queues
            guard !hasRead || bytes != self.bytes || queues != self.queues else { return }
            (self.bytes, self.queues, hasRead) = (bytes, queues, true)
            file = try AlertFile.read(bytes, queues: queues)
            for rule in file.rules where rule.isEnabled {
                guard let why = AlertFile.trouble(rule, file, site) else { continue }
                log.warn("alerts", "\(rule.id): its job would be sent back: \(why)")
            }
        } catch let problem as ConfigurationProblem {
            log.error("alerts", "\(AlertFile.path) is not used, the rules of before hold: \(problem.text)")
        } catch {
            log.error("alerts", "\(AlertFile.path) cannot be read, the rules of before hold: \(error)")
        }
    }

    /// What must be known after a restart. A pending one's last look is: a pause that is too long begins it anew.
    private func changes(_ states: [String: AlertState]) -> [String: ValueMap?] {
        var facts: [String: ValueMap?] = [:]
        for (id, state) in states {
            guard let before = self.states[id], state.pending == nil, before.isLike(state) else {
                facts[AlertView.key(id)] = .some(state.map)
                continue
            }
        }
        for id in self.states.keys where states[id] == nil { facts[AlertView.key(id)] = .some(nil) }
        return facts
    }

    // MARK: what comes of it

    private func deeds(_ alert: Alert, _ telling: AlertState.Telling) -> [(Int, AlertAction.Deed)] {
        let occasion: AlertAction.Occasion =
            switch telling {
            case .firing(.warning): .warning
            case .firing(.critical): .critical
            case .resolved: .resolved
            }
        return (file.actions[alert.rule.id] ?? []).enumerated().filter {
            $0.element.occasions.contains(occasion)
        }
        .map { ($0.offset, $0.element.deed) }
    }
    private static func word(_ telling: AlertState.Telling) -> String {
        switch telling {
        case .firing(let level): level.rawValue
        case .resolved: "resolved"
        }
    }

    private func fires(_ alert: Alert, _ telling: AlertState.Telling, _ now: Timestamp) -> [Fire] {
        deeds(alert, telling).compactMap { number, deed in
            guard case .drop(let drop) = deed else { return nil }
            let word = AlertDesk.word(telling), key = AlertView.key(alert.id)
            let ticket = TriggerDrops.ticket(
                spool: site.spool.id, trigger: key, about: "\(word) \(number) \(now.nanoseconds)", at: now)
            return Fire(
                trigger: key, ticket: ticket.text, queue: drop.queue, priority: drop.priority,
                name: "\(DropName.escaped(alert.id, limit: 100)).\(ticket).yaml",
                text: AlertDrop.text(drop, alert, word, at: now))
        }
    }
    private func tell(_ alert: Alert, _ telling: AlertState.Telling, _ now: Timestamp) {
        let word = AlertDesk.word(telling)
        for (_, deed) in deeds(alert, telling) {
            guard case .notify(let names) = deed else { continue }
            var lines = [alert.sentence]
            if telling != .resolved {
                if !alert.rule.recommendedActions.isEmpty {
                    lines += ["", "To do:"] + alert.rule.recommendedActions.map { "- \($0)" }
                }
                lines += [
                    "", "Known, and no more of it for four hours: bobbin alerts ack \(alert.id) --for 4h",
                ]
            }
            var details = alert.fields
            details["event"] = .string("alert.\(word)")
            details["file"] = .string(
                "\(site.path)/\(SpoolName.reports)/\(SpoolName.alerts)/\(AlertView.fileName(alert))")
            let level =
                switch telling {
                case .firing(.critical): "error"
                case .firing(.warning): "warn"
                case .resolved: "info"
                }
            notices.tell(
                "\(word): \(alert.rule.name)\(alert.instance.isEmpty ? "" : " (\(alert.instance))")",
                lines.joined(separator: "\n"), level: level, details: details, to: names,
                from: nil)
        }
    }
    private static func line(_ alert: Alert, _ change: AlertState.Change) -> ValueMap {
        [
            "kind": .string("alert.\(change.rawValue)"), "subject": .string(alert.id),
            "outcome": .string(alert.state.level?.rawValue ?? ""),
            "value": alert.value, "why": .string(alert.sentence),
        ]
    }
}

/// Alerts as they are remembered, for whoever only looks.
public enum AlertView {
    static let acknowledged = "alert.acknowledged"
    /// No acknowledgement holds longer.
    public static let longestSilence = Span.seconds(30 * 86_400)
    private static let prefix = "alert/"
    static func key(_ id: String) -> String { prefix + id }
    static func states(_ facts: [String: ValueMap]) -> [String: AlertState] {
        var states: [String: AlertState] = [:]
        for (key, map) in facts where key.hasPrefix(prefix) {
            states[String(key.dropFirst(prefix.utf8.count))] = AlertState(map)
        }
        return states
    }
    static func fileName(_ alert: Alert) -> String { DropName.escaped(alert.id, limit: 200) + ".json" }

    /// The latest of each alert that holds still.
    static func acknowledgements(_ history: RunHistory, now: Timestamp) throws -> [String:
        AlertAcknowledgement]
    {
        let since = now.adding(Span(nanoseconds: -longestSilence.nanoseconds))
        var latest: [String: AlertAcknowledgement] = [:]
        for fact in try history.facts([acknowledged], since: since, until: now.adding(.milliseconds(1))) {
            guard let until = fact.detail["until"]?.stringValue.flatMap(Timestamp.init(rfc3339:)) else {
                continue
            }
            latest[fact.subject] = AlertAcknowledgement(
                at: fact.at, until: until, level: AlertLevel(rawValue: fact.outcome) ?? .critical,
                by: fact.detail["by"]?.stringValue ?? "", note: fact.detail["note"]?.stringValue ?? "")
        }
        return latest.filter { now < $0.value.until }
    }

    /// All of a site as of now: the numbers are today's, the states those of the reporter's last look.
    static func alerts(_ site: Site, _ metrics: Metrics, _ history: RunHistory?) throws -> [Alert] {
        let rules = try AlertFile.read(site).rules
        var states: [String: AlertState] = [:]
        if site.spool.isOwn, try site.spool.state.statusIfPresent(SpoolName.alerts) != nil {
            states = try AlertView.states(FireLog.facts(in: site.spool.state.directory(SpoolName.alerts)))
        }
        let known = try history.map { try acknowledgements($0, now: metrics.now) } ?? [:]
        let fields = metrics.fields
        return rules.filter(\.isEnabled).flatMap { rule in
            rule.values(in: fields).map { instance, value in
                let id = Alert.id(rule.id, instance)
                var state = states[id] ?? AlertState()
                state.value = value
                return Alert(rule: rule, instance: instance, state: state, acknowledgement: known[id])
            }
        }
    }

    /// Writes down that somebody knows of these alerts and wants to hear no more of them for a while.
    public static func acknowledge(
        _ alerts: [Alert], _ site: Site, by: String, for span: Span, note: String, now: Timestamp
    ) throws {
        let lines = alerts.map { alert -> ValueMap in
            [
                "kind": .string(acknowledged), "subject": .string(alert.id),
                "outcome": .string((alert.state.level ?? .critical).rawValue), "by": .string(by),
                "until": .string(now.adding(span).rfc3339), "note": .string(note),
            ]
        }
        try SiteReport.note(lines, site, now: now)
    }
}
