// What this is: what a batch of runs adds to the totals.
// Owns: the counting of states, durations and waits, each in its class; their taking back when a run is replaced.
// Never: counts a run twice; reads other runs.
// On failure: throws what SQLite says, and the batch is not there.

import GRDB
import JobModel

struct RunTotals {
    private struct Key: Hashable {
        var queue, measure, group: String
    }
    private var changes: [Key: (number: Int, sum: Int64)] = [:]

    mutating func add(_ record: RunRecord, _ state: FinalState, _ ended: Timestamp) {
        let accepted = record.acceptance
        let end = ended.milliseconds
        count(
            accepted.queue.text, state.rawValue,
            wait: (record.startedAt?.milliseconds ?? end) - accepted.arrivedAt.milliseconds,
            run: record.startedAt.map { end - $0.milliseconds }, 1)
    }

    mutating func takeBack(_ id: RunID, _ database: Database) throws {
        // What changes twice in one batch must be read as it is by now.
        try write(database)
        changes = [:]
        let sql = "SELECT queue, state, wait_ms, run_ms FROM runs WHERE id = ?"
        guard let row = try Row.fetchOne(database, sql: sql, arguments: [id.text]) else { return }
        let old = CheckedRow(row, "runs")
        count(
            try old.text("queue"), try old.text("state"), wait: Int64(try old.int("wait_ms")),
            run: try old.optionalInt("run_ms").map(Int64.init), -1)
    }

    private mutating func count(_ queue: String, _ state: String, wait: Int64, run: Int64?, _ sign: Int) {
        change(Key(queue: queue, measure: "state", group: state), sign, 0)
        change(key(queue, "wait", wait), sign, max(0, wait))
        if let run { change(key(queue, "run", run), sign, max(0, run)) }
    }
    private func key(_ queue: String, _ measure: String, _ duration: Int64) -> Key {
        Key(queue: queue, measure: measure, group: String(DurationBuckets.index(of: Int(duration))))
    }
    private mutating func change(_ key: Key, _ sign: Int, _ sum: Int64) {
        let known = changes[key] ?? (0, 0)
        changes[key] = (known.number + sign, known.sum + Int64(sign) * sum)
    }

    func write(_ database: Database) throws {
        for (key, change) in changes {
            try database.execute(
                sql: """
                    INSERT INTO totals VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
                        number = number + excluded.number, sum_ms = sum_ms + excluded.sum_ms
                    """, arguments: [key.queue, key.measure, key.group, change.number, change.sum])
        }
        if changes.values.contains(where: { $0.number < 0 }) {
            try database.execute(sql: "DELETE FROM totals WHERE number = 0")
        }
    }
}
