// What this is: the step `assert_text`.
// Owns: its table entry and E-ASSERT-TEXT.
// Never: reads more than `limit`; takes bytes that are no text for a text.
// On failure: E-ASSERT-TEXT names the first text that is missing, or that should not be there.
import JobModel
import LinuxSystem

struct AssertTextStep: StepAction {
    static let table = StepType(
        "assert_text", "Fails unless a text, or a file, contains what it must.",
        parameters: [
            Parameter("contains", .texts, default: .list([]), "texts of which all must be there"),
            Parameter("absent", .texts, default: .list([]), "texts of which none may be there"),
            Parameter("text", .text, "the text to look at"),
            Parameter("path", .text, "the file to look at, in place of `text`"),
            Parameter("ignore_case", .flag, default: .bool(false), "upper and lower case alike"),
            Parameter("limit", .size, default: .string("16MiB"), "a larger file is an error"),
            Verification.retryAfter,
        ],
        outputs: Verification.outputs + [("path", "the absolute path of the file")],
        example: "assert_text: {path: out/summary.txt, contains: [Total, EUR], absent: ERROR}")
    var type: StepType { AssertTextStep.table }

    func perform(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) -> ValueMap {
        let (wanted, unwanted) = (arguments.texts("contains"), arguments.texts("absent"))
        guard !wanted.isEmpty || !unwanted.isEmpty else {
            throw .parameter("`assert_text` needs `contains`, `absent`, or both")
        }
        let (text, file) = (arguments.optionalText("text"), arguments.optionalText("path"))
        guard (text == nil) != (file == nil) else {
            throw .parameter("`assert_text` looks at `text` or at a file `path`, one of them")
        }
        let path: SitePath? = if let file { try SitePath(file, context) } else { nil }
        // A text does not change; a file may still be written.
        let span = path == nil ? .zero : arguments.span("retry_after")
        return try Verification.perform(retryAfter: span, context) { () throws(Failure) in
            let found = try path.map { (path) throws(Failure) in
                try ReadFileStep.text(of: path, limit: arguments.bytes("limit"), context)
            }
            let fold: (String) -> String = arguments.flag("ignore_case") ? { $0.lowercased() } : { $0 }
            let whole = fold(found ?? text ?? "")
            let name = path?.absolute ?? "the text"
            for part in wanted where !whole.contains(fold(part)) {
                throw refusal("\(name) does not contain `\(part.prefix(100))`")
            }
            for part in unwanted where whole.contains(fold(part)) {
                throw refusal("\(name) contains `\(part.prefix(100))`")
            }
            return ("\(name) is as it must be", path.map { ["path": .string($0.absolute)] } ?? [:])
        }
    }

    private func refusal(_ message: String) -> Failure {
        Failure("E-ASSERT-TEXT", message, whatToDo: "look at the step that should have made it")
    }
}
