// What this is: a result file read back, for `show` without an index and for `index rebuild`.
// Owns: the reverse of ResultFile.render, but for the snapshot, which is the job file beside it.
// Never: guesses a missing key that every result has.
// On failure: nil: this file is no result of ours.
import JobLanguage
import JobModel
import YamlText

extension ResultFile {
    /// What Limits.runOutputBytes and Limits.runRecords can come to, when each character has to be escaped.
    public static let largest = 128 << 20
    public static let limits = YamlLimits(
        maxBytes: largest, maxDepth: 64, maxNodes: 6_000_000, maxScalarBytes: 8 << 20)

    public static func read(_ bytes: [UInt8]) -> RunRecord? {
        // A file that is no YAML is no result; the caller says so.
        guard let tree = try? YamlReader.parse(bytes, limits: limits), case .map(let map) = Value(tree) else {
            return nil
        }
        guard let acceptance = acceptance(map), let state = map["state"]?.stringValue.flatMap(FinalState.init)
        else { return nil }
        var run = RunRecord(acceptance)
        run.attempt = map["attempts"]?.intValue ?? 1
        run.startedAt = time(map["started_at"])
        run.endedAt = time(map["ended_at"])
        run.failure = map["error"]?.mapValue.flatMap(failure)
        run.outputs = map["outputs"]?.mapValue ?? [:]
        run.steps = (map["steps"]?.listValue ?? []).compactMap { $0.mapValue.flatMap(step) }
        run.approvals = (map["approvals"]?.listValue ?? []).compactMap { $0.mapValue.flatMap(approval) }
        run.waits = (map["waits"]?.listValue ?? []).compactMap { $0.mapValue.flatMap(wait) }
        run.state = .ended(state)
        return run
    }

    private static func acceptance(_ map: ValueMap) -> Acceptance? {
        guard let drop = map["drop"]?.mapValue, let id = map["run"]?.stringValue.flatMap({ RunID($0) }),
            let queue = map["queue"]?.stringValue.flatMap({ QueueName($0) }),
            let priority = map["priority"]?.intValue.flatMap(Priority.init),
            let accepted = time(map["accepted_at"])
        else { return nil }
        var acceptance = Acceptance(
            id: id, queue: queue, priority: priority, dropName: drop["name"]?.text ?? "",
            jobName: map["job"]?.text ?? "",
            submitter: Submitter(
                uid: UInt32(clamping: drop["uid"]?.intValue ?? 0), name: drop["submitted_by"]?.text ?? ""),
            acceptedAt: accepted, arrivedAt: time(map["arrived_at"]) ?? accepted,
            identity: InodeIdentity(inode: 0, birthNanoseconds: 0), snapshot: [],
            sha256: drop["sha256"]?.text ?? "",
            templateName: drop["template"]?.stringValue, ticket: drop["ticket"]?.stringValue,
            requeueOf: drop["requeue_of"]?.stringValue, runner: drop["runner"]?.text ?? "")
        acceptance.terms = Terms(map)
        return acceptance
    }

    private static func step(_ map: ValueMap) -> StepRecord? {
        guard let label = map["step"]?.text, let place = StepPlace(label),
            let state = map["state"]?.stringValue.flatMap(StepState.init),
            let started = time(map["started_at"])
        else { return nil }
        let took = map["took_seconds"]?.doubleValue.flatMap(span)
        return StepRecord(
            place: place, title: map["title"]?.text ?? "", id: map["id"]?.stringValue,
            type: map["type"]?.text ?? "", runAttempt: map["run_attempt"]?.intValue ?? 1,
            attempt: map["attempt"]?.intValue ?? 1, state: state, startedAt: started,
            endedAt: took.map { started.adding($0) },
            outputs: map["outputs"]?.mapValue ?? [:], failure: map["error"]?.mapValue.flatMap(failure),
            log: map["log"]?.stringValue)
    }

    /// Nil for what no runner measured: more than a hundred years, an infinity, no number. A clock that was set back
    /// makes a length below zero.
    private static func span(_ seconds: Double) -> Span? {
        guard abs(seconds) < 3e9 else { return nil }
        return .milliseconds(Int64((seconds * 1000).rounded()))
    }

    private static func failure(_ map: ValueMap) -> Failure? {
        guard let code = map["code"]?.stringValue else { return nil }
        return Failure(
            code, map["message"]?.text ?? "", whatToDo: map["what_to_do"]?.text ?? "",
            kind: map["kind"]?.stringValue.flatMap(Failure.Kind.init) ?? .failed,
            retry: map["retry"]?.stringValue.flatMap(Failure.Retry.init) ?? .permanent,
            step: map["step"]?.stringValue, exitCode: map["exit_code"]?.intValue)
    }

    private static func approval(_ map: ValueMap) -> Approval? {
        guard let place = map["step"].flatMap({ StepPlace($0.text) }), let nonce = map["nonce"]?.stringValue
        else { return nil }
        var approval = Approval(place, nonce: nonce)
        approval.askedAt = time(map["asked_at"])
        approval.expiresAt = time(map["expires_at"])
        approval.expiredAt = time(map["expired_at"])
        approval.decisions = (map["decisions"]?.listValue ?? []).compactMap { $0.mapValue.flatMap(decision) }
        return approval
    }
    private static func decision(_ map: ValueMap) -> Decision? {
        guard let verdict = map["decision"]?.stringValue.flatMap(Decision.Verdict.init(rawValue:)),
            let at = time(map["at"])
        else { return nil }
        return Decision(
            verdict,
            by: Submitter(uid: UInt32(clamping: map["uid"]?.intValue ?? 0), name: map["by"]?.text ?? ""),
            at: at,
            comment: map["comment"]?.text ?? "", inputs: map["inputs"]?.mapValue ?? [:],
            sha256: map["answer_sha256"]?.text ?? "", isSelf: map["self_approved"] != nil,
            isSigned: map["signed"]?.boolValue ?? false)
    }

    private static func wait(_ map: ValueMap) -> WaitRecord? {
        guard let reason = map["reason"]?.stringValue.flatMap(Wait.Reason.init),
            let since = time(map["since"])
        else { return nil }
        let wait = Wait(
            reason, until: time(map["until"]), since: since, nextAttempt: map["next_attempt"]?.intValue ?? 1)
        return WaitRecord(wait: wait, endedAt: time(map["ended_at"]))
    }

    private static func time(_ value: Value?) -> Timestamp? {
        value?.stringValue.flatMap(Timestamp.init(rfc3339:))
    }
}
