// What this is: values of a job as far as they are known before it runs, for people who want to see what it would do.
// Owns: which expressions can be rendered early, and the mask over what is named like a secret.
// Never: runs a step, guesses what one will answer, is used where a value counts; knows a secret under another name.
// On failure: an expression that cannot be rendered stays as it is written.
import JobModel

public struct Preview: Sendable {
    private var scope: Scope
    /// Variables whose own value is not known yet.
    private var open: Set<String>
    /// Whether the run has begun: what its steps have left is known.
    private var isRunning = false
    public static let mask = "***"
    private static let secretWords = [
        "password", "passwd", "passphrase", "secret", "token", "authorization", "api_key", "apikey", "cookie",
        "credential", "private_key",
    ]
    /// Whole words of a name: as parts of others they mean something else (`bypass`, `author`).
    private static let secretParts: Set<String> = ["pass", "pwd", "auth"]

    /// `steps` and `run` are never known; `missing`: inputs that whoever drops the job has still to give.
    public init(_ scope: Scope, missing: some Sequence<String> = []) {
        self.scope = scope
        open = Set(missing)
    }

    /// Of a run that has come to a step: what is known there, and not what the steps after it will leave.
    public init(at scope: Scope) {
        self.init(scope, missing: [])
        isRunning = true
    }

    /// With the variables of a template that is called; values that are open stay open in it.
    public func inside(_ variables: ValueMap, hiding names: some Sequence<String> = []) -> Preview {
        var inner = scope
        inner.variables = variables
        inner.extras = [:]
        inner.steps = []
        return Preview(
            inner, missing: variables.keys.filter { Preview.isOpen(variables[$0] ?? .null) } + names)
    }
    /// In the rounds of a loop: its item is not known.
    public func hiding(_ names: [String]) -> Preview {
        var copy = self
        copy.open.formUnion(names)
        return copy
    }

    public func value(_ value: Value, named name: String = "") -> Value {
        if Preview.isSecret(name), !value.isNull, value.boolValue == nil { return .string(Preview.mask) }
        switch value {
        case .string(let text):
            let shown = self.text(text)
            return shown.stringValue.map { .string(Preview.masked($0)) } ?? shown
        case .list(let items):
            // `[--password, x]`: a word behind the name of a secret is one.
            return .list(
                items.indices.map { index in
                    let option = index > 0 ? items[index - 1].stringValue ?? "" : ""
                    let isOption = option.hasPrefix("--") && !option.contains("=") && Preview.isSecret(option)
                    return isOption ? .string(Preview.mask) : self.value(items[index], named: name)
                })
        case .map(let map):
            return .map(ValueMap(distinct: map.entries.map { ($0.key, self.value($0.value, named: $0.key)) }))
        default: return value
        }
    }

    public static func isSecret(_ name: String) -> Bool {
        let plain = name.lowercased().replacing("-", with: "_")
        return secretWords.contains { plain.contains($0) }
            || plain.split(separator: "_").contains { secretParts.contains(String($0)) }
    }
    /// Passwords in addresses, and what is said to be a secret within a text: `--token=x`, `Authorization: Bearer x`.
    public static func masked(_ text: String) -> String {
        let inAddress = /(:\/\/[^\s\/:"']*:)[^\s\/"']+@/
        let named =
            /(?i)([\w-]*(?:password|passwd|passphrase|secret|token|authorization|api[_-]?key|cookie|credential|private[_-]?key)[\w-]*["']?\s*[=:](?!\/\/)\s*["']?(?:(?:bearer|basic|token|digest)\s+)?)(?!\{\{|\*\*\*)[^\s&"',;{}]+/
        return text.replacing(inAddress) { "\($0.1)\(mask)@" }.replacing(named) { "\($0.1)\(mask)" }
    }
    /// Whether something in it is not known yet.
    public static func isOpen(_ value: Value) -> Bool { value.mayHoldTemplate }

    private func text(_ text: String) -> Value {
        // What cannot be read has been complained about by the checker.
        guard TemplateParts.mayHold(text), let parts = try? TemplateParts.read(text) else {
            return .string(text)
        }
        if parts.count == 1, case .expression(let code, _) = parts[0] {
            return known(code) ?? .string("{{ \(code.trimmed) }}")
        }
        var out = ""
        for part in parts {
            switch part {
            case .text(let plain): out += plain
            case .expression(let code, _):
                let value = known(code)
                out += value.map { $0.isNull ? "" : $0.text } ?? "{{ \(code.trimmed) }}"
            }
        }
        return .string(out)
    }

    private func known(_ code: String) -> Value? {
        // What cannot be read stays as it is written; the checker has complained.
        guard let expression = try? Expression.parse(code) else { return nil }
        // It stands there by its name, which is no secret.
        guard expression.secrets.isEmpty else { return nil }
        let roots = expression.references.map(\.root)
        let names = expression.references.flatMap(\.names)
        if names.contains(where: Preview.isSecret) { return .string(Preview.mask) }
        // Alone it can be shown, open as it is.
        let isBare = roots.count == 1 && code.trimmed == roots[0]
        guard expression.references.allSatisfy(isKnown) else { return nil }
        // Asked again when the step runs, they may say something else.
        if isRunning, code.contains(/\b(now|file_exists)\s*\(/) { return nil }
        let mayShow = roots.allSatisfy {
            (!open.contains($0) || isBare && scope.variables[$0] != nil)
        }
        guard mayShow else { return nil }
        // What fails now may not fail when it runs, and stays as it is written. A map that is shown whole may hold secrets.
        return (try? expression.evaluate(scope)).map { Preview.cleared($0) }
    }

    /// Of the run, and of its steps those that have left something. A `default` for what a step will leave is no value yet.
    private func isKnown(_ reference: Reference) -> Bool {
        switch (reference.root, reference.members.first) {
        case ("steps", .name(let name)): isRunning && scope.step(named: name) != nil
        case ("steps", .index(let index)): isRunning && index >= 0 && scope.step(at: index) != nil
        case ("steps", nil): false
        case ("run", .name(let name)): isRunning && name != "error"
        case ("run", _): false
        default: true
        }
    }

    /// As it is, but for what is named like a secret.
    public static func cleared(_ value: Value) -> Value {
        switch value {
        case .string(let text): .string(masked(text))
        case .list(let items): .list(items.map(cleared))
        case .map(let map):
            .map(
                ValueMap(
                    distinct: map.entries.map { entry in
                        (entry.key, isSecret(entry.key) ? .string(mask) : cleared(entry.value))
                    }))
        default: value
        }
    }
}

extension Reference {
    /// Its root and the members that are known by name.
    fileprivate var names: [String] {
        [root] + members.compactMap { if case .name(let name) = $0 { name } else { nil } }
    }
}
