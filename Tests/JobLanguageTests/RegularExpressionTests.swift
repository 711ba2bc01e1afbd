// What this is: regular expressions: a table of values, random patterns against a second opinion, and bounded work.
// Owns: what matches where, which patterns are refused, that no pattern takes long.
// Never: asks for back-references or look-around, which the language does not have.
// On failure: pattern and text are in the message.
// The second opinion is Swift's own Regex, which goes back and forth where ours keeps all alternatives at once.
import JobModel
import TestKit
import Testing

@testable import JobLanguage

@Suite struct RegularExpressionTests {
    private struct Overtime: Error {}
    private func match(_ pattern: String, _ text: String, most: Int = 10_000_000) throws -> [String?]? {
        let expression = try RegularExpression(pattern)
        let matcher = RegularExpressionMatcher(expression, text)
        var left = most
        let found = try matcher.firstMatch(from: 0) { steps in
            left -= steps
            if left < 0 { throw Overtime() }
        }
        return found?.map { $0.map(matcher.text) }
    }

    @Test(
        arguments: [
            ("abc", "xabcx", ["abc"]), ("a|ab", "ab", ["a"]),
            ("(a|ab)(c|bcd)", "abcd", ["abcd", "a", "bcd"]),
            ("a*", "", [""]), ("a+?", "aaa", ["a"]), ("a{2,3}", "aaaa", ["aaa"]), ("a{2,3}?", "aaaa", ["aa"]),
            ("^b", "a\nb", nil), ("(?m)^b$", "a\nb\nc", ["b"]), ("a.c", "a\nc", nil),
            ("(?s)a.c", "a\nc", ["a\nc"]),
            ("(?i)straße", "STRAßE", ["STRAßE"]), ("(?i)[^a]", "aAb", ["b"]), ("[]a]+", "]a]", ["]a]"]),
            ("[a-c-]+", "b-a", ["b-a"]), ("[^\\d\\s]+", "12 ab", ["ab"]), ("\\bfoo\\b", "a foo b", ["foo"]),
            ("\\Bo", "foo", ["o"]), ("x{2", "ax{2", ["x{2"]), ("(?:ab)+", "ababa", ["abab"]),
            ("(a)|(b)", "b", ["b", nil, "b"]), ("(a*)*", "b", ["", nil]), ("\\$\\.", "a$.", ["$."]),
            ("é+", "caféé", ["éé"]), ("", "abc", [""]), ("a$", "ba", ["a"]),
        ] as [(String, String, [String?]?)])
    func table(pattern: String, text: String, groups: [String?]?) throws {
        #expect(try match(pattern, text) == groups, "\(pattern) on \(text)")
    }

