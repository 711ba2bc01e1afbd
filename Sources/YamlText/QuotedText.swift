// QuotedText: the part of YamlEmitter that writes double-quoted and literal texts.
// Owns: the escapes, and the head of a literal text.
// Never: writes a control, bidi or separator character as it is.
// On failure: cannot fail.
// The bytes come from a String, so they are UTF-8.

extension YamlEmitter {
    /// The text in double quotes, on one line.
    mutating func quoted(_ text: UnsafeBufferPointer<UInt8>) {
        add(UInt8(ascii: "\""))
        var clean = 0
        var index = 0
        while index < text.count {
            let byte = text[index]
            let length = byte < 0x80 ? 1 : Utf8.decode(text, at: index)?.length ?? 1
            if Self.needsEscape(text, at: index) {
                add(UnsafeBufferPointer(rebasing: text[clean..<index]))
                escape(text, at: index)
                clean = index + length
            }
            index += length
        }
        add(UnsafeBufferPointer(rebasing: text[clean...]))
        add(UInt8(ascii: "\""))
    }

    /// The text as `|` with its lines below, each `indent` spaces deep; ends with a line break.
    mutating func literal(_ text: UnsafeBufferPointer<UInt8>, indent: Int) {
        add(UInt8(ascii: "|"))
        // Without the number a reader would count the first line's own spaces as indentation.
        if text.first == 0x20 || text.first == 0x0A { add(UInt8(ascii: "2")) }
        let isOpen = text.last != 0x0A
        if isOpen { add(UInt8(ascii: "-")) }
        if text.count >= 2, !isOpen, text[text.count - 2] == 0x0A { add(UInt8(ascii: "+")) }
        add(0x0A)
        var start = 0
        while start < text.count {
            let end = text[start...].firstIndex(of: 0x0A) ?? text.count
            if end > start { pad(indent) }
            add(UnsafeBufferPointer(rebasing: text[start..<end]))
            add(0x0A)
            start = end + 1
        }
    }

    private static func needsEscape(_ text: UnsafeBufferPointer<UInt8>, at index: Int) -> Bool {
        switch text[index] {
        case 0..<0x20, 0x7F, UInt8(ascii: "\""), UInt8(ascii: "\\"): true
        case 0..<0x80: false
        default: TextStyle.isOdd(text, at: index)
        }
    }

    private mutating func escape(_ text: UnsafeBufferPointer<UInt8>, at index: Int) {
        add(UInt8(ascii: "\\"))
        switch text[index] {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): add(text[index])
        case 0x0A: add(UInt8(ascii: "n"))
        case 0x09: add(UInt8(ascii: "t"))
        case 0x0D: add(UInt8(ascii: "r"))
        case 0..<0x80:
            add(UInt8(ascii: "x"))
            hex(UInt32(text[index]), digits: 2)
        default:
            add(UInt8(ascii: "u"))
            hex(Utf8.decode(text, at: index)?.scalar ?? 0xFFFD, digits: 4)
        }
    }

    private mutating func hex(_ value: UInt32, digits: Int) {
        for place in (0..<digits).reversed() {
            let digit = UInt8(truncatingIfNeeded: value >> UInt32(4 * place)) & 15
            add(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
        }
    }
}
