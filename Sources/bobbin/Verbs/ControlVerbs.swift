// What this is: cancel, hold, release, requeue, resolve, pause, resume, drain: each writes the file a person would write.
// Owns: the waiting for the answer in control/closed/.
// Never: changes a run itself.
// On failure: exit 1 when the answer is a refusal; without a runner the command waits in control/, and that is said.
import AccessControl
import ArgumentParser
import BobbinDaemon
import JobModel
import LinuxSystem
import SpoolQueue
import YamlText

/// What the five verbs on runs share.
private struct RunCommand {
    let site: Site
    let verb: ControlFile.Verb
    let text: String

    func send(_ runs: [String]) throws {
        var isGood = true
        for run in runs {
            let subject: String
            switch try RunChoice.one(run, site) {
            case .live(let record), .ended(let record): subject = record.id.text
            case .drop(let path, let ticket):
                guard let ticket else {
                    Terminal.complain(
                        "\(Terminal.escape(path)) has no ticket: remove or rename the file itself")
                    throw ExitCode(Exit.usage)
                }
                subject = ticket
            }
            isGood = try sendOne(subject) && isGood
        }
        if !isGood { throw ExitCode(Exit.failed) }
    }

    private func sendOne(_ subject: String) throws -> Bool {
        let name = ControlFile.command(verb, subject: subject).name
        let waiter = try AnswerWaiter(site.spool.controlClosed)
        // It says what it is: its owner alone does not show that he meant it.
        let words = "\(verb.rawValue) \(subject)\(text.isEmpty ? "" : ": \(text)")\n"
        try AtomicFile.write(
            Array(words.utf8), to: name, in: site.spool.control, mode: 0o640, existing: .replace)
        guard try SiteView(site).isAnyoneWorking else {
            Terminal.complain("\(subject): no runner is working; the command waits in spool/control/\(name)")
            return true
        }
        guard let answer = try waiter.wait(for: "~\(name).answer.yaml") else {
            Terminal.complain("\(subject): no answer within 30 s; the command waits in spool/control/\(name)")
            return false
        }
        print("\(subject): \(Terminal.escape(answer["message"]?.scalar?.text ?? ""))")
        return answer["outcome"]?.scalar?.text == "done"
    }
}

struct CancelVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cancel", abstract: "End runs; their `finally` steps still run.",
        discussion: "  bobbin cancel 01KAJ")
    @Argument(help: "Runs or tickets.", completion: RunCompletion.kind) var runs: [String]
    @OptionGroup var site: SiteOption
    func run() throws { try RunCommand(site: site.open(), verb: .cancel, text: "").send(runs) }
}

struct HoldVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "hold", abstract: "Set runs aside before their next step.",
        discussion: "  bobbin hold 01KAJ")
    @Argument(help: "Runs or tickets.", completion: RunCompletion.kind) var runs: [String]
    @OptionGroup var site: SiteOption
    func run() throws { try RunCommand(site: site.open(), verb: .hold, text: "").send(runs) }
}

struct ReleaseVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "release", abstract: "Let held runs go on; start a waiting retry now.",
        discussion: "  bobbin release 01KAJ")
    @Argument(help: "Runs.", completion: RunCompletion.kind) var runs: [String]
    @OptionGroup var site: SiteOption
    func run() throws { try RunCommand(site: site.open(), verb: .release, text: "").send(runs) }
}

struct RequeueVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "requeue", abstract: "Run ended jobs again, as new runs.",
        discussion:
            "  bobbin requeue 01KAJ\n  bobbin requeue --cluster NETWORK_ERROR --since 2h\nThe same as moving the job file from failed/ back into a priority directory."
    )
    @Argument(help: "Runs.", completion: RunCompletion.kind) var runs: [String] = []
    @Option(
        help: ArgumentHelp("Every run of this cluster (`bobbin clusters`).", valueName: "id")) var cluster:
        String?
    @Option(
        help: ArgumentHelp(
            "With --cluster: that failed at this time or later (\(InstantText.forms)).", valueName: "time"))
    var since: String?
    @OptionGroup var site: SiteOption

    func validate() throws {
        if (cluster == nil) == runs.isEmpty {
            throw ValidationError("name runs, or a cluster with --cluster")
        }
        if cluster == nil, since != nil { throw ValidationError("--since goes with --cluster") }
        if let since { _ = try InstantText.read(since, "--since") }
    }
    func run() throws {
        guard let cluster else {
            return try RunCommand(site: site.open(), verb: .requeue, text: "").send(runs)
        }
        let site = try site.openOwn()
        let start = try InstantText.read(since ?? "24h", "--since")
        let found = try SiteReport.clusters(site, since: start, now: Terminal.now)
        guard let match = found.find(cluster), match.count > 0 else {
            let near =
                NearestName.find(cluster, in: found.clusters.map(\.id)).map { "; did you mean `\($0)`?" }
                ?? ""
            Terminal.complain(
                "no run failed with the cluster `\(Terminal.escape(cluster))` since \(start.rfc3339)\(near)\n  See: bobbin clusters --since 7d"
            )
            throw ExitCode(Exit.failed)
        }
        // One that was requeued and succeeded, or failed again, is no longer the one to repeat.
        let done = try SiteReport.requeued(match.runs, site)
        let open = match.runs.filter { !done.contains($0) }
        if match.count > match.runs.count {
            Terminal.complain("only the newest \(match.runs.count) of \(match.count) are taken at one time")
        }
        if open.isEmpty { return print("all \(match.runs.count) runs of \(match.id) were requeued already") }
        try RunCommand(site: site, verb: .requeue, text: "").send(open.map(\.text))
    }
}

