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

/// A template as it was when the run was accepted.
public struct CalledTemplate: Hashable, Sendable {
    public var name: String
    public var bytes: [UInt8]
    public init(name: String, bytes: [UInt8]) {
        self.name = name
        self.bytes = bytes
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
    /// Those that its steps call: what was accepted is what runs, whatever becomes of the files.
    public var calledTemplates: [CalledTemplate] = []
    public var ticket: String?
    public var requeueOf: String?
    public var runner: String
    public var terms = Terms()

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

/// One attempt of one step. A step that holds others (foreach, parallel) has a record of its own, before theirs.
public struct StepRecord: Hashable, Sendable {
    public var place: StepPlace
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
    /// When it is to be tried again; several steps of a run may wait for that at one time.
    public var retryAt: Timestamp?

    public init(
        place: StepPlace, title: String, id: String?, type: String, runAttempt: Int, attempt: Int,
        state: StepState, startedAt: Timestamp, endedAt: Timestamp? = nil, outputs: ValueMap = [:],
        failure: Failure? = nil, log: String? = nil, retryAt: Timestamp? = nil
    ) {
        self.place = place
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
        self.retryAt = retryAt
    }

    public var label: String { place.text }
    /// The type of the record of a loop's round, which is no step.
    public static let roundType = "round"
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
    public var answer: Answer?
    /// Once `on_failure` or `finally` may have begun: main is over, whatever its steps would say if they were asked again.
    public var mainEnd: MainEnd?
    /// Every question that its steps have asked of people.
    public var approvals: [Approval] = []
    private var open = OpenSteps()

    public struct Answer: Hashable, Sendable {
        public var resolution: Resolution
        /// Nil in records of format 1: the step that is unknown.
        public var place: StepPlace?
        public init(resolution: Resolution, place: StepPlace?) {
            self.resolution = resolution
            self.place = place
        }
    }
    public struct MainEnd: Hashable, Sendable {
        public var attempt: Int
        public var failure: Failure?
        public init(attempt: Int, failure: Failure?) {
            self.attempt = attempt
            self.failure = failure
        }
    }

    public init(_ acceptance: Acceptance) { self.acceptance = acceptance }

    public var id: RunID { acceptance.id }
    public var finalState: FinalState? { if case .ended(let state) = state { state } else { nil } }

    /// The last record of a step in the current attempt of the run.
    public func last(_ place: StepPlace) -> StepRecord? {
        steps.last { $0.place == place && $0.runAttempt == attempt }
    }
    /// Steps that were started and have not ended, but for those that only hold others of them.
    public var openSteps: [StepRecord] {
        var open: [StepRecord] = []
        for step in steps.reversed()
        where step.state == .running && !open.contains(where: { step.place.contains($0.place) }) {
            open.append(step)
        }
        return open.reversed()
    }
    /// The step that a person is asked about; an answer is for it alone. Where the wait names none, the first whose outcome
    /// nobody knows.
    public var unknownStep: StepRecord? {
        if case .waiting(let wait) = state, let place = wait.step { return last(place) }
        var last: [StepPlace: Int] = [:]
        for (index, step) in steps.enumerated() where step.runAttempt == attempt { last[step.place] = index }
        return last.values.sorted().lazy.map { steps[$0] }.first { $0.state == .interrupted }
    }
}

/// What a person decided about a step whose outcome nobody knows.
public enum Resolution: String, Sendable, CaseIterable { case retry, skip, fail }

/// Where in the list the steps are that have not ended. Derived: two records are the same whatever is known here.
struct OpenSteps: Hashable, Sendable {
    private var indexes: [Int] = []
    /// How long the list was when that was known.
    private var count = 0

    static func == (left: OpenSteps, right: OpenSteps) -> Bool { true }
    func hash(into hasher: inout Hasher) {}

    mutating func last(_ place: StepPlace, in steps: [StepRecord]) -> Int? {
        if count > steps.count { (indexes, count) = ([], 0) }
        indexes += steps.indices[count...].filter { steps[$0].state == .running }
        count = steps.count
        indexes.removeAll { steps[$0].state != .running }
        return indexes.last { steps[$0].place == place }
    }
}

extension RunRecord {
    mutating func openIndex(_ place: StepPlace) -> Int? { open.last(place, in: steps) }
}
