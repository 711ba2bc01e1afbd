// What this is: what a step asks of people, what they have said, and what follows from that.
// Owns: ApprovalQuestion, Decision, Approval and the events of which it is made; k of n, deny before approve.
// Never: judges whether an answer counts (AccessControl does); reads a clock: what has expired is told by an event.
// On failure: fields that are no question give nil.

/// What a step asks. It is what the step hands on while its run waits, so the journal keeps it.
public struct ApprovalQuestion: Hashable, Sendable {
    public enum Risk: String, Sendable, CaseIterable, Comparable {
        case low, medium, high, critical
        public static func < (left: Risk, right: Risk) -> Bool {
            (allCases.firstIndex(of: left) ?? 0) < (allCases.firstIndex(of: right) ?? 0)
        }
    }

    public let fields: ValueMap
    /// The step that asks.
    public static let stepType = "human_confirm"

    /// `arguments`: those of `human_confirm`, complete. `next`: what follows once it is approved.
    public init(_ arguments: ValueMap, nonce: String, next: [Value]) {
        var fields = arguments
        fields["nonce"] = .string(nonce)
        fields["next"] = .list(next)
        self.fields = fields
    }
    /// What `fields` gave; nil where they are none.
    public init?(_ fields: ValueMap) {
        guard fields["nonce"]?.stringValue != nil, fields["message"] != nil else { return nil }
        self.fields = fields
    }

    public var nonce: String { fields["nonce"]?.stringValue ?? "" }
    public var message: String { fields["message"]?.text ?? "" }
    public var details: Value { fields["details"] ?? .null }
    public var risk: Risk { fields["risk_level"]?.stringValue.flatMap(Risk.init(rawValue:)) ?? .medium }
    public var role: Role { fields["required_role"]?.stringValue.flatMap(Role.init(word:)) ?? .editor }
    /// Accounts and `group:NAME`; empty: everybody with the role.
    public var approvers: [String] { texts("approvers") }
    /// How many different people must approve.
    public var wanted: Int { max(1, fields["approvals_required"]?.intValue ?? 1) }
    /// Nil: as the site has it.
    public var allowSelf: Bool? { fields["allow_self"]?.boolValue }
    public var needsSignature: Bool { fields["require_signature"]?.boolValue ?? false }
    public var timeout: Span {
        let minutes = fields["timeout_minutes"]?.doubleValue ?? ApprovalQuestion.standardMinutes
        // What is no number of minutes is refused before anybody is asked.
        let most = Double(ApprovalQuestion.mostMinutes)
        return Span(nanoseconds: Int64((min(max(minutes, 0), most) * 60e9).rounded()))
    }
    public static let standardMinutes = 30.0
    /// A year.
    public static let mostMinutes = 525_600
    public var autoAction: Decision.Verdict {
        fields["auto_action"]?.stringValue.flatMap(Decision.Verdict.init(rawValue:)) ?? .deny
    }
    public var form: [JobParameter] {
        (fields["inputs"]?.mapValue ?? [:]).entries.map { JobParameter($0.key, described: $0.value) }
    }
    public var notify: [String] { texts("notify") }
    public var remindEvery: Span? { fields["remind_every"].flatMap { Span($0) } }
    public var escalateTo: [String] { texts("escalate_to") }
    /// Half of the time there is, where the job does not say.
    public var escalateAfter: Span {
        fields["escalate_after"].flatMap { Span($0) } ?? Span(nanoseconds: timeout.nanoseconds / 2)
    }
    public var next: [Value] { fields["next"]?.listValue ?? [] }

    private func texts(_ name: String) -> [String] { (fields[name]?.listValue ?? []).map(\.text) }
}

