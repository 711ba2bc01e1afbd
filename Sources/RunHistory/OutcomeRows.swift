// What this is: runs as metrics need them, streamed, and the totals.
// Owns: the questions that give them without holding all rows at once.
// Never: reads steps.
// On failure: as in RunHistory.

import GRDB
import JobModel

extension RunHistory {
    /// Runs that ended in a stretch of time, in the order of their ends.
    public func forEachOutcome(since: Timestamp, until: Timestamp, _ body: (RunOutcome) throws -> Void) throws
    {
        let sql = """
            SELECT id, job, queue, state, user, requeue_of IS NOT NULL AS requeued, ended, wait_ms, run_ms, attempts,
                error_code, error_message, error_step, runner FROM runs WHERE ended >= ? AND ended < ? ORDER BY ended, id
            """
        try read { database in
            let rows = try Row.fetchCursor(
                database, sql: sql, arguments: [since.milliseconds, until.milliseconds])
            while let row = try rows.next() { try body(RunOutcome(row)) }
        }
    }

    /// The same runs with what costs the least to read, for long stretches.
    public func forEachEnd(since: Timestamp, until: Timestamp, _ body: (RunEnd) throws -> Void) throws {
        let sql = """
            SELECT ended, state, wait_ms, run_ms, attempts > 1 OR requeue_of IS NOT NULL AS retried
            FROM runs WHERE ended >= ? AND ended < ? ORDER BY ended
            """
        try read { database in
            let rows = try Row.fetchCursor(
                database, sql: sql, arguments: [since.milliseconds, until.milliseconds])
            while let row = try rows.next() {
                let row = CheckedRow(row, "runs")
                try body(
                    RunEnd(
                        ended: try row.time(0), state: try row.known(1) { FinalState(rawValue: $0) },
                        waited: try row.int(2), ran: try row.optionalInt(3), isRetried: try row.int(4) != 0))
            }
        }
    }

    /// How many runs ended in a stretch of time.
    public func count(since: Timestamp, until: Timestamp) throws -> Int {
        try read {
            try Int.fetchOne(
                $0, sql: "SELECT count(*) FROM runs WHERE ended >= ? AND ended < ?",
                arguments: [since.milliseconds, until.milliseconds]) ?? 0
        }
    }

    public func totals() throws -> [RunTotal] {
        try read { database in
            try Row.fetchAll(database, sql: "SELECT * FROM totals ORDER BY queue, measure, class").map {
                row in
                let row = CheckedRow(row, "totals")
                return RunTotal(
                    queue: try row.text("queue"),
                    measure: try row.known("measure") { RunTotal.Measure(rawValue: $0) },
                    group: try row.text("class"), number: try row.int("number"), sum: try row.int("sum_ms"))
            }
        }
    }

    /// How the runs of a stretch of time ended that have a tag that begins so: `schedule:`, `watcher:`, `event:`.
    public func outcomes(tagged prefix: String, since: Timestamp, until: Timestamp) throws -> [FinalState:
        Int]
    {
        let sql = """
            SELECT state, count(DISTINCT id) AS number FROM tags JOIN runs ON runs.id = tags.run
            WHERE tag >= ? AND tag < ? || '~' AND ended >= ? AND ended < ? GROUP BY state
            """
        return try counted(sql, [prefix, prefix, since.milliseconds, until.milliseconds], "state") {
            FinalState(rawValue: $0)
        }
    }

    /// Why and how often ended runs were put aside in a stretch of time.
    public func waits(since: Timestamp, until: Timestamp) throws -> [Wait.Reason: Int] {
        let sql =
            "SELECT reason, count(*) AS number FROM waits WHERE since >= ? AND since < ? GROUP BY reason"
        return try counted(sql, [since.milliseconds, until.milliseconds], "reason") {
            Wait.Reason(rawValue: $0)
        }
    }

    /// How many facts of each kind there are, of all times.
    public func factCounts() throws -> [(kind: String, group: String, number: Int)] {
        // Of a trigger its sort (schedule, watcher, event), of everything else what came of it.
        let sql = """
            SELECT kind, CASE WHEN kind LIKE 'trigger.%' THEN substr(subject, 1, instr(subject, '/') - 1)
                WHEN kind LIKE 'approval.%' THEN outcome ELSE '' END AS part, count(*) AS number
            FROM facts GROUP BY 1, 2 ORDER BY 1, 2
            """
        return try read { database in
            try Row.fetchAll(database, sql: sql).map { row in
                let row = CheckedRow(row, "facts")
                return (try row.text("kind"), try row.text("part"), try row.int("number"))
            }
        }
    }

    /// How long the steps of a stretch of time took, in milliseconds, sorted.
    public func stepDurations(since: Timestamp, until: Timestamp) throws -> [Int] {
        let sql = """
            SELECT steps.ended - steps.started FROM runs JOIN steps ON steps.run = runs.id
            WHERE runs.ended >= ? AND runs.ended < ? AND steps.ended IS NOT NULL ORDER BY 1
            """
        return try read {
            try Int.fetchAll($0, sql: sql, arguments: [since.milliseconds, until.milliseconds])
        }
    }

    private func counted<Word: Hashable>(
        _ sql: String, _ arguments: StatementArguments, _ column: String, _ word: (String) -> Word?
    ) throws -> [Word: Int] {
        try read { database in
            var counts: [Word: Int] = [:]
            for row in try Row.fetchAll(database, sql: sql, arguments: arguments) {
                let row = CheckedRow(row, "runs")
                counts[try row.known(column, word)] = try row.int("number")
            }
            return counts
        }
    }
}

extension RunOutcome {
    /// In the order of `forEachOutcome`.
    init(_ row: Row) throws {
        let row = CheckedRow(row, "runs")
        var error: ErrorSummary?
        if let code = try row.optionalText(10) {
            error = ErrorSummary(code: code, message: try row.text(11), step: try row.optionalText(12))
        }
        self.init(
            id: try row.known(0) { RunID($0) }, job: try row.text(1), queue: try row.text(2),
            state: try row.known(3) { FinalState(rawValue: $0) }, user: try row.text(4),
            isRequeued: try row.int(5) != 0, ended: try row.time(6), waited: try row.int(7),
            ran: try row.optionalInt(8), attempts: try row.int(9), error: error, runner: try row.text(13))
    }
}
