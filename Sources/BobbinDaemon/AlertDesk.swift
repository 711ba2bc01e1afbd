// What this is: the alerts at work: ops/alerts.yaml, one look at the numbers a minute, what is told and dropped because of it.
// Owns: the states (a log in spool/.bobbin/alerts/), reports/alerts/, the lines in spool/history/.
// Never: decides when an alert fires (AlertState does); keeps the report waiting for a notifier.
// On failure: a file with mistakes changes nothing and is told once (after a start no alert moves until it is mended); what cannot be
//   written is tried at the next look.
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
    /// nil: none has been read without mistakes in this life; until then no state moves.
    private var file: AlertFile?
    /// Looks in a row at which there was no file: an editor may have it away for a moment.
    private var absences = 0
    private var lookTrouble = ""
    private var logged: [String: Timestamp] = [:]
    private var bytes: [UInt8]?
    private var queues: [QueuePolicy] = []
    private var hasRead = false
    private var states: [String: AlertState]
    /// By key, whether whoever was to be told was; and how many are on their way.
    private struct Post {
        var settled: [String: Bool] = [:]
        var sent = 0
        /// Not taken, as too many waited: sent at the next look.
        var owed: Set<String> = []
    }
    private let post = Monitor(Post())
    private static let mostTries = 5

    init(_ site: Site, log: DaemonLog, notices: Notices) throws {
        self.site = site
        self.log = log
        self.notices = notices
        let fires = try FireLog(site.spool.state.makeDirectory(SpoolName.alerts), rewriteAt: 256 << 10)
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
        // What nobody knows to have been told before the last stop.
        for key in fires.facts.keys.sorted() where key.hasPrefix(AlertDesk.noticePrefix) { send(key) }
    }

    /// One look: the states move, what is to be told is told. Gives the metrics their alerts.
    /// False: no rules hold, and nothing is known.
    func look(_ metrics: inout Metrics, _ acknowledgements: [String: AlertAcknowledgement]) throws -> Bool {
        reread()
        drops.finishOpen()
        try settle()
        guard let file else { return false }
        let now = metrics.now
        let looked = AlertDesk.look(file.rules, states, metrics.fields, acknowledgements, now: now)
        var fires: [Fire] = []
        for (alert, telling) in looked.tellings { fires += self.fires(alert, telling, now) }
        var facts = changes(looked.states, now)
        var notices: [String] = []
        for (alert, telling) in looked.tellings {
            for (key, notice) in self.notices(alert, telling, now) {
                facts[key] = .some(notice)
                notices.append(key)
            }
        }
        if fires.isEmpty {
            // Only what makes drops must survive the power; the log is written anew here when it has grown.
            try drops.log.made([], facts: facts)
        } else {
            try drops.make(fires, facts: facts)
        }
        states = looked.states
        HistoryFile(site.spool, log).append(looked.changes.map(AlertDesk.line), at: now)
        for key in notices { send(key) }
        for (alert, change) in looked.changes {
            let level: DaemonLog.Level = change == .resolved ? .info : .warn
            log.write([log.line(level, "alerts", "\(alert.id) \(change.rawValue): \(alert.sentence)", nil)])
        }
        metrics.alerts = looked.alerts
        return true
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
                    acknowledgement: known.flatMap { now < $0.until && state.isOfThisTime($0) ? $0 : nil })
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
            // Told of by its sentence: there is no metric any more.
            looked.changes.append((alert, .resolved))
        }
        return looked
    }

    private func reread() {
        do {
            let bytes = try AlertFile.bytes(site)
            absences = bytes == nil ? absences + 1 : 0
            if bytes == nil, self.bytes != nil, absences < 2 { return }
            let queues = try site.configuration().queues
            guard !hasRead || bytes != self.bytes || queues != self.queues else { return }
            (self.bytes, self.queues, hasRead) = (bytes, queues, true)
            let file = try AlertFile.read(bytes, queues: queues)
            self.file = file
            lookTrouble = ""
            for rule in file.rules where rule.isEnabled {
                guard let why = AlertFile.trouble(rule, file, site) else { continue }
                log.warn("alerts", "\(rule.id): \(why)")
            }
        } catch let problem as ConfigurationProblem {
            tellTrouble("is not used", problem.text)
        } catch { tellTrouble("cannot be read", "\(error)") }
    }

    private func tellTrouble(_ what: String, _ why: String) {
        guard lookTrouble != why else { return }
        lookTrouble = why
        let rest = file == nil ? "no alert moves until it is mended" : "the rules of before hold"
        log.error("alerts", "\(AlertFile.path) \(what), \(rest): \(why)")
    }

    /// What must be known after a restart. A pending one's last look is: a pause that is too long begins it anew.
    private func changes(_ states: [String: AlertState], _ now: Timestamp) -> [String: ValueMap?] {
        var facts: [String: ValueMap?] = [:]
        for (id, state) in states {
            let isOld =
                state.pending != nil && (logged[id].map { now.since($0) > .seconds(120) || now < $0 } ?? true)
            guard let before = self.states[id], !isOld, before.isLike(state) else {
                facts[AlertView.key(id)] = .some(state.map)
                logged[id] = now
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
            case .firing(.warning), .again(.warning): .warning
            case .firing(.critical), .again(.critical): .critical
            case .resolved: .resolved
            }
        return (file?.actions[alert.rule.id] ?? []).enumerated().filter {
            $0.element.occasions.contains(occasion)
        }
        .map { ($0.offset, $0.element.deed) }
    }
    private static func word(_ telling: AlertState.Telling) -> String {
        switch telling {
        case .firing(let level), .again(let level): level.rawValue
        case .resolved: "resolved"
        }
    }

    private func fires(_ alert: Alert, _ telling: AlertState.Telling, _ now: Timestamp) -> [Fire] {
        // Told again is for people: a job that mends something is not dropped every hour because somebody wants to be reminded.
        if case .again = telling { return [] }
        return deeds(alert, telling).compactMap { number, deed in
            guard case .drop(let drop) = deed else { return nil }
            guard queues.contains(where: { $0.name == drop.queue }) else {
                log.error(
                    "alerts",
                    "\(alert.id): its job is not dropped: there is no queue `\(drop.queue)` any more")
                return nil
            }
            let word = AlertDesk.word(telling), key = AlertView.key(alert.id)
            let ticket = TriggerDrops.ticket(
                spool: site.spool.id, trigger: key, about: "\(word) \(number) \(now.nanoseconds)", at: now)
            return Fire(
                trigger: key, ticket: ticket.text, queue: drop.queue, priority: drop.priority,
                name: "\(DropName.escaped(alert.id, limit: 100)).\(ticket).yaml",
                text: AlertDrop.text(drop, alert, word, at: now))
        }
    }
    /// Kept until they are told: who is told twice is better off than who is never told.
    private func notices(_ alert: Alert, _ telling: AlertState.Telling, _ now: Timestamp) -> [(
        String, ValueMap
    )] {
        let word = AlertDesk.word(telling)
        var lines = [alert.sentence]
        if telling != .resolved {
            if !alert.rule.recommendedActions.isEmpty {
                lines += ["", "To do:"] + alert.rule.recommendedActions.map { "- \($0)" }
            }
            lines += ["", "Known, and no more of it for four hours: bobbin alerts ack \(alert.id) --for 4h"]
        }
        var details = alert.fields
        details["event"] = .string("alert.\(word)")
        details["file"] = .string(
            "\(site.path)/\(SpoolName.reports)/\(SpoolName.alerts)/\(AlertView.fileName(alert))")
        let about = alert.instance.isEmpty ? "" : " (\(alert.instance))"
        // One for each of them: who was told is not told again because somebody else could not be.
        return deeds(alert, telling).flatMap { number, deed -> [(Int, Int, String)] in
            guard case .notify(let names) = deed else { return [] }
            return names.enumerated().map { (number, $0.offset, $0.element) }
        }
        .map { number, place, name in
            let notice: ValueMap = [
                "to": .list([.string(name)]), "title": .string("\(word): \(alert.rule.name)\(about)"),
                "message": .string(lines.joined(separator: "\n")),
                "level": .string(word == "critical" ? "error" : word == "warning" ? "warn" : "info"),
                "details": .map(details), "tries": .int(0),
            ]
            return ("\(AlertDesk.noticePrefix)\(alert.id)/\(now.nanoseconds)/\(number).\(place)", notice)
        }
    }
    private static let noticePrefix = "notice/"

    private func send(_ key: String) {
        guard let notice = drops.log.facts[key] else { return }
        post.with { post in
            post.sent += 1
            post.owed.remove(key)
        }
        let post = post
        let isTaken = notices.tell(
            notice["title"]?.text ?? "", notice["message"]?.text ?? "",
            level: notice["level"]?.text ?? "warn",
            details: notice["details"]?.mapValue ?? [:], to: (notice["to"]?.listValue ?? []).map(\.text),
            from: nil
        ) { isTold in
            post.broadcast { post in
                post.settled[key] = isTold
                post.sent -= 1
            }
        }
        guard !isTaken else { return }
        post.broadcast { post in
            post.sent -= 1
            post.owed.insert(key)
        }
    }
    /// Forgets what was told, and tries the others again.
    private func settle() throws {
        let settled = post.with { post in
            defer { post.settled = [:] }
            return post.settled
        }
        var facts: [String: ValueMap?] = [:]
        var again: [String] = []
        for (key, isTold) in settled {
            guard var notice = drops.log.facts[key], !isTold else { facts[key] = .some(nil); continue }
            let tries = (notice["tries"]?.intValue ?? 0) + 1
            guard tries < AlertDesk.mostTries else {
                log.error("alerts", "given up after \(tries) tries: \(notice["title"]?.text ?? key)")
                facts[key] = .some(nil)
                continue
            }
            notice["tries"] = .int(tries)
            facts[key] = .some(notice)
            again.append(key)
        }
        do throws(SystemError) { try drops.log.made([], facts: facts) } catch {
            // Nothing was written down: at the next look all of it once more.
            post.with { $0.settled.merge(settled) { newer, _ in newer } }
            throw error
        }
        for key in again + post.with({ $0.owed.sorted() }) { send(key) }
    }
    /// At the end of a life: what is told within two seconds needs not be told by the next.
    func close() {
        _ = post.wait(until: Clocks.monotonic + Span.seconds(2).nanoseconds) { $0.sent <= 0 ? true : nil }
        let told = post.with { $0.settled }.filter(\.value).keys
        do throws(SystemError) {
            try drops.log.made([], facts: Dictionary(uniqueKeysWithValues: told.map { ($0, nil) }))
        } catch { log.warn("alerts", "what was told is told once more: \(error)") }
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

    /// The latest of each alert, also those that are over.
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
        return latest
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
                let holds = known[id].flatMap { metrics.now < $0.until && state.isOfThisTime($0) ? $0 : nil }
                return Alert(rule: rule, instance: instance, state: state, acknowledgement: holds)
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
                "outcome": .string((alert.state.level ?? alert.state.pending?.level ?? .warning).rawValue),
                "by": .string(by),
                "until": .string(now.adding(span).rfc3339), "note": .string(note),
            ]
        }
        try SiteReport.note(lines, site, now: now)
    }
}
