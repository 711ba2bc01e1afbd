// What this is: whether the secrets of a site are in order: each opens, for the right people, and is none of those that ship with examples.
// Owns: the questions and their sentences.
// Never: shows a value or a part of one.
// On failure: what cannot be opened is a finding.
import JobModel
import LinuxSystem
import SecretStore

public struct SecretCheck: Sendable {
    public struct Finding: Sendable {
        public var name: String
        public var isError: Bool
        public var message: String
    }
    public var findings: [Finding] = []
    public var count = 0
    /// Older than this a secret should have been exchanged.
    private static let old = Span.seconds(365 * 86_400)
    private static let shortest = 8
    private static let placeholders = [
        "change_me", "changeme", "change-me", "your-", "example", "placeholder", "secret", "password", "xxxx",
    ]

    public init(_ files: SecretFiles, _ identities: [AgeIdentity], now: Timestamp) throws {
        let recipients = try files.recipients().compactMap(\.text)
        if recipients.isEmpty {
            add(
                "\(SecretFiles.recipientsFile)", true,
                "names nobody: bobbin secrets keygen writes the first recipient")
        } else if !identities.contains(where: { identity in
            identity.recipient?.text.map(recipients.contains) ?? false
        }) {
            add(
                "\(SecretFiles.recipientsFile)", true,
                "does not name this site's own identity: what is set now it cannot open")
        }
        for row in try files.rows() {
            count += 1
            if row.mode & 0o077 != 0 {
                add(row.name.text, true, "others may read the file: chmod 0600 secrets/\(row.name.text).age")
            }
            if row.changed.adding(SecretCheck.old) < now {
                add(
                    row.name.text, false,
                    "was last set on \(row.changed.rfc3339.prefix(10)), more than a year ago")
            }
            do {
                guard let value = try files.open(row.name, identities) else { continue }
                judge(row.name.text, value)
            } catch let problem as SecretProblem { add(row.name.text, true, problem.message) }
        }
    }

    private mutating func judge(_ name: String, _ value: SecretBytes) {
        if value.count < SecretCheck.shortest {
            add(
                name, false,
                "has \(value.count) bytes; shorter than \(SecretCheck.shortest) it cannot be masked without masking half of every log"
            )
        }
        let isPlaceholder = value.withBytes { raw -> Bool in
            guard raw.count <= 64 else { return false }
            let text = String(decoding: raw, as: UTF8.self).lowercased()
            return SecretCheck.placeholders.contains {
                text == $0 || $0.hasPrefix("change") && text.contains($0)
                    || $0 == "your-" && text.hasPrefix($0)
            }
        }
        if isPlaceholder { add(name, true, "is a placeholder of some example, not a secret") }
    }
    private mutating func add(_ name: String, _ isError: Bool, _ message: String) {
        findings.append(Finding(name: name, isError: isError, message: message))
    }
    public var isGood: Bool { !findings.contains(where: \.isError) }
}
