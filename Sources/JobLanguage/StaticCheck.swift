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
    static let always = ["steps", "run", "variables", "date", "trigger", "schedule"]

    /// Steps that are over for certain where an expression is evaluated; it grows as the list is gone through.
    private final class Seen {
        private let outer: Seen?
        private(set) var ids: Set<String> = []
        private var labels: Set<String> = []
        init(inside outer: Seen? = nil) { self.outer = outer }

        func add(_ steps: [StepSpec], inLoop: Bool) {
            ids.formUnion(steps.compactMap(\.id))
            // In a loop a step's place has the number of the round in it, which nobody knows here.
            if !inLoop { labels.formUnion(steps.map(\.label)) }
        }
        func has(_ name: String) -> Bool {
            ids.contains(name) || labels.contains(name) || outer?.has(name) ?? false
        }
        func has(label: String) -> Bool { labels.contains(label) || outer?.has(label: label) ?? false }
        var allIDs: [String] { Array(ids) + (outer?.allIDs ?? []) }
    }
    /// What an expression at some place may use.
    private struct View {
        var seen: Seen
        /// Of the rounds around it.
        var names: [String] = []
        var isInLoop = false
        /// The step that it belongs to.
        var place: StepPlace?
        /// Why no secret may stand there, and what to do instead; nil where one may.
        var secrets: SecretRule? = .elsewhere
        /// Its host is remembered, and shown.
        var isAddress = false
    }

    func check(_ fields: FieldReader) {
        var lines: [String: Int] = [:]
        let view = View(seen: Seen())
        for section in Section.allCases {
            let nodes = fields.field(section.rawValue)?.items ?? []
            checkIDs(job.steps(of: section), nodes, &lines)
            view.seen.add(check(job.steps(of: section), nodes, view), inLoop: false)
        }
        for pair in fields.field("outputs")?.pairs ?? [] {
            check(Value(pair.value), pair.value, view)
        }
        if let node = fields.field("artifacts") { check(Value(node), node, view) }
        checkTerms(fields)
        for key in ["variables", "params"] {
            if let node = fields.field(key) { StaticCheck.refuseTemplates(node, findings) }
        }
    }

    /// What is agreed before any step has run.
    func checkTerms(_ fields: FieldReader) {
        let view = View(seen: Seen())
        for key in TermReader.rendered {
            if let node = fields.field(key) { check(Value(node), node, view) }
        }
    }

    /// The nodes of the steps that a step holds.
    private func nodes(inside step: StepSpec, _ node: YamlNode) -> [YamlNode] {
        let body = node[step.type.name]
        return body?.items ?? body?["steps"]?.items ?? []
    }

    private func checkIDs(_ steps: [StepSpec], _ nodes: [YamlNode], _ lines: inout [String: Int]) {
        for (step, node) in zip(steps, nodes) {
            if let id = step.id, let mark = node["id"]?.start {
                if let line = lines[id] {
                    findings.error(
                        "E-STEP-ID", "the id `\(id)` is used twice, first in line \(line)", at: mark)
                }
                lines[id] = lines[id] ?? mark.line
            }
            checkIDs(step.steps, self.nodes(inside: step, node), &lines)
        }
    }

    /// The steps of the list that those after it can use.
    private func check(
        _ steps: [StepSpec], _ nodes: [YamlNode], _ view: View, sideBySide: Bool = false
    ) -> [StepSpec] {
        let indexes = Dictionary(
            steps.indices.compactMap { index in steps[index].id.map { ($0, index) } },
            uniquingKeysWith: { $1 })
        let above = Seen(inside: view.seen)
        var left: [[StepSpec]] = []
        /// Of steps with `needs:`, those of the list that are over before them, by index.
        var sure: [Int: Set<Int>] = [:]
        for (index, (step, node)) in zip(steps, nodes).enumerated() {
            var inner = view
            inner.place = step.place
            inner.seen = above
            if step.needs != nil || sideBySide {
                var needed: Set<Int> = []
                for other in (step.needs ?? []).compactMap({ indexes[$0] }) where other < index {
                    needed.insert(other)
                    needed.formUnion(sure[other] ?? (sideBySide ? [] : Set(0..<other)))
                }
                sure[index] = needed
                inner.seen = Seen(inside: view.seen)
                for other in needed { inner.seen.add(left[other], inLoop: view.isInLoop) }
            }
            check(step, node, inner)
            left.append(checkInside(step, node, inner) + [step])
            above.add(left[index], inLoop: view.isInLoop)
        }
        return left.flatMap { $0 }
    }

    private func checkInside(_ step: StepSpec, _ node: YamlNode, _ view: View) -> [StepSpec] {
        guard let control = step.type.control else { return [] }
        let nodes = nodes(inside: step, node)
        switch control {
        // A template was checked by itself; nothing of it is seen outside.
        case .call: return []
        case .group: return check(step.steps, nodes, view)
        case .parallel: return check(step.steps, nodes, view, sideBySide: true)
        case .foreach, .repeated:
            var inner = view
            let parameter = step.type.parameters.first { $0.name == control.nameParameter }
            let name = step.parameters[control.nameParameter ?? ""] ?? parameter?.standard
            inner.names += ["loop", name?.text].compactMap { $0 }
            inner.isInLoop = true
            inner.seen = Seen(inside: view.seen)
            inner.seen.add(check(step.steps, nodes, inner), inLoop: true)
            for parameter in step.type.parameters {
                guard let value = step.parameters[parameter.name],
                    let place = node[step.type.name]?[parameter.name]
                else { continue }
                switch (parameter.kind, value) {
                case (.roundCondition, .string(let text)): check(condition: text, place, inner)
                case (.roundValue, _): check(value, place, inner)
                default: break
                }
            }
            return []
        }
    }

    /// Variables are plain values; a template in one would be shown as text, which nobody wants.
    static func refuseTemplates(_ node: YamlNode, _ findings: Findings) {
        for pair in node.pairs ?? [] where Value(pair.value).mayHoldTemplate {
            findings.error(
                "E-VARIABLE", "`\(pair.key)` holds a template, but variables are plain values",
                hint: "write the {{ }} where the variable is used", at: pair.value.start)
        }
    }

    private func check(_ step: StepSpec, _ node: YamlNode, _ view: View) {
        if let when = step.when, let place = node["when"] { check(condition: when, place, view) }
        if let place = node["env"] {
            var inner = view
            inner.secrets = .ofEnvironment(step)
            check(.map(step.environment), place, inner)
        }
        warnOfLiterals(step, node)
        guard let parameters = node[step.type.name] else { return }
        for parameter in step.type.parameters {
            let place =
                parameters[parameter.name] ?? (parameter.name == step.type.shorthand ? parameters : nil)
            guard let place, let value = step.parameters[parameter.name] else { continue }
            var view = view
            view.secrets = .of(parameter, step)
            view.isAddress = parameter.name == "url"
            switch (parameter.kind, value) {
            case (.condition, .string(let text)): check(condition: text, place, view)
            case (.script, .string(let text)): check(script: text, place, view)
            // At the end of each round, where more can be seen.
            case (.roundCondition, _), (.roundValue, _): break
            // Not ours.
            case (.literal, _), (.form, _): break
            default: check(value, place, view)
            }
        }
    }

    /// What is named like a secret and stands there in the clear is in the spool, beside the result and in every backup.
    private func warnOfLiterals(_ step: StepSpec, _ node: YamlNode) {
        guard budget != nil, step.type.control == nil else { return }
        func look(_ name: String, _ value: Value, _ place: YamlNode?) {
            switch value {
            case .string(let text) where Preview.isSecret(name) && !text.isEmpty && !value.mayHoldTemplate:
                findings.warning(
                    "W-SECRET", "`\(name)` stands here in the clear",
                    hint: "keep it as a secret (bobbin secrets set KEY) and write {{ secrets://KEY }}",
                    at: place?.start ?? node.start)
            case .map(let map):
                for entry in map.entries { look(entry.key, entry.value, place?[entry.key]) }
            default: break
            }
        }
        look("", .map(step.environment), node["env"])
        for parameter in step.type.parameters where parameter.mayHoldSecret && parameter.name != "body" {
            if let value = step.parameters[parameter.name] {
                look(parameter.name, value, node[step.type.name]?[parameter.name])
            }
        }
    }

    private func check(condition text: String, _ place: YamlNode, _ view: View) {
        do throws(ExpressionError) {
            let condition = try Condition.parse(text)
            if let budget, let fault = condition.certainFault(budget) {
                return report(fault, place, base: 0)
            }
            refuse(condition.secrets, place, view, base: 0)
            check(condition.references, place, view, base: 0)
        } catch { report(error, place, base: 0) }
    }
    private func check(script text: String, _ place: YamlNode, _ view: View) {
        do throws(ExpressionError) {
            _ = try ShellText.parse(text)
            check(.string(text), place, view)
        } catch { report(error, place, base: 0) }
    }
    private func check(_ value: Value, _ place: YamlNode, _ view: View) {
        switch value {
        case .string(let text) where TemplateParts.mayHold(text):
            do throws(ExpressionError) {
                for part in try Template.parse(text).expressions {
                    if let budget, let fault = part.expression.certainFault(budget) {
                        report(fault, place, base: part.offset)
                        continue
                    }
                    var view = view
                    if view.isAddress, SecretRule.isInHost(text, at: part.offset) { view.secrets = .ofHost }
                    refuse(part.expression.secrets, place, view, base: part.offset)
                    check(part.expression.references, place, view, base: part.offset)
                }
            } catch { report(error, place, base: 0) }
        case .list(let items):
            for (item, node) in zip(items, place.items ?? []) { check(item, node, view) }
        case .map(let map):
            for entry in map.entries { check(entry.value, place[entry.key] ?? place, view) }
        default: break
        }
    }

    private func refuse(_ uses: [SecretUse], _ place: YamlNode, _ view: View, base: Int) {
        // What was accepted by an earlier version named none.
        guard let rule = view.secrets, let use = uses.first else { return }
        findings.error(
            "E-SECRET-PLACE", "`\(use.name.reference)` cannot stand here: \(rule.why)", hint: rule.instead,
            at: mark(place, base + use.offset))
    }

    private func check(_ references: [Reference], _ place: YamlNode, _ view: View, base: Int) {
        for reference in references where !reference.isOptional {
            if reference.root == "steps" {
                checkStep(reference, place, view, base: base)
            } else if !isVariable(reference.root), !view.names.contains(reference.root),
                !StaticCheck.always.contains(reference.root)
            {
                let near = findings.nearest(
                    reference.root,
                    in: view.names + job.variables.keys + job.parameters.map(\.name) + StaticCheck.always)
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

    private func checkStep(_ reference: Reference, _ place: YamlNode, _ view: View, base: Int) {
        let at = mark(place, base + reference.offset)
        switch reference.members.first {
        case .name(let name)?:
            if view.seen.has(name) { return }
            guard let target = everyStep.first(where: { $0.id == name }) else {
                let near = findings.nearest(name, in: view.seen.allIDs)
                return findings.error(
                    "E-UNDEFINED", "there is no step with the id `\(name)`",
                    hint: near.map { "did you mean `\($0)`?" } ?? "give that step an `id:`", at: at)
            }
            let (why, hint) = whyUnseen(target, name, from: view.place)
            findings.error("E-UNDEFINED", why, hint: hint, at: at)
        case .index(let index)? where index >= 0:
            if !view.seen.has(label: StepPlace(.main, [index + 1]).text) {
                findings.error(
                    "E-UNDEFINED", "steps[\(index)] is not above this step (counting from 0)", at: at)
            }
        default: break
        }
    }

    private var everyStep: [StepSpec] { Section.allCases.flatMap { StaticCheck.all(job.steps(of: $0)) } }
    private static func all(_ steps: [StepSpec]) -> [StepSpec] {
        steps.flatMap { $0.type.control == .call ? [$0] : [$0] + all($0.steps) }
    }

    /// A step that exists, but is not over for certain where it is used.
    private func whyUnseen(_ target: StepSpec, _ name: String, from place: StepPlace?) -> (String, String) {
        let loop = everyStep.last {
            $0.type.control?.isLoop == true && $0.place.contains(target.place)
                && !(place.map($0.place.contains) ?? false)
        }
        if let loop {
            return (
                "step `\(name)` is inside the loop `\(loop.title)` and has run once in each round",
                "keep what is needed of each round with `collect:`, then use steps.\(loop.id ?? "<id>").results"
            )
        }
        let steps = everyStep
        guard let place, let own = steps.firstIndex(where: { $0.place == place }),
            let its = steps.firstIndex(where: { $0.place == target.place }),
            its <= own || place.contains(target.place)
        else { return ("step `\(name)` comes later than this one", "only steps above can be used") }
        if its == own { return ("step `\(name)` is this one", "only steps above can be used") }
        if place.contains(target.place) {
            return (
                "step `\(name)` is inside of this one, and has not run yet", "only steps above can be used"
            )
        }
        if target.place.contains(place) {
            return ("step `\(name)` holds this one, and is not over yet", "use it after it")
        }
        return (
            "step `\(name)` may still be running, or not have begun, when this one runs",
            "add it to `needs:`, or use it after both"
        )
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
