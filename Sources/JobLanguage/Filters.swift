// What this is: the filters of the job language: `files | sort | first`, `name | replace: 'a', 'b'`.
// Owns: their names, argument counts and meanings.
// Never: changes its input, or works past the budget of the evaluation.
// On failure: E-EXPR-TYPE that names the filter, what it needs and what it got.
import JobModel
import YamlText

enum Filter: String, CaseIterable, Sendable {
    case `default`, replace, upper, lower, trim, split, join, length, first, last, sort, unique, map, keys,
        values
    case json, int, float, string, round, abs, min, max, sum, basename, dirname, contains, startswith,
        endswith
    case shellQuote = "shell_quote"
    case base64, base64Decode = "base64_decode", sha256, fromJSON = "from_json", urlEncode = "url_encode"
    case regexMatch = "regex_match", regexFind = "regex_find", regexReplace = "regex_replace"
    case date, dateAdd = "date_add"

    var argumentCount: ClosedRange<Int> {
        switch self {
        case .replace, .regexReplace: 2...2
        case .default, .join, .map, .contains, .startswith, .endswith, .regexMatch, .regexFind, .date,
            .dateAdd:
            1...1
        case .split, .round: 0...1
        default: 0...0
        }
    }
}

extension ExpressionEvaluator {
    /// One link of a filter chain. `default` alone accepts what is missing, and null, and evaluates its
    /// argument only then.
    mutating func apply(_ use: Node.FilterUse, to subject: Found) throws(ExpressionError) -> Found {
        try spend(ExpressionLimits.visit, at: use.offset)
        if use.filter == .default {
            if case .value(let value) = subject, !value.isNull { return subject }
            return .value(try value(use.arguments[0]))
        }
        let input = try present(subject)
        let call = FilterCall(
            filter: use.filter, input: input, arguments: try values(use.arguments), offset: use.offset)
        switch use.filter {
        case .first, .last:
            let items = try call.list()
            if let item = use.filter == .first ? items.first : items.last { return .value(item) }
            return .missing(
                ExpressionMissing(shown: use.filter.rawValue, reason: "the list is empty", use.offset))
        case .regexFind:
            if let found = try found(by: call) { return .value(found) }
            return .missing(
                ExpressionMissing(shown: use.filter.rawValue, reason: "nothing matches", use.offset))
        default: return .value(try result(call))
        }
    }

    private mutating func result(_ call: FilterCall) throws(ExpressionError) -> Value {
        switch call.filter {
        case .join, .sort, .unique, .map, .min, .max, .sum: try listResult(call)
        case .length: .int(try length(call))
        case .keys: .list(try call.map().keys.map(Value.string))
        case .values: .list(try call.map().entries.map(\.value))
        case .json: .string(try json(call.input, at: call.offset))
        case .string: .string(try text(call.input, at: call.offset))
        case .int, .float, .round, .abs: try number(call)
        case .base64, .base64Decode, .sha256, .fromJSON, .urlEncode: try coded(call)
        case .regexMatch: .bool(try match(call, from: 0) != nil)
        case .regexReplace: .string(try replacedMatches(call))
        case .date: .string(try formatted(call))
        case .dateAdd: .string(try shifted(call))
        case .contains: .bool(try contains(call.input, call.arguments[0], at: call.offset))
        default: try textResult(call)
        }
    }

    private func length(_ call: FilterCall) throws(ExpressionError) -> Int {
        switch call.input {
        case .string(let text): text.count
        case .list(let items): items.count
        case .map(let map): map.count
        default: throw call.wrongType("a text, a list or a map")
        }
    }

    // MARK: lists

    private mutating func listResult(_ call: FilterCall) throws(ExpressionError) -> Value {
        let items = try call.list()
        try spend(items.count, at: call.offset)
        switch call.filter {
        case .join: return .string(try join(items, try call.text(0), at: call.offset))
        case .sort: return .list(try sorted(items, at: call.offset))
        case .unique: return .list(try unique(items, at: call.offset))
        case .map:
            return .list(
                try items.indices.map { index throws(ExpressionError) in try call.member(of: index) })
        case .sum:
            var total = Value.int(0)
            for item in items {
                guard item.doubleValue != nil else { throw call.wrongType("a list of numbers", got: item) }
                total = try arithmetic(.add, total, item, at: call.offset)
            }
            return total
        default:
            let inOrder = try sorted(items, at: call.offset)
            guard let edge = call.filter == .min ? inOrder.first : inOrder.last else {
                throw ExpressionError(
                    "E-EXPR", "`\(call.filter.rawValue)` of an empty list",
                    hint: "test the list's length first",
                    offset: call.offset)
            }
            return edge
        }
    }

