// What this is: whether an answer to a question counts, and what it says (reliability.md 3.9 and rows A1 to A9).
// Owns: the conditions and their order, the codes E-APP-*.
// Never: opens a file, waits, records; one answer is judged without looking at any other.
// On failure: a Failure says which condition does not hold; the question stays open.
import JobModel

/// The file of an answer, as the held descriptor shows it.
public struct AnswerFile: Hashable, Sendable {
    public var owner: Submitter
    public var isRegular: Bool
    public var links: Int
    public var mode: UInt32
    /// Access rights beyond the mode.
    public var hasACL: Bool
    public var sha256: String
    public var isSigned: Bool

    public init(
        owner: Submitter, isRegular: Bool = true, links: Int = 1, mode: UInt32 = 0o644, hasACL: Bool = false,
        sha256: String, isSigned: Bool = false
    ) {
        self.owner = owner
        self.isRegular = isRegular
        self.links = links
        self.mode = mode
        self.hasACL = hasACL
        self.sha256 = sha256
        self.isSigned = isSigned
    }

    /// Whether nobody but its owner can have written what is in it.
    public func fault() -> Failure? {
        let what: String? =
            !isRegular
            ? "is no regular file"
            : links != 1
                ? "has \(links) names (hard links)"
                : mode & 0o022 != 0
                    ? "could have been written by others (mode 0\(String(mode, radix: 8)))"
                    : hasACL ? "has an access list that could let others write it" : nil
        return what.map {
            Failure(
                "E-APP-FILE", "the answer \($0), so nobody knows who wrote it",
                whatToDo: "Copy the request anew with `cp`, and save it with mode 0644 or less.",
                retry: .never)
        }
    }
}

/// What an answer says.
public struct Answer: Hashable, Sendable {
    public var nonce: String
    public var digest: String
    public var verdict: Decision.Verdict
    public var comment: String
    public var inputs: ValueMap

    public init(
        nonce: String, digest: String, verdict: Decision.Verdict, comment: String = "", inputs: ValueMap = [:]
    ) {
        self.nonce = nonce
        self.digest = digest
        self.verdict = verdict
        self.comment = comment
        self.inputs = inputs
    }
}

public struct ApprovalRules: Sendable {
    public var policy: AccessPolicy
    /// Of a text and a pattern; nil where that takes too long to say.
    public var matches: @Sendable (_ text: String, _ pattern: String) -> Bool?

    public init(
        _ policy: AccessPolicy, matches: @escaping @Sendable (_ text: String, _ pattern: String) -> Bool?
    ) {
        self.policy = policy
        self.matches = matches
    }

    /// The question that an answer is about, and what it must agree with.
    public struct Subject: Sendable {
        public var gate: RunRecord.Gate
        public var digest: String
        public var submitter: Submitter
        /// Those of earlier questions of the run.
        public var oldNonces: Set<String>

        public init(gate: RunRecord.Gate, digest: String, submitter: Submitter, oldNonces: Set<String>) {
            self.gate = gate
            self.digest = digest
            self.submitter = submitter
            self.oldNonces = oldNonces
        }
    }

    /// `now`: not less than any time that this site has seen, so that a clock set back gives nobody more time.
    public func judge(_ answer: Answer, _ file: AnswerFile, _ subject: Subject, now: Timestamp)
        throws(Failure) -> Decision
    {
        let (question, approval) = (subject.gate.question, subject.gate.approval)
        if let fault = file.fault() { throw fault }
        if let problem = contents(answer, subject) { throw problem }
        guard approval.outcome(question).isOpen else { throw stale("it is decided already") }
        guard let end = approval.expiresAt else { throw stale("it is not published yet") }
        guard now < end else { throw stale("its time ended at \(end.rfc3339)") }
        if let problem = person(file, answer.verdict, question) { throw problem }
        let isSelf = file.owner.uid == subject.submitter.uid
        if answer.verdict == .approve {
            if isSelf, !(question.allowSelf ?? !policy.isShared) {
                throw Failure(
                    "E-APP-SELF", "\(file.owner.name) dropped this job and may not approve it",
                    whatToDo: "Somebody else must answer.", retry: .never)
            }
            if approval.decisions.contains(where: { $0.by.uid == file.owner.uid }) {
                throw Failure(
                    "E-APP-TWICE",
                    "\(file.owner.name) has approved this already; it takes \(question.wanted) different people",
                    whatToDo: "Somebody else must answer as well.", retry: .never)
            }
        }
        return Decision(
            answer.verdict, by: file.owner, at: now, comment: answer.comment,
            inputs: answer.verdict == .approve ? try fill(question.form, answer.inputs) : [:],
            sha256: file.sha256, isSelf: isSelf, isSigned: file.isSigned)
    }

