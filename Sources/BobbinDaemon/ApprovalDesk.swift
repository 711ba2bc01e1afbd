// What this is: the questions that runs of this runner ask of people: published, reminded of, answered, closed.
// Owns: requests/ and what comes into responses/; the order audit, journal, files; the time that questions have.
// Never: lets time run before a request can be seen; decides from a file name; goes on with a run itself.
// On failure: the request or the answer stays where it is and is taken up again in a few seconds.
import AccessControl
import JobLanguage
import JobModel
import LinuxSystem
import SpoolQueue
import YamlText

final class ApprovalDesk {
    private let core: RunnerCore
    private let notices: Notices
    /// Runs on, whatever they wait for besides.
    private let wake: (RunID) -> Bool
    /// Open questions of runs that wait, by request.
    private var open: [String: Entry] = [:]
    private var byRun: [RunID: Set<String>] = [:]
    private var unpublished: Set<String> = []
    /// The questions for whose answers a run has gone on already.
    private var awoken: [RunID: Set<String>] = [:]
    /// Answers that were there when this runner began.
    private var leftBehind: Set<String> = []
    private let began = Clocks.monotonic
    /// Answers that somebody has begun, as they were.
    private var begun: [String: Begun] = [:]
    /// Answers that may not be opened, and since when.
    private var closed: [String: Int64] = [:]
    private static let closedFor = Span.seconds(1)
    private struct Begun: Equatable {
        var inode: UInt64
        var changed: Int64
        init(_ status: FileStatus) { (inode, changed) = (status.inode, status.changed) }
    }
    /// When something is due by the clock on the wall; nil: nothing is.
    private var due: Timestamp?
    /// Monotonic: not before this, where what was due could not be recorded.
    private var timeAgain: Int64 = 0
    /// Monotonic: when files that were not whole, or could not be written, are looked at again.
    private var lookAgain = Int64.max
    private let clock: SiteClock
    private var nextCheckpoint: Int64 = 0

    private struct Entry {
        var run: RunID
        var gate: RunRecord.Gate
    }
    private static let checkpointEvery = Span.seconds(3600).nanoseconds
    private static let retry = Span.seconds(5).nanoseconds

    init(_ core: RunnerCore, notices: Notices, wake: @escaping (RunID) -> Bool) throws(SystemError) {
        self.core = core
        self.notices = notices
        self.wake = wake
        clock = try SiteClock(core.site.spool.state)
    }

    private var now: Timestamp { clock.now }
    private var policy: AccessPolicy { core.access }
    private var spool: Spool { core.site.spool }

    // MARK: what the main loop tells

    /// A run waits, or has something new to say.
    func look(_ run: RunID) {
        guard let record = core.journal.record(run) else { return forget(run) }
        let gates = record.gates
        guard !gates.isEmpty || byRun[run] != nil else { return }
        var ids: Set<String> = [], decided: [String] = []
        for gate in gates {
            let id = ApprovalForm.id(run, gate.step.place)
            guard gate.approval.outcome(gate.question).isOpen else {
                decided.append(gate.question.nonce)
                // An earlier life may have decided it and not come to close it.
                if open[id] == nil { closeFile(id, record, gate) }
                continue
            }
            ids.insert(id)
            if open[id]?.gate.question.nonce != gate.question.nonce, gate.approval.askedAt == nil {
                unpublished.insert(id)
            }
            open[id] = Entry(run: run, gate: gate)
            plan(gate)
        }
        let left = (byRun[run] ?? []).subtracting(ids)
        byRun[run] = ids.isEmpty ? nil : ids
        for id in left { close(id) }
        go(on: record, decided)
        publish()
    }

    /// Goes on with a run for whose steps there is an answer; once for each. One that is at work now is looked at when it waits.
    private func go(on record: RunRecord, _ decided: [String]) {
        guard case .waiting = record.state else { return }
        let fresh = decided.filter { !(awoken[record.id] ?? []).contains($0) }
        guard !fresh.isEmpty, wake(record.id) else { return }
        awoken[record.id, default: []].formUnion(fresh)
    }
    func ended(_ run: RunID) { forget(run) }

    private func forget(_ run: RunID) {
        awoken[run] = nil
        for id in byRun.removeValue(forKey: run) ?? [] { close(id) }
    }

