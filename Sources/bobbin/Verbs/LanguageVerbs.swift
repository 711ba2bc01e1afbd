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
        discussion: "  bobbin explain templates/deploy.yaml --var target=staging")
    @Argument(help: "A job file.", completion: .file(extensions: ["yaml", "yml", "json"])) var job: String
    @Option(name: .customLong("var"), help: ArgumentHelp("Set a variable of the job.", valueName: "k=v"))
    var variables: [String] = []
    @OptionGroup var site: SiteOption
    @OptionGroup var json: JSONFlag

    func run() throws {
        // Without a site: the language's own defaults.
        let base = try site.pathIfAny()
        guard var (spec, _) = JobFile.check(job, site: base, quiet: false, as: .template) else {
            throw ExitCode(Exit.malformed)
        }
        guard try JobFile.set(variables, in: &spec, of: job, mayLack: true) else {
            throw ExitCode(Exit.malformed)
        }
        let plan = try JobPlan(spec, site: base.map { try Site(path: $0) })
        json.json ? Terminal.print(json: PlanText.value(plan)) : print(PlanText.text(plan))
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
