// What this is: the kinds of failures that have a name: those of every site, and those that a site adds.
// Owns: FailureRule, Severity, the built-in rules (guide 000's own clusters) with what to do about each.
// Never: compiles a pattern: who reads the site's file does, and gives the question.
// On failure: cannot fail; what no rule knows is grouped by its words.

public enum Severity: String, Comparable, Sendable, CaseIterable {
    case low, medium, high, critical
    private var rank: Int {
        switch self {
        case .low: 0
        case .medium: 1
        case .high: 2
        case .critical: 3
        }
    }
    public static func < (one: Severity, other: Severity) -> Bool { one.rank < other.rank }
}

public struct FailureRule: Sendable {
    /// In capitals: it is the cluster's id.
    public var id: String
    public var displayName: String
    public var recommendedActions: [String]
    public var severity: Severity
    /// Of "CODE message".
    public var fits: @Sendable (String) -> Bool

    public init(
        id: String, displayName: String, recommendedActions: [String], severity: Severity,
        fits: @escaping @Sendable (String) -> Bool
    ) {
        self.id = id
        self.displayName = displayName
        self.recommendedActions = recommendedActions
        self.severity = severity
        self.fits = fits
    }

    /// Codes are whole words, phrases are looked for in lower case.
    private static func builtIn(
        _ id: String, _ displayName: String, _ severity: Severity, codes: [String], phrases: [String],
        _ actions: [String]
    ) -> FailureRule {
        FailureRule(id: id, displayName: displayName, recommendedActions: actions, severity: severity) {
            text in
            let code = text.prefix { $0 != " " }
            if codes.contains(where: { $0.hasSuffix("-") ? code.hasPrefix($0) : code == $0 }) { return true }
            let lower = Array(text.utf8.prefix(4096)).map { (0x41...0x5A).contains($0) ? $0 | 0x20 : $0 }
            return phrases.contains { FailureRule.has(lower, Array($0.utf8)) }
        }
    }
    private static func has(_ text: [UInt8], _ phrase: [UInt8]) -> Bool {
        guard text.count >= phrase.count, let first = phrase.first else { return false }
        for start in 0...(text.count - phrase.count) where text[start] == first {
            if text[start..<(start + phrase.count)].elementsEqual(phrase) { return true }
        }
        return false
    }

    /// In the order in which they are asked; the first that fits has the failure.
    public static let builtIn: [FailureRule] = [
        builtIn(
            "HITL_TIMEOUT", "Nobody answered in time", .medium, codes: [],
            phrases: ["nobody answered", "nobody said enough", "no answer came", "approval timed out"],
            [
                "Look at `bobbin approvals` more often, or give the step a longer `timeout`",
                "Say in ops/orchestrator.yaml who is told when a question is asked (`approvals: notify`)",
            ]),
        builtIn(
            "RESOURCE_EXHAUSTED", "Out of disk, memory or processes", .critical,
            codes: ["E-DISK", "E-SYSTEM-LIMIT", "E-SPAWN"],
            phrases: [
                "no space left", "disk quota exceeded", "cannot allocate memory", "out of memory",
                "too many open files", "resource temporarily unavailable", "oom-kill",
            ],
            [
                "`bobbin doctor` says what is short: disk, inodes, descriptors",
                "Free some, then `bobbin requeue --cluster RESOURCE_EXHAUSTED`",
            ]),
        builtIn(
            "PDF_PARSE_ERROR", "A PDF that cannot be read", .medium, codes: ["E-PDF", "E-PDF-PAGES"],
            phrases: ["not a pdf", "pdf header", "invalid pdf", "pdf is damaged", "pdf is encrypted"],
            ["Open the file with another program", "Ask its sender for it once more"]),
        builtIn(
            "MAIL_COMPOSITION_ERROR", "Mail that cannot be written or sent", .medium, codes: ["E-MAIL-"],
            phrases: ["recipient address rejected", "invalid recipient", "smtp"],
            ["Check the addresses of the job", "Check the mail server's name, port and login"]),
        builtIn(
            "WEB_ELEMENT_NOT_FOUND", "A page is not as it was", .medium, codes: [],
            phrases: ["no such element", "element not found", "unable to locate element", "selector"],
            ["Look at the page: it may have changed", "Correct the selector in the template"]),
        builtIn(
            "NETWORK_ERROR", "The network or a service outside", .medium,
            codes: ["E-HTTP-DNS", "E-HTTP-CONNECT", "E-HTTP-TIMEOUT", "E-HTTP-TLS", "E-SSH", "E-TARGET"],
            phrases: [
                "connection refused", "connection reset", "connection timed out", "network is unreachable",
                "no route to host", "could not resolve", "name or service not known",
                "temporary failure in name resolution", "tls handshake", "broken pipe",
            ],
            [
                "Try the host from this machine: `curl -v`, `nc -vz host port`",
                "`bobbin targets` shows which services are held back",
                "When it is back: `bobbin requeue --cluster NETWORK_ERROR`",
            ]),
        builtIn(
            "PERMISSION_BLOCKED", "Not allowed", .high,
            codes: ["E-FILE-ACCESS", "E-ACCESS", "E-PATH-PROTECTED"],
            phrases: [
                "permission denied", "operation not permitted", "access denied", "forbidden", "unauthorized",
            ],
            [
                "`ls -l` of the path, as the account that runs the step",
                "For rights in Bobbin: `bobbin access`",
            ]),
        builtIn(
            "NO_FILES_FOUND", "Files that are not there", .low,
            codes: ["E-FILE-MISSING", "E-WAIT-FILE", "E-ZIP-EMPTY"],
            phrases: [
                "no such file", "file not found", "no files found", "no files match", "nothing matches",
            ],
            [
                "Check the path and the pattern in the job",
                "Check whether what should have made the file has run",
            ]),
    ]
    /// What fails without a word.
    public static let unknown = FailureRule(
        id: "UNKNOWN_ERROR", displayName: "Failures that say nothing",
        recommendedActions: ["`bobbin log RUN` of one of them"], severity: .medium, fits: { _ in false })
}
