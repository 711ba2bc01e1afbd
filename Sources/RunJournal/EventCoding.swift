// What this is: run events as bytes and back.
// Owns: the numbers of event kinds and the order of their fields: format version 4; versions 1 to 3 are read.
// Never: changes the meaning of an existing number; a new field is a new kind or a new version.
// On failure: DecodeError.
import JobModel

enum EventCoding {
    /// 2: a step has a place instead of a section and a number, and says when it is tried again; a failure has the exit code; a wait and an answer name
    /// their step; the end of main is told; what was accepted holds
    /// the templates that its steps call.
    /// 3: what was accepted holds its terms.
    /// 4: what people were asked, and what they said.
    static let version: UInt8 = 4

    static func encode(_ event: RunEvent, of run: RunID) -> (kind: UInt8, payload: [UInt8]) {
        var out = ByteWriter()
        out.text(run.text)
        switch event {
        case .accepted(let acceptance): out.acceptance(acceptance); return (1, out.bytes)
        case .stepStarted(let step): out.step(step); return (2, out.bytes)
        case .stepEnded(let step): out.step(step); return (3, out.bytes)
        case .parked(let wait): out.wait(wait); return (5, out.bytes)
        case .resumed(let instant): out.time(instant); return (6, out.bytes)
        case .resolved(let resolution, let instant):
            out.text(resolution.rawValue)
            out.time(instant)
            return (7, out.bytes)
        case .mainEnded(let failure):
            out.optional(failure) { $0.failure($1) }
            return (11, out.bytes)
        case .approval(let place, let nonce, let event):
            out.place(place)
            out.text(nonce)
            out.approvalEvent(event)
            return (12, out.bytes)
        case .ended(let state, let instant, let failure, let outputs, let result):
            out.text(state.rawValue)
            out.time(instant)
            out.optional(failure) { $0.failure($1) }
            out.map(outputs)
            out.data(result)
            return (8, out.bytes)
        case .retired: return (9, out.bytes)
        case .carried(let record): out.record(record); return (10, out.bytes)
        }
    }

    static func decode(kind: UInt8, version: UInt8 = version, _ payload: ArraySlice<UInt8>) throws -> (
        RunID, RunEvent
    ) {
        var input = ByteReader(payload, version: version)
        guard let run = RunID(try input.text()) else { throw input.fail("a run id") }
        let event: RunEvent
        switch kind {
        case 1: event = .accepted(try input.acceptance())
        case 2: event = .stepStarted(try input.step())
        case 3: event = .stepEnded(try input.step())
        case 5: event = .parked(try input.wait())
        case 6: event = .resumed(at: try input.time())
        case 7: event = .resolved(try input.word(Resolution.self), at: try input.time())
        case 8:
            event = .ended(
                try input.word(FinalState.self), at: try input.time(),
                failure: try input.optional { try $0.failure() }, outputs: try input.map(),
                result: try input.data())
        case 9: event = .retired
        case 11: event = .mainEnded(try input.optional { try $0.failure() })
        case 12:
            event = .approval(
                try input.place(), nonce: try input.text(), try input.approvalEvent())
        case 10: event = .carried(try input.record())
        default: throw input.fail("a known kind of record, not \(kind)")
        }
        guard input.position == payload.endIndex else { throw input.fail("the end of the record") }
        return (run, event)
    }
}

