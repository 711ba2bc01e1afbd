// What this is: random runs and events, and what a journal should say of them.
// Owns: RandomEvents and ModelJournal.
// Never: draws from anything but its seed.
// On failure: cannot fail.
// Texts hold NUL, emoji and combining marks on purpose: the journal must not care.
import JobModel

public struct RandomEvents {
    public var random: SeededRandom

    public init(seed: UInt64) { random = SeededRandom(seed: seed) }

    public mutating func id() -> RunID {
        var maker = RunIDMaker()
        return maker.next(
            now: Timestamp(seconds: 1_800_000_000), random: (UInt16(random.below(1000)), random.next()))
    }
    public mutating func text() -> String {
        var text = ""
        for _ in 0..<random.below(10) {
            text.unicodeScalars.append(
                Unicode.Scalar(UInt32(random.pick([random.below(0x80), random.below(0xD800)]))) ?? "x")
        }
        return text
    }
    public mutating func data() -> [UInt8] {
        (0..<random.pick([0, 1, 7, 8, 9, 300])).map { _ in UInt8(random.below(256)) }
    }
    public mutating func time() -> Timestamp {
        Timestamp(
            nanoseconds: random.pick([
                0, -1, .max, .min, Int64(bitPattern: random.next()), 1_800_000_000_000_000_000,
            ]))
    }
    public mutating func maybe<T>(_ make: (inout RandomEvents) -> T) -> T? {
        random.chance(2) ? make(&self) : nil
    }
    public mutating func value(_ depth: Int = 0) -> Value {
        switch random.below(depth > 3 ? 5 : 7) {
        case 0: .null
        case 1: .bool(random.chance(2))
        case 2: .int(random.pick([0, -1, .max, .min, random.below(1 << 40)]))
        case 3: .double(random.pick([0, 1.5, -.infinity, .greatestFiniteMagnitude, .leastNonzeroMagnitude]))
        case 4: .string(text())
        case 5: .list((0..<random.below(4)).map { _ in value(depth + 1) })
        default: .map(map(depth + 1))
        }
    }
    public mutating func map(_ depth: Int = 0) -> ValueMap {
        ValueMap(distinct: (0..<random.below(4)).map { ("\($0)" + text(), value(depth)) })
    }
    public mutating func failure() -> Failure {
        Failure(
            text(), text(), whatToDo: text(), kind: random.pick(Failure.Kind.allCases),
            retry: random.pick(Failure.Retry.allCases),
            step: maybe { $0.text() }, exitCode: maybe { $0.random.below(256) })
    }
    public mutating func step(_ state: StepState? = nil) -> StepRecord {
        StepRecord(
            place: place(), title: text(),
            id: maybe { $0.text() }, type: text(),
            runAttempt: 1 + random.below(100), attempt: 1 + random.below(100),
            state: state ?? random.pick(StepState.allCases),
            startedAt: time(), endedAt: maybe { $0.time() }, outputs: map(), failure: maybe { $0.failure() },
            log: maybe { $0.text() }, retryAt: maybe { $0.time() })
    }
    public mutating func place() -> StepPlace {
        StepPlace(random.pick(Section.allCases), (0...random.below(4)).map { _ in 1 + random.below(1000) })
    }
    public mutating func wait() -> Wait {
        Wait(
            random.pick(Wait.Reason.allCases), until: maybe { $0.time() }, since: time(),
            nextAttempt: 1 + random.below(100), step: maybe { $0.place() })
    }
    public mutating func acceptance(_ id: RunID) -> Acceptance {
        var acceptance = Acceptance(
            id: id, queue: random.pick([.standard, QueueName("high_priority") ?? .standard]),
            priority: random.pick(Priority.all),
            dropName: text(), jobName: text(),
            submitter: Submitter(uid: UInt32.random(in: 0 ... .max, using: &random), name: text()),
            acceptedAt: time(), arrivedAt: time(),
            identity: InodeIdentity(inode: random.next(), birthNanoseconds: Int64(bitPattern: random.next())),
            snapshot: data(),
            sha256: text(), templateName: maybe { $0.text() }, templateText: data(),
            ticket: maybe { $0.text() },
            requeueOf: maybe { $0.text() }, runner: text())
        acceptance.calledTemplates = (0..<random.below(3)).map { _ in
            CalledTemplate(name: text(), bytes: data())
        }
        acceptance.terms = terms()
        return acceptance
    }
    /// As a journal keeps them: whole milliseconds, spans that have a text of their own.
    public mutating func terms() -> Terms {
        var terms = Terms()
        guard random.chance(3) else { return terms }
        terms.concurrencyKey = maybe { "k" + $0.text() }
        terms.whenBusy = random.pick(BusyKey.allCases)
        terms.idempotencyKey = maybe { "i" + $0.text() }
        terms.within = maybe { .seconds(Int64(1 + $0.random.below(1000))) }
        terms.notBefore = maybe { Timestamp(seconds: Int64($0.random.below(1 << 31))) }
        terms.expiresAt = maybe { Timestamp(seconds: Int64($0.random.below(1 << 31))) }
        terms.rate = maybe { Terms.Rate(key: $0.text(), limit: 1 + $0.random.below(9), per: .seconds(60)) }
        terms.tags = (0..<random.below(3)).map { "t\($0)" }
        terms.environment = maybe { $0.text() }
        terms.parent = maybe {
            Parent(run: $0.text(), step: $0.text(), depth: 1 + $0.random.below(8), waits: $0.random.chance(2))
        }
        return terms
    }
    public mutating func record(_ id: RunID) -> RunRecord {
        var record = RunRecord(acceptance(id))
        record.state = random.pick([
            .queued, .running, .waiting(wait()), .ended(random.pick(FinalState.allCases)),
        ])
        record.attempt = 1 + random.below(100)
        record.startedAt = maybe { $0.time() }
        record.endedAt = maybe { $0.time() }
        record.steps = (0..<random.below(4)).map { _ in step() }
        record.waits = (0..<random.below(3)).map { _ in WaitRecord(wait: wait(), endedAt: maybe { $0.time() })
        }
        record.failure = maybe { $0.failure() }
        record.outputs = map()
        record.result = data()
        record.answer = maybe { random in
            RunRecord.Answer(
                resolution: random.random.pick(Resolution.allCases), place: random.maybe { $0.place() })
        }
        record.mainEnd = maybe { random in
            RunRecord.MainEnd(attempt: 1 + random.random.below(9), failure: random.maybe { $0.failure() })
        }
        record.approvals = (0..<random.below(3)).map { _ in approval() }
        return record
    }
    public mutating func approval() -> Approval {
        var approval = Approval(place(), nonce: text())
        for _ in 0..<random.below(4) { approval.apply(approvalEvent()) }
        return approval
    }
    public mutating func approvalEvent() -> ApprovalEvent {
        switch random.below(5) {
        case 0: .asked(at: time(), until: time())
        case 1: .decided(decision())
        case 2: .expired(at: time())
        case 3: .reminded(at: time())
        default: .escalated(at: time())
        }
    }
    public mutating func decision() -> Decision {
        Decision(
            random.pick(Decision.Verdict.allCases),
            by: Submitter(uid: UInt32.random(in: 0 ... .max, using: &random), name: text()), at: time(),
            comment: text(), inputs: map(), sha256: text(), isSelf: random.chance(2),
            isSigned: random.chance(2))
    }
    /// Any event at all of a run.
    public mutating func event(_ id: RunID) -> RunEvent {
        switch random.below(9) {
        case 0: .accepted(acceptance(id))
        case 8: .carried(record(id))
        default: middle()
        }
    }
    /// An event of a run that has been accepted.
    public mutating func middle() -> RunEvent {
        switch random.below(9) {
        case 7: .approval(place(), nonce: "n\(random.below(3))", approvalEvent())
        case 6: .mainEnded(maybe { $0.failure() })
        case 0: .stepStarted(step(.running))
        case 1: .stepEnded(step())
        case 2: .parked(wait())
        case 3: .resumed(at: time())
        case 4: .resolved(random.pick(Resolution.allCases), at: time())
        case 5:
            .ended(
                random.pick(FinalState.allCases), at: time(), failure: maybe { $0.failure() }, outputs: map(),
                result: data())
        default: .retired
        }
    }
}

/// What the journal says, computed in the plainest way: a dictionary and `apply`.
public struct ModelJournal {
    public var live: [RunID: RunRecord] = [:]
    public init() {}

    public mutating func take(_ event: RunEvent, _ run: RunID) {
        switch event {
        case .accepted(let acceptance): if live[run] == nil { live[run] = RunRecord(acceptance) }
        case .carried(let record): live[run] = record
        case .retired: live[run] = nil
        default: live[run]?.apply(event)
        }
    }
}
