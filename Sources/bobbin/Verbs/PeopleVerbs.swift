// What this is: approvals, approve, deny: what waits for people, and their answers.
// Owns: the layout; the answer file that `approve` and `deny` write, as a person would by hand.
// Never: decides whether an answer counts: the runner does, by who owns the file.
// On failure: exit 1 when the answer was refused, with the reason; without a runner it waits, and that is said.
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
        let view = try ApprovalView(site)
        if let request { return try show(Choice.one(request, view), site) }
        if json.json {
            return Terminal.print(
                json: .list(view.rows.map { ApprovalView.value($0, isSharedSite: site.access.isShared) }))
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
                ApprovalForm.whoMay(q, isSharedSite: site.access.isShared),
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

    private func show(_ row: ApprovalView.Row, _ site: Site) throws {
        if json.json {
            return Terminal.print(json: ApprovalView.value(row, isSharedSite: site.access.isShared))
        }
        let text = ApprovalForm.render(row.run, row.gate, isSharedSite: site.access.isShared)
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

    func send(_ requests: [String]) throws {
        var isGood = true
        for request in requests {
            // Each anew: an answer may have closed others.
            isGood = try send(Choice.one(request, ApprovalView(site))) && isGood
        }
        if !isGood { throw ExitCode(Exit.failed) }
    }

    private func send(_ row: ApprovalView.Row) throws -> Bool {
        let name = "\(row.id).\(Identities.fresh()).yaml"
        let bytes = ApprovalForm.answer(
            row.id, nonce: row.gate.question.nonce, digest: ApprovalForm.digest(row.run.acceptance, row.gate),
            verdict, comment: comment, inputs: try values(row.gate.question.form))
        let answer = try AnswerWaiter(site.spool.approvalsClosed)
        try AtomicFile.write(bytes, to: name, in: site.spool.responses)
        guard try SiteView(site).isAnyoneWorking else {
            Terminal.complain(
                "\(row.id): no runner is working; the answer waits in spool/\(SpoolName.responses)/\(name)")
            return true
        }
        guard let verdict = try answer.wait(for: "~\(DropName.escaped(name)).verdict.yaml") else {
            Terminal.complain(
                "\(row.id): no runner took the answer within 30 s; it waits in spool/\(SpoolName.responses)/\(name)"
            )
            return false
        }
        let text = verdict["message"]?.scalar?.text ?? ""
        if verdict["outcome"]?.scalar?.text == "refused" {
            Terminal.complain("\(row.id): \(Terminal.escape(text)) [\(verdict["code"]?.scalar?.text ?? "")]")
            Terminal.complain("  \(Terminal.escape(verdict["what_to_do"]?.scalar?.text ?? ""))")
            return false
        }
        print("\(row.id): \(Terminal.escape(text))")
        return true
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
    @OptionGroup var site: SiteOption
    func run() throws {
        try AnswerCommand(site: site.open(), verdict: .approve, comment: comment, inputs: input).send(
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
