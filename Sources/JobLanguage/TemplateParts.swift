// What this is: a text cut into plain parts and the expressions between `{{` and `}}`.
// Owns: where an expression ends: at the first `}}` outside its quotes and its own braces.
// Never: reads the expressions.
// On failure: E-EXPR at a `{{` that is not closed. A lone `}}` is text.

import JobModel

enum TemplateParts {
    enum Part {
        case text(String)
        /// What stands between the braces, and its offset in Unicode scalars.
        case expression(String, offset: Int)
    }

    /// Whether there is anything to read; costs one pass over the bytes.
    static func mayHold(_ text: String) -> Bool {
        var before: UInt8 = 0
        for byte in text.utf8 {
            if byte == 0x7B, before == 0x7B { return true }
            before = byte
        }
        return false
    }

    static func read(_ text: String) throws(ExpressionError) -> [Part] {
        guard mayHold(text) else { return [.text(text)] }
        let bytes = Array(text.utf8)
        var parts: [Part] = []
        var start = 0
        var index = 0
        // Places are told in Unicode scalars: all bytes but those that continue one.
        var (counted, offset) = (0, 0)
        while index + 1 < bytes.count {
            guard bytes[index] == TemplateParts.open, bytes[index + 1] == TemplateParts.open else {
                index += 1
                continue
            }
            offset += scalars(bytes[counted..<index])
            counted = index
            let end = try end(of: index, at: offset, in: bytes)
            if start < index { parts.append(.text(String(decoding: bytes[start..<index], as: UTF8.self))) }
            parts.append(
                .expression(String(decoding: bytes[(index + 2)..<end], as: UTF8.self), offset: offset + 2))
            index = end + 2
            start = index
        }
        if start < bytes.count { parts.append(.text(String(decoding: bytes[start...], as: UTF8.self))) }
        return parts
    }

    private static let (open, close, backslash) = (UInt8(ascii: "{"), UInt8(ascii: "}"), UInt8(ascii: "\\"))

    private static func scalars(_ bytes: ArraySlice<UInt8>) -> Int { bytes.count { $0 & 0xC0 != 0x80 } }

    /// The index of the `}}` that closes the `{{` at `start`, which is the `offset`-th scalar.
    private static func end(of start: Int, at offset: Int, in bytes: [UInt8]) throws(ExpressionError) -> Int {
        var quote: (mark: UInt8, index: Int)?
        var depth = 0
        var index = start + 2
        while index < bytes.count {
            let byte = bytes[index]
            if let mark = quote?.mark {
                if byte == backslash { index += 1 } else if byte == mark { quote = nil }
            } else if byte == UInt8(ascii: "'") || byte == UInt8(ascii: "\"") {
                quote = (byte, index)
            } else if byte == open {
                depth += 1
            } else if byte == close, depth > 0 {
                depth -= 1
            } else if byte == close, index + 1 < bytes.count, bytes[index + 1] == close {
                return index
            }
            index += 1
        }
        if let quote {
            throw ExpressionError(
                "E-EXPR",
                "the text that begins here inside {{ }} has no closing \(Character(Unicode.Scalar(quote.mark)))",
                offset: offset + scalars(bytes[start..<quote.index]))
        }
        throw ExpressionError(
            "E-EXPR", "`{{` is not closed by `}}`", hint: "for the two characters as text write {{ '{{' }}",
            offset: offset)
    }
}

extension Value {
    /// Whether a text in it, or a key, may hold an expression.
    public var mayHoldTemplate: Bool {
        switch self {
        case .string(let text): TemplateParts.mayHold(text)
        case .list(let items): items.contains(where: \.mayHoldTemplate)
        case .map(let map): map.entries.contains { TemplateParts.mayHold($0.key) || $0.value.mayHoldTemplate }
        default: false
        }
    }
}
