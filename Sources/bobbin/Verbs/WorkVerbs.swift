// What this is: submit, status, queues, runs, show, log, wait.
// Owns: their output and what they wait for.
// Never: writes anything but a drop (submit).
// On failure: exit codes of Exit.
import ArgumentParser
import BobbinDaemon
import JobLanguage
import JobModel
import LinuxSystem
import RunHistory
import SpoolQueue
import YamlText

struct SubmitVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "submit", abstract: "Check jobs and drop them.",
        discussion: """
              bobbin submit job.yaml --priority 2 --wait
            Prints the ticket of each drop; show, log, wait, cancel and hold take it at once.
            """)
    @Argument(help: "Job files.", completion: .file(extensions: ["yaml", "yml", "json"])) var jobs: [String]
    @Option(help: "The queue, unless the job says one.") var queue: String?
    @Option(help: "1 (most urgent) to 9, unless the job says one.") var priority: Int?
    @Option(name: .customLong("var"), help: ArgumentHelp("Set a variable.", valueName: "k=v")) var variables:
        [String] = []
    @Flag(help: "Wait for the end; exit 1 if a run does not succeed.") var wait = false
    @Flag(name: .shortAndLong, help: "Print only the tickets.") var quiet = false
    @OptionGroup var site: SiteOption

    func run() throws {
        let site = try site.open(mayFoundSpool: true)
        var checked: [(String, JobSpec, [UInt8])] = []
        for path in jobs {
            guard
                case (var spec, let bytes)? = JobFile.check(
                    path, site: site.path, quiet: quiet, as: .template),
                try JobFile.set(variables, in: &spec, of: path)
            else { throw ExitCode(Exit.malformed) }
            checked.append((path, spec, bytes))
        }
        var tickets: [String] = []
        for (path, spec, bytes) in checked {
            tickets.append(try drop(path, spec, bytes, site))
        }
        guard wait else { return }
        throw ExitCode(try RunWaiter(site).wait(tickets, showSteps: Terminal.isTerminal))
    }

    private func drop(
        _ path: String, _ spec: JobSpec, _ bytes: [UInt8], _ site: Site
    ) throws -> String {
        let (queue, priority) = try place(spec)
        let name = path.split(separator: "/").last.map(String.init) ?? path
        let text = try variables.isEmpty ? bytes : withVariables(bytes, spec)
        let drop = try Submission.drop(
            text, stem: String(name.split(separator: ".").first ?? "job"), queue, priority, site)
        print(quiet ? drop.ticket : "\(drop.ticket)  \(drop.path)")
        return drop.ticket
    }

    private func place(_ spec: JobSpec) throws -> (QueueName, Priority) {
        let named = try queue.map { text -> QueueName in
            guard let name = QueueName(text) else { throw ValidationError("`\(text)` cannot name a queue") }
            return name
        }
        let level = try priority.map { number -> Priority in
            guard let level = Priority(number) else { throw ValidationError("a priority is 1 to 9") }
            return level
        }
        return (spec.queue ?? named ?? .standard, spec.priority ?? level ?? .normal)
    }

    /// The job with its variables changed, written anew; the values are those that were judged.
    private func withVariables(_ bytes: [UInt8], _ spec: JobSpec) throws -> [UInt8] {
        guard case .map(var job) = Value(try YamlReader.parse(bytes)) else { return bytes }
        var merged = job["variables"]?.mapValue ?? [:]
        for (name, node) in try JobFile.variables(variables) {
            merged[name] = spec.variables[name] ?? Value(node)
        }
        job["variables"] = .map(merged)
        return Array((JSONText.write(.map(job), pretty: true) + "\n").utf8)
    }
}

struct StatusVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "What waits, runs and went wrong, at a glance.",
        discussion: "  bobbin status")
    @OptionGroup var site: SiteOption
    @OptionGroup var json: JSONFlag

    func run() throws {
        let view = try SiteView(site.open())
        json.json ? Terminal.print(json: StatusText.value(view)) : print(StatusText.text(view))
    }
}

