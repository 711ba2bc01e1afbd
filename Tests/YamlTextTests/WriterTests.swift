// WriterTests: the exact look of what is written.
// Owns: the golden text and the tables of plain and quoted strings.
// Never: tests that it reads back; RoundTripTests does.
// On failure: the text that differs is shown.
// What must be quoted is what YAML 1.1 or 1.2 readers take for another kind.

import TestKit
import Testing
import YamlText

@Suite struct WriterTests {
    private func write(_ value: YamlOut) -> String { YamlWriter.write([("a", value)]) }

    @Test func goldenResult() {
        let text = YamlWriter.write(
            [
                ("job", .string("resize photos")), ("ok", .bool(true)), ("none", .null), ("count", .int(-12)),
                ("seconds", .double(1.5)), ("tags", .flow(.list([.string("a"), .string("b,c"), .int(1)]))),
                ("empty", .list([])), ("nothing", .map([])),
                ("log", .string("one\n two\n")),
                (
                    "steps",
                    .list([
                        .map([
                            ("run", .string("convert")),
                            ("args", .list([.string("-x"), .list([.int(1), .int(2)])])),
                        ]),
                        .string("a\nb"), .map([]), .flow(.map([("k", .string("v: w")), ("m", .null)])),
                    ])
                ),
                ("nested", .map([("deep", .map([("x", .int(Int.min))]))])),
            ],
            header: ["written by a test", "", "line\nbreak"])
        #expect(
            text == """
                # written by a test
                #
                # line\\nbreak
                job: resize photos
                ok: true
                none: null
                count: -12
                seconds: 1.5
                tags: [a, "b,c", 1]
                empty: []
                nothing: {}
                log: |
                  one
                   two
                steps:
                  - run: convert
                    args:
                      - "-x"
                      - - 1
                        - 2
                  - |-
                    a
                    b
                  - {}
                  - {k: "v: w", m: null}
                nested:
                  deep:
                    x: -9223372036854775808

                """)
    }

    @Test(
        arguments: [
            "a", "resize photos", "a-b_c", "/path/to/file.txt", "./x", "~/x", "a:b", "http://x/y#z",
            "it's",
            "é日", "x,y", "a[0]", "2x.png", "3 files", "nope", "yesterday", "a#b", "<tag>", "=x", "C:\\x",
            "sha256",
        ])
    func plain(text: String) {
        #expect(write(.string(text)) == "a: \(text)\n")
    }

    @Test(arguments: [
        "", " ", " a", "a ", "no", "No", "NO", "yes", "y", "N", "on", "OFF", "true", "False", "null", "Null",
        "~",
        "=", "<<", "012", "0o7", "0x1F", "1_000", "12", "-1", "+1", "1.5", ".5", "1e3", ".inf", "+.inf",
        ".NaN",
        "12:30", "1:2:3.5", "2026-01-01", "2026-01-01T10:00:00Z", "2026-01-01 10:00:00", "0b101", "...", "..",
        ".", "-", "- a", "---", "? a", ": a", "a: b", "a:", "a #b", "#a", "&a", "*a", "!a", "|", ">", "'a",
        "%a", "@a", "`a", "[a", "]", "{a", "}", ",",
    ])
    func quoted(text: String) {
        #expect(write(.string(text)) == "a: \"\(text)\"\n")
    }

    @Test(arguments: [
        ("\"a\"\\", "\"\\\"a\\\"\\\\\""), ("a\tb", "\"a\\tb\""), ("a\r\n", "\"a\\r\\n\""),
        ("\u{0}\u{1B}", "\"\\x00\\x1b\""),
        ("\u{7F}\u{85}", "\"\\x7f\\u0085\""), ("x\u{202E}\u{2028}\u{FEFF}", "\"x\\u202e\\u2028\\ufeff\""),
        ("\n", "\"\\n\""), ("a \nb", "\"a \\nb\""), ("a\n\tb", "\"a\\n\\tb\""), ("a\nb ", "\"a\\nb \""),
        ("é\u{1}", "\"é\\x01\""), ("\u{FFFF}", "\"\\uffff\""),
    ])
    func escaped(text: String, expected: String) {
        #expect(write(.string(text)) == "a: \(expected)\n")
    }

    @Test(arguments: [
        ("a\nb", "|-\n  a\n  b\n"), ("a\nb\n", "|\n  a\n  b\n"), ("a\n\n", "|+\n  a\n\n"),
        ("\na", "|2-\n\n  a\n"),
        ("  a\nb\n", "|2\n    a\n  b\n"), ("a\n\nb", "|-\n  a\n\n  b\n"), ("# a\n- b", "|-\n  # a\n  - b\n"),
    ])
    func literal(text: String, expected: String) {
        #expect(write(.string(text)) == "a: " + expected)
    }

    @Test(
        arguments: [
            (1, "1.0"), (-0.0, "-0.0"), (0.1, "0.1"), (1e20, "1.0e+20"), (.leastNonzeroMagnitude, "5.0e-324"),
            (1.5e-7, "1.5e-07"),
            (.infinity, ".inf"), (-.infinity, "-.inf"), (.nan, ".nan"),
        ] as [(Double, String)])
    func doubles(number: Double, expected: String) {
        #expect(write(.double(number)) == "a: \(expected)\n")
    }

    @Test(arguments: [0, 1, 9, 10, -10, 99, 100, 1_000_000, Int.max, Int.min])
    func integers(number: Int) {
        #expect(write(.int(number)) == "a: \(number)\n")
    }

    @Test func keysAndEmptyRoot() {
        #expect(YamlWriter.write([]) == "{}\n")
        #expect(
            YamlWriter.write([("no", .int(1)), ("a b", .int(2)), ("x\ny", .int(3)), ("", .int(4))])
                == "\"no\": 1\na b: 2\n\"x\\ny\": 3\n\"\": 4\n")
        let long = String(repeating: "k", count: 1200)
        #expect(YamlWriter.write([(long, .list([.int(1)]))]) == "? \(long)\n:\n  - 1\n")
    }
}