extension ByteWriter {
    fileprivate mutating func acceptance(_ a: Acceptance) {
        text(a.id.text)
        text(a.queue.text)
        number(UInt64(a.priority.level))
        text(a.dropName)
        text(a.jobName)
        number(UInt64(a.submitter.uid))
        text(a.submitter.name)
        time(a.acceptedAt)
        time(a.arrivedAt)
        number(a.identity.inode)
        signed(a.identity.birthNanoseconds)
        data(a.snapshot)
        text(a.sha256)
        optional(a.templateName) { $0.text($1) }
        data(a.templateText)
        optional(a.ticket) { $0.text($1) }
        optional(a.requeueOf) { $0.text($1) }
        text(a.runner)
        list(a.calledTemplates) {
            $0.text($1.name)
            $0.data($1.bytes)
        }
        map(a.terms.fields)
    }
    fileprivate mutating func step(_ s: StepRecord) {
        place(s.place)
        text(s.title)
        optional(s.id) { $0.text($1) }
        text(s.type)
        number(UInt64(s.runAttempt))
        number(UInt64(s.attempt))
        text(s.state.rawValue)
        time(s.startedAt)
        optional(s.endedAt) { $0.time($1) }
        map(s.outputs)
        optional(s.failure) { $0.failure($1) }
        optional(s.log) { $0.text($1) }
        optional(s.retryAt) { $0.time($1) }
    }
    fileprivate mutating func failure(_ f: Failure) {
        text(f.code)
        text(f.message)
        text(f.whatToDo)
        text(f.kind.rawValue)
        text(f.retry.rawValue)
        optional(f.step) { $0.text($1) }
        optional(f.exitCode) { $0.signed(Int64($1)) }
    }
    fileprivate mutating func wait(_ w: Wait) {
        text(w.reason.rawValue)
        optional(w.until) { $0.time($1) }
        time(w.since)
        number(UInt64(w.nextAttempt))
        optional(w.step) { $0.place($1) }
    }
    fileprivate mutating func place(_ p: StepPlace) {
        text(p.section.rawValue)
        list(p.path) { $0.number(UInt64($1)) }
    }
    fileprivate mutating func record(_ r: RunRecord) {
        acceptance(r.acceptance)
        state(r.state)
        number(UInt64(r.attempt))
        optional(r.startedAt) { $0.time($1) }
        optional(r.endedAt) { $0.time($1) }
        list(r.steps) { $0.step($1) }
        list(r.waits) {
            $0.wait($1.wait)
            $0.optional($1.endedAt) { $0.time($1) }
        }
        optional(r.failure) { $0.failure($1) }
        map(r.outputs)
        data(r.result)
        optional(r.answer) {
            $0.text($1.resolution.rawValue)
            $0.optional($1.place) { $0.place($1) }
        }
        optional(r.mainEnd) {
            $0.number(UInt64($1.attempt))
            $0.optional($1.failure) { $0.failure($1) }
        }
        list(r.approvals) { $0.approval($1) }
    }
    fileprivate mutating func approvalEvent(_ event: ApprovalEvent) {
        switch event {
        case .asked(let at, let until):
            byte(0)
            time(at)
            time(until)
        case .decided(let decision):
            byte(1)
            self.decision(decision)
        case .expired(let at):
            byte(2)
            time(at)
        case .reminded(let at):
            byte(3)
            time(at)
        case .escalated(let at):
            byte(4)
            time(at)
        }
    }
    private mutating func approval(_ a: Approval) {
        place(a.place)
        text(a.nonce)
        for instant in [a.askedAt, a.expiresAt, a.expiredAt, a.remindedAt, a.escalatedAt] {
            optional(instant) { $0.time($1) }
        }
        list(a.decisions) { $0.decision($1) }
    }
    private mutating func decision(_ d: Decision) {
        text(d.verdict.rawValue)
        number(UInt64(d.by.uid))
        text(d.by.name)
        time(d.at)
        text(d.comment)
        map(d.inputs)
        text(d.sha256)
        flag(d.isSelf)
        flag(d.isSigned)
    }
    private mutating func state(_ state: RunState) {
        switch state {
        case .queued: byte(0)
        case .running: byte(1)
        case .waiting(let wait): byte(2); self.wait(wait)
        case .ended(let final): byte(3); text(final.rawValue)
        }
    }
}