struct QueuesVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "queues", abstract: "The queues and their rules.", discussion: "  bobbin queues")
    @OptionGroup var site: SiteOption
    @OptionGroup var json: JSONFlag

    func run() throws {
        let queues = try site.open().configuration().queues
        if json.json {
            return Terminal.print(
                json: .list(
                    queues.map { queue in
                        .map([
                            "name": .string(queue.name.text), "max_concurrent": .int(queue.maxConcurrent),
                            "priority_levels": .int(queue.priorityLevels),
                            "max_attempts": .int(queue.retry.maxAttempts),
                            "base_delay": .string(queue.retry.baseDelay.text),
                            "backoff_multiplier": .double(queue.retry.backoffMultiplier),
                            "max_delay": .string(queue.retry.maxDelay.text),
                            "require_end": .bool(queue.requireEnd),
                            "timeout": queue.timeout.map { .string($0.text) } ?? .null,
                        ])
                    }))
        }
        let head = ["queue", "at once", "priorities", "attempts", "delays", "time limit", "end mark"]
        print(
            Terminal.table(
                [head]
                    + queues.map { queue in
                        [
                            queue.name.text, String(queue.maxConcurrent), "p1-p\(queue.priorityLevels)",
                            String(queue.retry.maxAttempts),
                            "\(queue.retry.baseDelay.text) x\(queue.retry.backoffMultiplier) to \(queue.retry.maxDelay.text)",
                            queue.timeout?.text ?? "none", queue.requireEnd ? "required" : "optional",
                        ]
                    }))
    }
}

struct RunsVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "runs", abstract: "List runs, those in flight and those that ended, the newest first.",
        discussion: """
              bobbin runs --state failed --queue default --since 24h --text "no space"
            For the next page give the last run of the one before: --before RUN. New runs do not move it.
            """)
    @Option(
        help: "Only this state: queued running waiting succeeded failed denied timed_out cancelled skipped.")
    var state: String?
    @Option(help: "Only this queue.") var queue: String?
    @Option(help: "Only jobs of this name (* stands for anything).") var job: String?
    @Option(help: "Only this submitter.") var user: String?
    @Option(help: "Only runs with this tag.") var tag: String?
    @Option(help: ArgumentHelp("Ended at this time or later (\(InstantText.forms)).", valueName: "time"))
    var since: String?
    @Option(help: ArgumentHelp("Ended before this time.", valueName: "time")) var until: String?
    @Option(help: "Only runs with this text in the job's or drop's name or in the error.") var text: String?
    @Option(help: "How many.") var limit = 20
    @Option(help: ArgumentHelp("Only runs that are older than this one.", valueName: "run")) var before:
        String?
    @OptionGroup var site: SiteOption
    @OptionGroup var json: JSONFlag

    func validate() throws {
        if let state, !["queued", "running", "waiting"].contains(state), FinalState(rawValue: state) == nil {
            throw ValidationError("there is no state `\(state)`")
        }
        if !(1...100_000).contains(limit) { throw ValidationError("--limit is 1 to 100000") }
        if let before, RunID(before.uppercased()) == nil {
            throw ValidationError("--before takes the whole id of a run, as `bobbin runs` prints it")
        }
        _ = try filter()
    }

    func run() throws {
        let site = try site.open()
        let filter = try filter()
        var byID: [String: RunRow] = [:]
        // In flight, or ended a moment ago and on its way to the index.
        for record in Replays.live(site.spool) where isOfState(record) && filter.fits(record) {
            byID[record.id.text] = RunRow(record)
        }
        if state.map({ FinalState(rawValue: $0) != nil }) ?? true {
            for row in try ended(site, filter) { byID[row.id] = row }
        }
        var rows = Array(byID.values)
        rows.sort { $0.id > $1.id }
        let isMore = rows.count > limit
        rows = Array(rows.prefix(limit))
        if json.json { return Terminal.print(json: .list(rows.map(\.value))) }
        if rows.isEmpty { return print("no runs") }
        print(Terminal.table(rows.map(\.cells)))
        if isMore, let last = rows.last {
            Terminal.complain("there are more: the same with --before \(last.id), or a higher --limit")
        }
    }

    private func isOfState(_ record: RunRecord) -> Bool {
        guard let state, FinalState(rawValue: state) == nil else { return true }
        return record.finalState == nil && record.state.text.hasPrefix(state)
    }

    /// One more than are shown, to know whether there are more.
    private func filter() throws -> RunFilter {
        RunFilter(
            states: state.flatMap { FinalState(rawValue: $0) }.map { [$0] } ?? [], queue: queue, job: job,
            user: user, tag: tag, since: try since.map { try InstantText.read($0, "--since") },
            until: try until.map { try InstantText.read($0, "--until") }, text: text, limit: limit + 1,
            before: before.flatMap { RunID($0.uppercased()) })
    }

    private func ended(_ site: Site, _ filter: RunFilter) throws -> [RunRow] {
        guard site.spool.isOwn else {
            // The index is the service's own; the results are there for all.
            let files = FinalFiles(site.spool)
            return files.find(prefix: "0", limit: .max).compactMap(files.read).filter(filter.fits)
                .sorted { $0.id > $1.id }.prefix(filter.limit).map { RunRow($0) }
        }
        guard let history = try RunHistory.reader(path: IndexFiles.path(site.spool)) else { return [] }
        return try history.runs(filter).map { RunRow($0) }
    }
}

