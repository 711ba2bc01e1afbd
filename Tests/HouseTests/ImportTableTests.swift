// What this is: the law of the house: which target may import which, and the bans that no compiler checks.
// Owns: the same table as docs/ARCHITECTURE.md.
// Never: looks at behaviour.
// On failure: names file and line, and which line of the table would have to change.
import Foundation
import Testing

private let rooms: [String: Set<String>] = [
    "JobModel": [],
    "LinuxSystem": ["CLinux"],
    "YamlText": ["CYaml"],
    "JobLanguage": ["JobModel", "YamlText", "Crypto", "FoundationEssentials"],
    "SpoolQueue": ["JobModel", "LinuxSystem"],
    "RunJournal": ["JobModel", "LinuxSystem"],
    "RunEngine": ["JobModel", "JobLanguage", "LinuxSystem"],
    "StepLibrary": ["JobModel", "LinuxSystem", "Crypto", "FoundationEssentials"],
    "SecretStore": ["JobModel", "LinuxSystem", "Crypto", "CryptoExtras"],
    "AccessControl": ["JobModel", "LinuxSystem", "Crypto"],
    "Triggers": ["JobModel", "LinuxSystem", "Crypto"],
    "Archives": ["LinuxSystem", "CArchive"],
    "Bundles": ["JobModel", "LinuxSystem", "Archives", "AccessControl", "SecretStore", "Crypto"],
    "Databases": ["JobModel", "GRDB", "GRDBSQLite", "Foundation"],
    "RunHistory": ["JobModel", "GRDB", "Foundation"],
    "Reporting": ["JobModel"],
    "BobbinDaemon": [
        "JobModel", "LinuxSystem", "YamlText", "JobLanguage", "SpoolQueue", "RunJournal", "RunEngine",
        "StepLibrary", "AccessControl", "SecretStore",
        "Archives", "Bundles", "Databases", "RunHistory", "Reporting", "Triggers", "Crypto",
    ],
    "bobbin": [
        "BobbinDaemon", "JobModel", "YamlText", "JobLanguage", "SpoolQueue", "RunJournal", "RunHistory",
        "RunEngine", "AccessControl", "SecretStore", "Triggers", "Reporting", "Bundles", "Archives",
        "LinuxSystem", "ArgumentParser",
    ],
]
/// The C library is part of the toolchain; JobModel and JobLanguage are pure and may not even have that.
private let toolchain: [String: Set<String>] = [
    "LinuxSystem": ["Glibc", "Synchronization"], "YamlText": ["Glibc"], "Archives": ["Glibc"],
    "BobbinDaemon": ["Glibc"],
    "bobbin": ["Glibc"],
]

private struct SourceLine {
    var file: String
    var target: String
    var number: Int
    var text: String
    var before: String
}

private let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()

private func sourceLines() throws -> [SourceLine] {
    let sources = repository.appendingPathComponent("Sources")
    var lines: [SourceLine] = []
    let walk = FileManager.default.enumerator(at: sources, includingPropertiesForKeys: nil)
    while let url = walk?.nextObject() as? URL {
        guard url.pathExtension == "swift" else { continue }
        let relative = String(url.path.dropFirst(sources.path.count + 1))
        let texts = try String(contentsOf: url, encoding: .utf8).components(separatedBy: "\n")
        for (index, text) in texts.enumerated() {
            lines.append(
                SourceLine(
                    file: relative, target: String(relative.prefix { $0 != "/" }), number: index + 1,
                    text: text,
                    before: index > 0 ? texts[index - 1] : ""))
        }
    }
    return lines
}

@Suite("House") struct HouseTests {
    @Test("every import is in the table") func imports() throws {
        let lines = try sourceLines()
        #expect(lines.count > 5_000, "the sources were not found")
        for line in lines {
            let words = line.text.split(separator: " ").map(String.init)
            guard let index = words.firstIndex(of: "import"), index <= 1, words.count > index + 1,
                !line.text.hasPrefix("//")
            else { continue }
            let name = words[index + 1]
            let allowed = (rooms[line.target] ?? []).union(toolchain[line.target] ?? [])
            #expect(
                allowed.contains(name),
                "Sources/\(line.file):\(line.number): \(line.target) may not import \(name); if it must, change its line in this table and in docs/ARCHITECTURE.md"
            )
        }
    }

    @Test("every file opens with its five lines") func heads() throws {
        for (file, lines) in Dictionary(grouping: try sourceLines(), by: \.file) {
            let head = lines.sorted { $0.number < $1.number }.prefix(4)
            #expect(
                head.allSatisfy { $0.text.hasPrefix("//") },
                "Sources/\(file) does not open with what it is, owns, never does, and what happens on failure"
            )
        }
    }

    @Test("renames of spool files are in one room, and directory names in one file") func moves() throws {
        let mayRename: Set<String> = [
            "LinuxSystem/Directory.swift", "LinuxSystem/AtomicFile.swift", "SpoolQueue/Move.swift",
            "SpoolQueue/Publish.swift",
            "RunJournal/Committer.swift",
            // It writes renames down.
            "LinuxSystem/Recorder.swift",
            // The damaged index is set aside; it is no spool file.
            "BobbinDaemon/Indexer.swift",
            // Bundles, and whole sites that are made of them.
            "Bundles/BundleWriter.swift", "BobbinDaemon/Restore.swift", "BobbinDaemon/RestoredFiles.swift",
            // A day that becomes one file, which is read back before it has its name; the log.
            "Bundles/PackedDayWriter.swift", "BobbinDaemon/LogRotation.swift",
        ]
        for line in try sourceLines()
        where line.text.contains(".rename(") || line.text.contains(".renameReplacing(") {
            if line.target == "StepLibrary" { continue }  // steps rename people's files, never the spool's
            #expect(
                mayRename.contains(line.file),
                "Sources/\(line.file):\(line.number): spool files are renamed in SpoolQueue/Move.swift")
        }
    }

    @Test("clocks are read in one file, and nothing sleeps") func clocks() throws {
        for line in try sourceLines() where line.target != "LinuxSystem" && !line.text.contains("//") {
            for banned in [
                "Date()", "clock_gettime", "Task.sleep", "usleep(", "DispatchQueue", "Foundation.Process",
            ] {
                #expect(
                    !line.text.contains(banned),
                    "Sources/\(line.file):\(line.number): \(banned) belongs into LinuxSystem/Clocks.swift or nowhere"
                )
            }
        }
    }

    @Test("nothing traps on input and no error is swallowed without its reason") func traps() throws {
        for line in try sourceLines() where !line.text.trimmingCharacters(in: .whitespaces).hasPrefix("//") {
            for banned in ["try!", "fatalError(", "as! "] {
                #expect(!line.text.contains(banned), "Sources/\(line.file):\(line.number): \(banned)")
            }
        }
    }

    @Test("the top level holds what it should and nothing else") func topLevel() throws {
        let allowed: Set<String> = [
            "Package.swift", "Sources", "Tests", "spool", "templates", "secrets", "reports", "ops", "docs",
            "README.md", "LICENSE", "Package.resolved",
        ]
        for name in try FileManager.default.contentsOfDirectory(atPath: repository.path)
        where !name.hasPrefix(".") {
            #expect(allowed.contains(name), "\(name) has no place at the top level")
        }
    }
}