    /// At the start: what the journal says, and files of an earlier life that nothing asks for any more.
    func begin(isLeader: Bool) {
        // Unreadable: an answer that was recorded is then called too late, which harms nobody.
        leftBehind = (try? Set(spool.responses.names())) ?? []
        let records = core.journal.liveRecords
        for record in records { look(record.id) }
        publishAgain()
        if isLeader { sweepRequests() }
    }

    var deadline: Int64 {
        guard let due else { return lookAgain }
        return min(lookAgain, max(timeAgain, Clocks.monotonic + max(0, due.since(now).nanoseconds)))
    }

    func tick(isLeader: Bool) {
        if Clocks.monotonic >= lookAgain {
            lookAgain = .max
            publish()
            sweep(isLeader: isLeader)
        }
        if let due, due <= now, Clocks.monotonic >= timeAgain { obeyTime() }
    }

    func keepHouse(isLeader: Bool) {
        clock.keep()
        publishAgain()
        guard isLeader else { return }
        sweepRequests()
        guard Clocks.monotonic >= nextCheckpoint else { return }
        nextCheckpoint = Clocks.monotonic + ApprovalDesk.checkpointEvery
        do throws(SystemError) { tell(try core.audit.checkpoint(at: now)) } catch {
            core.diskTrouble("the audit log", error)
        }
    }
    private func tell(_ checkpoint: String?) {
        guard let checkpoint else { return }
        core.log.info("audit", "checkpoint: \(checkpoint)")
    }

    // MARK: publishing

    /// Requests that were removed, or that a power cut emptied, are written again.
    func publishAgain() {
        guard open.count > unpublished.count else { return }
        // Unreadable: the next look sees more.
        guard let names = try? Set(spool.requests.names()) else { return }
        for id in open.keys where !unpublished.contains(id) {
            let name = id + ApprovalForm.ending
            // Only at the start: a look at each costs a call.
            // One that cannot be looked at is not empty as far as we know.
            let isEmpty = {
                Clocks.monotonic - self.began < ApprovalDesk.retry
                    && (try? self.spool.requests.status(name).size) == 0
            }
            if !names.contains(name) || isEmpty() { rewrite(id) }
        }
    }

    private func publish() {
        guard !unpublished.isEmpty else { return }
        let ids = Array(unpublished.sorted().prefix(ApprovalDesk.atOnce))
        if ids.count < unpublished.count { lookAgain = Clocks.monotonic }
        var asked: [(String, Entry)] = []
        for id in ids {
            guard var entry = open[id] else {
                unpublished.remove(id)
                continue
            }
            entry.gate.approval.apply(.asked(at: now, until: now.adding(entry.gate.question.timeout)))
            do {
                try write(id, entry, durable: ids.count < 8)
                asked.append((id, entry))
            } catch {
                // Nobody's time runs: it begins with the publication.
                core.diskTrouble("publishing requests in spool/\(SpoolName.requests)", error)
                lookAgain = min(lookAgain, Clocks.monotonic + ApprovalDesk.retry)
            }
        }
        do { if ids.count >= 8 { try spool.requests.syncFileSystem() } } catch {
            core.diskTrouble("publishing requests in spool/\(SpoolName.requests)", error)
            lookAgain = min(lookAgain, Clocks.monotonic + ApprovalDesk.retry)
            return
        }
        var last: UInt64 = 0
        for (id, entry) in asked {
            guard let at = entry.gate.approval.askedAt, let until = entry.gate.approval.expiresAt else {
                continue
            }
            last = core.journal.append(
                .approval(
                    entry.gate.step.place, nonce: entry.gate.question.nonce, .asked(at: at, until: until)),
                of: entry.run)
            open[id] = entry
            unpublished.remove(id)
            plan(entry.gate)
        }
        guard last > 0 else { return }
        core.journal.waitUntilDurable(last)
        for (id, entry) in asked {
            core.log.info(
                "approval",
                "step \(entry.gate.step.label) asks: spool/\(SpoolName.requests)/\(id)\(ApprovalForm.ending)",
                run: entry.run)
            notify(.asked, entry, entry.gate.question.notify)
        }
    }

