// What this is: the templates that steps call: found, read once each, fitted into the job.
// Owns: which templates a job calls, and that none calls itself; what a caller must and may give.
// Never: lets a caller's names into a template, or a template's names out.
// On failure: findings, those in a template under the template's name.
import JobModel
import YamlText

final class CallReader {
    private let reader: JobReader
    private let budget: CheckBudget?
    private(set) var called: [CalledTemplate] = []
    /// What was found inside of templates.
    private(set) var findings: [Finding] = []
    private var read: [String: JobSpec?] = [:]
    /// From the job inwards.
    private var chain: [String] = []
    private var steps = 0

    init(_ reader: JobReader, _ budget: CheckBudget?) {
        self.reader = reader
        self.budget = budget
    }

    /// Fits the template that a step names into it.
    func fit(into step: inout StepSpec, _ node: YamlNode, _ outer: Findings) {
        guard let place = node["template"] ?? (node.scalar == nil ? nil : node) else { return }
        guard case .string(let name)? = step.parameters["template"], !name.contains("{{") else {
            return outer.error(
                "E-TEMPLATE", "`template` of call must be a plain name",
                hint: "which template runs is known when the job is accepted; use `when:` to choose",
                at: place.start)
        }
        guard let job = job(name, place, outer) else { return }
        for (section, list) in [("on_failure", job.onFailure), ("finally", job.finally)] where !list.isEmpty {
            return outer.error(
                "E-TEMPLATE", "`\(name)` has `\(section)`, and can only be a job of its own",
                hint: "a template that is called has steps and outputs; put the clean-up into the caller",
                at: place.start)
        }
        steps += CallReader.count(job.steps)
        guard steps <= Limits.allSteps else {
            return outer.error(
                "E-STEPS", "more than \(Limits.allSteps) steps, with those of the templates that are called",
                at: place.start)
        }
        step.call = CallSpec(
            template: name, variables: job.variables, parameters: job.parameters, outputs: job.outputs)
        step.steps = job.steps.map { $0.moved(inside: step.place) }
        step.retry = step.retry ?? job.retry
        step.timeout = step.timeout ?? job.timeout
        judge(step, node, job, outer)
    }

    private static func count(_ steps: [StepSpec]) -> Int { steps.reduce(0) { $0 + 1 + count($1.steps) } }

    private func job(_ name: String, _ place: YamlNode, _ outer: Findings) -> JobSpec? {
        if chain.contains(name) {
            outer.error(
                "E-TEMPLATE", "`\(name)` calls itself: \((chain + [name]).joined(separator: " → "))",
                at: place.start)
            return nil
        }
        if let known = read[name] { return known }
        guard chain.count < Limits.callDepth else {
            outer.error(
                "E-TEMPLATE", "templates call each other more than \(Limits.callDepth) deep", at: place.start)
            return nil
        }
        guard let bytes = reader.template(name, place, outer) else { return nil }
        called.append(CalledTemplate(name: name, bytes: bytes))
        let inner = Findings(SourceFile(name: "templates/\(name)", bytes: bytes))
        chain.append(name)
        let job = reader.readCalled(bytes, name, inner, budget, self)
        chain.removeLast()
        findings += inner.all
        if inner.hasErrors {
            outer.error("E-TEMPLATE", "the template `\(name)` has errors", at: place.start)
        }
        let outcome = inner.hasErrors ? nil : job
        read[name] = .some(outcome)
        return outcome
    }

    /// What is given: known names, values that fit as far as they can be known, nothing missing.
    private func judge(_ step: StepSpec, _ node: YamlNode, _ job: JobSpec, _ outer: Findings) {
        let given = step.parameters["variables"]?.mapValue ?? [:]
        let names = job.parameters.map(\.name)
        let parameters = ParameterReader(findings: outer, budget: budget)
        for pair in node["variables"]?.pairs ?? [] {
            if let parameter = job.parameters.first(where: { $0.name == pair.key }) {
                let value = ParameterReader.value(pair.value, for: parameter.kind)
                if !JSONText.write(value).contains("{{") {
                    parameters.judge(value, parameter, at: pair.value.start)
                }
                continue
            }
            if job.parameters.isEmpty, job.variables[pair.key] != nil { continue }
            let known = names + job.variables.keys.filter { !names.contains($0) }
            let near = outer.nearest(pair.key, in: known)
            outer.error(
                "E-PARAM", "the template has no parameter `\(pair.key)`",
                hint: near.map { "did you mean `\($0)`?" }
                    ?? (known.isEmpty ? "it takes none" : "it has: \(known.joined(separator: ", "))"),
                at: pair.keyStart)
        }
        for parameter in job.parameters where parameter.isRequired && given[parameter.name] == nil {
            outer.error(
                "E-PARAM", "`\(parameter.name)` must be given (\(parameter.kind.title))",
                hint: parameter.summary.isEmpty ? "under `variables:` of the call" : parameter.summary,
                at: node["variables"]?.start ?? node.start)
        }
    }
}

extension CallSpec {
    /// What the steps of the template see as variables. Throws E-PARAM for what does not fit, now that it is known.
    public func bind(_ given: ValueMap) throws(Failure) -> ValueMap {
        var bound = variables
        let budget = CheckBudget()
        for entry in given.entries {
            guard let parameter = parameters.first(where: { $0.name == entry.key }) else {
                bound[entry.key] = entry.value
                continue
            }
            if let fault = parameter.fault(of: entry.value, matches: budget.matches) {
                throw Failure(
                    "E-PARAM", "`\(entry.key)` of \(template) \(fault)", whatToDo: parameter.summary,
                    retry: .never)
            }
            bound[entry.key] = parameter.kind.accept(entry.value) ?? entry.value
        }
        return bound
    }
}
