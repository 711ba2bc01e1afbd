// What this is: CRC-32C (Castagnoli, RFC 3720 appendix B.4), eight bytes at a time.
// Owns: the tables.
// Never: protects against intent; it tells torn and rotten records from whole ones.
// On failure: nothing here fails.

enum Checksum {
    private static let tables: [[UInt32]] = {
        var tables = [[UInt32]](repeating: [UInt32](repeating: 0, count: 256), count: 8)
        for index in 0..<256 {
            var crc = UInt32(index)
            for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0x82F6_3B78 : crc >> 1 }
            tables[0][index] = crc
        }
        for slice in 1..<8 {
            for index in 0..<256 {
                let before = tables[slice - 1][index]
                tables[slice][index] = before >> 8 ^ tables[0][Int(before & 0xFF)]
            }
        }
        return tables
    }()
    private static let flat: [UInt32] = tables.flatMap { $0 }

    static func crc32c(_ bytes: UnsafeRawBufferPointer, seed: UInt32 = 0) -> UInt32 {
        flat.withUnsafeBufferPointer { table in
            var crc = ~seed
            var offset = 0
            while offset + 8 <= bytes.count {
                let word =
                    bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self).littleEndian ^ UInt64(crc)
                crc = 0
                for slice in 0..<8 {
                    crc ^= table[(7 - slice) * 256 + Int(word >> UInt64(slice * 8) & 0xFF)]
                }
                offset += 8
            }
            while offset < bytes.count {
                crc = crc >> 8 ^ table[Int((crc ^ UInt32(bytes[offset])) & 0xFF)]
                offset += 1
            }
            return ~crc
        }
    }
}