    private func write(_ id: String, _ entry: Entry, durable: Bool) throws {
        guard let record = core.journal.record(entry.run) else { return }
        try AtomicFile.write(
            ApprovalForm.render(record, entry.gate, policy: policy),
            to: id + ApprovalForm.ending, in: spool.requests, mode: policy.isShared ? 0o640 : 0o644,
            existing: .replace, durable: durable)
    }
    private func rewrite(_ id: String) {
        guard let entry = open[id] else { return }
        do { try write(id, entry, durable: true) } catch {
            core.diskTrouble("writing request \(id)", error)
            lookAgain = min(lookAgain, Clocks.monotonic + ApprovalDesk.retry)
        }
    }

    // MARK: time

    /// The earliest instant at which something is to be done about this question.
    private func next(_ gate: RunRecord.Gate) -> Timestamp? {
        let (question, approval) = (gate.question, gate.approval)
        guard let asked = approval.askedAt, let end = approval.expiresAt else { return nil }
        var instants = [end]
        if let every = question.remindEvery { instants.append((approval.remindedAt ?? asked).adding(every)) }
        if !question.escalateTo.isEmpty, approval.escalatedAt == nil {
            instants.append(asked.adding(question.escalateAfter))
        }
        return instants.min { $0 < $1 }
    }
    private func plan(_ gate: RunRecord.Gate) {
        guard let instant = next(gate) else { return }
        due = due.map { min($0, instant) } ?? instant
    }

    /// What is due: at most so much of it as one turn of the main loop may take.
    private func obeyTime() {
        let now = now
        let ripe = open.filter { next($0.value.gate).map { $0 <= now } ?? false }.keys.sorted()
        let over = ripe.filter { open[$0]?.gate.approval.expiresAt.map { $0 <= now } ?? false }
        for id in ripe where !over.contains(id) { remind(id, now) }
        let isRecorded = expire(Array(over.prefix(ApprovalDesk.atOnce)), now)
        due = nil
        for entry in open.values { plan(entry.gate) }
        // What could not be recorded is not decided; it is tried again, but not at every turn.
        timeAgain = isRecorded ? 0 : Clocks.monotonic + ApprovalDesk.retry
    }

    private func remind(_ id: String, _ now: Timestamp) {
        guard let entry = open[id], let asked = entry.gate.approval.askedAt else { return }
        let (question, approval) = (entry.gate.question, entry.gate.approval)
        if let every = question.remindEvery, (approval.remindedAt ?? asked).adding(every) <= now {
            record(.reminded(at: now), id)
            notify(.reminder, entry, question.notify)
        }
        if !question.escalateTo.isEmpty, approval.escalatedAt == nil,
            asked.adding(question.escalateAfter) <= now
        {
            record(.escalated(at: now), id)
            notify(.escalation, entry, question.escalateTo)
        }
    }

    /// The time of these questions is over: in the audit log, then in the journal, then for the runs. False: not recorded.
    private func expire(_ ids: [String], _ now: Timestamp) -> Bool {
        let entries = ids.compactMap { id in
            open[id].map { entry in
                AuditEntry(
                    "approval.expired", id, by: nil, outcome: entry.gate.question.autoAction.rawValue,
                    why: "nobody said enough before \(entry.gate.approval.expiresAt?.rfc3339 ?? "")",
                    severity: .notice)
            }
        }
        guard audit(entries) else { return false }
        let last = ids.map { record(.expired(at: now), $0) }.max() ?? 0
        if last > 0 { core.journal.waitUntilDurable(last) }
        let over = ids.compactMap { open[$0] }
        for entry in over {
            core.log.info(
                "approval",
                "step \(entry.gate.step.label): time is over, which counts as \(entry.gate.question.autoAction.rawValue)",
                run: entry.run)
        }
        for run in Set(over.map(\.run)) { look(run) }
        return true
    }

    @discardableResult
    private func record(_ event: ApprovalEvent, _ id: String) -> UInt64 {
        guard let entry = open[id] else { return 0 }
        open[id]?.gate.approval.apply(event)
        return core.journal.append(
            .approval(entry.gate.step.place, nonce: entry.gate.question.nonce, event), of: entry.run)
    }

    // MARK: answers

