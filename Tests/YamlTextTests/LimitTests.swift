// LimitTests: each limit at its edge, and texts built to be slow.
// Owns: the proof that limits hold before memory and time are spent.
// Never: measures time exactly; the bound is a hundred times what is needed.
// On failure: the limit that did not hold is named.
// Nesting beyond 64 levels is the known weak place of libyaml.

import TestKit
import Testing
import YamlText

@Suite struct LimitTests {
    @Test func bytes() {
        let limits = YamlLimits(maxBytes: 4)
        #expect(outcome("a: 1", limits: limits) == "{a: 1}")
        #expect(outcome("a: 12", limits: limits) == "E-YAML-SIZE 1:1")
        #expect(outcome(String(repeating: "#", count: 1 << 20)) == "E-YAML-EMPTY 1:1")
        #expect(outcome(String(repeating: "#", count: 1 << 20 + 1)) == "E-YAML-SIZE 1:1")
    }

    @Test func depth() {
        func nested(_ count: Int) -> String {
            String(repeating: "[", count: count) + String(repeating: "]", count: count)
        }
        #expect(outcome(nested(64)) == nested(64))
        #expect(outcome(nested(65)) == "E-YAML-DEPTH 1:65")
        #expect(outcome("[{a: 1}]", limits: YamlLimits(maxDepth: 2)) == "[{a: 1}]")
        #expect(outcome("[{a: []}]", limits: YamlLimits(maxDepth: 2)) == "E-YAML-DEPTH 1:6")
        #expect(outcome(nested(512), limits: YamlLimits(maxDepth: .max)) == nested(512))
        #expect(outcome(nested(513), limits: YamlLimits(maxDepth: .max)) == "E-YAML-DEPTH 1:513")
    }

    @Test func nodes() {
        let limits = YamlLimits(maxNodes: 4)
        #expect(outcome("[1, 2, 3]", limits: limits) == "[1, 2, 3]")
        #expect(outcome("[1, 2, 3, 4]", limits: limits) == "E-YAML-NODES 1:11")
        #expect(outcome("{a: 1, b: 2}", limits: limits) == "E-YAML-NODES 1:11")
    }

    @Test func scalars() {
        let limits = YamlLimits(maxScalarBytes: 3)
        #expect(outcome("abc: é1", limits: limits) == "{abc: \"é1\"}")
        #expect(outcome("abc: é12", limits: limits) == "E-YAML-SCALAR 1:6")
        #expect(outcome("abcd: x", limits: limits) == "E-YAML-SCALAR 1:1")
    }

    @Test func valuesOutOfRangeAreMoved() {
        let limits = YamlLimits(maxBytes: -1, maxDepth: 0, maxNodes: 0, maxScalarBytes: -5)
        #expect(limits == YamlLimits(maxBytes: 0, maxDepth: 1, maxNodes: 1, maxScalarBytes: 0))
        #expect(YamlLimits(maxDepth: 9999).maxDepth == 512)
    }

    static let slow: [(String, Int, String)] = [
        ("[", 65_536, "E-YAML-DEPTH 1:65"), ("[", 1 << 20, "E-YAML-DEPTH 1:65"),
        ("{", 65_536, "E-YAML-KEY 1:2"), ("- ", 32_768, "E-YAML-DEPTH 1:129"),
        ("[\n", 1 << 19, "E-YAML-DEPTH 65:1"),
        ("? ", 1 << 19, "E-YAML-KEY 1:3"), ("&a ", 1 << 18, "E-YAML-ALIAS 1:1"),
        ("!a", 1 << 19, "E-YAML-TAG 1:1"),
        ("%TAG !a! x\n", 95_000, "E-YAML-TAG 1:1"), ("'", 1 << 20, "E-YAML-SCALAR 1:1"),
        ("a\n", 1 << 19, "E-YAML-SCALAR 1:1"), ("[a,", 1 << 18, "E-YAML-DEPTH 1:193"),
    ]

    @Test(arguments: slow)
    func slowTextsFailFast(piece: String, count: Int, expected: String) {
        let bytes = Array(String(repeating: piece, count: count).utf8)
        let time = ContinuousClock().measure { #expect(outcome(bytes) == expected) }
        #expect(time < .seconds(2))
    }

    @Test func directivesBehindTheDocumentAreNotRead() {
        let text = "a\n...\n" + String(repeating: "%TAG !a! x\n", count: 90_000)
        let time = ContinuousClock().measure { #expect(outcome(text) == "E-YAML-MULTIDOC 3:1") }
        #expect(time < .seconds(2))
    }
}
