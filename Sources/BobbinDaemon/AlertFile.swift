// What this is: ops/alerts.yaml as rules of alerts and what each of them does.
// Owns: its keys and defaults (docs/REPORTS.md lists them); which metrics there are to name.
// Never: half-applies: a file with a mistake gives no rules at all.
// On failure: findings with file, line and column; the rules of before hold.
import JobLanguage
import JobModel
import LinuxSystem
import Reporting
import SpoolQueue
import YamlText

/// What is done when an alert is told.
struct AlertAction: Hashable, Sendable {
    enum Occasion: String, Hashable, Sendable, CaseIterable { case warning, critical, resolved }
    struct Drop: Hashable, Sendable {
        var template: String
        var queue: QueueName
        var priority: Priority
        var variables: ValueMap
    }
    enum Deed: Hashable, Sendable {
        /// Notifiers of ops/notify.d/, and mail addresses.
        case notify([String])
        case drop(Drop)
    }
    var deed: Deed
    var occasions: Set<Occasion>
}

public struct AlertFile: Sendable {
    public static let name = "alerts.yaml", path = "ops/alerts.yaml"
    public var rules: [AlertRule] = []
    /// By a rule's id.
    var actions: [String: [AlertAction]] = [:]

    static let topKeys = ["alerts", "notify"]
    static let keys = [
        "id", "name", "description", "metric", "above", "below", "for", "hysteresis", "keep_firing_for",
        "only_if", "recommended_actions", "repeat", "enabled", "actions",
    ]
    static let actionKeys = ["notify", "drop", "when"]
    static let dropKeys = ["template", "queue", "priority", "variables"]

    public static func bytes(_ site: Site) throws -> [UInt8]? { try site.opsBytes(name) }
    public static func read(_ site: Site) throws -> AlertFile {
        try read(bytes(site), queues: site.configuration().queues)
    }
    /// `bytes`: nil where there is no such file.
    static func read(_ bytes: [UInt8]?, queues: [QueuePolicy]) throws(ConfigurationProblem) -> AlertFile {
        guard let bytes, let (sheet, tree) = try TriggerSheet.open(bytes, path) else { return AlertFile() }
        let file = AlertSheet(sheet: sheet, queues: queues).read(tree)
        try TriggerSheet.finish(sheet)
        return file
    }

    /// Why nobody would be told, or the job of a rule would be sent back; nil: all is well.
    public static func trouble(_ rule: AlertRule, _ file: AlertFile, _ site: Site) -> String? {
        let alert = Alert(rule: rule, instance: "", state: AlertState())
        for action in file.actions[rule.id] ?? [] {
            if case .notify(let names) = action.deed,
                let name = names.first(where: {
                    !$0.contains("@") && !Host.isExecutable("\(site.path)/ops/notify.d/\($0)")
                })
            {
                return "there is no executable ops/notify.d/\(name), by which somebody is to be told"
            }
            guard case .drop(let drop) = action.deed else { continue }
            let text = AlertDrop.text(drop, alert, "warning", at: Timestamp(seconds: 0))
            if let why = TriggerSheet.trouble(text, site, path) {
                return "its job would be sent back: \(why)"
            }
        }
        return nil
    }
}

/// The job that an alert drops.
enum AlertDrop {
    static func text(_ drop: AlertAction.Drop, _ alert: Alert, _ occasion: String, at now: Timestamp)
        -> String
    {
        let trigger: ValueMap = [
            "kind": "alert", "id": .string(alert.rule.id), "alert": .string(alert.id),
            "name": .string(alert.rule.name), "instance": .string(alert.instance),
            "severity": .string(occasion), "metric": .string(alert.rule.metric.joined(separator: ".")),
            "value": alert.value, "message": .string(alert.sentence),
            "at": .string(now.rfc3339),
        ]
        let moment = TriggerCall.Moment(instant: now) { Clocks.zoneOffset(atSeconds: $0) }
        return TriggerCall.text(
            template: drop.template, rendering: drop.variables, tag: "alert:\(alert.rule.id)",
            trigger: trigger,
            at: moment)
    }
}

private struct AlertSheet {
    let sheet: ConfigurationSheet
    let queues: [QueuePolicy]
    /// What metrics.json of a site without a past says.
    private static let known = Metrics(
        now: Timestamp(seconds: 0),
        day: OutcomeTally(since: Timestamp(seconds: 0), until: Timestamp(seconds: 1)),
        week: OutcomeTally(since: Timestamp(seconds: 0), until: Timestamp(seconds: 1))
    ).fields
    private static let ofQueue = Metrics.Queue(
        name: "", byPriority: [], running: 0, parked: 0, oldest: nil, isPaused: false, limit: 0
    ).fields

