// What this is: the failures of a stretch of time in groups: by rule, else by what they say.
// Owns: which cluster a failure belongs to, a cluster's id, counts, trend, samples and status.
// Never: keeps the failures; memory grows with the clusters.
// On failure: cannot fail; a failure that says nothing is UNKNOWN_ERROR.

import JobModel

/// A cluster that an earlier report named, so that it keeps its id.
public struct KnownCluster: Hashable, Sendable {
    public var id: String
    /// Empty for a rule's.
    public var code: String
    public var template: String
    /// Its words as the tree learns them.
    public var pattern: String
    public var firstSeen: Timestamp
    /// Somebody said that it is mended.
    public var resolvedAt: Timestamp?

    public init(
        id: String, code: String, template: String, pattern: String = "", firstSeen: Timestamp,
        resolvedAt: Timestamp? = nil
    ) {
        self.id = id
        self.code = code
        self.template = template
        self.pattern = pattern
        self.firstSeen = firstSeen
        self.resolvedAt = resolvedAt
    }
}

public struct FailureCluster: Sendable {
    public enum Status: String, Sendable {
        /// Never seen before this stretch.
        case new
        /// Said to be mended, and here again.
        case reappeared
        case known
        /// Said to be mended, and not here since.
        case resolved
    }
    public var id: String
    public var displayName: String
    public var severity: Severity
    public var recommendedActions: [String]
    public var isRule: Bool
    /// Of what no rule knows: the failure's code and what its messages share.
    public var code = ""
    public var template = ""
    /// The template as it is to be remembered.
    public var pattern = ""
    public var status = Status.known
    public var count = 0
    /// In the stretch of the same length before.
    public var countBefore = 0
    /// In the last hour.
    public var countOfHour = 0
    public var firstSeen: Timestamp
    public var lastSeen: Timestamp
    public var jobs: [(name: String, count: Int)] = []
    public var steps: [(name: String, count: Int)] = []
    public var runners: [(name: String, count: Int)] = []
    /// Up to three, different, masked for showing around.
    public var samples: [String] = []
    /// The newest, for `bobbin requeue --cluster`.
    public var runs: [RunID] = []

    public enum Trend: String, Sendable { case rising, steady, falling }
    /// Against the stretch before; a difference of chance (twice the root of what is expected) is none.
    public var trend: Trend {
        let expected = Double(max(countBefore, 1)).squareRoot() * 2
        let difference = Double(count - countBefore)
        return difference > expected ? .rising : difference < -expected ? .falling : .steady
    }
}

public struct FailureClusters {
    /// Runs that a cluster names.
    public static let mostRuns = 10_000
    private static let mostSamples = 3, longestSample = 400, remembered = 5_000

    private enum Key: Hashable { case rule(Int), leaf(code: String, TemplateTree.Leaf) }
    private struct Group {
        var count = 0, before = 0, ofHour = 0
        var first: Timestamp?, last: Timestamp?
        var jobs: [String: Int] = [:], steps: [String: Int] = [:], runners: [String: Int] = [:]
        var samples: [String] = []
        var runs: [RunID] = []

        mutating func merge(_ other: Group) {
            count += other.count
            before += other.before
            ofHour += other.ofHour
            first = [first, other.first].compactMap { $0 }.min()
            last = [last, other.last].compactMap { $0 }.max()
            jobs.merge(other.jobs, uniquingKeysWith: +)
            steps.merge(other.steps, uniquingKeysWith: +)
            runners.merge(other.runners, uniquingKeysWith: +)
            for sample in other.samples where samples.count < mostSamples && !samples.contains(sample) {
                samples.append(sample)
            }
            runs = Array((runs + other.runs).sorted(by: >).prefix(mostRuns))
        }
    }

    private let rules: [FailureRule]
    private let known: [KnownCluster]
    private let since: Timestamp
    private let hour: Timestamp?
    private var trees: [String: TemplateTree] = [:]
    private var leaves: [String: TemplateTree.Leaf] = [:]
    private var groups: [Key: Group] = [:]
    /// Messages whose rule is known; -1: none fits.
    private var judged: [String: Int] = [:]

    /// Failures from `since` on count; those before are what the trend is measured by. From `hour` on they are of the last hour.
    public init(rules: [FailureRule], known: [KnownCluster], since: Timestamp, hour: Timestamp? = nil) {
        self.hour = hour
        self.rules = rules + [FailureRule.unknown]
        self.known = known.sorted { ($0.firstSeen, $0.id) < ($1.firstSeen, $1.id) }
        self.since = since
        for cluster in self.known where !cluster.template.isEmpty {
            leaves[cluster.id] =
                cluster.pattern.isEmpty
                ? trees[cluster.code, default: TemplateTree()].add(cluster.template)
                : trees[cluster.code, default: TemplateTree()].learn(cluster.pattern)
        }
    }