    private struct Judged {
        var name: String
        var file: AnswerFile
        var answer: Answer
        var id: String
        var bytes: [UInt8]
    }
    private enum Verdict {
        case accepted(Decision, StepPlace, nonce: String, of: RunID)
        /// It is in the journal already.
        case recorded(RunID)
        case refused(Failure)
        /// Its signature is to come.
        case waits
    }
    /// Of all that is there at one time, so much is done; the rest in the next turn of the main loop.
    private static let atOnce = 1_000

    /// Looks at what lies in responses/.
    func sweep(isLeader: Bool) {
        var whole: [Judged] = []
        var refused: [(name: String, file: AnswerFile?, failure: Failure)] = []
        do {
            let names = try spool.responses.names().sorted().filter { !AnswerGate.isIgnored($0) }
            if begun.count > names.count { begun = begun.filter { names.contains($0.key) } }
            if !closed.isEmpty { closed = closed.filter { names.contains($0.key) } }
            for name in names {
                if whole.count + refused.count >= ApprovalDesk.atOnce {
                    lookAgain = Clocks.monotonic
                    break
                }
                let status = try spool.responses.statusIfPresent(name)
                if let status, begun[name] == Begun(status) { continue }
                let gate = AnswerGate(now: Timestamp(nanoseconds: Clocks.wall))
                switch try gate.examine(name, in: spool.responses) {
                case .gone: break
                case .waits(_, _, let span):
                    closed[name] = nil
                    // One without a decision is looked at again when it has changed; there may be thousands.
                    if let status, span >= AnswerGate.untilItChanges { begun[name] = Begun(status) }
                    lookAgain = min(lookAgain, Clocks.monotonic + span.nanoseconds)
                // Whose run it is about nobody knows: one judges for all.
                case .refused(let file, let failure): if isLeader { refused.append((name, file, failure)) }
                case .closed(let failure):
                    let since = closed[name] ?? Clocks.monotonic
                    closed[name] = since
                    let end = since + ApprovalDesk.closedFor.nanoseconds
                    if Clocks.monotonic < end {
                        lookAgain = min(lookAgain, end)
                    } else if isLeader {
                        closed[name] = nil
                        refused.append((name, nil, failure))
                    }
                case .whole(let file, let id, let answer, let bytes):
                    whole.append(Judged(name: name, file: file, answer: answer, id: id, bytes: bytes))
                }
            }
        } catch {
            core.diskTrouble("reading spool/\(SpoolName.responses)", error)
            lookAgain = min(lookAgain, Clocks.monotonic + ApprovalDesk.retry)
        }
        for (name, file, failure) in refused {
            refuse(name, file, failure, about: "?")
        }
        // Denials first: of two answers that came at one time, no counts more than yes.
        let denials = whole.filter { $0.answer.verdict == .deny },
            others = whole.filter { $0.answer.verdict != .deny }
        judge(denials + others, isLeader: isLeader)
    }

    /// Judges them one by one, each after those before it; then writes all of them down at once.
    private func judge(_ answers: [Judged], isLeader: Bool) {
        guard !answers.isEmpty else { return }
        var verdicts: [(Judged, Verdict)] = []
        var records: [RunID: (record: RunRecord, gates: [StepPlace: RunRecord.Gate])] = [:]
        var running: Set<RunID>?
        for judged in answers {
            guard let (run, place) = ApprovalForm.run(of: judged.id) else {
                if isLeader { verdicts.append((judged, .refused(ApprovalDesk.noRequest(judged.id)))) }
                continue
            }
            if records[run] == nil, let record = core.journal.record(run) {
                records[run] = (
                    record,
                    Dictionary(
                        record.gates.map { ($0.step.place, $0) }, uniquingKeysWith: { first, _ in first })
                )
            }
            guard let (record, gates) = records[run] else {
                // Unreadable: nobody's answer is refused for that; the next look knows more.
                if isLeader, running == nil { running = try? Whereabouts.running(in: spool) }
                if isLeader, let running, !running.contains(run) {
                    verdicts.append((judged, .refused(ApprovalDesk.stale(judged.id, nil))))
                }
                continue
            }
            let verdict = verdict(judged, record, gates[place])
            if case .waits = verdict {
                lookAgain = min(lookAgain, Clocks.monotonic + Span.seconds(1).nanoseconds)
                continue
            }
            if case .accepted(let decision, _, _, _) = verdict {
                records[run]?.gates[place]?.approval.apply(.decided(decision))
            }
            verdicts.append((judged, verdict))
        }
        writeDown(verdicts)
    }

