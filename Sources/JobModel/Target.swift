// What this is: what is known of a service outside (`api.example.com:443`), and what that means for the next call to it.
// Owns: the rules of the circuit breaker and of the strict rate; the port between the engine and whoever keeps the state.
// Never: reads a clock or a disk; looks at what a call does.
// On failure: nothing here fails.

/// How calls to one target are held back.
public struct TargetPolicy: Hashable, Sendable {
    /// Failures in a row after which calls wait; 0: they never do.
    public var failures = 5
    /// How long nothing is called then, before one call is let through to see.
    public var openFor = Span.seconds(60)
    /// How long a step waits for a target that does not answer, before it fails.
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
    /// Nothing is called before this; from then on one call is let through at a time, until one is answered.
    public var openUntil: Timestamp?
    public var probe: Probe?
    public var turns = RateTurns()

    /// The one call that was let through to see; another goes when it has not come back by then.
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
    }
    /// A rest that a target may ask for.
    public static let longestRest = Span.seconds(3600)

    public init() {}
    public var isPlain: Bool { self == TargetState() }

    /// Whether this call may go now. `share` in 0..<1 spreads those that wait, so that they do not come all at once.
    public mutating func enter(_ who: String, _ policy: TargetPolicy, now: Timestamp, share: Double) -> Answer
    {
        if let open = openUntil {
            let spread = Span(nanoseconds: Int64(Double(policy.openFor.nanoseconds / 4) * share))
            if open > now {
                // A clock that was set back must not keep the target closed for longer than anybody asked for.
                let longest = now.adding(max(policy.openFor, TargetState.longestRest))
                return .wait(until: min(open, longest).adding(spread), isDown: true)
            }
            if let probe, probe.who != who, probe.until > now, probe.until <= now.adding(policy.openFor) {
                return .wait(until: now.adding(.seconds(1)).adding(spread), isDown: true)
            }
            probe = Probe(until: now.adding(policy.openFor), who: who)
        }
        guard let rate = policy.rate else {
            turns = RateTurns()
            return .go
        }
        return turns.ask(who, rate, now: now).map { .wait(until: $0, isDown: false) } ?? .go
    }

    public mutating func leave(
        _ who: String, _ outcome: TargetOutcome, _ policy: TargetPolicy, now: Timestamp
    ) {
        let wasProbe = probe?.who == who
        if wasProbe { probe = nil }
        switch outcome {
        case .unknown: break
        case .answered: (failures, lastFailure, openUntil, probe) = (0, "", nil, nil)
        case .rest(let span):
            let end = now.adding(min(span, TargetState.longestRest))
            openUntil = max(openUntil ?? end, end)
        case .down(let code):
            // Those that were called before it was given up say nothing new.
            let isOpen = openUntil.map { $0 > now } ?? false
            if !isOpen || wasProbe { failures += 1 }
            lastFailure = code
            guard policy.failures > 0, !isOpen else { return }
            if wasProbe || failures >= policy.failures { openUntil = now.adding(policy.openFor) }
        }
    }
}

/// Whoever keeps what is known of targets.
public protocol TargetGate: Sendable {
    /// Nil: the call may go.
    func enter(_ target: String, for who: String, since: Timestamp) throws(Failure) -> Timestamp?
    func leave(_ target: String, for who: String, _ outcome: TargetOutcome)
}
