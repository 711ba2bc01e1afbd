// What this is: tests that the documents say what the program does.
// Owns: docs/STEPS.md against the step table; jobs in documents and samples against the checker; links.
// Never: judges prose.
// On failure: names the document; RECORD=1 writes docs/STEPS.md anew.
import Foundation
import Testing

private let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()

private func bobbin(_ arguments: [String], input: String? = nil) throws -> (code: Int32, out: String) {
    let process = Process()
    let given = ProcessInfo.processInfo.environment["BOBBIN_BINARY"]
    process.executableURL =
        given.map { URL(fileURLWithPath: $0) } ?? repository.appendingPathComponent(".build/debug/bobbin")
    process.arguments = arguments
    process.currentDirectoryURL = repository
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardError = pipe
    try process.run()
    let data = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return (process.terminationStatus, String(decoding: data, as: UTF8.self))
}

private func documents() throws -> [URL] {
    let docs = try FileManager.default.subpathsOfDirectory(
        atPath: repository.appendingPathComponent("docs").path
    )
    .filter { $0.hasSuffix(".md") }.map { repository.appendingPathComponent("docs/\($0)") }
    return docs
        + [
            repository.appendingPathComponent("README.md"),
            repository.appendingPathComponent("templates/README.md"),
        ]
        .filter { FileManager.default.fileExists(atPath: $0.path) }
}

@Suite("Documents", .serialized) struct DocsTests {
    @Test("docs/STEPS.md is the step table") func steps() throws {
        let file = repository.appendingPathComponent("docs/STEPS.md")
        let (code, text) = try bobbin(["steps", "--markdown"])
        #expect(code == 0)
        if ProcessInfo.processInfo.environment["RECORD"] == "1" {
            try text.write(to: file, atomically: true, encoding: .utf8)
        }
        #expect(
            try String(contentsOf: file, encoding: .utf8) == text,
            "run the tests with RECORD=1, or: bobbin steps --markdown > docs/STEPS.md")
    }

    @Test("every whole job in a document passes the checker") func jobs() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
            "bobbin-docs-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }  // the temporary directory is tidied anyway
        var found = 0
        for document in try documents() {
            let text = try String(contentsOf: document, encoding: .utf8)
            for block in text.components(separatedBy: "```yaml\n").dropFirst() {
                let job = block.components(separatedBy: "```")[0]
                guard job.hasPrefix("dsl_version"), job.contains("\nsteps:"), !job.contains("…") else {
                    continue
                }
                found += 1
                let file = folder.appendingPathComponent("job.yaml")
                try job.write(to: file, atomically: true, encoding: .utf8)
                let (code, out) = try bobbin(["check", file.path])
                #expect(code == 0, "\(document.lastPathComponent): \(out)")
            }
        }
        #expect(found > 0)
    }

    @Test("every sample and template passes the checker") func samples() throws {
        let root = repository.appendingPathComponent("templates")
        let names = try FileManager.default.subpathsOfDirectory(atPath: root.path).filter {
            $0.hasSuffix(".yaml")
        }
        #expect(names.count >= 6)
        for name in names {
            let (code, out) = try bobbin(["check", "--site", repository.path, "templates/\(name)"])
            #expect(code == 0, "\(out)")
        }
    }

    @Test("every step's example passes the checker") func examples() throws {
        let (code, text) = try bobbin(["steps", "--json"])
        #expect(code == 0)
        let list = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [[String: Any]])
        #expect(list.count >= 17)
        for type in list {
            let example = try #require(type["example"] as? String)
            // Examples use what earlier steps and variables would give; only the form is checked here.
            let job =
                "dsl_version: \"1.1\"\nsteps:\n"
                + example.split(separator: "\n").enumerated()
                .map { ($0.offset == 0 ? "  - " : "    ") + $0.element }.joined(separator: "\n") + "\n"
            let file = FileManager.default.temporaryDirectory.appendingPathComponent(
                "bobbin-example-\(UUID().uuidString).yaml")
            try job.write(to: file, atomically: true, encoding: .utf8)
            // Where that fails, the temporary directory is tidied anyway.
            defer { try? FileManager.default.removeItem(at: file) }
            let (_, out) = try bobbin(["check", file.path])
            let complaints = out.components(separatedBy: "\n").filter {
                $0.contains(": error:") && !$0.contains("E-UNDEFINED")
            }
            #expect(complaints.isEmpty, "\(type["name"] ?? ""): \(out)")
        }
    }

    @Test("links between documents lead somewhere") func links() throws {
        for document in try documents() {
            let text = try String(contentsOf: document, encoding: .utf8)
            for part in text.components(separatedBy: "](").dropFirst() {
                let target = part.components(separatedBy: ")")[0].components(separatedBy: "#")[0]
                guard !target.isEmpty, !target.contains("://") else { continue }
                let path = document.deletingLastPathComponent().appendingPathComponent(target).path
                #expect(
                    FileManager.default.fileExists(atPath: path), "\(document.lastPathComponent): \(target)")
            }
        }
    }

    /// The fault matrix of docs/SPOOL.md: each row once, each test that it names is there.
    @Test("the fault matrix names tests that exist, and leaves no row out") func faultMatrix() throws {
        let text = try String(
            contentsOf: repository.appendingPathComponent("docs/SPOOL.md"), encoding: .utf8)
        let rows = text.split(separator: "\n").filter { $0.contains(/^\| [A-Z][0-9]/) }
        var seen: [String] = []
        var named = 0
        for row in rows {
            guard let match = row.firstMatch(of: /^\| ([A-Z])([0-9]+)(?:–[A-Z]([0-9]+))? \|/),
                let first = Int(match.2), let last = Int(match.3 ?? match.2)
            else { continue }
            seen += (first...last).map { "\(match.1)\($0)" }
            for test in row.matches(of: /`(\w+Tests)\.(\w+)`/) {
                named += 1
                let found = try sources(named: "\(test.1).swift").contains {
                    try String(contentsOf: $0, encoding: .utf8).contains("func \(test.2)(")
                }
                #expect(found, "\(test.1).\(test.2) of row \(match.1)\(match.2)")
            }
        }
        let wanted = ["K": 15, "E": 12, "R": 14, "I": 22, "X": 8, "A": 11, "O": 6, "B": 8]
        #expect(seen.sorted() == wanted.flatMap { key, count in (1...count).map { "\(key)\($0)" } }.sorted())
        #expect(named > 60)
    }
    private func sources(named name: String) throws -> [URL] {
        let tests = repository.appendingPathComponent("Tests")
        return try FileManager.default.subpathsOfDirectory(atPath: tests.path)
            .filter { $0.hasSuffix("/" + name) }.map { tests.appendingPathComponent($0) }
    }
}
