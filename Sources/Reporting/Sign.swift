// What this is: the bytes that a message is cut at.
// Owns: which byte is a space, a separator, a digit, part of a word; where a word, a run of dots or of hexadecimal ends.
// Never: decodes text: what is not ASCII is part of a word.
// On failure: cannot fail.

enum Sign {
    static let space = UInt8(ascii: " ")
    static let dot = UInt8(ascii: ".")
    static let colon = UInt8(ascii: ":")
    static let slash = UInt8(ascii: "/")
    static let backslash = UInt8(ascii: "\\")
    static let tilde = UInt8(ascii: "~")
    static let equals = UInt8(ascii: "=")
    static let less = UInt8(ascii: "<")
    static let greater = UInt8(ascii: ">")
    static let exclamation = UInt8(ascii: "!")
    static let quote = UInt8(ascii: "'")
    static let doubleQuote = UInt8(ascii: "\"")
    static let backtick = UInt8(ascii: "`")
    static let openParenthesis = UInt8(ascii: "(")
    static let closeParenthesis = UInt8(ascii: ")")
    static let openBracket = UInt8(ascii: "[")
    static let closeBracket = UInt8(ascii: "]")
    /// Stands for a variable piece in a shape; no message has it, because it counts as white space there.
    static let variable: UInt8 = 1

    static func isSpace(_ byte: UInt8) -> Bool { byte <= space || byte == 0x7F }
    static func isSeparator(_ byte: UInt8) -> Bool {
        switch byte {
        case equals, colon, UInt8(ascii: ","), UInt8(ascii: ";"), openParenthesis, closeParenthesis,
            openBracket,
            closeBracket, UInt8(ascii: "{"), UInt8(ascii: "}"), UInt8(ascii: "|"), UInt8(ascii: "@"), less,
            greater,
            quote, doubleQuote, backtick:
            true
        default: false
        }
    }
    static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }
    static func isLetter(_ byte: UInt8) -> Bool { (byte | 0x20) &- 0x61 < 26 || byte >= 0x80 }
    static func isWordLike(_ byte: UInt8) -> Bool {
        isLetter(byte) || isDigit(byte) || byte == UInt8(ascii: "_")
    }
    static func isHex(_ byte: UInt8) -> Bool { isDigit(byte) || (byte | 0x20) &- 0x61 < 6 }
    /// Between two variable pieces it makes one of them: 10.0.0.1:80, 1,2,3, a@b.
    static func isLink(_ byte: UInt8) -> Bool {
        switch byte {
        case colon, UInt8(ascii: ","), dot, UInt8(ascii: "-"), slash, UInt8(ascii: "@"), UInt8(ascii: "|"):
            true
        default: false
        }
    }

    static func wordEnd(_ text: UnsafeRawBufferPointer, _ start: Int) -> Int {
        var end = start
        while end < text.count, !isSpace(text[end]), !isSeparator(text[end]) { end += 1 }
        return end
    }
    static func isLeader(_ text: UnsafeRawBufferPointer, _ at: Int) -> Bool {
        at + 2 < text.count && text[at] == dot && text[at + 1] == dot && text[at + 2] == dot
    }
    /// `<*>`, as templates are written.
    static func isPlaceholder(_ text: UnsafeRawBufferPointer, _ at: Int) -> Bool {
        at + 2 < text.count && text[at + 1] == UInt8(ascii: "*") && text[at + 2] == greater
    }
    /// Where three dots or more begin inside a word.
    static func leader(in text: UnsafeRawBufferPointer, _ start: Int, _ end: Int) -> Int? {
        guard end - start > 3 else { return nil }
        return (start + 1..<end - 2).first { isLeader(text, $0) }
    }

    /// Groups of up to four hexadecimal digits with colons: an address of a card, or IPv6. nil: it is none.
    static func endOfHexRun(_ text: UnsafeRawBufferPointer, _ start: Int) -> Int? {
        var at = start, colons = 0, digits = 0
        while at < text.count {
            if isHex(text[at]) {
                digits += 1
                if digits > 4 { return nil }
            } else if text[at] == colon, at > start {
                colons += 1
                digits = 0
            } else {
                break
            }
            at += 1
        }
        return colons >= 3 && (at == text.count || !isWordLike(text[at])) ? at : nil
    }
}
