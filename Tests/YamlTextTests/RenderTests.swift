// RenderTests: findings as they are shown.
// Owns: the golden pictures of the caret.
// Never: depends on a terminal.
// On failure: both pictures are shown.
// A picture has a heading, a line of source, a caret and a hint.

import TestKit
import Testing
import YamlText

@Suite struct RenderTests {
    private func render(_ text: String, name: String = "job.yaml", file: [UInt8]? = nil) -> String {
        guard let error = failure(text) else { return "no error" }
        return SourceFile(name: name, bytes: Array(text.utf8)).render(Diagnostic(error))
    }

    private func excerpt(_ bytes: [UInt8], at offset: Int) -> [String] {
        let mark = SourceMark(line: 1, column: 1, offset: offset)
        let finding = Diagnostic(severity: .warning, code: "W", message: "m", mark: mark)
        let lines = SourceFile(name: "f", bytes: bytes).render(finding).split(separator: "\n")
        return lines.dropFirst().map { String($0.dropFirst(2)) }
    }

    @Test func errorWithHint() {
        #expect(
            render("name: x\nworkers:\n\tcount: 4\n") == """
                job.yaml:3:1: error: a tab is used as indentation [E-YAML-TAB]
                   count: 4
                  ^
                hint: use spaces
                """)
    }

    @Test func caretUnderTheColumn() {
        #expect(
            render("a: 1\nfür:\tb: c\n", name: "a\u{1B}[31m.yaml") == """
                a\\x1B[31m.yaml:2:7: error: a ':' is not allowed here [E-YAML]
                  für: b: c
                        ^
                hint: put text that contains ': ' in quotes, or check the indentation
                """)
    }

    @Test func findingWithoutMarkOrHint() {
        let finding = Diagnostic(severity: .warning, code: "W-OLD", message: "one\ntwo")
        #expect(SourceFile(name: "f", bytes: []).render(finding) == "f: warning: one\\ntwo [W-OLD]")
    }

    @Test func controlsAreEscapedAndMoveTheCaret() {
        let bytes: [UInt8] = [0x61, 0x1B, 0xFF, 0xE2, 0x80, 0xAE, 0x62, 0x0D, 0x63]
        #expect(excerpt(bytes, at: 6) == ["a\\x1B\\xFF\\u{202E}b", String(repeating: " ", count: 17) + "^"])
    }

    @Test func wideCharactersTakeTwoColumns() {
        #expect(excerpt(Array("日本e\u{301}x".utf8), at: 9) == ["日本e\u{301}x", "     ^"])
    }

    @Test func marksInsideOrBehindTheText() {
        #expect(excerpt(Array("aé".utf8), at: 2) == ["aé", " ^"])
        #expect(excerpt(Array("ab\n".utf8), at: 99) == ["", "^"])
        #expect(excerpt(Array("ab\ncd".utf8), at: 99) == ["cd", "  ^"])
        #expect(excerpt(Array("ab".utf8), at: -5) == ["ab", "^"])
        #expect(excerpt([], at: 0) == ["", "^"])
        #expect(excerpt([0xEF, 0xBB, 0xBF, 0x61], at: 3) == ["a", "^"])
    }

    @Test func longLinesAreCutOnBothSides() {
        let bytes = Array(String(repeating: "0123456789", count: 100).utf8)
        let middle = excerpt(bytes, at: 500)
        #expect(middle[0].utf8.count == 100)
        #expect(middle[0].hasPrefix("...3456789") && middle[0].hasSuffix("..."))
        #expect(middle[1] == String(repeating: " ", count: 50) + "^")
        #expect(Array(middle[0].utf8)[50] == UInt8(ascii: "0"))
        let start = excerpt(bytes, at: 0)
        #expect(start[0].hasPrefix("0123") && start[0].hasSuffix("...") && start[1] == "^")
        let end = excerpt(bytes, at: 1000)
        #expect(end[0].hasSuffix("789") && end[0].utf8.count == 50)
        #expect(excerpt(Array(bytes.prefix(100)), at: 50)[0].utf8.count == 100)
    }

    @Test func wholeLineIsAtMost200Bytes() {
        let bytes = Array(String(repeating: "e\u{301}\u{302}\u{303}", count: 100).utf8)
        let shown = excerpt(bytes, at: 350)[0]
        #expect(shown.utf8.count <= 206)
    }

    @Test func everyOffsetOfEveryTextRenders() {
        var random = SeededRandom(seed: 7)
        for _ in 0..<300 {
            let bytes = (0..<Int.random(in: 0...400, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            let lines = excerpt(bytes, at: Int.random(in: -1...401, using: &random))
            #expect(lines.count == 2)
        }
    }
}
