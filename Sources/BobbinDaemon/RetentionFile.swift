// What this is: ops/retention.yaml: how long which files stay, and when a day's ended runs become one file.
// Owns: its keys and defaults (docs/RETENTION.md lists them); the rule, as a pure function.
// Never: half-applies: a file with a mistake gives nothing at all.
// On failure: ConfigurationProblem with file, line and column.
import JobModel
import YamlText

/// What of a site grows by itself.
public enum RetentionClass: String, CaseIterable, Sendable {
    /// Jobs and results of runs that ended well (succeeded, skipped, cancelled) and of those that did not.
    case done, failed
    /// What their steps said and left: spool/runs/.
    case runs
    /// Drops that were sent back, with the reason.
    case rejected
    /// Commands and approvals that were answered: control/closed/, approvals/closed/.
    case answered
    /// Payloads that were taken: events/closed/.
    case events
    /// Reports that jobs made: reports/sent/.
    case reports
    /// Facts that are in no result: history/.
    case history
    /// The daemon's own log, when it was set aside for a new one.
    case log
}

public struct RetentionRule: Hashable, Sendable {
    /// Nil: no bound of that kind.
    public var days: Int?
    /// Runs, drops, files: whatever there is one of at a time.
    public var count: Int?
    public var bytes: Int?
    public init(days: Int? = nil, count: Int? = nil, bytes: Int? = nil) {
        self.days = days
        self.count = count
        self.bytes = bytes
    }

    public struct Size: Hashable, Sendable {
        /// `2026-11-20`.
        public var day: String
        public var count: Int
        public var bytes: Int
        public init(day: String, count: Int, bytes: Int) {
            self.day = day
            self.count = count
            self.bytes = bytes
        }
    }
    /// Of things from the newest to the oldest: the first that goes, with all behind it, and why; nil where all stay. `before`:
    /// what is kept of newer ones.
    public func cut(_ things: [Size], after kept: (count: Int, bytes: Int) = (0, 0), today: String) -> (
        index: Int, why: String, isAge: Bool
    )? {
        var (number, size) = kept
        let oldest = days.flatMap { RetentionRule.day(today, minus: $0) }
        for (index, thing) in things.enumerated() {
            number += thing.count
            size += thing.bytes
            if let oldest, let days, thing.day < oldest { return (index, "older than \(days) days", true) }
            if let count, number > count { return (index, "more than \(count)", false) }
            if let bytes, size > bytes { return (index, "more than \(bytes) bytes", false) }
        }
        return nil
    }
    /// Days on which something was done here, with today: where a long silence ends only lately, a clock may have jumped, and
    /// what seems old may be of yesterday. The silence; nil where there is none, or where it is long over.
    static func doubt(_ active: Set<String>, today: String) -> (from: String, to: String)? {
        let days = active.filter { $0 <= today }.union([today]).sorted()
        for (before, after) in zip(days, days.dropFirst()).reversed() {
            guard let latest = day(after, minus: longestSilence), let settled = day(today, minus: settling)
            else { return nil }
            if latest > before { return after > settled ? (before, after) : nil }
        }
        return nil
    }
    private static let longestSilence = 60, settling = 14
    static func day(_ day: String, minus days: Int) -> String? {
        Timestamp(rfc3339: "\(day)T00:00:00Z").map { $0.adding(.seconds(Int64(-days) * 86_400)).utcDay }
    }
}

public struct RetentionFile: Hashable, Sendable {
    static let name = "retention.yaml"
    public static let path = "ops/retention.yaml"
    /// Whole days after which a day's runs become one file; nil: never.
    public var packAfter: Int? = 7
    public var rules: [RetentionClass: RetentionRule] = [
        .done: .init(days: 90), .failed: .init(days: 365), .runs: .init(days: 30), .rejected: .init(days: 90),
        .answered: .init(days: 90), .events: .init(days: 30), .reports: .init(days: 90),
        .history: .init(days: 400), .log: .init(days: 14),
    ]
    static let keys = ["pack_after", "keep"]
    static let ruleKeys = ["days", "count", "bytes"]
    private static let forever = "forever", never = "never"

    public static func read(_ site: Site) throws -> RetentionFile { try read(site.opsBytes(name)) }
    static func read(_ bytes: [UInt8]?) throws(ConfigurationProblem) -> RetentionFile {
        var file = RetentionFile()
        guard let bytes, let (sheet, tree) = try TriggerSheet.open(bytes, path) else { return file }
        if sheet.pairs(tree, "the file", keys) != nil { file.fill(tree, sheet) }
        try TriggerSheet.finish(sheet)
        return file
    }

    private mutating func fill(_ tree: YamlNode, _ sheet: ConfigurationSheet) {
        if tree["pack_after"]?.scalar?.text == RetentionFile.never {
            packAfter = nil
        } else {
            packAfter = sheet.integer(tree, "pack_after", 1...3_650) ?? packAfter
        }
        guard let keep = tree["keep"], keep.scalar?.value != .null,
            let pairs = sheet.pairs(keep, "`keep`", RetentionClass.allCases.map(\.rawValue))
        else { return }
        for pair in pairs {
            guard let kind = RetentionClass(rawValue: pair.key) else { continue }
            if pair.value.scalar?.text == RetentionFile.forever {
                rules[kind] = RetentionRule()
            } else if pair.value.scalar != nil {
                sheet.problem(
                    "`\(pair.key)` must be bounds, such as {days: 90}", pair.value.start, hint: "or `forever`"
                )
            } else if let rule = RetentionFile.rule(pair, sheet) {
                rules[kind] = rule
            }
        }
    }
    private static func rule(_ pair: YamlPair, _ sheet: ConfigurationSheet) -> RetentionRule? {
        let node = pair.value
        guard let bounds = sheet.pairs(node, "`\(pair.key)`", ruleKeys) else { return nil }
        guard !bounds.isEmpty else {
            sheet.problem(
                "`\(pair.key)` has no bound", node.start, hint: "days, count or bytes; or `forever`")
            return nil
        }
        var rule = RetentionRule(
            days: sheet.integer(node, "days", 1...36_500),
            count: sheet.integer(node, "count", 1...1_000_000_000))
        if let field = node["bytes"] {
            if let size = ByteSize(Value(field)), size.bytes > 0 {
                rule.bytes = size.bytes
            } else {
                sheet.problem("`bytes` must be a size such as 500MB or 10GiB", field.start)
            }
        }
        return rule
    }
}
