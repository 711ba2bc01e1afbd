// What this is: a fresh site in a temporary directory, with its runners, its drops and the outside effects of its jobs.
// Owns: making and removing it, the book of what was dropped, the two helper programs that steps call.
// Never: looks into the spool by other means than its documented files and verbs.
// On failure: throws; the directory is removed either way (set BOBBIN_KEEP to look at it).
import Glibc
import LinuxSystem
import Testing

final class TestSite {
    let path: String
    /// Name of a drop as our own names show it, and how many runs or rejections it must end in.
    var book: [String: Int] = [:]
    private(set) var runners: [RunnerProcess] = []
    /// Whether jobs of this site submit jobs, which are in no book.
    var mayHaveChildren = false
    /// Added to the environment of every runner started from now on.
    var environment: [String: String] = [:]

    static let configuration = """
        shutdown_grace: 20s
        kill_grace: 1s
        queues:
          default: {max_concurrent: 3, retry_policy: {max_attempts: 3, base_delay: 100ms, backoff_multiplier: 1.5}}
          high_priority: {max_concurrent: 5}
          background: {max_concurrent: 1}

        """

    /// Makes a site, lets `body` use it, stops its runners, checks what must always hold, removes it.
    static func use(
        _ configuration: String = configuration, environment: [String: String] = [:],
        below place: String = temporary,
        _ location: SourceLocation = #_sourceLocation, _ body: (TestSite) throws -> Void
    ) throws {
        let site = try TestSite(configuration, below: place)
        site.environment = environment
        try use(site, location, body)
    }
    static func use(
        _ site: TestSite, _ location: SourceLocation = #_sourceLocation, _ body: (TestSite) throws -> Void
    ) throws {
        defer { site.remove() }
        do { try body(site) } catch {
            Issue.record("\(error)\n\(site.story)", sourceLocation: location)
            return
        }
        try site.stop()
        try Invariants(site).check(location)
    }

    /// The system's temporary directory, by its real path.
    static let temporary: String = {
        let named = Host.environment("TMPDIR") ?? "/tmp"
        return Host.realPath(named) ?? named
    }()
    static func freshPath(below place: String = temporary) -> String {
        "\(place)/bobbin-e2e-\(Clocks.randomBits().1)"
    }

    init(_ configuration: String = configuration, below place: String = temporary) throws {
        path = TestSite.freshPath(below: place)
        let made = try Program.call(["init", path])
        guard made.code == 0 else { throw Trouble("init: \(made.both)") }
        try Disk.write(configuration, to: "\(path)/ops/orchestrator.yaml")
        try furnish()
    }
    /// A site that is there already; `book`: what lies in it.
    init(adopting path: String, book: [String: Int]) throws {
        self.path = path
        self.book = book
        try furnish()
    }
    private func furnish() throws {
        for name in ["outside", "gates"] { try Disk.makeDirectory("\(path)/\(name)") }
        try Disk.write("", to: effects)
        try Disk.write(
            "#!/bin/sh\necho \"$1 $2 $BOBBIN_IDEMPOTENCY_KEY\" >> '\(effects)'\n", to: "\(path)/effect",
            mode: 0o755)
        try Disk.write(
            "#!/bin/sh\necho \"$1 gate $BOBBIN_IDEMPOTENCY_KEY\" >> '\(effects)'\nread word < '\(path)/gates/'\"$1\"\n",
            to: "\(path)/gate", mode: 0o755)
    }
    func remove() {
        for runner in runners where runner.code == nil { _ = try? runner.killNow() }
        // What a killed runner's steps left running, and nobody will end any more.
        _ = Host.killAll(marked: ["BOBBIN_SITE=\(path)"])
        for fd in gates.values { close(fd) }
        if Host.environment("BOBBIN_KEEP") == nil { Disk.removeTree(path) } else { print("kept: \(path)") }
    }

    // MARK: runners

    @discardableResult
    func up(_ extra: [String: String] = [:]) throws -> RunnerProcess { try start("main", ["up"], extra) }
    @discardableResult
    func runner(_ name: String) throws -> RunnerProcess { try start(name, ["run", "--runner", name], [:]) }