    func read(_ tree: YamlNode) -> AlertFile {
        var file = AlertFile()
        guard sheet.pairs(tree, "the file", AlertFile.topKeys) != nil else { return file }
        let everybody = sheet.texts(of: tree, "notify")
        file.rules = TriggerSheet.entries(sheet, tree, "alerts", id: \.id) { node in
            guard let rule = rule(node) else { return nil }
            file.actions[rule.id] = actions(node, everybody)
            return rule
        }
        return file
    }

    private func rule(_ node: YamlNode) -> AlertRule? {
        guard sheet.pairs(node, "an alert", AlertFile.keys) != nil,
            let id = sheet.identifier(node, "an alert"),
            let metric = metric(node, "alert `\(id)`"), let (side, thresholds) = thresholds(node, id)
        else { return nil }
        var rule = AlertRule(
            id: id, name: sheet.text(node, "name"), metric: metric, side: side, thresholds: thresholds)
        _ = sheet.text(node, "description")
        rule.hold = sheet.span(node, "for") ?? .zero
        rule.keepFiring = sheet.span(node, "keep_firing_for") ?? .zero
        if let field = node["hysteresis"] { rule.margin = margin(field) ?? rule.margin }
        if let field = node["only_if"] { rule.condition = condition(field) }
        let isShare = metric.last.map { $0.contains("_rate") || $0.contains("_ratio") } ?? false
        for level in AlertLevel.allCases where isShare {
            if let end = rule.end(of: level), end > 1 || end < 0 {
                sheet.problem(
                    "alert `\(id)` would never end: it would have to come back to \(Alert.text(end)), and a share is from 0 to 1",
                    (node["hysteresis"] ?? node).start, hint: "hysteresis: 0.02")
            }
        }
        rule.recommendedActions = sheet.texts(of: node, "recommended_actions")
        rule.repeatEvery = sheet.span(node, "repeat")
        if let every = rule.repeatEvery, let field = node["repeat"], every < .seconds(60) {
            sheet.problem("`repeat` is at least a minute", field.start)
        }
        rule.isEnabled = sheet.flag(node, "enabled") ?? true
        return rule
    }

    private func metric(_ node: YamlNode, _ what: String) -> [String]? {
        guard let text = sheet.word(node, "metric", of: what), let field = node["metric"] else { return nil }
        let path = text.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        func wrong(_ word: String, _ names: [String]) {
            let near = NearestName.find(word, in: names).map { "did you mean `\($0)`?" }
            sheet.problem(
                "there is no metric `\(text)`", field.start,
                hint: near
                    ?? "`bobbin metrics --json` shows those there are; docs/REPORTS.md says what each is")
        }
        guard let first = AlertSheet.known[path[0]] else {
            wrong(path[0], AlertSheet.known.entries.map(\.key))
            return nil
        }
        switch (path[0], path.count) {
        case ("queues", 3):
            guard AlertSheet.ofQueue[path[2]] != nil, path[2] != "waiting_by_priority" else {
                wrong(path[2], AlertSheet.ofQueue.entries.map(\.key).filter { $0 != "waiting_by_priority" })
                return nil
            }
            guard path[1] == "*" || queues.contains(where: { $0.name.text == path[1] }) else {
                sheet.problem(
                    "there is no queue `\(path[1])`", field.start,
                    hint: "`*` is each of them: \(queues.map(\.name.text).joined(separator: ", "))")
                return nil
            }
        case (_, 2):
            guard let map = first.mapValue, path[0] != "queues", path[1] == "*" || map[path[1]] != nil,
                path[1] == "*" || AlertSheet.isNumber(map[path[1]]),
                !["next_run", "next_schedule"].contains(path[1])
            else {
                wrong(path[1], first.mapValue?.entries.map(\.key) ?? [])
                return nil
            }
        case (_, 1):
            guard AlertSheet.isNumber(first) else {
                sheet.problem("`\(text)` is no number", field.start, hint: "name what is in it: \(text).…")
                return nil
            }
        default:
            wrong(path[0], [])
            return nil
        }
        return path
    }
    /// What is not known yet may become one.
    private static func isNumber(_ value: Value?) -> Bool {
        switch value {
        case .int, .double, .bool, .null: true
        default: false
        }
    }

