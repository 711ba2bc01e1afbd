// What this is: the rows of one ended run, written with prepared statements.
// Owns: which part of a record goes into which column; replacing a run that is there already.
// Never: opens or commits a transaction; stores what a result file does not hold.
// On failure: throws what SQLite says; a run that has not ended is E-HISTORY-OPEN.

import GRDB
import JobModel

struct HistoryWriter {
    private var totals = RunTotals()
    private let database: Database
    private let run, attempt, step, wait, tag: RowStatement
    private let removals: [RowStatement]

    init(_ database: Database) throws {
        self.database = database
        run = try RowStatement(database, HistoryWriter.insertRun)
        attempt = try RowStatement(database, "INSERT INTO attempts VALUES (?, ?, ?, ?, ?)")
        step = try RowStatement(
            database, "INSERT INTO steps VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
        wait = try RowStatement(database, "INSERT INTO waits VALUES (?, ?, ?, ?, ?, ?, ?)")
        tag = try RowStatement(database, "INSERT INTO tags VALUES (?, ?) ON CONFLICT DO NOTHING")
        removals = try HistoryWriter.removals(database)
    }
    /// What takes a run out of every table.
    static func removals(_ database: Database) throws -> [RowStatement] {
        try [
            "DELETE FROM runs WHERE id = ?", "DELETE FROM attempts WHERE run = ?",
            "DELETE FROM steps WHERE run = ?", "DELETE FROM waits WHERE run = ?",
            "DELETE FROM tags WHERE run = ?",
        ].map { try RowStatement(database, $0) }
    }

    private static let insertRun = """
        INSERT INTO runs (
            id, job, queue, priority, state, uid, user, drop_name, ticket, requeue_of, arrived, accepted,
            started, ended, attempts, error_code, error_message, error_step, sha256, runner, outputs
        ) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
        """

    mutating func add(_ record: RunRecord) throws {
        guard let state = record.finalState, let ended = record.endedAt else {
            let message = "run \(record.id) has not ended and cannot be history yet"
            throw Failure("E-HISTORY-OPEN", message, retry: .never)
        }
        try addRun(record, state, ended)
        // Deleting only when the id is taken keeps the usual case, a new run, free of four look-ups.
        if database.changesCount == 0 {
            try totals.takeBack(record.id, database)
            for removal in removals { try removal.execute { $0.add(record.id.text) } }
            try addRun(record, state, ended)
        }
        totals.add(record, state, ended)
        for word in Set(record.acceptance.terms.tags) {
            try tag.execute { row in
                row.add(word)
                row.add(record.id.text)
            }
        }
        for part in AttemptSummary.all(of: record, state, ended) { try add(part, of: record.id) }
        for (index, part) in record.steps.enumerated() { try add(part, index + 1, of: record.id) }
        for (index, part) in record.waits.enumerated() { try add(part, index + 1, of: record.id) }
    }

    /// After the last run of a transaction.
    func finish() throws { try totals.write(database) }

    private func addRun(_ record: RunRecord, _ state: FinalState, _ ended: Timestamp) throws {
        let accepted = record.acceptance
        try run.execute { row in
            row.add(accepted.id.text)
            row.add(accepted.jobName)
            row.add(accepted.queue.text)
            row.add(accepted.priority.level)
            row.add(state.rawValue)
            row.add(Int64(accepted.submitter.uid))
            row.add(accepted.submitter.name)
            row.add(accepted.dropName)
            row.add(accepted.ticket)
            row.add(accepted.requeueOf)
            row.add(accepted.arrivedAt.milliseconds)
            row.add(accepted.acceptedAt.milliseconds)
            row.add(record.startedAt?.milliseconds)
            row.add(ended.milliseconds)
            row.add(record.attempt)
            row.add(record.failure?.code)
            row.add(record.failure?.message)
            row.add(record.failure?.step)
            row.add(accepted.sha256)
            row.add(accepted.runner)
            row.add(HistoryWriter.json(record.outputs))
        }
    }

    private func add(_ part: AttemptSummary, of run: RunID) throws {
        try attempt.execute { row in
            row.add(run.text)
            row.add(part.attempt)
            row.add(part.state.rawValue)
            row.add(part.startedAt?.milliseconds)
            row.add(part.endedAt?.milliseconds)
        }
    }

    private func add(_ part: StepRecord, _ ordinal: Int, of run: RunID) throws {
        try step.execute { row in
            row.add(run.text)
            row.add(ordinal)
            row.add(part.place.text)
            row.add(part.title)
            row.add(part.id)
            row.add(part.type)
            row.add(part.runAttempt)
            row.add(part.attempt)
            row.add(part.state.rawValue)
            row.add(part.startedAt.milliseconds)
            row.add(part.endAsResultsTell?.milliseconds)
            row.add(part.failure?.code)
            row.add(part.failure?.message)
            row.add(HistoryWriter.json(part.outputs))
            row.add(part.log)
        }
    }

    private func add(_ part: WaitRecord, _ ordinal: Int, of run: RunID) throws {
        try wait.execute { row in
            row.add(run.text)
            row.add(ordinal)
            row.add(part.wait.reason.rawValue)
            row.add(part.wait.since.milliseconds)
            row.add(part.wait.until?.milliseconds)
            row.add(part.endedAt?.milliseconds)
            row.add(part.wait.nextAttempt)
        }
    }

    private static func json(_ outputs: ValueMap) -> String {
        outputs.isEmpty ? "{}" : JSONText.write(.map(outputs))
    }
}
