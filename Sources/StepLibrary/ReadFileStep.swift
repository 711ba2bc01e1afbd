// What this is: the step `read_file`.
// Owns: its table entry, the limit, and the forms a file can be read in.
// Never: reads FIFOs or devices; cuts a file silently.
// On failure: E-FILE-SIZE, E-FILE-TEXT, E-JSON, E-CSV, each with the place in the file.
import JobModel
import LinuxSystem

struct ReadFileStep: StepAction {
    static let table = StepType(
        "read_file", "Reads a file as text, lines, JSON or CSV.",
        parameters: [
            Parameter("path", .text, required: true, "the file"),
            Parameter(
                "parse", .choice(["text", "lines", "json", "csv"]), default: .string("text"), "how to read it"
            ),
            Parameter("limit", .size, default: .string("1MiB"), "a larger file is an error"),
            Parameter(
                "separator", .text, default: .string(","), "csv: the character between cells; `tab` for a tab"
            ),
            Parameter(
                "ragged", .choice(CSVTable.Ragged.allCases.map(\.rawValue)), default: .string("fail"),
                "csv: rows longer or shorter than the header"),
            Parameter(
                "types", .map, default: .map([:]),
                "csv: kinds of columns: text, integer, number, flag or date; others are texts"),
        ],
        shorthand: "path",
        outputs: [
            ("path", "the absolute path"), ("bytes", "its size"), ("sha256", "its checksum"),
            ("text", "parse: text"),
            ("lines", "parse: lines"), ("json", "parse: json"),
            ("rows", "parse: csv, a list of maps by column"),
            ("columns", "parse: csv, the header"), ("count", "how many lines or rows"),
        ],
        example: "read_file: {path: in/customers.csv, parse: csv, types: {id: integer}}")
    var type: StepType { ReadFileStep.table }

    func perform(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) -> ValueMap {
        let path = try SitePath(arguments.text("path"), context)
        let bytes = try ReadFileStep.bytes(of: path, limit: arguments.bytes("limit"), context)
        var outputs: ValueMap = [
            "path": .string(path.absolute), "bytes": .int(bytes.count),
            "sha256": .string(RunningSum.sha256(bytes)),
        ]
        outputs.merge(try parsed(bytes, path.absolute, arguments, context))
        return try outputs.withinLimit(instead: "let a program read the file (run, shell) and hand on less")
    }

    /// A whole file as UTF-8 text.
    static func text(
        of path: SitePath, limit: Int, advice: String = raiseLimit, _ context: any StepContext
    ) throws(Failure) -> String {
        try TextLines.strict(bytes(of: path, limit: limit, advice: advice, context), path.absolute)
    }
    static let raiseLimit = "raise `limit`, or let a program read it (run, shell)"
    static func bytes(
        of path: SitePath, limit: Int, advice: String = raiseLimit, _ context: any StepContext
    ) throws(Failure) -> [UInt8] {
        let source = try SourceFile(reading: path)
        var bytes: [UInt8] = []
        // Counted while reading, too: a file may grow, and files of /proc say 0.
        var size = source.status.size
        if size <= limit {
            try source.forEachPiece(context) { (piece) throws(Failure) in
                if bytes.count <= limit { bytes += piece }
            }
            size = bytes.count
        }
        guard size <= limit else {
            throw Failure(
                "E-FILE-SIZE", "\(path.absolute) has more than \(limit) bytes",
                whatToDo: advice, retry: .never)
        }
        return bytes
    }

    private func parsed(
        _ bytes: [UInt8], _ path: String, _ arguments: ValueMap, _ context: any StepContext
    ) throws(Failure) -> ValueMap {
        let text = try TextLines.strict(bytes, path)
        switch arguments.text("parse") {
        case "lines":
            let lines = TextLines.split(text)
            return ["lines": .texts(lines), "count": .int(lines.count)]
        case "json":
            do { return ["json": try JSONReader.read(Array(text.utf8))] } catch {
                throw Failure("E-JSON", "\(path), \(error)", whatToDo: "correct the file")
            }
        case "csv":
            let kinds = try CellKind.read(arguments["types"]?.mapValue ?? [:])
            let table = try table(text, arguments).typed(kinds)
            if table.skipped > 0 { try context.log("\(table.skipped) ragged rows were skipped") }
            return [
                "rows": .list(table.rows), "columns": .texts(table.columns), "count": .int(table.rows.count),
            ]
        default: return ["text": .string(text)]
        }
    }

    private func table(_ text: String, _ arguments: ValueMap) throws(Failure) -> CSVTable {
        let separator = try CSVTable.separator(arguments.text("separator"))
        return try CSVTable(
            text, separator: separator, ragged: CSVTable.Ragged(rawValue: arguments.text("ragged")) ?? .fail)
    }
}
