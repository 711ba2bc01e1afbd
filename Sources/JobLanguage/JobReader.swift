// What this is: the checker: the bytes of a drop to a validated job. `bobbin check` and the runner use this and nothing else.
// Owns: the keys of a job, the joining of a job with the template it names, dsl_version.
// Never: runs, renders or reads files; templates come through the closure it is given.
// On failure: findings, all of them, each with file, line, column and a hint; no job.
import JobModel
import YamlText

public struct JobReader: Sendable {
    /// A template's bytes by name, or nil where there is none.
    public typealias TemplateSource = @Sendable (String) -> [UInt8]?

    public struct Reading: Sendable {
        public var job: JobSpec?
        public var template: (name: String, bytes: [UInt8])?
        /// Those that its steps call.
        public var called: [CalledTemplate] = []
        public var findings: [Finding]
        public var errors: [Finding] { findings.filter { $0.diagnostic.severity == .error } }
    }

    let catalogue: StepCatalogue
    let templates: TemplateSource
    public static let version = "1.1"
    /// Whether a text could name a step type.
    public static func isTypeName(_ name: String) -> Bool { CallReader.isTypeName(name) }
    /// Below templates/: `steps/archive.yaml` is the step type `archive`.
    public static let customFolder = "steps"
    static let jobKeys =
        [
            "dsl_version", "name", "description", "queue", "priority", "params", "variables", "template",
            "retry", "timeout", "max_parallel", "steps", "on_failure", "finally", "outputs", "artifacts",
            "program", "trigger",
        ] + TermReader.keys + SharedKeys.own

    public init(catalogue: StepCatalogue, templates: @escaping TemplateSource) {
        self.catalogue = catalogue
        self.templates = templates
    }

    /// What a file is read for: as a job that is to run; as one whose parameters are still to come; or as one that was
    /// accepted before, perhaps by an earlier version, and is judged by nothing that may have been added since.
    public enum Purpose: Sendable { case job, template, accepted }

    /// Reads a job; `stem` names it when the file gives no name.
    public func read(_ bytes: [UInt8], name: String, stem: String, as purpose: Purpose = .job) -> Reading {
        var reading = readAll(bytes, name: name, stem: stem, as: purpose)
        let texts = [bytes, reading.template?.bytes ?? []] + reading.called.map(\.bytes)
        if let job = reading.job, texts.contains(where: SecretNeeds.mayBe) {
            reading.job?.secrets = SecretNeeds.find(in: job, template: reading.template?.name)
        }
        return reading
    }

    private func readAll(_ bytes: [UInt8], name: String, stem: String, as purpose: Purpose) -> Reading {
        let findings = Findings(SourceFile(name: name, bytes: bytes))
        guard let fields = fields(bytes, "the job", findings) else {
            return Reading(job: nil, findings: findings.all)
        }
        let budget = purpose == .accepted ? nil : CheckBudget()
        let calls = CallReader(self, budget)
        guard let node = fields.field("template") else {
            let fields = shared(fields, "the job", findings, calls)
            let job = read(fields, findings, stem: stem, budget, calls)
            if purpose != .template {
                demand(job.parameters, given: job.variables, at: fields.node.start, findings)
            }
            return Reading(
                job: findings.hasErrors ? nil : job, called: calls.called,
                findings: findings.all + calls.findings)
        }
        return readWithTemplate(fields, node, findings, stem: stem, as: purpose, budget, calls)
    }

    /// A step type of the site, as its template says; nil where there is none, or where it has errors.
    public func customType(_ name: String) -> StepType? {
        let calls = CallReader(self, CheckBudget())
        let file = CallReader.file(of: name)
        guard calls.isCustom(name), let bytes = templates(file) else { return nil }
        return calls.customType(
            name, at: SourceMark(line: 1, column: 1, offset: 0),
            Findings(SourceFile(name: file, bytes: bytes)))
    }

    /// A template as a job whose parameters are still to come; nil where there is none, or where it has errors.
    public func template(named name: String) -> JobSpec? {
        guard let bytes = templates(name) else { return nil }
        return read(bytes, name: name, stem: JobReader.stem(name), as: .template).job
    }