struct ShowVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show a run: its steps, times, waits and what went wrong.",
        discussion:
            "  bobbin show 01KAJ\nRUN is an id, a prefix of one, a ticket, or the path of a drop or job file."
    )
    @Argument(help: ArgumentHelp("The run.", valueName: "run"), completion: RunCompletion.kind) var subject:
        String
    @OptionGroup var site: SiteOption
    @OptionGroup var json: JSONFlag

    func run() throws {
        switch try RunChoice.one(subject, site.open()) {
        case .live(let record), .ended(let record):
            json.json ? Terminal.print(json: RunText.value(record)) : print(RunText.full(record))
        case .drop(let path, let ticket):
            if json.json {
                return Terminal.print(
                    json: .map([
                        "state": "waiting to be claimed", "path": .string(path),
                        "ticket": ticket.map(Value.string) ?? .null,
                    ]))
            }
            print("\(Terminal.escape(path)): waits to be claimed")
        }
    }
}

struct LogVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "log", abstract: "Print what a run's steps said.", discussion: "  bobbin log -f 01KAJ")
    @Argument(
        help: ArgumentHelp("The run; without one, the daemon's own log.", valueName: "run"),
        completion: RunCompletion.kind) var subject: String?
    @Flag(name: .shortAndLong, help: "Follow until the run ends.") var follow = false
    @Flag(help: "The bytes as they are, control characters included.") var raw = false
    @OptionGroup var site: SiteOption

    func run() throws {
        let site = try site.open()
        guard let subject else { return try LogReader(site).daemon(follow: follow) }
        switch try RunChoice.one(subject, site) {
        case .live(let record), .ended(let record):
            try LogReader(site, raw: raw).print(record, follow: follow)
        case .drop(let path, let ticket):
            guard follow, let ticket else {
                return print("\(Terminal.escape(path)): not claimed yet, so nothing was said")
            }
            let record = try RunWaiter(site).untilClaimed(ticket)
            try LogReader(site, raw: raw).print(record, follow: true)
        }
    }
}

struct WaitVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "wait", abstract: "Wait until runs have ended.",
        discussion:
            "  bobbin wait 01KAJ…\nExit 0: all succeeded; 1: one did not; 3: one waits for a person; 65: a drop was rejected."
    )
    @Argument(help: "Runs, tickets or drops.", completion: RunCompletion.kind) var runs: [String]
    @OptionGroup var site: SiteOption

    func run() throws {
        let site = try site.open()
        var keys: [String] = []
        for text in runs {
            // A drop that was sent back has no run, but its ticket has an answer.
            if RunID(text) != nil, try RunLookup(site).find(text).isEmpty,
                let code = try RunWaiter(site).rejection(text)
            {
                throw ExitCode(code)
            }
            switch try RunChoice.one(text, site) {
            case .live(let record), .ended(let record): keys.append(record.id.text)
            case .drop(let path, let ticket):
                guard let ticket else {
                    Terminal.complain(
                        "\(Terminal.escape(path)) has no ticket and no run yet; wait for it by its run id")
                    throw ExitCode(Exit.usage)
                }
                keys.append(ticket)
            }
        }
        throw ExitCode(try RunWaiter(site).wait(keys, showSteps: false))
    }
}
