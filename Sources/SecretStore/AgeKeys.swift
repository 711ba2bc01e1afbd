// What this is: who can open an age file: identities, and recipients as whom it is written for (C2SP age v1: X25519, scrypt).
// Owns: their texts, and the wrapping of a file key for one of them.
// Never: tries longer than a passphrase may cost: a file that asks for more than 2^20 rounds (1 GiB) is refused.
// On failure: AgeProblem; a stanza that is for somebody else is nil.
import Crypto
import CryptoExtras
import JobModel
import LinuxSystem

public enum AgeIdentity: Sendable {
    case x25519(Curve25519.KeyAgreement.PrivateKey)
    case passphrase(SecretBytes)
    /// Of a kind that this program does not have (post-quantum, plugins).
    case unsupported(String)

    static let prefix = "AGE-SECRET-KEY-"

    /// A new key of its own.
    public static func generate() -> AgeIdentity { .x25519(Curve25519.KeyAgreement.PrivateKey()) }

    /// One line of a key file.
    public init(_ text: String) throws(AgeProblem) {
        if text.uppercased().hasPrefix("AGE-SECRET-KEY-PQ-") || text.uppercased().hasPrefix("AGE-PLUGIN-") {
            self = .unsupported(String(text.prefix(18)))
            return
        }
        guard text.hasPrefix(AgeIdentity.prefix), let (prefix, bytes) = Bech32.decode(text),
            prefix == AgeIdentity.prefix.lowercased(),
            // 32 bytes of any kind are a key.
            let key = try? Curve25519.KeyAgreement.PrivateKey(rawRepresentation: bytes)
        else { throw AgeProblem(.key, "this is no age identity (AGE-SECRET-KEY-1…)") }
        self = .x25519(key)
    }

    /// A key file: an identity a line, `#` comments, empty lines.
    public static func file(_ text: String) throws(AgeProblem) -> [AgeIdentity] {
        var found: [AgeIdentity] = []
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let line = line.trimmed
            if line.isEmpty || line.hasPrefix("#") { continue }
            do throws(AgeProblem) { found.append(try AgeIdentity(line)) } catch {
                throw AgeProblem(error.kind, "line \(index + 1) of the key file: \(error.message)")
            }
        }
        guard !found.isEmpty else { throw AgeProblem(.key, "the key file holds no identity") }
        return found
    }

    /// As a key file has it; nil for a passphrase.
    public var text: String? {
        guard case .x25519(let key) = self else { return nil }
        return Bech32.encode(AgeIdentity.prefix, Array(key.rawRepresentation))
    }
    public var recipient: AgeRecipient? {
        guard case .x25519(let key) = self else { return nil }
        return .x25519(key.publicKey)
    }

    /// The file key, if the stanza is for this identity.
    func unwrap(_ stanza: AgeStanza) throws(AgeProblem) -> SymmetricKey? {
        switch (self, stanza.arguments[0]) {
        case (.x25519(let key), "X25519"): return try AgeWrap.openX25519(stanza, key)
        case (.passphrase(let words), "scrypt"): return try AgeWrap.openScrypt(stanza, words)
        default: return nil
        }
    }
}

public enum AgeRecipient: Sendable {
    case x25519(Curve25519.KeyAgreement.PublicKey)
    case passphrase(SecretBytes, workFactor: Int)

    static let prefix = "age"
    /// As `age` has it.
    public static let standardWorkFactor = 18

    public init(_ text: String) throws(AgeProblem) {
        if text.hasPrefix("age1pq1") || text.hasPrefix("age1") && text.count > 70 || text.hasPrefix("ssh-") {
            throw AgeProblem(
                .unsupported, "unsupported recipient `\(text.prefix(12))…`; write for an X25519 key (age1…)")
        }
        guard text.hasPrefix(AgeRecipient.prefix), let (prefix, bytes) = Bech32.decode(text),
            prefix == AgeRecipient.prefix,
            // 32 bytes of any kind are a key.
            let key = try? Curve25519.KeyAgreement.PublicKey(rawRepresentation: bytes)
        else { throw AgeProblem(.key, "`\(text.prefix(12))` is no age recipient (age1…)") }
        self = .x25519(key)
    }
    public var text: String? {
        guard case .x25519(let key) = self else { return nil }
        return Bech32.encode(AgeRecipient.prefix, Array(key.rawRepresentation))
    }

    func wrap(_ fileKey: SymmetricKey) throws(AgeProblem) -> AgeStanza {
        switch self {
        case .x25519(let key): try AgeWrap.sealX25519(fileKey, key)
        case .passphrase(let words, let factor): try AgeWrap.sealScrypt(fileKey, words, factor)
        }
    }
}

