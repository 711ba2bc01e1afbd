// What this is: what the history tells of the past, in the words that who keeps it and who counts it share.
// Owns: ErrorSummary, RunOutcome, RunTotal, HistoryFact, DepthSample.
// Never: knows where they are kept.
// On failure: nothing here fails.

/// Why a run or a step did not succeed.
public struct ErrorSummary: Hashable, Sendable {
    public var code: String
    public var message: String
    /// The step's label; nil where the step is known anyway.
    public var step: String?

    public init(code: String, message: String, step: String?) {
        self.code = code
        self.message = message
        self.step = step
    }
}

/// The least that is counted of an ended run.
public struct RunEnd: Sendable {
    public var ended: Timestamp
    public var state: FinalState
    /// Milliseconds from arrival to start, or to the end of a run that never started.
    public var waited: Int
    /// nil: it never started.
    public var ran: Int?
    /// It had more than one attempt, or repeats another run.
    public var isRetried: Bool

    public init(ended: Timestamp, state: FinalState, waited: Int, ran: Int?, isRetried: Bool) {
        self.ended = ended
        self.state = state
        self.waited = waited
        self.ran = ran
        self.isRetried = isRetried
    }
}

/// What counting by jobs, people and errors needs of an ended run.
public struct RunOutcome: Sendable {
    public var id: RunID
    public var job: String
    public var queue: String
    public var state: FinalState
    public var user: String
    public var isRequeued: Bool
    public var ended: Timestamp
    /// Milliseconds from arrival to start, or to the end of a run that never started.
    public var waited: Int
    /// nil: it never started.
    public var ran: Int?
    public var attempts: Int
    public var error: ErrorSummary?
    public var runner: String

    public init(
        id: RunID, job: String, queue: String, state: FinalState, user: String, isRequeued: Bool,
        ended: Timestamp, waited: Int, ran: Int?, attempts: Int, error: ErrorSummary?, runner: String
    ) {
        self.id = id
        self.job = job
        self.queue = queue
        self.state = state
        self.user = user
        self.isRequeued = isRequeued
        self.ended = ended
        self.waited = waited
        self.ran = ran
        self.attempts = attempts
        self.error = error
        self.runner = runner
    }
}

extension RunOutcome {
    public var end: RunEnd {
        RunEnd(ended: ended, state: state, waited: waited, ran: ran, isRetried: attempts > 1 || isRequeued)
    }
}

/// One row of the totals.
public struct RunTotal: Hashable, Sendable {
    public enum Measure: String, Sendable { case state, run, wait }
    public var queue: String
    public var measure: Measure
    /// A state's word, or the number of a class of DurationBuckets.
    public var group: String
    public var number: Int
    /// Milliseconds; 0 for states.
    public var sum: Int

    public init(queue: String, measure: Measure, group: String, number: Int, sum: Int) {
        self.queue = queue
        self.measure = measure
        self.group = group
        self.number = number
        self.sum = sum
    }
}

/// A line of the audit log or of spool/history/.
public struct HistoryFact: Hashable, Sendable {
    /// The file, and the byte at which the line begins: together they are its name.
    public var source: String
    public var place: Int
    public var at: Timestamp
    /// A word with a dot: `access.denied`, `trigger.fired`.
    public var kind: String
    public var subject: String
    /// nil: the site itself.
    public var user: Submitter?
    public var outcome: String
    public var detail: ValueMap

    public init(
        source: String, place: Int, at: Timestamp, kind: String, subject: String, user: Submitter?,
        outcome: String, detail: ValueMap
    ) {
        self.source = source
        self.place = place
        self.at = at
        self.kind = kind
        self.subject = subject
        self.user = user
        self.outcome = outcome
        self.detail = detail
    }
}

/// How full a queue was at an instant.
public struct DepthSample: Hashable, Sendable {
    public var at: Timestamp
    public var queue: String
    /// Drops that nobody has taken yet.
    public var waiting: Int
    public var running: Int
    public var parked: Int
    /// Age of the oldest waiting drop; nil when none waits.
    public var oldest: Span?

    public init(
        at: Timestamp, queue: String, waiting: Int, running: Int, parked: Int, oldest: Span?
    ) {
        self.at = at
        self.queue = queue
        self.waiting = waiting
        self.running = running
        self.parked = parked
        self.oldest = oldest
    }
}
