// What this is: what `run` and `shell` have in common: parameters, the request, the reading of the outcome.
// Owns: accepted exit codes, E-EXIT, E-SIGNAL, the parsing of standard output.
// Never: starts a process: the context does, within the step's time.
// On failure: Failure with the last line the program wrote to standard error.
import JobModel
import LinuxSystem

enum ProgramParameters {
    static let list = [
        Parameter("stdin", .any, "what the program reads; a list or map is passed as JSON").takingSecrets,
        Parameter(
            "secret_files", .map, default: .map([:]),
            "environment variables, each with the name of a file that only the program can open, and what is in it"
        ).takingSecrets,
        Parameter("cwd", .text, "working directory; the site when absent"),
        Parameter("exit_codes", .list, default: .list([.int(0)]), "exit codes that count as success"),
        Parameter("capture", .size, default: .string("64KiB"), "how much of standard output `stdout` keeps"),
        Parameter(
            "parse", .choice(["none", "json", "lines"]), default: .string("none"),
            "turns standard output into `json` or `lines`"),
        Parameter(
            "detach", .flag, default: .bool(false),
            "does not wait: the program goes on beside the next steps and is ended when the run ends or waits"
        ),
    ]
    static let outputs: [(name: String, summary: String)] = [
        ("exit_code", "the exit code"),
        ("pid", "with detach: true, the process id; the other outputs are then absent"),
        ("stdout", "standard output, without line ends at its end; bytes that are not UTF-8 become U+FFFD"),
        ("stderr", "the end of standard error"),
        ("truncated", "whether `stdout` is only the beginning"),
        ("json", "with parse: json, the value"),
        ("lines", "with parse: lines, a list of texts"),
    ]
}

/// One program to run, from checked arguments to the step's outputs.
struct ProgramCall {
    var title: String
    var request: ProcessRequest
    /// What the exit code 255 of ssh says.
    var unreached: Failure?
    /// What that says of the service; it may be the program's own 255, or our own mistake.
    var saysOfTarget: (ProcessEnding) -> TargetOutcome = { _ in .unknown }
    private var accepted: Set<Int> = []
    private var parse: String

    init(
        _ title: String, _ argv: [String], environment: ValueMap = [:], _ arguments: ValueMap,
        _ context: any StepContext
    ) throws(Failure) {
        self.title = title
        parse = arguments.text("parse")
        request = ProcessRequest(
            argv, environment: environment, captureLimit: max(arguments.bytes("capture"), 1))
        request.input = Array((arguments["stdin"] ?? .null).content.utf8)
        request.isDetached = arguments["detach"]?.boolValue ?? false
        request.secretFiles = try ProgramCall.secretFiles(arguments)
        request.workingDirectory = try ProgramCall.folder(arguments, context)
        for code in arguments["exit_codes"]?.listValue ?? [] {
            guard let number = code.intValue, (0...255).contains(number) else {
                throw .parameter("`exit_codes` holds whole numbers from 0 to 255, not \(code.text)")
            }
            accepted.insert(number)
        }
        // The kernel ends a text at its first NUL, so the program would see something else than the job says.
        guard !argv.contains(where: { $0.utf8.contains(0) }) else {
            throw .parameter(
                "an argument of \(title) holds a NUL byte", whatToDo: "pass such data through `stdin`")
        }
    }

    private static func secretFiles(_ arguments: ValueMap) throws(Failure) -> [ProcessRequest.SecretFile] {
        let files = arguments["secret_files"]?.mapValue ?? [:]
        guard files.count <= ProcessRequest.mostSecretFiles else {
            throw .parameter("`secret_files` holds more than \(ProcessRequest.mostSecretFiles) files")
        }
        var found: [ProcessRequest.SecretFile] = []
        for entry in files.entries {
            let first = entry.key.utf8.first ?? 0
            let isName =
                entry.key.utf8.allSatisfy {
                    $0 == 0x5F || (0x30...0x39).contains($0) || (0x61...0x7A).contains($0 | 0x20)
                } && (first == 0x5F || (0x61...0x7A).contains(first | 0x20))
                && !entry.key.hasPrefix("BOBBIN_")
                && !entry.key.hasPrefix("LD_")
            guard isName else {
                throw .parameter(
                    "`\(entry.key.prefix(80))` of `secret_files` cannot name an environment variable")
            }
            found.append(.init(variable: entry.key, bytes: Array(entry.value.content.utf8)))
        }
        return found
    }

