// What this is: who answers for a bundle: the second entry, a signed note over the hash of the first.
// Owns: the text that is signed; what is said of a bundle that nobody signed, or somebody whom nobody here knows.
// Never: lets a manifest be read before its note was: a note that is wrong ends it, whoever is trusted.
// On failure: BundleProblem: E-ARCH for a note that is wrong, E-SIGNED for one that does not count here.
import AccessControl
import JobModel
import LinuxSystem
import SecretStore

public enum BundleProof: Hashable, Sendable {
    case unsigned
    /// Signed by a key that nobody has said is to be trusted; and by one that is.
    case unknown(NoteVerifier)
    case known(NoteVerifier)

    public var isKnown: Bool { if case .known = self { true } else { false } }
    public var signer: NoteVerifier? {
        switch self {
        case .unsigned: nil
        case .unknown(let key), .known(let key): key
        }
    }
}

/// With what bundles are opened, and whose count.
public struct BundleKeys: Sendable {
    /// Asked for an encrypted bundle only.
    public var identities: @Sendable () throws -> [AgeIdentity]
    public var trusted: Set<NoteVerifier>
    /// Also what nobody signed, and what is signed by somebody whom nobody knows; what was changed is refused all the same.
    public var takesUnproved: Bool

    public init(
        trusted: Set<NoteVerifier>, takesUnproved: Bool = false,
        identities: @escaping @Sendable () throws -> [AgeIdentity]
    ) {
        self.identities = identities
        self.trusted = trusted
        self.takesUnproved = takesUnproved
    }
    /// Nothing to open, and everything as it comes: for whoever looks, and does not use.
    public static let onlyLooking = BundleKeys(trusted: [], takesUnproved: true) { [] }
}

enum BundleSignature {
    static let name = "MANIFEST.sig"
    static let longest = 4096
    private static let title = "bobbin bundle"

    /// Whose signature, then the hash of the manifest; so that who holds the file alone can say whose it would have to be.
    private static func text(_ manifest: ContentHash, _ signer: NoteVerifier) -> String {
        "\(title)\n\(signer.text)\n\(manifest.text)\n"
    }
    static func note(_ manifest: [UInt8], _ key: SigningKey, as name: String) throws(SystemError) -> [UInt8] {
        let signer = NoteVerifier(name: name, key.publicBytes)
        return Array(try key.sign(text(ContentHash(of: manifest), signer), as: name).utf8)
    }

    /// `note`: nil where the bundle has none.
    static func judge(_ note: [UInt8]?, _ manifest: [UInt8], _ keys: BundleKeys) throws(BundleProblem)
        -> BundleProof
    {
        guard let note else {
            guard keys.takesUnproved else {
                throw BundleProblem(
                    "E-SIGNED",
                    "nobody signed this bundle: who could write the file could write anything into it",
                    whatToDo: "If you know where it comes from: --unsigned. Others: bobbin backup ls")
            }
            return .unsigned
        }
        let lines = String(decoding: note, as: UTF8.self).split(
            separator: "\n", omittingEmptySubsequences: false)
        guard lines.count > 2, let signer = NoteVerifier(String(lines[1])),
            signer.open(String(decoding: note, as: UTF8.self)) == text(ContentHash(of: manifest), signer)
        else { throw .arch("its signature is not one of its manifest: it was changed after it was signed") }
        if keys.trusted.contains(signer) { return .known(signer) }
        guard keys.takesUnproved else {
            throw BundleProblem(
                "E-SIGNED", "this bundle is signed by a key that is not known here: \(signer.text)",
                whatToDo:
                    "If a site on this machine made it: --site DIR. Else, is it what `bobbin backup key` said on the machine that made it? Then: --trust KEY, or that line into ops/backup.pub."
            )
        }
        return .unknown(signer)
    }
}
