// What this is: any text as expression, condition, template and shell text, read and evaluated in one scope.
// Owns: what holds for them: errors have a place inside the text, values are JSON that reads back as the same value.
// Never: starts a shell.
// On failure: must() traps.
import JobLanguage
import JobModel
import YamlText

enum ExpressionTarget {
    static let scope = Scope(
        variables: [
            "inbox": .string("/srv/in"), "n": .int(7), "half": .double(0.5), "flag": .bool(true),
            "nothing": .null, "empty": .string(""), "my-var": .string("x"), "Größe": .int(5),
            "list": .list([.int(3), .int(1), .int(2)]), "huge": .int(.max), "least": .int(.min),
            "rows": .list([.map(["path": .string("b"), "size": .int(2)]), .map(["path": .string("a")])]),
            "nan": .double(.nan), "infinite": .double(.infinity), "braces": .string("{{ n }}"),
            "odd": .string("a'b\"c\\\n\u{0}\u{1F600}e\u{301}"),
            "long": .string(String(repeating: "ab ", count: 3000)),
        ],
        steps: [
            Scope.StepOutputs(
                label: "1", id: "found",
                outputs: [
                    "count": .int(21), "files": .list([.string("/in/a.pdf")]), "my-key": .string("dash"),
                ]),
            Scope.StepOutputs(label: "2", outputs: ["status": .int(200)]),
            Scope.StepOutputs(label: "on_failure.1", outputs: ["told": .bool(true)]),
        ],
        run: ["id": .string("01J"), "error": .null], extras: ["item": .string("one")],
        now: Timestamp(seconds: 1_795_246_912), localDate: "2026-11-21",
        environment: { $0 == "HOME" ? "/home/op" : nil }, fileExists: { $0 == "/etc/passwd" })
    private static let codes: Set<String> = [
        "E-EXPR", "E-UNDEFINED", "E-EXPR-TYPE", "E-EXPR-LIMIT", "E-SECRET-NAME", "E-SECRET", "E-SHELL-QUOTE",
    ]
    private static let wide = YamlLimits(
        maxBytes: 64 << 20, maxDepth: 512, maxNodes: 4_000_000, maxScalarBytes: 8 << 20)

    @Sendable static func run(_ bytes: [UInt8]) {
        let text = String(decoding: bytes, as: UTF8.self)
        attempt(text) { () throws(ExpressionError) in
            let expression = try Expression.parse(text)
            for reference in expression.references {
                must((0...text.unicodeScalars.count).contains(reference.offset), "\(reference)")
            }
            checkValue(try expression.evaluate(scope))
        }
        attempt(text) { () throws(ExpressionError) in _ = try Condition.evaluate(text, scope) }
        attempt(text) { () throws(ExpressionError) in
            let template = try Template.parse(text)
            let value = try template.render(scope)
            if template.isPlain {
                must(same(value.stringValue ?? "", text), "a plain text changed: \(value)")
            }
            checkValue(value)
        }
        attempt(text) { () throws(ExpressionError) in
            let shell = try ShellText.parse(text)
            if shell.bindings.isEmpty {
                must(same(shell.script, text), "a plain script changed: \(shell.script)")
            }
            for binding in shell.bindings.prefix(20) {
                must(
                    shell.script.contains("${\(binding.name)}"), "\(binding.name) is missing: \(shell.script)"
                )
            }
            must(try shell.bind(scope).count == shell.bindings.count, "a variable is missing")
        }
    }

    private static func attempt(_ text: String, _ body: () throws(ExpressionError) -> Void) {
        do throws(ExpressionError) { try body() } catch {
            must(codes.contains(error.code), "an unknown code: \(error)")
            must((0...text.unicodeScalars.count).contains(error.offset), "outside of the text: \(error)")
        }
    }

    /// JSON has no word for what is no number, so such values are left out.
    private static func checkValue(_ value: Value) {
        guard isFinite(value) else { return }
        let json = JSONText.write(.list([value]))
        do throws(YamlError) {
            let back = Value(try YamlReader.parse(Array(json.utf8), limits: wide))
            must(same(JSONText.write(back), json), "\(json) came back as \(JSONText.write(back))")
        } catch {
            must(false, "\(error): \(json)")
        }
    }
    private static func isFinite(_ value: Value) -> Bool {
        switch value {
        case .double(let number): number.isFinite
        case .list(let items): items.allSatisfy(isFinite)
        case .map(let map): map.entries.allSatisfy { isFinite($0.value) }
        default: true
        }
    }
}
