// What this is: approvals, approve, deny: what waits for people, and their answers.
// Owns: the layout; the answer file that `approve` and `deny` write, as a person would by hand.
// Never: decides whether an answer counts: the runner does, by who owns the file.
// On failure: exit 1 when the answer was refused, with the reason; without a runner it waits, and that is said.
import AccessControl
import ArgumentParser
import BobbinDaemon
import JobModel
import LinuxSystem
import SpoolQueue
import YamlText

struct ApprovalsVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "approvals", abstract: "What waits for people.",
        discussion: "  bobbin approvals\n  bobbin approvals 01KAJ     the request, whole")
    @Argument(help: "A request, its run, or the beginning of either.") var request: String?
    @OptionGroup var site: SiteOption
    @OptionGroup var json: JSONFlag

    func run() throws {
        let site = try site.open()
        guard site.spool.isOwn else { return try published(site) }
        let view = try ApprovalView(site)
        let policy = try site.access()
        if let request { return try show(Choice.one(request, view), site) }
        if json.json {
            return Terminal.print(
                json: .list(view.rows.map { ApprovalView.value($0, policy: policy) }))
        }
        if view.rows.isEmpty { print("nothing waits for anybody") }
        let now = Terminal.now
        for row in view.rows {
            let q = row.gate.question
            let until =
                row.gate.approval.expiresAt.map {
                    "\(Terminal.age($0.since(now))) left, then \(q.autoAction.rawValue)"
                }
                ?? "request not published yet"
            print(
                "\(row.id)  \(Terminal.escape(row.run.acceptance.jobName))  \(q.risk.rawValue) risk  \(until)"
            )
            print("  \(Terminal.escape(q.shownMessage))")
            var facts = [
                "asked by \(Terminal.escape(row.run.acceptance.submitter.name))",
                ApprovalForm.whoMay(q, policy: policy),
            ]
            if q.wanted > 1 {
                facts.append("\(Set(row.gate.approval.decisions.map(\.by.uid)).count) of \(q.wanted)")
            }
            print("  \(Terminal.escape(facts.joined(separator: "; ")))")
            for name in row.unfinished {
                print("  \(Terminal.escape(name)) has begun an answer: it has no decision yet")
            }
        }
        for (file, why) in view.waiting where !view.rows.contains(where: { !$0.unfinished.isEmpty }) {
            Terminal.complain("spool/\(SpoolName.responses)/\(Terminal.escape(file)): \(why)")
        }
    }

    /// Who is not the service sees what it has published.
    private func published(_ site: Site) throws {
        let requests =
            try request.map { try PublishedRequest.find($0, site.spool) } ?? PublishedRequest.all(site.spool)
        if json.json { return Terminal.print(json: .list(requests.map { .map($0.fields) })) }
        if let request, requests.isEmpty {
            Terminal.complain("no open request `\(Terminal.escape(request))`; `bobbin approvals` lists them")
            throw ExitCode(Exit.usage)
        }
        if request != nil, let one = requests.first, requests.count == 1 {
            return print(String(decoding: one.text, as: UTF8.self), terminator: "")
        }
        if requests.isEmpty { print("nothing waits for anybody") }
        for one in requests {
            let word = { (key: String) in Terminal.escape(one.fields[key]?.text ?? "") }
            print(
                "\(one.id)  \(word("job"))  \(word("risk_level")) risk  until \(word("expires_at")), then \(word("then"))"
            )
            print("  \(word("message"))")
            print("  asked by \(word("asked_by")); \(word("who_may_answer"))")
        }
    }

    private func show(_ row: ApprovalView.Row, _ site: Site) throws {
        let policy = try site.access()
        if json.json {
            return Terminal.print(json: ApprovalView.value(row, policy: policy))
        }
        let text = ApprovalForm.render(row.run, row.gate, policy: policy)
        print(String(decoding: text, as: UTF8.self), terminator: "")
    }
}

/// Finding a request by what a person says.
private enum Choice {
    static func one(_ text: String, _ view: ApprovalView) throws -> ApprovalView.Row {
        let found = view.find(text)
        if let row = found.first, found.count == 1 { return row }
        if found.isEmpty {
            Terminal.complain("no open request `\(Terminal.escape(text))`; `bobbin approvals` lists them")
        } else {
            Terminal.complain("`\(Terminal.escape(text))` is more than one request:")
            for row in found {
                Terminal.complain("  \(row.id)  \(Terminal.escape(row.gate.question.shownMessage))")
            }
        }
        throw ExitCode(Exit.usage)
    }
}

/// What approve and deny share.
private struct AnswerCommand {
    let site: Site
    let verdict: Decision.Verdict
    let comment: String
    let inputs: [String]
    /// With which the answer is signed; nil: it is not.
    var key: String?

    func send(_ requests: [String]) throws {
        var isGood = true
        for request in requests {
            // Each anew: an answer may have closed others.
            guard site.spool.isOwn else {
                isGood = try sendPublished(request) && isGood
                continue
            }
            isGood = try send(Choice.one(request, ApprovalView(site))) && isGood
        }
        if !isGood { throw ExitCode(Exit.failed) }
    }

