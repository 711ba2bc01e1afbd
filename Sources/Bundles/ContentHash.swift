// What this is: a SHA-256 in 32 bytes instead of 64 letters: a manifest has one for each of a million files.
// Owns: its text and back; hashing in pieces.
// Never: compares in constant time: these are no secrets.
// On failure: nil for a text that is none.
import Crypto

public struct ContentHash: Hashable, Sendable {
    private var words: (UInt64, UInt64, UInt64, UInt64)

    public static func == (left: ContentHash, right: ContentHash) -> Bool { left.words == right.words }
    public func hash(into hasher: inout Hasher) { hasher.combine(words.0) }

    public struct Running {
        private var state = SHA256()
        public init() {}
        public mutating func update(_ bytes: UnsafeRawBufferPointer) { state.update(bufferPointer: bytes) }
        public func end() -> ContentHash { ContentHash(state.finalize()) }
    }
    public init(of bytes: [UInt8]) { self.init(SHA256.hash(data: bytes)) }
    public init(of bytes: ArraySlice<UInt8>) { self.init(SHA256.hash(data: bytes)) }

    private init(_ digest: SHA256Digest) {
        words = digest.withUnsafeBytes { raw in
            func word(_ index: Int) -> UInt64 {
                UInt64(bigEndian: raw.loadUnaligned(fromByteOffset: 8 * index, as: UInt64.self))
            }
            return (word(0), word(1), word(2), word(3))
        }
    }
    /// 64 hexadecimal digits in small letters.
    init?(_ text: some Collection<UInt8>) {
        guard text.count == 64 else { return nil }
        var found: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        for (index, byte) in text.enumerated() {
            let digit: UInt8
            switch byte {
            case 0x30...0x39: digit = byte - 0x30
            case 0x61...0x66: digit = byte - 0x57
            default: return nil
            }
            switch index / 16 {
            case 0: found.0 = found.0 << 4 | UInt64(digit)
            case 1: found.1 = found.1 << 4 | UInt64(digit)
            case 2: found.2 = found.2 << 4 | UInt64(digit)
            default: found.3 = found.3 << 4 | UInt64(digit)
            }
        }
        words = found
    }
    private static let digits = Array("0123456789abcdef".utf8)
    func write(_ out: inout [UInt8]) {
        for word in [words.0, words.1, words.2, words.3] {
            for place in 0..<16 { out.append(ContentHash.digits[Int(word >> UInt64(60 - 4 * place) & 15)]) }
        }
    }
    public var text: String {
        var out: [UInt8] = []
        write(&out)
        return String(decoding: out, as: UTF8.self)
    }
}
