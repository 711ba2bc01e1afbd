// What this is: the grammar of expressions, as a parser that looks one token ahead.
// Owns: precedence (or, and, not, comparison, + -, * / %, sign, filters, paths); refuses what is unclear.
// Never: evaluates; nests deeper than ExpressionLimits.depth, so no text can exhaust the stack.
// On failure: E-EXPR at the token that does not fit.
import JobModel

struct ExpressionParser {
    typealias Node = ExpressionNode
    let tokens: [ExpressionToken]
    var position = 0
    private var depth: Int
    /// Whether `{{ e }}` may stand for a value: in a condition, but not inside other braces.
    var holes: Bool

    /// Reads the whole text; with `holes`, the text is a condition and `{{ e }}` in it means `(e)`.
    static func parse(_ text: String, holes: Bool, depth: Int = 0) throws(ExpressionError) -> Node {
        var parser = ExpressionParser(tokens: try ExpressionTokens.read(text), depth: depth, holes: holes)
        guard parser.tokens.count > 1 else {
            throw ExpressionError("E-EXPR", "there is no expression here", offset: 0)
        }
        let node = try parser.expression()
        guard parser.kind == .end else { throw parser.leftover() }
        return node
    }

    private init(tokens: [ExpressionToken], depth: Int, holes: Bool) {
        self.tokens = tokens
        self.depth = depth
        self.holes = holes
    }

    // MARK: tokens

    var kind: ExpressionToken.Kind { tokens[position].kind }
    var offset: Int { tokens[position].offset }

    mutating func advance() { if position + 1 < tokens.count { position += 1 } }

    mutating func take(_ mark: ExpressionToken.Mark) -> Bool {
        guard case .mark(mark) = kind else { return false }
        advance()
        return true
    }

    mutating func takeWord(_ word: String) -> Bool {
        guard case .word(word) = kind else { return false }
        advance()
        return true
    }

    mutating func expect(_ mark: ExpressionToken.Mark, _ purpose: String) throws(ExpressionError) {
        guard take(mark) else { throw unexpected("`\(mark.text)` \(purpose)") }
    }

    func isAhead(_ mark: ExpressionToken.Mark, directly: Bool) -> Bool {
        guard position + 1 < tokens.count, tokens[position + 1].kind == .mark(mark) else { return false }
        return !directly || tokens[position + 1].offset == offset + 1
    }

    func unexpected(_ wanted: String) -> ExpressionError {
        ExpressionError("E-EXPR", "found \(tokens[position].shown) where \(wanted) is needed", offset: offset)
    }

    private func leftover() -> ExpressionError {
        var error = ExpressionError(
            "E-EXPR", "found \(tokens[position].shown) after the end of the expression", offset: offset)
        switch kind {
        case .word, .text, .secret, .number:
            error.hint = "an operator is missing before it; texts are written in quotes"
        case .mark(.comma):
            error.hint = "a list is written in [ ]; a filter may have taken all its arguments already"
        default: break
        }
        return error
    }

    mutating func deeper() throws(ExpressionError) {
        depth += 1
        guard depth <= ExpressionLimits.depth else {
            throw ExpressionError(
                "E-EXPR-LIMIT", "the expression is nested deeper than \(ExpressionLimits.depth)",
                hint: "compute part of it in an earlier step", offset: offset)
        }
    }

    // MARK: operators

    /// `a if condition else b`, or anything that binds tighter.
    mutating func expression() throws(ExpressionError) -> Node {
        try deeper()
        defer { depth -= 1 }
        let node = try binary(0)
        let start = offset
        guard takeWord("if") else { return node }
        let condition = try binary(0)
        guard takeWord("else") else { throw unexpected("`else`") }
        return Node(.choice(node, condition: condition, otherwise: try expression()), start)
    }

