// What this is: the templates that steps call, by `call:` or as step types of the site: found, read once each, fitted in.
// Owns: which templates a job calls, and that none calls itself; what a caller must and may give; where custom steps lie.
// Never: lets a caller's names into a template, or a template's names out.
// On failure: findings, those in a template under the template's name.
import JobModel
import YamlText

final class CallReader {
    private let reader: JobReader
    let budget: CheckBudget?
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

    /// A file that came in otherwise than by a call: it is part of what is accepted as well.
    func note(_ name: String, _ bytes: [UInt8]) {
        if !called.contains(where: { $0.name == name }) {
            called.append(CalledTemplate(name: name, bytes: bytes))
        }
    }
    func add(_ more: [Finding]) { findings += more }

    // MARK: step types of the site

    private var customs: [String: Bool] = [:]

    /// Whether the site has a step type of this name; one of the program's own wins.
    func isCustom(_ name: String) -> Bool {
        guard reader.catalogue[name] == nil, CallReader.isTypeName(name) else { return false }
        if let known = customs[name] { return known }
        let isThere = reader.templates(CallReader.file(of: name)) != nil
        customs[name] = isThere
        return isThere
    }
    static func isTypeName(_ name: String) -> Bool {
        name.utf8.count <= 64 && (0x61...0x7A).contains(name.utf8.first ?? 0)
            && name.utf8.allSatisfy { $0 == 0x5F || (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) }
    }
    static func file(of name: String) -> String { "\(JobReader.customFolder)/\(name).yaml" }

    /// Its parameters are those of the template. Nil after a finding.
    func customType(_ name: String, at mark: SourceMark, _ outer: Findings) -> StepType? {
        guard let job = job(CallReader.file(of: name), at: mark, outer) else { return nil }
        let required = job.parameters.filter(\.isRequired)
        return StepType(
            name,
            job.description.isEmpty
                ? "A step of this site: templates/\(CallReader.file(of: name))." : job.description,
            parameters: job.parameters.map {
                Parameter(
                    $0.name, $0.kind.ofSteps, required: $0.isRequired, default: $0.standard ?? .null,
                    $0.summary)
            },
            // A bare value can only mean the one that must be given.
            shorthand: required.count == 1 ? required[0].name : nil,
            outputs: job.outputs.keys.map { ($0, "") }, example: CallReader.example(name, required),
            control: .call)
    }

    private static func example(_ name: String, _ required: [JobParameter]) -> String {
        let given = required.map { "\($0.name): \(JSONText.write($0.choices.first ?? .string("…")))" }
        return "\(name): {\(given.joined(separator: ", "))}"
    }

    // MARK: fitting in

    /// Fits the template that a step names, or is, into it.
    func fit(into step: inout StepSpec, _ node: YamlNode, _ outer: Findings) {
        let isCustom = reader.catalogue[step.type.name] == nil
        guard let place = isCustom ? node : node["template"] ?? (node.scalar == nil ? nil : node) else {
            return
        }
        var name = CallReader.file(of: step.type.name)
        if !isCustom {
            guard case .string(let given)? = step.parameters["template"], !given.contains("{{") else {
                return outer.error(
                    "E-TEMPLATE", "`template` of call must be a plain name",
                    hint: "which template runs is known when the job is accepted; use `when:` to choose",
                    at: place.start)
            }
            name = given
        }
        guard let job = job(name, at: place.start, outer) else { return }
        for (section, list) in [("on_failure", job.onFailure), ("finally", job.finally)] where !list.isEmpty {
            return outer.error(
                "E-TEMPLATE", "`\(name)` has `\(section)`, and can only be a job of its own",
                hint: "a template that is called has steps and outputs; put the clean-up into the caller",
                at: place.start)
        }
        // What a template calls is in the count of the template.
        if chain.isEmpty { steps += CallReader.count(job.steps) }
        guard chain.count + 1 + CallReader.callDepth(job.steps) <= Limits.callDepth else {
            return outer.error(
                "E-TEMPLATE", "templates call each other more than \(Limits.callDepth) deep", at: place.start)
        }
        guard steps <= Limits.allSteps else {
            return outer.error(
                "E-STEPS", "more than \(Limits.allSteps) steps, with those of the templates that are called",
                at: place.start)
        }
        step.call = CallSpec(
            template: name, variables: job.variables, parameters: job.parameters, outputs: job.outputs)
        step.call?.outputKinds = job.outputKinds
        step.steps = job.steps.map { $0.moved(inside: step.place) }
        step.retry = step.retry ?? job.retry
        step.timeout = step.timeout ?? job.timeout
        if isCustom {
            let bare = step.type.shorthand.map { [YamlPair(key: $0, keyStart: node.start, value: node)] }
            judge(node.pairs ?? bare ?? [], job, &step.parameters, outer)
        } else {
            // A map that is only known when the step begins is judged then.
            if case .string? = step.parameters["variables"] { return }
            var given = step.parameters["variables"]?.mapValue ?? [:]
            let pairs = node["variables"]?.pairs ?? []
            refuseUnknown(pairs, job, outer)
            judge(pairs, job, &given, outer)
            demand(given, job, at: node["variables"]?.start ?? node.start, outer)
            if !given.isEmpty { step.parameters["variables"] = .map(given) }
        }
    }