    @Test(arguments: [
        ("(a", "this `(` is not closed", 0), ("a)", "`)` without a `(`", 1),
        ("[a", "this `[` is not closed", 0),
        ("*a", "there is nothing before `*` to repeat", 0),
        ("a**", "a count after a count; put the first into parentheses", 2),
        ("a{3,2}", "the counts are the wrong way round", 1),
        ("[b-a]", "this range is the wrong way round", 2),
        ("(a)\\1", "there are no references back to a group", 3), ("a\\", "a backslash at the end", 1),
        ("\\q", "`\\q` means nothing here", 0), ("a{1001}", "a count may be 1000 at most", 1),
        ("^*", "there is nothing here to repeat", 1), ("{3}", "there is nothing before `{` to repeat", 0),
        ("((a{100}){100}){100}", "the pattern is too large; its counts multiply", 0),
        ("(?:(?:(?:(?:){1000}){1000}){1000}){1000}", "the pattern is too large; its counts multiply", 0),
        ("(?:(?:a{0}){1000}){1000}", "the pattern is too large; its counts multiply", 0),
        (
            "[[:digit:]]+", "classes such as [:digit:] are not known here; write \\d, \\w, \\s or a range", 1
        ),
    ])
    func refused(pattern: String, message: String, offset: Int) {
        do {
            _ = try RegularExpression(pattern)
            Issue.record("\(pattern) was taken")
        } catch { #expect(error.message == message && error.offset == offset, "\(pattern): \(error)") }
    }

    /// Random patterns that both sides know, on random short texts.
    @Test func aSecondOpinion() throws {
        var random = SeededRandom(seed: 11)
        var compared = 0, matched = 0
        for _ in 0..<4000 {
            let pattern = piece(&random, 3)
            guard let other = try? Regex(pattern) else { continue }
            // Beside a digit the other side sees no boundary of a word, which is its own way.
            let letters = Array(pattern.contains("\\b") ? "abc -\n" : "abc01 -\n")
            for _ in 0..<4 {
                let text = String((0..<random.below(9)).map { _ in random.pick(letters) })
                let found = try match(pattern, text)
                let wanted = text.firstMatch(
                    of: other.matchingSemantics(.unicodeScalar).asciiOnlyWordCharacters().wordBoundaryKind(
                        .simple))
                #expect(
                    found?[0] == wanted.map { String(text[$0.range]) },
                    "\(pattern) on \(text.debugDescription)")
                compared += 1
                if found != nil { matched += 1 }
            }
        }
        #expect(compared > 8000 && matched > 2000, "\(compared) compared, \(matched) matched")
    }
    private func piece(_ random: inout SeededRandom, _ depth: Int) -> String {
        switch random.below(depth == 0 ? 5 : 10) {
        case 0, 1: random.pick(["a", "b", "c", "0", "-"])
        case 2: random.pick([".", "\\d", "\\w", "\\s", "[ab]", "[^a]", "[a-c0]"])
        case 3: random.pick(["a", "b", "\\b", "\\A", "\\z"])
        case 4: "ab"
        case 5, 6: piece(&random, depth - 1) + piece(&random, depth - 1)
        case 7: "(" + piece(&random, depth - 1) + "|" + piece(&random, depth - 1) + ")"
        // A count on what may match nothing is where programs differ, each with good reasons.
        default:
            random.pick(["a", "b", "[ab]", "(ab|c)", "\\d", "."])
                + random.pick(["*", "+", "?", "{2}", "{1,2}", "*?", "+?", "??"])
        }
    }

    @Test(arguments: ["(a*)*b", "(a|a)*b", "(a|aa)+$", "(.*)(.*)(.*)(.*)(.*)x", "(a?){50}a{50}"])
    func noPatternTakesLong(pattern: String) throws {
        // Going back and forth would take 2^n here; a pass takes text × program.
        let text = String(repeating: "a", count: 2000) + "c"
        let size = try RegularExpression(pattern).program.count
        _ = try match(pattern, text, most: 4 * (text.count + 1) * size)
    }

    @Test(arguments: [
        ("a|ab", "ab", true), ("a*?", "aaa", true), ("(?i)[a-z]+", "AbC", true), ("a", "ab", false),
        ("", "", true),
        ("", "a", false), ("x|y|", "", true), ("\\d{4}-\\d\\d", "2026-11", true), ("^a$", "a", true),
        ("b\\b", "bb", false),
    ])
    func theWholeText(pattern: String, text: String, holds: Bool) {
        #expect(CheckBudget().matches(text, pattern) == holds)
    }

    @Test func whatTakesTooLongIsNotSaid() throws {
        let budget = CheckBudget(), text = String(repeating: "a", count: 1000)
        try budget.spend(4 * ExpressionLimits.units - 500)
        #expect(budget.matches("a", "a+") == true)
        #expect(budget.matches(text, "a+") == nil)
    }

    @Test func longTextsMeetTheBudget() throws {
        let text = String(repeating: "a", count: 200_000)
        let scope = Scope(variables: ["t": .string(text)], now: Timestamp(seconds: 0), localDate: "")
        let failure = Sample.failure("t | regex_match: r'(a|b|c|aa|ab|ac)*d'", scope)
        #expect(failure?.code == "E-EXPR-LIMIT")
    }
}
