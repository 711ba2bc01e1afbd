// RoundTripTests: what is written reads back as the same values.
// Owns: the random trees and the nasty strings.
// Never: looks at the style; WriterTests does.
// On failure: the seed and the tree are shown.
// Each tree comes from a seed of its own, so one failure can be run alone.

import TestKit
import Testing
import YamlText

@Suite struct RoundTripTests {
    static let nasty: [String] =
        [
            "", " ", "\n", "\n\n", "a\n", "a\n\n\n", "\na", "  a\n b", " \n a", "a\n \nb", "a\n  ", "\ta\nb",
            "a\n\tb",
        ]
        + [
            "\r", "a\rb", "a\r\nb\r\n", "\u{0}", "\u{85}", "\u{2028}x", "\u{FEFF}", "\u{202E}", "\u{FFFE}",
            "\u{10FFFF}",
        ]
        + [
            "---", "--- a", "...", "a\n---\nb", "a\n...\n", "# a", "a # b", "a #b", "a: b", "a:", ":", ": ",
            "- a", "-",
        ]
        + [
            "no", "~", "null", "1", "-1", "1.0", "1e5", "0x1", "0o7", ".inf", ".nan", "true", "012",
            "2026-01-01", "<<",
        ]
        + [
            "'", "\"", "\\", "\\n", "a\"b", "it's", "'a'", "[a]", "{a: b}", "a, b", "&a", "*a", "!a", "%a",
            "@", "`",
        ]
        + [
            "|", ">", "?", "? a", "é", "e\u{301}", "日本", "😀", "a\u{A0}", "\u{A0}", "\u{200B}x", "|2-\n a",
            "a\n# b\n",
        ]

    @Test(arguments: nasty)
    func nastyStrings(text: String) throws {
        let out: [(String, YamlOut)] = [
            ("value", .string(text)), ("k" + text, .int(1)),
            ("flow", .flow(.list([.string(text), .map([(text, .string(text))])]))),
            (
                "list",
                .list([.string(text), .list([.string(text)]), .map([(text, .string(text)), ("z", .null)])])
            ),
            ("end", .string(text)),
        ]
        try check(out)
    }

    @Test(arguments: 0..<20)
    func randomTrees(block: Int) throws {
        for seed in 0..<40 {
            var random = SeededRandom(seed: UInt64(block * 40 + seed))
            try check(map(depth: 4, &random))
        }
    }

    @Test func longKeysAndTexts() throws {
        let long = String(repeating: "long: \"é\" \u{1} ", count: 90)
        try check([(long, .string(long)), ("x", .flow(.map([(long, .list([.map([(long, .null)])]))])))])
    }

    @Test(arguments: [UInt64(1), 2, 3])
    func doublesKeepTheirBits(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        for _ in 0..<500 {
            let number = Double(bitPattern: random.next())
            guard number.isFinite else { continue }
            let root = try YamlReader.parse(Array(YamlWriter.write([("a", .double(number))]).utf8))
            #expect(root["a"]?.scalar?.value == .double(number))
        }
    }

    private func check(_ out: [(String, YamlOut)]) throws {
        let text = YamlWriter.write(out)
        let root = try YamlReader.parse(Array(text.utf8), limits: YamlLimits(maxDepth: 100))
        #expect(Array(show(root).utf8) == Array(show(.map(out)).utf8), "\(text)")
        #expect(text.utf8.last == 0x0A)
    }

    private func map(depth: Int, _ random: inout SeededRandom) -> [(String, YamlOut)] {
        let count = Int.random(in: 0...4, using: &random)
        return (0..<count).map { ("\($0)" + string(&random), value(depth: depth, &random)) }
    }

    private func value(depth: Int, _ random: inout SeededRandom) -> YamlOut {
        switch Int.random(in: depth > 0 ? 0...8 : 3...8, using: &random) {
        case 0: .map(map(depth: depth - 1, &random))
        case 1:
            .list((0..<Int.random(in: 0...4, using: &random)).map { _ in value(depth: depth - 1, &random) })
        case 2: .flow(value(depth: depth - 1, &random))
        case 3: Bool.random(using: &random) ? .null : .bool(Bool.random(using: &random))
        case 4: .int(Int(truncatingIfNeeded: random.next()) >> Int.random(in: 0...63, using: &random))
        case 5: .double(Double.random(in: -1e6...1e6, using: &random))
        default: .string(string(&random))
        }
    }

    private func string(_ random: inout SeededRandom) -> String {
        if Bool.random(using: &random) { return Self.nasty.randomElement(using: &random) ?? "" }
        let letters: [Unicode.Scalar] = Array(
            "ab01 \n\t:#-,[]{}'\"\\|>~.é😀\u{85}\u{2028}%?&*!".unicodeScalars)
        var text = ""
        for _ in 0..<Int.random(in: 0...12, using: &random) {
            text.unicodeScalars.append(letters.randomElement(using: &random) ?? "a")
        }
        return text
    }
}
