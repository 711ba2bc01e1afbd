// AmbiguousWord: texts that some reader takes for something other than text.
// Owns: the words and numbers of YAML 1.1 and 1.2 that must be quoted.
// Never: tries to be exact: a few harmless texts are quoted too.
// On failure: cannot fail.
// Such as no, on, y, 012, 1_000, 12:30, 2026-01-01, 0x1F, 1e3, .5, =, <<.

enum AmbiguousWord {
    typealias Bytes = UnsafeBufferPointer<UInt8>

    /// True when `text` must not stand without quotes.
    static func matches(_ text: Bytes) -> Bool {
        guard let first = text.first else { return true }
        switch first | 0x20 {
        case UInt8(ascii: "y"), UInt8(ascii: "n"), UInt8(ascii: "t"), UInt8(ascii: "f"), UInt8(ascii: "o"):
            if isWord(text) { return true }
        default: break
        }
        switch first {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "."):
            return isNumberLike(text)
        case UInt8(ascii: "~"), UInt8(ascii: "="): return text.count == 1
        case UInt8(ascii: "<"): return text.elementsEqual("<<".utf8)
        default: return false
        }
    }

    /// y, yes, n, no, null, true, false, on, off in any case.
    private static func isWord(_ text: Bytes) -> Bool {
        guard text.count <= 5 else { return false }
        var packed: UInt64 = 0
        for byte in text { packed = packed << 8 | UInt64(byte | 0x20) }
        return words.contains(packed)
    }

    private static let words: Set<UInt64> = {
        let names = ["y", "yes", "n", "no", "null", "true", "false", "on", "off"]
        return Set(names.map { $0.utf8.reduce(0) { $0 << 8 | UInt64($1) } })
    }()

    /// True when every byte may be part of a number, a time or a date; also for .inf and .nan.
    private static func isNumberLike(_ text: Bytes) -> Bool {
        if text.count <= 5, text.contains(UInt8(ascii: ".")), isSpecial(text) { return true }
        return text.allSatisfy { byte in
            switch byte | 0x20 {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"): true
            default: "xotzXOTZ_.:+-, ".utf8.contains(byte)
            }
        }
    }

    private static func isSpecial(_ text: Bytes) -> Bool {
        let name = text.drop { $0 == UInt8(ascii: "+") }.map { $0 | 0x20 }
        return name.elementsEqual(".inf".utf8) || name.elementsEqual(".nan".utf8)
    }
}