    private func sendPublished(_ text: String) throws -> Bool {
        let found = try PublishedRequest.find(text, site.spool)
        guard let request = found.first, found.count == 1 else {
            Terminal.complain(
                found.isEmpty
                    ? "no open request `\(Terminal.escape(text))`; `bobbin approvals` lists them"
                    : "`\(Terminal.escape(text))` is more than one request: \(found.map(\.id).joined(separator: ", "))"
            )
            throw ExitCode(Exit.usage)
        }
        return try send(request.id, request.answer(verdict, comment: comment, inputs: try values([])))
    }

    private func send(_ row: ApprovalView.Row) throws -> Bool {
        let bytes = ApprovalForm.answer(
            row.id, nonce: row.gate.question.nonce, digest: ApprovalForm.digest(row.run.acceptance, row.gate),
            verdict, comment: comment, inputs: try values(row.gate.question.form))
        return try send(row.id, bytes)
    }

    private func send(_ id: String, _ bytes: [UInt8]) throws -> Bool {
        let name = "\(id).\(Identities.fresh()).yaml"
        let answer = try AnswerWaiter(site.spool.approvalsClosed)
        let mode: UInt32 = site.spool.isOwn ? 0o644 : 0o640
        if let key {
            // Before the answer itself, which is judged at once.
            try AtomicFile.write(
                try sign(bytes, key), to: name + AnswerSignature.ending, in: site.spool.responses, mode: mode)
        }
        try AtomicFile.write(bytes, to: name, in: site.spool.responses, mode: mode)
        guard try SiteView(site).isAnyoneWorking else {
            Terminal.complain(
                "\(id): no runner is working; the answer waits in spool/\(SpoolName.responses)/\(name)")
            return true
        }
        guard let verdict = try answer.wait(for: "~\(DropName.escaped(name)).verdict.yaml") else {
            Terminal.complain(
                "\(id): no runner took the answer within 30 s; it waits in spool/\(SpoolName.responses)/\(name)"
            )
            return false
        }
        let text = verdict["message"]?.scalar?.text ?? ""
        if verdict["outcome"]?.scalar?.text == "refused" {
            Terminal.complain("\(id): \(Terminal.escape(text)) [\(verdict["code"]?.scalar?.text ?? "")]")
            Terminal.complain("  \(Terminal.escape(verdict["what_to_do"]?.scalar?.text ?? ""))")
            return false
        }
        print("\(id): \(Terminal.escape(text))")
        return true
    }

    private func sign(_ bytes: [UInt8], _ key: String) throws -> [UInt8] {
        // It has no terminal: a key with a passphrase must be in the agent.
        let said = try BriefProcess.ask(
            ["ssh-keygen", "-Y", "sign", "-n", AnswerSignature.namespace, "-f", key], input: bytes,
            passing: ["HOME", "SSH_AUTH_SOCK", "SSH_ASKPASS", "DISPLAY"], patience: 120)
        guard let said, said.isGood else {
            let why =
                said.map { String(decoding: $0.error, as: UTF8.self).trimmed }
                ?? "the program ssh-keygen is missing"
            Terminal.complain("the answer could not be signed: \(Terminal.escape(why))")
            Terminal.complain(
                "  A key with a passphrase: ssh-add \(Terminal.escape(key)), then say this again.")
            throw ExitCode(Exit.failed)
        }
        return said.output
    }

    private func values(_ form: [JobParameter]) throws -> ValueMap {
        var values = ValueMap()
        for input in inputs {
            guard let cut = input.firstIndex(of: "=") else {
                Terminal.complain("--input \(Terminal.escape(input)): write NAME=VALUE")
                throw ExitCode(Exit.usage)
            }
            let (name, text) = (String(input[..<cut]), String(input[input.index(after: cut)...]))
            values[name] = ApprovalForm.typed(text, for: form.first { $0.name == name })
        }
        return values
    }
}

struct ApproveVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "approve", abstract: "Say yes to requests.",
        discussion:
            "  bobbin approve 01KAJ --comment \"checked with Anna\"\n  bobbin approve 01KAJ --input reason=\"quarter end\""
    )
    @Argument(help: ArgumentHelp("Requests, their runs, or the beginning of either.", valueName: "id"))
    var requests: [String]
    @Option(help: "Why.") var comment: String = ""
    @Option(help: "An input of the form, NAME=VALUE; may be given again.") var input: [String] = []
    @Option(
        help: ArgumentHelp("Sign with this ssh key, where a signature is asked for.", valueName: "key"),
        completion: .file())
    var sign: String?
    @OptionGroup var site: SiteOption
    func run() throws {
        try AnswerCommand(site: site.open(), verdict: .approve, comment: comment, inputs: input, key: sign)
            .send(
                requests)
    }
}

struct DenyVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "deny", abstract: "Say no to requests: their runs end as denied.",
        discussion: "  bobbin deny 01KAJ --comment \"not before Monday\"")
    @Argument(help: ArgumentHelp("Requests, their runs, or the beginning of either.", valueName: "id"))
    var requests: [String]
    @Option(help: "Why.") var comment: String = ""
    @OptionGroup var site: SiteOption
    func run() throws {
        try AnswerCommand(site: site.open(), verdict: .deny, comment: comment, inputs: []).send(requests)
    }
}
