// Utf8: the strict decoder of single UTF-8 scalars, and the set of characters a text may hold.
// Owns: what is well-formed UTF-8 and what is an invisible or dangerous character.
// Never: allocates, or repairs broken bytes.
// On failure: `decode` gives nil for bytes that are not UTF-8.
// The Unicode standard, table 3-7, is the reference.

enum Utf8 {
    /// One decoded scalar and the count of its bytes (1...4).
    struct Decoded {
        var scalar: UInt32
        var length: Int
    }

    static func isContinuation(_ byte: UInt8) -> Bool { byte & 0xC0 == 0x80 }

    /// 3 when the text opens with the UTF-8 byte order mark, else 0.
    static func markLength(_ bytes: UnsafeBufferPointer<UInt8>) -> Int {
        bytes.count >= 3 && bytes[0] == 0xEF && bytes[1] == 0xBB && bytes[2] == 0xBF ? 3 : 0
    }

    /// The scalar that starts at `index`; nil when the bytes there are not well-formed.
    static func decode(_ bytes: UnsafeBufferPointer<UInt8>, at index: Int) -> Decoded? {
        let lead = bytes[index]
        if lead < 0x80 { return Decoded(scalar: UInt32(lead), length: 1) }
        guard let (length, smallest) = shape(lead), index + length <= bytes.count else { return nil }
        var scalar = UInt32(lead) & (0x7F >> UInt32(length))
        for next in (index + 1)..<(index + length) {
            guard isContinuation(bytes[next]) else { return nil }
            scalar = scalar << 6 | UInt32(bytes[next] & 0x3F)
        }
        let isSurrogate = (0xD800...0xDFFF).contains(scalar)
        guard scalar >= smallest, scalar <= 0x10FFFF, !isSurrogate else { return nil }
        return Decoded(scalar: scalar, length: length)
    }

    /// The length a lead byte announces, and the smallest scalar that needs that length.
    private static func shape(_ lead: UInt8) -> (length: Int, smallest: UInt32)? {
        switch lead {
        case 0xC2...0xDF: (2, 0x80)
        case 0xE0...0xEF: (3, 0x800)
        case 0xF0...0xF4: (4, 0x10000)
        default: nil
        }
    }

    /// True for scalars from U+0080 that no source text may hold unescaped: C1 controls, the two
    /// separators that old readers take for line breaks, byte order marks inside, U+FFFE, U+FFFF.
    static func isForbidden(_ scalar: UInt32) -> Bool {
        switch scalar {
        case 0x80...0x9F, 0x2028, 0x2029, 0xFEFF, 0xFFFE, 0xFFFF: true
        default: false
        }
    }

    /// True for the controls that turn the direction of text, so that it reads as something else.
    static func isBidi(_ scalar: UInt32) -> Bool {
        switch scalar {
        case 0x061C, 0x200E, 0x200F, 0x202A...0x202E, 0x2066...0x2069: true
        default: false
        }
    }
}