    private mutating func join(
        _ items: [Value], _ separator: String, at offset: Int
    ) throws(ExpressionError) -> String {
        var out = ""
        for (index, item) in items.enumerated() {
            if index > 0 { try append(separator, to: &out, at: offset) }
            try append(try text(item, at: offset), to: &out, at: offset)
        }
        return out
    }

    /// Numbers or texts, ascending; equal items keep their order.
    private func sorted(_ items: [Value], at offset: Int) throws(ExpressionError) -> [Value] {
        do {
            return try items.sorted { try order($0, $1, at: offset) < 0 }
        } catch let error as ExpressionError {
            throw error
        } catch {
            throw ExpressionError("E-EXPR", "the list cannot be sorted", offset: offset)
        }
    }

    private mutating func unique(_ items: [Value], at offset: Int) throws(ExpressionError) -> [Value] {
        var seen: Set<Value> = []
        var kept: [Value] = []
        for item in items where seen.insert(try canonical(item, at: offset)).inserted { kept.append(item) }
        return kept
    }

    // MARK: numbers

    private func number(_ call: FilterCall) throws(ExpressionError) -> Value {
        switch (call.filter, call.input) {
        case (.int, .int), (.float, .double): return call.input
        case (.int, .string(let text)):
            guard let number = Int(text.trimmed) else {
                throw call.wrongType("a text that is a whole number")
            }
            return .int(number)
        case (.int, .double(let number)): return .int(try whole(number.rounded(.towardZero), call))
        case (.float, .int(let number)): return .double(Double(number))
        case (.float, .string(let text)): return .double(try call.decimal(text.trimmed))
        case (.abs, .int(let number)):
            guard number != .min else { throw tooLarge(call.offset) }
            return .int(Swift.abs(number))
        case (.abs, .double(let number)): return .double(Swift.abs(number))
        case (.round, .int): return call.input
        case (.round, .double(let number)): return try round(number, call)
        default:
            throw call.wrongType(
                call.filter == .round || call.filter == .abs ? "a number" : "a number or a text")
        }
    }

    /// Half away from zero. Without digits the result is a whole number.
    private func round(_ number: Double, _ call: FilterCall) throws(ExpressionError) -> Value {
        guard let digits = call.arguments.first else { return .int(try whole(number.rounded(), call)) }
        guard case .int(let count) = digits, (0...15).contains(count) else {
            throw call.wrongType("a number of digits from 0 to 15", got: digits)
        }
        var scale = 1.0
        for _ in 0..<count { scale *= 10 }
        let scaled = (number * scale).rounded() / scale
        return .double(scaled.isFinite ? scaled : number)
    }

    private func whole(_ number: Double, _ call: FilterCall) throws(ExpressionError) -> Int {
        guard let whole = Int(exactly: number) else { throw tooLarge(call.offset) }
        return whole
    }
}

/// One use of a filter with its evaluated input.
struct FilterCall {
    var filter: Filter
    var input: Value
    var arguments: [Value]
    var offset: Int

    func wrongType(_ needed: String, got value: Value? = nil) -> ExpressionError {
        let got = value ?? input
        let sample = got.stringValue.map { " '\($0.prefix(40))'" } ?? ""
        return ExpressionError(
            "E-EXPR-TYPE", "`\(filter.rawValue)` needs \(needed), not \(got.shown)\(sample)", offset: offset)
    }

    func list() throws(ExpressionError) -> [Value] {
        guard case .list(let items) = input else { throw wrongType("a list") }
        return items
    }
    func map() throws(ExpressionError) -> ValueMap {
        guard case .map(let map) = input else { throw wrongType("a map") }
        return map
    }
    func text() throws(ExpressionError) -> String {
        guard case .string(let text) = input else { throw wrongType("a text") }
        return text
    }
    func text(_ index: Int) throws(ExpressionError) -> String {
        guard case .string(let text) = arguments[index] else {
            throw wrongType("a text as argument", got: arguments[index])
        }
        return text
    }

    /// `files | map: 'path'`: the member of each item.
    func member(of index: Int) throws(ExpressionError) -> Value {
        let name = try text(0)
        let item = try list()[index]
        guard case .map(let map) = item else { throw wrongType("a list of maps", got: item) }
        if let value = map[name] { return value }
        throw ExpressionError(
            "E-UNDEFINED", "item \(index) of the list has no `\(name)`",
            hint: NearestName.hint(for: name, among: map.keys), offset: offset)
    }

    /// Digits, sign, point and exponent only: no hexadecimal, no `nan`.
    func decimal(_ text: String) throws(ExpressionError) -> Double {
        let isPlain = text.utf8.allSatisfy {
            (0x30...0x39).contains($0) || [0x2B, 0x2D, 0x2E, 0x45, 0x65].contains($0)
        }
        guard isPlain, let number = Double(text), number.isFinite else {
            throw wrongType("a text that is a number")
        }
        return number
    }
}
