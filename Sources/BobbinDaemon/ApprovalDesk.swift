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
    private let wake: (RunID) -> Void
    /// Open questions of runs that wait, by request.
    private var open: [String: Entry] = [:]
    private var byRun: [RunID: Set<String>] = [:]
    private var unpublished: Set<String> = []
    /// When something is due by the clock on the wall; nil: nothing is.
    private var due: Timestamp?
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

    init(_ core: RunnerCore, notices: Notices, wake: @escaping (RunID) -> Void) throws(SystemError) {
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
        var ids: Set<String> = []
        var isDecided = false
        for gate in gates {
            let id = ApprovalForm.id(run, gate.step.place)
            guard gate.approval.outcome(gate.question).isOpen else {
                isDecided = true
                // Also where an earlier life had decided it and did not come to close it.
                open[id] = Entry(run: run, gate: gate)
                close(id)
                continue
            }
            ids.insert(id)
            open[id] = Entry(run: run, gate: gate)
            if gate.approval.askedAt == nil { unpublished.insert(id) }
            plan(gate)
        }
        let left = (byRun[run] ?? []).subtracting(ids)
        byRun[run] = ids.isEmpty ? nil : ids
        for id in left { close(id) }
        if isDecided { wake(run) }
        publish()
    }
    func ended(_ run: RunID) { forget(run) }

    private func forget(_ run: RunID) {
        for id in byRun.removeValue(forKey: run) ?? [] { close(id) }
    }

    /// At the start: what the journal says, and files of an earlier life that nothing asks for any more.
    func begin(isLeader: Bool) {
        let records = core.journal.liveRecords
        for record in records { look(record.id) }
        let askedHere = Set(open.keys)
        for id in askedHere where !unpublished.contains(id) {
            // A file that a power cut emptied, or somebody removed.
            if ((try? spool.requests.statusIfPresent(id + ApprovalForm.ending))?.size ?? 0) == 0 {
                rewrite(id)
            }
        }
        if isLeader { sweepRequests() }
    }

    var deadline: Int64 {
        guard let due else { return lookAgain }
        return min(lookAgain, Clocks.monotonic + max(0, due.since(now).nanoseconds))
    }

    func tick(isLeader: Bool) {
        if Clocks.monotonic >= lookAgain {
            lookAgain = .max
            publish()
            sweep(isLeader: isLeader)
        }
        if let due, due <= now { obeyTime() }
    }

    func keepHouse(isLeader: Bool) {
        clock.keep()
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

    private func publish() {
        guard !unpublished.isEmpty else { return }
        let ids = unpublished.sorted()
        var asked: [(String, Entry)] = []
        do {
            for id in ids {
                guard var entry = open[id] else { continue }
                entry.gate.approval.apply(.asked(at: now, until: now.adding(entry.gate.question.timeout)))
                try write(id, entry, durable: ids.count < 8)
                asked.append((id, entry))
            }
            if ids.count >= 8 { try spool.requests.syncFileSystem() }
        } catch {
            // Nobody's time runs: it begins with the publication.
            core.diskTrouble("publishing requests in spool/\(SpoolName.requests)", error)
            lookAgain = min(lookAgain, Clocks.monotonic + ApprovalDesk.retry)
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
            ApprovalForm.render(record, entry.gate, isSharedSite: policy.isShared),
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

    private func obeyTime() {
        let now = now
        due = nil
        var expired: [RunID] = []
        for (id, entry) in open.sorted(by: { $0.key < $1.key }) {
            if let instant = next(entry.gate), instant <= now, expire(id, entry, now) {
                expired.append(entry.run)
            }
            if let entry = open[id] { plan(entry.gate) }
        }
        for run in Set(expired) { look(run) }
    }

    /// Whether its time is over, and recorded to be.
    private func expire(_ id: String, _ entry: Entry, _ now: Timestamp) -> Bool {
        let (question, approval) = (entry.gate.question, entry.gate.approval)
        guard let asked = approval.askedAt, let end = approval.expiresAt else { return false }
        guard end <= now else {
            if let every = question.remindEvery, (approval.remindedAt ?? asked).adding(every) <= now {
                record(.reminded(at: now), id, durable: false)
                notify(.reminder, entry, question.notify)
            }
            if !question.escalateTo.isEmpty, approval.escalatedAt == nil,
                asked.adding(question.escalateAfter) <= now
            {
                record(.escalated(at: now), id, durable: false)
                notify(.escalation, entry, question.escalateTo)
            }
            return false
        }
        do throws(SystemError) {
            tell(
                try core.audit.append(
                    [
                        AuditEntry(
                            "approval.expired", id, by: nil, outcome: question.autoAction.rawValue,
                            why: "nobody said enough before \(end.rfc3339)", severity: .notice)
                    ], at: now))
        } catch {
            core.diskTrouble("the audit log", error)
            due = now.adding(.seconds(5))
            return false
        }
        record(.expired(at: now), id, durable: true)
        core.log.info(
            "approval", "\(id): its time is over, which counts as \(question.autoAction.rawValue)",
            run: entry.run)
        return true
    }

    private func record(_ event: ApprovalEvent, _ id: String, durable: Bool) {
        guard let entry = open[id] else { return }
        let sequence = core.journal.append(
            .approval(entry.gate.step.place, nonce: entry.gate.question.nonce, event), of: entry.run)
        if durable { core.journal.waitUntilDurable(sequence) }
        open[id]?.gate.approval.apply(event)
    }

    // MARK: answers

    private struct Judged {
        var name: String
        var file: AnswerFile
        var answer: Answer
        var id: String
    }

    /// Looks at all that lies in responses/.
    func sweep(isLeader: Bool) {
        var whole: [Judged] = []
        do {
            for name in try spool.responses.names().sorted() where !AnswerGate.isIgnored(name) {
                switch try AnswerGate(now: Timestamp(nanoseconds: Clocks.wall)).examine(
                    name, in: spool.responses)
                {
                case .gone: break
                case .waits(_, _, let span):
                    lookAgain = min(lookAgain, Clocks.monotonic + span.nanoseconds)
                case .refused(let file, let failure):
                    // Whose run it is about nobody knows: one judges for all.
                    if isLeader { refuse(name, file, failure, about: "?") }
                case .whole(let file, let id, let answer):
                    whole.append(Judged(name: name, file: file, answer: answer, id: id))
                }
            }
        } catch {
            core.diskTrouble("reading spool/\(SpoolName.responses)", error)
            lookAgain = min(lookAgain, Clocks.monotonic + ApprovalDesk.retry)
        }
        // Denials first: of two answers that came at one time, no counts more than yes.
        for answer in whole.sorted(by: { $0.answer.verdict == .deny && $1.answer.verdict == .approve }) {
            judge(answer, isLeader: isLeader)
        }
    }

    private func judge(_ judged: Judged, isLeader: Bool) {
        guard let (run, place) = ApprovalForm.run(of: judged.id) else {
            if isLeader {
                refuse(
                    judged.name, judged.file,
                    Failure(
                        "E-APP-FORM", "`\(judged.id.prefix(80))` names no request",
                        whatToDo: "Copy the whole request.", retry: .never), about: judged.id)
            }
            return
        }
        guard let record = core.journal.record(run) else {
            if isLeader, !core.isElsewhere(run) {
                refuse(judged.name, judged.file, stale(judged.id), about: judged.id)
            }
            return
        }
        // One that was recorded just before a crash.
        let isKnown = record.approvals.contains { approval in
            approval.decisions.contains {
                $0.sha256 == judged.file.sha256 && $0.by.uid == judged.file.owner.uid
            }
        }
        if isKnown {
            settle(
                judged.name, judged.file, "recorded", "the answer was recorded before a restart", nil,
                about: judged.id)
            return look(run)
        }
        guard let gate = record.gates.first(where: { $0.step.place == place }) else {
            return refuse(judged.name, judged.file, stale(judged.id, record), about: judged.id)
        }
        let subject = ApprovalRules.Subject(
            gate: gate, digest: ApprovalForm.digest(record.acceptance, gate),
            submitter: record.acceptance.submitter,
            oldNonces: Set(record.approvals.map(\.nonce)).subtracting([gate.question.nonce]))
        let rules = ApprovalRules(policy) { JobParameter.matches($0, $1) }
        do throws(Failure) {
            accept(try rules.judge(judged.answer, judged.file, subject, now: now), judged, record)
        } catch {
            refuse(judged.name, judged.file, error, about: judged.id)
        }
    }

    private func accept(_ decision: Decision, _ judged: Judged, _ record: RunRecord) {
        guard let gate = record.gates.first(where: { ApprovalForm.id(record.id, $0.step.place) == judged.id })
        else {
            return
        }
        let word =
            decision.verdict.rawValue
            + (decision.isSelf && decision.verdict == .approve ? " (self-approved)" : "")
        do throws(SystemError) {
            tell(
                try core.audit.append(
                    [
                        AuditEntry(
                            "approval.decided", judged.id, by: decision.by, file: "sha256:\(decision.sha256)",
                            outcome: word, why: decision.comment, severity: .notice)
                    ], at: now))
        } catch {
            // What cannot be written down does not count: the answer waits.
            core.diskTrouble("the audit log", error)
            lookAgain = min(lookAgain, Clocks.monotonic + ApprovalDesk.retry)
            return
        }
        core.journal.waitUntilDurable(
            core.journal.append(
                .approval(gate.step.place, nonce: gate.question.nonce, .decided(decision)), of: record.id))
        core.log.info("approval", "\(judged.id): \(word) by \(decision.by.name)", run: record.id)
        let after = core.journal.record(record.id)?.approval(gate.question.nonce)
        let isOpen = after?.outcome(gate.question).isOpen ?? false
        let count = Set((after?.decisions ?? []).map(\.by.uid)).count
        settle(
            judged.name, judged.file, "accepted",
            isOpen ? "\(word): \(count) of \(gate.question.wanted) approvals" : word, nil, about: judged.id)
        look(record.id)
        if isOpen { rewrite(judged.id) }
    }

    private func stale(_ id: String, _ record: RunRecord? = nil) -> Failure {
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
            whatToDo: "`bobbin approvals` lists what is open.",
            retry: .never)
    }

    private func refuse(_ name: String, _ file: AnswerFile?, _ failure: Failure, about id: String) {
        let isGrave = ["E-APP-FORGED", "E-APP-REPLAY", "E-APP-SELF", "E-APP-FILE", "E-APP-ROLE"].contains(
            failure.code)
        do throws(SystemError) {
            tell(
                try core.audit.append(
                    [
                        AuditEntry(
                            "approval.refused", id, by: file?.owner ?? owner(of: name),
                            file: file.flatMap { $0.sha256.isEmpty ? nil : "sha256:\($0.sha256)" },
                            outcome: failure.code, why: failure.message, severity: isGrave ? .high : .notice)
                    ], at: now))
        } catch {
            core.diskTrouble("the audit log", error)
            lookAgain = min(lookAgain, Clocks.monotonic + ApprovalDesk.retry)
            return
        }
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
            var map: [(String, YamlOut)] = [
                ("request", .string(Printable.escape(id))), ("answer", .string(Printable.escape(name))),
                ("outcome", .string(outcome)),
                ("message", .string(message)),
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
            try AtomicFile.write(
                Array(YamlWriter.write(map).utf8), to: closed + ".verdict.yaml", in: spool.approvalsClosed)
        } catch {
            core.diskTrouble("closing answer \(name)", error)
            lookAgain = min(lookAgain, Clocks.monotonic + ApprovalDesk.retry)
        }
    }

    // MARK: closing requests

    private func close(_ id: String) {
        let entry = open.removeValue(forKey: id)
        unpublished.remove(id)
        guard let entry else { return closeFile(id, outcome: ApprovalText.void, [:]) }
        let approval =
            core.journal.record(entry.run)?.approval(entry.gate.question.nonce) ?? entry.gate.approval
        var map: ValueMap = [
            "decisions": .list(approval.decisions.map { ApprovalText.value($0) })
        ]
        let result = approval.outcome(entry.gate.question)
        // Its run has ended, or asks something else now.
        let outcome = result.isOpen ? ApprovalText.void : ApprovalText.outcome(result)
        if let at = approval.expiredAt ?? approval.decisions.last?.at { map["at"] = .string(at.rfc3339) }
        closeFile(id, outcome: outcome, map)
        if approval.askedAt != nil { notify(.closed(outcome), entry, entry.gate.question.notify) }
    }

    private func closeFile(_ id: String, outcome: String, _ more: ValueMap) {
        do {
            let name = id + ApprovalForm.ending
            let closed = "\(Identities.fresh())~\(name)"
            guard try Move(spool).close(approvalFile: name, from: spool.requests, as: closed) else { return }
            let map =
                [("request", YamlOut.string(id)), ("outcome", .string(outcome))]
                + more.entries.map { ($0.key, ResultFile.out($0.value)) }
            try AtomicFile.write(
                Array(YamlWriter.write(map).utf8), to: closed + ".decision.yaml", in: spool.approvalsClosed)
        } catch {
            // The leader's next look at requests/ finds it.
            core.diskTrouble("closing request \(id)", error)
        }
    }

    /// Requests that nothing asks any more: their run ended in a moment when nobody could close them.
    private func sweepRequests() {
        // Unreadable: the next look sees more.
        for name in (try? spool.requests.names()) ?? []
        where name.hasSuffix(ApprovalForm.ending) && !name.hasPrefix(".") {
            let id = String(name.dropLast(ApprovalForm.ending.count))
            guard open[id] == nil, let (run, place) = ApprovalForm.run(of: id) else { continue }
            if let record = core.journal.record(run) {
                if !record.gates.contains(where: { $0.step.place == place }) {
                    closeFile(id, outcome: ApprovalText.void, [:])
                }
            } else if !core.isElsewhere(run) {
                closeFile(id, outcome: ApprovalText.void, [:])
            }
        }
    }

    private func notify(_ kind: Notices.Kind, _ entry: Entry, _ names: [String]) {
        guard let record = core.journal.record(entry.run) else { return }
        let all = names.isEmpty ? core.configuration.approvals.notify : names
        notices.tell(kind, record, entry.gate, to: all, from: core.configuration.approvals.mailFrom)
    }
}
