// What this is: the result file: what a person reads when a run has ended, and what the index is rebuilt from.
// Owns: its keys and their order (docs/SPOOL.md section 6), writing and reading.
// Never: leaves out an attempt, a step or a wait: files are the truth, the database is the memory.
// On failure: reading gives nil for a file that is no result.
import JobLanguage
import JobModel
import SpoolQueue
import YamlText

public enum ResultFile {
    /// The file's bytes for a run that has ended.
    public static func render(_ run: RunRecord) -> [UInt8] {
        let a = run.acceptance
        var map: [(String, YamlOut)] = [
            ("run", .string(a.id.text)), ("job", .string(a.jobName)),
            ("state", .string(run.finalState?.rawValue ?? "")),
        ]
        if let failure = run.failure { map.append(("error", .map(failureFields(failure)))) }
        if !run.outputs.isEmpty { map.append(("outputs", out(.map(run.outputs)))) }
        let kept = artifacts(run)
        if !kept.isEmpty { map.append(("artifacts", .list(kept))) }
        map.append(("queue", .string(a.queue.text)))
        map.append(("priority", .int(a.priority.level)))
        map += a.terms.fields.entries.map { ($0.key, out($0.value)) }
        map += times(run)
        map.append(("attempts", .int(run.attempt)))
        map.append(("steps", .list(run.steps.map(step))))
        if !run.approvals.isEmpty {
            map.append(("approvals", .list(run.approvals.map { approval($0, run) })))
        }
        if !run.waits.isEmpty { map.append(("waits", .list(run.waits.map(wait)))) }
        map.append(("drop", .map(drop(a))))
        return Array(YamlWriter.write(map, header: [heading(run)]).utf8)
    }

    private static func heading(_ run: RunRecord) -> String {
        let took = run.endedAt.map { end in brief(end.since(run.startedAt ?? end)) } ?? ""
        let steps = Set(run.steps.filter { $0.type != StepRecord.roundType }.map(\.label)).count
        return
            "\(run.acceptance.jobName.filter { !$0.isNewline }): \(run.finalState?.rawValue ?? "") after \(took), \(steps) step\(steps == 1 ? "" : "s")\(run.attempt > 1 ? ", \(run.attempt) attempts" : "")"
    }

    /// `1.2 s`, `12 ms`, `3 min 4 s`.
    public static func brief(_ span: Span) -> String {
        let milliseconds = span.milliseconds
        if milliseconds < 1000 { return "\(milliseconds) ms" }
        if milliseconds < 60_000 { return "\(milliseconds / 1000).\(milliseconds % 1000 / 100) s" }
        if milliseconds < 3_600_000 {
            return "\(milliseconds / 60_000) min \(milliseconds % 60_000 / 1000) s"
        }
        return "\(milliseconds / 3_600_000) h \(milliseconds % 3_600_000 / 60_000) min"
    }

    private static func times(_ run: RunRecord) -> [(String, YamlOut)] {
        let a = run.acceptance
        var map: [(String, YamlOut)] = [
            ("arrived_at", time(a.arrivedAt)), ("accepted_at", time(a.acceptedAt)),
        ]
        if let started = run.startedAt {
            map.append(("started_at", time(started)))
            map.append(("waited_seconds", seconds(started.since(a.arrivedAt))))
        }
        if let ended = run.endedAt {
            map.append(("ended_at", time(ended)))
            if let started = run.startedAt { map.append(("took_seconds", seconds(ended.since(started)))) }
        }
        return map
    }

    private static func failureFields(_ failure: Failure) -> [(String, YamlOut)] {
        var map: [(String, YamlOut)] = [
            ("code", .string(failure.code)), ("message", .string(failure.message)),
        ]
        if !failure.whatToDo.isEmpty { map.append(("what_to_do", .string(failure.whatToDo))) }
        if let step = failure.step { map.append(("step", .string(step))) }
        if let code = failure.exitCode { map.append(("exit_code", .int(code))) }
        map.append(("kind", .string(failure.kind.rawValue)))
        map.append(("retry", .string(failure.retry.rawValue)))
        return map
    }

