// What this is: what is known of a service outside (`api.example.com:443`), and what that means for the next call to it.
// Owns: the rules of the circuit breaker, and their order with the rate (Rate.swift); the port between the engine and whoever keeps the state.
// Never: reads a clock or a disk; looks at what a call does.
// On failure: nothing here fails.

/// How calls to one target are held back.
public struct TargetPolicy: Hashable, Sendable {
    /// Failures in a row after which calls wait; 0: they never do.
    public var failures = 5
    /// How long nothing is called then, before one call is let through to see.
    public var openFor = Span.seconds(60)
    /// How long steps wait for a target from its first failure on; after that they fail, but for the one that is let through.
    public var patience = Span.seconds(3600)
    public var rate: RateLimit?
    public init() {}
}

public struct TargetPolicies: Hashable, Sendable {
    /// Of every target that is not named.
    public var standard = TargetPolicy()
    /// By `host:port`, or by `host` for all its ports.
    public var named: [String: TargetPolicy] = [:]
    public init() {}

    public func policy(_ target: String) -> TargetPolicy {
        if let exact = named[target] { return exact }
        let colon = target.utf8.lastIndex(of: 0x3A)
        return colon.flatMap { named[String(target[..<$0])] } ?? standard
    }
}

/// What a call said about its target.
public enum TargetOutcome: Hashable, Sendable {
    case answered
    /// It could not be reached, or said that it cannot serve anybody now.
    case down(String)
    /// It asked to be left alone so long (`Retry-After`).
    case rest(Span)
    /// The call was cut off on this side.
    case unknown
}

public struct TargetState: Hashable, Sendable {
    /// In a row.
    public var failures = 0
    public var lastFailure = ""
    /// When the first of the failures was that made it be given up.
    public var downSince: Timestamp?
    /// Nothing is called before this; from then on one call is let through at a time, until one is answered.
    public var openUntil: Timestamp?
    public var probe: Probe?
    public var turns = RateTurns()

    /// The one call that was let through to see.
    public struct Probe: Hashable, Sendable {
        public var until: Timestamp
        /// The call, by a name that is the same after a crash.
        public var who: String
        public init(until: Timestamp, who: String) {
            self.until = until
            self.who = who
        }
    }
    public enum Answer: Hashable, Sendable {
        case go
        /// `isDown`: for the target's sake, not for the sake of the rate.
        case wait(until: Timestamp, isDown: Bool)
        /// It has been down for longer than anybody waits.
        case refuse
    }
    /// A rest that a target may ask for.
    public static let longestRest = Span.seconds(3600)

    public init() {}
    public var isPlain: Bool { self == TargetState() }

    /// Whether this call may go now. `share` in 0..<1 spreads those that wait, so that they do not come all at once.
    public mutating func enter(_ who: String, _ policy: TargetPolicy, now: Timestamp, share: Double) -> Answer
    {
        if let answer = whileOpen(who, policy, now, share) { return answer }
        if let rate = policy.rate {
            if let due = turns.ask(who, rate, now: now) { return .wait(until: due, isDown: false) }
        } else {
            turns = RateTurns()
        }
        if openUntil != nil { probe = Probe(until: now.adding(policy.openFor), who: who) }
        return .go
    }

    /// Nil: nothing but the rate is in the way.
    private mutating func whileOpen(_ who: String, _ policy: TargetPolicy, _ now: Timestamp, _ share: Double)
        -> Answer?
    {
        guard var open = openUntil else { return nil }
        // A clock that was set back must not keep the target closed for longer than anybody asked for.
        open = min(open, now.adding(max(policy.openFor, TargetState.longestRest)))
        openUntil = open
        let spread = Span(nanoseconds: Int64(Double(policy.openFor.nanoseconds / 4) * share))
        if open > now {
            guard let downSince else { return .wait(until: open.adding(spread), isDown: true) }
            let end = min(downSince, now).adding(policy.patience)
            return end <= now ? .refuse : .wait(until: min(open.adding(spread), end), isDown: true)
        }
        guard failures > 0 else {
            // It only wanted a rest.
            (openUntil, probe) = (nil, nil)
            return nil
        }
        guard let probe, probe.who != who else { return nil }
        if probe.until > now, probe.until <= now.adding(policy.openFor) {
            return .wait(until: now.adding(.seconds(1)).adding(spread), isDown: true)
        }
        // It has not failed in all this time, or never came back: all may go, and one failure more closes it again.
        (openUntil, self.probe) = (nil, nil)
        return nil
    }

    public mutating func leave(
        _ who: String, _ outcome: TargetOutcome, _ policy: TargetPolicy, now: Timestamp
    ) {
        let wasProbe = probe?.who == who
        if wasProbe { probe = nil }
        // One that was called before it was given up says nothing new of how it is now.
        let isLate = openUntil != nil && !wasProbe
        switch outcome {
        case .unknown: break
        case .answered where !isLate: (failures, lastFailure, downSince, openUntil) = (0, "", nil, nil)
        case .answered: break
        case .rest(let span):
            // It has answered, and is to be left alone.
            let end = now.adding(min(span, TargetState.longestRest))
            (failures, lastFailure, downSince) = (0, "", nil)
            openUntil = max(openUntil ?? end, end)
        case .down where isLate || policy.failures == 0: break
        case .down(let code):
            failures += 1
            lastFailure = code
            downSince = downSince ?? now
            guard wasProbe || failures >= policy.failures else { return }
            openUntil = now.adding(policy.openFor)
        }
    }

    /// Runs that have ended: what they had still to begin is free.
    public mutating func release(where isGone: (String) -> Bool) {
        turns.release(where: isGone)
        if let probe, isGone(probe.who) { self.probe = nil }
    }
}

/// Whoever keeps what is known of targets.
public protocol TargetGate: Sendable {
    func enter(_ target: String, for who: String) -> TargetState.Answer
    /// What a refused call says.
    func refusal(_ target: String) -> Failure
    func leave(_ target: String, for who: String, _ outcome: TargetOutcome)
}
