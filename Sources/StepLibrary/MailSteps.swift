// What this is: the steps `compose_mail`, `attach_files`, `save_draft` and `send_email`.
// Owns: their table entries; sending by sendmail or by SMTP (curl).
// Never: sends a draft by itself; puts a password or an address on a command line that others could read.
// On failure: E-MAIL-…; whether a mail went out is unknown only after a crash, and then it is not sent again unasked.
import JobModel
import LinuxSystem

enum MailParameters {
    static let message = [
        Parameter("to", .texts, default: .list([]), "addresses"),
        Parameter("cc", .texts, default: .list([]), "addresses of a copy"),
        Parameter("bcc", .texts, default: .list([]), "addresses of a copy that the others do not see"),
        Parameter("from", .text, "the sender"),
        Parameter("subject", .text, default: .string(""), "the subject"),
        Parameter("body", .any, default: .string(""), "the text; a list or map as JSON"),
        Parameter("attachments", .texts, default: .list([]), "files"),
    ]
}

struct ComposeMailStep: StepAction {
    static let table = StepType(
        "compose_mail", "Begins a mail; it is kept with the run and not sent.",
        parameters: MailParameters.message,
        outputs: [("draft_id", "its name for attach_files, save_draft and send_email")],
        example: "compose_mail: {to: ledger@example.com, subject: \"Night run\", body: \"All balanced.\"}",
        effect: .writesFiles)
    var type: StepType { ComposeMailStep.table }

    func perform(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) -> ValueMap {
        let draft = try MailDraft(arguments, context)
        try draft.keep(context)
        return ["draft_id": .string(draft.id)]
    }
}

struct AttachFilesStep: StepAction {
    static let table = StepType(
        "attach_files", "Adds files to a mail that was composed.",
        parameters: [
            Parameter("paths", .texts, required: true, "the files; each must be there"), MailDraft.parameter,
        ],
        shorthand: "paths",
        outputs: [("attached", "how many files the mail has now"), ("draft_id", "the mail")],
        example: "attach_files: {paths: [out/whole.pdf]}", effect: .writesFiles)
    var type: StepType { AttachFilesStep.table }

    func perform(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) -> ValueMap {
        var draft = try MailDraft(named: arguments.optionalText("draft"), context)
        try draft.message.attach(arguments.texts("paths"), context)
        try draft.keep(context)
        return ["attached": .int(draft.message.attachments.count), "draft_id": .string(draft.id)]
    }
}

struct SaveDraftStep: StepAction {
    static let table = StepType(
        "save_draft", "Writes a mail that was composed to an .eml file, for a mail program to open.",
        parameters: [
            Parameter("path", .text, "the file; drafts/<run>-<step>.eml when absent"), MailDraft.parameter,
        ],
        shorthand: "path",
        outputs: [
            ("saved", "true"), ("path", "the absolute path"), ("bytes", "its size"), ("draft_id", "the mail"),
        ],
        example: "save_draft: {path: out/night.eml}", effect: .writesFiles)
    var type: StepType { SaveDraftStep.table }

    func perform(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) -> ValueMap {
        let draft = try MailDraft(named: arguments.optionalText("draft"), context)
        let name = "drafts/\(context.runID)-\(draft.id.dropFirst("step-".count)).eml"
        let path = try SitePath(arguments.optionalText("path") ?? name, context).named()
        let bytes = try draft.message.text(context)
        let directories = try OpenDirectories(context)
        _ = try directories.made(path.parent)
        let directory = try directories.writable(path)
        try onDisk("write \(path.absolute)") { () throws(SystemError) in
            try AtomicFile.write(bytes, to: path.name, in: directory, mode: 0o600, existing: .replace)
        }
        return [
            "saved": .bool(true), "path": .string(path.absolute), "bytes": .int(bytes.count),
            "draft_id": .string(draft.id),
        ]
    }
}

