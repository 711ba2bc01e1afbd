// What this is: shell text with `{{ expressions }}`, whose values reach the shell as data and never as code.
// Owns: ShellText: a script that names environment variables, and what those variables will hold.
// Never: pastes a value into the script; the script is the same whatever the values are.
// On failure: E-SHELL-QUOTE where a value cannot stand; the hint tells the way through `env:`.
import JobModel

/// A script in which every `{{ e }}` has become a quoted reference to an environment variable.
///
/// The value is one word, or part of one, whatever quotes stand around it. What a program does with its words
/// is its own matter: `sh -c "… {{ x }}"` and `ssh host "… {{ x }}"` hand the value on to a second shell as
/// code; there `{{ x | shell_quote }}` is needed.
public struct ShellText: Sendable {
    public struct Binding: Sendable {
        /// `BOBBIN_VALUE_1`, counted in the order of the text.
        public var name: String
        public var expression: Expression
        /// Of the expression, in Unicode scalars from the start of the text.
        public var offset: Int
    }
    /// What /bin/sh gets.
    public let script: String
    public let bindings: [Binding]

    /// A value longer than this does not fit into one environment string of Linux (MAX_ARG_STRLEN).
    static let valueBytes = (128 << 10) - 64

    /// Reads shell text and finds out how each `{{ e }}` is quoted.
    /// - Throws: what `Template.parse` throws, and E-SHELL-QUOTE where a value would be code or would not be
    ///   expanded: in arithmetic, `${…}`, a quoted here-document, after a `$` or a backslash, after `eval`,
    ///   `trap` and the like.
    public static func parse(_ text: String) throws(TemplateError) -> ShellText {
        let parts = try TemplateParts.read(text)
        var bindings: [Binding] = []
        for case .expression(let code, let offset) in parts {
            let expression = try Template.read(code, offset)
            let name = TemplateShellScanner.variable(bindings.count)
            bindings.append(Binding(name: name, expression: expression, offset: offset))
        }
        guard !bindings.isEmpty else { return ShellText(script: text, bindings: []) }
        let script = try TemplateShellScanner.script(parts, offsets: bindings.map(\.offset))
        return ShellText(script: script, bindings: bindings)
    }

    /// The variables to add to the environment of the shell.
    /// - Throws: what the expressions throw; E-EXPR-TYPE for a list or map; E-SHELL-QUOTE for a NUL;
    ///   E-EXPR-LIMIT for a value of more than 128 KiB.
    public func bind(_ scope: Scope) throws(TemplateError) -> [(name: String, text: String)] {
        var texts: [(name: String, text: String)] = []
        for binding in bindings {
            do {
                texts.append((binding.name, try ShellText.text(try binding.expression.evaluate(scope))))
            } catch { throw error.moved(by: binding.offset) }
        }
        return texts
    }

    private static func text(_ value: Value) throws(TemplateError) -> String {
        switch value {
        case .list, .map:
            throw TemplateError(
                "E-EXPR-TYPE", "\(value.shown) cannot be one word of a shell command",
                hint: "use `run:` with a list of arguments, or make it one text: | join(' ')", offset: 0)
        default: break
        }
        let text = value.text
        guard !text.utf8.contains(0) else {
            throw TemplateError(
                "E-SHELL-QUOTE", "the value holds a NUL, which no shell variable can", offset: 0)
        }
        guard text.utf8.count <= valueBytes else {
            throw TemplateError(
                "E-EXPR-LIMIT", "the value is longer than the 128 KiB that fit into the environment",
                hint: "write it to a file and pass the file's name", offset: 0)
        }
        return text
    }
}
