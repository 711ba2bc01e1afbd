// What this is: the telling of people that something waits for them or is wrong: notifiers of ops/notify.d/ and mail.
// Owns: a thread, and what is told; the steps `notify` and `send_email` do the telling, as they would in a job.
// Never: keeps anybody waiting, tells twice what was told, passes on what is named like a secret.
// On failure: the log says who could not be told; the request stands in its directory all the same.
import JobLanguage
import JobModel
import LinuxSystem
import RunEngine

final class Notices: Sendable {
    enum Kind: Sendable {
        case asked, reminder, escalation
        case closed(String)
        var word: String {
            switch self {
            case .asked: "approval.requested"
            case .reminder: "approval.reminder"
            case .escalation: "approval.escalated"
            case .closed: "approval.closed"
            }
        }
    }
    private struct Notice: Sendable {
        var to: [String]
        var from: String?
        var title: String
        var message: String
        var level: String
        var details: ValueMap
        /// Told how it went, where somebody wants to know.
        var done: @Sendable (Bool) -> Void = { _ in }
    }
    private struct State {
        var waiting: [Notice] = []
        var isBusy = false
        var isClosed = false
    }
    private let site: Site
    private let log: DaemonLog
    private let state = Monitor(State())
    private let signals = RunSignals()
    private let thread = Monitor<BlockingThread?>(nil)
    /// More than this at one time nobody reads; the rest is counted in the log.
    private static let most = 1_000
    private static let patience = Span.seconds(5).nanoseconds

    init(_ site: Site, log: DaemonLog) {
        self.site = site
        self.log = log
    }

    func tell(_ kind: Kind, _ run: RunRecord, _ gate: RunRecord.Gate, to names: [String], from: String?) {
        guard !names.isEmpty else { return }
        let id = ApprovalForm.id(run.id, gate.step.place)
        let job = run.acceptance.jobName
        var details: ValueMap = [
            "event": .string(kind.word), "request": .string(id), "job": .string(job),
            "run": .string(run.id.text),
            "step": .string(gate.step.label), "risk_level": .string(gate.question.risk.rawValue),
            "asked_by": .string(run.acceptance.submitter.name),
            "file": .string("\(site.spool.requests.path)/\(id)\(ApprovalForm.ending)"),
        ]
        if let end = gate.approval.expiresAt { details["expires_at"] = .string(end.rfc3339) }
        var title = "\(job) asks for approval (\(gate.question.risk.rawValue) risk)"
        var message =
            "\(gate.question.shownMessage)\n\nAnswer: bobbin approve \(id)   or   bobbin deny \(id)\nUntil: \(details["expires_at"]?.text ?? ""), then \(gate.question.autoAction.rawValue)"
        switch kind {
        case .asked: break
        case .reminder: title = "still open: \(title)"
        case .escalation: title = "nobody has answered: \(title)"
        case .closed(let outcome):
            title = "\(job): \(outcome)"
            message = "\(gate.question.shownMessage)\n\nThis request is closed: \(outcome)."
            details["outcome"] = .string(outcome)
        }
        tell(
            title, message, level: gate.question.risk >= .high ? "warn" : "info", details: details, to: names,
            from: from, about: run.id)
    }

    /// `level`: info, warn or error. False: not taken, as too many wait; then `done` is never told either.
    @discardableResult func tell(
        _ title: String, _ message: String, level: String, details: ValueMap, to names: [String],
        from: String?, about run: RunID? = nil, done: @escaping @Sendable (Bool) -> Void = { _ in }
    ) -> Bool {
        guard !names.isEmpty else {
            done(true)
            return true
        }
        let notice = Notice(
            to: names, from: from, title: title, message: message, level: level, details: details, done: done)
        let isTaken = state.broadcast { state in
            guard !state.isClosed, state.waiting.count < Notices.most else { return false }
            state.waiting.append(notice)
            return true
        }
        if !isTaken { log.warn("notices", "too many at once; not told now: \(title)", run: run) }
        start()
        return isTaken
    }

    private func start() {
        do {
            try thread.with { thread in
                if thread == nil { thread = try BlockingThread.start("notices") { self.loop() } }
            }
        } catch { log.warn("notices", "no thread to tell anybody with: \(error)") }
    }
    private func loop() {
        while true {
            let notice = state.wait { state -> Notice?? in
                guard !state.waiting.isEmpty else { return state.isClosed ? .some(nil) : nil }
                state.isBusy = true
                return .some(state.waiting.removeFirst())
            }
            guard let notice else { return }
            carry(notice)
            state.broadcast { $0.isBusy = false }
        }
    }

    /// What waits is told, but nobody waits long for a notifier that hangs.
    func close() {
        state.broadcast { $0.isClosed = true }
        let end = Clocks.monotonic + Notices.patience
        let isDone = state.wait(until: end) { $0.waiting.isEmpty && !$0.isBusy ? () : nil } != nil
        if !isDone {
            let left = state.with { state in
                defer { state.waiting = [] }
                return state.waiting.count
            }
            log.warn("notices", "stopping: a notifier hangs, \(left) more were not told")
        }
        signals.raise(.stop)
        thread.with { $0 }?.join()
    }

    private func carry(_ notice: Notice) {
        let people = notice.to.filter { !$0.contains("@") }
        let addresses = notice.to.filter { $0.contains("@") }
        var isTold = true
        defer { notice.done(isTold) }
        for name in people {
            isTold =
                run(
                    "notify: {to: \"{{ to }}\", title: \"{{ title }}\", message: \"{{ message }}\", level: \"{{ level }}\", details: \"{{ details }}\"}",
                    notice, ["to": .string(name)]) && isTold
        }
        guard !addresses.isEmpty else { return }
        let from = notice.from.map(Value.string) ?? .null
        isTold =
            run(
                "send_email: {to: \"{{ to }}\", from: \"{{ sender }}\", subject: \"{{ title }}\", body: \"{{ message }}\"}",
                notice, ["to": .list(addresses.map(Value.string)), "sender": from]) && isTold
    }

    /// A job of one step, whose texts are values and never read as anything else.
    private func run(_ step: String, _ notice: Notice, _ more: ValueMap) -> Bool {
        let text =
            "dsl_version: \"1.1\"\nname: notice\ntimeout: 60s\nvariables: {to: \"\", sender: \"\", title: \"\", message: \"\", level: \"\", details: {}}\nsteps:\n  - \(step)\n"
        guard var spec = site.reader().read(Array(text.utf8), name: "notice.yaml", stem: "notice").job else {
            log.error("notices", "a notice could not be made a job of one step: a mistake in Bobbin")
            return false
        }
        spec.variables.merge([
            "title": .string(notice.title), "message": .string(notice.message),
            "level": .string(notice.level),
            "details": .map(notice.details),
        ])
        spec.variables.merge(more)
        let record = ForegroundRun.perform(
            spec, bytes: Array(text.utf8), name: "notice.yaml", directory: site.path, runs: site.spool.runs,
            signals: signals, progress: { _ in })
        if let failure = record.failure {
            log.warn(
                "notices", "\(more["to"]?.text ?? "") could not be told: \(failure.message) [\(failure.code)]"
            )
        }
        return record.failure == nil
    }
}