    public mutating func add(_ outcome: RunOutcome) {
        guard outcome.state.isFailure else { return }
        let code = outcome.error?.code ?? "", message = outcome.error?.message ?? ""
        var key: Key?
        if outcome.state == .denied {
            // What a person refused is no failure, unless nobody answered; whatever the site's own rules say of it.
            guard message.hasPrefix(FailureClusters.unanswered) else { return }
            key = rules.firstIndex { $0.id == "HITL_TIMEOUT" }.map { .rule($0) }
        }
        let place = key ?? self.key(code, message)
        count(outcome, message, place)
    }
    /// How the step that asks people says that nobody did.
    private static let unanswered = "nobody said enough in time"

    private mutating func count(_ outcome: RunOutcome, _ message: String, _ key: Key) {
        var group = groups[key] ?? Group()
        // Set free, so that its parts are changed in place.
        groups[key] = nil
        defer { groups[key] = group }
        guard outcome.ended >= since else {
            group.before += 1
            return
        }
        group.count += 1
        if let hour, outcome.ended >= hour { group.ofHour += 1 }
        group.first = min(group.first ?? outcome.ended, outcome.ended)
        group.last = max(group.last ?? outcome.ended, outcome.ended)
        group.jobs[outcome.job, default: 0] += 1
        if let step = outcome.error?.step { group.steps[step, default: 0] += 1 }
        group.runners[outcome.runner, default: 0] += 1
        if group.runs.count >= 2 * FailureClusters.mostRuns {
            group.runs.removeFirst(FailureClusters.mostRuns)
        }
        group.runs.append(outcome.id)
        if group.samples.count < FailureClusters.mostSamples, !message.isEmpty {
            let sample = PersonalData.masked(String(message.prefix(FailureClusters.longestSample)))
            if !group.samples.contains(sample) { group.samples.append(sample) }
        }
    }

    private mutating func key(_ code: String, _ message: String) -> Key {
        let text = code + " " + message
        var rule = judged[text]
        if rule == nil {
            rule = rules.firstIndex { $0.fits(text) } ?? -1
            if judged.count >= FailureClusters.remembered { judged.removeAll(keepingCapacity: true) }
            judged[text] = rule
        }
        if let rule, rule >= 0 { return .rule(rule) }
        if message.allSatisfy(\.isWhitespace) { return .rule(rules.count - 1) }
        // Templates are shown around like samples; and who was written to makes no kind.
        return .leaf(code: code, trees[code, default: TemplateTree()].add(PersonalData.masked(message)))
    }

    /// The id by which a cluster goes now that was once known by this one; nil: nobody knows it.
    public func current(_ id: String) -> String? {
        guard let cluster = known.first(where: { $0.id == id }), let leaf = leaves[id],
            let tree = trees[cluster.code]
        else {
            return nil
        }
        return names[cluster.code + " " + tree.template(of: leaf)]
    }
    /// Of each template the id; of two that have become one, the older.
    private var names: [String: String] {
        var ids: [String: String] = [:]
        for cluster in known {
            guard let leaf = leaves[cluster.id], let tree = trees[cluster.code] else { continue }
            let template = cluster.code + " " + tree.template(of: leaf)
            if ids[template] == nil { ids[template] = cluster.id }
        }
        return ids
    }

    /// The clusters with a failure since `since`, and those that somebody said are mended; the most frequent first.
    public func clusters() -> [FailureCluster] {
        var byID: [String: (group: Group, cluster: FailureCluster)] = [:]
        let ids = names
        for (key, group) in groups {
            let cluster = named(key, ids)
            var both = byID[cluster.id] ?? (Group(), cluster)
            both.group.merge(group)
            byID[cluster.id] = both
        }
        var found: [FailureCluster] = []
        for (_, both) in byID where both.group.count > 0 { found.append(finished(both.cluster, both.group)) }
        for cluster in known where cluster.resolvedAt != nil && (byID[cluster.id]?.group.count ?? 0) == 0 {
            found.append(resting(cluster))
        }
        return found.sorted { ($1.count, $0.firstSeen, $0.id) < ($0.count, $1.firstSeen, $1.id) }
    }

