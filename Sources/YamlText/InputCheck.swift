// InputCheck: reads the bytes once before libyaml sees them.
// Owns: E-YAML-ENCODING, and the refusal of %TAG directives.
// Never: changes the bytes.
// On failure: throws the YamlError of the first bad byte.
// libyaml accepts some of what is refused here, and gives only a byte offset for the rest.

struct InputCheck {
    typealias Bytes = UnsafeBufferPointer<UInt8>

    /// Bytes of the byte order mark at the start: 0 or 3.
    let lead: Int
    /// True when a character index of libyaml is a byte offset too.
    let isAscii: Bool

    init(_ bytes: Bytes) throws(YamlError) {
        lead = Utf8.markLength(bytes)
        isAscii = try Self.scan(bytes, from: lead)
        try Self.refuseTagDirectives(bytes, from: lead)
    }

    private static func scan(_ bytes: Bytes, from start: Int) throws(YamlError) -> Bool {
        var isAscii = true
        var index = start
        while index < bytes.count {
            let byte = bytes[index]
            if byte &- 0x20 < 0x5F || byte == 0x0A || byte == 0x0D || byte == 0x09 {
                index += 1
                continue
            }
            guard byte >= 0x80, let next = Utf8.decode(bytes, at: index), !Utf8.isForbidden(next.scalar)
            else {
                throw refusal(bytes, at: index)
            }
            isAscii = false
            index += next.length
        }
        return isAscii
    }

    private static func refusal(_ bytes: Bytes, at index: Int) -> YamlError {
        let mark = SourceMark.locate(index, in: bytes)
        let hint = "save the file as UTF-8"
        if looksWide(bytes) {
            return YamlError(.encoding, "the text looks like UTF-16 or UTF-32", hint: hint, at: .start)
        }
        if bytes[index] == 0 {
            return YamlError(.encoding, "a NUL byte is not allowed", hint: hint, at: mark)
        }
        guard let next = Utf8.decode(bytes, at: index) else {
            return YamlError(.encoding, "the byte \(hex(bytes[index])) is not UTF-8", hint: hint, at: mark)
        }
        let name = "U+" + String(repeating: "0", count: next.scalar < 0x100 ? 2 : 0) + hex(next.scalar)
        let escape = "write it as an escape in double quotes, or remove it"
        return YamlError(.encoding, "the control character \(name) is not allowed", hint: escape, at: mark)
    }

    private static func hex(_ number: some FixedWidthInteger) -> String {
        let digits = String(number, radix: 16, uppercase: true)
        return digits.utf8.count < 2 ? "0" + digits : digits
    }

    /// A byte order mark of UTF-16 or UTF-32, or the NUL beside an ASCII character at the start.
    private static func looksWide(_ bytes: Bytes) -> Bool {
        guard bytes.count >= 2 else { return false }
        switch (bytes[0], bytes[1]) {
        case (0xFF, 0xFE), (0xFE, 0xFF): return true
        case (0, _), (_, 0): return true
        default: return false
        }
    }

    /// libyaml compares each %TAG line with all before it, so many of them would take minutes.
    private static func refuseTagDirectives(_ bytes: Bytes, from start: Int) throws(YamlError) {
        var index = start
        while index < bytes.count {
            if bytes[index...].starts(with: "%TAG".utf8) {
                let mark = SourceMark.locate(index, in: bytes)
                throw YamlError(.tag, "a %TAG directive is not allowed", hint: "remove the line", at: mark)
            }
            guard let next = lineAfterPreamble(bytes, from: index) else { return }
            index = next
        }
    }

    /// The start of the next line when this one is blank, a comment or a directive; else nil.
    private static func lineAfterPreamble(_ bytes: Bytes, from start: Int) -> Int? {
        var index = start
        while index < bytes.count, bytes[index] == 0x20 { index += 1 }
        guard index < bytes.count else { return nil }
        switch bytes[index] {
        case 0x0A, 0x0D: return index + 1
        case UInt8(ascii: "#"), UInt8(ascii: "%"):
            while index < bytes.count, bytes[index] != 0x0A, bytes[index] != 0x0D { index += 1 }
            return index + 1
        default: return nil
        }
    }
}