    fileprivate enum Infix {
        case or, and
        case compare(Node.Comparison)
        case arithmetic(Node.Arithmetic)

        var strength: Int {
            switch self {
            case .or: 0
            case .and: 1
            case .compare: 3
            case .arithmetic(.add), .arithmetic(.subtract): 4
            case .arithmetic: 5
            }
        }
    }
    private static let strengthOfNot = 2

    private func infix() -> (infix: Infix, width: Int)? {
        switch kind {
        case .word("or"): return (.or, 1)
        case .word("and"): return (.and, 1)
        case .word("in"): return (.compare(.isIn), 1)
        case .word("not") where position + 1 < tokens.count && tokens[position + 1].kind == .word("in"):
            return (.compare(.isNotIn), 2)
        case .mark(let mark): return mark.infix.map { ($0, 1) }
        default: return nil
        }
    }

    private mutating func binary(_ minimum: Int) throws(ExpressionError) -> Node {
        var left = try prefixed(minimum)
        var compared = false
        while let (infix, width) = infix(), infix.strength >= minimum {
            let start = offset
            if case .compare = infix {
                guard !compared else {
                    throw ExpressionError(
                        "E-EXPR", "comparisons cannot be chained", hint: "write a < b and b < c",
                        offset: start)
                }
                compared = true
            }
            position += width
            left = joined(left, infix, try binary(infix.strength + 1), start)
        }
        return left
    }

    /// Equal operators in a row become one flat node, so that a long sum is not a deep tree.
    private func joined(_ left: Node, _ infix: Infix, _ right: Node, _ start: Int) -> Node {
        switch (infix, left.kind) {
        case (.or, .some(let nodes)): return Node(.some(nodes + [right]), left.offset)
        case (.or, _): return Node(.some([left, right]), left.offset)
        case (.and, .every(let nodes)): return Node(.every(nodes + [right]), left.offset)
        case (.and, _): return Node(.every([left, right]), left.offset)
        case (.compare(let comparison), _): return Node(.compare(left, comparison, right), start)
        case (.arithmetic(let operation), _):
            let link = Node.Link(operation: operation, operand: right, offset: start)
            if case .chain(let first, let links) = left.kind {
                return Node(.chain(first, links + [link]), left.offset)
            }
            return Node(.chain(left, [link]), left.offset)
        }
    }

    private mutating func prefixed(_ minimum: Int) throws(ExpressionError) -> Node {
        let start = offset
        guard takeWord("not") else { return try signed(filters: true) }
        guard minimum <= ExpressionParser.strengthOfNot else {
            throw ExpressionError(
                "E-EXPR", "`not` needs parentheses here", hint: "write (not x)", offset: start)
        }
        try deeper()
        defer { depth -= 1 }
        return Node(.not(try binary(ExpressionParser.strengthOfNot)), start)
    }

    /// A value with its sign; filters apply to the signed value, as in `-x | abs`.
    mutating func signed(filters: Bool) throws(ExpressionError) -> Node {
        let start = offset
        var node: Node
        if take(.minus) {
            try deeper()
            defer { depth -= 1 }
            node = Node(.negate(try signed(filters: false)), start)
        } else if take(.plus) {
            try deeper()
            defer { depth -= 1 }
            node = try signed(filters: false)
        } else {
            node = try path()
        }
        if filters { node = try filtered(node) }
        return node
    }
}

extension ExpressionToken.Mark {
    fileprivate var infix: ExpressionParser.Infix? {
        switch self {
        case .plus: .arithmetic(.add)
        case .minus: .arithmetic(.subtract)
        case .times: .arithmetic(.multiply)
        case .slash: .arithmetic(.divide)
        case .percent: .arithmetic(.remainder)
        case .equal: .compare(.equal)
        case .different: .compare(.different)
        case .less: .compare(.less)
        case .lessOrEqual: .compare(.lessOrEqual)
        case .greater: .compare(.greater)
        case .greaterOrEqual: .compare(.greaterOrEqual)
        default: nil
        }
    }
}
