// What this is: texts that somebody signed, in the form of C2SP signed-note: lines, an empty line, `— name signature`; Ed25519.
// Owns: a signing key in a file of `.bobbin/` (32 bytes, 0600), made on its first use; the public half as a line
//   (`name+id+key`, the verifier key of signed-note); the check of a note.
// Never: shows the private half; takes a note with anything before, between or behind its parts.
// On failure: SystemError; a note that is not right is nil, never half right.
import Crypto
import JobModel
import LinuxSystem

public struct SigningKey: Sendable {
    private let key: Curve25519.Signing.PrivateKey
    public var publicBytes: [UInt8] { Array(key.publicKey.rawRepresentation) }

    /// Reads the key, or makes one. `state`: `.bobbin`.
    public init(_ file: String, in state: Directory) throws(SystemError) {
        if try state.statusIfPresent(file) == nil {
            let fresh = Curve25519.Signing.PrivateKey()
            do throws(SystemError) {
                try AtomicFile.write(Array(fresh.rawRepresentation), to: file, in: state, mode: 0o600)
            } catch {
                // Somebody else made one in the same moment: that one counts.
                guard error.isExisting else { throw error }
            }
        }
        let bytes = try state.openForReading(file).read(upTo: 64)
        // Only of another length: the library says no more than that.
        guard let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: bytes) else {
            throw SystemError("key", "\(state.path)/\(file)", errno: 22)
        }
        self.key = key
    }

    /// `text` ends with a line end; `name` has neither blanks nor `+`.
    public func sign(_ text: String, as name: String) throws(SystemError) -> String {
        // Ed25519 signs whatever it is given; what the library could throw says nothing more.
        guard let signature = try? key.signature(for: Array(text.utf8)) else {
            throw SystemError("sign", name, errno: 5)
        }
        let id = NoteVerifier(name: name, publicBytes).id
        return text + "\n— \(name) \(Base64.encode(id + Array(signature)))\n"
    }
}

/// Whose signature counts.
public struct NoteVerifier: Hashable, Sendable {
    public let name: String
    private let key: [UInt8]
    private static let ed25519: UInt8 = 1

    /// `key`: 32 bytes; others verify nothing.
    public init(name: String, _ key: [UInt8]) {
        self.name = name
        self.key = key
    }
    /// The first four bytes of SHA-256(name, newline, algorithm, public key).
    var id: [UInt8] {
        Array(SHA256.hash(data: Array(name.utf8) + [0x0A, NoteVerifier.ed25519] + key).prefix(4))
    }

    /// `name+id`: as much as tells keys apart that nobody made to look alike.
    public var shown: String { "\(name)+\(Hexadecimal.encode(id))" }
    /// `name+id+key`, as it is told and given.
    public var text: String {
        "\(name)+\(Hexadecimal.encode(id))+\(Base64.encode([NoteVerifier.ed25519] + key))"
    }
    /// Nil for what is no such line.
    public init?(_ text: String) {
        // A key in base64 may have a `+` as well.
        let parts = text.split(separator: "+", maxSplits: 2, omittingEmptySubsequences: false).map(
            String.init)
        guard parts.count == 3, !parts[0].isEmpty, parts[0].utf8.allSatisfy({ (0x21...0x7E).contains($0) }),
            let bytes = Base64.decode(parts[2]), bytes.count == 33, bytes[0] == NoteVerifier.ed25519
        else { return nil }
        self.init(name: parts[0], Array(bytes.dropFirst()))
        guard self.text == text else { return nil }
    }

    /// The text of a note that this key signed, and nobody else.
    public func open(_ note: String) -> String? {
        let mark = "\n— \(name) "
        guard let start = note.firstRange(of: mark)?.lowerBound else { return nil }
        let text = String(note[..<start]), line = note[start...].dropFirst(mark.count)
        guard text.hasSuffix("\n"), line.hasSuffix("\n"), line.dropLast().allSatisfy({ $0 != "\n" }),
            let signed = Base64.decode(String(line.dropLast())), signed.prefix(4).elementsEqual(id),
            // Not 32 bytes: no key, and nothing was signed by it.
            let key = try? Curve25519.Signing.PublicKey(rawRepresentation: key),
            key.isValidSignature(Array(signed.dropFirst(4)), for: Array(text.utf8))
        else { return nil }
        return text
    }
}
