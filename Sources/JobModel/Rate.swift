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

    /// Nil: whoever asks begins now. Else when he is to ask again.
    public mutating func ask(_ who: String, _ rate: RateLimit, now: Timestamp) -> Timestamp? {
        tidy(rate, now)
        guard let index = turns.firstIndex(where: { $0.who == who }) else {
            var due = max(now, turns.last?.at ?? now)
            if turns.count >= rate.limit {
                due = max(due, turns[turns.count - rate.limit].at.adding(rate.per))
            }
            turns.append(Turn(at: due, who: who, hasBegun: due <= now))
            return due <= now ? nil : due
        }
        if turns[index].hasBegun { return nil }
        if turns[index].at > now { return turns[index].at }
        // His time has come; others may have come late, and begun after theirs.
        let begun = turns.filter { $0.hasBegun && $0.at.adding(rate.per) > now }
        let due = begun.count < rate.limit ? now : begun[begun.count - rate.limit].at.adding(rate.per)
        turns[index].at = due
        turns[index].hasBegun = due <= now
        turns.sort { $0.at < $1.at }
        return due <= now ? nil : due
    }

    /// A person let him go before his turn: it counts from now.
    public mutating func begin(_ who: String, now: Timestamp) {
        turns.removeAll { $0.who == who }
        turns.append(Turn(at: now, who: who, hasBegun: true))
        turns.sort { $0.at < $1.at }
    }

    /// Those who will not come any more: what they had still to begin is free, and those behind them move up when they ask.
    public mutating func release(where isGone: (String) -> Bool) {
        turns.removeAll { !$0.hasBegun && isGone($0.who) }
    }

    private mutating func tidy(_ rate: RateLimit, _ now: Timestamp) {
        turns.removeAll { turn in
            turn.at.adding(turn.hasBegun ? rate.per : max(rate.per, RateTurns.longestDelay)) <= now
        }
        // No turn is further ahead than those before it make it: it was given by a clock that was set back since, or somebody
        // before it went away.
        var before: [Timestamp] = []
        for index in turns.indices {
            let earliest =
                before.count >= rate.limit ? before[before.count - rate.limit].adding(rate.per) : now
            turns[index].at = min(turns[index].at, turns[index].hasBegun ? now : max(now, earliest))
            before.append(turns[index].at)
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