/// What one person said.
public struct Decision: Hashable, Sendable {
    public enum Verdict: String, Sendable, CaseIterable { case approve, deny }
    public var verdict: Verdict
    public var by: Submitter
    public var at: Timestamp
    public var comment: String
    public var inputs: ValueMap
    /// Of the answer's bytes: the same file is not judged twice.
    public var sha256: String
    /// By who dropped the job.
    public var isSelf: Bool
    public var isSigned: Bool

    public init(
        _ verdict: Verdict, by: Submitter, at: Timestamp, comment: String = "", inputs: ValueMap = [:],
        sha256: String = "", isSelf: Bool = false, isSigned: Bool = false
    ) {
        self.verdict = verdict
        self.by = by
        self.at = at
        self.comment = comment
        self.inputs = inputs
        self.sha256 = sha256
        self.isSelf = isSelf
        self.isSigned = isSigned
    }
}

/// What has become of a question, from its publication on.
public struct Approval: Hashable, Sendable {
    public var place: StepPlace
    /// One question's own, used once.
    public var nonce: String
    public var askedAt: Timestamp?
    public var expiresAt: Timestamp?
    public var decisions: [Decision] = []
    public var expiredAt: Timestamp?
    public var remindedAt: Timestamp?
    public var escalatedAt: Timestamp?

    public init(_ place: StepPlace, nonce: String) {
        self.place = place
        self.nonce = nonce
    }

    public enum Outcome: Hashable, Sendable {
        case open(approvals: Int)
        case approved
        case denied(Decision)
        /// Nobody said enough in time; what the question says for that case.
        case timedOut(Decision.Verdict)
        public var isOpen: Bool { if case .open = self { true } else { false } }
    }
    /// A single denial counts more than any number of approvals; one person approves once.
    public func outcome(_ question: ApprovalQuestion) -> Outcome {
        if let denial = decisions.first(where: { $0.verdict == .deny }) { return .denied(denial) }
        let people = Set(decisions.map(\.by.uid)).count
        if people >= question.wanted { return .approved }
        return expiredAt == nil ? .open(approvals: people) : .timedOut(question.autoAction)
    }

    public mutating func apply(_ event: ApprovalEvent) {
        switch event {
        case .asked(let at, let until): (askedAt, expiresAt) = (at, until)
        case .decided(let decision):
            // The same file, recorded before a crash and after it.
            let isKnown = decisions.contains {
                !$0.sha256.isEmpty && $0.sha256 == decision.sha256 && $0.by == decision.by
            }
            if !isKnown { decisions.append(decision) }
        case .expired(let at): expiredAt = expiredAt ?? at
        case .reminded(let at): remindedAt = at
        case .escalated(let at): escalatedAt = at
        }
    }
}

public enum ApprovalEvent: Hashable, Sendable {
    /// The request is where people can see it; its time runs.
    case asked(at: Timestamp, until: Timestamp)
    case decided(Decision)
    case expired(at: Timestamp)
    case reminded(at: Timestamp)
    case escalated(at: Timestamp)
}

extension RunRecord {
    /// A step that waits for people, and what they have said so far.
    public struct Gate: Hashable, Sendable {
        public var step: StepRecord
        public var question: ApprovalQuestion
        public var approval: Approval

        public init(step: StepRecord, question: ApprovalQuestion, approval: Approval) {
            self.step = step
            self.question = question
            self.approval = approval
        }
    }
    /// The questions of this run to which there is no answer yet, or whose step has not seen it.
    public var gates: [Gate] {
        if case .ended = state { return [] }
        var seen: Set<StepPlace> = []
        var gates: [Gate] = []
        for step in steps.reversed() where step.runAttempt == attempt && seen.insert(step.place).inserted {
            guard step.state == .waiting, let question = ApprovalQuestion(step.outputs) else { continue }
            gates.append(
                Gate(
                    step: step, question: question,
                    approval: approval(question.nonce) ?? Approval(step.place, nonce: question.nonce)))
        }
        return gates.reversed()
    }
    public func approval(_ nonce: String) -> Approval? { approvals.first { $0.nonce == nonce } }
}
