// What this is: a run as text and as JSON, for show, wait, submit --wait and run.
// Owns: the field names of `--json` (those of the result file).
// Never: reads anything.
// On failure: nothing here fails.
import BobbinDaemon
import JobModel
import LinuxSystem
import YamlText

enum RunText {
    static func ended(_ run: RunRecord) -> String {
        var lines = [
            "\(run.id)  \(Terminal.escape(run.acceptance.jobName))  \(Terminal.paint(state: run.state.text))"
        ]
        if let failure = run.failure {
            lines.append(
                "  \(failure.step.map { "step \($0): " } ?? "")\(Terminal.escape(failure.message)) [\(failure.code)]"
            )
            if !failure.whatToDo.isEmpty { lines.append("  \(Terminal.escape(failure.whatToDo))") }
        }
        if case .waiting(let wait) = run.state, wait.reason == .interrupted,
            let failure = run.unknownStep?.failure
        {
            lines.append("  \(Terminal.escape(failure.message)) [\(failure.code)]")
            lines.append("  \(Terminal.escape(failure.whatToDo))")
        }
        for gate in run.gates where gate.approval.outcome(gate.question).isOpen {
            lines.append("  asks: \(Terminal.escape(gate.question.shownMessage))")
            lines.append("  bobbin approve \(ApprovalForm.id(run.id, gate.step.place))   or   bobbin deny …")
        }
        for entry in run.outputs.entries {
            lines.append("  \(entry.key): \(Terminal.escape(entry.value.text))")
        }
        return lines.joined(separator: "\n")
    }

    static func full(_ run: RunRecord) -> String {
        let a = run.acceptance
        var lines = [ended(run), ""]
        var facts: [[String]] = [
            ["queue", "\(a.queue), priority \(a.priority.level)"], ["file", Terminal.escape(a.dropName)],
            ["submitted by", "\(Terminal.escape(a.submitter.name)) (uid \(a.submitter.uid))"],
            ["accepted", a.acceptedAt.rfc3339],
        ]
        if let started = run.startedAt {
            facts.append([
                "started", "\(started.rfc3339) (waited \(ResultFile.brief(started.since(a.arrivedAt))))",
            ])
        }
        if let ended = run.endedAt {
            facts.append([
                "ended", "\(ended.rfc3339) (took \(ResultFile.brief(ended.since(run.startedAt ?? ended))))",
            ])
        }
        if run.attempt > 1 { facts.append(["attempts", "\(run.attempt)"]) }
        if let name = a.templateName { facts.append(["template", name]) }
        if let ticket = a.ticket { facts.append(["ticket", ticket]) }
        if let origin = a.requeueOf { facts.append(["requeue of", origin]) }
        for entry in a.terms.fields.entries {
            facts.append([entry.key.replacing("_", with: " "), Terminal.escape(entry.value.text)])
        }
        facts.append(["runner", a.runner])
        lines.append(Terminal.table(facts, indent: "  "))
        if !run.steps.isEmpty { lines += ["", steps(run)] }
        for entry in run.approvals {
            for decision in entry.decisions {
                let own = decision.isSelf && decision.verdict == .approve ? " (self-approved)" : ""
                let why = decision.comment.isEmpty ? "" : ": \(Terminal.escape(decision.comment))"
                lines.append(
                    "  step \(entry.place.text): \(decision.verdict.rawValue) by \(Terminal.escape(decision.by.name)) at \(decision.at.rfc3339)\(own)\(why)"
                )
            }
            if let over = entry.expiredAt {
                lines.append("  step \(entry.place.text): nobody said enough before \(over.rfc3339)")
            }
        }
        for entry in run.waits {
            let until =
                entry.endedAt.map { " to \($0.rfc3339)" } ?? entry.wait.until.map { ", due \($0.rfc3339)" }
                ?? ""
            let step = entry.wait.step.map { ", step \($0.text)" } ?? ""
            let verb = entry.endedAt == nil ? "waits" : "waited"
            lines.append(
                "  \(verb) (\(entry.wait.reason.rawValue)\(step)) from \(entry.wait.since.rfc3339)\(until)")
        }
        return lines.joined(separator: "\n")
    }

    private static func steps(_ run: RunRecord) -> String {
        Terminal.table(
            run.steps.map { step in
                let tries =
                    run.attempt > 1 || step.attempt > 1 ? "try \(step.runAttempt).\(step.attempt)" : ""
                let took =
                    step.endedAt.map { ResultFile.brief($0.since(step.startedAt)) }
                    ?? "\(Terminal.age(Terminal.now.since(step.startedAt))) so far"
                let why = step.failure.map { "  \(Terminal.escape($0.message)) [\($0.code)]" } ?? ""
                return [
                    step.label, Terminal.escape(step.title), step.type, tries, took,
                    Terminal.paint(state: step.state.rawValue) + why,
                ]
            }, indent: "  ")
    }

    static func value(_ run: RunRecord) -> Value {
        if run.finalState != nil {
            // The result file is the one description of an ended run.
            let tree = try? YamlReader.parse(
                ResultFile.render(run),
                limits: ResultFile.limits)
            if let tree { return Value(tree) }
        }
        let a = run.acceptance
        return .map([
            "run": .string(run.id.text), "job": .string(a.jobName), "state": .string(run.state.text),
            "queue": .string(a.queue.text), "priority": .int(a.priority.level),
            "accepted_at": .string(a.acceptedAt.rfc3339),
            "attempts": .int(run.attempt),
            "steps": .list(
                run.steps.map {
                    .map([
                        "step": .string($0.label), "title": .string($0.title),
                        "state": .string($0.state.rawValue),
                    ])
                }),
            "drop": .map([
                "name": .string(a.dropName), "ticket": a.ticket.map(Value.string) ?? .null,
                "submitted_by": .string(a.submitter.name),
            ]),
        ])
    }

    /// The exit code that stands for a run's state.
    static func code(_ run: RunRecord) -> Int32 {
        switch run.state {
        case .ended(let state): state.isGood ? 0 : Exit.failed
        case .waiting(let wait) where wait.reason == .approval || wait.reason == .interrupted: Exit.needsHuman
        default: 0
        }
    }
}

/// The progress lines of a foreground run and of `submit --wait`.
enum StepLine {
    @Sendable static func show(_ step: StepRecord) {
        let title = Terminal.escape(step.title)
        guard let ended = step.endedAt else { return Terminal.complain("  \(step.label)  \(title) …") }
        let why = step.failure.map { ": \(Terminal.escape($0.message)) [\($0.code)]" } ?? ""
        Terminal.complain(
            "  \(step.label)  \(title)  \(step.state.rawValue) (\(ResultFile.brief(ended.since(step.startedAt))))\(why)"
        )
    }
}
