// ParseTests: texts that must give a tree.
// Owns: shapes, marks, JSON, and the short readers of a node.
// Never: tests errors; ErrorTests does.
// On failure: the table row that differs is named.
// Trees are compared in the notation of TreeNotation.

import TestKit
import Testing
import YamlText

@Suite struct ParseTests {
    @Test(arguments: [
        ("a: 1\nb: two\n", "{a: 1, b: \"two\"}"),
        ("- a\n- [1, {b: c}]\n", "[\"a\", [1, {b: \"c\"}]]"),
        ("a:\n  - b: 1\n    c: 2\n  - ~\n", "{a: [{b: 1, c: 2}, null]}"),
        ("a:\n- x\n- y", "{a: [\"x\", \"y\"]}"),
        ("a:\nb:", "{a: null, b: null}"),
        ("text", "\"text\""),
        ("a: |\n  one\n  two\n", "{a: \"one\ntwo\n\"}"),
        ("a: >-\n  one\n  two\n", "{a: \"one two\"}"),
        ("a: 'it''s'", "{a: \"it's\"}"),
        ("a: \"\\x41\\u00e9\\U0001F600\\n\"", "{a: \"Aé😀\n\"}"),
        ("a: one\n  two", "{a: \"one two\"}"),
        ("%YAML 1.2\n---\na: 1\n...\n# end\n...\n", "{a: 1}"),
        ("a: 1 # note\n# note\n", "{a: 1}"),
        ("a: 1\r\nb: 2\r\n", "{a: 1, b: 2}"),
        ("\u{FEFF}a: 1", "{a: 1}"),
        ("? a\n: b", "{a: \"b\"}"),
        ("\"<<\": 1", "{<<: 1}"),
        ("'': 1", "{: 1}"),
        ("12: x\ntrue: y", "{12: \"x\", true: \"y\"}"),
        ("a: http://example.org/?q=1#top", "{a: \"http://example.org/?q=1#top\"}"),
        (
            "a: !!str 12\nb: !!int \"12\"\nc: !!float 3\nd: !!seq [1]\ne: !!map {}\nf: !!null ''",
            "{a: \"12\", b: 12, c: 3.0, d: [1], e: {}, f: null}"
        ),
    ])
    func givesTheTree(text: String, expected: String) {
        #expect(outcome(text) == expected)
    }

    @Test(arguments: [
        ("{\"a\": [1, 2.5, true, null, \"x\"], \"b\": {}}", "{a: [1, 2.5, true, null, \"x\"], b: {}}"),
        ("{\n\t\"a\":1,\n\t\"b\":[\n]\n}\n", "{a: 1, b: []}"),
        ("{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\"}", "{a: \"\"\\/\u{8}\u{C}\n\r\tA\"}"),
        ("{\"a\":\"\\ud83d\\ude00\",\"\\uD83D\\uDE01b\":-1E+2}", "{a: \"😀\", 😁b: -100.0}"),
        ("[\"\\ud83d\\ude00\\u000b\\u001B\"]", "[\"😀\u{B}\u{1B}\"]"),
        ("[\"\\\\ud83d\\\\ude00 \\ud83d\\ude00\"]", "[\"\\ud83d\\ude00 😀\"]"),
    ])
    func readsJson(text: String, expected: String) {
        #expect(outcome(text) == expected)
    }

    @Test func surrogatePairsKeepTheMarks() {
        #expect(outcome("{\"a\":\"\\ud83d\\ude00\", \"b\": 1, \"b\": 2}") == "E-YAML-DUPLICATE 1:30")
    }

    @Test func surrogatePairsAreForJsonOnly() {
        #expect(outcome("a: \"\\ud83d\\ude00\"") == "E-YAML 1:7")
        #expect(outcome("{'a': \"\\ud83d\\ude00\"}") == "E-YAML 1:10")
        #expect(outcome("[\"\\ud83d\"]") == "E-YAML 1:5")
        #expect(outcome("[\"\\ud83d\\ude00\\u0007\\u000b\\u001b\"]") == "E-YAML 1:5")
    }

    @Test func marksCountLinesScalarsAndBytes() throws {
        let root = try YamlReader.parse(Array("\u{FEFF}é: [ü, 'ß']\nb:\n  - 1\n\nc: 2\n".utf8))
        #expect(root.start == SourceMark(line: 1, column: 1, offset: 3))
        let list = try #require(root["é"])
        #expect(list.start == SourceMark(line: 1, column: 4, offset: 7))
        #expect(list.end == SourceMark(line: 1, column: 12, offset: 17))
        #expect(list.items?.last?.start == SourceMark(line: 1, column: 8, offset: 12))
        #expect(root.pairs?[1].keyStart == SourceMark(line: 2, column: 1, offset: 18))
        #expect(root["b"]?.end == SourceMark(line: 3, column: 6, offset: 26))
        #expect(root["c"]?.start == SourceMark(line: 5, column: 4, offset: 31))
    }

    @Test func namesTheKinds() throws {
        let root = try YamlReader.parse(Array("[x, 1, 1.5, [], {}, true, ~]".utf8))
        let names = try #require(root.items).map(\.kindName)
        #expect(names == ["text", "number", "number", "list", "map", "true/false", "nothing"])
        #expect(root.kindName == "list")
    }

    @Test func readersGiveNilForOtherKinds() throws {
        let root = try YamlReader.parse(Array("a: x".utf8))
        #expect(root.scalar == nil && root.items == nil && root["b"] == nil)
        #expect(root["a"]?.scalar == YamlScalar(text: "x", isPlain: true))
        #expect(root["a"]?["x"] == nil && root["a"]?.pairs == nil)
    }

    @Test func manyKeysAreFoundByHash() {
        let text = (0..<40).map { "key\($0): \($0)\n" }.joined()
        #expect(outcome(text).hasPrefix("{key0: 0, key1: 1"))
        #expect(outcome(text + "key3: x") == "E-YAML-DUPLICATE 41:1")
        #expect(outcome(text + "key39: x") == "E-YAML-DUPLICATE 41:1")
    }
}
