// What this is: the steps `pdf_merge`, `pdf_extract_pages` and `assert_pdf_pages`.
// Owns: their table entries, E-ASSERT-PDF.
// Never: parses a PDF: qpdf does.
// On failure: what PdfTool says; the old file of that name is still there.
import JobModel
import LinuxSystem

struct PdfMergeStep: StepAction {
    static let table = StepType(
        "pdf_merge", "Joins PDF files into one.",
        parameters: [
            Parameter("inputs", .texts, "the files, in this order"),
            Parameter("inputs_from", .text, "a directory: all its *.pdf, by name, in place of `inputs`"),
            Parameter("out", .text, required: true, "the new file"),
            Parameter(
                "collision", .choice(["overwrite", "fail"]), default: .string("overwrite"),
                "when `out` exists already"),
        ],
        outputs: [
            ("merged", "how many files"), ("out_path", "the absolute path"), ("page_count", "its pages"),
        ],
        example: "pdf_merge: {inputs: [in/cover.pdf, in/report.pdf], out: out/whole.pdf}",
        effect: .writesFiles)
    var type: StepType { PdfMergeStep.table }

    func perform(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) -> ValueMap {
        let paths = try sources(arguments, context)
        let out = try SitePath(arguments.text("out"), context).named()
        guard !paths.isEmpty else {
            throw Failure(
                "E-FILE-MISSING", "there is no PDF to merge", whatToDo: "check `inputs` or `inputs_from`")
        }
        let file = try PartFile(out, replaces: arguments.text("collision") == "overwrite", context)
        defer { file.discard() }
        let count = try PdfTool(context).write(paths.map { ($0, "1-z") }, to: file)
        return ["merged": .int(paths.count), "out_path": .string(out.absolute), "page_count": .int(count)]
    }

    private func sources(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) -> [SitePath] {
        guard let folder = arguments.optionalText("inputs_from") else {
            guard arguments["inputs"]?.listValue != nil else {
                throw .parameter("`pdf_merge` needs `inputs` or `inputs_from`")
            }
            var paths: [SitePath] = []
            for text in arguments.texts("inputs") { paths.append(try SitePath(text, context)) }
            return paths
        }
        guard arguments["inputs"]?.listValue == nil else {
            throw .parameter("`pdf_merge` takes `inputs` or `inputs_from`, not both")
        }
        let path = try SitePath(folder, context)
        let names = try onDisk("read \(path.absolute)") { () throws(SystemError) in
            try Directory.open(path.absolute).names()
        }
        // What this very step writes there is no source of it.
        let own = try SitePath(arguments.text("out"), context)
        return names.filter { $0.lowercased().hasSuffix(".pdf") && !$0.hasPrefix(".") }.sorted()
            .map(path.appending).filter { $0 != own }
    }
}

struct PdfExtractPagesStep: StepAction {
    static let table = StepType(
        "pdf_extract_pages", "Writes some pages of a PDF file into a new one.",
        parameters: [
            Parameter("input", .text, required: true, "the file"),
            Parameter("pages", .text, required: true, "pages from 1: 1,3-5 or 2-end"),
            Parameter("out", .text, required: true, "the new file"),
            Parameter(
                "collision", .choice(["overwrite", "fail"]), default: .string("overwrite"),
                "when `out` exists already"),
        ],
        outputs: [
            ("extracted", "how many pages"), ("out_path", "the absolute path"), ("page_count", "its pages"),
        ],
        example: "pdf_extract_pages: {input: in/report.pdf, pages: \"1,3-5\", out: out/short.pdf}",
        effect: .writesFiles)
    var type: StepType { PdfExtractPagesStep.table }

    func perform(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) -> ValueMap {
        let tool = PdfTool(context)
        let input = try SitePath(arguments.text("input"), context)
        let pages = try PdfTool.range(
            arguments.text("pages"), of: try tool.pages(of: input), input.absolute)
        let file = try PartFile(
            SitePath(arguments.text("out"), context), replaces: arguments.text("collision") == "overwrite",
            context)
        defer { file.discard() }
        let count = try tool.write([(input, pages)], to: file)
        return [
            "extracted": .int(count), "out_path": .string(file.final.absolute), "page_count": .int(count),
        ]
    }
}

struct AssertPdfPagesStep: StepAction {
    static let table = StepType(
        "assert_pdf_pages", "Fails unless a PDF file has so many pages.",
        parameters: [
            Parameter("path", .text, required: true, "the file"),
            Parameter("expected_pages", .integer, range: 0...1_000_000, "exactly so many"),
            Parameter("min_pages", .integer, range: 0...1_000_000, "at least so many"),
            Parameter("max_pages", .integer, range: 0...1_000_000, "at most so many"),
        ],
        outputs: [("path", "the absolute path"), ("actual_pages", "its pages")] + Verification.outputs,
        example: "assert_pdf_pages: {path: out/whole.pdf, expected_pages: 12}")
    var type: StepType { AssertPdfPagesStep.table }

    func perform(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) -> ValueMap {
        let exact = arguments["expected_pages"]?.intValue
        let (least, most) = (arguments["min_pages"]?.intValue, arguments["max_pages"]?.intValue)
        guard exact != nil || least != nil || most != nil else {
            throw .parameter("`assert_pdf_pages` needs `expected_pages`, `min_pages` or `max_pages`")
        }
        let path = try SitePath(arguments.text("path"), context)
        return try Verification.perform(retryAfter: .zero, context) { () throws(Failure) in
            let count = try PdfTool(context).pages(of: path)
            var wanted: String?
            if let most, count > most { wanted = "at most \(most)" }
            if let least, count < least { wanted = "at least \(least)" }
            if let exact, count != exact { wanted = "exactly \(exact)" }
            if let wanted {
                throw Failure(
                    "E-ASSERT-PDF", "\(path.absolute) has \(count) pages; \(wanted) were expected",
                    whatToDo: "look at the step that should have made it")
            }
            return (
                "\(path.absolute) has \(count) pages",
                ["path": .string(path.absolute), "actual_pages": .int(count)]
            )
        }
    }
}
