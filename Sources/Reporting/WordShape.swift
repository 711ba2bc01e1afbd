// What this is: whether a word of a message is a value or a word of its language.
// Owns: the rules for one word: digits, paths, hosts, long hexadecimal.
// Never: looks at the words beside it, except for the port of a host.
// On failure: cannot fail; a word that no rule knows is language.

enum WordShape {
    static func isVariable(_ text: UnsafeRawBufferPointer, _ start: Int, _ end: Int) -> Bool {
        var dots = 0, slashes = 0, backslashes = 0, isLower = true, isHex = true
        for at in start..<end {
            let byte = text[at]
            if Sign.isDigit(byte) { return true }
            switch byte {
            case Sign.dot: dots += 1
            case Sign.slash: slashes += 1
            case Sign.backslash: backslashes += 1
            default: break
            }
            if !isHostByte(byte) { isLower = false }
            if !Sign.isHex(byte) { isHex = false }
        }
        if end - start > 1, isPath(text, start, slashes, backslashes) { return true }
        if isHex, end - start >= 8 { return true }
        return isLower && dots > 0 && isHost(text, start, end, dots)
    }

    private static func isPath(
        _ text: UnsafeRawBufferPointer, _ start: Int, _ slashes: Int, _ backslashes: Int
    )
        -> Bool
    {
        if slashes > 1 || backslashes > 1 { return true }
        switch text[start] {
        case Sign.slash, Sign.tilde, Sign.backslash: return true
        case Sign.dot: return slashes == 1 && (text[start + 1] == Sign.slash || text[start + 1] == Sign.dot)
        default: return false
        }
    }

    private static func isHostByte(_ byte: UInt8) -> Bool {
        byte &- 0x61 < 26 || byte == Sign.dot || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
    }
    /// Names in lower case with dots: three labels, or two of which the last is short (a country, a file's kind), or two
    /// with a port. What is written with capitals is a class of a program, and stays.
    private static func isHost(_ text: UnsafeRawBufferPointer, _ start: Int, _ end: Int, _ dots: Int) -> Bool
    {
        var label = 0, last = 0, labels = 0
        for at in start..<end {
            if text[at] == Sign.dot {
                // A full stop is no part of a name.
                if label == 0 { return false }
                label = 0
            } else {
                if label == 0 { labels += 1 }
                label += 1
                last = label
            }
        }
        guard labels >= 2 else { return false }
        if labels >= 3 { return true }
        if label > 0, (2...3).contains(last) { return true }
        return label > 0 && hasPort(text, end)
    }
    private static func hasPort(_ text: UnsafeRawBufferPointer, _ end: Int) -> Bool {
        guard end < text.count, text[end] == Sign.colon else { return false }
        var at = end + 1
        while at < text.count, Sign.isDigit(text[at]) { at += 1 }
        return (1...5).contains(at - end - 1) && (at == text.count || !Sign.isWordLike(text[at]))
    }

    /// Digits with signs, points and thousands, and nothing else.
    static func isNumber(_ text: UnsafeRawBufferPointer, _ start: Int, _ end: Int) -> Bool {
        var hasDigit = false
        for at in start..<end {
            switch text[at] {
            case _ where Sign.isDigit(text[at]): hasDigit = true
            case Sign.dot: break
            case UInt8(ascii: "-") where at == start, UInt8(ascii: "+") where at == start: break
            default: return false
            }
        }
        return hasDigit
    }

    /// The end of a word without the stops of its sentence.
    static func withoutStop(_ text: UnsafeRawBufferPointer, _ start: Int, _ end: Int) -> Int {
        var last = end
        while last > start + 1,
            [Sign.dot, Sign.exclamation, UInt8(ascii: "?")].contains(text[last - 1])
        {
            last -= 1
        }
        return last
    }
}
