// What this is: the questions of a job that runs in the foreground, asked at the terminal.
// Owns: what is shown and how answers are read.
// Never: answers for a person, unless the command line said so (`--auto-approve`); reads from what is no terminal.
// On failure: no answer: its time is over, and that counts as the question says.
import BobbinDaemon
import Glibc
import JobModel
import LinuxSystem

struct Asker: Sendable {
    let approvesAll: Bool

    func ask(_ run: RunRecord, _ gate: RunRecord.Gate) -> Decision? {
        let uid = ProcessSetup.uid
        let me = Submitter(uid: uid, name: Host.userName(uid))
        let question = gate.question
        var inputs = ValueMap()
        // Whoever sits here is one person.
        if question.wanted > 1 {
            Terminal.complain(
                "step \(gate.step.label) asks for \(question.wanted) people, and here is one: drop the job into the spool"
            )
            return nil
        }
        if approvesAll {
            for field in question.form {
                guard let standard = field.standard else {
                    Terminal.complain("`\(field.name)` has no default, so --auto-approve cannot fill it in")
                    return nil
                }
                inputs[field.name] = standard
            }
            return Decision(
                .approve, by: me, at: Terminal.now, comment: "--auto-approve", inputs: inputs, isSelf: true)
        }
        guard isatty(0) == 1 else {
            Terminal.complain(
                "step \(gate.step.label) asks, and nobody could be asked here: run it at a terminal, with --auto-approve, or through the spool"
            )
            return nil
        }
        Terminal.complain("\nstep \(gate.step.label) asks (\(question.risk.rawValue) risk):")
        Terminal.complain("  \(Terminal.escape(question.message))")
        if !question.details.isNull { Terminal.complain("  \(Terminal.escape(question.details.text))") }
        for step in question.next.prefix(10) { Terminal.complain("  then: \(Terminal.escape(step.text))") }
        guard let verdict = choose() else { return nil }
        if verdict == .approve {
            for field in question.form {
                guard let value = fill(field) else { return nil }
                inputs[field.name] = value
            }
        }
        return Decision(verdict, by: me, at: Terminal.now, inputs: inputs, isSelf: true)
    }

    private func choose() -> Decision.Verdict? {
        while true {
            StandardError.write("approve or deny? ")
            guard let line = readLine() else { return nil }
            if let verdict = Decision.Verdict(rawValue: line.trimmed.lowercased()) { return verdict }
        }
    }

    private func fill(_ field: JobParameter) -> Value? {
        while true {
            let standard = field.standard.map { " [\($0.text)]" } ?? ""
            let about = field.summary.isEmpty ? field.kind.title : field.summary
            StandardError.write("\(Terminal.escape(field.name)) (\(Terminal.escape(about)))\(standard): ")
            guard let line = readLine() else { return nil }
            if line.trimmed.isEmpty, let value = field.standard { return value }
            let value = ApprovalForm.typed(line, for: field)
            guard let fault = ApprovalForm.fault(of: value, for: field) else {
                return field.kind.accept(value) ?? value
            }
            Terminal.complain("\(field.name) \(fault)")
        }
    }
}
