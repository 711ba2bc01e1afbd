// What this is: words of DSL 1.1 as its origin wrote them, put into the words of this language before anything is read.
// Owns: `execution:`, the other names of make_request's parameters, `when` and `idempotent` inside of a step's parameters.
// Never: changes what a word of ours means; lets something be said twice.
// On failure: findings at the place where the word stands.
import JobModel
import YamlText

enum OriginSpelling {
    /// Keys of `execution:` that stand at the top of a job here.
    private static let ofExecution = [
        "queue": "queue", "priority": "priority", "concurrency_tag": "concurrency_key", "retry": "retry",
    ]
    private static let ofRetry: [String: (name: String, isMilliseconds: Bool)] = [
        "attempts": ("max_attempts", false), "max_attempts": ("max_attempts", false),
        "backoff_ms": ("base_delay", true),
        "backoff_multiplier": ("backoff_multiplier", false), "only_idempotent": ("only_idempotent", false),
    ]
    /// By step type, then by the origin's name.
    private static let ofSteps: [String: [String: (name: String, unit: String)]] = [
        "make_request": ["data": ("body", ""), "timeout_seconds": ("timeout", "s")]
    ]
    /// What the origin writes among the parameters, and stands beside the step type here.
    private static let besides = ["when": "when", "idempotent": "idempotent", "store_result": "id"]

    // MARK: the job

    static func job(_ fields: FieldReader) -> FieldReader {
        guard let node = fields.field("execution") else { return fields }
        let findings = fields.findings
        guard let inner = FieldReader(node, "`execution`", findings) else {
            return without("execution", fields)
        }
        inner.refuseUnknown(ofExecution.keys.sorted() + ["web_engine"])
        var pairs = (fields.node.pairs ?? []).filter { $0.key != "execution" }
        for pair in node.pairs ?? [] {
            guard let name = ofExecution[pair.key] else {
                if pair.key == "web_engine" {
                    findings.error(
                        "E-KEY-LATER", "`web_engine` is not available in this version", at: pair.keyStart)
                }
                continue
            }
            if pairs.contains(where: { $0.key == name }) {
                findings.error(
                    "E-KEY", "`\(pair.key)` of `execution` and `\(name)` of the job say the same",
                    hint: "leave one out", at: pair.keyStart)
                continue
            }
            let value = name == "retry" ? retry(pair.value, findings) : pair.value
            pairs.append(YamlPair(key: name, keyStart: pair.keyStart, value: value))
        }
        return replacing(pairs, fields)
    }

    private static func retry(_ node: YamlNode, _ findings: Findings) -> YamlNode {
        guard let pairs = node.pairs else { return node }
        var said: [String: String] = [:]
        let known: [YamlPair] = pairs.compactMap { pair in
            guard let word = ofRetry[pair.key] else { return pair }
            if let other = said.updateValue(pair.key, forKey: word.name) {
                findings.error(
                    "E-KEY", "`\(pair.key)` and `\(other)` say the same", hint: "leave one out",
                    at: pair.keyStart)
                return nil
            }
            return YamlPair(
                key: word.name, keyStart: pair.keyStart,
                value: word.isMilliseconds ? with("ms", pair.value) : pair.value)
        }
        return YamlNode(content: .mapping(known), start: node.start, end: node.end)
    }

    // MARK: a step

    /// The step's map and the pair of its type, in our words.
    static func step(_ fields: FieldReader, _ pair: YamlPair, _ type: StepType) -> (
        fields: FieldReader, pair: YamlPair
    ) {
        guard let inside = pair.value.pairs else { return (fields, pair) }
        let words = ofSteps[type.name] ?? [:]
        let own = Set(type.parameters.map(\.name))
        let isForeign = { (key: String) in !own.contains(key) && (words[key] != nil || besides[key] != nil) }
        guard inside.contains(where: { isForeign($0.key) }) else { return (fields, pair) }
        // A bare map that is the value itself (`set: {when: x}`).
        if type.parameters.contains(where: { $0.name == type.shorthand && $0.kind == .map }),
            !inside.contains(where: { own.contains($0.key) })
        {
            return (fields, pair)
        }
        var outer = fields.node.pairs ?? []
        var kept: [YamlPair] = []
        for entry in inside {
            guard isForeign(entry.key), entry.key != "store_result" || type.name == "make_request" else {
                kept.append(entry)
                continue
            }
            if let name = besides[entry.key] {
                refuseTwice(name, in: outer, entry, fields.findings)
                outer.append(YamlPair(key: name, keyStart: entry.keyStart, value: entry.value))
            } else if let word = words[entry.key] {
                refuseTwice(word.name, in: inside, entry, fields.findings)
                kept.append(
                    YamlPair(key: word.name, keyStart: entry.keyStart, value: with(word.unit, entry.value)))
            }
        }
        let value = YamlNode(content: .mapping(kept), start: pair.value.start, end: pair.value.end)
        let new = YamlPair(key: pair.key, keyStart: pair.keyStart, value: value)
        return (replacing(outer.map { $0.key == pair.key ? new : $0 }, fields), new)
    }

    private static func refuseTwice(
        _ name: String, in pairs: [YamlPair], _ entry: YamlPair, _ findings: Findings
    ) {
        guard pairs.contains(where: { $0.key == name }) else { return }
        findings.error(
            "E-KEY",
            entry.key == name
                ? "`\(name)` is said twice: among the parameters, and beside them"
                : "`\(entry.key)` and `\(name)` say the same",
            hint: "leave one out", at: entry.keyStart)
    }

    // MARK: parts

    /// A number gets its unit; a text is left to whoever reads it.
    private static func with(_ unit: String, _ node: YamlNode) -> YamlNode {
        guard !unit.isEmpty, let scalar = node.scalar else { return node }
        switch scalar.value {
        case .int, .double:
            let text = scalar.text + unit
            return YamlNode(
                content: .scalar(YamlScalar(text: text, isPlain: false)), start: node.start,
                end: node.end)
        default: return node
        }
    }
    private static func without(_ key: String, _ fields: FieldReader) -> FieldReader {
        replacing((fields.node.pairs ?? []).filter { $0.key != key }, fields)
    }
    private static func replacing(_ pairs: [YamlPair], _ fields: FieldReader) -> FieldReader {
        let node = YamlNode(content: .mapping(pairs), start: fields.node.start, end: fields.node.end)
        // It is a map, as it was before.
        return FieldReader(node, fields.what, fields.findings) ?? fields
    }
}