struct SendEmailStep: StepAction {
    static let table = StepType(
        "send_email", "Sends a mail, by this machine's sendmail or by an SMTP server.",
        parameters: MailParameters.message + [
            Parameter("draft", .text, "send this draft, in place of all of the above"),
            Parameter(
                "server", .text, "smtp://host:587 or smtps://host:465; this machine's sendmail when absent"),
            Parameter("user", .text, "the account at the server").takingSecrets,
            Parameter("password", .text, "its password; take it from a secret").takingSecrets,
            Parameter(
                "tls", .choice(["required", "optional"]), default: .string("required"),
                "for smtp://: whether the mail may go in the clear"),
            Parameter("timeout", .span, default: .string("60s"), "for the whole exchange with the server"),
        ],
        retryClass: .atMostOnce,
        outputs: [
            ("message_id", "of the mail"), ("recipients", "how many"), ("bytes", "the size of the mail"),
        ],
        example: "send_email: {to: ledger@example.com, subject: \"Night run\", body: \"All balanced.\"}",
        effect: .sendsData)
    var type: StepType { SendEmailStep.table }

    func target(_ arguments: ValueMap) -> String? {
        TargetName.find(inURL: arguments.text("server"), ports: ["smtp": 25, "smtps": 465])
    }

    func perform(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) -> ValueMap {
        let message: MailMessage
        if let draft = arguments.optionalText("draft") {
            let own = MailParameters.message.filter { (arguments[$0.name] ?? .null) != $0.standard }
            guard own.isEmpty else {
                throw .parameter(
                    "`draft` sends the mail as composed; `\(own[0].name)` belongs to compose_mail")
            }
            message = try MailDraft(named: draft, context).message
        } else {
            message = try MailMessage(arguments, context)
        }
        guard !message.recipients.isEmpty else {
            throw Failure("E-MAIL-ADDRESS", "the mail has no recipient", whatToDo: "set `to`", retry: .never)
        }
        let bytes = try message.text(context)
        if let server = arguments.optionalText("server") {
            try SmtpExchange(server, arguments, context).send(message, bytes)
        } else {
            try sendmail(message, bytes, context)
        }
        return [
            "message_id": .string(message.id), "recipients": .int(message.recipients.count),
            "bytes": .int(bytes.count),
        ]
    }

    private func sendmail(_ message: MailMessage, _ bytes: [UInt8], _ context: any StepContext)
        throws(Failure)
    {
        // By the service's PATH; it is not in everybody's.
        let path = Host.environment("PATH") ?? ""
        let program = Host.program("sendmail", path: path + ":/usr/sbin:/usr/lib") ?? "sendmail"
        var argv = [program, "-i"]
        if let from = message.from { argv += ["-f", from.address] }
        var request = ProcessRequest(argv + ["--"] + message.recipients)
        // Local programs end lines with LF alone.
        request.input = bytes.filter { $0 != 13 }
        let ending: ProcessEnding
        do { ending = try context.run(request) } catch {
            guard error.code == "E-EXEC" else { throw error }
            throw Failure(
                "E-MAIL-TOOL", "this machine has no program sendmail",
                whatToDo: "install a mail system (msmtp-mta, postfix), or name a `server`", retry: .never)
        }
        guard ending.exit == .code(0) else {
            // 75 is EX_TEMPFAIL.
            throw Failure(
                "E-MAIL-SEND",
                "sendmail did not take the mail\(ending.lastErrorLine.map { ": \($0)" } ?? "")",
                whatToDo: "see the step's log and the mail system's",
                retry: ending.exit == .code(75) ? .transient : .permanent)
        }
    }
}

/// One mail to an SMTP server, spoken by curl.
private struct SmtpExchange {
    let server: String
    let arguments: ValueMap
    let context: any StepContext