    private static func callDepth(_ steps: [StepSpec]) -> Int {
        steps.reduce(0) { max($0, callDepth($1.steps) + ($1.call == nil ? 0 : 1)) }
    }
    private static func count(_ steps: [StepSpec]) -> Int { steps.reduce(0) { $0 + 1 + count($1.steps) } }

    private func job(_ name: String, at mark: SourceMark, _ outer: Findings) -> JobSpec? {
        if chain.contains(name) {
            outer.error(
                "E-TEMPLATE", "`\(name)` calls itself: \((chain + [name]).joined(separator: " → "))",
                at: mark)
            return nil
        }
        if let known = read[name] { return known }
        guard chain.count < Limits.callDepth else {
            outer.error(
                "E-TEMPLATE", "templates call each other more than \(Limits.callDepth) deep", at: mark)
            return nil
        }
        guard let bytes = reader.template(name, at: mark, outer) else { return nil }
        called.append(CalledTemplate(name: name, bytes: bytes))
        let inner = Findings(SourceFile(name: "templates/\(name)", bytes: bytes))
        chain.append(name)
        let job = reader.readCalled(bytes, name, inner, budget, self)
        chain.removeLast()
        findings += inner.all
        if inner.hasErrors {
            outer.error("E-TEMPLATE", "the template `\(name)` has errors", at: mark)
        }
        let outcome = inner.hasErrors ? nil : job
        read[name] = .some(outcome)
        return outcome
    }

    /// What is known now must fit, and is kept in the parameter's form: `1.10` is a text where a text is wanted.
    private func judge(_ pairs: [YamlPair], _ job: JobSpec, _ given: inout ValueMap, _ outer: Findings) {
        let parameters = ParameterReader(findings: outer, budget: budget)
        for pair in pairs {
            guard let parameter = job.parameters.first(where: { $0.name == pair.key }) else { continue }
            let value = ParameterReader.value(pair.value, for: parameter.kind)
            if value.mayHoldTemplate { continue }
            if parameters.judge(value, parameter, at: pair.value.start) {
                given[pair.key] = parameter.kind.accept(value) ?? value
            }
        }
    }
    private func refuseUnknown(_ pairs: [YamlPair], _ job: JobSpec, _ outer: Findings) {
        let names = job.parameters.map(\.name)
        for pair in pairs where !names.contains(pair.key) {
            if names.isEmpty, job.variables[pair.key] != nil { continue }
            let known = names.isEmpty ? job.variables.keys : names
            let near = outer.nearest(pair.key, in: known)
            outer.error(
                "E-PARAM", "the template has no parameter `\(pair.key)`",
                hint: near.map { "did you mean `\($0)`?" }
                    ?? (known.isEmpty ? "it takes none" : "it has: \(known.joined(separator: ", "))"),
                at: pair.keyStart)
        }
    }
    private func demand(_ given: ValueMap, _ job: JobSpec, at mark: SourceMark, _ outer: Findings) {
        for parameter in job.parameters where parameter.isRequired && given[parameter.name] == nil {
            outer.error(
                "E-PARAM", "`\(parameter.name)` must be given (\(parameter.kind.title))",
                hint: parameter.summary.isEmpty ? "under `variables:` of the call" : parameter.summary,
                at: mark)
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
                guard parameters.isEmpty, variables[entry.key] != nil else {
                    throw Failure("E-PARAM", "\(template) has no parameter `\(entry.key)`", retry: .never)
                }
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
        if let missing = parameters.first(where: { $0.isRequired && bound[$0.name] == nil }) {
            throw Failure(
                "E-PARAM", "`\(missing.name)` of \(template) must be given (\(missing.kind.title))",
                whatToDo: missing.summary, retry: .never)
        }
        return bound
    }
}
