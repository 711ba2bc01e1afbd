// What this is: an alert as it is shown: its rule, the thing it is about, its state, who knows of it.
// Owns: its id, the sentence that tells of it, its form in reports/alerts/ and in metrics.json.
// Never: moves the state.
// On failure: cannot fail.
import JobModel

public struct Alert: Sendable {
    public var rule: AlertRule
    /// What `*` of the rule's metric stands for here; empty where there is none.
    public var instance: String
    public var state: AlertState
    public var acknowledgement: AlertAcknowledgement?

    public init(
        rule: AlertRule, instance: String, state: AlertState, acknowledgement: AlertAcknowledgement? = nil
    ) {
        self.rule = rule
        self.instance = instance
        self.state = state
        self.acknowledgement = acknowledgement
    }

    /// `queue_wait`, or `queue_wait@default`.
    public var id: String { Alert.id(rule.id, instance) }
    public static func id(_ rule: String, _ instance: String) -> String {
        instance.isEmpty ? rule : "\(rule)@\(instance)"
    }

    /// Silenced by an acknowledgement at this instant.
    public func isAcknowledged(_ now: Timestamp) -> Bool {
        guard let acknowledgement, let level = state.level ?? state.pending?.level else { return false }
        return now < acknowledgement.until && level <= acknowledgement.level
    }

    /// A whole number is one for templates and scripts, too.
    public var value: Value {
        guard let value = state.value else { return .null }
        return value == value.rounded() && abs(value) < 1e15 ? .int(Int(value)) : .double(value)
    }

    public var word: String { state.level?.rawValue ?? (state.pending == nil ? "quiet" : "pending") }

    /// `Queue depth: queue_depth_current is 62, above 50`
    public var sentence: String {
        let about = instance.isEmpty ? "" : " (\(instance))"
        let metric = rule.metric.map { $0 == "*" ? instance : $0 }.joined(separator: ".")
        if rule.metric.isEmpty { return "\(rule.name)\(about): its rule is gone or switched off" }
        guard let value = state.value else { return "\(rule.name)\(about): \(metric) is not known" }
        let number = Alert.text(value)
        guard let level = state.level ?? state.pending?.level, let bound = rule.thresholds[level] else {
            return "\(rule.name)\(about): \(metric) is \(number)"
        }
        let isBeyond = rule.isBeyond(value, level)
        let place =
            isBeyond ? "\(rule.side.rawValue) \(Alert.text(bound))" : "not yet back from \(Alert.text(bound))"
        return "\(rule.name)\(about): \(metric) is \(number), \(place)"
    }
    public static func text(_ value: Double) -> String {
        guard value.isFinite, abs(value) < 1e15 else { return "\(value)" }
        let rounded = (value * 10_000).rounded() / 10_000
        return rounded == rounded.rounded() ? String(Int64(rounded)) : String(rounded)
    }

    public var fields: ValueMap {
        func time(_ moment: Timestamp?) -> Value { moment.map { .string($0.rfc3339) } ?? .null }
        var map: ValueMap = [
            "alert": .string(id), "rule": .string(rule.id), "name": .string(rule.name),
            "instance": instance.isEmpty ? .null : .string(instance), "state": .string(word),
            "severity": state.level.map { .string($0.rawValue) } ?? .null,
        ]
        map["metric"] = .string(rule.metric.joined(separator: "."))
        map["value"] = value
        map["side"] = .string(rule.side.rawValue)
        for level in AlertLevel.allCases {
            map[level.rawValue] = rule.thresholds[level].map(Value.double) ?? .null
        }
        map["firing_since"] = time(state.firingSince)
        map["pending_since"] = time(state.pending?.since)
        map["looked"] = time(state.looked)
        map["told_at"] = time(state.told?.at)
        if let acknowledgement {
            map["acknowledged"] = .map([
                "by": .string(acknowledgement.by), "at": .string(acknowledgement.at.rfc3339),
                "until": .string(acknowledgement.until.rfc3339),
                "level": .string(acknowledgement.level.rawValue), "note": .string(acknowledgement.note),
            ])
        }
        map["sentence"] = .string(sentence)
        map["recommended_actions"] = .list(rule.recommendedActions.map(Value.string))
        return map
    }
}
