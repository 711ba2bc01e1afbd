// What this is: what the history tells of a run and of its steps.
// Owns: RunSummary, StepSummary; how they and waits are read from rows.
// Never: trusts a row's form; a flipped bit must not stop the process.
// On failure: a value that the schema does not allow is UnreadableRow.

import GRDB
import JobModel

/// One ended run. Times have milliseconds.
public struct RunSummary: Hashable, Sendable {
    public var id: RunID
    public var job: String
    public var queue: String
    public var priority: Int
    public var state: FinalState
    public var submitter: Submitter
    public var dropName: String
    public var ticket: String?
    public var requeueOf: String?
    public var arrivedAt: Timestamp
    public var acceptedAt: Timestamp
    public var startedAt: Timestamp?
    public var endedAt: Timestamp
    public var attempts: Int
    public var error: ErrorSummary?
    public var sha256: String
    public var runner: String
    /// A JSON map.
    public var outputs: String
    /// From arrival to the start, or to the end of a run that never started.
    public var waited: Span
    /// From the start to the end; nil for a run that never started.
    public var ran: Span?
}

/// One attempt of one step of an ended run.
public struct StepSummary: Hashable, Sendable {
    public var place: StepPlace
    public var title: String
    public var id: String?
    public var type: String
    public var runAttempt: Int
    public var attempt: Int
    public var state: StepState
    public var startedAt: Timestamp
    public var endedAt: Timestamp?
    public var error: ErrorSummary?
    /// A JSON map.
    public var outputs: String
    /// Relative to the spool.
    public var log: String?

    public var label: String { place.text }
}

extension RunSummary {
    init(_ row: Row) throws {
        let row = CheckedRow(row, "runs")
        id = try row.known("id") { RunID($0) }
        job = try row.text("job")
        queue = try row.text("queue")
        priority = try row.int("priority")
        state = try row.known("state") { FinalState(rawValue: $0) }
        submitter = Submitter(uid: UInt32(truncatingIfNeeded: try row.int("uid")), name: try row.text("user"))
        dropName = try row.text("drop_name")
        ticket = try row.optionalText("ticket")
        requeueOf = try row.optionalText("requeue_of")
        arrivedAt = try row.time("arrived")
        acceptedAt = try row.time("accepted")
        startedAt = try row.optionalTime("started")
        endedAt = try row.time("ended")
        attempts = try row.int("attempts")
        error = try row.error(step: row.optionalText("error_step"))
        sha256 = try row.text("sha256")
        runner = try row.text("runner")
        outputs = try row.text("outputs")
        waited = Span(nanoseconds: try row.time("wait_ms").nanoseconds)
        ran = try row.optionalTime("run_ms").map { Span(nanoseconds: $0.nanoseconds) }
    }
}

extension StepSummary {
    init(_ row: Row) throws {
        let row = CheckedRow(row, "steps")
        place = try row.known("place") { StepPlace($0) }
        title = try row.text("title")
        id = try row.optionalText("id")
        type = try row.text("type")
        runAttempt = try row.int("run_attempt")
        attempt = try row.int("attempt")
        state = try row.known("state") { StepState(rawValue: $0) }
        startedAt = try row.time("started")
        endedAt = try row.optionalTime("ended")
        error = try row.error(step: nil)
        outputs = try row.text("outputs")
        log = try row.optionalText("log")
    }
}

extension AttemptSummary {
    init(_ row: Row) throws {
        let row = CheckedRow(row, "attempts")
        attempt = try row.int("attempt")
        state = try row.known("state") { FinalState(rawValue: $0) }
        startedAt = try row.optionalTime("started")
        endedAt = try row.optionalTime("ended")
    }
}

extension WaitRecord {
    init(_ row: Row) throws {
        let row = CheckedRow(row, "waits")
        let reason = try row.known("reason") { Wait.Reason(rawValue: $0) }
        let wait = Wait(
            reason, until: try row.optionalTime("until"), since: try row.time("since"),
            nextAttempt: try row.int("next_attempt"))
        self.init(wait: wait, endedAt: try row.optionalTime("ended"))
    }
}
