// What this is: ops/orchestrator.yaml as values.
// Owns: its keys and the documented defaults (docs/OPERATING.md lists them).
// Never: half-applies: a file with an error gives no configuration at all.
// On failure: findings with file, line and column; a start stops, a running daemon keeps what it has.
import JobLanguage
import JobModel
import YamlText

public struct Configuration: Hashable, Sendable {
    public var queues: [QueuePolicy]
    /// How long running steps may go on after SIGTERM.
    public var shutdownGrace: Span
    /// Between SIGTERM and SIGKILL of a step.
    public var killGrace: Span
    /// What jobs with an `environment` must name; nil: this site takes all.
    public var environment: String? = nil
    public var targets = TargetPolicies()
    public var approvals = ApprovalSettings()
    public var secrets = SecretSettings()

    public static let standard = Configuration(
        queues: [QueuePolicy(name: .standard, maxConcurrent: 3)], shutdownGrace: .seconds(30),
        killGrace: Limits.killGrace)

    public func policy(_ name: QueueName) -> QueuePolicy? { queues.first { $0.name == name } }

    /// Reads the file's bytes; throws every finding at once.
    public static func read(_ bytes: [UInt8], name: String) throws(ConfigurationProblem) -> Configuration {
        let source = SourceFile(name: name, bytes: bytes)
        let tree: YamlNode
        do throws(YamlError) { tree = try YamlReader.parse(bytes) } catch {
            throw ConfigurationProblem(text: source.render(Diagnostic(error)))
        }
        let sheet = ConfigurationSheet(source)
        let configuration = sheet.read(tree)
        guard let configuration, sheet.problems.isEmpty else {
            throw ConfigurationProblem(text: sheet.problems.joined(separator: "\n"))
        }
        return configuration
    }

    /// What `init` writes: the guide's three queues.
    public static let initialText = """
        # Queues of this site. A key that is left out has its default: max_concurrent 1, priority_levels 9,
        # retry_policy as in `default`, require_end false, no timeout. A running Bobbin re-reads this file when it
        # changes; an edit with a mistake changes nothing and is named in spool/log/bobbin.log.
        queues:
          default:
            max_concurrent: 3
            priority_levels: 9
            retry_policy: {max_attempts: 3, backoff_multiplier: 1.5}
          high_priority:
            max_concurrent: 5
            priority_levels: 9
          background:
            max_concurrent: 1

        """
}

public struct ConfigurationProblem: Error, Hashable, Sendable {
    public var text: String
    public init(text: String) { self.text = text }
}

/// One reading of the file.
final class ConfigurationSheet {
    let source: SourceFile
    private(set) var problems: [String] = []
    private static let topKeys = [
        "queues", "shutdown_grace", "kill_grace", "environment", "targets", "approvals", "secrets",
    ]
    private static let queueKeys = [
        "max_concurrent", "priority_levels", "retry_policy", "require_end", "timeout",
    ]
    private static let retryKeys = ["max_attempts", "base_delay", "backoff_multiplier", "max_delay"]

    init(_ source: SourceFile) { self.source = source }

    func problem(_ message: String, _ mark: SourceMark, hint: String = "") {
        problems.append(
            source.render(
                Diagnostic(severity: .error, code: "E-CONFIG", message: message, hint: hint, mark: mark)))
    }

