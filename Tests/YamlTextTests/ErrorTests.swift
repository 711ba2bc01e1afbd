// ErrorTests: texts that must be refused, with code, line and column.
// Owns: the table of the codes.
// Never: tests limits; LimitTests does.
// On failure: the table row that differs is named.
// A row is a text and "CODE line:column".

import TestKit
import Testing
import YamlText

@Suite struct ErrorTests {
    @Test(arguments: [
        ("a: \"x\n  y", "E-YAML 1:4"), ("a: 'x", "E-YAML 1:4"), ("a: [1, 2", "E-YAML 1:4"),
        ("a: {b: 1", "E-YAML 1:4"), ("a: \"\n---\n\"", "E-YAML 1:4"), ("a: [1, 2\nb: 3\n", "E-YAML 2:2"),
        ("a: b: c", "E-YAML 1:5"), ("a: 1\nb\nc: 2", "E-YAML 2:1"), ("a:\n  - 1\n  b: 2", "E-YAML 3:3"),
        ("a: @x", "E-YAML 1:4"), ("%x", "E-YAML 1:1"), ("a: *.png", "E-YAML 1:4"), ("a: & b", "E-YAML 1:4"),
        ("{\"a\": 1} x", "E-YAML 1:10"), ("{\"a\": 1}}", "E-YAML 1:9"), ("\"x\" y", "E-YAML 1:5"),
        ("a: \"\\q\"", "E-YAML 1:5"), ("a: - b", "E-YAML 1:4"), ("a: 'it's'", "E-YAML 1:8"),
        ("é: 1\r\nb: @\r\n", "E-YAML 2:4"), ("\u{FEFF}a: @", "E-YAML 1:4"), ("a: {b: 1 c: 2}", "E-YAML 1:11"),
        ("%YAML 3.0\n---\na", "E-YAML 1:1"), ("a: | x\n", "E-YAML 1:6"), ("a: |0\n", "E-YAML 1:5"),
    ])
    func syntax(text: String, expected: String) {
        #expect(outcome(text) == expected)
    }

    @Test(arguments: [
        ("a:\n\tb: 1", "E-YAML-TAB 2:1"), ("a: 1\n\tb: 2", "E-YAML-TAB 2:1"), ("a: |\n\tx", "E-YAML-TAB 2:1"),
        ("a:\n  b: 1\n  \tc: 2\n \td: 3", "E-YAML-TAB 3:3"), ("- \tx", "E-YAML-TAB 1:3"),
        ("a: &x 1", "E-YAML-ALIAS 1:4"), ("a: *x", "E-YAML-ALIAS 1:4"), ("&x a: 1", "E-YAML-ALIAS 1:1"),
        ("- &x [1]", "E-YAML-ALIAS 1:3"), ("a:\n  <<: {b: 1}", "E-YAML-ALIAS 2:3"),
        ("*x : 1", "E-YAML-ALIAS 1:1"),
        ("a: !foo 1", "E-YAML-TAG 1:4"), ("a: ! 12", "E-YAML-TAG 1:4"), ("a: !!set {x}", "E-YAML-TAG 1:4"),
        ("a: !!python/object:os.system 1", "E-YAML-TAG 1:4"), ("a: !!int x", "E-YAML-TAG 1:4"),
        ("a: !!map [1]", "E-YAML-TAG 1:4"), ("a: !!str [1]", "E-YAML-TAG 1:4"),
        ("a: !!seq 1", "E-YAML-TAG 1:4"),
        ("a: !x!y 1", "E-YAML-TAG 1:4"), ("# x\n\n%TAG ! x\n---\na", "E-YAML-TAG 3:1"),
        ("a: 1\nb: 2\na: 3", "E-YAML-DUPLICATE 3:1"), ("{a: 1, \"a\": 2}", "E-YAML-DUPLICATE 1:8"),
        ("é: 1\ne\u{301}: 2", "E-YAML-DUPLICATE 2:1"),
        ("? [a]\n: 1", "E-YAML-KEY 1:3"), ("{a: 1, [b]: 2}", "E-YAML-KEY 1:8"),
        ("{{a: 1}: 2}", "E-YAML-KEY 1:2"),
        ("? \n: 1", "E-YAML-KEY 1:2"),
        ("a: 1\n---\nb: 2", "E-YAML-MULTIDOC 2:1"), ("a: 1\n...\nb: 2", "E-YAML-MULTIDOC 3:1"),
        ("a: 1\n...\n%YAML 1.2\n---\nb: 2", "E-YAML-MULTIDOC 3:1"), ("a: 1 # x\n---", "E-YAML-MULTIDOC 2:1"),
        ("---\n---\na: 1", "E-YAML-EMPTY 2:1"),
        ("", "E-YAML-EMPTY 1:1"), ("\u{FEFF}", "E-YAML-EMPTY 1:1"), (" \n# x\n", "E-YAML-EMPTY 1:1"),
        ("---\n...\n", "E-YAML-EMPTY 2:1"),
    ])
    func rules(text: String, expected: String) {
        #expect(outcome(text) == expected)
    }

