// CoreSchemaTests: the kind of plain texts.
// Owns: the table of the YAML 1.2 core schema.
// Never: tests quoted text; ParseTests does.
// On failure: the text with the wrong kind is named.
// Each text is tried as a value by hand and through the parser.

import TestKit
import Testing
import YamlText

@Suite struct CoreSchemaTests {
    static let table: [(String, YamlScalarValue)] =
        ["null", "Null", "NULL", "~"].map { ($0, .null) }
        + ["true", "True", "TRUE"].map { ($0, .bool(true)) }
        + ["false", "False", "FALSE"].map { ($0, .bool(false)) }
        + [
            ("0", 0), ("12", 12), ("+12", 12), ("-12", -12), ("012", 12), ("-0", 0), ("0o17", 15),
            ("0xfF", 255),
            ("9223372036854775807", .max), ("-9223372036854775808", .min), ("0x7fffffffffffffff", .max),
        ].map { ($0, .int($1)) }
        + [
            ("1.", 1), ("1.5", 1.5), (".5", 0.5), ("-.5", -0.5), ("+1.5e3", 1500), ("1e3", 1000),
            ("1E-2", 0.01),
            ("1.e1", 10), ("012.5", 12.5), (".inf", .infinity), ("-.INF", -.infinity), ("+.Inf", .infinity),
            ("5e-324", .leastNonzeroMagnitude), ("1.7976931348623157e308", .greatestFiniteMagnitude),
        ].map { ($0, .double($1)) }
        + [
            "nULL", "no", "yes", "on", "off", "y", "n", "True!", "tRUE", "1_000", "12:30:45", "0b11", "0o8",
            "0o",
            "0x", "0xg", "-0x1", "+0o7", "+", ".", "..", "-.", "1e", "1e+", ".e1", "1.5.2", "1e5.5", "+.nan",
            "inf",
            "nan", "2026-01-01", "0x1p3", "1,5", "٣", "~~", "1 2", "-.infx", "infinity",
        ].map { ($0, .string($0)) }

    @Test(arguments: table)
    func resolves(text: String, expected: YamlScalarValue) {
        #expect(YamlScalar(text: text, isPlain: true).value == expected)
        #expect(YamlScalar(text: text, isPlain: false).value == .string(text))
    }

    @Test(arguments: table)
    func parsesTheSame(text: String, expected: YamlScalarValue) throws {
        let root = try YamlReader.parse(Array("a: \(text)".utf8))
        #expect(root["a"]?.scalar?.value == expected)
        #expect(root["a"]?.scalar?.isPlain == true)
        let quoted = try YamlReader.parse(Array("a: '\(text)'".utf8))
        #expect(quoted["a"]?.scalar == YamlScalar(text: text, isPlain: false))
    }

    @Test(arguments: [".nan", ".NaN", ".NAN"])
    func notANumber(text: String) {
        guard case .double(let number) = YamlScalar(text: text, isPlain: true).value else {
            Issue.record("\(text) is no double")
            return
        }
        #expect(number.isNaN)
    }

    @Test(arguments: [
        "9223372036854775808", "-9223372036854775809", "0x8000000000000000", "0o1000000000000000000000",
        "99999999999999999999999999", "1e999", "-1e999", "!!int 9223372036854775808", "!!float 1e999",
    ])
    func refusesNumbersOutOfRange(text: String) {
        #expect(outcome("a: \(text)") == "E-YAML-NUMBER 1:4")
    }

    @Test func emptyIsNull() {
        #expect(YamlScalar(text: "", isPlain: true).value == .null)
        #expect(
            YamlScalar(text: "9223372036854775808", isPlain: true).value == .string("9223372036854775808"))
    }
}