enum AgeWrap {
    static let keyBytes = 16
    private static let wrapped = 16 + 16
    private static let mostWork = 20
    private static let info = Array("age-encryption.org/v1/X25519".utf8)
    private static let label = Array("age-encryption.org/v1/scrypt".utf8)
    private static let zeros = [UInt8](repeating: 0, count: 12)

    static func openX25519(_ stanza: AgeStanza, _ key: Curve25519.KeyAgreement.PrivateKey) throws(AgeProblem)
        -> SymmetricKey?
    {
        guard stanza.arguments.count == 2, let share = Base64.decode(stanza.arguments[1], padded: false),
            share.count == 32, stanza.body.count == wrapped
        else { throw AgeProblem(.header, "an X25519 recipient is not as it must be") }
        return open(
            stanza.body,
            try shared(key, share, recipient: Array(key.publicKey.rawRepresentation), share: share))
    }
    static func sealX25519(_ fileKey: SymmetricKey, _ recipient: Curve25519.KeyAgreement.PublicKey)
        throws(AgeProblem)
        -> AgeStanza
    {
        let fresh = Curve25519.KeyAgreement.PrivateKey()
        let share = Array(fresh.publicKey.rawRepresentation), theirs = Array(recipient.rawRepresentation)
        let key = try shared(fresh, theirs, recipient: theirs, share: share)
        return AgeStanza(
            arguments: ["X25519", Base64.encode(share, padded: false)], body: try seal(fileKey, key))
    }
    private static func shared(
        _ own: Curve25519.KeyAgreement.PrivateKey, _ other: [UInt8], recipient: [UInt8], share: [UInt8]
    ) throws(AgeProblem) -> SymmetricKey {
        // A point of low order gives zeros, which anybody can compute; not every build of the library refuses it.
        guard let point = try? Curve25519.KeyAgreement.PublicKey(rawRepresentation: other),
            let secret = try? own.sharedSecretFromKeyAgreement(with: point),
            secret.withUnsafeBytes({ $0.contains { $0 != 0 } })
        else { throw AgeProblem(.header, "an X25519 recipient has a share that no key has") }
        return secret.hkdfDerivedSymmetricKey(
            using: SHA256.self, salt: share + recipient, sharedInfo: info, outputByteCount: 32)
    }

    static func openScrypt(_ stanza: AgeStanza, _ words: SecretBytes) throws(AgeProblem) -> SymmetricKey? {
        guard stanza.arguments.count == 3, let salt = Base64.decode(stanza.arguments[1], padded: false),
            salt.count == 16, stanza.body.count == wrapped, let factor = Int(stanza.arguments[2]),
            String(factor) == stanza.arguments[2], factor > 0
        else { throw AgeProblem(.header, "a passphrase's recipient is not as it must be") }
        guard factor <= mostWork else {
            throw AgeProblem(
                .header, "the passphrase would cost 2^\(factor) rounds; 2^\(mostWork) are the limit")
        }
        return open(stanza.body, try stretch(words, salt, factor))
    }
    static func sealScrypt(_ fileKey: SymmetricKey, _ words: SecretBytes, _ factor: Int) throws(AgeProblem)
        -> AgeStanza
    {
        let salt = AgeFile.random(16)
        let body = try seal(fileKey, try stretch(words, salt, factor))
        return AgeStanza(
            arguments: ["scrypt", Base64.encode(salt, padded: false), String(factor)], body: body)
    }
    private static func stretch(_ words: SecretBytes, _ salt: [UInt8], _ factor: Int) throws(AgeProblem)
        -> SymmetricKey
    {
        let key = words.withBytes { raw in
            // Only for want of memory.
            try? KDF.Scrypt.deriveKey(
                from: Array(raw), salt: label + salt, outputByteCount: 32, rounds: 1 << factor, blockSize: 8,
                parallelism: 1)
        }
        guard let key else { throw AgeProblem(.header, "no memory for a passphrase with 2^\(factor) rounds") }
        return key
    }

    /// Nil: it was wrapped with another key.
    private static func open(_ body: [UInt8], _ key: SymmetricKey) -> SymmetricKey? {
        guard let box = try? ChaChaPoly.SealedBox(combined: zeros + body),
            let bytes = try? ChaChaPoly.open(box, using: key)
        else { return nil }
        return SymmetricKey(data: bytes)
    }
    private static func seal(_ fileKey: SymmetricKey, _ key: SymmetricKey) throws(AgeProblem) -> [UInt8] {
        let plain = fileKey.withUnsafeBytes { Array($0) }
        guard let nonce = try? ChaChaPoly.Nonce(data: zeros),
            let box = try? ChaChaPoly.seal(plain, using: key, nonce: nonce)
        else { throw AgeProblem(.key, "a file key could not be wrapped") }
        return Array(box.ciphertext) + Array(box.tag)
    }
}
