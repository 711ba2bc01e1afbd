// What this is: why an age file cannot be opened.
// Owns: the kinds, their codes and words.
// Never: holds anything of a plaintext or a key.
// On failure: it is the failure.

public struct AgeProblem: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Kind: String, Sendable, CaseIterable {
        /// The text around the file (`-----BEGIN AGE ENCRYPTED FILE-----`) is not as it must be.
        case armor = "E-AGE-ARMOR"
        case header = "E-AGE-HEADER"
        /// No identity that was given opens it.
        case noMatch = "E-AGE-NO-MATCH"
        /// The header was changed after it was written.
        case hmac = "E-AGE-HMAC"
        /// What was encrypted was changed, or its end is missing.
        case payload = "E-AGE-PAYLOAD"
        /// A recipient or an identity of a kind that this program does not have.
        case unsupported = "E-AGE-UNSUPPORTED"
        /// A key that is none.
        case key = "E-AGE-KEY"
    }
    public var kind: Kind
    public var message: String
    public var description: String { "\(message) [\(kind.rawValue)]" }

    public init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }
}
