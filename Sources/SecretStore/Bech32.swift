// What this is: Bech32 (BIP 173), in which age writes keys: `age1…`, `AGE-SECRET-KEY-1…`.
// Owns: both directions and the checksum.
// Never: mends a wrong character; takes upper and lower case mixed. Has no limit of 90 characters: age has none.
// On failure: nil.

enum Bech32 {
    private static let digits = Array("qpzry9x8gf2tvdw0s3jn54khce6mua7l".utf8)
    private static let generators: [UInt32] = [
        0x3B6A_57B2, 0x2650_8E6D, 0x1EA1_19FA, 0x3D42_33DD, 0x2A14_62B3,
    ]

    static func encode(_ prefix: String, _ bytes: [UInt8]) -> String {
        let values = regroup(bytes, from: 8, to: 5, padded: true) ?? []
        let low = prefix.lowercased()
        let sum = polymod(expand(low) + values + [UInt8](repeating: 0, count: 6)) ^ 1
        let check = (0..<6).map { UInt8(sum >> UInt32(5 * (5 - $0)) & 31) }
        let text = low + "1" + String(decoding: (values + check).map { digits[Int($0)] }, as: UTF8.self)
        return prefix == low ? text : text.uppercased()
    }

    static func decode(_ text: String) -> (prefix: String, bytes: [UInt8])? {
        let low = text.lowercased()
        guard text == low || text == text.uppercased(), low.utf8.allSatisfy({ (33...126).contains($0) }),
            let cut = low.lastIndex(of: "1"), cut > low.startIndex
        else { return nil }
        let prefix = String(low[..<cut])
        var values: [UInt8] = []
        for byte in low[low.index(after: cut)...].utf8 {
            guard let value = digits.firstIndex(of: byte) else { return nil }
            values.append(UInt8(value))
        }
        guard values.count >= 6, polymod(expand(prefix) + values) == 1,
            let bytes = regroup(Array(values.dropLast(6)), from: 5, to: 8, padded: false)
        else { return nil }
        return (prefix, bytes)
    }

    private static func expand(_ prefix: String) -> [UInt8] {
        prefix.utf8.map { $0 >> 5 } + [0] + prefix.utf8.map { $0 & 31 }
    }
    private static func polymod(_ values: [UInt8]) -> UInt32 {
        var sum: UInt32 = 1
        for value in values {
            let top = sum >> 25
            sum = (sum & 0x1FF_FFFF) << 5 ^ UInt32(value)
            for (index, generator) in generators.enumerated() where top >> UInt32(index) & 1 == 1 {
                sum ^= generator
            }
        }
        return sum
    }
    /// Nil where bits are left over that are no padding.
    private static func regroup(_ values: [UInt8], from: UInt32, to: UInt32, padded: Bool) -> [UInt8]? {
        var out: [UInt8] = []
        var bits: UInt32 = 0, count: UInt32 = 0
        let mask: UInt32 = (1 << to) - 1
        for value in values {
            bits = (bits << from | UInt32(value)) & 0xFFFF
            count += from
            while count >= to {
                count -= to
                out.append(UInt8(bits >> count & mask))
            }
        }
        let rest = bits & ((1 << count) - 1)
        if padded {
            if count > 0 { out.append(UInt8(rest << (to - count) & mask)) }
        } else if count >= from || rest != 0 {
            return nil
        }
        return out
    }
}
