// What this is: check, explain, steps.
// Owns: their output; docs/STEPS.md is `bobbin steps --markdown`.
// Never: judges by other rules than the runner's.
// On failure: exit 65 for a job that is not valid.
import ArgumentParser
import BobbinDaemon
import Glibc
import JobLanguage
import JobModel
import LinuxSystem
import SpoolQueue

struct CheckVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Say what is wrong with job files, as the runner would.",
        discussion: """
              bobbin check job.yaml
              bobbin check --watch templates/
            A directory stands for the jobs in it. Exit 0 when all are valid, 65 when one is not.
            """)
    @Argument(
        help: "Job files, or directories of them.", completion: .file(extensions: ["yaml", "yml", "json"]))
    var jobs: [String]
    @Flag(help: "Check again whenever one of the files, or a template, is saved.") var watch = false
    @Flag(name: .shortAndLong, help: "Say nothing of files that are valid.") var quiet = false
    @OptionGroup var site: SiteOption
    @OptionGroup var json: JSONFlag

    func run() throws {
        // A job can be checked anywhere; a site only adds its templates.
        let base = try site.pathIfAny()
        guard watch else {
            if try !check(base) { throw ExitCode(Exit.malformed) }
            return
        }
        var directories = Set(jobs.map { CheckVerb.folder(of: $0) })
        if let base {
            directories.formUnion(["\(base)/templates", "\(base)/templates/\(JobReader.customFolder)"])
        }
        // Before the first look: what is saved while it lasts is seen as well.
        let changes = try CheckWatch(directories.sorted())
        _ = try check(base)
        // Whoever reads along, through a pipe as well, sees each check when it is made.
        fflush(nil)
        try changes.forEachChange {
            print("-- \(Terminal.now.rfc3339)")
            _ = try check(base)
            fflush(nil)
        }
    }

    private static func folder(of path: String) -> String {
        if (try? Directory.open(path)) != nil { return path }
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// All files; the rows of `--json` are printed together.
    private func check(_ base: String?) throws -> Bool {
        var isGood = true
        var rows: [Value] = []
        for checked in try JobFile.check(all: CheckVerb.files(jobs), site: base) {
            isGood = isGood && checked.isGood
            if json.json {
                rows += checked.findings.map { CheckVerb.value($0) }
                continue
            }
            for finding in checked.findings { print(finding.rendered) }
            if let problem = checked.problem {
                Terminal.complain("\(Terminal.escape(checked.path)): error: \(problem)")
            } else if checked.findings.isEmpty && !quiet {
                print("\(Terminal.escape(checked.path)): ok")
            }
        }
        if json.json { Terminal.print(json: .list(rows)) }
        return isGood
    }

    /// A directory stands for the jobs in it.
    private static func files(_ paths: [String]) throws -> [String] {
        try paths.flatMap { path -> [String] in
            // A file, or nothing: told when it is read.
            guard let directory = try? Directory.open(path) else { return [path] }
            return try directory.names().filter { DropName.judge($0) == .job }.sorted().map {
                path.hasSuffix("/") ? path + $0 : "\(path)/\($0)"
            }
        }
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
        // Without a site: the language's own defaults.
        let base = try site.pathIfAny()
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
        let terms = spec.terms.shown
        if !terms.isEmpty {
            print("terms:")
            print(Terminal.table(terms.map { [$0.name, Terminal.escape($0.text)] }, indent: "  "))
        }
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
        // Without a site: the program's own alone.
        let base = try site.pathIfAny()
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
