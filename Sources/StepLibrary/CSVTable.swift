// What this is: CSV text (RFC 4180) as rows, each a map from column name to text.
// Owns: quotes, line ends inside quotes, the header, ragged rows; both ways.
// Never: guesses types or the separator: a cell is text unless the job says otherwise (CellKind).
// On failure: E-CSV with the number of the row (the header is row 1).
import JobModel

struct CSVTable {
    enum Ragged: String, CaseIterable { case fail, keep, skip }
    private(set) var columns: [String] = []
    private(set) var rows: [Value] = []
    private(set) var skipped = 0
    /// The number of each row in its file, for messages.
    private var numbers: [Int] = []

    init(_ text: String, separator: UInt8, ragged: Ragged) throws(Failure) {
        var reader = CSVReader(Array(text.utf8), separator)
        guard let header = try reader.row() else { return }
        columns = try CSVTable.names(header)
        while let cells = try reader.row() {
            // A blank line is a row of one empty cell; in a table of several columns it means nothing.
            if cells == [""], columns.count > 1 { continue }
            guard cells.count == columns.count else {
                try take(ragged: cells, row: reader.rowNumber, ragged)
                continue
            }
            add(cells, row: reader.rowNumber)
        }
    }

    /// The cells of some columns as what they stand for. An empty cell is null.
    func typed(_ kinds: [(column: String, kind: CellKind)]) throws(Failure) -> CSVTable {
        guard !kinds.isEmpty else { return self }
        for (column, _) in kinds where !columns.contains(column) {
            throw .parameter(
                "`types` names a column `\(column)` that the file does not have",
                whatToDo: "it has: \(columns.joined(separator: ", "))")
        }
        var table = self
        for (index, row) in rows.enumerated() {
            guard var cells = row.mapValue else { continue }
            for (column, kind) in kinds {
                guard let text = cells[column]?.stringValue else { continue }
                guard let value = kind.value(of: text) else {
                    throw CSVReader.refusal(
                        "row \(numbers[index]), column `\(column)`: `\(text.prefix(80))` is no \(kind.title)",
                        "correct the file, or take the column as text")
                }
                cells[column] = value
            }
            table.rows[index] = .map(cells)
        }
        return table
    }

    /// The character between cells, as a job names it.
    static func separator(_ word: String) throws(Failure) -> UInt8 {
        guard let separator = word == "tab" ? 9 : word.utf8.first, word == "tab" || word.utf8.count == 1,
            ![10, 13, 0x22].contains(separator)
        else { throw .parameter("`separator` is one character such as , or ; or the word tab") }
        return separator
    }

    private static func names(_ header: [String]) throws(Failure) -> [String] {
        var names: [String] = []
        for (index, cell) in header.enumerated() {
            let name = cell.trimmed.isEmpty ? "column_\(index + 1)" : cell.trimmed
            guard !names.contains(name) else {
                throw CSVReader.refusal(
                    "the header names `\(name)` twice", "give each column a name of its own")
            }
            names.append(name)
        }
        return names
    }

    private mutating func take(ragged cells: [String], row: Int, _ ragged: Ragged) throws(Failure) {
        switch ragged {
        case .skip: skipped += 1
        case .keep:
            let missing = max(0, columns.count - cells.count)
            add(cells + [String](repeating: "", count: missing), row: row)
        case .fail:
            throw CSVReader.refusal(
                "row \(row) has \(cells.count) cells, the header has \(columns.count)",
                "correct the row, check `separator`, or set `ragged: keep` or `skip`")
        }
    }

    private mutating func add(_ cells: [String], row: Int) {
        numbers.append(row)
        var entries: [(String, Value)] = []
        for (index, cell) in cells.enumerated() {
            // Cells beyond the header get names nobody else has.
            let name = index < columns.count ? columns[index] : "extra_\(index + 1)"
            entries.append((name, .string(cell)))
        }
        rows.append(.map(ValueMap(distinct: entries)))
    }
}

/// What the cells of a column stand for.
enum CellKind: String, CaseIterable {
    case text, integer, number, flag, date

    var title: String {
        self == .flag ? "true or false" : self == .date ? "date such as 2026-11-21" : rawValue
    }

    static func read(_ map: ValueMap) throws(Failure) -> [(column: String, kind: CellKind)] {
        var kinds: [(column: String, kind: CellKind)] = []
        for entry in map.entries {
            guard let kind = CellKind(rawValue: entry.value.text) else {
                throw .parameter(
                    "`types` knows no `\(entry.value.text)`",
                    whatToDo: "kinds are \(allCases.map(\.rawValue).joined(separator: ", "))")
            }
            kinds.append((entry.key, kind))
        }
        return kinds
    }

