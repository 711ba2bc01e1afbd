// What this is: the surroundings of one attempt of one step: what JobModel's StepContext promises.
// Owns: the step's deadline, its log, its processes from start to reaping.
// Never: renders or decides on retries (StepCourse does); leaves a process of the step behind.
// On failure: Failure: E-CANCELLED, E-TIMEOUT, E-STOPPED, E-EXEC, E-SPAWN, E-WAIT.
import JobModel
import LinuxSystem

final class StepRun: StepContext {
    let runID: RunID
    let idempotencyKey: String
    let attempt: Int
    let isRerun: Bool
    let baseDirectory: String
    let log: StepLog
    let before: ValueMap?
    /// Counted only where somebody asks: a run may have many records.
    var effort: String { progress.effort(of: place) }
    private let progress: Progress
    let began: Timestamp
    let terms: Terms
    let submitter: Submitter
    private let whatComes: () -> [Value]
    /// What the step asked for: the run is to wait.
    private(set) var wish: (reason: Wait.Reason, until: Timestamp?)?
    /// What goes on beside the next steps.
    private(set) var detached: [ChildProcess] = []
    private let place: StepPlace
    private let environment: ValueMap
    private let surroundings: RunSurroundings
    /// As whom the step acts; nil: as the service.
    let account: Account?
    var actsForAnother: Bool { account != nil }
    private let secrets: any SecretValues
    private let signals: RunSignals
    /// Monotonic; the nearer of the step's and the run's.
    private let deadline: Deadline?

    struct Deadline: Sendable {
        var instant: Int64
        var what: String
        var span: Span
    }

    init(
        drive: Drive, step: StepSpec, place: StepPlace, attempt: Int, isRerun: Bool, environment: ValueMap,
        waited: (outputs: ValueMap, began: Timestamp)?, upcoming: @escaping () -> [Value] = { [] },
        deadline: Deadline?, account: Account? = nil
    ) {
        self.account = account
        before = waited?.outputs
        whatComes = upcoming
        progress = drive.progress
        began = waited?.began ?? drive.now
        terms = drive.progress.acceptance.terms
        submitter = drive.progress.acceptance.submitter
        let (run, tries) = (drive.id, (drive.progress.attempt, attempt))
        runID = run
        self.place = place
        self.attempt = attempt
        self.isRerun = isRerun
        self.environment = environment
        surroundings = drive.surroundings
        secrets = drive.secrets
        signals = drive.signals
        self.deadline = deadline
        baseDirectory = surroundings.sitePath
        idempotencyKey = "\(run)/\(place.text)"
        let open = surroundings.runDirectory
        log = StepLog(name: StepRun.logName(step, place, tries)) {
            try Account.reachingOwnFiles { try open(run) }
        }
    }

    /// Of a run whose steps act as another account: what they may write there.
    private static let filesFolder = "files"
    private static func logName(_ step: StepSpec, _ place: StepPlace, _ tries: (run: Int, step: Int))
        -> String
    {
        let suffix = tries == (1, 1) ? "" : ".try\(tries.run)-\(tries.step)"
        return "\(place.text).\(step.id ?? step.type.name)\(suffix).log"
    }

    // MARK: StepContext

    func runFile(_ name: String) throws(Failure) -> String {
        do {
            guard let account else {
                _ = try surroundings.runDirectory(runID)
                return "\(surroundings.runsPath)/\(runID)/\(name)"
            }
            // The logs beside it are not his to change.
            try Account.reachingOwnFiles {
                let files = try surroundings.runDirectory(runID).makeDirectory(
                    StepRun.filesFolder, mode: 0o700)
                try files.share(with: account.uid)
            }
            return "\(surroundings.runsPath)/\(runID)/\(StepRun.filesFolder)/\(name)"
        } catch {
            throw Failure("E-DISK", "the run's directory cannot be made: \(error)", retry: .transient)
        }
    }

    func log(_ line: String) throws(Failure) {
        let filter = secrets.filter()
        log.add(filter.pass(Array((line + "\n").utf8)) + filter.finish())
    }

    func checkpoint() throws(Failure) {
        switch signals.request {
        case .cancel: throw StepRun.cancelled
        case .stop: throw StepRun.stopped
        case .none, .hold: break
        }
        if let deadline, Clocks.monotonic >= deadline.instant { throw StepRun.late(deadline) }
    }

    func pause(_ span: Span) throws(Failure) {
        let end = Clocks.monotonic + span.nanoseconds
        try checkpoint()
        signals.pause(until: min(end, deadline?.instant ?? end))
        try checkpoint()
    }

    func approval(_ nonce: String) -> Approval? { progress.record.approval(nonce) }
    func upcoming() -> [Value] { whatComes() }
    func suspend(_ reason: Wait.Reason, until: Timestamp?) { wish = (reason, until) }

