// NameTests: safe text and nearest names.
// Owns: the tables for Printable and NearestName.
// Never: tests the layout of findings; RenderTests does.
// On failure: the table row that differs is named.
// Both are used for text that a stranger wrote.

import TestKit
import Testing
import YamlText

@Suite struct NameTests {
    @Test(arguments: [
        ("plain text", "plain text"), ("a\tb\nc\rd", "a\\tb\\nc\\rd"), ("\u{1B}[31m", "\\x1B[31m"),
        ("\u{0}\u{7}\u{7F}", "\\x00\\x07\\x7F"), ("\u{85}\u{9B}", "\\u{85}\\u{9B}"),
        ("\u{202E}x\u{2066}\u{200F}\u{61C}", "\\u{202E}x\\u{2066}\\u{200F}\\u{61C}"),
        ("\u{2028}\u{FEFF}", "\\u{2028}\\u{FEFF}"), ("é日😀", "é日😀"), ("\\x41", "\\x41"), ("", ""),
    ])
    func escapes(text: String, expected: String) {
        #expect(Printable.escape(text) == expected)
        #expect(Printable.escape(bytes: Array(text.utf8)) == expected)
    }

    @Test(
        arguments: [
            ([0x61, 0xFF, 0x62], "a\\xFFb"), ([0xC3], "\\xC3"), ([0xE2, 0x82], "\\xE2\\x82"),
            ([0xED, 0xA0, 0x80], "\\xED\\xA0\\x80"), ([0xC0, 0x80], "\\xC0\\x80"),
            ([0x80, 0xC3, 0xA9], "\\x80é"),
        ] as [([UInt8], String)])
    func escapesBrokenBytes(bytes: [UInt8], expected: String) {
        #expect(Printable.escape(bytes: bytes) == expected)
    }

    @Test(
        arguments: [
            ("worker", "workers"), ("wokrers", "workers"), ("retires", "retries"), ("tag", "tags"),
            ("inptu", "input"),
            ("workers", "workers"), ("x", nil), ("", nil), ("zzzzzz", nil), ("ouput", "output"),
            ("wrkr", nil), ("wrkers", "workers"),
        ] as [(String, String?)])
    func findsTheNearest(name: String, expected: String?) {
        let names = ["input", "output", "workers", "retries", "tags"]
        #expect(NearestName.find(name, in: names) == expected)
    }

    @Test func theFirstOfEquallyNearWins() {
        #expect(NearestName.find("cat", in: ["bat", "hat"]) == "bat")
        #expect(NearestName.find("hat", in: ["bat", "hat"]) == "hat")
        #expect(
            NearestName.find(String(repeating: "a", count: 65), in: [String(repeating: "a", count: 65)])
                == nil)
        #expect(NearestName.find("a", in: [] as [String]) == nil)
    }
}