    func value(of cell: String) -> Value? {
        let text = cell.trimmed
        guard self != .text else { return .string(cell) }
        guard !text.isEmpty else { return .null }
        switch self {
        case .text: return .string(cell)
        case .integer: return Int(text).map(Value.int)
        case .number:
            // `nan` and `inf` are words to Double, and no numbers to people.
            guard text.utf8.allSatisfy({ "0123456789+-.eE".utf8.contains($0) }) else { return nil }
            return Double(text).flatMap { $0.isFinite ? .double($0) : nil }
        case .flag:
            switch text.lowercased() {
            case "true", "yes", "1": return .bool(true)
            case "false", "no", "0": return .bool(false)
            default: return nil
            }
        case .date:
            return text.utf8.count == 10 && Timestamp(rfc3339: text + "T00:00:00Z") != nil
                ? .string(text) : nil
        }
    }
}

/// Rows as CSV text, lines ended by CR LF as the format has it or by LF.
struct CSVWriter {
    var separator: UInt8 = 0x2C
    var lineEnd = "\n"

    /// A header, where it is wanted, and one line for each row. A row is a map by column, or a list of cells.
    func text(columns: [String], rows: [Value], header: Bool = true) -> String {
        var out = columns.isEmpty || !header ? "" : line(columns.map(Value.string))
        for row in rows {
            switch row {
            case .map(let map): out += line(columns.map { map[$0] ?? .null })
            case .list(let cells): out += line(cells)
            default: out += line([row])
            }
        }
        return out
    }
    private func line(_ cells: [Value]) -> String {
        // One empty cell alone would read as a blank line.
        if cells.count == 1, cells[0].text.isEmpty { return "\"\"" + lineEnd }
        let mark = String(decoding: [separator], as: UTF8.self)
        return cells.map { quoted($0.text) }.joined(separator: mark) + lineEnd
    }
    private func quoted(_ text: String) -> String {
        let needs =
            text.utf8.contains { $0 == separator || $0 == 0x22 || $0 == 10 || $0 == 13 }
            || text.first == " " || text.last == " "
        guard needs else { return text }
        return "\"" + text.parts(at: "\"", keepingEmpty: true).joined(separator: "\"\"")
            + "\""
    }
}

struct CSVReader {
    private let bytes: [UInt8]
    private let separator: UInt8
    private var at = 0
    private(set) var rowNumber = 0
    private static let quote: UInt8 = 0x22

    init(_ bytes: [UInt8], _ separator: UInt8) {
        self.bytes = bytes
        self.separator = separator
    }

    /// The cells of the next row, or nil at the end.
    mutating func row() throws(Failure) -> [String]? {
        guard at < bytes.count else { return nil }
        rowNumber += 1
        var cells: [String] = []
        while true {
            cells.append(try cell())
            guard at < bytes.count, bytes[at] == separator else { break }
            at += 1
        }
        if at < bytes.count, bytes[at] == 13 { at += 1 }
        if at < bytes.count, bytes[at] == 10 { at += 1 }
        return cells
    }

    private mutating func cell() throws(Failure) -> String {
        if at < bytes.count, bytes[at] == CSVReader.quote { return try quoted() }
        let start = at
        while at < bytes.count, bytes[at] != separator, !isLineEnd { at += 1 }
        return String(decoding: bytes[start..<at], as: UTF8.self)
    }
    private var isLineEnd: Bool {
        bytes[at] == 10 || bytes[at] == 13 && (at + 1 == bytes.count || bytes[at + 1] == 10)
    }

    private mutating func quoted() throws(Failure) -> String {
        at += 1
        var out: [UInt8] = []
        while at < bytes.count {
            let byte = bytes[at]
            at += 1
            guard byte == CSVReader.quote else {
                out.append(byte)
                continue
            }
            guard at < bytes.count, bytes[at] == CSVReader.quote else {
                guard at == bytes.count || bytes[at] == separator || isLineEnd else {
                    throw CSVReader.refusal(
                        "row \(rowNumber): text follows a closing quote", "write a quote inside quotes twice")
                }
                return String(decoding: out, as: UTF8.self)
            }
            out.append(byte)
            at += 1
        }
        throw CSVReader.refusal(
            "row \(rowNumber): a quote is not closed", "write a quote inside quotes twice")
    }

    static func refusal(_ message: String, _ advice: String) -> Failure {
        Failure("E-CSV", message, whatToDo: advice)
    }
}
