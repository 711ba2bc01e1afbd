// What this is: the payload of an age file (C2SP age v1): chunks of 64 KiB, each sealed by itself, and counted.
// Owns: the keys that follow from a file key; nonces; the rule which chunk may be the last.
// Never: gives anything of a chunk before its tag was right.
// On failure: AgeProblem.payload with the number of the chunk.
import Crypto
import LinuxSystem

/// What opens one file, and no other: of a file that is being written, so that it can be read back.
public struct AgeFileKey: Sendable {
    let key: SymmetricKey

    /// A new one.
    init() { key = SymmetricKey(size: SymmetricKeySize(bitCount: AgeWrap.keyBytes * 8)) }
    init(_ key: SymmetricKey) { self.key = key }

    func mac(of header: [UInt8]) -> [UInt8] {
        Array(HMAC<SHA256>.authenticationCode(for: header, using: derived("header", salt: [])))
    }
    func payload(_ nonce: [UInt8]) -> AgePayload { AgePayload(key: derived("payload", salt: nonce)) }
    private func derived(_ info: String, salt: [UInt8]) -> SymmetricKey {
        HKDF<SHA256>.deriveKey(
            inputKeyMaterial: key, salt: salt, info: Array(info.utf8), outputByteCount: 32)
    }
}

struct AgePayload {
    static let chunk = 64 << 10, tag = 16, nonceBytes = 16
    static var whole: Int { chunk + tag }
    private let key: SymmetricKey
    private var index: UInt64 = 0

    fileprivate init(key: SymmetricKey) { self.key = key }

    /// The next chunk, of at most 64 KiB; only the last may have less.
    mutating func seal(_ plain: UnsafeRawBufferPointer, isLast: Bool, _ take: (ChaChaPoly.SealedBox) -> Void)
        throws(AgeProblem)
    {
        // Right by construction: a nonce of twelve bytes.
        guard let nonce = try? ChaChaPoly.Nonce(data: nonce(isLast)),
            let box = try? ChaChaPoly.seal(plain, using: key, nonce: nonce)
        else { throw AgeProblem(.payload, "chunk \(index + 1) could not be encrypted") }
        index += 1
        take(box)
    }
    /// The next chunk, with its tag; into as many bytes less the tag.
    mutating func open(
        _ sealed: UnsafeRawBufferPointer, isLast: Bool, into target: UnsafeMutableRawBufferPointer
    ) throws(AgeProblem) {
        let count = sealed.count - AgePayload.tag
        // An empty last chunk is only that of an empty file.
        guard count >= 0, count > 0 || index == 0, isLast || count == AgePayload.chunk,
            let nonce = try? ChaChaPoly.Nonce(data: nonce(isLast)),
            let box = try? ChaChaPoly.SealedBox(
                nonce: nonce, ciphertext: UnsafeRawBufferPointer(rebasing: sealed[..<count]),
                tag: UnsafeRawBufferPointer(rebasing: sealed[count...])),
            let opened = try? ChaChaPoly.open(box, using: key)
        else {
            throw AgeProblem(
                .payload, "what was encrypted was changed, or its end is missing (chunk \(index + 1))")
        }
        index += 1
        target.copyBytes(from: opened)
    }
    /// Eleven bytes that count, and one that says whether it is the last.
    private func nonce(_ isLast: Bool) -> [UInt8] {
        [0, 0, 0] + (0..<8).map { UInt8(index >> UInt64(8 * (7 - $0)) & 255) } + [isLast ? 1 : 0]
    }
}