    private func fields(_ bytes: [UInt8], _ what: String, _ findings: Findings) -> FieldReader? {
        do throws(YamlError) {
            let tree = try YamlReader.parse(bytes)
            return FieldReader(tree, what, findings)
        } catch {
            findings.add(Diagnostic(error))
            return nil
        }
    }

    /// The fields with what `include:` and `extends:` bring.
    private func shared(_ fields: FieldReader, _ what: String, _ findings: Findings, _ calls: CallReader)
        -> FieldReader
    {
        let tree = SharedKeys(reader: self, calls: calls, findings: findings).resolved(fields.node)
        return FieldReader(tree, what, findings) ?? fields
    }

    // MARK: the job itself

    private func read(
        _ fields: FieldReader, _ findings: Findings, stem: String, _ budget: CheckBudget?, _ calls: CallReader
    ) -> JobSpec {
        let fields = OriginSpelling.job(fields)
        let more = fields.field("program") == nil ? [] : ["idempotent"]
        fields.refuseUnknown(JobReader.jobKeys + more)
        checkVersion(fields, required: true)
        var job = JobSpec(name: fields.text("name") ?? stem, steps: [])
        if job.name.allSatisfy(\.isWhitespace), let node = fields.field("name") {
            findings.error(
                "E-NAME", "`name` is empty",
                hint: "give the job a name, or leave the key out: the file's name counts then",
                at: node.start)
        }
        readHead(fields, into: &job)
        job.parameters = ParameterReader(findings: findings, budget: budget).read(fields)
        takeParameters(&job, fields, budget)
        job.description = fields.text("description") ?? ""
        job.terms = TermReader(fields: fields).read()
        job.retry = fields.retry("retry", standard: .standard)
        job.timeout = fields.span("timeout")
        job.maxParallel =
            fields.integer("max_parallel", in: 1...Limits.mostParallelSteps) ?? Limits.parallelSteps
        let steps = StepReader(catalogue: catalogue, findings: findings, calls: calls)
        let program = program(fields, findings)
        if program == nil, fields.field("steps") == nil {
            findings.error(
                "E-STEPS", "the job has no `steps:`",
                hint: "add steps, or name a template: `template: example.yaml`",
                at: fields.node.start)
        }
        job.steps = program ?? steps.read(fields, .main)
        if job.steps.isEmpty, let node = fields.field("steps"), node.items?.isEmpty == true {
            findings.error("E-STEPS", "`steps` is empty", at: node.start)
        }
        job.onFailure = steps.read(fields, .onFailure)
        job.finally = steps.read(fields, .finally)
        (job.outputs, job.outputKinds) = OutputReader(fields: fields).read()
        if program != nil { job.outputs = JobReader.outputsOfProgram(job.outputs) }
        if let step = artifacts(fields, number: job.finally.count + 1) { job.finally.append(step) }
        if !findings.hasErrors {
            StaticCheck(job: job, findings: findings, budget: budget).check(fields)
        }
        return job
    }

    private func checkVersion(_ fields: FieldReader, required: Bool) {
        guard let node = fields.field("dsl_version") else {
            if required {
                fields.findings.error(
                    "E-VERSION", "the job does not say its `dsl_version`",
                    hint: "begin with: dsl_version: \"1.1\"",
                    at: fields.node.start)
            }
            return
        }
        // 1.1 without quotes is a number in YAML; people mean the version.
        guard node.scalar?.text == JobReader.version else {
            return fields.findings.error(
                "E-VERSION", "`dsl_version` must be \"1.1\"",
                hint: "this program knows version 1.1 of the language",
                at: node.start)
        }
    }

    private func readHead(_ fields: FieldReader, into job: inout JobSpec) {
        if let node = fields.field("queue"), let text = fields.text("queue") {
            job.queue = QueueName(text)
            if job.queue == nil {
                fields.findings.error(
                    "E-QUEUE", "`\(text)` cannot name a queue", hint: "1 to 32 of a-z, 0-9 and _",
                    at: node.start)
            }
        }
        job.priority = fields.integer("priority", in: 1...9).flatMap(Priority.init)
        job.variables = fields.map("variables") ?? [:]
        job.trigger = fields.map("trigger") ?? [:]
        checkVariableNames(fields)
    }

