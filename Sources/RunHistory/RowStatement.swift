// What this is: a prepared statement whose values are bound one after the other.
// Owns: the way around GRDB's argument arrays, which box every value and cost half the time of a batch.
// Never: leaves a value of the row before: every execution begins with nothing bound.
// On failure: throws DatabaseError; the statement is not used again by this transaction.

import GRDB

struct RowStatement {
    private let statement: Statement

    /// The statement is the connection's own copy, prepared once.
    init(_ database: Database, _ sql: String) throws {
        statement = try database.cachedStatement(sql: sql)
    }

    func execute(_ fill: (inout RowValues) -> Void) throws {
        // Resets the statement, empties it and tells GRDB that its arguments are our business.
        statement.setUncheckedArguments([])
        var values = RowValues(statement.sqliteStatement)
        fill(&values)
        guard values.failure == 0 else {
            throw DatabaseError(resultCode: ResultCode(rawValue: values.failure))
        }
        try statement.execute()
    }
}

/// The values of one row, in the order of its columns.
struct RowValues {
    private let statement: SQLiteStatement
    private var position: Int32 = 0
    /// SQLite's code for the first value that it did not take (too long, no memory), else 0.
    private(set) var failure: Int32 = 0

    init(_ statement: SQLiteStatement) { self.statement = statement }

    mutating func add(_ text: String) { note(text.bind(to: statement, at: position + 1)) }
    mutating func add(_ number: Int) { note(number.bind(to: statement, at: position + 1)) }
    mutating func add(_ number: Int64) { note(number.bind(to: statement, at: position + 1)) }
    /// An unbound value is NULL.
    mutating func add(_ text: String?) { if let text { add(text) } else { position += 1 } }
    mutating func add(_ number: Int64?) { if let number { add(number) } else { position += 1 } }

    private mutating func note(_ code: Int32) {
        position += 1
        if failure == 0 { failure = code }
    }
}
