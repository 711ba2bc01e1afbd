// What this is: the request file, which a person reads and answers by a copy of it (docs/APPROVING.md).
// Owns: its keys and their order, its digest, the reading of answers, E-APP-FORM.
// Never: judges who answers (ApprovalRules does); executes or renders anything that is in an answer.
// On failure: an answer that cannot be read is a Failure with line and column.
import AccessControl
import JobLanguage
import JobModel
import SpoolQueue
import YamlText

public enum ApprovalForm {
    public static let ending = ".yaml"
    /// More than any request can come to.
    static let longest = 1 << 20

    /// `<run>.<place>`: names the request and its file.
    public static func id(_ run: RunID, _ place: StepPlace) -> String { "\(run).\(place.text)" }
    public static func run(of id: String) -> (run: RunID, place: StepPlace)? {
        guard let run = RunID(String(id.prefix(26))), id.dropFirst(26).first == ".",
            let place = StepPlace(String(id.dropFirst(27)))
        else { return nil }
        return (run, place)
    }

    /// Binds an answer to what was accepted and to what was asked.
    public static func digest(_ acceptance: Acceptance, _ gate: RunRecord.Gate) -> String {
        var bytes: [UInt8] = []
        let parts: [[UInt8]] =
            [
                Array("bobbin request 1".utf8), Array(acceptance.id.text.utf8),
                Array(gate.step.place.text.utf8),
                Array(acceptance.sha256.utf8), acceptance.templateText,
            ] + acceptance.calledTemplates.flatMap { [Array($0.name.utf8), $0.bytes] } + [
                Array(JSONText.write(.map(gate.question.fields)).utf8)
            ]
        // Each with its length in front: no two lists of parts give the same bytes.
        for part in parts { bytes += Array("\(part.count):".utf8) + part }
        return "sha256:\(Digest.sha256(bytes))"
    }

    // MARK: writing

    public static func render(_ run: RunRecord, _ gate: RunRecord.Gate, policy: AccessPolicy) -> [UInt8] {
        let (a, q, approval) = (run.acceptance, gate.question, gate.approval)
        let id = id(a.id, gate.step.place)
        var lines: [String] = []
        for line in q.shownMessage.split(separator: "\n", omittingEmptySubsequences: false).prefix(20) {
            lines.append("# \(Printable.escape(String(line)))")
        }
        lines += [
            "#",
            "# Copy this file to spool/approvals/responses/, write `approve` or `deny` behind `decision:`, save.",
            "# Or:  bobbin approve \(id)     bobbin deny \(id) --comment \"why\"", "",
            "decision:", "comment:",
        ]
        if !q.form.isEmpty {
            lines.append("inputs:")
            for field in q.form { lines += rows(field) }
        }
        lines += ["", "# What you decide about. An answer in which this was changed does not count.", ""]
        var map: [(String, YamlOut)] = [
            ("request", .string(id)), ("nonce", .string(q.nonce)), ("digest", .string(digest(a, gate))),
            ("message", .string(q.shownMessage)),
        ]
        if !q.details.isNull { map.append(("details", ResultFile.out(q.shownDetails))) }
        map += [
            ("risk_level", .string(q.risk.rawValue)), ("job", .string(a.jobName)),
            ("run", .string(a.id.text)), ("step", .string(gate.step.label)),
            ("title", .string(gate.step.title)),
            ("queue", .string("\(a.queue), priority \(a.priority.level)")),
            ("job_file", .string("\(a.dropName), sha256:\(a.sha256)")),
        ]
        if let name = a.templateName { map.append(("template", .string(name))) }
        map += [
            ("asked_by", .string("\(a.submitter.name) (uid \(a.submitter.uid))")),
            ("who_may_answer", .string(whoMay(q, policy: policy))),
            ("approvals", .string("\(Set(approval.decisions.map(\.by.uid)).count) of \(q.wanted)")),
        ]
        if !approval.decisions.isEmpty {
            map.append(("approved_by", .list(approval.decisions.map { .string($0.by.name) })))
        }
        if let asked = approval.askedAt { map.append(("asked_at", .string(asked.rfc3339))) }
        if let end = approval.expiresAt {
            map.append(("expires_at", .string(end.rfc3339)))
            map.append(("then", .string(q.autoAction.rawValue)))
        }
        map.append(("next", next(q)))
        return Array((lines.joined(separator: "\n") + "\n" + YamlWriter.write(map) + "...\n").utf8)
    }

    private static func next(_ question: ApprovalQuestion) -> YamlOut {
        question.next.isEmpty
            ? .string("nothing: it is the last step") : .list(question.next.map(ResultFile.out))
    }

    /// Who an answer counts of, in words.
    public static func whoMay(_ question: ApprovalQuestion, policy: AccessPolicy) -> String {
        var text =
            question.approvers.isEmpty
            ? question.role.orHigher
            : "\(question.approvers.joined(separator: ", ")), if \(question.role.orHigher)"
        if question.wanted > 1 { text += "; \(question.wanted) different people" }
        if !(question.allowSelf ?? !policy.isShared) { text += "; not who dropped the job" }
        if policy.needsSignature(question) { text += "; signed" }
        return text
    }

