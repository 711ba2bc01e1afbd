// What this is: PDF files by the program qpdf: counting, joining and taking out pages.
// Owns: qpdf's arguments, what its exit codes mean, the reading of page ranges.
// Never: changes a source; gives a result its name before qpdf has written all of it.
// On failure: E-PDF with qpdf's own words, E-PDF-TOOL where it is missing, E-PDF-PAGES.
import JobModel
import LinuxSystem

struct PdfTool {
    let context: any StepContext

    init(_ context: any StepContext) { self.context = context }

    func pages(of path: SitePath) throws(Failure) -> Int {
        _ = try SourceFile(reading: path)
        let text = try run(["--show-npages", "--", path.absolute], about: path.absolute).trimmed
        guard let count = Int(text) else {
            throw Failure("E-PDF", "\(path.absolute): qpdf did not count its pages: \(text.prefix(80))")
        }
        return count
    }

    /// Writes the pages of `sources` (a range such as `1,3-5`, or all) one after the other; returns their number.
    func write(_ sources: [(path: SitePath, pages: String)], to file: PartFile) throws(Failure) -> Int {
        var arguments = ["--empty", "--pages"]
        for source in sources {
            _ = try SourceFile(reading: source.path)
            arguments += [source.path.absolute, source.pages]
        }
        _ = try run(arguments + ["--", file.part.absolute], about: file.final.absolute)
        let count = try pages(of: file.part)
        try file.commit()
        return count
    }

    private func run(_ arguments: [String], about path: String) throws(Failure) -> String {
        let ending: ProcessEnding
        do {
            ending = try context.run(ProcessRequest(["qpdf"] + arguments, outputIsData: true))
        } catch {
            guard error.code == "E-EXEC" else { throw error }
            throw Failure(
                "E-PDF-TOOL", "PDF steps need the program qpdf", whatToDo: "install it: apt-get install qpdf",
                retry: .never)
        }
        switch ending.exit {
        // 3: it worked, and something about the file deserved a warning.
        case .code(0), .code(3): return ending.stdoutText
        case .running: return ""
        case .code, .signal:
            throw Failure(
                "E-PDF", "\(path): \(ending.lastErrorLine ?? "qpdf failed without a word")",
                whatToDo: "look at the file with a viewer, or at the step's log")
        }
    }

    /// `1,3-5`, `2-end`; checked against the number of pages, since a page that is not there is a mistake.
    static func range(_ text: String, of count: Int, _ path: String) throws(Failure) -> String {
        var parts: [String] = []
        for part in text.parts(at: ",", keepingEmpty: true) {
            var ends: [String] = []
            for end in part.parts(at: "-", keepingEmpty: true).map(\.trimmed) {
                guard let page = end == "end" ? count : number(end), ends.count < 2 else {
                    throw Failure(
                        "E-PDF-PAGES", "`\(text)` names no pages",
                        whatToDo: "write pages from 1 as 1,3-5 or 2-end", retry: .never)
                }
                guard (1...max(count, 1)).contains(page) else {
                    throw Failure(
                        "E-PDF-PAGES", "\(path) has \(count) pages; there is no page \(page)",
                        whatToDo: "take pages from 1 to \(count)")
                }
                ends.append(String(page))
            }
            parts.append(ends.joined(separator: "-"))
        }
        return parts.joined(separator: ",")
    }
    private static func number(_ text: String) -> Int? {
        text.utf8.allSatisfy { (0x30...0x39).contains($0) } ? Int(text) : nil
    }
}
