// What this is: the key `targets` of ops/orchestrator.yaml: how calls to services outside are held back.
// Owns: its keys, and what a named target takes over from `"*"`.
// Never: knows what a target is called for.
// On failure: findings of the configuration.
import JobModel
import YamlText

extension ConfigurationSheet {
    func targets(_ node: YamlNode) -> TargetPolicies {
        var policies = TargetPolicies()
        guard let entries = node.pairs else {
            problem("`targets` must be a map of hosts", node.start, hint: "write api.example.com: {...}")
            return policies
        }
        // First, wherever it stands: the others take over from it.
        if let all = entries.first(where: { $0.key == "*" }) {
            policies.standard = target(all, TargetPolicy())
        }
        for entry in entries where entry.key != "*" {
            let isPlain = entry.key.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != 0x2F }
            guard isPlain, !entry.key.isEmpty else {
                problem(
                    "`\(entry.key)` cannot name a target", entry.keyStart, hint: "write host or host:port")
                continue
            }
            policies.named[entry.key.lowercased()] = target(entry, policies.standard)
        }
        return policies
    }

    private func target(_ entry: YamlPair, _ inherited: TargetPolicy) -> TargetPolicy {
        var policy = inherited
        guard pairs(entry.value, "target `\(entry.key)`", ["breaker", "rate_limit"]) != nil else {
            return policy
        }
        switch entry.value["breaker"] {
        case .none: break
        case .some(let field) where field.scalar?.value == .bool(false): policy.failures = 0
        case .some(let field):
            guard pairs(field, "`breaker`", ["failures", "open_for", "patience"]) != nil else { break }
            policy.failures = integer(field, "failures", 1...1000) ?? policy.failures
            policy.openFor = positive(field, "open_for") ?? policy.openFor
            policy.patience = span(field, "patience") ?? policy.patience
        }
        if let field = entry.value["rate_limit"] {
            guard pairs(field, "`rate_limit`", ["limit", "per"]) != nil else { return policy }
            guard let limit = integer(field, "limit", 1...10_000), let per = positive(field, "per") else {
                if field["limit"] == nil || field["per"] == nil {
                    problem(
                        "`rate_limit` needs `limit` and `per`", field.start,
                        hint: "write {limit: 10, per: 1s}")
                }
                return policy
            }
            policy.rate = RateLimit(limit: limit, per: per)
        }
        return policy
    }
    private func positive(_ node: YamlNode, _ key: String) -> Span? {
        guard let found = span(node, key) else { return nil }
        guard found > .zero else {
            problem("`\(key)` must be longer than nothing", node[key]?.start ?? node.start)
            return nil
        }
        return found
    }
}