    @Test(
        arguments: [
            ([0x61, 0x3A, 0x20, 0x00], "E-YAML-ENCODING 1:4"),
            ([0xFF, 0xFE, 0x61, 0x00], "E-YAML-ENCODING 1:1"),
            ([0xFE, 0xFF, 0x00, 0x61], "E-YAML-ENCODING 1:1"),
            ([0x61, 0x00, 0x3A, 0x00], "E-YAML-ENCODING 1:1"),
            ([0x00, 0x61], "E-YAML-ENCODING 1:1"), ([0x00, 0x00, 0xFE, 0xFF], "E-YAML-ENCODING 1:1"),
            ([0x0A, 0x61, 0xE9, 0x61], "E-YAML-ENCODING 2:2"), ([0xC0, 0xAF], "E-YAML-ENCODING 1:1"),
            ([0xED, 0xA0, 0x80], "E-YAML-ENCODING 1:1"), ([0xF4, 0x90, 0x80, 0x80], "E-YAML-ENCODING 1:1"),
            ([0xC3, 0xA9, 0xC3], "E-YAML-ENCODING 1:2"), ([0x61, 0x1B], "E-YAML-ENCODING 1:2"),
            ([0x61, 0x7F], "E-YAML-ENCODING 1:2"), ([0x61, 0xC2, 0x85], "E-YAML-ENCODING 1:2"),
            ([0x61, 0xE2, 0x80, 0xA8], "E-YAML-ENCODING 1:2"),
            ([0x61, 0xEF, 0xBB, 0xBF], "E-YAML-ENCODING 1:2"),
            ([0x61, 0x0D, 0x0A, 0x62, 0x0D, 0x01], "E-YAML-ENCODING 3:1"),
        ] as [([UInt8], String)])
    func encoding(bytes: [UInt8], expected: String) {
        #expect(outcome(bytes) == expected)
    }

    @Test func messagesAreForPeople() {
        #expect(failure("a: 1\n\n\na: 2")?.message == "the key 'a' is on line 1 and again on line 4")
        #expect(failure("a:\n\tb")?.hint == "use spaces")
        #expect(failure("a: [1")?.message == "this '[' is never closed")
        #expect(failure("a: \u{7}")?.message == "the control character U+0007 is not allowed")
        #expect(failure("a: \u{2028}")?.message == "the control character U+2028 is not allowed")
        let long = String(repeating: "k", count: 99)
        #expect(failure("\(long): 1\n\(long): 2")?.message.utf8.count ?? 99 < 90)
    }

    @Test func everyCodeIsKnown() {
        #expect(YamlError.codes.count == 14 && Set(YamlError.codes).count == 14)
        #expect(YamlError.codes.allSatisfy { $0.hasPrefix("E-YAML") })
    }
}
