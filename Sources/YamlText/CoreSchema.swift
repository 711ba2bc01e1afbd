// CoreSchema: decides what an unquoted text is: null, true/false, a number or a string.
// Owns: the rules of YAML 1.2.2, chapter 10.3 (core schema).
// Never: follows YAML 1.1: `no`, `on`, 1_000, 12:30:45 and dates are strings here.
// On failure: a number out of range gives `.outOfRange`; nothing traps.
// It is on the hot path: one look at the first byte ends most cases.

enum CoreSchema {
    /// What a plain text is.
    enum Kind: Equatable {
        case null
        case bool(Bool)
        case int(Int)
        case double(Double)
        case string
        case outOfRange

        func value(text: String) -> YamlScalarValue {
            switch self {
            case .null: .null
            case .bool(let flag): .bool(flag)
            case .int(let number): .int(number)
            case .double(let number): .double(number)
            case .string, .outOfRange: .string(text)
            }
        }
    }

    typealias Bytes = UnsafeBufferPointer<UInt8>

    /// The kind of a plain text.
    static func resolve(_ text: Bytes) -> Kind {
        guard let first = text.first else { return .null }
        switch first {
        case UInt8(ascii: "~"): return text.count == 1 ? .null : .string
        case UInt8(ascii: "n"), UInt8(ascii: "N"):
            return isAny(text, "null", "Null", "NULL") ? .null : .string
        case UInt8(ascii: "t"), UInt8(ascii: "T"):
            return isAny(text, "true", "True", "TRUE") ? .bool(true) : .string
        case UInt8(ascii: "f"), UInt8(ascii: "F"):
            return isAny(text, "false", "False", "FALSE") ? .bool(false) : .string
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."):
            return number(text)
        default: return .string
        }
    }

    private static func number(_ text: Bytes) -> Kind {
        if text.count > 2, text[0] == UInt8(ascii: "0") {
            if text[1] == UInt8(ascii: "x") { return digits(text, from: 2, radix: 16, isNegative: false) }
            if text[1] == UInt8(ascii: "o") { return digits(text, from: 2, radix: 8, isNegative: false) }
        }
        let isNegative = text[0] == UInt8(ascii: "-")
        let start = isNegative || text[0] == UInt8(ascii: "+") ? 1 : 0
        let whole = digits(text, from: start, radix: 10, isNegative: isNegative)
        guard whole == .string else { return whole }
        if let special = special(text, from: start, isNegative: isNegative) { return special }
        return isDecimal(text, from: start) ? decimal(text) : .string
    }

    /// `.string` when a byte is not a digit of the radix, or when there is no digit at all.
    private static func digits(_ text: Bytes, from start: Int, radix: Int, isNegative: Bool) -> Kind {
        guard start < text.count else { return .string }
        var sum = 0
        var isTooLarge = false
        for index in start..<text.count {
            guard let digit = digitValue(text[index]), digit < radix else { return .string }
            let (product, overflow) = sum.multipliedReportingOverflow(by: radix)
            // Summed below zero for a minus sign, so that the smallest Int is in range.
            let (next, carry) = product.addingReportingOverflow(isNegative ? -digit : digit)
            isTooLarge = isTooLarge || overflow || carry
            sum = next
        }
        return isTooLarge ? .outOfRange : .int(sum)
    }

    /// 0...15 for a hexadecimal digit, else nil.
    static func digitValue(_ byte: UInt8) -> Int? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): Int(byte - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): Int(byte - UInt8(ascii: "a")) + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): Int(byte - UInt8(ascii: "A")) + 10
        default: nil
        }
    }

    private static func special(_ text: Bytes, from start: Int, isNegative: Bool) -> Kind? {
        let rest = Bytes(rebasing: text[start...])
        if isAny(rest, ".inf", ".Inf", ".INF") { return .double(isNegative ? -Double.infinity : .infinity) }
        return start == 0 && isAny(rest, ".nan", ".NaN", ".NAN") ? .double(.nan) : nil
    }

    /// ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?
    private static func isDecimal(_ text: Bytes, from start: Int) -> Bool {
        var index = skipDigits(text, start)
        let wholeDigits = index - start
        var partDigits = 0
        if index < text.count, text[index] == UInt8(ascii: ".") {
            let dot = index
            index = skipDigits(text, dot + 1)
            partDigits = index - dot - 1
        }
        guard wholeDigits + partDigits > 0 else { return false }
        if index == text.count { return true }
        guard text[index] | 0x20 == UInt8(ascii: "e") else { return false }
        index += 1
        if index < text.count, text[index] == UInt8(ascii: "+") || text[index] == UInt8(ascii: "-") {
            index += 1
        }
        return index < text.count && skipDigits(text, index) == text.count
    }

    private static func skipDigits(_ text: Bytes, _ start: Int) -> Int {
        var index = start
        while index < text.count, text[index] &- UInt8(ascii: "0") < 10 { index += 1 }
        return index
    }

    private static func decimal(_ text: Bytes) -> Kind {
        guard let number = Double(String(decoding: text, as: UTF8.self)) else { return .string }
        return number.isFinite ? .double(number) : .outOfRange
    }

    /// Three spellings and no more: a variadic list would allocate on the hot path.
    private static func isAny(_ text: Bytes, _ a: StaticString, _ b: StaticString, _ c: StaticString) -> Bool
    {
        equals(text, a) || equals(text, b) || equals(text, c)
    }

    private static func equals(_ text: Bytes, _ word: StaticString) -> Bool {
        word.utf8CodeUnitCount == text.count
            && UnsafeBufferPointer(start: word.utf8Start, count: text.count).elementsEqual(text)
    }
}
