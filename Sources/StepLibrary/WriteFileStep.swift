// What this is: the step `write_file`.
// Owns: its table entry; whole and durable writes, durable appends.
// Never: leaves a half file under the final name, follows a link at the end of the path.
// On failure: Failure with the path; without `append` the old content is still there.
import JobModel
import LinuxSystem

struct WriteFileStep: StepAction {
    static let table = StepType(
        "write_file", "Writes a file, whole and durable, or appends to one.",
        parameters: [
            Parameter("path", .text, required: true, "the file"),
            Parameter("content", .any, required: true, "text; a list or map is written as JSON"),
            Parameter(
                "format", .choice(["auto", "text", "json", "lines", "csv"]), default: .string("auto"),
                "how to write it; auto: text as it is, the rest as JSON; csv: a list of maps or lists"),
            Parameter(
                "columns", .texts, "csv: which columns, in which order; absent: those of the first row"),
            Parameter(
                "separator", .text, default: .string(","), "csv: the character between cells; `tab` for a tab"
            ),
            Parameter("header", .flag, default: .bool(true), "csv: begin with the names of the columns"),
            Parameter("mode", .text, default: .string("0644"), "permissions of a new file, octal"),
            Parameter(
                "append", .flag, default: .bool(false),
                "add to the end; never repeated after an unknown outcome"),
            Parameter(
                "collision", .choice(["overwrite", "fail"]), default: .string("overwrite"),
                "when the file exists already"),
            Parameter("create_dest", .flag, default: .bool(true), "make the directory where it is missing"),
        ],
        // An append that is not known yet (a template) counts as one.
        repeatableWhen: { ($0["append"] ?? .bool(false)) == .bool(false) },
        outputs: [
            ("path", "the absolute path"), ("bytes", "how much was written"),
            ("sha256", "the checksum of what was written"),
        ],
        example: "write_file: {path: out/count.txt, content: \"{{ steps.found.count }} files\"}",
        effect: .writesFiles)
    var type: StepType { WriteFileStep.table }

    func perform(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) -> ValueMap {
        let path = try SitePath(arguments.text("path"), context).named()
        let bytes = Array(try text(arguments).utf8)
        let mode = try mode(arguments.text("mode"))
        let directories = try OpenDirectories(context)
        if arguments.flag("create_dest") { _ = try directories.made(path.parent) }
        let directory = try directories.writable(path)
        if arguments.flag("append") {
            try append(bytes, path, directory, mode)
        } else {
            try write(bytes, path, directory, mode, arguments.text("collision") == "fail", context)
        }
        return [
            "path": .string(path.absolute), "bytes": .int(bytes.count),
            "sha256": .string(RunningSum.sha256(bytes)),
        ]
    }

    private func text(_ arguments: ValueMap) throws(Failure) -> String {
        let content = arguments["content"] ?? .null
        switch arguments.text("format") {
        case "json": return JSONText.write(content, pretty: true) + "\n"
        case "text": return content.text
        case "lines":
            guard let lines = content.listValue else { throw .parameter("`format: lines` writes a list") }
            return lines.map { $0.text + "\n" }.joined()
        case "csv": return try table(content, arguments)
        default: return content.content
        }
    }
    private func table(_ content: Value, _ arguments: ValueMap) throws(Failure) -> String {
        guard let rows = content.listValue else { throw .parameter("`format: csv` writes a list of rows") }
        let writer = CSVWriter(separator: try CSVTable.separator(arguments.text("separator")))
        var columns = arguments.texts("columns")
        if columns.isEmpty { columns = rows.first?.mapValue?.keys ?? [] }
        for case .map(let row) in rows {
            if arguments["columns"]?.isNull ?? true,
                let stray = row.keys.first(where: { !columns.contains($0) })
            {
                throw .parameter(
                    "a row has a column `\(stray)` that the first row does not have",
                    whatToDo: "say which columns are written: `columns: [\(columns.joined(separator: ", "))]`"
                )
            }
        }
        return writer.text(columns: columns, rows: rows, header: arguments.flag("header"))
    }

    private func mode(_ text: String) throws(Failure) -> UInt32 {
        guard let mode = UInt32(text, radix: 8), mode <= 0o777 else {
            throw .parameter("`mode` is an octal number up to 0777, not \(text)")
        }
        return mode
    }

    private func write(
        _ bytes: [UInt8], _ path: SitePath, _ directory: Directory, _ mode: UInt32, _ failsIfThere: Bool,
        _ context: any StepContext
    ) throws(Failure) {
        do {
            try AtomicFile.write(
                bytes, to: path.name, in: directory, mode: mode, existing: failsIfThere ? .fail : .replace)
            try setMode(mode, path.name, directory)
        } catch {
            guard error.isExisting, failsIfThere else {
                throw Failure(cannot: "write \(path.absolute)", error)
            }
            if context.isRerun, try isWritten(bytes, path, directory, context) { return }
            throw Failure(
                "E-FILE-EXISTS", "\(path.absolute) exists already",
                whatToDo: "remove it, choose another name, or set `collision: overwrite`")
        }
    }

    /// The umask may have taken rights away from the new file; the job asked for exactly these.
    private func setMode(_ mode: UInt32, _ name: String, _ directory: Directory) throws(SystemError) {
        guard try directory.status(name).mode != mode else { return }
        try directory.openForReading(name).setMode(mode)
    }

    /// Whether an earlier start of this step wrote exactly this.
    private func isWritten(
        _ bytes: [UInt8], _ path: SitePath, _ directory: Directory, _ context: any StepContext
    ) throws(Failure) -> Bool {
        let there = try SourceFile(path.name, in: directory, path: path.absolute)
        guard there.status.size == bytes.count else { return false }
        return try there.sum(.sha256, context) == RunningSum.sha256(bytes)
    }

    private func append(
        _ bytes: [UInt8], _ path: SitePath, _ directory: Directory, _ mode: UInt32
    ) throws(Failure) {
        let before = try onDisk("write \(path.absolute)") { () throws(SystemError) in
            try directory.statusIfPresent(path.name)
        }
        guard before == nil || before?.kind == .regular else {
            throw Failure(
                "E-FILE-KIND", "\(path.absolute) is a \(before?.kindName ?? ""), not a file",
                whatToDo: "name a plain file")
        }
        try onDisk("write \(path.absolute)") { () throws(SystemError) in
            let file = try directory.openForAppending(path.name, mode: mode)
            try file.append(bytes)
            try file.sync()
            if before == nil {
                try setMode(mode, path.name, directory)
                try directory.sync()
            }
        }
    }
}
