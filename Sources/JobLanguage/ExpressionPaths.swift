// What this is: how an expression follows a path: names, steps, members and indexes.
// Owns: the difference between what is missing (default may replace it) and what has the wrong type.
// Never: reaches into anything but values: a text, a number or a date has no members.
// On failure: a path that leads nowhere names its nearest neighbour: did you mean `steps.found`?
import JobModel
import YamlText

/// A path that leads nowhere, with what is needed to say so; the nearest name is searched only when asked.
struct ExpressionMissing {
    /// The path as far as the part that is missing.
    var shown: String
    var reason = ""
    /// The missing name, what stands before it, and the names that would have been there.
    var name = ""
    var prefix = ""
    var candidates: [String] = []
    /// What was certainly meant, where that is known.
    var meant: String?
    var offset: Int

    init(shown: String, reason: String, _ offset: Int) {
        self.shown = shown
        self.reason = reason
        self.offset = offset
    }

    var error: ExpressionError {
        let message = "`\(shown)` is unknown" + (reason.isEmpty ? "" : ": \(reason)")
        var hint = "`| default: …` gives a value for what may be missing"
        if let meant {
            hint = "did you mean `\(meant)`?"
        } else if let near = NearestName.of(name, among: candidates) {
            hint = "did you mean `\(prefix)\(ExpressionMissing.member(near, first: prefix.isEmpty))`?"
        }
        return ExpressionError("E-UNDEFINED", message, hint: hint, offset: offset)
    }

    /// `.name`, or `['my-name']` where the name is no word; a first name stands alone or under `variables`.
    static func member(_ name: String, first: Bool) -> String {
        let scalars = name.unicodeScalars
        let isWord =
            scalars.first.map(ExpressionTokens.startsName) ?? false
            && scalars.allSatisfy(ExpressionTokens.continuesName)
        if isWord { return first ? name : ".\(name)" }
        return (first ? "variables" : "") + "['\(name)']"
    }
}

extension ExpressionEvaluator {
    func root(_ name: String, _ offset: Int) -> Found {
        if let value = scope.value(named: name) { return .value(value) }
        var missing = ExpressionMissing(shown: name, reason: "", offset)
        missing.name = name
        missing.candidates = scope.rootNames
        if scope.steps.contains(where: { $0.id == name }) { missing.meant = "steps.\(name)" }
        return .missing(missing)
    }

    mutating func access(_ base: Node, _ accesses: [Node.Access]) throws(ExpressionError) -> Found {
        var current: Value
        var shown: String
        var rest = accesses[...]
        if case .name(let name) = base.kind {
            shown = name
            if name == "steps", let first = rest.popFirst() {
                switch try step(first, &shown) {
                case .value(let outputs): current = outputs
                case .missing(let missing): return .missing(missing)
                }
            } else {
                switch root(name, base.offset) {
                case .value(let value): current = value
                case .missing(let missing): return .missing(missing)
                }
            }
        } else {
            current = try value(base)
            shown = "(…)"
        }
        for access in rest {
            switch try follow(access, from: current, &shown) {
            case .value(let next): current = next
            case .missing(let missing): return .missing(missing)
            }
        }
        return .value(current)
    }

    private mutating func step(_ access: Node.Access, _ shown: inout String) throws(ExpressionError) -> Found
    {
        let (key, offset) = try key(of: access)
        let outputs: ValueMap?
        switch key {
        case .string(let name): outputs = scope.step(named: name)
        case .int(let index): outputs = scope.step(at: index)
        default: throw wrongKey(key, "steps have names and numbers", offset)
        }
        guard let outputs else {
            return missing(key, in: shown, scope.stepNames, "no such step has run before this one", offset)
        }
        shown += ExpressionEvaluator.accessor(key)
        return .value(.map(outputs))
    }

    private mutating func follow(
        _ access: Node.Access, from value: Value, _ shown: inout String
    ) throws(ExpressionError) -> Found {
        let (key, offset) = try key(of: access)
        let next: Value?
        switch (value, key) {
        case (.map(let map), .string(let name)):
            next = map[name]
            if next == nil { return missing(key, in: shown, map.keys, "", offset) }
        case (.list(let items), .int(let index)):
            let place = index < 0 ? index + items.count : index
            next = items.indices.contains(place) ? items[place] : nil
        case (.null, .string), (.null, .int):
            return missing(key, in: shown, [], "`\(shown)` is null", offset)
        case (.map, _): throw wrongKey(key, "`\(shown)` is a map; its keys are texts", offset)
        case (.list, _): throw wrongKey(key, "`\(shown)` is a list; use a position, as in [0]", offset)
        default: throw wrongKey(key, "`\(shown)` is \(value.shown) and has no members", offset)
        }
        guard let next else {
            let count = value.listValue?.count ?? 0
            return missing(key, in: shown, [], "the list has \(count) entries", offset)
        }
        shown += ExpressionEvaluator.accessor(key)
        return .value(next)
    }

    private mutating func key(of access: Node.Access) throws(ExpressionError) -> (key: Value, offset: Int) {
        switch access {
        case .member(let name, let offset): (.string(name), offset)
        case .index(let node): (try value(node), node.offset)
        }
    }

    private func missing(
        _ key: Value, in prefix: String, _ candidates: [String], _ reason: String, _ offset: Int
    ) -> Found {
        let shown = prefix + ExpressionEvaluator.accessor(key)
        var missing = ExpressionMissing(shown: shown, reason: reason, offset)
        missing.name = key.stringValue ?? ""
        missing.prefix = prefix
        missing.candidates = candidates
        return .missing(missing)
    }

    private func wrongKey(_ key: Value, _ why: String, _ offset: Int) -> ExpressionError {
        ExpressionError(
            "E-EXPR-TYPE", "\(why); `\(ExpressionEvaluator.accessor(key))` leads nowhere", offset: offset)
    }

    private static func accessor(_ key: Value) -> String {
        guard case .string(let name) = key else { return "[\(key.kindName == "list" ? "…" : key.text)]" }
        return ExpressionMissing.member(String(name.prefix(80)), first: false)
    }
}