    private func checkVariableNames(_ fields: FieldReader) {
        for pair in fields.field("variables")?.pairs ?? []
        where Scope.reservedNames.contains(pair.key) || Scope.words.contains(pair.key) {
            fields.findings.error(
                "E-VARIABLE", "`\(pair.key)` cannot name a variable: it is a word of the language",
                at: pair.keyStart)
        }
    }

    // MARK: a job that names a template

    private static let callKeys =
        ["dsl_version", "name", "template", "variables", "queue", "priority", "trigger"] + TermReader.keys

    private func readWithTemplate(
        _ fields: FieldReader, _ node: YamlNode, _ findings: Findings, stem: String,
        as purpose: Purpose, _ budget: CheckBudget?, _ calls: CallReader
    ) -> Reading {
        let fields = OriginSpelling.job(fields)
        fields.refuseUnknown(JobReader.callKeys)
        checkVersion(fields, required: false)
        var call = JobSpec(name: "", steps: [])
        readHead(fields, into: &call)
        guard let name = fields.text("template"), let bytes = template(name, at: node.start, findings) else {
            return Reading(job: nil, findings: findings.all)
        }
        let inner = Findings(SourceFile(name: "templates/\(name)", bytes: bytes))
        guard let templateFields = self.fields(bytes, "the template", inner) else {
            return Reading(job: nil, findings: findings.all + inner.all)
        }
        if let nested = templateFields.field("template") {
            inner.error("E-TEMPLATE", "a template cannot name another template", at: nested.start)
        }
        var job = read(
            shared(templateFields, "the template", inner, calls), inner, stem: JobReader.stem(name), budget,
            calls)
        findUnknownVariables(fields, known: job, findings)
        if purpose != .accepted {
            // What came from outside may look like a template: nobody renders it.
            if fields.field("trigger") == nil, let given = fields.field("variables") {
                StaticCheck.refuseTemplates(given, findings)
            }
        }
        let parameters = job.parameters
        job.variables.merge(judged(call.variables, parameters, fields, findings, budget))
        if purpose != .template {
            demand(
                parameters, given: job.variables, at: fields.field("variables")?.start ?? node.start, findings
            )
        }
        job.name = fields.text("name") ?? job.name
        job.queue = call.queue ?? job.queue
        job.priority = call.priority ?? job.priority
        job.trigger = call.trigger.isEmpty ? job.trigger : call.trigger
        job.terms = TermReader(fields: fields).read().over(job.terms)
        if purpose != .accepted, !findings.hasErrors {
            StaticCheck(job: job, findings: findings, budget: budget).checkTerms(fields)
        }
        findings.append(inner.all + calls.findings)
        return Reading(
            job: findings.hasErrors ? nil : job, template: (name, bytes), called: calls.called,
            findings: findings.all)
    }

    /// A template that a step calls: read as a job of its own, whose parameters are still to come.
    func readCalled(
        _ bytes: [UInt8], _ name: String, _ findings: Findings, _ budget: CheckBudget?, _ calls: CallReader
    ) -> JobSpec? {
        guard let fields = fields(bytes, "the template", findings) else { return nil }
        if let nested = fields.field("template") {
            findings.error("E-TEMPLATE", "a template cannot name another template", at: nested.start)
            return nil
        }
        return read(
            shared(fields, "the template", findings, calls), findings, stem: JobReader.stem(name), budget,
            calls)
    }

    func template(_ name: String, at mark: SourceMark, _ findings: Findings) -> [UInt8]? {
        let parts = name.parts(at: "/", keepingEmpty: true)
        let legal = parts.allSatisfy { !$0.isEmpty && !$0.begins(with: ".") }
        guard legal, name.hasSuffix(".yaml") || name.hasSuffix(".yml") else {
            findings.error(
                "E-TEMPLATE", "`\(name)` cannot name a template",
                hint: "a file name below templates/ that ends in .yaml",
                at: mark)
            return nil
        }
        guard let bytes = templates(name) else {
            findings.error(
                "E-TEMPLATE", "there is no template `\(name)`",
                hint: "it would be templates/\(name) of this site", at: mark)
            return nil
        }
        return bytes
    }

