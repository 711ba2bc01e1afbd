// What this is: texts with `{{ expressions }}` in them, the values made of such texts, and conditions.
// Owns: Template, Condition, and rendering over lists and maps.
// Never: expands what a value brought in: a value that contains `{{` stays as it is; so do keys.
// On failure: an ExpressionError with the offset in the text and, inside a list or map, the path to the text.
import JobModel

public typealias TemplateError = ExpressionError

/// A parsed text. A text that is exactly one `{{ x }}` keeps the type of x; any other renders to text.
public struct Template: Sendable {
    private enum Part: Sendable {
        case text(String)
        case expression(Expression, offset: Int)
    }
    private let parts: [Part]

    /// Reads a text. `{{ '{{' }}` stands for two braces; a lone `}}` is text.
    /// - Throws: what `Expression.parse` throws, with the offset from the start of this text; E-EXPR for
    ///   a `{{` that is not closed.
    public static func parse(_ text: String) throws(TemplateError) -> Template {
        var parts: [Part] = []
        for part in try TemplateParts.read(text) {
            switch part {
            case .text(let plain): parts.append(.text(plain))
            case .expression(let code, let offset):
                parts.append(.expression(try read(code, offset), offset: offset))
            }
        }
        return Template(parts: parts)
    }

    static func read(_ code: String, _ offset: Int) throws(TemplateError) -> Expression {
        do { return try Expression.parse(code) } catch { throw error.moved(by: offset) }
    }

    /// Whether there is nothing to evaluate.
    public var isPlain: Bool { expressions.isEmpty }

    /// The expressions with their offsets in Unicode scalars from the start of the text.
    public var expressions: [(expression: Expression, offset: Int)] {
        parts.compactMap {
            if case .expression(let expression, let offset) = $0 { (expression, offset) } else { nil }
        }
    }

    /// The value in a scope; null inside a longer text is empty, lists and maps are JSON.
    /// - Throws: what the expressions throw; E-EXPR-LIMIT when the text becomes longer than 1 MiB.
    public func render(_ scope: Scope) throws(TemplateError) -> Value {
        if parts.count == 1, case .expression(let expression, let offset) = parts[0] {
            do { return try expression.evaluate(scope) } catch { throw error.moved(by: offset) }
        }
        var out = ""
        for part in parts {
            switch part {
            case .text(let plain): out += plain
            case .expression(let expression, let offset):
                do { out += try expression.evaluateText(scope) } catch { throw error.moved(by: offset) }
                guard out.utf8.count <= ExpressionLimits.textBytes else {
                    throw ExpressionEvaluator.tooLong(offset)
                }
            }
        }
        return .string(out)
    }
}

extension Expression {
    /// The value as part of a longer text.
    func evaluateText(_ scope: Scope) throws(ExpressionError) -> String {
        var evaluator = ExpressionEvaluator(scope: scope)
        return try evaluator.text(marked(try evaluator.value(root), scope), at: root.offset)
    }
}

extension Value {
    /// Every text in the value rendered once; keys and everything that is no text stay as they are.
    /// - Throws: a TemplateError whose `path` says which text: `headers.Authorization`, `args[2]`.
    public func rendered(_ scope: Scope) throws(TemplateError) -> Value {
        let value = try rendered(scope, depth: 0)
        guard !value.isNested(deeperThan: ExpressionLimits.nesting) else { throw Value.tooDeep }
        return value
    }

    private static let tooDeep = TemplateError(
        "E-EXPR-LIMIT", "lists and maps are nested too deeply", offset: 0)

    private func rendered(_ scope: Scope, depth: Int) throws(TemplateError) -> Value {
        guard depth <= ExpressionLimits.nesting else { throw Value.tooDeep }
        switch self {
        case .string(let text):
            guard TemplateParts.mayHold(text) else { return self }
            return try Template.parse(text).render(scope)
        case .list(let items):
            var results: [Value] = []
            results.reserveCapacity(items.count)
            for (index, item) in items.enumerated() {
                do {
                    results.append(try item.rendered(scope, depth: depth + 1))
                } catch { throw error.inside("[\(index)]") }
            }
            return .list(results)
        case .map(let map):
            var pairs: [(String, Value)] = []
            for entry in map.entries {
                do {
                    pairs.append((entry.key, try entry.value.rendered(scope, depth: depth + 1)))
                } catch { throw error.inside(entry.key) }
            }
            return .map(ValueMap(distinct: pairs))
        default: return self
        }
    }
}

extension ExpressionError {
    fileprivate func inside(_ part: String) -> ExpressionError {
        var copy = self
        copy.path = part + (path.isEmpty || path.hasPrefix("[") ? path : ".\(path)")
        return copy
    }
}

/// What `when:` and assertions hold: an expression, in which `{{ e }}` may stand for the value of e.
///
/// `{{ e }}` means `(e)`, and a quoted text with `{{ }}` means the text of the values; in neither way can a
/// value become part of the expression.
public enum Condition {
    /// Reads a condition: `steps.found.count > 20`, `{{ steps[0].found }} > 0`, `'{{ mode }}' == 'full'`.
    public static func parse(_ text: String) throws(ExpressionError) -> Expression {
        Expression(text: text, root: try ExpressionParser.parse(text, holes: true))
    }

    /// Whether the condition holds: false, null, 0 and anything empty are false, the rest is true.
    public static func evaluate(_ text: String, _ scope: Scope) throws(ExpressionError) -> Bool {
        try parse(text).holds(scope)
    }
}
