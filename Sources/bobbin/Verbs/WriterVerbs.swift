// What this is: the verbs that help who writes jobs: new, schema.
// Owns: the starter file, where the schema of a site lies.
// Never: overwrites a job that is there.
// On failure: exit 73 where the file exists.
import ArgumentParser
import BobbinDaemon
import JobLanguage
import JobModel
import LinuxSystem

struct NewVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "new", abstract: "Write a job to begin with.",
        discussion: """
              bobbin new nightly.yaml --step find_files --step move_to
              bobbin new release.yaml --template deploy.yaml
            """)
    @Argument(help: "The file to write; - prints it.", completion: .file(extensions: ["yaml"])) var file:
        String
    @Option(name: .customLong("step"), help: "A step type to begin with; may be given again.") var steps:
        [String] = []
    @Option(help: "A job that runs this template, with its parameters.") var template: String?
    @OptionGroup var site: SiteOption

    func validate() throws {
        if template != nil, !steps.isEmpty {
            throw ValidationError("--template and --step exclude each other")
        }
    }

    func run() throws {
        let base = try site.pathIfAny()
        let name = file.split(separator: "/").last.map(String.init) ?? file
        let stem = file == "-" ? "job" : String(name.split(separator: ".").first ?? "job")
        let text: String
        if let template {
            guard let base, let job = Site.reader(path: base).template(named: template) else {
                Terminal.complain(
                    "there is no template `\(Terminal.escape(template))` here, or it has errors; templates/ has them"
                )
                throw ExitCode(Exit.usage)
            }
            text = JobStarter.call(template, job, name: stem, site: base)
        } else {
            let types = Site.standardCatalogue.types + (base.map { Site.customTypes(path: $0) } ?? [])
            var chosen: [StepType] = []
            for step in steps.isEmpty ? ["find_files", "log"] : steps {
                guard let type = types.first(where: { $0.name == step }) else {
                    Terminal.complain(
                        "there is no step type `\(Terminal.escape(step))`; `bobbin steps` lists them")
                    throw ExitCode(Exit.usage)
                }
                chosen.append(type)
            }
            text = JobStarter.job(name: stem, JobStarter.completed(chosen, from: types), site: base)
        }
        guard file != "-" else { return print(text, terminator: "") }
        let slash = file.lastIndex(of: "/")
        let folder = slash.map { $0 == file.startIndex ? "/" : String(file[..<$0]) } ?? "."
        do throws(SystemError) {
            try AtomicFile.write(Array(text.utf8), to: name, in: Directory.open(folder))
        } catch {
            guard error.isExisting else { throw error }
            Terminal.complain("\(Terminal.escape(file)) exists already; choose another name")
            throw ExitCode(Exit.exists)
        }
        print(
            "\(Terminal.escape(file)): edit it, then: bobbin check \(Terminal.escape(file)) && bobbin submit \(Terminal.escape(file))"
        )
    }
}

struct SchemaVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "schema", abstract: "Print the JSON Schema of jobs, for editors.",
        discussion: """
              bobbin schema --write
            writes it to ops/job.schema.json of the site, with the site's own step types and templates. An editor with a
            YAML language server reads it where a job's first line is
              # yaml-language-server: $schema=<path>/ops/job.schema.json
            """)
    @Flag(help: "Write ops/job.schema.json of the site.") var write = false
    @OptionGroup var site: SiteOption

    func run() throws {
        let base = write ? try SiteFinder.find(option: site.site) : try site.pathIfAny()
        let text = Site.schema(path: base)
        guard write, let base else { return print(text, terminator: "") }
        try AtomicFile.write(
            Array(text.utf8), to: Site.schemaFile, in: Directory.open(base).directory("ops"),
            existing: .replace)
        print("ops/\(Site.schemaFile)")
    }
}