    private static func rows(_ field: JobParameter) -> [String] {
        var words = [field.kind.title]
        if !field.choices.isEmpty {
            words.append("one of \(field.choices.map(\.text).joined(separator: ", "))")
        }
        if field.isRequired { words.append("must be filled in") }
        let about = field.summary.isEmpty ? "" : "\(field.summary) "
        let value = field.standard.map { YamlWriter.write([(field.name, .flow(ResultFile.out($0)))]) }
        let row =
            value
            ?? YamlWriter.write([(field.name, .string(""))]).replacing("\"\"", with: "").replacing(
                "''", with: "")
        return ["  # \(Printable.escape(about))(\(Printable.escape(words.joined(separator: "; "))))"]
            + row.split(separator: "\n").map { "  " + $0.trimmingTrailing }
    }

    // MARK: reading

    enum Reading {
        /// Somebody is still at it.
        case unfinished(request: String)
        case answer(request: String, Answer)
    }

    private static let mine = ["decision", "comment", "inputs"]
    private static let theirs = [
        "request", "nonce", "digest", "message", "details", "risk_level", "job", "run", "step", "title",
        "queue", "job_file", "template", "asked_by", "who_may_answer", "approvals", "approved_by", "asked_at",
        "expires_at", "then", "next",
    ]

    static func read(_ bytes: [UInt8], name: String) throws(Failure) -> Reading {
        let tree: YamlNode
        let source = SourceFile(name: name, bytes: bytes)
        do throws(YamlError) { tree = try YamlReader.parse(bytes) } catch {
            throw fault(source.render(Diagnostic(error)))
        }
        func complain(_ message: String, _ mark: SourceMark, _ hint: String = "") -> Failure {
            fault(
                source.render(
                    Diagnostic(severity: .error, code: "E-APP-FORM", message: message, hint: hint, mark: mark)
                ))
        }
        guard let pairs = tree.pairs else {
            throw complain("an answer is a map, like the request", tree.start)
        }
        for pair in pairs where !(mine + theirs).contains(pair.key) {
            throw complain(
                "an answer has no key `\(pair.key)`", pair.keyStart,
                NearestName.find(pair.key, in: mine).map { "did you mean `\($0)`?" } ?? "")
        }
        var texts: [String: String] = [:]
        for key in ["request", "nonce", "digest"] {
            guard let node = tree[key], let scalar = node.scalar, scalar.value != .null else {
                throw complain("`\(key)` is missing", tree.start, "copy the whole request")
            }
            texts[key] = scalar.text
        }
        let request = texts["request"] ?? ""
        guard let decision = tree["decision"], decision.scalar?.value != .null else {
            return .unfinished(request: request)
        }
        let word = decision.scalar?.text.lowercased() ?? ""
        guard let verdict = Decision.Verdict(rawValue: word) else {
            if word.trimmed.isEmpty, decision.scalar != nil { return .unfinished(request: request) }
            throw complain("`decision` must be approve or deny", decision.start)
        }
        var inputs = ValueMap()
        if let node = tree["inputs"], node.scalar?.value != .null {
            guard let pairs = node.pairs else { throw complain("`inputs` must be a map", node.start) }
            for pair in pairs { inputs[pair.key] = Value(pair.value) }
        }
        let comment = tree["comment"].map { Value($0).text } ?? ""
        return .answer(
            request: request,
            Answer(
                nonce: texts["nonce"] ?? "", digest: texts["digest"] ?? "", verdict: verdict,
                comment: String(comment.prefix(2_000)), inputs: inputs))
    }

    private static func fault(_ message: String) -> Failure {
        Failure(
            "E-APP-FORM", message,
            whatToDo: "Copy the request anew, and change only `decision`, `comment` and `inputs`.",
            retry: .never)
    }

    /// An input as it is typed on a command line: what is no YAML is the text itself.
    public static func typed(_ text: String, for field: JobParameter?) -> Value {
        guard field?.kind != .string, let node = try? YamlReader.parse(Array(text.utf8)) else {
            return .string(text)
        }
        return Value(node)
    }

    /// What is wrong with an input, as the end of a sentence; nil where it fits.
    public static func fault(of value: Value, for field: JobParameter) -> String? {
        field.fault(of: value, matches: JobParameter.matches)
    }

    /// What `bobbin approve` writes.
    public static func answer(
        _ request: String, nonce: String, digest: String, _ verdict: Decision.Verdict, comment: String,
        inputs: ValueMap
    ) -> [UInt8] {
        var map: [(String, YamlOut)] = [
            ("request", .string(request)), ("nonce", .string(nonce)), ("digest", .string(digest)),
            ("decision", .string(verdict.rawValue)), ("comment", .string(comment)),
        ]
        if !inputs.isEmpty { map.append(("inputs", ResultFile.out(.map(inputs)))) }
        return Array((YamlWriter.write(map) + "...\n").utf8)
    }
}

extension Substring {
    fileprivate var trimmingTrailing: Substring {
        var rest = self
        while rest.last == " " { rest.removeLast() }
        return rest
    }
}
