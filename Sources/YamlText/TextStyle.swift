// TextStyle: decides how a text is written: plain, in double quotes, or as a literal block.
// Owns: what is safe unquoted for readers of YAML 1.1 and of YAML 1.2.
// Never: writes; when in doubt it asks for quotes.
// On failure: cannot fail.
// One pass over the bytes decides most texts; only non-ASCII ones are decoded.

enum TextStyle {
    case plain
    case quoted
    case literal

    typealias Bytes = UnsafeBufferPointer<UInt8>

    /// The style of a value in block style.
    static func value(_ text: Bytes) -> TextStyle { choose(text, inFlow: false) }

    /// The style of a key in block style: plain or quoted.
    static func key(_ text: Bytes) -> TextStyle { choose(text, inFlow: false) == .plain ? .plain : .quoted }

    /// The style of a value or key in brackets or braces: plain or quoted.
    static func flow(_ text: Bytes) -> TextStyle { choose(text, inFlow: true) == .plain ? .plain : .quoted }

    private static func choose(_ text: Bytes, inFlow: Bool) -> TextStyle {
        guard let first = text.first else { return .quoted }
        var facts = Facts(inFlow: inFlow)
        facts.read(text)
        if facts.isOdd || (facts.hasWide && hasOdd(text)) { return .quoted }
        if facts.hasBreak { return facts.isLiteral && facts.hasText ? .literal : .quoted }
        let isPlain = facts.isPlain && canOpen(first) && text[text.count - 1] != 0x20
        return isPlain && !AmbiguousWord.matches(text) ? .plain : .quoted
    }

    /// False for the bytes that mean something at the start of a value.
    private static func canOpen(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x20, UInt8(ascii: "-"), UInt8(ascii: "?"), UInt8(ascii: ":"), UInt8(ascii: ","),
            UInt8(ascii: "["),
            UInt8(ascii: "]"), UInt8(ascii: "{"), UInt8(ascii: "}"), UInt8(ascii: "#"), UInt8(ascii: "&"),
            UInt8(ascii: "*"), UInt8(ascii: "!"), UInt8(ascii: "|"), UInt8(ascii: ">"), UInt8(ascii: "'"),
            UInt8(ascii: "\""), UInt8(ascii: "%"), UInt8(ascii: "@"), UInt8(ascii: "`"):
            false
        default: true
        }
    }

    /// True when the non-ASCII character at `index` must be escaped.
    static func isOdd(_ text: Bytes, at index: Int) -> Bool {
        guard let scalar = Utf8.decode(text, at: index)?.scalar else { return true }
        return Utf8.isForbidden(scalar) || Utf8.isBidi(scalar)
    }

    private static func hasOdd(_ text: Bytes) -> Bool {
        text.indices.contains { text[$0] >= 0xC0 && isOdd(text, at: $0) }
    }
}

extension TextStyle {
    /// What one pass over the bytes finds.
    private struct Facts {
        let inFlow: Bool
        /// A control character other than tab and LF.
        var isOdd = false
        var hasWide = false
        var hasBreak = false
        /// Some byte is not LF; a literal block of line breaks alone is read as empty.
        var hasText = false
        /// Nothing inside ends or changes a plain text.
        var isPlain = true
        /// No line ends in a blank, which an editor would remove, or starts with a tab.
        var isLiteral = true

        init(inFlow: Bool) { self.inFlow = inFlow }

        mutating func read(_ text: Bytes) {
            var previous: UInt8 = 0x0A
            for byte in text {
                note(byte, after: previous)
                if byte != 0x0A { hasText = true }
                previous = byte
            }
            if previous == UInt8(ascii: ":") { isPlain = false }
            if isBlank(previous) { isLiteral = false }
        }

        private mutating func note(_ byte: UInt8, after previous: UInt8) {
            switch byte {
            case 0x0A:
                hasBreak = true
                if isBlank(previous) { isLiteral = false }
            case 0x09:
                isPlain = false
                if previous == 0x0A { isLiteral = false }
            case 0..<0x20, 0x7F: isOdd = true
            case 0x20 where previous == UInt8(ascii: ":"): isPlain = false
            case UInt8(ascii: "#") where previous == 0x20: isPlain = false
            case UInt8(ascii: ","), UInt8(ascii: "["), UInt8(ascii: "]"), UInt8(ascii: "{"),
                UInt8(ascii: "}"),
                UInt8(ascii: ":"), UInt8(ascii: "?"):
                if inFlow { isPlain = false }
            case 0x80...: hasWide = true
            default: break
            }
        }

        private func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }
    }
}
