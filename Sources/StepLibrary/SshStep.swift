// What this is: the step `ssh`: a program on another machine, by the program ssh.
// Owns: its table entry, ssh's options, the quoting of arguments for the other side's shell.
// Never: asks (no passwords, no unknown host keys); lets a value be read as an option or as shell text.
// On failure: E-SSH when the other side was not reached (ssh's exit code 255), else as for `run`.
import JobModel

struct SshStep: StepAction {
    static let table = StepType(
        "ssh", "Runs a program on another machine.",
        parameters: [
            Parameter("host", .text, required: true, "name or address, as in ssh's own configuration"),
            Parameter("argv", .texts, required: true, "the program and its arguments, without a shell"),
            Parameter("user", .text, "the account there"),
            Parameter("port", .integer, range: 1...65535, "the port"),
            Parameter("identity", .text, "the file of the private key"),
            Parameter("known_hosts", .text, "the file of known host keys; ssh's own when absent"),
            Parameter("connect_timeout", .span, default: .string("10s"), "for reaching the other side"),
        ] + ProgramParameters.list.filter { !["cwd", "detach", "secret_files"].contains($0.name) },
        retryClass: .atMostOnce,
        outputs: ProgramParameters.outputs.filter { $0.name != "pid" },
        example: "ssh: {host: web1.example.com, user: deploy, argv: [systemctl, restart, shop]}",
        effect: .runsProgram)
    var type: StepType { SshStep.table }

    func target(_ arguments: ValueMap) -> String? {
        TargetName.find(host: arguments.text("host"), port: arguments["port"]?.intValue ?? 22)
    }

    func perform(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) -> ValueMap {
        let (host, user) = (arguments.text("host"), arguments.optionalText("user"))
        for (name, word) in [("host", host), ("user", user ?? "x")] {
            // What begins with `-` would be an option to ssh; a blank or a sign, another word or command.
            guard SshStep.isPlain(word) else {
                throw .parameter("`\(name)` of ssh is no plain name: `\(word.prefix(80))`")
            }
        }
        let argv = arguments.texts("argv")
        guard let program = argv.first, !program.isEmpty else { throw .parameter("`argv` names no program") }
        let seconds = max(1, Int(arguments.span("connect_timeout").inSeconds.rounded(.up)))
        var ssh = [
            "ssh", "-T", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o",
            "ConnectTimeout=\(seconds)", "-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=4",
        ]
        if let port = arguments["port"]?.intValue { ssh += ["-p", String(port)] }
        if let identity = arguments.optionalText("identity") {
            ssh += ["-i", try SitePath(identity, context).absolute, "-o", "IdentitiesOnly=yes"]
        }
        if let known = arguments.optionalText("known_hosts") {
            let path = try SitePath(known, context).absolute
            guard !path.has("\"") else { throw .parameter("`known_hosts` holds a quote") }
            ssh += ["-o", "UserKnownHostsFile=\"\(path)\""]
        }
        if let user { ssh += ["-l", user] }
        ssh += ["--", host, argv.map(SshStep.quoted).joined(separator: " ")]
        var call = try ProgramCall("\(program) on \(host)", ssh, arguments, context)
        call.unreached = Failure(
            "E-SSH", "\(host) was not reached, or did not let us in",
            whatToDo: "try it by hand as this account: ssh -o BatchMode=yes \(host)", retry: .transient)
        call.saysOfTarget = SshStep.saysOfHost
        return try call.perform(context)
    }

    /// A wrong key or account, or a far program's own 255, is no fault of the host; what ssh says when it did not get there
    /// is, where it is all that was said: a far program may use the same words.
    static func saysOfHost(_ ending: ProcessEnding) -> TargetOutcome {
        let lines = TextLines.split(ending.stderrText).map(\.trimmed).filter { !$0.isEmpty }
        guard ending.stdout.isEmpty, lines.count <= 2, let last = lines.last?.lowercased() else {
            return .unknown
        }
        let words = [
            "ssh: connect to host", "ssh: could not resolve hostname", "kex_exchange_identification",
            "connection closed by", "connection reset by", "connection timed out during banner exchange",
        ]
        return words.contains { last.hasPrefix($0) } ? .down("E-SSH") : .unknown
    }

    private static func isPlain(_ word: String) -> Bool {
        guard let first = word.utf8.first, first != 0x2D, word.utf8.count <= 255 else { return false }
        return word.utf8.allSatisfy {
            (0x30...0x39).contains($0) || (0x61...0x7A).contains($0 | 0x20) || "._-:%@\\".utf8.contains($0)
        }
    }

    /// One word for any POSIX shell.
    static func quoted(_ word: String) -> String {
        "'" + word.parts(at: "'", keepingEmpty: true).joined(separator: "'\\''") + "'"
    }
}
