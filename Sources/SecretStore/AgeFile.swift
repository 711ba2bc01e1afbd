// What this is: age v1 files (https://c2sp.org/age), so that the `age` tool reads what we write, and we what it writes.
// Owns: opening and writing a whole file: armor, header, check, the stream of 64 KiB chunks.
// Never: gives a part of a plaintext: what is changed or cut off at its end gives nothing.
// On failure: AgeProblem.
import Crypto
import JobModel
import LinuxSystem

public enum AgeFile {
    private static let chunk = 64 << 10, tag = 16, nonceBytes = 16
    /// Secrets are small; more than this is not read into memory.
    public static let longest = 64 << 20

    /// For how many a file was written; a damaged one for nobody.
    public static func recipientCount(_ file: [UInt8]) -> Int {
        guard let bytes = try? AgeArmor.isArmored(file) ? AgeArmor.decode(file) : file,
            let (header, _) = try? AgeHeader.read(bytes)
        else { return 0 }
        return header.stanzas.count
    }

    // MARK: opening

    public static func open(_ file: [UInt8], _ identities: [AgeIdentity]) throws(AgeProblem) -> SecretBytes {
        let bytes = AgeArmor.isArmored(file) ? try AgeArmor.decode(file) : file
        let (header, start) = try AgeHeader.read(bytes)
        let key = try fileKey(header, identities)
        let mac = HMAC<SHA256>.authenticationCode(for: header.covered, using: headerKey(key))
        guard constantTimeEqual(Array(mac), header.mac) else {
            throw AgeProblem(.hmac, "the header was changed after the file was written")
        }
        guard bytes.count - start >= nonceBytes else {
            throw AgeProblem(.header, "the file ends behind its header")
        }
        let nonce = Array(bytes[start..<(start + nonceBytes)])
        return try payload(bytes[(start + nonceBytes)...], payloadKey(key, nonce))
    }

    private static func fileKey(_ header: AgeHeader, _ identities: [AgeIdentity]) throws(AgeProblem)
        -> SymmetricKey
    {
        let types = header.stanzas.map { $0.arguments[0] }
        if types.contains("scrypt"), types.count > 1 {
            throw AgeProblem(.header, "a passphrase must be the only way to open a file")
        }
        for identity in identities {
            for stanza in header.stanzas {
                guard let key = try identity.unwrap(stanza) else { continue }
                guard key.bitCount == AgeWrap.keyBytes * 8 else {
                    throw AgeProblem(.header, "the file key has a length that none has")
                }
                return key
            }
        }
        for identity in identities {
            if case .unsupported(let kind) = identity {
                throw AgeProblem(
                    .unsupported, "unsupported recipient: identities of the kind \(kind)… are not known here")
            }
        }
        let known = ["X25519", "scrypt"]
        if !types.contains(where: known.contains) {
            throw AgeProblem(
                .unsupported,
                "unsupported recipient: this file is for \(Set(types).sorted().joined(separator: ", "))")
        }
        throw AgeProblem(.noMatch, "none of the identities opens this file")
    }

    private static func payload(_ bytes: ArraySlice<UInt8>, _ key: SymmetricKey) throws(AgeProblem)
        -> SecretBytes
    {
        let whole = chunk + tag
        let count = (bytes.count + whole - 1) / whole
        let plain = bytes.count - count * tag
        guard count > 0, plain >= 0 else { throw AgeProblem(.payload, "what was encrypted is cut off") }
        let out = SecretBytes(capacity: plain)
        var problem: AgeProblem?
        out.withMutableBytes { target in
            for index in 0..<count {
                let start = bytes.startIndex + index * whole
                let part = bytes[start..<min(start + whole, bytes.endIndex)]
                let isLast = index == count - 1
                // An empty last chunk is only that of an empty file.
                guard part.count >= tag, part.count > tag || count == 1,
                    let box = try? ChaChaPoly.SealedBox(combined: nonce(index, isLast) + part),
                    let opened = try? ChaChaPoly.open(box, using: key)
                else {
                    problem = AgeProblem(
                        .payload, "what was encrypted was changed, or its end is missing (chunk \(index + 1))"
                    )
                    return
                }
                UnsafeMutableRawBufferPointer(
                    rebasing: target[(index * chunk)..<(index * chunk + opened.count)]
                )
                .copyBytes(from: opened)
            }
        }
        if let problem { throw problem }
        return out
    }

    // MARK: writing

    public static func write(_ plain: SecretBytes, to recipients: [AgeRecipient], armored: Bool = false)
        throws(AgeProblem) -> [UInt8]
    {
        guard !recipients.isEmpty else { throw AgeProblem(.key, "there is nobody to write for") }
        let hasPassphrase = recipients.contains { if case .passphrase = $0 { true } else { false } }
        if hasPassphrase, recipients.count > 1 {
            throw AgeProblem(.key, "a passphrase must be the only way to open a file")
        }
        let key = SymmetricKey(size: SymmetricKeySize(bitCount: AgeWrap.keyBytes * 8))
        var stanzas: [AgeStanza] = []
        for recipient in recipients { stanzas.append(try recipient.wrap(key)) }
        let covered = AgeHeader.write(stanzas)
        let mac = HMAC<SHA256>.authenticationCode(for: covered, using: headerKey(key))
        let nonce = random(nonceBytes)
        let file = covered + AgeHeader.end(Array(mac)) + nonce + (try sealed(plain, payloadKey(key, nonce)))
        return armored ? AgeArmor.encode(file) : file
    }

    private static func sealed(_ plain: SecretBytes, _ key: SymmetricKey) throws(AgeProblem) -> [UInt8] {
        var out: [UInt8] = []
        let count = max(1, (plain.count + chunk - 1) / chunk)
        for index in 0..<count {
            let box = plain.withBytes { raw in
                let part = UnsafeRawBufferPointer(
                    rebasing: raw[(index * chunk)..<min(index * chunk + chunk, raw.count)])
                // Right by construction: a nonce of twelve bytes.
                return try? ChaChaPoly.seal(
                    part, using: key, nonce: ChaChaPoly.Nonce(data: nonce(index, index == count - 1)))
            }
            guard let box else { throw AgeProblem(.payload, "chunk \(index + 1) could not be encrypted") }
            out += Array(box.ciphertext) + Array(box.tag)
        }
        return out
    }

    // MARK: keys and nonces

    private static func headerKey(_ key: SymmetricKey) -> SymmetricKey {
        HKDF<SHA256>.deriveKey(
            inputKeyMaterial: key, salt: [UInt8](), info: Array("header".utf8), outputByteCount: 32)
    }
    private static func payloadKey(_ key: SymmetricKey, _ nonce: [UInt8]) -> SymmetricKey {
        HKDF<SHA256>.deriveKey(
            inputKeyMaterial: key, salt: nonce, info: Array("payload".utf8), outputByteCount: 32)
    }
    /// Eleven bytes that count, and one that says whether it is the last.
    private static func nonce(_ index: Int, _ isLast: Bool) -> [UInt8] {
        [0, 0, 0] + (0..<8).map { UInt8(UInt64(index) >> UInt64(8 * (7 - $0)) & 255) } + [isLast ? 1 : 0]
    }
    static func random(_ count: Int) -> [UInt8] {
        var generator = SystemRandomNumberGenerator()
        return (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
    }
    private static func constantTimeEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        guard left.count == right.count else { return false }
        return zip(left, right).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
    }
}