    func run(_ request: ProcessRequest) throws(Failure) -> ProcessEnding {
        try checkpoint()
        if request.isDetached { return try detach(request) }
        let child = try start(request, log: nil)
        let watch = ProcessWatch(
            child: child, request: request, log: log,
            marks: ["BOBBIN_STEP_KEY=\(idempotencyKey)", "BOBBIN_SITE=\(baseDirectory)"],
            filters: (secrets.filter(), secrets.filter()), grace: surroundings.killGrace
        )
        return try watch.wait(waker: signals.descriptor(), deadline: deadline?.instant) {
            () throws(Failure) in
            try checkpoint()
        }
    }

    private func start(_ request: ProcessRequest, log: OpenFile?) throws(Failure) -> ChildProcess {
        var variables = environmentOfChild(request)
        guard let name = request.arguments.first, !name.isEmpty else {
            throw Failure("E-EXEC", "there is no program to run", retry: .never)
        }
        let path = variables["PATH"]?.text ?? RunSurroundings.standardPath
        guard let program = Host.program(name, path: path) else {
            throw Failure(
                "E-EXEC", "the program `\(name)` was not found in \(path)",
                whatToDo: "Install it, or give its full path.", retry: .never)
        }
        do throws(SystemError) {
            let directory = try Directory.open(resolve(request.workingDirectory))
            var files: [MemoryFile] = []
            for file in request.secretFiles {
                variables[file.variable] = .string(MemoryFile.path(inChild: files.count))
                files.append(try MemoryFile(file.bytes))
            }
            return try ChildProcess.start(
                path: program, arguments: request.arguments,
                environment: variables.entries.map { "\($0.key)=\($0.value.text)" }, directory: directory,
                hasInput: !request.input.isEmpty, log: log, inherited: files, account: account,
                confinement: Account.reachingOwnFiles { () throws(SystemError) in
                    try surroundings.confinement()
                })
        } catch {
            throw StepRun.spawnFailure(error, program: name, directory: request.workingDirectory)
        }
    }

    /// Starts a program that the run, not the step, ends. Its output goes to the step's log as it is written.
    private func detach(_ request: ProcessRequest) throws(Failure) -> ProcessEnding {
        let file: OpenFile
        do {
            file = try Account.reachingOwnFiles {
                try surroundings.runDirectory(runID).openForAppending(log.name)
            }
        } catch let error as SystemError where error.isShortOfResources {
            throw StepRun.spawnFailure(error, program: "the step's log", directory: nil)
        } catch {
            throw Failure("E-DISK", "the step's log cannot be made: \(error)", retry: .transient)
        }
        let child = try start(request, log: file)
        child.closeInput()
        log.markUsed()
        detached.append(child)
        return ProcessEnding(exit: .running(pid: Int(child.pid)), stdout: [], stdoutBytes: 0, stderr: [])
    }

    private func resolve(_ path: String?) -> String {
        guard let path else { return baseDirectory }
        return path.begins(with: "/") ? path : baseDirectory + "/" + path
    }

    private static func spawnFailure(_ error: SystemError, program: String, directory: String?) -> Failure {
        // EAGAIN, ENOMEM, EMFILE are the host's trouble, not the job's: another try may well work.
        let host = error.isShortOfResources
        if error.call == "open", !host {
            return Failure(
                "E-EXEC", "the working directory \(directory ?? "") cannot be entered: \(error)",
                retry: .permanent)
        }
        return Failure(
            host ? Failure.notSpawned : "E-EXEC", "`\(program)` could not be started: \(error)",
            whatToDo: host ? "The machine is short of processes, memory or descriptors." : "",
            retry: host ? .transient : .never)
    }

    private func environmentOfChild(_ request: ProcessRequest) -> ValueMap {
        var variables = surroundings.baseEnvironment
        if let account {
            variables.merge([
                "HOME": .string(account.home), "USER": .string(account.name),
                "LOGNAME": .string(account.name),
                "SHELL": .string(account.shell.isEmpty ? "/bin/sh" : account.shell),
            ])
        }
        variables.merge(environment)
        variables["BOBBIN_RUN_ID"] = .string(runID.text)
        variables["BOBBIN_STEP"] = .string(place.text)
        variables["BOBBIN_STEP_KEY"] = .string(idempotencyKey)
        variables["BOBBIN_ATTEMPT"] = .int(attempt)
        variables["BOBBIN_IDEMPOTENCY_KEY"] = .string(idempotencyKey)
        variables["BOBBIN_SITE"] = .string(baseDirectory)
        variables.merge(request.environment)
        return variables
    }

    static let cancelled = Failure(
        "E-CANCELLED", "the run was cancelled", kind: .cancelled, retry: .never)
    private static let stopped = Failure(
        "E-STOPPED", "the runner was stopped", kind: .interrupted, retry: .never)
    private static func late(_ deadline: Deadline) -> Failure {
        Failure(
            "E-TIMEOUT", "\(deadline.what) took longer than \(deadline.span.text)",
            whatToDo: "Raise its `timeout:`, or find out what it waits for.", kind: .timedOut,
            retry: .transient)
    }
}
