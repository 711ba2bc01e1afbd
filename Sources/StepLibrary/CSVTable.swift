// What this is: CSV text (RFC 4180) as rows, each a map from column name to text.
// Owns: quotes, line ends inside quotes, the header, ragged rows.
// Never: guesses types or the separator: every cell is text.
// On failure: E-CSV with the number of the row (the header is row 1).
import JobModel

struct CSVTable {
    enum Ragged: String, CaseIterable { case fail, keep, skip }
    private(set) var columns: [String] = []
    private(set) var rows: [Value] = []
    private(set) var skipped = 0

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
            add(cells)
        }
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
            add(cells + [String](repeating: "", count: missing))
        case .fail:
            throw CSVReader.refusal(
                "row \(row) has \(cells.count) cells, the header has \(columns.count)",
                "correct the row, check `separator`, or set `ragged: keep` or `skip`")
        }
    }

    private mutating func add(_ cells: [String]) {
        var entries: [(String, Value)] = []
        for (index, cell) in cells.enumerated() {
            // Cells beyond the header get names nobody else has.
            let name = index < columns.count ? columns[index] : "extra_\(index + 1)"
            entries.append((name, .string(cell)))
        }
        rows.append(.map(ValueMap(distinct: entries)))
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
