// What this is: the surroundings of a step in these tests: a context that really runs programs.
// Owns: the log lines, the count of checkpoints and what they throw.
// Never: limits a program's time; the programs here end by themselves.
// On failure: a program that cannot be started is E-EXEC, as in the engine.
import JobModel
import LinuxSystem

final class FakeContext: StepContext {
    let runID: RunID
    var idempotencyKey: String
    var attempt = 1
    var isRerun = false
    let baseDirectory: String
    private(set) var lines: [String] = []
    private(set) var pauses: [Span] = []
    private(set) var requests: [ProcessRequest] = []
    /// Thrown by the checkpoint after this many have passed.
    var checkpointsLeft = Int.max
    var before: ValueMap?
    var effort = "1.1"
    var began = Timestamp(seconds: 1_795_247_712)
    var terms = Terms()
    let submitter = Submitter(uid: 1000, name: "test")
    var approvals: [Approval] = []
    /// What the step wished the run to wait for.
    private(set) var wish: (reason: Wait.Reason, until: Timestamp?)?
    /// What happens while a step pauses.
    var onPause: () -> Void = {}
    /// Whether a pause ends as a checkpoint does.
    var pauseChecks = false
    /// Where programs are looked up.
    var searchPath = Host.environment("PATH") ?? "/usr/bin:/bin"
    private let runs: String
    private static let prepared: Void = ProcessSetup.prepare()

    init(_ site: TestSite, step: String = "2") {
        _ = FakeContext.prepared
        var maker = RunIDMaker()
        runID = maker.next(now: Timestamp(seconds: 1_795_247_712), random: (7, 9))
        idempotencyKey = "\(runID)/\(step)"
        baseDirectory = site.path
        runs = site.path + "/spool/runs/\(runID)"
    }

    func runFile(_ name: String) throws(Failure) -> String {
        do {
            var directory = try Directory.open(baseDirectory)
            for part in ["spool", "runs", "\(runID)"] { directory = try directory.makeDirectory(part) }
        } catch {
            throw Failure("E-TEST", error.description)
        }
        return runs + "/" + name
    }
    func log(_ line: String) throws(Failure) { lines.append(line) }
    func checkpoint() throws(Failure) {
        guard checkpointsLeft > 0 else { throw Failure("E-STOPPED", "the runner stops", kind: .interrupted) }
        checkpointsLeft -= 1
    }
    func pause(_ span: Span) throws(Failure) {
        pauses.append(span)
        onPause()
        if pauseChecks { try checkpoint() }
    }

    func approval(_ nonce: String) -> Approval? { approvals.first { $0.nonce == nonce } }
    func upcoming() -> [Value] { [.map(["step": "3", "type": "log"])] }
    func suspend(_ reason: Wait.Reason, until: Timestamp?) { wish = (reason, until) }

    func run(_ request: ProcessRequest) throws(Failure) -> ProcessEnding {
        requests.append(request)
        guard let path = Host.program(request.arguments[0], path: searchPath)
        else {
            throw Failure("E-EXEC", "\(request.arguments[0]) was not found", whatToDo: "install it")
        }
        var request = request
        request.workingDirectory = request.workingDirectory ?? baseDirectory
        do { return try FakeContext.finish(path, request) } catch {
            throw Failure("E-EXEC", error.description)
        }
    }

    private static func finish(_ path: String, _ request: ProcessRequest) throws(SystemError) -> ProcessEnding
    {
        var environment = ["PATH=" + (Host.environment("PATH") ?? "/usr/bin:/bin")]
        environment += request.environment.entries.map { "\($0.key)=\($0.value.text)" }
        let folder: Directory? =
            if let path = request.workingDirectory { try Directory.open(path) } else { nil }
        let child = try ChildProcess.start(
            path: path, arguments: request.arguments, environment: environment, directory: folder)
        let waker = try Waker()
        var pipes = Pipes(request)
        while child.output != nil || child.error != nil {
            child.sleep(
                wakenBy: waker.fd, wantsToWrite: !pipes.input.isEmpty, until: Clocks.monotonic + 50_000_000)
            pipes.pump(child)
        }
        let exit = try child.reap()
        let how: ProcessEnding.Exit =
            exit.wasKilled ? .signal(Int(exit.code), name: Host.signalName(exit.code)) : .code(Int(exit.code))
        return ProcessEnding(
            exit: how, stdout: pipes.output, stdoutBytes: pipes.outputBytes, stderr: pipes.error)
    }
}

private struct Pipes {
    var input: ArraySlice<UInt8>
    var output: [UInt8] = []
    var error: [UInt8] = []
    var outputBytes = 0
    let limit: Int

    init(_ request: ProcessRequest) {
        input = request.input[...]
        limit = request.captureLimit
    }

    mutating func pump(_ child: ChildProcess) {
        if let fd = child.input {
            let written = input.isEmpty ? nil : PipeCalls.write(fd, input)
            input = written.map { input.dropFirst($0) } ?? []
            if input.isEmpty { child.closeInput() }
        }
        if let fd = child.output, !drain(fd, { $0.take($1) }) { child.closeOutput() }
        if let fd = child.error, !drain(fd, { $0.error += $1 }) { child.closeError() }
    }
    private mutating func take(_ bytes: UnsafeRawBufferPointer) {
        outputBytes += bytes.count
        output += bytes.prefix(limit - output.count)
    }
    /// False at the end of the pipe.
    private mutating func drain(_ fd: Int32, _ take: (inout Pipes, UnsafeRawBufferPointer) -> Void) -> Bool {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 65_536, alignment: 16)
        defer { buffer.deallocate() }
        while true {
            switch PipeCalls.read(fd, into: buffer) {
            case .bytes(let count): take(&self, UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            case .nothing: return true
            case .end: return false
            }
        }
    }
}
