// What this is: init, up, run, version.
// Owns: their options.
// Never: holds a loop of its own: Runner and ForegroundRun do.
// On failure: exit codes of Exit.
import ArgumentParser
import BobbinDaemon
import Glibc
import JobModel
import LinuxSystem
import RunEngine
import SpoolQueue
import YamlText

struct InitVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init", abstract: "Make a site: directories and a configuration.",
        discussion: "  bobbin init ~/jobs && cd ~/jobs && bobbin up")
    @Argument(help: "Where; this directory when left out.", completion: .directory) var directory = "."
    @Option(
        help: ArgumentHelp(
            "For many people: the members of this group of the host may drop jobs, each with the role that ops/access.yaml gives.",
            valueName: "group"))
    var shared: String?

    func run() throws {
        if let shared { try SharedSite.check(group: shared) }
        let isNew = try Site.make(at: directory)
        let path = try SiteFinder.absolute(directory)
        if let shared {
            try Site.share(at: path, with: shared)
            print(
                "\(path) is open to the group \(shared), as ops/access.yaml has it; it runs as \(Host.userName(ProcessSetup.uid))"
            )
        }
        print(isNew ? "made a site in \(path)" : "\(path) is a site already; missing directories were made")
        print(
            "queues are set in ops/orchestrator.yaml; `bobbin up` starts the work; drop jobs into spool/default/p5/"
        )
    }
}

struct UpVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "up", abstract: "Work: claim and run jobs until told to stop.",
        discussion:
            "  bobbin up\nSIGTERM or Ctrl-C lets running steps end (shutdown_grace, 30s); a second one ends them now."
    )
    @OptionGroup var site: SiteOption

    func run() throws {
        let site = try site.open(mayFoundSpool: true)
        Terminal.complain("bobbin works on \(site.path) (log: spool/log/bobbin.log); Ctrl-C stops")
        throw ExitCode(
            try Runner(
                site: site,
                options: RunnerOptions(
                    name: "main", untilIdle: false, echo: true, servesTriggers: true)
            ).run())
    }
}

struct RunVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run one job here and now; without a job: be a runner.",
        discussion: """
              bobbin run job.yaml                 one job in the foreground, no daemon, no spool
              bobbin run --runner b               a second runner on the same spool
              bobbin run --until-idle             work until nothing is left
            """)
    @Argument(help: "A job file.", completion: .file(extensions: ["yaml", "yml", "json"])) var job: String?
    @Option(help: "This runner's name.") var runner = "main"
    @Flag(help: "End when nothing is left to do.") var untilIdle = false
    @Option(name: .customLong("var"), help: ArgumentHelp("Set a variable of the job.", valueName: "k=v"))
    var variables: [String] = []
    @Flag(help: "Of a job: say yes to everything that it asks.") var autoApprove = false
    @OptionGroup var site: SiteOption
    @OptionGroup var json: JSONFlag

    func validate() throws {
        if job == nil && autoApprove {
            throw ValidationError("--auto-approve goes with a job, not with a runner")
        }
        guard RunnerOptions.isFit(name: runner) else {
            throw ValidationError("a runner's name is 1 to 32 of a-z, 0-9, - and _")
        }
        if job != nil && untilIdle {
            throw ValidationError("--until-idle goes with a runner, not with a job")
        }
    }

    func run() throws {
        guard let job else {
            let options = RunnerOptions(name: runner, untilIdle: untilIdle, echo: true)
            throw ExitCode(try Runner(site: site.open(mayFoundSpool: true), options: options).run())
        }
        throw ExitCode(try foreground(job))
    }

    private func foreground(_ path: String) throws -> Int32 {
        // Without a site the job still runs; templates and relative paths are then below this directory.
        let base = try site.pathIfAny() ?? SiteFinder.absolute(".")
        // What must be given may come with --var.
        guard case (var spec, let bytes)? = JobFile.check(path, site: base, quiet: false, as: .template)
        else {
            return Exit.malformed
        }
        guard try JobFile.set(variables, in: &spec, of: path) else { return Exit.malformed }
        let unheard = spec.terms.keysOfSpool
        if !unheard.isEmpty {
            Terminal.complain(
                "note: \(unheard.joined(separator: ", ")) hold for jobs that are dropped; here nobody looks at them"
            )
        }
        ProcessSetup.prepare()
        ProcessSetup.becomeSubreaper()
        let signals = RunSignals()
        let inbox = try SignalInbox([SIGINT, SIGTERM])
        let listener = try BlockingThread.start("signals") {
            while true {
                // No signals without poll: the run goes on.
                guard (try? Waker.sleep([inbox.fd], until: nil)) != nil else { return }
                if inbox.next() != nil { signals.raise(.cancel) }
            }
        }
        _ = listener
        let folder = (Host.environment("TMPDIR") ?? "/tmp") + "/bobbin-\(Identities.fresh())"
        try Host.makeDirectories(folder)
        if !spec.secrets.isEmpty { ProcessSetup.hideMemory() }
        let record = ForegroundRun.perform(
            spec, bytes: bytes, name: path, directory: base, runs: try Directory.open(folder),
            signals: signals, progress: StepLine.show, ask: Asker(approvesAll: autoApprove).ask,
            // Only for its secrets: nothing else of a site is needed here.
            site: spec.secrets.isEmpty
                ? nil : try site.pathIfAny().map { try Site(path: $0, mayFoundSpool: false) })
        if json.json { Terminal.print(json: RunText.value(record)) } else { print(RunText.ended(record)) }
        if record.failure != nil { Terminal.complain("logs: \(folder)") }
        return record.finalState == .succeeded ? 0 : Exit.failed
    }
}

struct VersionVerb: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "version", abstract: "Print the version.")
    func run() { print("bobbin \(Version.text), job language 1.1, spool format \(SpoolName.currentFormat)") }
}