    /// Starts a runner and waits until its log says that it watches and works.
    func start(_ name: String, _ verb: [String], _ extra: [String: String]) throws -> RunnerProcess {
        let before = Disk.bytes(log)?.count ?? 0
        let runner = try launch(name, verb, extra)
        try Signals.wait("runner \(name) to begin", in: ["\(spool)/log"], processes: [runner.pidfd]) {
            String(decoding: (Disk.bytes(log) ?? []).dropFirst(before), as: UTF8.self)
                .contains("\(name) began (pid \(runner.pid),") ? () : nil
        }
        return runner
    }
    /// Starts a runner and waits for nothing.
    func launch(_ name: String, _ verb: [String], _ extra: [String: String] = [:]) throws -> RunnerProcess {
        let runner = try RunnerProcess(
            name, verb + ["--site", path], site: path, environment: environment.merging(extra) { $1 })
        runners.removeAll { $0.code != nil }
        runners.append(runner)
        return runner
    }
    /// Ends every runner as a service manager would.
    func stop() throws {
        for runner in runners where runner.isRunning { runner.signal(SIGTERM) }
        for runner in runners where runner.code == nil { _ = try runner.end() }
        // The thread sanitizer's way to end (ops/sanitize); nothing of ours ends so.
        for runner in runners where runner.code == 66 { Issue.record("\(runner.name): \(runner.said)") }
        runners = []
    }

    // MARK: the command line

    func bobbin(_ arguments: String..., input: String = "") throws -> Outcome {
        try Program.call(arguments + ["--site", path], input: input)
    }

    // MARK: drops

    var spool: String { "\(path)/spool" }
    var log: String { "\(spool)/log/bobbin.log" }
    func lane(_ queue: String = "default", _ priority: Int = 5) -> String { "\(spool)/\(queue)/p\(priority)" }
    /// A path outside the spool, on the same file system.
    func outside(_ name: String) -> String { "\(path)/outside/\(name)" }

    /// Writes the file elsewhere and moves it in.
    func drop(_ name: String, _ text: String, _ queue: String = "default", _ priority: Int = 5) throws {
        try Disk.write(text, to: outside(name))
        expect(name)
        try Disk.move(outside(name), to: "\(lane(queue, priority))/\(name)")
    }
    /// Notes that one more run or rejection of this name is owed.
    func expect(_ name: String) { expectEscaped(Papers.escaped(name)) }
    func expectEscaped(_ name: String) { book[name, default: 0] += 1 }

    /// Submits by the verb; gives ticket and drop name.
    func submit(_ name: String, _ text: String, _ options: String...) throws -> (ticket: String, name: String)
    {
        try Disk.write(text, to: outside(name))
        let done = try Program.call(["submit", outside(name), "--site", path] + options)
        guard done.code == 0, let file = done.out.split(whereSeparator: \.isWhitespace).dropFirst().first
        else {
            throw Trouble("submit: \(done.code) \(done.both)")
        }
        let drop = String(file.split(separator: "/").last ?? "")
        expect(drop)
        return (String(done.out.prefix(26)), drop)
    }

    // MARK: outside effects

    /// Every line that a step appended, as `id step key`.
    var effects: String { "\(path)/effects" }
    func effect(_ id: String, _ step: String = "once") -> String {
        "run: [\(path)/effect, \"\(id)\", \(step)]"
    }
    /// A step that notes its start and then waits until `open(gate:)`.
    func gate(_ id: String) throws -> String {
        if !Disk.exists("\(path)/gates/\(id)") {
            try Disk.check("mkfifo", id, mkfifo("\(path)/gates/\(id)", 0o644))
        }
        return "run: [\(path)/gate, \"\(id)\"]"
    }
    private var gates: [String: Int32] = [:]
    func open(gate id: String) throws {
        // Both ends, kept open: the word waits for a step that has not got so far yet.
        let fd =
            try gates[id] ?? Disk.check("open", id, Glibc.open("\(path)/gates/\(id)", O_RDWR | O_CLOEXEC))
        gates[id] = fd
        try Disk.write(Array("go\n".utf8), to: fd)
    }
    func count(_ id: String, _ step: String) -> Int {
        Disk.lines(effects).count { $0.hasPrefix("\(id) \(step) ") }
    }

    /// For a failing test: what the runners said and did.
    var story: String {
        let tail = Disk.lines(log).suffix(15).joined(separator: "\n")
        let files = try? Program.call(
            ["-c", "find spool -type f -not -path '*/.bobbin/*' | sort | head -60"], path: "/bin/sh", in: path
        )
        return "log:\n\(tail)\nsaid: \(runners.map(\.said).joined())\nfiles:\n\(files?.out ?? "")"
    }
}
