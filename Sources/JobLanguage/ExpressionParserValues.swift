// What this is: the grammar of single values: literals, paths, calls and filters.
// Owns: what may stand between two operators.
// Never: accepts a filter, function or argument count that the language does not have.
// On failure: E-EXPR with the nearest known name.
import JobModel
import YamlText

extension ExpressionParser {
    /// A value with its members: `steps.found.count`, `list[0]`, `(a + b)['key']`.
    mutating func path() throws(ExpressionError) -> Node {
        let base = try primary()
        var accesses: [Node.Access] = []
        while true {
            if take(.dot) {
                accesses.append(try member())
            } else if take(.openList) {
                accesses.append(try index())
            } else {
                return accesses.isEmpty ? base : Node(.access(base, accesses), base.offset)
            }
        }
    }

    private mutating func member() throws(ExpressionError) -> Node.Access {
        guard case .word(let name) = kind else {
            var error = unexpected("a member name")
            error.hint = "numbers and names with other characters stand in brackets: list[0], map['my-name']"
            throw error
        }
        defer { advance() }
        return .member(name, offset: offset)
    }

    private mutating func index() throws(ExpressionError) -> Node.Access {
        let start = offset
        let node = try expression()
        try expect(.closeList, "after the index")
        switch node.kind {
        case .constant(.string(let name)): return .member(name, offset: start)
        case .negate(let operand):
            // Folded so that the checker sees -1 as a number.
            guard case .constant(.int(let number)) = operand.kind else { return .index(node) }
            return .index(Node(.constant(.int(-number)), start))
        default: return .index(node)
        }
    }

    private mutating func primary() throws(ExpressionError) -> Node {
        let start = offset
        switch kind {
        case .number(let value):
            advance()
            return Node(.constant(value), start)
        case .text(let text):
            advance()
            return try literal(text, start)
        case .word(let word): return try named(word)
        case .secret(let name):
            advance()
            return Node(.secret(name), start)
        case .mark(.open):
            advance()
            let node = try expression()
            try expect(.close, "after the expression in parentheses")
            return node
        case .mark(.openList):
            advance()
            return Node(.list(try items(until: .closeList)), start)
        case .mark(.openMap): return isAhead(.openMap, directly: true) ? try hole() : try map()
        default: throw unexpected("a value")
        }
    }

    /// Quotes around `{{ }}` in a condition hold the text of the values, never more expression.
    private mutating func literal(_ text: String, _ start: Int) throws(ExpressionError) -> Node {
        guard holes, TemplateParts.mayHold(text) else { return Node(.constant(.string(text)), start) }
        var nodes: [Node] = []
        do {
            for part in try TemplateParts.read(text) {
                switch part {
                case .text(let plain): nodes.append(Node(.constant(.string(plain)), start))
                case .expression(let code, _): nodes.append(try ExpressionParser.parse(code, holes: false))
                }
            }
        } catch {
            // The escapes of the quoted text are gone by now, so only the text's own place is certain.
            var error = error
            error.offset = start
            throw error
        }
        return Node(.text(nodes.map { Node($0.kind, start) }), start)
    }

    private mutating func named(_ word: String) throws(ExpressionError) -> Node {
        let start = offset
        switch word {
        case "true", "false":
            advance()
            return Node(.constant(.bool(word == "true")), start)
        case "null":
            advance()
            return Node(.constant(.null), start)
        case _ where Scope.words.contains(word): throw unexpected("a value")
        default:
            advance()
            return kind == .mark(.open) ? try call(word, start) : Node(.name(word), start)
        }
    }

    private mutating func call(_ word: String, _ start: Int) throws(ExpressionError) -> Node {
        guard let function = Function(rawValue: word) else {
            let hint =
                Filter(rawValue: word) != nil
                ? "filters stand behind their value: x | \(word)"
                : NearestName.hint(for: word, among: Expression.functionNames)
            throw ExpressionError("E-EXPR", "there is no function `\(word)`", hint: hint, offset: start)
        }
        advance()
        let arguments = try items(until: .close)
        try check(arguments.count, function.argumentCount, "\(word)()", at: start)
        return Node(.call(function, arguments), start)
    }

