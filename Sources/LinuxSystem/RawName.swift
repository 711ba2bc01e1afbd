// What this is: file names of any bytes as Swift texts, and back: what is not UTF-8 travels as U+10FF80 to U+10FFFF.
// Owns: that mapping (the idea of Python's PEP 383, with private characters, since a Swift text holds no surrogates).
// Never: changes a name that is plain UTF-8; loses a byte: two names that differ stay different.
// On failure: cannot fail; a name that really holds one of those characters is carried byte by byte as well.

public enum RawName {
    /// The characters that stand for the bytes 0x80 to 0xFF.
    public static let carriers: ClosedRange<UInt32> = 0x10FF80...0x10FFFF

    /// The byte that a character stands for, when it is one of the carriers.
    public static func carriedByte(_ scalar: Unicode.Scalar) -> UInt8? {
        carriers.contains(scalar.value) ? UInt8(truncatingIfNeeded: scalar.value) : nil
    }
    /// Whether the name is not valid UTF-8 on the disk.
    public static func isOdd(_ name: String) -> Bool {
        hasCarrier(name.utf8) && name.unicodeScalars.contains { carriedByte($0) != nil }
    }

    /// The name with `\xNN` for each byte that is not UTF-8.
    public static func shown(_ name: String) -> String {
        guard isOdd(name) else { return name }
        return name.unicodeScalars.map { scalar in
            carriedByte(scalar).map { "\\x" + String($0, radix: 16, uppercase: true) } ?? String(scalar)
        }.joined()
    }

    /// The text for the bytes of a name.
    public static func text(_ bytes: UnsafeBufferPointer<UInt8>) -> String {
        if let text = String(validating: bytes, as: UTF8.self), !hasCarrier(text.utf8) { return text }
        var text = String.UnicodeScalarView()
        var rest = bytes[...]
        while let first = rest.first {
            if let scalar = leading(rest), !carriers.contains(scalar.value) {
                text.append(scalar)
                rest = rest.dropFirst(UTF8.width(scalar))
            } else {
                text.append(carrier(first))
                rest = rest.dropFirst()
            }
        }
        return String(text)
    }

    /// The bytes that the name has on the disk, without a final NUL.
    static func bytes(_ name: String) -> [UInt8] {
        guard isOdd(name) else { return Array(name.utf8) }
        return name.unicodeScalars.flatMap { scalar in
            carriedByte(scalar).map { [$0] } ?? Array(String(scalar).utf8)
        }
    }
    /// Calls `body` with the name as the kernel wants it.
    static func withPointer<Outcome>(
        _ name: String, _ body: (UnsafePointer<CChar>) -> Outcome
    ) -> Outcome {
        guard isOdd(name) else { return name.withCString(body) }
        return (bytes(name) + [0]).map { CChar(bitPattern: $0) }.withUnsafeBufferPointer { buffer in
            // Never empty, so there is a base; the other branch satisfies the compiler.
            buffer.baseAddress.map(body) ?? name.withCString(body)
        }
    }

    private static func carrier(_ byte: UInt8) -> Unicode.Scalar {
        // Every value of plane 16 is a scalar, so the fallback is never taken.
        Unicode.Scalar(0x10FF00 + UInt32(byte)) ?? "\u{FFFD}"
    }
    /// All carriers, and few other characters, begin with F4 in UTF-8.
    private static func hasCarrier(_ utf8: String.UTF8View) -> Bool { utf8.contains(0xF4) }

    /// The well-formed character at the beginning.
    private static func leading(_ bytes: Slice<UnsafeBufferPointer<UInt8>>) -> Unicode.Scalar? {
        var parser = Unicode.UTF8.ForwardParser()
        var iterator = bytes.makeIterator()
        guard case .valid(let encoded) = parser.parseScalar(from: &iterator) else { return nil }
        return Unicode.UTF8.decode(encoded)
    }
}
