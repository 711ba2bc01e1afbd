// What this is: what the files of a site say besides its results, as rows.
// Owns: how facts and samples are written and asked for, and how far each file has been read.
// Never: reads a file; gives a fact a meaning.
// On failure: as in RunHistory; a batch is added whole or not at all.

import GRDB
import JobModel

extension RunHistory {
    /// What a part of a file says; `bytes` is how far the file has been read then.
    public func add(
        _ facts: [HistoryFact], _ samples: [DepthSample], from file: String, readTo bytes: Int
    ) throws {
        try write { database in
            let fact = try RowStatement(
                database,
                "INSERT INTO facts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING")
            for line in facts {
                try fact.execute { row in
                    row.add(line.source)
                    row.add(line.place)
                    row.add(line.at.milliseconds)
                    row.add(line.kind)
                    row.add(line.subject)
                    row.add(line.user.map { Int64($0.uid) })
                    row.add(line.user?.name)
                    row.add(line.outcome)
                    row.add(JSONText.write(.map(line.detail)))
                }
            }
            let sample = try RowStatement(
                database, "INSERT INTO samples VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING")
            for line in samples {
                try sample.execute { row in
                    row.add(line.at.milliseconds)
                    row.add(line.queue)
                    row.add(line.waiting)
                    row.add(line.running)
                    row.add(line.parked)
                    row.add(line.oldest?.milliseconds)
                }
            }
            try database.execute(
                sql: "INSERT INTO sources VALUES (?, ?) ON CONFLICT DO UPDATE SET bytes = excluded.bytes",
                arguments: [file, bytes])
        }
    }

    /// How many bytes of each file are here.
    public func sources() throws -> [String: Int] {
        try read { database in
            var sizes: [String: Int] = [:]
            for row in try Row.fetchAll(database, sql: "SELECT * FROM sources") {
                let row = CheckedRow(row, "sources")
                sizes[try row.text("file")] = try row.int("bytes")
            }
            return sizes
        }
    }

    /// Facts of these kinds in a stretch of time, the oldest first; `approval.*` is every kind that begins so.
    public func facts(_ kinds: [String], since: Timestamp, until: Timestamp) throws -> [HistoryFact] {
        let conditions = kinds.map { $0.hasSuffix("*") ? "kind GLOB ?" : "kind = ?" }
        let sql = """
            SELECT * FROM facts WHERE at >= ? AND at < ? AND (\(conditions.joined(separator: " OR ")))
            ORDER BY at, source, place
            """
        var arguments: StatementArguments = [since.milliseconds, until.milliseconds]
        for kind in kinds { arguments += [kind] }
        return try read { database in
            try Row.fetchAll(database, sql: sql, arguments: arguments).map(HistoryFact.init)
        }
    }

    public func samples(since: Timestamp, until: Timestamp) throws -> [DepthSample] {
        let sql = "SELECT * FROM samples WHERE at >= ? AND at < ? ORDER BY at, queue"
        return try read { database in
            try Row.fetchAll(database, sql: sql, arguments: [since.milliseconds, until.milliseconds])
                .map { row in
                    let row = CheckedRow(row, "samples")
                    return DepthSample(
                        at: try row.time("at"), queue: try row.text("queue"), waiting: try row.int("waiting"),
                        running: try row.int("running"), parked: try row.int("parked"),
                        oldest: try row.optionalInt("oldest_ms").map { .milliseconds(Int64($0)) })
                }
        }
    }
}

extension HistoryFact {
    init(_ row: Row) throws {
        let row = CheckedRow(row, "facts")
        var user: Submitter?
        if let name = try row.optionalText("user"),
            let uid = try row.optionalInt("uid").flatMap(UInt32.init(exactly:))
        {
            user = Submitter(uid: uid, name: name)
        }
        // What is no map is what nobody wrote: the fact counts all the same.
        let detail = (try? JSONReader.read(Array(try row.text("detail").utf8)))?.mapValue
        self.init(
            source: try row.text("source"), place: try row.int("place"), at: try row.time("at"),
            kind: try row.text("kind"), subject: try row.text("subject"), user: user,
            outcome: try row.text("outcome"), detail: detail ?? [:])
    }
}
