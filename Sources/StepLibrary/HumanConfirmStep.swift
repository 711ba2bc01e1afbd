// What this is: the step `human_confirm`: the run waits, without a slot, until people have said yes or no.
// Owns: its table entry, the question, E-DENIED and what later steps learn of the answer.
// Never: judges an answer or looks at a clock: the desk records what people said and when their time was over.
// On failure: E-DENIED where somebody says no, or nobody says enough in time; the run ends `denied`.
import JobModel
import LinuxSystem

struct HumanConfirmStep: StepAction {
    static let table = StepType(
        ApprovalQuestion.stepType,
        "Asks people: the run waits without a slot for `approve` or `deny` in spool/approvals/.",
        parameters: [
            Parameter("message", .text, required: true, "what is asked"),
            Parameter("details", .any, "more that helps to decide; shown below the message"),
            Parameter(
                "timeout_minutes", .number, default: .int(30), range: 0...ApprovalQuestion.mostMinutes,
                "how long people have, from the publication on"
            ),
            Parameter(
                "auto_action", .choice(Decision.Verdict.allCases.map(\.rawValue).reversed()),
                default: .string("deny"), "what counts when nobody said enough in time"),
            Parameter(
                "required_role", .choice(Role.allCases.reversed().map(\.rawValue)),
                default: .string("Editor"),
                "who may answer: this role or a higher one"),
            Parameter(
                "risk_level", .choice(ApprovalQuestion.Risk.allCases.map(\.rawValue)),
                default: .string("medium"), "shown, and reported"),
            Parameter(
                "approvals_required", .integer, default: .int(1), range: 1...20,
                "how many different people must approve; one denial is enough"),
            Parameter(
                "approvers", .texts, default: .list([]),
                "only these accounts, or `group:NAME`, among those with the role"),
            Parameter(
                "allow_self", .flag,
                "whether who dropped the job may approve it; a private site allows it, a shared one does not"),
            Parameter(
                "require_signature", .flag,
                "a yes counts only when it is signed with an ssh key (ops/allowed_signers); some sites ask for that from a risk on"
            ),
            Parameter("inputs", .form, "a form that the approver fills in: names as in `params:`"),
            Parameter(
                "notify", .texts, default: .list([]),
                "who is told: notifiers of ops/notify.d/, or mail addresses"),
            Parameter("remind_every", .span, "tells them again, so often"),
            Parameter(
                "escalate_to", .texts, default: .list([]), "who is told when nobody has answered for long"),
            Parameter("escalate_after", .span, "how long that is; default: half of the time there is"),
        ],
        shorthand: "message",
        outputs: [
            ("confirmed", "true"), ("decision", "approve"),
            ("decided_by", "the accounts, in the order of their answers; empty when time decided"),
            ("comment", "what the last of them wrote"), ("inputs", "the filled form"),
            ("auto_approved", "whether time decided"),
            ("self_approved", "whether who dropped the job was among them"),
            ("requested_at", "when the question was published"), ("responded_at", "when it was decided"),
            ("response_time_ms", "what lies between"),
        ],
        example:
            "human_confirm: {message: \"Move {{ steps.found.count }} files?\", timeout_minutes: 30, auto_action: deny, required_role: Editor, risk_level: high}",
        ownTime: "timeout_minutes"
    ).inside
    var type: StepType { HumanConfirmStep.table }
    /// So that its request, however its characters have to be escaped, can be read and answered.
    private static let longest = 128 << 10

    func perform(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) -> ValueMap {
        try context.checkpoint()
        guard let before = context.before, let question = ApprovalQuestion(before) else {
            return try ask(arguments, context)
        }
        guard let approval = context.approval(question.nonce) else { return wait(before, context) }
        switch approval.outcome(question) {
        case .open: return wait(before, context)
        case .approved: return HumanConfirmStep.outputs(question, approval, isAuto: false)
        case .timedOut(.approve): return HumanConfirmStep.outputs(question, approval, isAuto: true)
        case .timedOut(.deny):
            throw denial(
                "nobody said enough in time: \(approval.decisions.count) of \(question.wanted) approvals within \(question.timeout.text)"
            )
        case .denied(let decision):
            throw denial(
                "\(decision.by.name) denied it" + (decision.comment.isEmpty ? "" : ": \(decision.comment)"))
        }
    }

    private func ask(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) -> ValueMap {
        let minutes = arguments["timeout_minutes"]?.doubleValue ?? 0
        guard minutes > 0 else { throw .parameter("`timeout_minutes` must be more than 0") }
        if arguments.text("message").trimmed.isEmpty { throw .parameter("`message` asks nothing") }
        if let every = arguments["remind_every"].flatMap({ Span($0) }), every < .seconds(1) {
            throw .parameter("`remind_every` must be at least 1s")
        }
        let question = ApprovalQuestion(arguments, nonce: Clocks.nonce(), next: context.upcoming())
        let size = Value.map(question.fields).roughBytes
        guard size <= HumanConfirmStep.longest else {
            throw .parameter(
                "what is asked has \(size) bytes, and \(HumanConfirmStep.longest) are the limit",
                whatToDo: "name a file in `details` instead of its contents")
        }
        return wait(question.fields, context)
    }
    private func wait(_ fields: ValueMap, _ context: any StepContext) -> ValueMap {
        context.suspend(.approval, until: nil)
        return fields
    }
    private func denial(_ message: String) -> Failure {
        Failure(
            "E-DENIED", message, whatToDo: "ask who decided; then drop the job again, or leave it",
            kind: .denied, retry: .never)
    }

    private static func outputs(_ question: ApprovalQuestion, _ approval: Approval, isAuto: Bool) -> ValueMap
    {
        var inputs = ValueMap()
        for field in question.form { inputs[field.name] = field.standard ?? .null }
        for decision in approval.decisions { inputs.merge(decision.inputs) }
        let end = isAuto ? approval.expiredAt : approval.decisions.map(\.at).max { $0 < $1 }
        var outputs: ValueMap = [
            "confirmed": .bool(true), "decision": .string(Decision.Verdict.approve.rawValue),
            "decided_by": .list(approval.decisions.map { .string($0.by.name) }),
            "comment": .string(approval.decisions.last?.comment ?? ""), "inputs": .map(inputs),
            "auto_approved": .bool(isAuto),
            "self_approved": .bool(approval.decisions.contains(where: \.isSelf)),
        ]
        if let asked = approval.askedAt, let end {
            outputs["requested_at"] = .string(asked.rfc3339)
            outputs["responded_at"] = .string(end.rfc3339)
            outputs["response_time_ms"] = .int(Int(end.since(asked).milliseconds))
        }
        return outputs
    }
}
