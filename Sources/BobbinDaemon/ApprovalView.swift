// What this is: the open questions of a site, as a person asks for them.
// Owns: which are open, what lies unfinished in responses/.
// Never: writes; needs a runner.
// On failure: what cannot be read counts as nothing there.
import AccessControl
import JobModel
import LinuxSystem
import SpoolQueue

public struct ApprovalView: Sendable {
    public struct Row: Sendable {
        public var id: String
        public var run: RunRecord
        public var gate: RunRecord.Gate
        /// Who has begun an answer and not finished it.
        public var unfinished: [String]
    }
    public var rows: [Row] = []
    /// Files in responses/ that cannot be taken as answers yet, with why.
    public var waiting: [(file: String, why: String)] = []

    public init(_ site: Site) throws {
        ProcessSetup.outliveBrokenLeases()
        let gate = AnswerGate(now: Timestamp(nanoseconds: Clocks.wall))
        var begun: [String: [String]] = [:]
        for name in try site.spool.responses.names().sorted() where !AnswerGate.isIgnored(name) {
            // One that cannot be looked at is the runner's to tell of.
            guard case .waits(let why, let request, _)? = try? gate.examine(name, in: site.spool.responses)
            else {
                continue
            }
            waiting.append((name, why))
            // Gone meanwhile: then it is not begun.
            if let request, let owner = try? site.spool.responses.status(name).uid {
                begun[request, default: []].append(Host.userName(owner))
            }
        }
        for run in Replays.live(site.spool) {
            for gate in run.gates where gate.approval.outcome(gate.question).isOpen {
                let id = ApprovalForm.id(run.id, gate.step.place)
                rows.append(Row(id: id, run: run, gate: gate, unfinished: begun[id] ?? []))
            }
        }
    }

    /// By its id, the beginning of it, its run's id or ticket, or the file's path.
    public func find(_ text: String) -> [Row] {
        var key = text.split(separator: "/").last.map(String.init) ?? text
        if key.hasSuffix(ApprovalForm.ending) { key = String(key.dropLast(ApprovalForm.ending.count)) }
        if let exact = rows.first(where: { $0.id == key }) { return [exact] }
        return rows.filter { $0.id.hasPrefix(key.uppercased()) || $0.run.acceptance.ticket == key }
    }

    public static func value(_ row: Row, policy: AccessPolicy) -> Value {
        let (a, q, approval) = (row.run.acceptance, row.gate.question, row.gate.approval)
        return .map([
            "request": .string(row.id), "message": .string(q.shownMessage),
            "risk_level": .string(q.risk.rawValue),
            "job": .string(a.jobName), "run": .string(a.id.text), "step": .string(row.gate.step.label),
            "asked_by": .string(a.submitter.name),
            "who_may_answer": .string(ApprovalForm.whoMay(q, policy: policy)),
            "approvals": .int(Set(approval.decisions.map(\.by.uid)).count),
            "approvals_required": .int(q.wanted),
            "published": .bool(approval.askedAt != nil),
            "asked_at": approval.askedAt.map { .string($0.rfc3339) } ?? .null,
            "expires_at": approval.expiresAt.map { .string($0.rfc3339) } ?? .null,
            "then": .string(q.autoAction.rawValue),
            "inputs": .list(q.form.map { .string($0.name) }),
            "unfinished_answers": .list(row.unfinished.map(Value.string)),
            "next": .list(q.next),
        ])
    }
}
