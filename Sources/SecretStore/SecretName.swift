// What this is: how a secret is called: `key` or `service/key`, as in `{{ secrets://erp/api_key }}`.
// Owns: which names there are, and the file of each below secrets/.
// Never: a name that leads out of its directory, or is hidden.
// On failure: a text that is no name gives nil.

public struct SecretName: Hashable, Sendable, Comparable {
    public var service: String?
    public var key: String
    static let ending = ".age"

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
        return text.utf8.allSatisfy {
            (0x30...0x39).contains($0) || (0x61...0x7A).contains($0 | 0x20) || $0 == 0x5F || $0 == 0x2E
                || $0 == 0x2D
        } && !text.hasSuffix(ending)
    }

    public var text: String { service.map { "\($0)/\(key)" } ?? key }
    var file: String { key + SecretName.ending }
    public static func < (left: SecretName, right: SecretName) -> Bool { left.text < right.text }
}
