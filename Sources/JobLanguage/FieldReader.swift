// What this is: typed reading of the fields of one YAML map, each mistake a finding with its place.
// Owns: unknown keys (with the nearest known one), wrong kinds, tree-to-value conversion.
// Never: guesses: a text is not taken for a number.
// On failure: findings; the field counts as absent so that reading goes on.
import JobModel
import YamlText

extension Value {
    /// A tree as a value of the language; depth is bounded by the reader's limits.
    public init(_ node: YamlNode) {
        switch node.content {
        case .scalar(let scalar):
            self =
                switch scalar.value {
                case .null: .null
                case .bool(let flag): .bool(flag)
                case .int(let number): .int(number)
                case .double(let number): .double(number)
                case .string(let text): .string(text)
                }
        case .sequence(let items): self = .list(items.map(Value.init))
        case .mapping(let pairs): self = .map(ValueMap(distinct: pairs.map { ($0.key, Value($0.value)) }))
        }
    }
}

/// The fields of one map.
public struct FieldReader {
    public let node: YamlNode
    let findings: Findings
    let what: String

    init?(_ node: YamlNode, _ what: String, _ findings: Findings) {
        guard node.pairs != nil else {
            findings.error("E-TYPE", "\(what) must be a map, but is a \(node.kindName)", at: node.start)
            return nil
        }
        self.node = node
        self.findings = findings
        self.what = what
    }

    func refuseUnknown(_ known: [String]) {
        for pair in node.pairs ?? [] where !known.contains(pair.key) {
            let near = findings.nearest(pair.key, in: known)
            findings.error(
                "E-KEY", "\(what) has no key `\(pair.key)`",
                hint: near.map { "did you mean `\($0)`?" } ?? "known keys: \(known.joined(separator: ", "))",
                at: pair.keyStart)
        }
    }

    func field(_ key: String) -> YamlNode? { node[key] }

    func wrong(_ key: String, _ wanted: String, _ node: YamlNode) {
        findings.error("E-TYPE", "`\(key)` must be a \(wanted), but is a \(node.kindName)", at: node.start)
    }

    func text(_ key: String) -> String? {
        guard let node = field(key) else { return nil }
        guard case .string(let text)? = node.scalar?.value else {
            // Numbers and true/false are what people write for names; the text they wrote is kept.
            if let scalar = node.scalar, scalar.value != .null { return scalar.text }
            wrong(key, "text", node)
            return nil
        }
        return text
    }
    func integer(_ key: String, in range: ClosedRange<Int>) -> Int? {
        guard let node = field(key) else { return nil }
        guard case .int(let number)? = node.scalar?.value, range.contains(number) else {
            findings.error(
                "E-TYPE", "`\(key)` must be a whole number from \(range.lowerBound) to \(range.upperBound)",
                at: node.start)
            return nil
        }
        return number
    }
    func number(_ key: String, in range: ClosedRange<Double>) -> Double? {
        guard let node = field(key) else { return nil }
        guard let number = Value(node).doubleValue, range.contains(number) else {
            findings.error(
                "E-TYPE", "`\(key)` must be a number from \(range.lowerBound) to \(range.upperBound)",
                at: node.start)
            return nil
        }
        return number
    }
    func flag(_ key: String) -> Bool? {
        guard let node = field(key) else { return nil }
        guard case .bool(let flag)? = node.scalar?.value else {
            findings.error(
                "E-TYPE", "`\(key)` must be true or false, but is a \(node.kindName)",
                hint: "in YAML 1.2 `yes`, `no`, `on` and `off` are texts", at: node.start)
            return nil
        }
        return flag
    }
    func span(_ key: String) -> Span? {
        guard let node = field(key) else { return nil }
        guard let span = Span(Value(node)), span > .zero else {
            findings.error(
                "E-TYPE", "`\(key)` must be a duration", hint: "write 90s, 10m, 2h, 1d or 1h30m",
                at: node.start)
            return nil
        }
        return span
    }
    func map(_ key: String) -> ValueMap? {
        guard let node = field(key) else { return nil }
        guard case .map(let map) = Value(node) else {
            wrong(key, "map", node)
            return nil
        }
        return map
    }
    func items(_ key: String) -> [YamlNode]? {
        guard let node = field(key) else { return nil }
        guard let items = node.items else {
            wrong(key, "list", node)
            return nil
        }
        return items
    }

    private static let retryKeys = [
        "max_attempts", "base_delay", "backoff_multiplier", "max_delay", "jitter", "retry_on", "never_on",
        "only_idempotent",
    ]

    /// `retry: 3`, or a map; keys that are left out come from `standard`.
    func retry(_ key: String, standard: RetryPolicy) -> RetryPolicy? {
        guard let node = field(key) else { return nil }
        var policy = standard
        if node.scalar != nil {
            guard let attempts = integer(key, in: 1...100) else { return nil }
            policy.maxAttempts = attempts
            return policy
        }
        guard let fields = FieldReader(node, "`\(key)`", findings) else { return nil }
        fields.refuseUnknown(FieldReader.retryKeys)
        policy.maxAttempts = fields.integer("max_attempts", in: 1...100) ?? policy.maxAttempts
        policy.baseDelay = fields.span("base_delay") ?? policy.baseDelay
        policy.backoffMultiplier =
            fields.number("backoff_multiplier", in: 1...100) ?? policy.backoffMultiplier
        policy.maxDelay = fields.span("max_delay") ?? policy.maxDelay
        policy.jitter = fields.number("jitter", in: 0...1) ?? policy.jitter
        policy.retryOn = fields.failures("retry_on") ?? policy.retryOn
        policy.neverOn = fields.failures("never_on") ?? policy.neverOn
        policy.onlyIdempotent = fields.flag("only_idempotent") ?? policy.onlyIdempotent
        return policy
    }

    /// Failures by exit code, error code or kind.
    private func failures(_ key: String) -> [FailureMatch]? {
        guard let node = field(key) else { return nil }
        guard case .list(let items)? = Parameter.Kind.texts.accept(Value(node)) else {
            wrong(key, "list of exit codes and error codes", node)
            return nil
        }
        var matches: [FailureMatch] = []
        for (index, item) in items.enumerated() {
            if let match = FailureMatch(item.text) {
                matches.append(match)
                continue
            }
            findings.error(
                "E-RETRY", "`\(key)` knows no failure `\(item.text)`",
                hint:
                    "an exit code (75), an error code (E-TIMEOUT, E-HTTP*), timeout, transient or permanent",
                at: node.items?[index].start ?? node.start)
        }
        return matches
    }
}