    init(_ server: String, _ arguments: ValueMap, _ context: any StepContext) throws(Failure) {
        let isPlain = server.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != 0x22 && $0 != 0x5C }
        guard isPlain, ["smtp://", "smtps://"].contains(where: server.hasPrefix), !server.has("@") else {
            throw .parameter("`server` is smtp://host:port or smtps://host:port, without an account")
        }
        self.server = server
        self.arguments = arguments
        self.context = context
    }

    func send(_ message: MailMessage, _ bytes: [UInt8]) throws(Failure) {
        guard let from = message.from else { throw .parameter("`server` needs a sender: set `from`") }
        let path = try SitePath(context.runFile("\(RunFile.label(context)).mail"), context)
        try onDisk("write \(path.absolute)") { () throws(SystemError) in
            try AtomicFile.write(
                bytes, to: path.name, in: Directory.open(path.parent.absolute), mode: 0o600,
                existing: .replace, durable: false)
        }
        // The mail is kept nowhere once it was handed over; a file that stays harms nobody.
        defer { try? Directory.open(path.parent.absolute).remove(path.name) }
        let seconds = String(max(arguments.span("timeout").inSeconds, 0.001))
        var lines = [
            "silent", "show-error", "url = \(CurlRequest.quoted(server))", "max-time = \(seconds)",
            "connect-timeout = \(seconds)", "proto = \"=smtp,smtps\"",
            "mail-from = \(CurlRequest.quoted(from.address))",
            "upload-file = \(CurlRequest.quoted(path.absolute))",
        ]
        lines += message.recipients.map { "mail-rcpt = \(CurlRequest.quoted($0))" }
        lines.append(arguments.text("tls") == "required" ? "ssl-reqd" : "ssl")
        if let user = arguments.optionalText("user") {
            guard !user.has(":") else { throw .parameter("`user` holds a colon") }
            lines.append("user = \(CurlRequest.quoted("\(user):\(arguments.text("password"))"))")
        }
        var call = ProcessRequest(["curl", "-q", "--config", "-"])
        call.input = Array((lines.joined(separator: "\n") + "\n").utf8)
        let ending: ProcessEnding
        do { ending = try context.run(call) } catch {
            guard error.code == "E-EXEC" else { throw error }
            throw Failure(
                "E-MAIL-TOOL", "SMTP needs the program curl", whatToDo: "install it: apt-get install curl",
                retry: .never)
        }
        guard ending.exit != .code(0) else { return }
        let last = ending.lastErrorLine.map { ": \($0)" } ?? ""
        switch ending.exit {
        case .code(64):
            var failure = Failure(
                "E-MAIL-TLS", "\(server) does not encrypt\(last)",
                whatToDo: "use smtps://, or allow the clear with `tls: optional`", retry: .never)
            failure.target = .answered
            throw failure
        case .code(67):
            var failure = Failure(
                "E-MAIL-LOGIN", "\(server) refused the account\(last)",
                whatToDo: "check `user` and `password`",
                retry: .never)
            failure.target = .answered
            throw failure
        default:
            var failure = Failure(
                "E-MAIL-SEND", "\(server) did not take the mail\(last)",
                whatToDo: "see the step's log and the server's", retry: .transient)
            failure.target = SmtpExchange.saysOfServer(ending, time: arguments.span("timeout"))
            throw failure
        }
    }

    /// What the ending says of the server. A reply code, which curl puts at the end, came from one that is there.
    static func saysOfServer(_ ending: ProcessEnding, time: Span) -> TargetOutcome {
        if ending.exit == .code(28), time < CurlExchange.fairTime { return .unknown }
        let word = (ending.lastErrorLine ?? "").split(separator: " ").last.map(String.init) ?? ""
        if word.utf8.count == 3, let code = Int(word), (400...599).contains(code) {
            return code == 421 ? .down("E-MAIL-SEND") : .answered
        }
        // curl(1), section EXIT CODES: not found, not reached, in silence, broken off.
        let isDown = [6, 7, 28, 52, 55, 56].contains { ending.exit == .code($0) }
        return isDown ? .down("E-MAIL-SEND") : .unknown
    }
}
