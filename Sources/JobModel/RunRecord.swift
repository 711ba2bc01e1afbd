// What this is: everything that is known of one run: what was accepted, each attempt of each step, each wait, the end.
// Owns: RunRecord and its parts; the rules by which a run's place is found again after a suspension or a crash.
// Never: does anything; it changes only by RunRecord.apply(RunEvent).
// On failure: nothing here fails.

/// Who dropped a job, as the kernel says.
public struct Submitter: Hashable, Sendable {
    public var uid: UInt32
    public var name: String
    public init(uid: UInt32, name: String) {
        self.uid = uid
        self.name = name
    }
}

/// Tells one inode from every other, so that a half rename is recognised (reliability.md 3.6).
public struct InodeIdentity: Hashable, Sendable {
    public var inode: UInt64
    public var birthNanoseconds: Int64
    public init(inode: UInt64, birthNanoseconds: Int64) {
        self.inode = inode
        self.birthNanoseconds = birthNanoseconds
    }
}

/// What was accepted; it never changes afterwards.
public struct Acceptance: Hashable, Sendable {
    public var id: RunID
    public var queue: QueueName
    public var priority: Priority
    /// The drop's name as it was dropped.
    public var dropName: String
    public var jobName: String
    public var submitter: Submitter
    public var acceptedAt: Timestamp
    /// When the drop was first seen complete; its wait begins here.
    public var arrivedAt: Timestamp
    public var identity: InodeIdentity
    public var snapshot: [UInt8]
    public var sha256: String
    public var templateName: String?
    public var templateText: [UInt8]
    public var ticket: String?
    public var requeueOf: String?
    public var runner: String

    public init(
        id: RunID, queue: QueueName, priority: Priority, dropName: String, jobName: String,
        submitter: Submitter,
        acceptedAt: Timestamp, arrivedAt: Timestamp, identity: InodeIdentity, snapshot: [UInt8],
        sha256: String,
        templateName: String? = nil, templateText: [UInt8] = [], ticket: String? = nil,
        requeueOf: String? = nil,
        runner: String
    ) {
        self.id = id
        self.queue = queue
        self.priority = priority
        self.dropName = dropName
        self.jobName = jobName
        self.submitter = submitter
        self.acceptedAt = acceptedAt
        self.arrivedAt = arrivedAt
        self.identity = identity
        self.snapshot = snapshot
        self.sha256 = sha256
        self.templateName = templateName
        self.templateText = templateText
        self.ticket = ticket
        self.requeueOf = requeueOf
        self.runner = runner
    }

    /// The drop's name without its ending.
    public var stem: String {
        for ending in [".yaml", ".yml", ".json"] where dropName.hasSuffix(ending) {
            return String(dropName.dropLast(ending.count))
        }
        return dropName
    }
}

/// One attempt of one step.
public struct StepRecord: Hashable, Sendable {
    public var section: Section
    public var number: Int
    public var title: String
    public var id: String?
    public var type: String
    /// Attempt of the run, and of the step within it; both from 1.
    public var runAttempt: Int
    public var attempt: Int
    public var state: StepState
    public var startedAt: Timestamp
    public var endedAt: Timestamp?
    public var outputs: ValueMap
    public var failure: Failure?
    /// Relative to the spool, when the step said anything.
    public var log: String?

    public init(
        section: Section, number: Int, title: String, id: String?, type: String, runAttempt: Int,
        attempt: Int,
        state: StepState, startedAt: Timestamp, endedAt: Timestamp? = nil, outputs: ValueMap = [:],
        failure: Failure? = nil, log: String? = nil
    ) {
        self.section = section
        self.number = number
        self.title = title
        self.id = id
        self.type = type
        self.runAttempt = runAttempt
        self.attempt = attempt
        self.state = state
        self.startedAt = startedAt
        self.endedAt = endedAt
        self.outputs = outputs
        self.failure = failure
        self.log = log
    }

    public var label: String { section.label(number) }
}

/// A finished or open wait.
public struct WaitRecord: Hashable, Sendable {
    public var wait: Wait
    public var endedAt: Timestamp?
    public init(wait: Wait, endedAt: Timestamp? = nil) {
        self.wait = wait
        self.endedAt = endedAt
    }
}

public struct RunRecord: Hashable, Sendable {
    public var acceptance: Acceptance
    public var state: RunState = .queued
    /// Attempt of the run, from 1.
    public var attempt = 1
    public var startedAt: Timestamp?
    public var endedAt: Timestamp?
    public var steps: [StepRecord] = []
    public var waits: [WaitRecord] = []
    public var failure: Failure?
    public var outputs: ValueMap = [:]
    /// The result file's bytes once the run ended: what is published is exactly this.
    public var result: [UInt8] = []
    /// A person's answer to an interrupted step, used by the next drive of the run.
    public var resolution: Resolution?

    public init(_ acceptance: Acceptance) { self.acceptance = acceptance }

    public var id: RunID { acceptance.id }
    public var finalState: FinalState? { if case .ended(let state) = state { state } else { nil } }

    /// The last record of a step in the current attempt of the run.
    public func last(_ section: Section, _ number: Int) -> StepRecord? {
        steps.last { $0.section == section && $0.number == number && $0.runAttempt == attempt }
    }
    /// The step that was started and never ended.
    public var openStep: StepRecord? { steps.last.flatMap { $0.state == .running ? $0 : nil } }
}

/// What a person decided about a step whose outcome nobody knows.
public enum Resolution: String, Sendable, CaseIterable { case retry, skip, fail }
