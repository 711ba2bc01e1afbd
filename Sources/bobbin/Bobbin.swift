// What this is: the door: the verbs, and the exit codes that the parser's own are mapped to.
// Owns: `--site` before or after the verb; exit codes 0 1 2 3 65 69 74 75 (docs/OPERATING.md).
// Never: decides anything about jobs; verbs call the rooms and print.
// On failure: the sentence goes to standard error, the code says what kind it was.
import ArgumentParser
import BobbinDaemon
import Bundles
import Glibc
import JobModel
import LinuxSystem
import SpoolQueue

@main
struct Bobbin: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bobbin",
        abstract: "Runs work that arrives as files.",
        discussion: """
            cp job.yaml spool/default/p5/      drop a job: that is the whole interface
            ls spool/done/*/                   see its result

            A site is a directory with spool/ and ops/orchestrator.yaml: --site DIR, else $BOBBIN_SITE, else the
            nearest one upward from here.
            """,
        version: Version.text,
        groupedSubcommands: [
            CommandGroup(
                name: "Site", subcommands: [InitVerb.self, UpVerb.self, RunVerb.self, VersionVerb.self]),
            CommandGroup(
                name: "Work",
                subcommands: [
                    SubmitVerb.self, StatusVerb.self, TopVerb.self, QueuesVerb.self, RunsVerb.self,
                    ShowVerb.self,
                    LogVerb.self, WaitVerb.self,
                ]),
            CommandGroup(
                name: "Control",
                subcommands: [
                    CancelVerb.self, HoldVerb.self, ReleaseVerb.self, RequeueVerb.self, ResolveVerb.self,
                    PauseVerb.self,
                    ResumeVerb.self, DrainVerb.self, TargetsVerb.self,
                ]),
            CommandGroup(
                name: "Language",
                subcommands: [
                    CheckVerb.self, ExplainVerb.self, StepsVerb.self, NewVerb.self, SchemaVerb.self,
                ]),
            CommandGroup(
                name: "People",
                subcommands: [
                    ApprovalsVerb.self, ApproveVerb.self, DenyVerb.self, SecretsVerb.self, AccessVerb.self,
                    AuditVerb.self,
                ]),
            CommandGroup(
                name: "Reports",
                subcommands: [
                    ReportVerb.self, MetricsVerb.self, AlertsVerb.self, ClustersVerb.self, ClusterVerb.self,
                    ReporterVerb.self,
                ]),
            CommandGroup(name: "Bundles", subcommands: [BackupVerb.self, PruneVerb.self]),
            CommandGroup(name: "Time", subcommands: [ScheduleVerb.self, CronVerb.self, TriggersVerb.self]),
            CommandGroup(
                name: "Insides",
                subcommands: [DoctorVerb.self, IndexVerb.self, JournalVerb.self, StepProcessVerb.self]),
        ])

    static func main() {
        do {
            var command = try parseAsRoot(siteAfterVerb(Array(CommandLine.arguments.dropFirst())))
            try command.run()
        } catch {
            leave(error)
        }
    }

    /// `bobbin --site DIR VERB …` is the same as `bobbin VERB --site DIR …`.
    static func siteAfterVerb(_ arguments: [String]) -> [String] {
        if arguments.count > 2, arguments[0] == "--site" {
            return Array(arguments.dropFirst(2) + arguments.prefix(2))
        }
        if arguments.count > 1, arguments[0].hasPrefix("--site=") {
            return Array(arguments.dropFirst() + arguments.prefix(1))
        }
        return arguments
    }

    private static func leave(_ error: any Error) -> Never {
        switch error {
        case let code as ExitCode: Glibc.exit(code.rawValue)
        case let problem as SpoolProblem:
            Terminal.complain("bobbin: \(problem)")
            let code =
                switch problem.code {
                case "E-RUNNING": Exit.tryAgain
                case "E-SITE": Exit.usage
                case "E-JOURNAL", "E-QUEUE": Exit.malformed
                default: Exit.unavailable
                }
            Glibc.exit(code)
        case let problem as BundleProblem:
            Terminal.complain("bobbin: \(problem)")
            Glibc.exit(["E-ARCH", "E-FORMAT"].contains(problem.code) ? Exit.malformed : Exit.unavailable)
        case let problem as ConfigurationProblem:
            Terminal.complain(problem.text)
            Glibc.exit(Exit.malformed)
        case let failure as Failure:
            let hint = failure.whatToDo.isEmpty ? "" : "\n  \(failure.whatToDo)"
            Terminal.complain("bobbin: \(Terminal.escape(failure.message)) [\(failure.code)]\(hint)")
            Glibc.exit(Exit.failed)
        case let problem as SystemError where problem.isUnknownToKernel:
            Terminal.complain(
                "bobbin: the kernel has no `\(problem.call)`, or a sandbox forbids it; Bobbin needs Linux 5.9 or newer, and has no weaker way [E-KERNEL]"
            )
            Glibc.exit(Exit.unavailable)
        case let problem as SystemError:
            Terminal.complain("bobbin: \(problem)")
            Glibc.exit(Exit.inputOutput)
        default:
            let code = exitCode(for: error)
            let text = fullMessage(for: error)
            if code == .success { print(text) } else { Terminal.complain(text) }
            Glibc.exit(code == .validationFailure ? Exit.usage : code.rawValue)
        }
    }
}

/// What a script can rely on.
enum Exit {
    static let ok: Int32 = 0
    static let failed: Int32 = 1
    static let usage: Int32 = 2
    static let needsHuman: Int32 = 3
    static let malformed: Int32 = 65
    static let exists: Int32 = 73
    static let unavailable: Int32 = 69
    static let inputOutput: Int32 = 74
    static let tryAgain: Int32 = 75
}

struct SiteOption: ParsableArguments {
    @Option(
        name: .long, help: ArgumentHelp("The site's directory.", valueName: "dir"), completion: .directory)
    var site: String?

    /// For verbs that need none: the site that is named, which must exist, or the one around here, if any.
    func pathIfAny() throws -> String? {
        if site != nil { return try SiteFinder.find(option: site) }
        // None here, and none was asked for.
        return try? SiteFinder.find(option: nil)
    }

    /// Only verbs that bring work may found the spool of a new site.
    func open(mayFoundSpool: Bool = false) throws -> Site {
        try Site(path: SiteFinder.find(option: site), mayFoundSpool: mayFoundSpool)
    }
    /// For verbs on what is the service's own: secrets, journals, the audit log.
    func openOwn() throws -> Site {
        let site = try open()
        guard site.spool.isOwn else {
            let service = try Host.userName(site.serviceUID())
            throw SpoolProblem(
                "E-ACCESS", "this is the business of the site's own account, \(service)",
                whatToDo: "Ask whoever runs the site, or say it as \(service).")
        }
        return site
    }
}

struct JSONFlag: ParsableArguments {
    @Flag(name: .long, help: "Print JSON.") var json = false
}
