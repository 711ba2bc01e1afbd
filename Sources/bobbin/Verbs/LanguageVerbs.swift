// What this is: check, explain, steps.
// Owns: their output; docs/STEPS.md is `bobbin steps --markdown`.
// Never: judges by other rules than the runner's.
// On failure: exit 65 for a job that is not valid.
import ArgumentParser
import BobbinDaemon
import JobLanguage
import JobModel
import LinuxSystem
import SpoolQueue

struct CheckVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Say what is wrong with job files, as the runner would.",
        discussion: "  bobbin check job.yaml\nExit 0 when all are valid, 65 when one is not.")
    @Argument(help: "Job files.", completion: .file(extensions: ["yaml", "yml", "json"])) var jobs: [String]
    @OptionGroup var site: SiteOption
    @OptionGroup var json: JSONFlag

    func run() throws {
        // A job can be checked anywhere; a site only adds its templates.
        let base = try? SiteFinder.find(option: site.site)
        var isGood = true
        var rows: [Value] = []
        for path in jobs {
            let findings: [Finding]
            var problem: String?
            do {
                let isTemplate =
                    base.map { "\(Host.realPath(path) ?? path)".hasPrefix("\($0)/templates/") } ?? false
                let (reading, _) = try JobFile.reading(path, site: base, as: isTemplate ? .template : .job)
                findings = reading.findings
                if reading.job == nil { isGood = false }
            } catch {
                findings = []
                problem = "\(Terminal.escape(path)): error: \(error)"
                isGood = false
            }
            if json.json {
                rows += findings.map { CheckVerb.value($0) }
            } else {
                for finding in findings { print(finding.rendered) }
                if let problem { Terminal.complain(problem) }
                if findings.isEmpty && problem == nil { print("\(Terminal.escape(path)): ok") }
            }
        }
        if json.json { Terminal.print(json: .list(rows)) }
        if !isGood { throw ExitCode(Exit.malformed) }
    }

    private static func value(_ finding: Finding) -> Value {
        let d = finding.diagnostic
        return .map([
            "file": .string(finding.source.name), "line": d.mark.map { .int($0.line) } ?? .null,
            "column": d.mark.map { .int($0.column) } ?? .null, "severity": .string(d.severity.rawValue),
            "code": .string(d.code), "message": .string(d.message), "hint": .string(d.hint),
        ])
    }
}

struct ExplainVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain", abstract: "Say what a job would do, without doing it.",
        discussion: "  bobbin explain job.yaml")
    @Argument(help: "A job file.", completion: .file(extensions: ["yaml", "yml", "json"])) var job: String
    @OptionGroup var site: SiteOption

    func run() throws {
        let base = try? SiteFinder.find(option: site.site)  // without a site: the language's own defaults
        guard let (spec, _) = JobFile.check(job, site: base, quiet: false, as: .template) else {
            throw ExitCode(Exit.malformed)
        }
        let queue = spec.queue ?? .standard
        let policy =
            try base.flatMap { try Site(path: $0).configuration().policy(queue) } ?? QueuePolicy(name: queue)
        print(
            "\(Terminal.escape(spec.name)): queue \(queue), priority \((spec.priority ?? .normal).level) unless its directory says otherwise"
        )
        let retry = spec.retry ?? policy.retry
        let whose =
            spec.retry == nil
            ? "the queue's rule: only failures from outside, and only if every step may be repeated"
            : "the job's own rule"
        print(
            "attempts: up to \(retry.maxAttempts), \(retry.baseDelay.text) apart and growing x\(retry.backoffMultiplier) to \(retry.maxDelay.text) (\(whose))"
        )
        print("time: \((spec.timeout ?? policy.timeout)?.text ?? "no limit")")
        if !spec.parameters.isEmpty {
            print("parameters:")
            print(Terminal.table(spec.parameters.map(ExplainVerb.row), indent: "  "))
        }
        if !spec.variables.isEmpty {
            print("variables: \(Terminal.escape(JSONText.write(.map(spec.variables))))")
        }
        for section in Section.allCases where !spec.steps(of: section).isEmpty {
            print("\(section.rawValue):")
            print(Terminal.table(ExplainVerb.rows(spec.steps(of: section)), indent: "  "))
        }
        if !spec.outputs.isEmpty { print("outputs: \(spec.outputs.keys.joined(separator: ", "))") }
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
    private static func rows(_ steps: [StepSpec]) -> [[String]] {
        steps.flatMap { [row($0)] + rows($0.steps) }
    }
    private static func row(_ step: StepSpec) -> [String] {
        // What holds others leaves that to them.
        var notes =
            step.type.control != nil
            ? []
            : [
                step.isRepeatable
                    ? "may be repeated after a crash" : "at most once: after a crash a person decides"
            ]
        if let needs = step.needs {
            notes.append(needs.isEmpty ? "starts at once" : "after \(needs.joined(separator: ", "))")
        }
        if let when = step.when { notes.append("when \(Terminal.escape(when))") }
        if let retry = step.retry { notes.append("up to \(retry.maxAttempts) tries") }
        if let timeout = step.timeout { notes.append("at most \(timeout.text)") }
        if step.continueOnError { notes.append("its failure does not stop the run") }
        return [step.label, step.type.name, step.name ?? step.id ?? "", notes.joined(separator: "; ")]
    }
}

struct StepsVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "steps", abstract: "List the step types, or explain one.",
        discussion: "  bobbin steps find_files")
    @Argument(help: "A step type.", completion: .custom { _, _, _ in Site.standardCatalogue.names }) var type:
        String?
    @Flag(help: "The whole reference as Markdown (docs/STEPS.md).") var markdown = false
    @OptionGroup var site: SiteOption
    @OptionGroup var json: JSONFlag

    func run() throws {
        let catalogue = Site.standardCatalogue
        if markdown { return print(StepManual.markdown(catalogue), terminator: "") }
        var base: String?
        if site.site != nil {
            base = try SiteFinder.find(option: site.site)
        } else {
            // Here is no site, and none was asked for: the program's own alone.
            base = try? SiteFinder.find(option: nil)
        }
        let customs = base.map { Site.customTypes(path: $0) } ?? []
        if let type {
            guard let found = catalogue[type] ?? customs.first(where: { $0.name == type }) else {
                Terminal.complain(
                    "there is no step type `\(Terminal.escape(type))`; `bobbin steps` lists them")
                throw ExitCode(Exit.usage)
            }
            return json.json ? Terminal.print(json: StepManual.value(found)) : print(StepManual.text(found))
        }
        if json.json { return Terminal.print(json: .list((catalogue.types + customs).map(StepManual.value))) }
        print(Terminal.table((catalogue.types + customs).map { [$0.name, $0.summary] }))
    }
}
