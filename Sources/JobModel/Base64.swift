// What this is: bytes as base64 (RFC 4648 section 4, strict) and as hexadecimal.
// Owns: both directions, for keys, signatures, digests and age files.
// Never: takes what is not canonical: wrong padding, bits beyond the end, blanks.
// On failure: nil.

public enum Base64 {
    private static let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    private static let values: [UInt8] = {
        var values = [UInt8](repeating: 255, count: 256)
        for (index, digit) in digits.enumerated() { values[Int(digit)] = UInt8(index) }
        return values
    }()

    public static func encode(_ bytes: [UInt8], padded: Bool = true) -> String {
        var out: [UInt8] = []
        out.reserveCapacity((bytes.count + 2) / 3 * 4)
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            let bits = group.reduce(0) { $0 << 8 | UInt32($1) } << UInt32(8 * (3 - group.count))
            for place in 0...group.count { out.append(digits[Int(bits >> UInt32(18 - 6 * place) & 63)]) }
            if padded { out += [UInt8](repeating: UInt8(ascii: "="), count: 3 - group.count) }
        }
        return String(decoding: out, as: UTF8.self)
    }

    public static func decode(_ text: String, padded: Bool = true) -> [UInt8]? {
        decode(Array(text.utf8), padded: padded)
    }
    public static func decode(_ text: some Collection<UInt8>, padded: Bool = true) -> [UInt8]? {
        var digits = Array(text)
        if padded {
            guard digits.count.isMultiple(of: 4) else { return nil }
            for _ in 0..<2 where digits.last == UInt8(ascii: "=") { digits.removeLast() }
        }
        guard digits.count % 4 != 1 else { return nil }
        var out: [UInt8] = []
        out.reserveCapacity(digits.count / 4 * 3 + 2)
        for start in stride(from: 0, to: digits.count, by: 4) {
            let group = digits[start..<min(start + 4, digits.count)]
            var bits: UInt32 = 0
            for digit in group {
                guard values[Int(digit)] < 64 else { return nil }
                bits = bits << 6 | UInt32(values[Int(digit)])
            }
            bits <<= UInt32(6 * (4 - group.count))
            for place in 0..<(group.count - 1) { out.append(UInt8(bits >> UInt32(16 - 8 * place) & 255)) }
            // Bits that no byte has must be zero, or one text would have two forms.
            if bits & (1 << UInt32(8 * (4 - group.count)) - 1) != 0 { return nil }
        }
        return out
    }
}

public enum Hexadecimal {
    private static let digits = Array("0123456789abcdef".utf8)
    public static func encode(_ bytes: some Collection<UInt8>) -> String {
        String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
    /// Lower case only.
    public static func decode(_ text: String) -> [UInt8]? {
        let numbers = text.utf8.map { digits.firstIndex(of: $0) }
        guard numbers.count.isMultiple(of: 2), !numbers.contains(nil) else { return nil }
        return stride(from: 0, to: numbers.count, by: 2).map {
            UInt8((numbers[$0] ?? 0) << 4 | (numbers[$0 + 1] ?? 0))
        }
    }
}
