// What this is: the JSON Schema of jobs, held against every fixture of the checker and every sample.
// Owns: a validator of draft-07 as far as our schema goes; ops/schema-check asks a real one (ops/test --full).
// Never: shares code with the checker.
// On failure: names the file and the place in it.
import Foundation
import JobLanguage
import JobModel
import Testing
import YamlText

@testable import BobbinDaemon

/// What the schema says against a value; empty where it fits.
private struct Validator {
    let root: ValueMap

    /// A schema that is no JSON has no definitions, and everything is then at fault.
    init(_ schema: String) { root = (try? JSONReader.read(Array(schema.utf8)).mapValue) ?? [:] }

    func faults(_ value: Value, _ schema: Value, at path: String = "") -> [String] {
        if schema == .bool(true) { return [] }
        guard let schema = schema.mapValue else { return ["\(path): no schema"] }
        var faults: [String] = []
        for (key, rule) in schema.entries.map({ ($0.key, $0.value) }) {
            switch key {
            case "$ref":
                let name = rule.text.split(separator: "/").last.map(String.init) ?? ""
                guard let target = root["definitions"]?.mapValue?[name] else {
                    return ["\(path): no \(rule.text)"]
                }
                faults += self.faults(value, target, at: path)
            case "allOf": faults += (rule.listValue ?? []).flatMap { self.faults(value, $0, at: path) }
            case "anyOf", "oneOf":
                let fits = (rule.listValue ?? []).count { self.faults(value, $0, at: path).isEmpty }
                if fits == 0 || key == "oneOf" && fits != 1 { faults.append("\(path): \(fits) of \(key)") }
            case "type":
                let names = rule.listValue?.map(\.text) ?? [rule.text]
                if !names.contains(where: { isType(value, $0) }) { faults.append("\(path): no \(names)") }
            case "enum": if rule.listValue?.contains(value) != true { faults.append("\(path): not in enum") }
            case "pattern":
                if let text = value.stringValue, text.range(of: rule.text, options: .regularExpression) == nil
                {
                    faults.append("\(path): no match of \(rule.text)")
                }
            case "minimum":
                if let n = value.doubleValue, n < rule.doubleValue ?? 0 {
                    faults.append("\(path): too small")
                }
            case "maximum":
                if let n = value.doubleValue, n > rule.doubleValue ?? 0 {
                    faults.append("\(path): too large")
                }
            case "minItems":
                if let n = value.listValue?.count, n < rule.intValue ?? 0 {
                    faults.append("\(path): too few")
                }
            case "required":
                if let map = value.mapValue {
                    faults += (rule.listValue ?? []).filter { map[$0.text] == nil }.map {
                        "\(path): lacks \($0.text)"
                    }
                }
            case "items":
                for (index, item) in (value.listValue ?? []).enumerated() {
                    faults += self.faults(item, rule, at: "\(path)[\(index)]")
                }
            case "properties":
                for entry in value.mapValue?.entries ?? [] {
                    guard let inner = rule.mapValue?[entry.key] else { continue }
                    faults += self.faults(entry.value, inner, at: "\(path).\(entry.key)")
                }
            case "additionalProperties":
                let known = schema["properties"]?.mapValue ?? [:]
                for entry in value.mapValue?.entries ?? [] where known[entry.key] == nil {
                    if rule == .bool(false) {
                        faults.append("\(path): unknown \(entry.key)")
                    } else {
                        faults += self.faults(entry.value, rule, at: "\(path).\(entry.key)")
                    }
                }
            case "$schema", "title", "description", "default", "definitions": break
            default: faults.append("the schema has a word that this validator does not know: \(key)")
            }
        }
        return faults
    }

    private func isType(_ value: Value, _ name: String) -> Bool {
        switch (name, value) {
        case ("string", .string), ("boolean", .bool), ("null", .null), ("array", .list), ("object", .map),
            ("integer", .int), ("number", .int), ("number", .double):
            true
        default: false
        }
    }
}

@Suite struct SchemaTests {
    private static let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()
    private static let schema = Site.schema(path: repository.path)
    private static let validator = Validator(schema)
    /// The fixtures have templates and step types of their own.
    private static let fixtureValidator = Validator(
        Site.schema(path: repository.appending(path: "Tests/Fixtures/check").path))