    /// The nonce and the digest bind an answer to what was asked: a file that its owner wrote for something else, and
    /// that somebody moved here, has neither.
    private func contents(_ answer: Answer, _ subject: Subject) -> Failure? {
        if subject.oldNonces.contains(answer.nonce) {
            return Failure(
                "E-APP-REPLAY", "this answer is to an earlier question of the same run",
                whatToDo: "Read the request that is open now, and answer that one.", retry: .never)
        }
        let isRight = answer.nonce == subject.gate.question.nonce && answer.digest == subject.digest
        return isRight
            ? nil
            : Failure(
                "E-APP-FORGED",
                "the answer's \(answer.nonce == subject.gate.question.nonce ? "digest" : "nonce") is not that of the request",
                whatToDo: "Copy the request itself and change only `decision`, `comment` and `inputs`.",
                retry: .never)
    }
    private func stale(_ why: String) -> Failure {
        Failure(
            "E-APP-STALE", "the question is closed: \(why)",
            whatToDo: "`bobbin approvals` lists what is open.", retry: .never)
    }

    private func person(_ file: AnswerFile, _ verdict: Decision.Verdict, _ question: ApprovalQuestion)
        -> Failure?
    {
        let who = file.owner
        if policy.isShared, who.uid == policy.service {
            return Failure(
                "E-APP-ROLE", "the service's own account (\(who.name)) approves nothing",
                whatToDo: "A person must answer from an account of his own.", retry: .never)
        }
        guard let role = policy.role(of: who), role >= question.role else {
            let has = policy.role(of: who).map { "is \($0.rawValue)" } ?? "has no role here"
            return Failure(
                "E-APP-ROLE", "\(who.name) \(has), and this needs \(question.role.orHigher)",
                whatToDo: "Somebody with that role must answer.", retry: .never)
        }
        guard policy.isListed(who, in: question.approvers) else {
            return Failure(
                "E-APP-ROLE",
                "\(who.name) is none of those who are asked: \(question.approvers.joined(separator: ", "))",
                whatToDo: "One of them must answer.", retry: .never)
        }
        // A no needs none: it can only stop what would go on.
        if verdict == .approve, policy.needsSignature(question), !file.isSigned {
            return ApprovalRules.unsigned("it is not")
        }
        return nil
    }
    public static func unsigned(_ why: String) -> Failure {
        Failure(
            "E-APP-SIGNATURE", "this answer must be signed: \(why)",
            whatToDo:
                "ssh-keygen -Y sign -n \(AnswerSignature.namespace) -f KEY ANSWER, then move ANSWER\(AnswerSignature.ending) and ANSWER into responses/; or: bobbin approve ID --sign KEY.",
            retry: .never)
    }

    private func fill(_ form: [JobParameter], _ given: ValueMap) throws(Failure) -> ValueMap {
        var filled = ValueMap()
        for entry in given.entries where !form.contains(where: { $0.name == entry.key }) {
            throw input("the form has no input `\(entry.key)`", form)
        }
        for field in form {
            guard let value = given[field.name], !value.isNull else {
                guard let standard = field.standard else {
                    throw input("`\(field.name)` must be filled in (\(field.kind.title))", form)
                }
                filled[field.name] = standard
                continue
            }
            if let fault = field.fault(of: value, matches: matches) {
                throw input("`\(field.name)` \(fault)", form)
            }
            filled[field.name] = field.kind.accept(value) ?? value
        }
        return filled
    }
    private func input(_ message: String, _ form: [JobParameter]) -> Failure {
        Failure(
            "E-APP-INPUT", message,
            whatToDo: form.isEmpty
                ? "This request has no form."
                : "Fill in `inputs:`: \(form.map(\.name).joined(separator: ", ")).",
            retry: .never)
    }
}
