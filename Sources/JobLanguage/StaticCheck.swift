// What this is: what can be known of a job's expressions before it runs.
// Owns: syntax of templates and conditions, unknown names, references to steps that come later, double step ids, and what
//   fails whatever the variables are (ConstantCheck).
// Never: evaluates what depends on the run; a path below a known root may still be missing when the step runs.
// On failure: findings at the line of the step or key (the place inside a text is named by its column there).
import JobModel
import YamlText

struct StaticCheck {
    let job: JobSpec
    let findings: Findings
    /// Nil for what was accepted by an earlier version: it runs as it was accepted.
    let budget: CheckBudget?

    /// Names that every expression may use beside the job's variables.
    static let always = ["steps", "run", "variables", "date"]

    func check(_ fields: FieldReader) {
        checkIDs(fields)
        var earlier: [StepSpec] = []
        for section in Section.allCases {
            let nodes = fields.field(section.rawValue)?.items ?? []
            for (step, node) in zip(job.steps(of: section), nodes) {
                check(step, node, earlier: earlier)
                earlier.append(step)
            }
        }
        for pair in fields.field("outputs")?.pairs ?? [] {
            check(Value(pair.value), pair.value, earlier: earlier)
        }
        for key in ["variables", "params"] {
            if let node = fields.field(key) { StaticCheck.refuseTemplates(node, findings) }
        }
    }

    private func checkIDs(_ fields: FieldReader) {
        var lines: [String: Int] = [:]
        for section in Section.allCases {
            for node in fields.field(section.rawValue)?.items ?? [] {
                guard let id = node["id"]?.scalar?.text, let mark = node["id"]?.start else { continue }
                if let line = lines[id] {
                    findings.error(
                        "E-STEP-ID", "the id `\(id)` is used twice, first in line \(line)", at: mark)
                }
                lines[id] = lines[id] ?? mark.line
            }
        }
    }

    /// Variables are plain values; a template in one would be shown as text, which nobody wants.
    static func refuseTemplates(_ node: YamlNode, _ findings: Findings) {
        for pair in node.pairs ?? [] where JSONText.write(Value(pair.value)).contains("{{") {
            findings.error(
                "E-VARIABLE", "`\(pair.key)` holds a template, but variables are plain values",
                hint: "write the {{ }} where the variable is used", at: pair.value.start)
        }
    }

    private func check(_ step: StepSpec, _ node: YamlNode, earlier: [StepSpec]) {
        if let when = step.when, let place = node["when"] { check(condition: when, place, earlier) }
        guard let parameters = node[step.type.name] else { return }
        for parameter in step.type.parameters {
            let place =
                parameters[parameter.name] ?? (parameter.name == step.type.shorthand ? parameters : nil)
            guard let place, let value = step.parameters[parameter.name] else { continue }
            switch (parameter.kind, value) {
            case (.condition, .string(let text)): check(condition: text, place, earlier)
            case (.script, .string(let text)): check(script: text, place, earlier)
            default: check(value, place, earlier: earlier)
            }
        }
        if let place = node["env"] { check(.map(step.environment), place, earlier: earlier) }
    }

    private func check(condition text: String, _ place: YamlNode, _ earlier: [StepSpec]) {
        do throws(ExpressionError) {
            let condition = try Condition.parse(text)
            if let budget, let fault = condition.certainFault(budget) {
                return report(fault, place, base: 0)
            }
            check(condition.references, place, earlier, base: 0)
        } catch { report(error, place, base: 0) }
    }
    private func check(script text: String, _ place: YamlNode, _ earlier: [StepSpec]) {
        do throws(ExpressionError) {
            _ = try ShellText.parse(text)
            check(.string(text), place, earlier: earlier)
        } catch { report(error, place, base: 0) }
    }
    private func check(_ value: Value, _ place: YamlNode, earlier: [StepSpec]) {
        switch value {
        case .string(let text) where text.contains("{{"):
            do throws(ExpressionError) {
                for part in try Template.parse(text).expressions {
                    if let budget, let fault = part.expression.certainFault(budget) {
                        report(fault, place, base: part.offset)
                        continue
                    }
                    check(part.expression.references, place, earlier, base: part.offset)
                }
            } catch { report(error, place, base: 0) }
        case .list(let items):
            for (item, node) in zip(items, place.items ?? []) { check(item, node, earlier: earlier) }
        case .map(let map):
            for entry in map.entries { check(entry.value, place[entry.key] ?? place, earlier: earlier) }
        default: break
        }
    }

    private func check(_ references: [Reference], _ place: YamlNode, _ earlier: [StepSpec], base: Int) {
        for reference in references where !reference.isOptional {
            if reference.root == "steps" {
                checkStep(reference, place, earlier, base: base)
            } else if !isVariable(reference.root), !StaticCheck.always.contains(reference.root) {
                let near = findings.nearest(
                    reference.root,
                    in: job.variables.keys + job.parameters.map(\.name) + StaticCheck.always)
                findings.error(
                    "E-UNDEFINED", "there is no variable `\(reference.root)`",
                    hint: near.map { "did you mean `\($0)`?" } ?? "declare it in `variables:`",
                    at: mark(place, base + reference.offset))
            }
        }
    }

    private func isVariable(_ name: String) -> Bool {
        job.variables[name] != nil || job.parameters.contains { $0.name == name }
    }

    private func checkStep(_ reference: Reference, _ place: YamlNode, _ earlier: [StepSpec], base: Int) {
        let at = mark(place, base + reference.offset)
        switch reference.members.first {
        case .name(let name)?:
            if earlier.contains(where: { $0.id == name || $0.label == name }) { return }
            let later = Section.allCases.flatMap { job.steps(of: $0) }.contains { $0.id == name }
            let near = findings.nearest(name, in: earlier.compactMap(\.id))
            findings.error(
                "E-UNDEFINED",
                later ? "step `\(name)` comes later than this one" : "there is no step with the id `\(name)`",
                hint: near.map { "did you mean `\($0)`?" }
                    ?? (later ? "only steps above can be used" : "give that step an `id:`"), at: at)
        case .index(let index)? where index >= 0:
            if index >= earlier.count {
                findings.error(
                    "E-UNDEFINED", "steps[\(index)] is not above this step (counting from 0)", at: at)
            }
        default: break
        }
    }

    private func report(_ error: ExpressionError, _ place: YamlNode, base: Int) {
        findings.error(error.code, error.message, hint: error.hint, at: mark(place, base + error.offset))
    }

    /// The place of a scalar on one line moves with the offset; a block text keeps the place where it begins.
    private func mark(_ place: YamlNode, _ offset: Int) -> SourceMark {
        guard let scalar = place.scalar, place.start.line == place.end.line else { return place.start }
        let quote = scalar.isPlain ? 0 : 1
        return SourceMark(
            line: place.start.line, column: place.start.column + quote + offset,
            offset: place.start.offset + quote + offset)
    }
}
