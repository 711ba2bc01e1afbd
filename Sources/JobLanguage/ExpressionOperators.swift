// What this is: arithmetic, comparison and equality of values.
// Owns: the rules between kinds: numbers compare by value, other kinds never equal each other.
// Never: rounds a whole number in a comparison, or lets an overflow, an infinity or NaN pass.
// On failure: E-EXPR-TYPE for kinds that do not fit, E-EXPR-LIMIT for large numbers, E-EXPR for x / 0.
import JobModel

extension ExpressionEvaluator {
    /// - Parameter sign: whether this is `-x`, which has no text or list form and its own message.
    mutating func arithmetic(
        _ operation: Node.Arithmetic, _ left: Value, _ right: Value, at offset: Int, sign: Bool = false
    ) throws(ExpressionError) -> Value {
        switch (left, right) {
        case (.int(let left), .int(let right)):
            return try whole(operation, left, right, at: offset)
        case (.int, .double), (.double, .int), (.double, .double):
            // -x of a double is a matter of the sign bit alone: 0 - 0.0 would lose it.
            if sign, case .double(let number) = right { return .double(-number) }
            return .double(try fraction(operation, left.doubleValue ?? 0, right.doubleValue ?? 0, at: offset))
        case (.string(var text), .string(let more)) where operation == .add:
            try append(more, to: &text, at: offset)
            return .string(text)
        case (.list(let items), .list(let more)) where operation == .add:
            try spend(items.count + more.count, at: offset)
            return .list(items + more)
        default:
            let mixed = operation == .add && (left.stringValue ?? right.stringValue) != nil
            throw ExpressionError(
                "E-EXPR-TYPE",
                sign
                    ? "`-` needs a number, not \(right.shown)"
                    : "`\(operation.rawValue)` does not work between \(left.shown) and \(right.shown)",
                hint: mixed ? "make both texts: x | string" : "", offset: offset)
        }
    }

    private func whole(
        _ operation: Node.Arithmetic, _ left: Int, _ right: Int, at offset: Int
    ) throws(ExpressionError) -> Value {
        let result: (partialValue: Int, overflow: Bool)
        switch operation {
        case .add: result = left.addingReportingOverflow(right)
        case .subtract: result = left.subtractingReportingOverflow(right)
        case .multiply: result = left.multipliedReportingOverflow(by: right)
        case .divide, .remainder:
            guard right != 0 else { throw divisionByZero(offset) }
            let rest = right == -1 ? 0 : left % right
            if operation == .remainder {
                // The remainder has the sign of the divisor, so that -7 % 3 is 2.
                return .int(rest != 0 && (rest < 0) != (right < 0) ? rest + right : rest)
            }
            guard rest == 0 else { return .double(Double(left) / Double(right)) }
            result = left.dividedReportingOverflow(by: right)
        }
        guard !result.overflow else { throw tooLarge(offset) }
        return .int(result.partialValue)
    }

    private func fraction(
        _ operation: Node.Arithmetic, _ left: Double, _ right: Double, at offset: Int
    ) throws(ExpressionError) -> Double {
        let result: Double
        switch operation {
        case .add: result = left + right
        case .subtract: result = left - right
        case .multiply: result = left * right
        case .divide, .remainder:
            guard right != 0 else { throw divisionByZero(offset) }
            let rest = left.truncatingRemainder(dividingBy: right)
            if operation == .divide {
                result = left / right
            } else {
                result = rest != 0 && (rest < 0) != (right < 0) ? rest + right : rest
            }
        }
        guard result.isFinite else { throw tooLarge(offset) }
        return result
    }

    private func divisionByZero(_ offset: Int) -> ExpressionError {
        ExpressionError("E-EXPR", "division by zero", hint: "write: 0 if x == 0 else y / x", offset: offset)
    }

    func tooLarge(_ offset: Int) -> ExpressionError {
        ExpressionError("E-EXPR-LIMIT", "the number becomes too large", offset: offset)
    }

    // MARK: comparison

