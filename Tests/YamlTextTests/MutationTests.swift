// MutationTests: broken texts give a tree or an error, and never a trap.
// Owns: the mutations of one valid job.
// Never: says which of the two must come out.
// On failure: the test process dies, or a mark is outside of the text.
// Every error must render, too.

import TestKit
import Testing
import YamlText

@Suite struct MutationTests {
    static let job = Array(
        """
        # nightly
        name: "resize é"
        input: [in/*.jpg, 'it''s', {a: 1}]
        workers: 4
        notes: |
          one
           two
        steps:
          - run: convert
            args: !!seq ["-x", 0x1F, 1.5e3]
          - ? k
            : >-
              folded
              text
        """.utf8)

    @Test func theJobIsValid() {
        #expect(!outcome(Self.job).hasPrefix("E-"))
    }

    @Test(arguments: 0..<16)
    func everySingleByte(block: Int) {
        for index in Self.job.indices where index % 16 == block {
            for byte in UInt8.min...UInt8.max {
                var bytes = Self.job
                bytes[index] = byte
                attempt(bytes)
            }
        }
    }

    @Test func everyRemovalCutAndDoubling() {
        for index in Self.job.indices {
            attempt(Array(Self.job[..<index]))
            attempt(Array(Self.job[index...]))
            attempt(Array(Self.job[..<index] + Self.job[(index + 1)...]))
            attempt(Array(Self.job[...index] + Self.job[index...]))
        }
    }

    @Test(arguments: [UInt64(11), 12, 13, 14])
    func soupOfSigns(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let signs = Array("ab1 \n\n  :-,[]{}'\"\\|>~.#%?&*!<\té\u{FEFF}".utf8)
        for _ in 0..<1500 {
            let count = Int.random(in: 0...40, using: &random)
            attempt((0..<count).map { _ in signs.randomElement(using: &random) ?? 0 })
        }
    }

    private func attempt(_ bytes: [UInt8]) {
        do {
            let root = try YamlReader.parse(bytes)
            if !isInside(root.end, bytes) { Issue.record("end outside: \(bytes)") }
        } catch {
            if !isInside(error.mark, bytes) || !YamlError.codes.contains(error.code) {
                Issue.record("\(error)")
            }
            _ = SourceFile(name: "f", bytes: bytes).render(Diagnostic(error))
        }
    }

    private func isInside(_ mark: SourceMark, _ bytes: [UInt8]) -> Bool {
        (0...bytes.count).contains(mark.offset) && mark.line >= 1 && mark.column >= 1
    }
}
