// What this is: the key that signs checkpoints of the audit log, and a checkpoint as the text of a signed note
//   (C2SP tlog-checkpoint: origin, size, head). The head is that of our chain, not of a Merkle tree.
// Owns: `.bobbin/audit.key`, `ops/audit/key.pub`, the checkpoint's text.
// Never: signs what it has not read from the log.
// On failure: SystemError; a note that is not right is nil, never half right.
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
    private let key: SigningKey
    static let file = "audit.key", publicFile = "key.pub"

    /// Reads the key, or makes one on the first use. `state`: `.bobbin`; `audit`: `ops/audit`.
    public init(_ state: Directory, _ audit: Directory) throws(SystemError) {
        key = try SigningKey(AuditKey.file, in: state)
        let shown = Array((Base64.encode(key.publicBytes) + "\n").utf8)
        if try audit.statusIfPresent(AuditKey.publicFile) == nil {
            try AtomicFile.write(shown, to: AuditKey.publicFile, in: audit, existing: .replace)
        }
    }

    public func sign(_ checkpoint: AuditCheckpoint) throws(SystemError) -> String {
        try key.sign(AuditKey.text(checkpoint), as: checkpoint.origin)
    }
    private static func text(_ checkpoint: AuditCheckpoint) -> String {
        "\(checkpoint.origin)\n\(checkpoint.size)\n\(Base64.encode(Hexadecimal.decode(checkpoint.head) ?? []))\n"
    }

    /// What a note says, if the key whose public half is `shown` signed it.
    public static func read(_ note: String, publicKey shown: String) -> AuditCheckpoint? {
        guard let key = Base64.decode(shown.trimmed), let origin = note.split(separator: "\n").first,
            let text = NoteVerifier(name: String(origin), key).open(note)
        else { return nil }
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        guard lines.count == 4, let size = Int(lines[1]), let head = Base64.decode(String(lines[2])),
            head.count == 32
        else { return nil }
        let checkpoint = AuditCheckpoint(
            origin: String(origin), size: size, head: Hexadecimal.encode(head))
        return AuditKey.text(checkpoint) == text ? checkpoint : nil
    }
}