    private static func files(_ folder: String) throws -> [URL] {
        try FileManager.default.contentsOfDirectory(
            at: repository.appending(path: folder), includingPropertiesForKeys: nil
        )
        .filter { $0.pathExtension == "yaml" }.sorted { $0.path < $1.path }
    }
    private func faults(_ file: URL, _ validator: Validator = validator) throws -> [String]? {
        // What is no YAML of ours is for the reader to say.
        guard let tree = try? YamlReader.parse(Array(Data(contentsOf: file))) else { return nil }
        return validator.faults(Value(tree), .map(validator.root))
    }

    /// What a schema cannot know: names, references, expressions, the bounds of YAML.
    private static let beyond: Set<String> = [
        "E-PARAM", "E-EXPR", "E-NAME", "E-UNDEFINED", "E-VARIABLE", "E-SECRET-NAME", "E-SECRET-PLACE",
        "E-STEP-ID", "E-SHELL-QUOTE",
        "E-TEMPLATE",
        "E-EXPR-FILTER", "E-EXPR-TYPE", "E-NEEDS", "E-KEY", "E-STEPS", "E-ENV", "E-EXPR-ARG", "E-QUEUE",
        "E-KEY-TEXT", "E-TYPE",
        "E-RETRY", "E-STEP-PARAM", "E-STEP", "W-VARIABLE", "E-VERSION", "E-EXPR-LIMIT",
    ]

    @Test func whatIsValidPassesAndWhatIsMisshapenDoesNot() throws {
        var missed: [String: String] = [:]
        var (good, caught) = (0, 0)
        for file in try Self.files("Tests/Fixtures/check") {
            guard let faults = try faults(file, Self.fixtureValidator) else { continue }
            let said = try String(
                contentsOf: file.deletingPathExtension().appendingPathExtension("txt"), encoding: .utf8)
            if said.contains(": error:") {
                if faults.isEmpty { missed[file.lastPathComponent] = said } else { caught += 1 }
            } else {
                good += 1
                #expect(faults.isEmpty, "\(file.lastPathComponent): \(faults)")
            }
        }
        #expect(good >= 5 && caught >= 20, "\(good) good, \(caught) caught")
        for (name, said) in missed {
            let codes = said.matches(of: /\[([EW]-[A-Z-]+)\]/).map { String($0.1) }
            #expect(codes.allSatisfy(Self.beyond.contains), "the schema lets \(name) pass: \(codes)")
            // Of these a schema could know: they must not be missed for that alone.
            #expect(
                !codes.allSatisfy { ["E-TYPE", "E-STEP-PARAM", "E-STEP"].contains($0) },
                "the schema lets \(name) pass: \(codes)")
        }
    }

    @Test func samplesPass() throws {
        for folder in ["templates", "templates/examples", "templates/steps"] {
            for file in try Self.files(folder) {
                #expect(try faults(file) == [], "\(file.lastPathComponent)")
            }
        }
    }

    @Test func everyExampleOfTheTablePasses() throws {
        for type in Site.standardCatalogue.types {
            let lines = type.example.split(separator: "\n", omittingEmptySubsequences: false)
            let step = lines.enumerated().map { ($0 == 0 ? "  - " : "    ") + $1 }.joined(separator: "\n")
            let tree = try YamlReader.parse(Array("dsl_version: \"1.1\"\nsteps:\n\(step)\n".utf8))
            #expect(Self.validator.faults(Value(tree), .map(Self.validator.root)) == [], "\(type.name)")
        }
    }

    @Test func theSchemaOfThisSiteIsUpToDate() throws {
        let file = Self.repository.appending(path: "ops/\(Site.schemaFile)")
        if ProcessInfo.processInfo.environment["RECORD"] != nil {
            try Self.schema.write(to: file, atomically: true, encoding: .utf8)
        }
        #expect(try String(contentsOf: file, encoding: .utf8) == Self.schema, "RECORD=1 writes it anew")
    }

    @Test func everySampleNamesTheSchema() throws {
        for (folder, path) in [
            ("templates", "../ops"), ("templates/examples", "../../ops"), ("templates/steps", "../../ops"),
        ] {
            for file in try Self.files(folder) {
                let first = try String(contentsOf: file, encoding: .utf8).split(separator: "\n").first.map(
                    String.init)
                #expect(
                    first == "# yaml-language-server: $schema=\(path)/\(Site.schemaFile)",
                    "\(file.lastPathComponent)")
            }
        }
    }
}
