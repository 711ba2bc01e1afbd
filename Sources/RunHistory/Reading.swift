// What this is: the questions that the history answers.
// Owns: their SQL, and the canonical text of all tables.
// Never: writes; holds a transaction longer than one question.
// On failure: as in RunHistory; a run that is not here gives an empty answer.

import GRDB
import JobModel

extension RunHistory {
    public func runs(_ filter: RunFilter) throws -> [RunSummary] {
        let query = filter.query
        return try read {
            try Row.fetchAll($0, sql: query.sql, arguments: query.arguments).map(RunSummary.init)
        }
    }

    /// The runs whose id begins with this text, in either case, or whose ticket it is; the newest first.
    public func run(idPrefix: String, limit: Int = 20) throws -> [RunSummary] {
        let prefix = RunID.isPrefix(idPrefix) ? idPrefix.uppercased() : nil
        // Every character of an id is before `~`. A comparison with NULL finds nothing.
        let sql =
            "SELECT * FROM runs WHERE (id >= ? AND id < ? || '~') OR ticket = ? ORDER BY id DESC LIMIT ?"
        return try read {
            try Row.fetchAll($0, sql: sql, arguments: [prefix, prefix, idPrefix, max(0, limit)])
                .map(RunSummary.init)
        }
    }

    public func attempts(of id: RunID) throws -> [AttemptSummary] {
        try parts("attempts", of: id, order: "attempt", AttemptSummary.init)
    }
    /// In the order in which they began.
    public func steps(of id: RunID) throws -> [StepSummary] {
        try parts("steps", of: id, order: "ordinal", StepSummary.init)
    }
    public func waits(of id: RunID) throws -> [WaitRecord] {
        try parts("waits", of: id, order: "ordinal", WaitRecord.init)
    }

    public func contains(_ id: RunID) throws -> Bool { try missing(from: [id]).isEmpty }

    /// Those of `ids` that are not here, in their order; about a microsecond each.
    public func missing(from ids: [RunID]) throws -> [RunID] {
        try read { database in
            let statement = try database.cachedStatement(sql: "SELECT 1 FROM runs WHERE id = ?")
            return try ids.filter { try Int.fetchOne(statement, arguments: [$0.text]) == nil }
        }
    }

    /// Those of `ids` that an ended run repeats.
    public func repeated(among ids: [RunID]) throws -> Set<RunID> {
        try read { database in
            let statement = try database.cachedStatement(
                sql: "SELECT 1 FROM runs WHERE requeue_of = ? LIMIT 1")
            return Set(try ids.filter { try Int.fetchOne(statement, arguments: [$0.text]) != nil })
        }
    }

    /// How many runs ended in which way since then; every state is there.
    public func counts(since: Timestamp) throws -> [FinalState: Int] {
        var counts = Dictionary(uniqueKeysWithValues: FinalState.allCases.map { ($0, 0) })
        let sql = "SELECT state, count(*) AS number FROM runs WHERE ended >= ? GROUP BY state"
        try read { database in
            for row in try Row.fetchAll(database, sql: sql, arguments: [since.milliseconds]) {
                let row = CheckedRow(row, "runs")
                counts[try row.known("state") { FinalState(rawValue: $0) }] = try row.int("number")
            }
        }
        return counts
    }

    /// Every row of every table as a line of JSON after the table's name, in an order that does not depend on
    /// how it came there: two histories with the same text are the same.
    public func dump() throws -> String {
        try read { database in
            var out = ""
            for table in Schema.tables {
                let sql = "SELECT * FROM \(table.name) ORDER BY \(table.order)"
                let rows = try Row.fetchCursor(database, sql: sql)
                while let row = try rows.next() {
                    out += table.name + " " + JSONText.write(.map(RunHistory.map(row))) + "\n"
                }
            }
            return out
        }
    }

    private func parts<Part>(
        _ table: String, of id: RunID, order: String, _ part: (Row) throws -> Part
    ) throws -> [Part] {
        let sql = "SELECT * FROM \(table) WHERE run = ? ORDER BY \(order)"
        return try read { try Row.fetchAll($0, sql: sql, arguments: [id.text]).map(part) }
    }

    private static func map(_ row: Row) -> ValueMap {
        ValueMap(
            distinct: row.map { column, value in
                switch value.storage {
                case .null: (column, .null)
                case .int64(let number): (column, .int(Int(number)))
                case .double(let number): (column, .double(number))
                case .string(let text): (column, .string(text))
                case .blob(let bytes): (column, .string("\(bytes.count) bytes"))
                }
            })
    }
}