    private func thresholds(_ node: YamlNode, _ id: String) -> (AlertRule.Side, [AlertLevel: Double])? {
        let side: AlertRule.Side, field: YamlNode
        switch (node["above"], node["below"]) {
        case (let above?, nil): (side, field) = (.above, above)
        case (nil, let below?): (side, field) = (.below, below)
        default:
            sheet.problem(
                "alert `\(id)` needs either `above` or `below`", node.start,
                hint: "above: {warning: 50, critical: 100}")
            return nil
        }
        let key = side.rawValue
        guard field.pairs != nil else {
            return number(field, key).map { (side, [.warning: $0]) }
        }
        guard let pairs = sheet.pairs(field, "`\(key)`", AlertLevel.allCases.map(\.rawValue)) else {
            return nil
        }
        var thresholds: [AlertLevel: Double] = [:]
        for pair in pairs {
            guard let level = AlertLevel(rawValue: pair.key), let bound = number(pair.value, pair.key) else {
                continue
            }
            thresholds[level] = bound
        }
        if let warning = thresholds[.warning], let critical = thresholds[.critical],
            side == .above ? warning > critical : warning < critical
        {
            sheet.problem(
                "`critical` comes before `warning`: \(Alert.text(critical)) is reached first", field.start,
                hint: side == .above ? "critical is the larger one" : "critical is the smaller one")
        }
        guard !thresholds.isEmpty else {
            sheet.problem("`\(key)` names no threshold", field.start, hint: "warning, critical, or both")
            return nil
        }
        return (side, thresholds)
    }

    /// A number, or a share: `10 %` is 0.1.
    private func number(_ node: YamlNode, _ key: String) -> Double? {
        if let number = Value(node).doubleValue, number.isFinite { return number }
        if let share = share(node) { return share }
        sheet.problem("`\(key)` must be a number", node.start, hint: "write 50, 0.1 or 10%")
        return nil
    }
    private func share(_ node: YamlNode) -> Double? {
        guard let text = node.scalar?.text, text.hasSuffix("%"),
            let number = Double(text.dropLast().filter { $0 != " " }), number.isFinite
        else { return nil }
        return number / 100
    }
    private func margin(_ node: YamlNode) -> AlertRule.Margin? {
        if let share = share(node), (0...1).contains(share) { return .share(share) }
        if let amount = Value(node).doubleValue, amount.isFinite, amount >= 0 { return .amount(amount) }
        sheet.problem(
            "`hysteresis` must be a share of the threshold or an amount", node.start, hint: "write 10% or 5")
        return nil
    }
    private func condition(_ node: YamlNode) -> AlertRule.Condition? {
        guard sheet.pairs(node, "`only_if`", ["metric", "above", "below"]) != nil,
            let metric = metric(node, "`only_if`")
        else { return nil }
        guard !metric.contains("*") else {
            sheet.problem("`only_if` asks one metric, not each of several", node.start)
            return nil
        }
        switch (node["above"], node["below"]) {
        case (let field?, nil):
            return number(field, "above").map { .init(metric: metric, side: .above, bound: $0) }
        case (nil, let field?):
            return number(field, "below").map { .init(metric: metric, side: .below, bound: $0) }
        default:
            sheet.problem("`only_if` needs either `above` or `below`", node.start)
            return nil
        }
    }

    private func actions(_ node: YamlNode, _ everybody: [String]) -> [AlertAction] {
        guard let field = node["actions"], field.scalar?.value != .null else {
            return everybody.isEmpty
                ? [] : [AlertAction(deed: .notify(everybody), occasions: Set(AlertAction.Occasion.allCases))]
        }
        guard let items = field.items else {
            sheet.problem("`actions` must be a list", field.start, hint: "- notify: [ops]")
            return []
        }
        return items.compactMap(action)
    }
    private func action(_ node: YamlNode) -> AlertAction? {
        guard sheet.pairs(node, "an action", AlertFile.actionKeys) != nil else { return nil }
        let occasions = node["when"].map { self.occasions($0) }
        switch (node["notify"], node["drop"]) {
        case (_?, nil):
            let names = sheet.texts(of: node, "notify")
            return AlertAction(
                deed: .notify(names), occasions: occasions ?? Set(AlertAction.Occasion.allCases))
        case (nil, let field?):
            guard sheet.pairs(field, "`drop`", AlertFile.dropKeys) != nil,
                let template = sheet.word(field, "template", of: "`drop`"),
                let (queue, priority) = sheet.place(field, queues)
            else { return nil }
            return AlertAction(
                deed: .drop(
                    .init(
                        template: template, queue: queue, priority: priority,
                        variables: sheet.variables(field))),
                occasions: occasions ?? [.warning, .critical])
        default:
            sheet.problem("an action is either `notify` or `drop`", node.start)
            return nil
        }
    }
    private func occasions(_ node: YamlNode) -> Set<AlertAction.Occasion> {
        Set(
            (node.items ?? [node]).compactMap { item in
                let word = item.scalar?.text ?? ""
                if let occasion = AlertAction.Occasion(rawValue: word) { return occasion }
                let known = AlertAction.Occasion.allCases.map(\.rawValue)
                sheet.problem(
                    "`when` must be of \(known.joined(separator: ", "))", item.start,
                    hint: NearestName.find(word, in: known).map { "did you mean `\($0)`?" } ?? "")
                return nil
            })
    }
}