    private func verdict(_ judged: Judged, _ record: RunRecord, _ gate: RunRecord.Gate?) -> Verdict {
        // Only what lay there at the start: a crash may have come between the record and the move of the file.
        let isKnown =
            leftBehind.contains(judged.name)
            && record.approval(judged.answer.nonce)?.decisions.contains {
                $0.sha256 == judged.file.sha256 && $0.by.uid == judged.file.owner.uid
            } ?? false
        if isKnown { return .recorded(record.id) }
        guard let gate else { return .refused(ApprovalDesk.stale(judged.id, record)) }
        let subject = ApprovalRules.Subject(
            gate: gate, digest: ApprovalForm.digest(record.acceptance, gate),
            submitter: record.acceptance.submitter,
            oldNonces: Set(record.approvals.map(\.nonce)).subtracting([gate.question.nonce]))
        do throws(Failure) {
            let rules = ApprovalRules(policy) { JobParameter.matches($0, $1) }
            var file = judged.file
            let isSigned = judged.answer.verdict == .approve && policy.needsSignature(gate.question)
            // Everything else first: whose answer would not count anyway is told so at once.
            file.isSigned = isSigned
            let decision = try rules.judge(judged.answer, file, subject, now: now)
            if isSigned {
                switch signature(judged) {
                case .good: break
                case .waits: return .waits
                case .bad(let why): throw ApprovalRules.unsigned(why)
                }
            }
            return .accepted(decision, gate.step.place, nonce: gate.question.nonce, of: record.id)
        } catch { return .refused(error) }
    }

    private enum Signature { case good, waits, bad(String) }
    /// What lies beside the answer under its name and `.sig`; it may come a moment later.
    private func signature(_ judged: Judged) -> Signature {
        let name = judged.name + AnswerSignature.ending
        do throws(SystemError) {
            guard let status = try spool.responses.statusIfPresent(name) else {
                let age = try now.nanoseconds - spool.responses.status(judged.name).changed
                return (0..<AnswerGate.patience.nanoseconds).contains(age) ? .waits : .bad("it is not")
            }
            guard status.kind == .regular else { return .bad("\(name) is a \(status.kindName)") }
            let bytes = try spool.responses.openForReading(name).read(upTo: 1 << 17)
            let ops = "\(core.site.path)/ops"
            switch try AnswerSignature.check(judged.bytes, bytes, by: judged.file.owner, ops: ops) {
            case .good: return .good
            case .bad(let why): return .bad(why)
            }
        } catch {
            core.diskTrouble("the signature \(name)", error)
            return .waits
        }
    }

    /// The audit log, then the journal, then the files: what cannot be written down does not count, and waits.
    private func writeDown(_ verdicts: [(Judged, Verdict)]) {
        let entries = verdicts.compactMap { judged, verdict in ApprovalDesk.entry(judged, verdict) }
        guard audit(entries) else { return }
        var last: UInt64 = 0
        for (_, verdict) in verdicts {
            guard case .accepted(let decision, let place, let nonce, let run) = verdict else { continue }
            last = core.journal.append(.approval(place, nonce: nonce, .decided(decision)), of: run)
        }
        if last > 0 { core.journal.waitUntilDurable(last) }
        var runs: [RunID] = [], changed: Set<String> = []
        for (judged, verdict) in verdicts {
            switch verdict {
            case .accepted(let decision, _, let nonce, let run):
                let text = told(decision, nonce, run)
                core.log.info("approval", "\(judged.id): \(text) by \(decision.by.name)", run: run)
                settle(judged.name, judged.file, "accepted", text, nil, about: judged.id)
                runs.append(run)
                changed.insert(judged.id)
            case .recorded(let run):
                settle(
                    judged.name, judged.file, "accepted", "it was recorded just before a restart", nil,
                    about: judged.id)
                runs.append(run)
            case .refused(let failure): putAside(judged.name, judged.file, failure, about: judged.id)
            case .waits: break
            }
        }
        for run in Set(runs) { look(run) }
        // Those that wait for more people say how many there are.
        for id in changed where open[id] != nil { rewrite(id) }
    }

