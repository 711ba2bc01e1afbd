// Printable: makes text from outside safe to show on a terminal or in a log.
// Owns: which characters are shown as escapes, and how.
// Never: is a format to read back: a backslash stays a single one.
// On failure: cannot fail; bytes that are not UTF-8 are shown as \xNN.
// Line breaks are escaped too, so one text stays on one line.

/// Escapes for text of unknown origin.
public enum Printable {
    /// `text` with control characters (C0, DEL, C1), bidi controls, U+2028, U+2029 and U+FEFF escaped.
    ///
    /// Tab, LF and CR become `\t`, `\n` and `\r`, other ASCII controls `\xNN`, the rest `\u{NNNN}`.
    public static func escape(_ text: String) -> String {
        var copy = text
        return copy.withUTF8 { isClean($0) ? nil : escape($0) } ?? text
    }

    /// The same for bytes that should be UTF-8; bytes that are not become `\xNN`.
    public static func escape(bytes: [UInt8]) -> String {
        bytes.withUnsafeBufferPointer(escape)
    }

    /// A short piece of `text` for a message: escaped, and cut behind 40 characters.
    static func brief(_ text: String) -> String {
        let piece = text.unicodeScalars.prefix(40)
        return escape(String(piece)) + (piece.endIndex == text.endIndex ? "" : "...")
    }

    /// How the character at `index` is shown, and the count of its bytes.
    static func cell(_ bytes: UnsafeBufferPointer<UInt8>, at index: Int) -> (shown: String, length: Int) {
        guard let next = Utf8.decode(bytes, at: index) else { return (hexByte(bytes[index]), 1) }
        if let escape = escape(next.scalar) { return (escape, next.length) }
        let source = UnsafeBufferPointer(rebasing: bytes[index..<(index + next.length)])
        return (String(decoding: source, as: UTF8.self), next.length)
    }

    private static func escape(_ bytes: UnsafeBufferPointer<UInt8>) -> String {
        var shown = ""
        shown.reserveCapacity(bytes.count)
        var index = 0
        while index < bytes.count {
            let next = cell(bytes, at: index)
            shown += next.shown
            index += next.length
        }
        return shown
    }

    private static func isClean(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        bytes.allSatisfy { $0 &- 0x20 < 0x5F }
    }

    private static func escape(_ scalar: UInt32) -> String? {
        switch scalar {
        case 0x09: return "\\t"
        case 0x0A: return "\\n"
        case 0x0D: return "\\r"
        case 0..<0x20, 0x7F: return hexByte(UInt8(scalar))
        case 0..<0x80: return nil
        // A byte of a file name that was no UTF-8 (LinuxSystem.RawName).
        case 0x10FF80...0x10FFFF: return hexByte(UInt8(truncatingIfNeeded: scalar))
        default:
            guard Utf8.isForbidden(scalar) || Utf8.isBidi(scalar) else { return nil }
            return "\\u{" + String(scalar, radix: 16, uppercase: true) + "}"
        }
    }

    private static func hexByte(_ byte: UInt8) -> String {
        (byte < 16 ? "\\x0" : "\\x") + String(byte, radix: 16, uppercase: true)
    }
}