    private func named(_ key: Key, _ ids: [String: String]) -> FailureCluster {
        switch key {
        case .rule(let index): return ruled(rules[index])
        case .leaf(let code, let leaf):
            let template = trees[code]?.template(of: leaf) ?? ""
            let text = code + " " + template
            return FailureCluster(
                id: ids[text] ?? FailureClusters.id(text), displayName: template, severity: .medium,
                recommendedActions: [
                    "`bobbin log RUN` of one of them", "Mend it, then `bobbin requeue --cluster ID`",
                ],
                isRule: false, code: code, template: template, pattern: trees[code]?.pattern(of: leaf) ?? "",
                firstSeen: since, lastSeen: since)
        }
    }
    private func ruled(_ rule: FailureRule) -> FailureCluster {
        FailureCluster(
            id: rule.id, displayName: rule.displayName, severity: rule.severity,
            recommendedActions: rule.recommendedActions, isRule: true, firstSeen: since, lastSeen: since)
    }
    /// The same for the same words, on every machine.
    private static func id(_ text: String) -> String {
        let hash = Array(text.utf8).withUnsafeBytes(ShapeHash.of)
        let digits = String(hash, radix: 16)
        return "T-" + (String(repeating: "0", count: 16 - digits.count) + digits).prefix(10)
    }

    private func finished(_ cluster: FailureCluster, _ group: Group) -> FailureCluster {
        var cluster = cluster
        let registered = known.first { $0.id == cluster.id }
        cluster.count = group.count
        cluster.countBefore = group.before
        cluster.countOfHour = group.ofHour
        cluster.firstSeen = min(registered?.firstSeen ?? .init(nanoseconds: .max), group.first ?? since)
        cluster.lastSeen = group.last ?? since
        cluster.jobs = FailureClusters.sorted(group.jobs)
        cluster.steps = FailureClusters.sorted(group.steps)
        cluster.runners = FailureClusters.sorted(group.runners)
        cluster.samples = group.samples
        cluster.runs = Array(group.runs.sorted(by: >).prefix(FailureClusters.mostRuns))
        if let resolved = registered?.resolvedAt {
            cluster.status = cluster.lastSeen > resolved ? .reappeared : .resolved
        } else if group.before == 0, cluster.firstSeen >= since {
            cluster.status = .new
        }
        cluster.recommendedActions = cluster.recommendedActions.map {
            $0.replacing("--cluster ID", with: "--cluster \(cluster.id)")
        }
        return cluster
    }
    private func resting(_ known: KnownCluster) -> FailureCluster {
        var cluster: FailureCluster
        if let rule = rules.first(where: { $0.id == known.id }) {
            cluster = ruled(rule)
        } else {
            cluster = FailureCluster(
                id: known.id, displayName: known.template, severity: .low, recommendedActions: [],
                isRule: false,
                code: known.code, template: known.template, firstSeen: since, lastSeen: since)
        }
        cluster.status = .resolved
        cluster.firstSeen = known.firstSeen
        cluster.lastSeen = known.resolvedAt ?? known.firstSeen
        return cluster
    }

    static func sorted(_ counts: [String: Int]) -> [(name: String, count: Int)] {
        counts.map { ($0.key, $0.value) }.sorted { ($1.count, $0.name) < ($0.count, $1.name) }
    }
}

extension FailureCluster {
    /// As guide 000 names the parts.
    public var fields: ValueMap {
        func counted(_ list: [(name: String, count: Int)]) -> Value {
            .list(list.prefix(20).map { .map(["name": .string($0.name), "count": .int($0.count)]) })
        }
        return [
            "cluster": .string(id), "display_name": .string(displayName), "count": .int(count),
            "count_before": .int(countBefore), "trend": .string(trend.rawValue),
            "status": .string(status.rawValue),
            "severity": .string(severity.rawValue), "first_seen": .string(firstSeen.rfc3339),
            "last_seen": .string(lastSeen.rfc3339), "code": code.isEmpty ? .null : .string(code),
            "template": template.isEmpty ? .null : .string(template),
            "sample_errors": .list(samples.map(Value.string)),
            "recommended_actions": .list(recommendedActions.map(Value.string)),
            "affected_templates": counted(jobs),
            "affected_steps": counted(steps), "runners": counted(runners),
            "runs": .list(runs.prefix(5).map { .string($0.text) }),
        ]
    }
}

extension FinalState {
    /// What people look after: failed, out of time, denied.
    var isFailure: Bool {
        switch self {
        case .failed, .timedOut, .denied: true
        case .succeeded, .cancelled, .skipped: false
        }
    }
}
