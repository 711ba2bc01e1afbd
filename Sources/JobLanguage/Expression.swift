// What this is: the expressions of the job language: `steps.found.count > 20`, `name | default: 'none'`.
// Owns: Expression, its errors, its limits, and what the static checker learns about it.
// Never: runs code of the host, reads a clock, a file or the environment; the scope answers for those.
// On failure: an ExpressionError says what, why, what to do and where in the text.
import JobModel

/// Why an expression, a template or a condition could not be read or has no value.
public struct ExpressionError: Error, Hashable, Sendable {
    /// E-EXPR (cannot be read, or no result), E-UNDEFINED, E-EXPR-TYPE, E-EXPR-LIMIT, E-SECRET-NAME, E-SECRET or
    /// E-SHELL-QUOTE.
    public var code: String
    public var message: String
    /// What to do; may be empty.
    public var hint: String
    /// Unicode scalars from the start of the text that was given to `parse`.
    public var offset: Int
    /// Where in a list or map the text stands (`headers.Authorization`, `args[2]`); empty for a text alone.
    public var path = ""

    public init(_ code: String, _ message: String, hint: String = "", offset: Int) {
        self.code = code
        self.message = message
        self.hint = hint
        self.offset = offset
    }

    func moved(by scalars: Int) -> ExpressionError {
        var copy = self
        copy.offset += scalars
        return copy
    }
}

/// The bounds of the language; each one exceeded is E-EXPR-LIMIT.
enum ExpressionLimits {
    static let scalars = 4_096
    /// As deep as this a parse takes 192 KiB of stack, in a debug build 768 KiB.
    static let depth = 64
    /// One visit of a node costs 16 units, a list item 1, 64 bytes of text 1: 100,000 visits.
    static let visit = 16
    static let units = 100_000 * visit
    static let textBytes = 1 << 20
    static let rangeItems = 10_000
    /// Lists within lists; keeps every walk over a value far from the end of the stack.
    static let nesting = 100
}

/// A parsed expression; parse once, evaluate as often as needed.
public struct Expression: Sendable {
    public let text: String
    let root: ExpressionNode
    /// The secrets that are named in it, whether or not evaluation would reach them.
    public let secrets: [SecretUse]

    init(text: String, root: ExpressionNode) {
        self.text = text
        self.root = root
        // A look at the bytes spares nearly every expression the walk.
        secrets = text.has(":") ? root.secrets : []
    }

    /// Reads an expression. Unknown filters and functions and a wrong number of arguments are errors here.
    /// - Throws: E-EXPR, E-EXPR-LIMIT (over 4,096 Unicode scalars, nested deeper than 64) or E-SECRET-NAME.
    public static func parse(_ text: String) throws(ExpressionError) -> Expression {
        Expression(text: text, root: try ExpressionParser.parse(text, holes: false))
    }

    /// The value in a scope. Only `default` accepts a path that leads nowhere.
    /// - Throws: E-UNDEFINED with the nearest known name, E-EXPR-TYPE, E-EXPR-LIMIT, E-EXPR (x / 0).
    public func evaluate(_ scope: Scope) throws(ExpressionError) -> Value {
        var evaluator = ExpressionEvaluator(scope: scope)
        return marked(try evaluator.value(root), scope)
    }
    /// What was made of secrets is kept out of sight as they are.
    func marked(_ value: Value, _ scope: Scope) -> Value {
        if !secrets.isEmpty { scope.secrets?.cover(value) }
        return value
    }

    /// The value as a condition: false, null, 0 and anything empty are false, the rest is true.
    public func holds(_ scope: Scope) throws(ExpressionError) -> Bool { try evaluate(scope).isTrue }

    /// Every path in the expression, in reading order, whether or not evaluation would reach it.
    public var references: [Reference] { root.references }

    public static let filterNames = Filter.allCases.map(\.rawValue)
    public static let functionNames = Function.allCases.map(\.rawValue)
}

/// A secret named in an expression.
public struct SecretUse: Hashable, Sendable {
    public var name: SecretName
    /// Unicode scalars from the start of the expression.
    public var offset: Int
}

/// A path of an expression, as far as it is known before the run: `steps.found.count`, `steps[0].found`.
public struct Reference: Hashable, Sendable {
    public enum Member: Hashable, Sendable {
        /// `.name` or `['name']`.
        case name(String)
        /// `[2]` or `[-1]`, as written.
        case index(Int)
    }
    /// A variable, `item`, `date`, or one of `steps`, `run`, `variables`.
    public var root: String
    /// The members up to the first one that is computed.
    public var members: [Member]
    /// Whether `members` is all of the path.
    public var isComplete: Bool
    /// Whether `default` follows, so that the path may lead nowhere.
    public var isOptional: Bool
    /// Unicode scalars from the start of the expression.
    public var offset: Int
}
