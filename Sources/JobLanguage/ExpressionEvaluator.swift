// What this is: the walk over the tree of an expression that yields its value.
// Owns: the budget of one evaluation, and the order of operands (left to right, only as needed).
// Never: traps: overflow, deep values, huge indexes and NaN are errors like any other.
// On failure: E-UNDEFINED, E-EXPR-TYPE, E-EXPR-LIMIT or E-EXPR with the place in the text.
import JobModel

struct ExpressionEvaluator {
    typealias Node = ExpressionNode
    /// What a path leads to; only `default` looks at what is missing, everybody else throws it.
    enum Found {
        case value(Value)
        case missing(ExpressionMissing)
    }

    let scope: Scope
    private var units: Int
    /// What is left of the budget; negative once it is spent.
    var unitsLeft: Int { units }

    init(scope: Scope, units: Int = ExpressionLimits.units) {
        self.scope = scope
        self.units = units
    }

    mutating func spend(_ cost: Int, at offset: Int) throws(ExpressionError) {
        units -= cost
        guard units >= 0 else {
            throw ExpressionError(
                "E-EXPR-LIMIT", "the expression takes too long to evaluate",
                hint: "do the work in a step of its own", offset: offset)
        }
    }

    mutating func value(_ node: Node) throws(ExpressionError) -> Value {
        try spend(ExpressionLimits.visit, at: node.offset)
        switch node.kind {
        case .constant(let value): return value
        case .secret(let name):
            guard let value = scope.secrets?.value(name) else {
                throw ExpressionError(
                    "E-SECRET", "there is no secret `\(name.text)` here",
                    hint: "bobbin secrets set \(name.text)", offset: node.offset)
            }
            return .string(value)
        case .name, .access, .call, .filtered: return try present(try found(node))
        case .text(let nodes): return .string(try joined(nodes, at: node.offset))
        case .list(let nodes): return try shallow(.list(try values(nodes)), at: node.offset)
        case .map(let entries): return try shallow(.map(try map(entries)), at: node.offset)
        case .negate(let operand):
            return try arithmetic(.subtract, .int(0), try value(operand), at: node.offset, sign: true)
        case .not(let operand): return .bool(!(try value(operand).isTrue))
        case .chain(let first, let links):
            var total = try value(first)
            for link in links {
                total = try arithmetic(link.operation, total, try value(link.operand), at: link.offset)
            }
            return total
        case .compare(let left, let comparison, let right):
            let left = try value(left)
            return .bool(try compare(left, comparison, try value(right), at: node.offset))
        case .every(let nodes): return try firstValue(nodes) { !$0.isTrue }
        case .some(let nodes): return try firstValue(nodes) { $0.isTrue }
        case .choice(let chosen, let condition, let otherwise):
            return try value(try value(condition).isTrue ? chosen : otherwise)
        }
    }

    /// The same for the nodes that may lead nowhere.
    mutating func found(_ node: Node) throws(ExpressionError) -> Found {
        switch node.kind {
        case .name(let name): return root(name, node.offset)
        case .access(let base, let accesses): return try access(base, accesses)
        case .call(let function, let arguments): return try call(function, arguments, at: node.offset)
        case .filtered(let base, let uses):
            var current = try found(base)
            for use in uses { current = try apply(use, to: current) }
            return current
        default: return .value(try value(node))
        }
    }

    func present(_ found: Found) throws(ExpressionError) -> Value {
        switch found {
        case .value(let value): return value
        case .missing(let missing): throw missing.error
        }
    }

    mutating func values(_ nodes: [Node]) throws(ExpressionError) -> [Value] {
        var values: [Value] = []
        values.reserveCapacity(nodes.count)
        for node in nodes { values.append(try value(node)) }
        return values
    }

    private mutating func map(_ entries: [(key: String, value: Node)]) throws(ExpressionError) -> ValueMap {
        var pairs: [(String, Value)] = []
        for entry in entries { pairs.append((entry.key, try value(entry.value))) }
        return ValueMap(distinct: pairs)
    }

    private func shallow(_ value: Value, at offset: Int) throws(ExpressionError) -> Value {
        guard !value.isNested(deeperThan: ExpressionLimits.nesting) else {
            throw ExpressionError("E-EXPR-LIMIT", "lists and maps are nested too deeply here", offset: offset)
        }
        return value
    }

    /// The operand that decides `and` and `or`, as in Python: the first that stops, else the last.
    private mutating func firstValue(
        _ nodes: [Node], that stops: (Value) -> Bool
    ) throws(ExpressionError) -> Value {
        var last = Value.null
        for node in nodes {
            last = try value(node)
            if stops(last) { break }
        }
        return last
    }

    private mutating func joined(_ nodes: [Node], at offset: Int) throws(ExpressionError) -> String {
        var out = ""
        for node in nodes { try append(try text(try value(node), at: node.offset), to: &out, at: offset) }
        return out
    }

    private mutating func call(
        _ function: Function, _ arguments: [Node], at offset: Int
    ) throws(ExpressionError) -> Found {
        let values = try values(arguments)
        switch (function, values.first) {
        case (.now, _): return .value(.string(scope.now.rfc3339))
        case (.date, _): return .value(.string(scope.localDate))
        case (.range, .int(let count)?): return .value(try range(count, at: offset))
        case (.fileExists, .string(let path)?): return .value(.bool(scope.fileExists(path)))
        case (.env, .string(let name)?):
            if let value = scope.environment(name) { return .value(.string(value)) }
            return .missing(
                ExpressionMissing(
                    shown: "env('\(name.prefix(80))')", reason: "it is not in the environment", offset))
        default:
            let needed = function == .range ? "a whole number" : "a text"
            throw ExpressionError(
                "E-EXPR-TYPE",
                "\(function.rawValue)() needs \(needed), not \(values.first?.shown ?? "nothing")",
                offset: offset)
        }
    }

    private mutating func range(_ count: Int, at offset: Int) throws(ExpressionError) -> Value {
        guard (0...ExpressionLimits.rangeItems).contains(count) else {
            throw ExpressionError(
                "E-EXPR-LIMIT", "range() counts from 0 to \(ExpressionLimits.rangeItems), not \(count)",
                offset: offset)
        }
        try spend(count, at: offset)
        return .list((0..<count).map(Value.int))
    }
}

extension Value {
    /// Truth as in conditions: false, null, zero and anything empty are false.
    var isTrue: Bool {
        switch self {
        case .null: false
        case .bool(let flag): flag
        case .int(let number): number != 0
        case .double(let number): number != 0
        case .string(let text): !text.isEmpty
        case .list(let items): !items.isEmpty
        case .map(let map): !map.isEmpty
        }
    }

    /// The kind with its article, for messages.
    var shown: String {
        switch self {
        case .null, .bool: kindName
        case .int, .double, .string, .list, .map: "a \(kindName)"
        }
    }

    func isNested(deeperThan limit: Int) -> Bool {
        switch self {
        case .list(let items): limit == 0 || items.contains { $0.isNested(deeperThan: limit - 1) }
        case .map(let map): limit == 0 || map.entries.contains { $0.value.isNested(deeperThan: limit - 1) }
        default: false
        }
    }
}
