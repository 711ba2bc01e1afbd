// What this is: a rule by which a number of metrics.json becomes an alert: thresholds, how long, what ends it.
// Owns: what counts as beyond a threshold, and as not yet back from it; where a rule's number is found.
// Never: reads a file or a clock; remembers anything (AlertState does).
// On failure: cannot fail; a number that is not there is beyond nothing.
import JobModel

public enum AlertLevel: String, Hashable, Sendable, CaseIterable, Comparable {
    case warning, critical
    public static func < (left: AlertLevel, right: AlertLevel) -> Bool {
        left == .warning && right == .critical
    }
}

public struct AlertRule: Hashable, Sendable {
    public enum Side: String, Hashable, Sendable { case above, below }
    /// How far a number must have come back: a share of the threshold, or an amount.
    public enum Margin: Hashable, Sendable { case share(Double), amount(Double) }
    /// The rule is asked only while another number is so.
    public struct Condition: Hashable, Sendable {
        public var metric: [String]
        public var side: Side
        public var bound: Double
        public init(metric: [String], side: Side, bound: Double) {
            self.metric = metric
            self.side = side
            self.bound = bound
        }
    }

    public var id: String
    public var name: String
    /// Keys of metrics.json; one of them may be `*`, and the rule stands for each.
    public var metric: [String]
    public var side: Side
    public var thresholds: [AlertLevel: Double]
    /// So long it must be beyond, without a look in between at which it is not.
    public var hold = Span.zero
    /// So long it must be back.
    public var keepFiring = Span.zero
    /// nil: a tenth of the threshold where it must stay below it; nothing where it must stay above, since many a number ends there
    /// (a share at 1, runners at one).
    public var margin: Margin?
    public var condition: Condition?
    public var recommendedActions: [String] = []
    /// Told again while it lasts.
    public var repeatEvery: Span?
    public var isEnabled = true

    public init(
        id: String, name: String? = nil, metric: [String], side: Side, thresholds: [AlertLevel: Double]
    ) {
        self.id = id
        self.name = name ?? id
        self.metric = metric
        self.side = side
        self.thresholds = thresholds
    }

    /// Where the way back of a level ends.
    public func end(of level: AlertLevel) -> Double? {
        guard let bound = thresholds[level] else { return nil }
        let way =
            switch margin ?? (side == .above ? .share(0.1) : .amount(0)) {
            case .share(let share): abs(bound) * share
            case .amount(let amount): amount
            }
        return side == .above ? bound - way : bound + way
    }
    func isBeyond(_ value: Double, _ level: AlertLevel) -> Bool {
        guard let bound = thresholds[level] else { return false }
        return side == .above ? value > bound : value < bound
    }
    /// Of an alert that fires: its number has not come back far enough to end it.
    func isHeld(_ value: Double, _ level: AlertLevel) -> Bool {
        guard let bound = thresholds[level], let end = end(of: level) else { return false }
        let way = abs(end - bound)
        // Without a margin the threshold itself is back; with one, what has not come the whole way is not.
        if way == 0 { return isBeyond(value, level) }
        // 0.9 and a margin of 0.05 is 0.95, whatever the last bit of their sum says.
        let distance = side == .above ? bound - value : value - bound
        return distance < way - 1e-9 * abs(bound)
    }

    /// The numbers of the rule; the key that stands for `*`, or nothing. A number that is not there (yet) is nil.
    public func values(in fields: ValueMap) -> [(instance: String, value: Double?)] {
        if let condition {
            let number = AlertRule.find(condition.metric[...], in: .map(fields), at: "").first?.value
            let isSo = number.map { condition.side == .above ? $0 > condition.bound : $0 < condition.bound }
            guard isSo == true else {
                return AlertRule.find(metric[...], in: .map(fields), at: "").map { ($0.instance, nil) }
            }
        }
        return AlertRule.find(metric[...], in: .map(fields), at: "")
    }
    private static func find(_ path: ArraySlice<String>, in value: Value, at instance: String)
        -> [(instance: String, value: Double?)]
    {
        guard let key = path.first else {
            return [(instance, value.boolValue.map { $0 ? 1 : 0 } ?? value.doubleValue)]
        }
        guard let map = value.mapValue else { return [(instance, nil)] }
        guard key == "*" else { return find(path.dropFirst(), in: map[key] ?? .null, at: instance) }
        return map.entries.flatMap { find(path.dropFirst(), in: $0.value, at: $0.key) }
    }
}