    private static func folder(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) -> String {
        guard let text = arguments.optionalText("cwd") else { return context.baseDirectory }
        let path = try SitePath(text, context)
        let status = try onDisk("run in \(path.absolute)") { () throws(SystemError) in
            try FileStatus.following(path.absolute)
        }
        guard status.kind == .directory else {
            throw Failure(
                "E-FILE-KIND", "`cwd` \(path.absolute) is a \(status.kindName)", whatToDo: "name a directory")
        }
        return path.absolute
    }

    func perform(_ context: any StepContext) throws(Failure) -> ValueMap {
        let ending = try context.run(request)
        if case .running(let pid) = ending.exit { return ["pid": .int(pid)] }
        let code = try check(ending)
        var outputs: ValueMap = [
            "exit_code": .int(code), "stdout": .string(ending.stdoutText),
            "stderr": .string(ending.stderrText),
            "truncated": .bool(ending.isCut),
        ]
        switch parse {
        case "json": outputs["json"] = try json(ending)
        case "lines": outputs["lines"] = try whole(ending) { .texts(TextLines.split($0.stdoutText)) }
        default: break
        }
        return try outputs.withinLimit(instead: "let the program write a file, or lower `capture`")
    }

    private func check(_ ending: ProcessEnding) throws(Failure) -> Int {
        let last = ending.lastErrorLine.map { ": \($0)" } ?? ""
        switch ending.exit {
        case .code(let code) where accepted.contains(code): return code
        case .running: return 0
        case .code(255):
            guard var failure = unreached else { throw exit(255, last) }
            failure.message += last
            failure.exitCode = 255
            failure.target = saysOfTarget(ending)
            throw failure
        case .code(let code): throw exit(code, last)
        case .signal(_, let name):
            throw Failure(
                "E-SIGNAL", "\(title) was killed by \(name)\(last)",
                whatToDo: "see the step's log; SIGKILL often means that memory ran out", retry: .transient)
        }
    }

    private func exit(_ code: Int, _ last: String) -> Failure {
        var failure = Failure(
            "E-EXIT", "\(title) exited with \(code)\(last)", whatToDo: advice(code), retry: .transient,
            exitCode: code)
        if unreached != nil { failure.target = .answered }
        return failure
    }
    private func advice(_ code: Int) -> String {
        switch code {
        case 126: "126 usually means that a program is not executable"
        case 127: "127 usually means that a program was not found: install it or name its path"
        default: "see the step's log; codes that are no failure go into `exit_codes`"
        }
    }

    private func json(_ ending: ProcessEnding) throws(Failure) -> Value {
        try whole(ending) { (ending) throws(Failure) in
            do { return try JSONReader.read(ending.stdout) } catch {
                throw Failure(
                    "E-JSON", "the output of \(title) is not JSON: \(error)",
                    whatToDo: "see the step's log, or `parse: none`")
            }
        }
    }

    private func whole(
        _ ending: ProcessEnding, _ read: (ProcessEnding) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        guard !ending.isCut else {
            throw Failure(
                "E-OUTPUT-SIZE",
                "\(title) wrote \(ending.stdoutBytes) bytes; `capture` keeps \(request.captureLimit)",
                whatToDo: "raise `capture`, or let the program write a file", retry: .never)
        }
        return try read(ending)
    }
}

extension ProcessEnding {
    var stdoutText: String { TextLines.withoutEnd(String(decoding: stdout, as: UTF8.self)) }
    var stderrText: String { TextLines.withoutEnd(String(decoding: stderr, as: UTF8.self)) }
    var isCut: Bool { stdoutBytes > stdout.count }
    /// The last line that says something, short enough for a message.
    var lastErrorLine: String? {
        TextLines.split(stderrText).last { !$0.trimmed.isEmpty }.map { String($0.trimmed.prefix(300)) }
    }
}
