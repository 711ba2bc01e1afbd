// What this is: how a secret is called: `key` or `service/key`, as in `{{ secrets://erp/api_key }}`.
// Owns: which names there are; which characters one may have.
// Never: a name that leads out of its directory, or is hidden.
// On failure: a text that is no name gives nil.

public struct SecretName: Hashable, Sendable, Comparable {
    public var service: String?
    public var key: String

    public init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.count <= 2, parts.allSatisfy(SecretName.isPlain), let last = parts.last else {
            return nil
        }
        service = parts.count == 2 ? parts[0] : nil
        key = last
    }
    private static func isPlain(_ text: String) -> Bool {
        guard (1...64).contains(text.utf8.count), let first = text.utf8.first, first != 0x2E, first != 0x2D
        else {
            return false
        }
        return text.utf8.allSatisfy(mayHold) && !text.hasSuffix(".age")
    }
    /// Letters, digits and `_.-`, of ASCII.
    public static func mayHold(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte | 0x20)
            || [0x5F, 0x2E, 0x2D].contains(byte)
    }

    /// As a job names it.
    public var reference: String { "secrets://\(text)" }
    public var text: String { service.map { "\($0)/\(key)" } ?? key }
    public static func < (left: SecretName, right: SecretName) -> Bool { left.text < right.text }
}