    private func told(_ decision: Decision, _ nonce: String, _ run: RunID) -> String {
        let word = ApprovalDesk.word(decision)
        guard let entry = open.values.first(where: { $0.gate.question.nonce == nonce }),
            let after = core.journal.record(run)?.approval(nonce), after.outcome(entry.gate.question).isOpen
        else { return word }
        return
            "\(word): \(Set(after.decisions.map(\.by.uid)).count) of \(entry.gate.question.wanted) approvals"
    }
    private static func word(_ decision: Decision) -> String {
        decision.verdict.rawValue
            + (decision.isSelf && decision.verdict == .approve ? " (self-approved)" : "")
    }

    /// False where it cannot be recorded: it is tried again in a few seconds.
    private func audit(_ entries: [AuditEntry]) -> Bool {
        guard !entries.isEmpty else { return true }
        do throws(SystemError) {
            tell(try core.audit.append(entries, at: now))
            return true
        } catch {
            core.diskTrouble("the audit log: answers cannot be recorded, so they wait", error)
            lookAgain = min(lookAgain, Clocks.monotonic + ApprovalDesk.retry)
            return false
        }
    }

    private static func entry(_ judged: Judged, _ verdict: Verdict) -> AuditEntry? {
        switch verdict {
        case .accepted(let decision, _, _, _):
            AuditEntry(
                "approval.decided", judged.id, by: decision.by, file: "sha256:\(decision.sha256)",
                outcome: word(decision), why: decision.comment, severity: .notice)
        case .recorded, .waits: nil
        case .refused(let failure): refusal(judged.id, judged.file.owner, judged.file.sha256, failure)
        }
    }
    private static func refusal(_ id: String, _ owner: Submitter?, _ sha256: String, _ failure: Failure)
        -> AuditEntry
    {
        let isGrave = ["E-APP-FORGED", "E-APP-REPLAY", "E-APP-SELF", "E-APP-FILE", "E-APP-ROLE"].contains(
            failure.code)
        return AuditEntry(
            "approval.refused", id, by: owner, file: sha256.isEmpty ? nil : "sha256:\(sha256)",
            outcome: failure.code,
            why: failure.message, severity: isGrave ? .high : .notice)
    }

    private static func noRequest(_ id: String) -> Failure {
        Failure(
            "E-APP-FORM", "`\(id.prefix(80))` names no request", whatToDo: "Copy the whole request.",
            retry: .never)
    }
    private static func stale(_ id: String, _ record: RunRecord?) -> Failure {
        var why = "there is no such request any more"
        if let place = ApprovalForm.run(of: id)?.place,
            let approval = record?.approvals.last(where: { $0.place == place })
        {
            if let last = approval.decisions.last {
                why = "it was closed at \(last.at.rfc3339) by \(last.by.name)"
            } else if let end = approval.expiredAt {
                why = "its time ended at \(end.rfc3339)"
            }
        }
        return Failure(
            "E-APP-STALE", "the question is closed: \(why)",
            whatToDo: "`bobbin approvals` lists what is open.", retry: .never)
    }

    private func refuse(_ name: String, _ file: AnswerFile?, _ failure: Failure, about id: String) {
        let entry = ApprovalDesk.refusal(id, file?.owner ?? owner(of: name), file?.sha256 ?? "", failure)
        if audit([entry]) { putAside(name, file, failure, about: id) }
    }
    private func putAside(_ name: String, _ file: AnswerFile?, _ failure: Failure, about id: String) {
        core.log.warn(
            "approval",
            "\(id): an answer of \(file?.owner.name ?? "?") does not count: \(failure.message) [\(failure.code)]"
        )
        settle(name, file, "refused", failure.message, failure, about: id)
    }
    private func owner(of name: String) -> Submitter? {
        // Gone meanwhile: then nobody knows.
        (try? spool.responses.statusIfPresent(name)).map {
            Submitter(uid: $0.uid, name: Host.userName($0.uid))
        }
    }

