// What this is: a fast hash of a few bytes, the same in every life of the program.
// Owns: the mixing; nothing else depends on its quality, because equality is always checked on the bytes.
// Never: is used where somebody could gain by a collision.
// On failure: cannot fail.
// The finalizer is that of MurmurHash3 (A. Appleby, public domain).

enum ShapeHash {
    static func of(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        var hash = UInt64(truncatingIfNeeded: bytes.count) &* 0x9E37_79B9_7F4A_7C15
        var at = 0
        while at + 8 <= bytes.count {
            hash = mixed(hash ^ bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self))
            at += 8
        }
        var rest: UInt64 = 0
        while at < bytes.count {
            rest = rest << 8 | UInt64(bytes[at])
            at += 1
        }
        return mixed(hash ^ rest &+ 1)
    }
    @inline(__always) static func mixed(_ value: UInt64) -> UInt64 {
        var value = value
        value = (value ^ (value >> 33)) &* 0xFF51_AFD7_ED55_8CCD
        value = (value ^ (value >> 33)) &* 0xC4CE_B9FE_1A85_EC53
        return value ^ (value >> 33)
    }
}
