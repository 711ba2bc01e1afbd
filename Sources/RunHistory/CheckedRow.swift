// What this is: a row whose values are asked for by name or number, and kind.
// Owns: the check that a value is what the schema promises; GRDB's own subscripts stop the process instead.
// Never: converts between kinds.
// On failure: throws UnreadableRow.

import GRDB
import JobModel

/// A column by its name, or by its number in the question, which is found faster.
protocol ColumnPlace {
    func value(in row: Row) -> DatabaseValue?
}
extension String: ColumnPlace {
    func value(in row: Row) -> DatabaseValue? { row[self] as DatabaseValue? }
}
extension Int: ColumnPlace {
    func value(in row: Row) -> DatabaseValue? { self < row.count ? row[self] as DatabaseValue : nil }
}

struct CheckedRow {
    private let row: Row
    private let table: String

    init(_ row: Row, _ table: String) {
        self.row = row
        self.table = table
    }

    private func value(_ column: some ColumnPlace) throws -> DatabaseValue {
        guard let value = column.value(in: row) else { throw UnreadableRow(table: table) }
        return value
    }

    func optionalText(_ column: some ColumnPlace) throws -> String? {
        switch try value(column).storage {
        case .string(let text): text
        case .null: nil
        default: throw UnreadableRow(table: table)
        }
    }

    func optionalInt(_ column: some ColumnPlace) throws -> Int? {
        switch try value(column).storage {
        case .int64(let number): Int(number)
        case .null: nil
        default: throw UnreadableRow(table: table)
        }
    }

    func text(_ column: some ColumnPlace) throws -> String { try present(optionalText(column)) }
    func int(_ column: some ColumnPlace) throws -> Int { try present(optionalInt(column)) }
    func time(_ column: some ColumnPlace) throws -> Timestamp { try present(optionalTime(column)) }

    func optionalTime(_ column: some ColumnPlace) throws -> Timestamp? {
        guard let milliseconds = try optionalInt(column) else { return nil }
        let nanoseconds = Int64(milliseconds).multipliedReportingOverflow(by: 1_000_000)
        return Timestamp(nanoseconds: try present(nanoseconds.overflow ? nil : nanoseconds.partialValue))
    }

    func known<Word>(_ column: some ColumnPlace, _ read: (String) -> Word?) throws -> Word {
        try present(read(text(column)))
    }

    func error(step: String?) throws -> ErrorSummary? {
        guard let code = try optionalText("error_code") else { return nil }
        return ErrorSummary(code: code, message: try text("error_message"), step: step)
    }

    private func present<Wrapped>(_ value: Wrapped?) throws -> Wrapped {
        guard let value else { throw UnreadableRow(table: table) }
        return value
    }
}