    /// Puts an answer aside, with what became of it beside it.
    private func settle(
        _ name: String, _ file: AnswerFile?, _ outcome: String, _ message: String, _ failure: Failure?,
        about id: String
    ) {
        do {
            let closed = "\(Identities.fresh())~\(DropName.escaped(name))"
            guard try Move(spool).close(approvalFile: name, from: spool.responses, as: closed) else { return }
            // Whatever it was worth, it belongs to its answer.
            _ = try Move(spool).close(
                approvalFile: name + AnswerSignature.ending, from: spool.responses,
                as: closed + AnswerSignature.ending)
            var map: [(String, YamlOut)] = [
                ("request", .string(Printable.escape(id))), ("answer", .string(Printable.escape(name))),
                ("outcome", .string(outcome)), ("message", .string(message)),
            ]
            if let failure {
                map.append(("code", .string(failure.code)))
                map.append(("what_to_do", .string(failure.whatToDo)))
            }
            if let owner = file?.owner {
                map.append(("by", .string(owner.name)))
                map.append(("uid", .int(Int(owner.uid))))
            }
            map.append(("at", .string(now.rfc3339)))
            // The decision is in the journal and in the audit log; this is for whoever looks.
            try AtomicFile.write(
                Array(YamlWriter.write(map).utf8), to: closed + ".verdict.yaml", in: spool.approvalsClosed,
                durable: false)
        } catch {
            core.diskTrouble("closing answer \(name)", error)
            lookAgain = min(lookAgain, Clocks.monotonic + ApprovalDesk.retry)
        }
    }

    // MARK: closing requests

    private func close(_ id: String) {
        unpublished.remove(id)
        guard let entry = open.removeValue(forKey: id) else { return }
        var gate = entry.gate
        gate.approval = core.journal.record(entry.run)?.approval(gate.question.nonce) ?? gate.approval
        closeFile(id, core.journal.record(entry.run), gate)
        if gate.approval.askedAt != nil {
            notify(.closed(ApprovalDesk.word(gate)), entry, gate.question.notify)
        }
    }

    private static func word(_ gate: RunRecord.Gate) -> String {
        let result = gate.approval.outcome(gate.question)
        // Its run has ended, or asks something else now.
        return result.isOpen ? ApprovalText.void : ApprovalText.outcome(result)
    }

    /// Moves the request away, with what became of it beside it. `gate`: nil where nobody knows any more.
    private func closeFile(_ id: String, _ record: RunRecord?, _ gate: RunRecord.Gate?) {
        do {
            let name = id + ApprovalForm.ending
            let closed = "\(Identities.fresh())~\(name)"
            guard try Move(spool).close(approvalFile: name, from: spool.requests, as: closed) else { return }
            var map: [(String, YamlOut)] = [
                ("request", .string(id)),
                ("outcome", .string(gate.map(ApprovalDesk.word) ?? ApprovalText.void)),
            ]
            if let approval = gate?.approval {
                map.append(
                    ("decisions", .list(approval.decisions.map { ResultFile.out(ApprovalText.value($0)) })))
                if let at = approval.expiredAt ?? approval.decisions.last?.at {
                    map.append(("at", .string(at.rfc3339)))
                }
            }
            try AtomicFile.write(
                Array(YamlWriter.write(map).utf8), to: closed + ".decision.yaml", in: spool.approvalsClosed,
                durable: false)
        } catch {
            // The leader's next look at requests/ finds it.
            core.diskTrouble("closing request \(id)", error)
        }
    }

    /// Requests that nothing asks any more: their run ended in a moment when nobody could close them.
    private func sweepRequests() {
        do {
            let names = try spool.requests.names().filter {
                $0.hasSuffix(ApprovalForm.ending) && !$0.hasPrefix(".")
            }
            let ids = names.map { String($0.dropLast(ApprovalForm.ending.count)) }.filter { open[$0] == nil }
            guard !ids.isEmpty else { return }
            let running = try Whereabouts.running(in: spool)
            for id in ids {
                guard let (run, place) = ApprovalForm.run(of: id) else { continue }
                if let record = core.journal.record(run) {
                    if !record.gates.contains(where: { $0.step.place == place }) {
                        closeFile(id, record, nil)
                    }
                } else if !running.contains(run) {
                    closeFile(id, nil, nil)
                }
            }
        } catch { core.diskTrouble("looking at spool/\(SpoolName.requests)", error) }
    }

    private func notify(_ kind: Notices.Kind, _ entry: Entry, _ names: [String]) {
        guard let record = core.journal.record(entry.run) else { return }
        let all = names.isEmpty ? core.configuration.approvals.notify : names
        notices.tell(kind, record, entry.gate, to: all, from: core.configuration.approvals.mailFrom)
    }
}
