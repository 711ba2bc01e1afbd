// What this is: which bundles are kept and why: the rules of ops/backup.yaml.
// Owns: the decision, as a pure function of instants (UTC).
// Never: lets go of the newest.
// On failure: cannot fail.
import JobModel

public struct KeepRules: Hashable, Sendable {
    /// The newest so many, whatever their age.
    public var last = 3
    /// All that are no older than so many days.
    public var days = 30
    /// Of each of the latest so many days, weeks (from Monday) and months that have any, the newest.
    public var daily = 0
    public var weekly = 0
    public var monthly = 12
    public init() {}

    public struct Verdict: Hashable, Sendable {
        public var isKept: Bool
        /// `3 newest, 2026-W48`; empty for one that goes.
        public var why: String
        public init(isKept: Bool, why: String) {
            self.isKept = isKept
            self.why = why
        }
    }

    /// One for each instant, in the order in which they are given.
    public func judge(_ instants: [Timestamp], now: Timestamp) -> [Verdict] {
        let newestFirst = instants.indices.sorted { (instants[$1], $1) < (instants[$0], $0) }
        var why = [[String]](repeating: [], count: instants.count)
        for (rank, index) in newestFirst.enumerated() {
            // One from the future has its clock to thank, and is young.
            if rank < max(1, last) { why[index].append(rank == 0 ? "newest" : "\(last) newest") }
            if now.since(instants[index]) <= .seconds(Int64(days) * 86_400) {
                why[index].append("\(days) days")
            }
        }
        for (count, period) in [
            (daily, { (at: Timestamp) in at.utcDay }), (weekly, KeepRules.week),
            (monthly, { String($0.utcDay.prefix(7)) }),
        ] {
            var seen: Set<String> = []
            for index in newestFirst where seen.count < count {
                let name = period(instants[index])
                if seen.insert(name).inserted { why[index].append(name) }
            }
        }
        return why.map { Verdict(isKept: !$0.isEmpty, why: $0.joined(separator: ", ")) }
    }

    /// By its Monday: 1970-01-01 was a Thursday.
    private static func week(_ at: Timestamp) -> String {
        let day = Int((Double(at.seconds) / 86_400).rounded(.down))
        let monday = day - ((day + 3) % 7 + 7) % 7
        return "week of \(Timestamp(seconds: Int64(monday) * 86_400).utcDay)"
    }
}