extension Resolution: EnumerableFlag {
    public static func help(for value: Resolution) -> ArgumentHelp? {
        switch value {
        case .retry: "The step had no effect: run it again."
        case .skip: "The step did its work: go on with the next."
        case .fail: "Let the run fail: on_failure, finally, end."
        }
    }
}

struct ResolveVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resolve", abstract: "Decide about a step that was interrupted.",
        discussion:
            "  bobbin resolve 01KAJ --retry\nAfter a crash nobody knows whether the step had its effect; look, then say."
    )
    @Argument(help: ArgumentHelp("Runs.", valueName: "run"), completion: RunCompletion.kind) var subjects:
        [String]
    @Flag var answer: Resolution
    @OptionGroup var site: SiteOption

    func run() throws {
        try RunCommand(site: site.open(), verb: .resolve, text: answer.rawValue + "\n").send(subjects)
    }
}

/// A queue of this site by its name, for verbs that name one.
func knownQueue(_ text: String, _ site: Site) throws -> QueueName {
    let queues = try site.configuration().queues
    if let name = QueueName(text), queues.contains(where: { $0.name == name }) { return name }
    let near = NearestName.find(text, in: queues.map(\.name.text)).map { "; did you mean `\($0)`?" } ?? ""
    Terminal.complain("this site has no queue `\(Terminal.escape(text))`\(near)")
    throw ExitCode(Exit.usage)
}

/// The runner would refuse it; said at once, since a state is answered by nobody.
private func demand(_ permission: Permission, _ site: Site) throws {
    let uid = ProcessSetup.uid
    let policy = try site.access()
    guard uid != policy.service,
        let failure = policy.denial(of: permission, to: Submitter(uid: uid, name: Host.userName(uid)))
    else { return }
    Terminal.complain(
        "\(Terminal.escape(failure.message)) [\(failure.code)]\n  \(Terminal.escape(failure.whatToDo))")
    throw ExitCode(Exit.failed)
}

struct PauseVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pause", abstract: "Start nothing more from queues; what runs goes on.",
        discussion: "  bobbin pause background")
    @Argument(help: "Queues.") var queues: [String]
    @OptionGroup var site: SiteOption

    func run() throws {
        let site = try site.open()
        try demand(.pauseQueues, site)
        for text in queues {
            let name = ControlFile.pause(try knownQueue(text, site)).name
            try AtomicFile.write(
                Array("pause \(text)\n".utf8), to: name, in: site.spool.control, mode: 0o640,
                existing: .replace)
            print("\(text): paused, as long as spool/control/\(name) is there (bobbin resume \(text))")
        }
    }
}

struct ResumeVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume", abstract: "Let paused queues go on.", discussion: "  bobbin resume background")
    @Argument(help: "Queues.") var queues: [String]
    @OptionGroup var site: SiteOption

    func run() throws {
        let site = try site.open()
        for text in queues {
            let name = ControlFile.pause(try knownQueue(text, site)).name
            let wasPaused = try site.spool.control.statusIfPresent(name) != nil
            try site.spool.control.removeIfPresent(name)
            print(wasPaused ? "\(text): goes on" : "\(text): was not paused")
        }
    }
}

struct DrainVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drain", abstract: "Let what runs end, start nothing new, then stop the runners.",
        discussion: "  bobbin drain")
    @OptionGroup var site: SiteOption

    func run() throws {
        let site = try site.open()
        try demand(.manageSystem, site)
        guard try SiteView(site).isAnyoneWorking else {
            return print("no runner is working; nothing to drain")
        }
        try AtomicFile.write(
            Array("drain\n".utf8), to: ControlFile.drain.name, in: site.spool.control, mode: 0o640,
            existing: .replace)
        print(
            "draining: runs end, nothing new starts, then the runners stop and spool/control/drain goes away")
    }
}

struct TargetsVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "targets",
        abstract: "The services that steps call: what failed, how many wait for their turn.",
        discussion: "  bobbin targets --forget api.example.com:443")
    @Option(help: "Forget its failures and the turns that wait: the next call goes.") var forget: String?
    @OptionGroup var site: SiteOption
    @OptionGroup var json: JSONFlag

    func run() throws {
        let site = try site.open()
        if let forget {
            guard try TargetBook(site.spool.state).forget(forget) else {
                Terminal.complain("nothing is known of the target `\(forget)`; see bobbin targets")
                throw ExitCode(Exit.failed)
            }
            return print(
                "\(Terminal.escape(forget)) is called again; runs that wait for it already: bobbin release"
            )
        }
        let rows = try TargetBook.all(site.spool.state)
        if json.json {
            return Terminal.print(json: .list(rows.map { StatusText.value($0.target, $0.state) }))
        }
        print(rows.isEmpty ? "nothing is known of any service: none has failed" : StatusText.targets(rows))
    }
}