    mutating func compare(
        _ left: Value, _ comparison: Node.Comparison, _ right: Value, at offset: Int
    ) throws(ExpressionError) -> Bool {
        switch comparison {
        case .equal: return try same(left, right, at: offset)
        case .different: return !(try same(left, right, at: offset))
        case .isIn: return try contains(right, left, at: offset)
        case .isNotIn: return !(try contains(right, left, at: offset))
        case .less: return try order(left, right, at: offset) < 0
        case .lessOrEqual: return try order(left, right, at: offset) <= 0
        case .greater: return try order(left, right, at: offset) > 0
        case .greaterOrEqual: return try order(left, right, at: offset) >= 0
        }
    }

    /// Negative, zero or positive. Numbers and texts have an order, each among themselves.
    func order(_ left: Value, _ right: Value, at offset: Int) throws(ExpressionError) -> Int {
        switch (left, right) {
        case (.int(let left), .int(let right)): return left < right ? -1 : left == right ? 0 : 1
        case (.string(let left), .string(let right)): return left < right ? -1 : left == right ? 0 : 1
        case (.int(let left), .double(let right)): return try order(left, right, at: offset)
        case (.double(let left), .int(let right)): return -(try order(right, left, at: offset))
        case (.double(let left), .double(let right)):
            guard !left.isNaN, !right.isNaN else { throw notANumber(offset) }
            return left < right ? -1 : left == right ? 0 : 1
        default:
            throw ExpressionError(
                "E-EXPR-TYPE", "\(left.shown) and \(right.shown) have no order",
                hint: left.stringValue != nil || right.stringValue != nil
                    ? "turn a text into a number: x | int" : "",
                offset: offset)
        }
    }

    /// Exact, unlike a comparison of doubles: 2^53 + 1 is greater than 2^53.
    private func order(_ whole: Int, _ number: Double, at offset: Int) throws(ExpressionError) -> Int {
        guard !number.isNaN else { throw notANumber(offset) }
        if number >= 0x1p63 { return -1 }
        if number < -0x1p63 { return 1 }
        let cut = number.rounded(.towardZero)
        let base = Int(cut)
        if whole != base { return whole < base ? -1 : 1 }
        return number > cut ? -1 : number < cut ? 1 : 0
    }

    private func notANumber(_ offset: Int) -> ExpressionError {
        ExpressionError("E-EXPR-TYPE", "NaN has no order", offset: offset)
    }

    /// Equality by value: 1 is 1.0, NaN is nothing, maps are equal whatever the order of their keys.
    mutating func same(_ left: Value, _ right: Value, at offset: Int) throws(ExpressionError) -> Bool {
        switch (left, right) {
        case (.list(let left), .list(let right)) where left.count != right.count: return false
        case (.map(let left), .map(let right)) where left.count != right.count: return false
        default: return try canonical(left, at: offset) == canonical(right, at: offset)
        }
    }

    /// A form in which values that are equal in the language are equal in Swift.
    mutating func canonical(_ value: Value, at offset: Int) throws(ExpressionError) -> Value {
        switch value {
        case .double(let number): return Int(exactly: number).map(Value.int) ?? value
        case .string(let text):
            try spend(text.utf8.count / 64, at: offset)
            return value
        case .list(let items):
            try spend(items.count, at: offset)
            var canonicals: [Value] = []
            for item in items { canonicals.append(try canonical(item, at: offset)) }
            return .list(canonicals)
        case .map(let map):
            try spend(map.count, at: offset)
            var pairs: [(String, Value)] = []
            for entry in map.entries { pairs.append((entry.key, try canonical(entry.value, at: offset))) }
            return .map(ValueMap(distinct: pairs.sorted { $0.0 < $1.0 }))
        default: return value
        }
    }

    /// Whether a list holds an equal value, a text holds the text, or a map has the key.
    mutating func contains(_ whole: Value, _ part: Value, at offset: Int) throws(ExpressionError) -> Bool {
        switch (whole, part) {
        case (.list(let items), _):
            try spend(items.count, at: offset)
            for item in items where try same(item, part, at: offset) { return true }
            return false
        case (.map(let map), .string(let key)): return map[key] != nil
        case (.string(let text), .string(let piece)):
            try spend(TextBytes.searchCost(text, piece), at: offset)
            return TextBytes.firstIndex(of: Array(piece.utf8), in: Array(text.utf8), from: 0) != nil
        default:
            throw ExpressionError(
                "E-EXPR-TYPE", "\(whole.shown) cannot hold \(part.shown)",
                hint: "`in` and `contains` look into lists, into texts for texts, and into maps for keys",
                offset: offset)
        }
    }
}
