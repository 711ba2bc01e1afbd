// What this is: the key that signs checkpoints of the audit log, and the checkpoint in the form of a signed note
//   (C2SP signed-note and tlog-checkpoint: origin, size, head; Ed25519). The head is that of our chain, not of a Merkle tree.
// Owns: `.bobbin/audit.key` (32 bytes, 0600), `ops/audit/key.pub`, the note's text and its check.
// Never: shows the private half; signs what it has not read from the log.
// On failure: SystemError; a note that is not right is nil, never half right.
import Crypto
import JobModel
import LinuxSystem

public struct AuditCheckpoint: Hashable, Sendable {
    /// `bobbin/<spool id>`: a note of another site is none of this one.
    public var origin: String
    /// How many records the log had.
    public var size: Int
    /// The hash of the last of them.
    public var head: String
}

public struct AuditKey: Sendable {
    private let key: Curve25519.Signing.PrivateKey
    static let file = "audit.key", publicFile = "key.pub"

    /// Reads the key, or makes one on the first use. `state`: `.bobbin`; `audit`: `ops/audit`.
    public init(_ state: Directory, _ audit: Directory) throws(SystemError) {
        if try state.statusIfPresent(AuditKey.file) == nil {
            let fresh = Curve25519.Signing.PrivateKey()
            do throws(SystemError) {
                try AtomicFile.write(
                    Array(fresh.rawRepresentation), to: AuditKey.file, in: state, mode: 0o600)
            } catch {
                // Another runner made one in the same moment: that one counts.
                guard error.isExisting else { throw error }
            }
        }
        let bytes = try state.openForReading(AuditKey.file).read(upTo: 64)
        // Only of another length: the library says no more than that.
        guard let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: bytes) else {
            throw SystemError("key", "\(state.path)/\(AuditKey.file)", errno: 22)
        }
        self.key = key
        let shown = Array((Base64.encode(Array(key.publicKey.rawRepresentation)) + "\n").utf8)
        if try audit.statusIfPresent(AuditKey.publicFile) == nil {
            try AtomicFile.write(shown, to: AuditKey.publicFile, in: audit, existing: .replace)
        }
    }

    public func sign(_ checkpoint: AuditCheckpoint) throws(SystemError) -> String {
        let text = AuditKey.text(checkpoint)
        // Ed25519 signs whatever it is given; what the library could throw says nothing more.
        guard let signature = try? key.signature(for: Array(text.utf8)) else {
            throw SystemError("sign", checkpoint.origin, errno: 5)
        }
        let id = AuditKey.identity(checkpoint.origin, key.publicKey)
        return text + "\n— \(checkpoint.origin) \(Base64.encode(id + Array(signature)))\n"
    }

    private static func text(_ checkpoint: AuditCheckpoint) -> String {
        "\(checkpoint.origin)\n\(checkpoint.size)\n\(Base64.encode(Hexadecimal.decode(checkpoint.head) ?? []))\n"
    }
    /// The first four bytes of SHA-256(name, newline, 1 for Ed25519, public key).
    private static func identity(_ name: String, _ key: Curve25519.Signing.PublicKey) -> [UInt8] {
        let bytes = Array(name.utf8) + [0x0A, 0x01] + Array(key.rawRepresentation)
        return Array(SHA256.hash(data: bytes).prefix(4))
    }

    /// What a note says, if the key whose public half is `shown` signed it.
    public static func read(_ note: String, publicKey shown: String) -> AuditCheckpoint? {
        let lines = note.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        guard lines.count == 6, lines[3].isEmpty, lines[5].isEmpty, let size = Int(lines[1]),
            let head = Base64.decode(lines[2]), head.count == 32, let raw = Base64.decode(shown.trimmed),
            // Not 32 bytes: no key, and nothing was signed by it.
            let key = try? Curve25519.Signing.PublicKey(rawRepresentation: raw)
        else { return nil }
        let checkpoint = AuditCheckpoint(origin: lines[0], size: size, head: Hexadecimal.encode(head))
        let text = text(checkpoint)
        guard lines[4].hasPrefix("— \(lines[0]) "), note.hasPrefix(text),
            let signed = Base64.decode(String(lines[4].dropFirst("— \(lines[0]) ".count))),
            signed.prefix(4).elementsEqual(identity(lines[0], key)),
            key.isValidSignature(Array(signed.dropFirst(4)), for: Array(text.utf8))
        else { return nil }
        return checkpoint
    }
}
