// What this is: jobs with faults, and what the checker says of each, word for word, as `bobbin check` prints it.
// Owns: Tests/Fixtures/check: NAME.yaml with NAME.txt beside it; that every code of the checker is in one of them.
// Never: takes a change of the words for right by itself: RECORD=1 writes the texts anew, and a person reads the difference.
// On failure: shows both texts.
// What no small file can show (files of a megabyte, 50,000 nodes) is in the tests of YamlText.
import BobbinDaemon
import Foundation
import JobLanguage
import Testing

@Suite struct CheckFixtureTests {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent()
        .appending(path: "Fixtures/check")
    // Without the directory there are no names, and everyCodeHasAFixture fails.
    static let names = ((try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? [])
        .filter { $0.hasSuffix(".yaml") }.sorted()

    private static func said(_ name: String) throws -> String {
        let bytes = Array(try Data(contentsOf: folder.appending(path: name)))
        let reader = JobReader(catalogue: Site.standardCatalogue) { template in
            guard !template.contains("..") else { return nil }
            // No such template: what the checker is to say then is in a fixture, too.
            return (try? Data(contentsOf: folder.appending(path: "templates/\(template)"))).map(Array.init)
        }
        let reading = reader.read(bytes, name: name, stem: String(name.dropLast(5)))
        let text = reading.findings.map(\.rendered).joined(separator: "\n")
        return (text.isEmpty ? "valid" : text) + "\n"
    }

    @Test(arguments: names) func saysWhatItSaid(name: String) throws {
        let record = Self.folder.appending(path: name.dropLast(5) + ".txt")
        let said = try Self.said(name)
        if ProcessInfo.processInfo.environment["RECORD"] == "1" {
            try Data(said.utf8).write(to: record)
        }
        let expected = try String(contentsOf: record, encoding: .utf8)
        #expect(said == expected, "said now:\n\(said)\nsaid before:\n\(expected)")
    }

    /// Codes that only large inputs bring, or only a job that is accepted, runs or ends (TermReadingTests, SecretJobTests), each
    /// with its test.
    private static let elsewhere: Set<String> = [
        "E-YAML-NODES", "E-YAML-SCALAR", "E-YAML-SIZE", "E-EXPR-LIMIT", "E-EXPIRED", "E-OUTPUT", "E-SECRET",
    ]

    @Test func everyCodeHasAFixture() throws {
        let sources = Self.folder.deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
            .appending(path: "Sources")
        var codes: Set<String> = []
        for room in ["JobLanguage", "YamlText"] {
            let place = sources.appending(path: room)
            for file in try FileManager.default.contentsOfDirectory(atPath: place.path) {
                let text = try String(contentsOf: place.appending(path: file), encoding: .utf8)
                for match in text.matches(of: /"([EW]-[A-Z]+(?:-[A-Z]+)*)"/) { codes.insert(String(match.1)) }
            }
        }
        let shown = try Self.names.map { try Self.said($0) }.joined()
        for code in codes.subtracting(Self.elsewhere).sorted() {
            #expect(shown.contains("[\(code)]"), "\(code) is in no fixture")
        }
        #expect(codes.count > 25)
    }
}