    /// Defaults become variables; what the file itself gives as a variable is a value for the parameter.
    private func takeParameters(_ job: inout JobSpec, _ fields: FieldReader, _ budget: CheckBudget?) {
        guard !job.parameters.isEmpty else { return }
        let given = judged(job.variables, job.parameters, fields, fields.findings, budget)
        for parameter in job.parameters where given[parameter.name] == nil {
            if let standard = parameter.standard { job.variables[parameter.name] = standard }
        }
        job.variables.merge(given)
    }

    /// The values in the form of their parameters, each that does not fit a finding.
    private func judged(
        _ values: ValueMap, _ parameters: [JobParameter], _ fields: FieldReader, _ findings: Findings,
        _ budget: CheckBudget?
    ) -> ValueMap {
        var values = values
        let reader = ParameterReader(findings: findings, budget: budget)
        for pair in fields.field("variables")?.pairs ?? [] {
            guard let parameter = parameters.first(where: { $0.name == pair.key }) else { continue }
            let value = ParameterReader.value(pair.value, for: parameter.kind)
            if reader.judge(value, parameter, at: pair.value.start) {
                values[pair.key] = parameter.kind.accept(value) ?? value
            }
        }
        return values
    }

    private func demand(
        _ parameters: [JobParameter], given: ValueMap, at mark: SourceMark, _ findings: Findings
    ) {
        // With other faults about, a value may be missing for no reason of its own.
        guard !findings.hasErrors else { return }
        for parameter in parameters where parameter.isRequired && given[parameter.name] == nil {
            findings.error(
                "E-PARAM", "`\(parameter.name)` must be given (\(parameter.kind.title))",
                hint: parameter.summary.isEmpty ? "under `variables:`, or with --var" : parameter.summary,
                at: mark)
        }
    }

    private func findUnknownVariables(_ fields: FieldReader, known: JobSpec, _ findings: Findings) {
        let parameters = known.parameters.map(\.name)
        let names = parameters + known.variables.keys.filter { !parameters.contains($0) }
        for pair in fields.field("variables")?.pairs ?? [] where !names.contains(pair.key) {
            let near = findings.nearest(pair.key, in: names)
            // Who lists what may be set means that nothing else may.
            if !known.parameters.isEmpty {
                findings.error(
                    "E-PARAM", "the template has no parameter `\(pair.key)`",
                    hint: near.map { "did you mean `\($0)`?" }
                        ?? "it has: \(names.joined(separator: ", "))",
                    at: pair.keyStart)
                continue
            }
            findings.warning(
                "W-VARIABLE", "the template does not declare a variable `\(pair.key)`",
                hint: near.map { "did you mean `\($0)`?" } ?? "", at: pair.keyStart)
        }
    }

    /// The manifest of an executable step type: in place of `steps:` it names the program beside it.
    private func program(_ fields: FieldReader, _ findings: Findings) -> [StepSpec]? {
        guard let node = fields.field("program"), let name = fields.text("program") else { return nil }
        guard
            findings.source.name.hasPrefix("templates/\(JobReader.customFolder)/")
                || findings.source.name.hasPrefix("\(JobReader.customFolder)/"), fields.field("steps") == nil,
            let type = catalogue["step_program"]
        else {
            findings.error(
                "E-KEY",
                "`program` stands in a manifest in templates/\(JobReader.customFolder)/, in place of `steps`",
                hint: "here the step `run` runs a program", at: node.start)
            return nil
        }
        var step = StepSpec(
            place: StepPlace(.main, [1]), id: "program", type: type,
            parameters: ["program": .string(name), "input": "{{ variables }}"], line: node.start.line)
        step.idempotent = fields.flag("idempotent")
        return [step]
    }
    /// In a manifest an output is named and described; its value is what the program prints.
    private static func outputsOfProgram(_ described: ValueMap) -> ValueMap {
        ValueMap(distinct: described.keys.map { ($0, .string("{{ steps.program.\($0) }}")) })
    }

    public static func stem(_ name: String) -> String {
        let base = name.parts(at: "/").last ?? name
        return base.split(separator: ".").first.map(String.init) ?? base
    }
}
