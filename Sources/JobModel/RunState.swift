// What this is: the states of a run and of a step, and which may follow which (docs/SPOOL.md section 3).
// Owns: the persisted spelling of every state.
// Never: decides when a state changes; RunEvent does.
// On failure: an unknown spelling gives nil.

/// Where a run is. A final state never changes.
public enum RunState: Hashable, Sendable {
    case queued
    case running
    case waiting(Wait)
    case ended(FinalState)

    public var text: String {
        switch self {
        case .queued: "queued"
        case .running: "running"
        case .waiting(let wait): "waiting (\(wait.reason.rawValue))"
        case .ended(let state): state.rawValue
        }
    }
}

/// How a run ended.
public enum FinalState: String, Sendable, CaseIterable {
    case succeeded, failed, denied, timedOut = "timed_out", cancelled
    /// It did not run, and was not to: another run has done, or is doing, what it asks for.
    case skipped

    /// Whether nobody has to look at it.
    public var isGood: Bool { self == .succeeded || self == .skipped }

    public init(_ kind: Failure.Kind) {
        switch kind {
        case .failed, .interrupted: self = .failed
        case .timedOut: self = .timedOut
        case .cancelled: self = .cancelled
        case .denied: self = .denied
        }
    }
}

/// Why a run holds no slot, and until when.
public struct Wait: Hashable, Sendable {
    public enum Reason: String, Sendable, CaseIterable {
        case retry, held, interrupted, approval
        /// For an instant that the job names: `not_before`, `wait_until`.
        case scheduled
        /// For its turn: `rate_limit`.
        case rate
        /// For the run that has its `concurrency_key`.
        case key
        /// For a run that a step of it submitted.
        case child
        /// For a service outside: its turn there, or that it answers again.
        case target

        /// Whether the run comes back without anybody's doing, at `until` or when what it waits for is over.
        public var endsByItself: Bool {
            switch self {
            case .retry, .scheduled, .rate, .key, .child, .target: true
            case .held, .interrupted, .approval: false
            }
        }
    }
    public var reason: Reason
    /// The instant a retry is due; nil waits for a person.
    public var until: Timestamp?
    public var since: Timestamp
    /// The attempt of the run that goes on after this wait.
    public var nextAttempt: Int
    /// The step that a person is asked about.
    public var step: StepPlace?

    public init(
        _ reason: Reason, until: Timestamp? = nil, since: Timestamp, nextAttempt: Int, step: StepPlace? = nil
    ) {
        self.reason = reason
        self.step = step
        self.until = until
        self.since = since
        self.nextAttempt = nextAttempt
    }
}

/// How one attempt of a step stands.
public enum StepState: String, Sendable, CaseIterable {
    case running, succeeded, failed, skipped, timedOut = "timed_out", cancelled, denied, interrupted
    /// It has begun something, and the run waits without a slot until it can go on.
    case waiting

    public init(_ kind: Failure.Kind) {
        switch kind {
        case .failed: self = .failed
        case .timedOut: self = .timedOut
        case .cancelled: self = .cancelled
        case .denied: self = .denied
        case .interrupted: self = .interrupted
        }
    }
}

/// The three lists of steps of a job.
public enum Section: String, Sendable, CaseIterable {
    case main = "steps"
    case onFailure = "on_failure"
    case finally

    /// How a step of this list is numbered for people: `2`, `on_failure.1`.
    public func label(_ number: Int) -> String { self == .main ? String(number) : "\(rawValue).\(number)" }
}
