// What this is: what goes wrong with the run history, in words that need no knowledge of SQLite.
// Owns: HistoryDamage and the translation of SQLite's errors.
// Never: repairs; the history is moved aside and rebuilt from the result files.
// On failure: it is the failure.

import GRDB
import JobModel

/// The file cannot be used as a history: move `RunHistory.files(of:)` aside, open anew and add what the
/// result files hold. Nothing is lost by that.
public struct HistoryDamage: Error, Hashable, Sendable, CustomStringConvertible {
    public var path: String
    public var reason: String

    public var description: String { "the run history \(path) is damaged: \(reason)" }
    public var failure: Failure {
        Failure("E-HISTORY-DAMAGE", description, whatToDo: "run: bobbin index rebuild")
    }
}

/// Thrown where a row does not have the form that the schema promises; becomes HistoryDamage.
struct UnreadableRow: Error {
    var table: String
}

/// What a call does with the database. While it is being opened, a schema that our SQL does not fit is damage
/// too.
enum HistoryUse { case opening, reading, writing }

/// Runs `body`; what SQLite throws comes out as HistoryDamage or Failure, everything else as it is.
func translated<Result>(_ path: String, _ use: HistoryUse, _ body: () throws -> Result) throws -> Result {
    do {
        return try body()
    } catch let error as DatabaseError {
        throw translation(of: error, path, use)
    } catch let error as UnreadableRow {
        throw HistoryDamage(path: path, reason: "a row of \(error.table) is unreadable")
    }
}

private func translation(of error: DatabaseError, _ path: String, _ use: HistoryUse) -> any Error {
    let reason = error.message ?? "SQLite error \(error.extendedResultCode.rawValue)"
    switch error.resultCode {
    case .SQLITE_CORRUPT, .SQLITE_NOTADB: return HistoryDamage(path: path, reason: reason)
    case .SQLITE_ERROR where use == .opening: return HistoryDamage(path: path, reason: reason)
    case .SQLITE_READONLY:
        return Failure("E-HISTORY", "the run history \(path) is open for reading only", retry: .never)
    default:
        let verb = use == .writing ? "written" : use == .reading ? "read" : "opened"
        return Failure(
            "E-HISTORY", "the run history \(path) cannot be \(verb): \(reason)",
            whatToDo:
                "look at the free space and the file's permissions; bobbin index rebuild makes it anew",
            retry: .transient)
    }
}
