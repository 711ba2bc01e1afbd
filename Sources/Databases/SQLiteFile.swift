// What this is: one question to, or one change of, an SQLite file that belongs to somebody else than Bobbin.
// Owns: the connection (opened and closed for each question), its limits, the binding of values.
// Never: opens a second file (ATTACH is off), loads code, leaves half of several statements behind.
// On failure: SQLiteError; nothing of a change that failed has happened.
import Foundation
import GRDB
import GRDBSQLite
import JobModel

public struct SQLiteError: Error, Sendable, CustomStringConvertible {
    public enum Kind: Sendable { case sql, busy, readOnly, stopped }
    public var kind: Kind
    public var description: String
}

public struct SQLiteFile: Sendable {
    public enum Values: Sendable { case list([Value]), map(ValueMap) }
    public struct Rows: Sendable {
        public var columns: [String] = []
        public var rows: [ValueMap] = []
        public var changes = 0
        public var isCut = false
    }
    let path: String
    let mayWrite: Bool

    public init(path: String, mayWrite: Bool) {
        self.path = path
        self.mayWrite = mayWrite
    }

    /// Performs the statements of `sql` in one transaction; the rows are those of the last that gives any. Values fill
    /// `?`, `$1` and `?1` from a list and `:name` from a map. `goesOn` is asked about every millisecond of work.
    public func perform(
        _ sql: String, _ values: Values, mostRows: Int, goesOn: () -> Bool
    ) throws(SQLiteError) -> Rows {
        do {
            var configuration = Configuration()
            configuration.readonly = !mayWrite
            configuration.busyMode = .timeout(5)
            configuration.foreignKeysEnabled = true
            let queue = try DatabaseQueue(path: path, configuration: configuration)
            defer { try? queue.close() }  // Nothing is lost by it: what was done is committed.
            let body: (Database) throws -> Rows = { database in
                sqlite3_limit(database.sqliteConnection, SQLITE_LIMIT_ATTACHED, 0)
                return try watched(database, goesOn) { try run(database, sql, values, mostRows) }
            }
            return mayWrite ? try queue.write(body) : try queue.read(body)
        } catch {
            throw SQLiteFile.translated(error)
        }
    }

    private func watched<Out>(
        _ database: Database, _ goesOn: () -> Bool, _ body: () throws -> Out
    ) throws -> Out {
        try withoutActuallyEscaping(goesOn) { goesOn in
            var ask = goesOn
            return try withUnsafeMutablePointer(to: &ask) { pointer in
                sqlite3_progress_handler(
                    database.sqliteConnection, 10_000,
                    { raw in
                        raw?.assumingMemoryBound(to: (() -> Bool).self).pointee() == true ? 0 : 1
                    }, pointer)
                defer { sqlite3_progress_handler(database.sqliteConnection, 0, nil, nil) }
                return try body()
            }
        }
    }

    private func run(_ database: Database, _ sql: String, _ values: Values, _ mostRows: Int) throws -> Rows {
        var answer = Rows()
        let before = database.totalChangesCount
        let statements = try database.allStatements(sql: sql)
        while let statement = try statements.next() {
            guard !SQLiteFile.endsTransaction(statement.sql) else {
                throw SQLiteError(
                    kind: .sql,
                    description:
                        "BEGIN, COMMIT, ROLLBACK and SAVEPOINT are not for a step: all of it is one change")
            }
            try bind(values, to: statement)
            guard statement.columnCount > 0 else {
                try statement.execute()
                continue
            }
            answer.columns = SQLiteFile.distinct(statement.columnNames)
            answer.rows = []
            let rows = try Row.fetchCursor(statement)
            while let row = try rows.next() {
                guard answer.rows.count < mostRows else {
                    answer.isCut = true
                    break
                }
                let cells = row.databaseValues.map(SQLiteFile.value)
                answer.rows.append(ValueMap(distinct: Array(zip(answer.columns, cells))))
            }
        }
        answer.changes = database.totalChangesCount - before
        return answer
    }

    private func bind(_ values: Values, to statement: Statement) throws {
        switch values {
        case .map(let map):
            let pairs = map.entries.map { ($0.key, SQLiteFile.stored($0.value)) }
            try statement.setArguments(StatementArguments(Dictionary(pairs) { first, _ in first }))
        case .list(let items):
            let stored = items.map(SQLiteFile.stored)
            let numbered = stored.enumerated().map { (String($0 + 1), $1) }
            // By number each value has its own place, whatever stands first; a plain `?` has no number.
            do {
                try statement.setArguments(StatementArguments(Dictionary(numbered) { first, _ in first }))
            } catch {
                try statement.setArguments(StatementArguments(stored))
            }
        }
    }

    private static func endsTransaction(_ sql: String) -> Bool {
        var rest = Substring(sql)
        while true {
            rest = rest.drop { $0.isWhitespace || $0 == ";" }
            if rest.hasPrefix("--") {
                rest = rest.drop { !$0.isNewline }
            } else if rest.hasPrefix("/*") {
                guard let end = rest.range(of: "*/") else { return true }
                rest = rest[end.upperBound...]
            } else {
                break
            }
        }
        let word = rest.prefix { $0.isLetter }.lowercased()
        return ["begin", "commit", "end", "rollback", "savepoint", "release"].contains(word)
    }

    /// Two columns of one name would hide each other.
    private static func distinct(_ names: [String]) -> [String] {
        var seen: [String: Int] = [:]
        return names.map { name in
            seen[name, default: 0] += 1
            return seen[name] == 1 ? name : "\(name)_\(seen[name] ?? 0)"
        }
    }

    private static func stored(_ value: Value) -> DatabaseValue {
        switch value {
        case .null: .null
        case .bool(let flag): (flag ? 1 : 0).databaseValue
        case .int(let number): number.databaseValue
        case .double(let number): number.databaseValue
        case .string(let text): text.databaseValue
        case .list, .map: JSONText.write(value).databaseValue
        }
    }
    private static func value(_ stored: DatabaseValue) -> Value {
        switch stored.storage {
        case .null: .null
        case .int64(let number): .int(Int(number))
        case .double(let number): .double(number)
        case .string(let text): .string(text)
        case .blob(let bytes): .string(bytes.base64EncodedString())
        }
    }

    private static func translated(_ error: any Error) -> SQLiteError {
        if let known = error as? SQLiteError { return known }
        guard let error = error as? DatabaseError else {
            return SQLiteError(kind: .sql, description: "\(error)")
        }
        let words = error.message ?? error.resultCode.description
        switch error.resultCode {
        case .SQLITE_INTERRUPT: return SQLiteError(kind: .stopped, description: words)
        case .SQLITE_BUSY, .SQLITE_LOCKED: return SQLiteError(kind: .busy, description: words)
        case .SQLITE_READONLY: return SQLiteError(kind: .readOnly, description: words)
        default: return SQLiteError(kind: .sql, description: words)
        }
    }
}