    private mutating func items(until end: ExpressionToken.Mark) throws(ExpressionError) -> [Node] {
        var nodes: [Node] = []
        while !take(end) {
            nodes.append(try expression())
            if take(.comma) { continue }
            try expect(end, "or `,`")
            break
        }
        return nodes
    }

    private mutating func map() throws(ExpressionError) -> Node {
        let start = offset
        var entries: [(key: String, value: Node)] = []
        advance()
        while !take(.closeMap) {
            let key = try mapKey()
            guard !entries.contains(where: { $0.key == key }) else {
                throw ExpressionError("E-EXPR", "the key `\(key)` is there twice", offset: offset)
            }
            advance()
            try expect(.colon, "after the key")
            entries.append((key, try expression()))
            if take(.comma) { continue }
            try expect(.closeMap, "or `,`")
            break
        }
        return Node(.map(entries), start)
    }

    private func mapKey() throws(ExpressionError) -> String {
        switch kind {
        case .word(let key), .text(let key): return key
        default: throw unexpected("a key (a name or a text)")
        }
    }

    /// `{{ e }}` in a condition: a value of its own, as if in parentheses.
    private mutating func hole() throws(ExpressionError) -> Node {
        guard holes else {
            throw ExpressionError(
                "E-EXPR", "`{{` inside an expression", hint: "names stand here without braces", offset: offset
            )
        }
        advance()
        advance()
        holes = false
        let node = try expression()
        holes = true
        guard kind == .mark(.closeMap), isAhead(.closeMap, directly: true) else { throw unexpected("`}}`") }
        advance()
        advance()
        return node
    }

    // MARK: filters

    mutating func filtered(_ base: Node) throws(ExpressionError) -> Node {
        var uses: [Node.FilterUse] = []
        while take(.pipe) { uses.append(try filter()) }
        return uses.isEmpty ? base : Node(.filtered(base, uses), base.offset)
    }

    private mutating func filter() throws(ExpressionError) -> Node.FilterUse {
        let start = offset
        guard case .word(let name) = kind else { throw unexpected("the name of a filter") }
        guard let filter = Filter(rawValue: name) else {
            throw ExpressionError(
                "E-EXPR", "there is no filter `\(name)`",
                hint: NearestName.hint(for: name, among: Expression.filterNames), offset: start)
        }
        advance()
        var arguments: [Node] = []
        if take(.open) {
            arguments = try items(until: .close)
        } else if take(.colon) {
            arguments = try bareArguments(of: filter)
        }
        try check(arguments.count, filter.argumentCount, "the filter `\(name)`", at: start)
        return Node.FilterUse(filter: filter, arguments: arguments, offset: start)
    }

    /// `x | replace: 'a', 'b'`: as many as the filter takes; a comma after them belongs to what is around.
    private mutating func bareArguments(of filter: Filter) throws(ExpressionError) -> [Node] {
        var arguments: [Node] = []
        repeat {
            arguments.append(try signed(filters: false))
        } while arguments.count < filter.argumentCount.upperBound && take(.comma)
        switch kind {
        case .mark(.plus), .mark(.minus), .mark(.times), .mark(.slash), .mark(.percent), .word("if"):
            throw ExpressionError(
                "E-EXPR",
                "it is unclear if \(tokens[position].shown) belongs to the argument of `\(filter.rawValue)`",
                hint: "put the argument, or the value with its filter, in parentheses", offset: offset)
        default: return arguments
        }
    }

    private func check(
        _ count: Int, _ allowed: ClosedRange<Int>, _ what: String, at start: Int
    ) throws(ExpressionError) {
        guard !allowed.contains(count) else { return }
        let wanted =
            allowed.lowerBound == allowed.upperBound
            ? "\(allowed.lowerBound)" : "\(allowed.lowerBound) to \(allowed.upperBound)"
        throw ExpressionError("E-EXPR", "\(what) takes \(wanted) arguments, not \(count)", offset: start)
    }
}
