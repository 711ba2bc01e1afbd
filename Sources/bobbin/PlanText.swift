// What this is: a job's plan as text and as JSON (`bobbin explain`).
// Owns: the layout; how long a value may be before it is cut.
// Never: decides what is worth saying (JobPlan does).
// On failure: nothing here fails.
import BobbinDaemon
import JobModel

enum PlanText {
    private static let longestValue = 160

    static func text(_ plan: JobPlan) -> String {
        let spec = plan.spec
        let retry = plan.retry
        let whose =
            spec.retry == nil
            ? "the queue's rule: only failures from outside, and only if every step may be repeated"
            : "the job's own rule"
        var lines = [
            "\(Terminal.escape(spec.name)): queue \(plan.queue.name), priority \(plan.priority.level)",
            "where: spool/\(plan.queue.name)/\(plan.priority.directory)/, beside at most \(plan.queue.maxConcurrent - 1) other runs",
            "attempts: up to \(retry.maxAttempts), \(retry.baseDelay.text) apart and growing x\(retry.backoffMultiplier) to \(retry.maxDelay.text) (\(whose))",
            "time: \(plan.timeout?.text ?? "no limit")",
        ]
        let effects = plan.effects
        lines.append(
            "effects: "
                + (effects.isEmpty
                    ? "none outside of the run"
                    : effects.map { "\($0.rawValue) (\($0.risk.text))" }.joined(separator: ", ")))
        if !plan.targets.isEmpty { lines.append("calls: \(plan.targets.joined(separator: ", "))") }
        for (label, question) in plan.questions {
            lines.append(
                "asks: step \(label): \(Terminal.escape(ApprovalForm.whoMay(question, policy: plan.policy))); \(question.risk.rawValue) risk; \(question.timeout.text), then \(question.autoAction.rawValue)"
            )
        }
        if !plan.missing.isEmpty {
            lines.append(
                "must be given: \(plan.missing.joined(separator: ", ")) (try --var \(plan.missing[0])=…)")
        }
        let terms = spec.terms.shown
        if !terms.isEmpty {
            lines += [
                "terms:", Terminal.table(terms.map { [$0.name, Terminal.escape($0.text)] }, indent: "  "),
            ]
        }
        if !spec.parameters.isEmpty {
            lines += ["parameters:", Terminal.table(plan.parameters.map(row), indent: "  ")]
        }
        let variables = plan.variables
        if !variables.isEmpty {
            lines.append("variables: \(Terminal.escape(JSONText.write(.map(variables))))")
        }
        if !plan.waves.isEmpty {
            let waves = plan.waves.map { $0.count == 1 ? $0[0] : "(\($0.joined(separator: " | ")))" }
            lines.append("order: \(waves.joined(separator: " > ")), at most \(spec.maxParallel) at one time")
        }
        for (section, rows) in plan.sections {
            lines.append("\(section.rawValue):")
            lines += rows.flatMap(step)
        }
        if !spec.outputs.isEmpty { lines.append("outputs: \(spec.outputs.keys.joined(separator: ", "))") }
        return lines.joined(separator: "\n")
    }

    private static func row(_ parameter: JobParameter) -> [String] {
        var notes = [parameter.summary].filter { !$0.isEmpty }
        if !parameter.choices.isEmpty {
            notes.append("one of \(parameter.choices.map(\.text).joined(separator: ", "))")
        }
        if let pattern = parameter.pattern { notes.append("matches \(pattern)") }
        return [
            parameter.name, parameter.kind.title,
            parameter.standard.map { "default \(JSONText.write($0))" } ?? "must be given",
            notes.joined(separator: "; "),
        ].map(Terminal.escape)
    }

    private static func step(_ row: JobPlan.Row) -> [String] {
        let step = row.step
        let indent = String(repeating: "  ", count: row.depth + 1)
        let title = step.name ?? step.id
        let head =
            "\(indent)\(step.label)  \(step.type.name)" + (title.map { ": \(Terminal.escape($0))" } ?? "")
        let notes = notes(row)
        let arguments = row.arguments.entries.filter { !$0.value.isNull }.map { entry in
            "\(indent)     \(entry.key): \(shown(entry.value, indent))"
        }
        return [head + (notes.isEmpty ? "" : "  (\(notes.joined(separator: "; ")))")] + arguments
    }

    private static func shown(_ value: Value, _ indent: String) -> String {
        let text = value.stringValue ?? JSONText.write(value)
        let lines = text.split(separator: "\n").map { Terminal.escape(String($0)) }
        guard lines.count > 1 else {
            let line = lines.first ?? "\"\""
            return line.count > longestValue ? line.prefix(longestValue) + "…" : line
        }
        let some = lines.prefix(8).map { "\n\(indent)       \($0.prefix(longestValue))" }.joined()
        return some + (lines.count > 8 ? "\n\(indent)       … \(lines.count - 8) more lines" : "")
    }

    private static func notes(_ row: JobPlan.Row) -> [String] {
        let step = row.step
        var notes: [String] = []
        if let needs = step.needs {
            notes.append(needs.isEmpty ? "starts at once" : "after \(needs.joined(separator: ", "))")
        }
        if step.type.control == .parallel { notes.append("side by side") }
        if let when = step.when { notes.append("when \(Terminal.escape(when))") }
        if row.effect != .none { notes.append(row.effect.rawValue) }
        if let target = row.target { notes.append("calls \(Terminal.escape(target))") }
        // What holds others leaves that to them.
        if step.type.control == nil, !step.isRepeatable {
            notes.append("at most once: after a crash a person decides")
        }
        if let retry = step.retry { notes.append("up to \(retry.maxAttempts) tries") }
        if let timeout = step.timeout { notes.append("at most \(timeout.text)") }
        if step.continueOnError { notes.append("its failure does not stop the run") }
        return notes
    }

    static func value(_ plan: JobPlan) -> Value {
        .map([
            "name": .string(plan.spec.name), "queue": .string(plan.queue.name.text),
            "priority": .int(plan.priority.level), "max_attempts": .int(plan.retry.maxAttempts),
            "timeout": plan.timeout.map { .string($0.text) } ?? .null,
            "missing": texts(plan.missing), "targets": texts(plan.targets),
            "effects": .list(
                plan.effects.map { .map(["effect": .string($0.rawValue), "risk": .string($0.risk.text)]) }),
            "asks": .list(
                plan.questions.map { label, question in
                    .map([
                        "step": .string(label),
                        "who_may_answer": .string(
                            ApprovalForm.whoMay(question, policy: plan.policy)),
                        "risk_level": .string(question.risk.rawValue),
                        "timeout": .string(question.timeout.text),
                        "then": .string(question.autoAction.rawValue),
                    ])
                }),
            "waves": .list(plan.waves.map(texts)),
            "steps": .list(plan.sections.flatMap { section, rows in rows.map { value($0, section) } }),
        ])
    }
    private static func value(_ row: JobPlan.Row, _ section: Section) -> Value {
        .map([
            "step": .string(row.step.label), "section": .string(section.rawValue),
            "id": row.step.id.map(Value.string) ?? .null, "name": row.step.name.map(Value.string) ?? .null,
            "type": .string(row.step.type.name), "when": row.step.when.map(Value.string) ?? .null,
            "needs": row.step.needs.map(texts) ?? .null, "arguments": .map(row.arguments),
            "effect": .string(row.effect.rawValue), "target": row.target.map(Value.string) ?? .null,
            "repeatable": .bool(row.step.isRepeatable),
        ])
    }
    private static func texts(_ items: [String]) -> Value { .list(items.map(Value.string)) }
}