extension ByteReader {
    fileprivate mutating func acceptance() throws -> Acceptance {
        guard let id = RunID(try text()) else { throw fail("a run id") }
        guard let queue = QueueName(try text()) else { throw fail("a queue name") }
        guard let priority = Priority(try integer()) else { throw fail("a priority") }
        let dropName = try text(), jobName = try text()
        let submitter = Submitter(uid: UInt32(truncatingIfNeeded: try number()), name: try text())
        let acceptedAt = try time(), arrivedAt = try time()
        let identity = InodeIdentity(inode: try number(), birthNanoseconds: try signed())
        var acceptance = Acceptance(
            id: id, queue: queue, priority: priority, dropName: dropName, jobName: jobName,
            submitter: submitter,
            acceptedAt: acceptedAt, arrivedAt: arrivedAt, identity: identity, snapshot: try data(),
            sha256: try text(),
            templateName: try optionalText(), templateText: try data(), ticket: try optionalText(),
            requeueOf: try optionalText(), runner: try text())
        if version >= 2 {
            acceptance.calledTemplates = try list {
                CalledTemplate(name: try $0.text(), bytes: try $0.data())
            }
        }
        if version >= 3 { acceptance.terms = Terms(try map()) }
        return acceptance
    }
    private mutating func optionalText() throws -> String? {
        try optional { try $0.text() }
    }
    private mutating func optionalTime() throws -> Timestamp? {
        try optional { try $0.time() }
    }
    fileprivate mutating func step() throws -> StepRecord {
        return StepRecord(
            place: try place(), title: try text(),
            id: try optionalText(), type: try text(), runAttempt: try integer(),
            attempt: try integer(), state: try word(StepState.self),
            startedAt: try time(),
            endedAt: try optionalTime(), outputs: try map(),
            failure: try optional { try $0.failure() }, log: try optionalText(),
            retryAt: version < 2 ? nil : try optionalTime())
    }
    fileprivate mutating func place() throws -> StepPlace {
        let section = try word(Section.self)
        return StepPlace(section, version < 2 ? [try integer()] : try list { try $0.integer() })
    }
    private mutating func integer() throws -> Int { Int(truncatingIfNeeded: try number()) }
    fileprivate mutating func failure() throws -> Failure {
        Failure(
            try text(), try text(), whatToDo: try text(), kind: try word(Failure.Kind.self),
            retry: try word(Failure.Retry.self), step: try optionalText(),
            exitCode: version < 2 ? nil : try optional { Int(truncatingIfNeeded: try $0.signed()) })
    }
    fileprivate mutating func wait() throws -> Wait {
        let reason = try word(Wait.Reason.self)
        let until = try optionalTime()
        return Wait(
            reason, until: until, since: try time(), nextAttempt: try integer(),
            step: version < 2 ? nil : try optional { try $0.place() })
    }
    fileprivate mutating func record() throws -> RunRecord {
        var record = RunRecord(try acceptance())
        record.state = try state()
        record.attempt = try integer()
        record.startedAt = try optionalTime()
        record.endedAt = try optionalTime()
        record.steps = try list { try $0.step() }
        record.waits = try list { r in
            WaitRecord(wait: try r.wait(), endedAt: try r.optionalTime())
        }
        record.failure = try optional { try $0.failure() }
        record.outputs = try map()
        record.result = try data()
        record.answer = try optional { r in
            RunRecord.Answer(
                resolution: try r.word(Resolution.self),
                place: r.version < 2 ? nil : try r.optional { try $0.place() })
        }
        if version >= 2 {
            record.mainEnd = try optional { r in
                RunRecord.MainEnd(attempt: try r.integer(), failure: try r.optional { try $0.failure() })
            }
        }
        if version >= 4 { record.approvals = try list { try $0.approval() } }
        return record
    }
    fileprivate mutating func approvalEvent() throws -> ApprovalEvent {
        switch try byte() {
        case 0: .asked(at: try time(), until: try time())
        case 1: .decided(try decision())
        case 2: .expired(at: try time())
        case 3: .reminded(at: try time())
        case 4: .escalated(at: try time())
        default: throw fail("something about a question")
        }
    }
    private mutating func approval() throws -> Approval {
        var approval = Approval(try place(), nonce: try text())
        approval.askedAt = try optionalTime()
        approval.expiresAt = try optionalTime()
        approval.expiredAt = try optionalTime()
        approval.remindedAt = try optionalTime()
        approval.escalatedAt = try optionalTime()
        approval.decisions = try list { try $0.decision() }
        return approval
    }
    private mutating func decision() throws -> Decision {
        Decision(
            try word(Decision.Verdict.self),
            by: Submitter(uid: UInt32(truncatingIfNeeded: try number()), name: try text()), at: try time(),
            comment: try text(), inputs: try map(), sha256: try text(), isSelf: try flag(),
            isSigned: try flag())
    }
    private mutating func state() throws -> RunState {
        switch try byte() {
        case 0: .queued
        case 1: .running
        case 2: .waiting(try wait())
        case 3: .ended(try word(FinalState.self))
        default: throw fail("a state")
        }
    }
}