    private static func step(_ step: StepRecord) -> YamlOut {
        var map: [(String, YamlOut)] = [
            ("step", .string(step.label)), ("title", .string(step.title)), ("type", .string(step.type)),
            ("state", .string(step.state.rawValue)),
        ]
        if let id = step.id { map.append(("id", .string(id))) }
        if step.runAttempt > 1 || step.attempt > 1 {
            map.append(("run_attempt", .int(step.runAttempt)))
            map.append(("attempt", .int(step.attempt)))
        }
        map.append(("started_at", time(step.startedAt)))
        if let ended = step.endedAt { map.append(("took_seconds", seconds(ended.since(step.startedAt)))) }
        if let failure = step.failure { map.append(("error", .map(failureFields(failure)))) }
        if !step.outputs.isEmpty { map.append(("outputs", out(.map(step.outputs)))) }
        if let log = step.log { map.append(("log", .string(log))) }
        return .map(map)
    }

    /// What steps have kept, as their outputs say.
    private static func artifacts(_ run: RunRecord) -> [YamlOut] {
        var kept: [YamlOut] = []
        for step in run.steps where step.type == "keep_artifacts" && step.state == .succeeded {
            for file in step.outputs["files"]?.listValue ?? [] {
                guard let file = file.mapValue, let name = file["file"]?.stringValue else { continue }
                kept.append(
                    .map([
                        ("path", .string("runs/\(run.id)/\(name)")),
                        ("bytes", out(file["bytes"] ?? .null)), ("sha256", out(file["sha256"] ?? .null)),
                    ]))
            }
        }
        return kept
    }

    private static func approval(_ entry: Approval, _ run: RunRecord) -> YamlOut {
        var map: [(String, YamlOut)] = [
            ("step", .string(entry.place.text)), ("request", .string(ApprovalForm.id(run.id, entry.place))),
            ("nonce", .string(entry.nonce)),
        ]
        if let asked = entry.askedAt { map.append(("asked_at", time(asked))) }
        if let end = entry.expiresAt { map.append(("expires_at", time(end))) }
        if let over = entry.expiredAt { map.append(("expired_at", time(over))) }
        map.append(("decisions", .list(entry.decisions.map { out(ApprovalText.value($0)) })))
        return .map(map)
    }

    private static func wait(_ entry: WaitRecord) -> YamlOut {
        var map: [(String, YamlOut)] = [
            ("reason", .string(entry.wait.reason.rawValue)), ("since", time(entry.wait.since)),
        ]
        if let until = entry.wait.until { map.append(("until", time(until))) }
        if let ended = entry.endedAt { map.append(("ended_at", time(ended))) }
        map.append(("next_attempt", .int(entry.wait.nextAttempt)))
        return .map(map)
    }

    private static func drop(_ a: Acceptance) -> [(String, YamlOut)] {
        var map: [(String, YamlOut)] = [
            ("name", .string(a.dropName)), ("sha256", .string(a.sha256)), ("bytes", .int(a.snapshot.count)),
            ("submitted_by", .string(a.submitter.name)), ("uid", .int(Int(a.submitter.uid))),
        ]
        if let name = a.templateName { map.append(("template", .string(name))) }
        if let ticket = a.ticket { map.append(("ticket", .string(ticket))) }
        if let origin = a.requeueOf { map.append(("requeue_of", .string(origin))) }
        map.append(("runner", .string(a.runner)))
        return map
    }

    private static func time(_ instant: Timestamp) -> YamlOut { .string(instant.rfc3339) }
    /// Milliseconds exactly, so that the index computes the same end from start and length.
    private static func seconds(_ span: Span) -> YamlOut {
        .double(Double(span.nanoseconds / 1_000_000) / 1000)
    }

    static func out(_ value: Value) -> YamlOut {
        switch value {
        case .null: .null
        case .bool(let flag): .bool(flag)
        case .int(let number): .int(number)
        case .double(let number): .double(number)
        case .string(let text): .string(text)
        case .list(let items): .list(items.map(out))
        case .map(let map): .map(map.entries.map { ($0.key, out($0.value)) })
        }
    }
}
