// What this is: one line of `bobbin runs`.
// Owns: the columns.
// Never: reads anything.
// On failure: nothing here fails.
import BobbinDaemon
import JobModel
import RunHistory

struct RunRow {
    var id: String
    var job: String
    var queue: String
    var state: String
    var when: Timestamp
    var took: Span?
    var user: String
    var why: String

    init(_ run: RunRecord) {
        id = run.id.text
        job = run.acceptance.jobName
        queue = run.acceptance.queue.text
        state = run.state.text
        when = run.acceptance.acceptedAt
        took = run.startedAt.map { Terminal.now.since($0) }
        user = run.acceptance.submitter.name
        var step = run.openSteps.first
        // Of a run that waits: the step that it waits for, if a person is to say something about one.
        if case .waiting(let wait) = run.state { step = wait.reason == .interrupted ? run.unknownStep : nil }
        why = step.map { "step \($0.label) \($0.title)" } ?? ""
    }
    init(_ run: RunSummary) {
        id = run.id.text
        job = run.job
        queue = run.queue
        state = run.state.rawValue
        when = run.endedAt
        took = run.ran
        user = run.submitter.name
        why = run.error.map { "\($0.message) [\($0.code)]" } ?? ""
    }

    var cells: [String] {
        [
            id, Terminal.escape(job), queue, when.rfc3339, took.map(ResultFile.brief) ?? "",
            Terminal.escape(user),
            Terminal.paint(state: state) + (why.isEmpty ? "" : "  \(Terminal.escape(why))"),
        ]
    }
    var value: Value {
        .map([
            "run": .string(id), "job": .string(job), "queue": .string(queue), "state": .string(state),
            "at": .string(when.rfc3339),
            "took_seconds": took.map { .double(Double($0.milliseconds) / 1000) } ?? .null,
            "submitted_by": .string(user),
            "error": why.isEmpty ? .null : .string(why),
        ])
    }
}