    func read(_ tree: YamlNode) -> Configuration? {
        guard pairs(tree, "the file", ConfigurationSheet.topKeys) != nil else { return nil }
        var configuration = Configuration.standard
        configuration.shutdownGrace = span(tree, "shutdown_grace") ?? configuration.shutdownGrace
        configuration.killGrace = span(tree, "kill_grace") ?? configuration.killGrace
        if let field = tree["environment"] {
            guard case .string(let name)? = field.scalar?.value, !name.isEmpty else {
                problem("`environment` must be a name such as production", field.start)
                return nil
            }
            configuration.environment = name
        }
        if let field = tree["targets"] { configuration.targets = targets(field) }
        if let field = tree["secrets"] { configuration.secrets = secrets(field) }
        if let field = tree["approvals"] { configuration.approvals = approvals(field) }
        guard let node = tree["queues"] else { return configuration }
        guard let entries = node.pairs else {
            problem("`queues` must be a map of queue names", node.start)
            return nil
        }
        let inherited =
            entries.first { $0.key == QueueName.standard.text }.flatMap { $0.value["retry_policy"] }
            .map { retry($0, .standard) } ?? .standard
        configuration.queues = entries.compactMap { queue($0, inherited) }
        if !configuration.queues.contains(where: { $0.name == .standard }) {
            configuration.queues.insert(QueuePolicy(name: .standard, maxConcurrent: 3), at: 0)
        }
        return configuration
    }

    private func queue(_ pair: YamlPair, _ inherited: RetryPolicy) -> QueuePolicy? {
        guard let name = QueueName(pair.key) else {
            problem(
                "`\(pair.key)` cannot name a queue", pair.keyStart,
                hint: QueueName.reserved.contains(pair.key)
                    ? "it is a directory of the spool" : "1 to 32 of a-z, 0-9 and _")
            return nil
        }
        var policy = QueuePolicy(name: name, retry: inherited)
        let node = pair.value
        if node.scalar?.value == .null { return policy }
        guard pairs(node, "queue `\(name)`", ConfigurationSheet.queueKeys) != nil else { return nil }
        policy.maxConcurrent = integer(node, "max_concurrent", 1...1000) ?? policy.maxConcurrent
        policy.priorityLevels = integer(node, "priority_levels", 1...9) ?? policy.priorityLevels
        policy.timeout = span(node, "timeout")
        if let field = node["retry_policy"], name != .standard { policy.retry = retry(field, inherited) }
        if let field = node["require_end"] {
            guard case .bool(let flag)? = field.scalar?.value else {
                problem("`require_end` must be true or false", field.start)
                return nil
            }
            policy.requireEnd = flag
        }
        return policy
    }

    private func retry(_ node: YamlNode, _ inherited: RetryPolicy) -> RetryPolicy {
        var policy = inherited
        guard pairs(node, "`retry_policy`", ConfigurationSheet.retryKeys) != nil else { return policy }
        policy.maxAttempts = integer(node, "max_attempts", 1...100) ?? policy.maxAttempts
        policy.baseDelay = span(node, "base_delay") ?? policy.baseDelay
        policy.maxDelay = span(node, "max_delay") ?? policy.maxDelay
        if let field = node["backoff_multiplier"] {
            if let number = Value(field).doubleValue, (1...100).contains(number) {
                policy.backoffMultiplier = number
            } else {
                problem("`backoff_multiplier` must be a number from 1 to 100", field.start)
            }
        }
        return policy
    }

    func pairs(_ node: YamlNode, _ what: String, _ known: [String]) -> [YamlPair]? {
        guard let pairs = node.pairs else {
            problem("\(what) must be a map, but is a \(node.kindName)", node.start)
            return nil
        }
        for pair in pairs where !known.contains(pair.key) {
            let near = NearestName.find(pair.key, in: known)
            problem(
                "\(what) has no key `\(pair.key)`", pair.keyStart,
                hint: near.map { "did you mean `\($0)`?" } ?? "known keys: \(known.joined(separator: ", "))")
        }
        return pairs
    }
    func integer(_ node: YamlNode, _ key: String, _ range: ClosedRange<Int>) -> Int? {
        guard let field = node[key] else { return nil }
        guard case .int(let number)? = field.scalar?.value, range.contains(number) else {
            problem(
                "`\(key)` must be a whole number from \(range.lowerBound) to \(range.upperBound)", field.start
            )
            return nil
        }
        return number
    }
    func span(_ node: YamlNode, _ key: String) -> Span? {
        guard let field = node[key] else { return nil }
        guard let span = Span(Value(field)) else {
            problem("`\(key)` must be a duration", field.start, hint: "write 90s, 10m, 2h or 1d")
            return nil
        }
        return span
    }
}
