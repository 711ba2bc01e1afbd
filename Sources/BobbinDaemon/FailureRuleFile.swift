// What this is: ops/failure-rules.yaml: kinds of failures that a site names itself (guide 000, Failure Clustering).
// Owns: its keys, and the order: the site's rules are asked before the built-in ones, and replace those of the same name.
// Never: keeps a half of a file with mistakes.
// On failure: ConfigurationProblem with file, line and column.
import JobLanguage
import JobModel
import LinuxSystem
import Reporting
import SpoolQueue
import YamlText

public enum FailureRuleFile {
    static let name = "failure-rules.yaml"
    private static let longest = 1 << 20
    private static let keys = ["patterns", "display_name", "recommended_actions", "severity"]

    /// All rules of a site. Where there is no file: the built-in ones.
    public static func rules(_ site: Site) throws -> [FailureRule] {
        let spool = site.spool
        guard try spool.site.statusIfPresent("ops") != nil,
            try spool.site.directory("ops").statusIfPresent(name) != nil
        else { return FailureRule.builtIn }
        let path = "ops/\(name)"
        let bytes: [UInt8]
        do throws(SystemError) {
            bytes = try spool.site.directory("ops").openForReading(name).read(upTo: longest + 1)
        } catch {
            throw ConfigurationProblem(
                text:
                    "\(path) cannot be read: \(error)\n  It must be a plain file; the built-in rules hold. [E-CONFIG]"
            )
        }
        guard bytes.count <= longest else {
            throw ConfigurationProblem(
                text:
                    "\(path) is longer than a megabyte\n  Write fewer rules; the built-in ones hold. [E-CONFIG]"
            )
        }
        return try rules(bytes, path)
    }

    static func rules(_ bytes: [UInt8], _ path: String) throws(ConfigurationProblem) -> [FailureRule] {
        guard let (sheet, tree) = try TriggerSheet.open(bytes, path) else { return FailureRule.builtIn }
        var own: [FailureRule] = []
        if sheet.pairs(tree, "the file", ["rules"]) != nil, let node = tree["rules"],
            node.scalar?.value != .null
        {
            if let entries = node.pairs {
                own = entries.compactMap { rule($0, sheet) }
            } else {
                sheet.problem(
                    "`rules` must be a map of names", node.start,
                    hint: "write NETWORK_TIMEOUT: {patterns: [...]}")
            }
        }
        try TriggerSheet.finish(sheet)
        let names = Set(own.map(\.id))
        return own + FailureRule.builtIn.filter { !names.contains($0.id) }
    }

    /// Whoever sets flags of his own means them.
    private static func hasFlags(_ pattern: String) -> Bool {
        guard pattern.hasPrefix("(?"), let end = pattern.firstIndex(of: ")") else { return false }
        return pattern[pattern.index(pattern.startIndex, offsetBy: 2)..<end].allSatisfy { "ims".contains($0) }
    }
    private static func rule(_ entry: YamlPair, _ sheet: ConfigurationSheet) -> FailureRule? {
        let isFit =
            (1...64).contains(entry.key.utf8.count)
            && entry.key.utf8.allSatisfy {
                (0x41...0x5A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x5F
            }
        if !isFit {
            sheet.problem(
                "`\(entry.key)` cannot name a cluster", entry.keyStart,
                hint: "capitals, digits and _: NETWORK_TIMEOUT")
        }
        guard sheet.pairs(entry.value, "rule `\(entry.key)`", keys) != nil else { return nil }
        let texts = sheet.texts(of: entry.value, "patterns")
        if texts.isEmpty {
            sheet.problem(
                "rule `\(entry.key)` needs `patterns`", entry.value.start,
                hint: "a list of regular expressions")
        }
        var patterns: [TextPattern] = []
        for text in texts {
            // As people write them for messages: the case of letters does not count.
            do throws(TextPattern.Problem) {
                patterns.append(
                    try TextPattern(hasFlags(text) ? text : "(?i)" + text))
            } catch {
                sheet.problem(
                    "`\(text)` is no regular expression: \(error.message)",
                    entry.value["patterns"]?.start ?? entry.keyStart)
            }
        }
        let severity = sheet.choice(entry.value, "severity", Severity.self) ?? .medium
        let compiled = patterns
        return FailureRule(
            id: entry.key, displayName: sheet.text(entry.value, "display_name") ?? entry.key,
            recommendedActions: sheet.texts(of: entry.value, "recommended_actions"), severity: severity,
            fits: { text in compiled.contains { $0.isFound(in: text) } })
    }
}
