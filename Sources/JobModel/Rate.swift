// What this is: turns under a strict rate: in any span of `per`, whenever it begins, at most `limit` of those who ask begin.
// Owns: who begins when, in the order in which they asked, also where somebody comes later than his turn, or never.
// Never: reads a clock or a disk.
// On failure: nothing here fails.

public struct RateLimit: Hashable, Sendable {
    public var limit: Int
    public var per: Span
    public init(limit: Int, per: Span) {
        self.limit = limit
        self.per = per
    }
}

public struct RateTurns: Hashable, Sendable {
    public struct Turn: Hashable, Sendable {
        public var at: Timestamp
        /// By a name that is the same after a crash.
        public var who: String
        /// At `at` it began; else it may not begin before.
        public var hasBegun: Bool
        public init(at: Timestamp, who: String, hasBegun: Bool) {
            self.at = at
            self.who = who
            self.hasBegun = hasBegun
        }
    }
    /// In the order of time: those that still count, and those to come.
    public private(set) var turns: [Turn]
    /// A turn is kept so long for one who does not come: he may wait for a slot.
    private static let longestDelay = Span.seconds(86_400)

    public init(_ turns: [Turn] = []) { self.turns = turns.sorted { $0.at < $1.at } }

    public func ahead(of now: Timestamp) -> Int { turns.count { !$0.hasBegun && $0.at > now } }

    /// Nil: whoever asks begins now. Else when he is to ask again. Names that agree up to the first `/` are of one family,
    /// which has one turn ahead: whoever of it comes first takes it.
    public mutating func ask(_ who: String, _ rate: RateLimit, now: Timestamp) -> Timestamp? {
        tidy(rate, now)
        if turns.contains(where: { $0.who == who && $0.hasBegun }) { return nil }
        let family = RateTurns.family(who)
        guard let index = turns.firstIndex(where: { !$0.hasBegun && RateTurns.family($0.who) == family })
        else {
            var due = max(now, turns.last?.at ?? now)
            if turns.count >= rate.limit {
                due = max(due, turns[turns.count - rate.limit].at.adding(rate.per))
            }
            turns.append(Turn(at: due, who: who, hasBegun: due <= now))
            return due <= now ? nil : due
        }
        if turns[index].at > now { return turns[index].at }
        // His time has come. Whatever was thought before, what has begun counts.
        let begun = turns.filter { $0.hasBegun && $0.at.adding(rate.per) > now }
        let due = begun.count < rate.limit ? now : begun[begun.count - rate.limit].at.adding(rate.per)
        turns[index] = Turn(at: due, who: who, hasBegun: due <= now)
        turns.sort { $0.at < $1.at }
        return due <= now ? nil : due
    }
    private static func family(_ who: String) -> Substring { who.prefix { $0 != "/" } }

    /// A person let him go before his turn: it counts from now.
    public mutating func begin(_ who: String, now: Timestamp) {
        turns.removeAll { $0.who == who }
        turns.append(Turn(at: now, who: who, hasBegun: true))
        turns.sort { $0.at < $1.at }
    }

    /// He did not begin after all: something else kept him.
    public mutating func giveBack(_ who: String) { turns.removeAll { $0.who == who } }

    /// Those who will not come any more: what they had still to begin is free, and those behind them move up when they ask.
    public mutating func release(where isGone: (String) -> Bool) {
        turns.removeAll { !$0.hasBegun && isGone($0.who) }
    }

    private mutating func tidy(_ rate: RateLimit, _ now: Timestamp) {
        turns.removeAll { turn in
            turn.at.adding(turn.hasBegun ? rate.per : max(rate.per, RateTurns.longestDelay)) <= now
        }
        // Behind what has begun, in their order, each as early as those before it let it be: some may have gone away, some
        // are late (nobody worked, or no slot was free), and some were given by a clock that was set back since.
        for index in turns.indices where turns[index].hasBegun { turns[index].at = min(turns[index].at, now) }
        turns = turns.filter(\.hasBegun) + turns.filter { !$0.hasBegun }
        for index in turns.indices where !turns[index].hasBegun {
            let earliest =
                index >= rate.limit ? turns[index - rate.limit].at.adding(rate.per) : turns[index].at
            turns[index].at = max(earliest, min(turns[index].at, max(now, earliest)))
        }
    }
}

/// One line for each: nanoseconds since 1970, whether it has begun, who.
extension RateTurns {
    public var lines: [String] {
        turns.map { "turn \($0.at.nanoseconds) \($0.hasBegun ? "begun" : "due") \($0.who)" }
    }

    public init(lines: some Sequence<some StringProtocol>) {
        self.init(
            lines.compactMap { line in
                let parts = String(line).split(separator: " ", maxSplits: 3).map(String.init)
                // A line that a crash left half is no turn.
                guard parts.count == 4, parts[0] == "turn", let instant = Int64(parts[1]) else { return nil }
                return Turn(
                    at: Timestamp(nanoseconds: instant), who: parts[3], hasBegun: parts[2] == "begun")
            })
    }
}
