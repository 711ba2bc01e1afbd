// What this is: what expressions refuse, with code, words, hint and place.
// Owns: the tables of errors and limits, and random text that must never trap.
// Never: tests values.
// On failure: the row that differs is named.
import JobModel
import Testing

@testable import JobLanguage

@Suite struct ExpressionErrorTests {
    @Test(arguments: [
        ("", 0, "there is no expression here"), ("1 +", 3, "found the end where a value is needed"),
        ("(1", 2, "found the end where `)` after the expression in parentheses is needed"),
        ("a b", 2, "found `b` after the end of the expression"),
        ("[1 2]", 3, "found `2` where `]` or `,` is needed"),
        ("'abc", 0, "the text that begins here has no closing '"),
        ("1 < 2 < 3", 6, "comparisons cannot be chained"),
        ("a = 1", 2, "`=` is not a word of expressions"), ("a && b", 2, "`&&` is not a word of expressions"),
        ("a || b", 2, "`||` is not a word of expressions"), ("!a", 0, "`!` is not a word of expressions"),
        ("'\\d'", 1, "a backslash in a text stands before n, t, r, a quote or another backslash"),
        ("1abc", 0, "a name cannot begin with a digit"), ("x | uper", 4, "there is no filter `uper`"),
        ("x | replace: 'a'", 4, "the filter `replace` takes 2 arguments, not 1"),
        ("now(1)", 0, "now() takes 0 arguments, not 1"),
        ("nwo()", 0, "there is no function `nwo`"), ("upper(x)", 0, "there is no function `upper`"),
        ("x | default: 1 + 2", 15, "it is unclear if `+` belongs to the argument of `default`"),
        ("list.0", 5, "found `0` where a member name is needed"),
        ("{a: 1, a: 2}", 7, "the key `a` is there twice"),
        ("{{ a }}", 0, "`{{` inside an expression"), ("a if b", 6, "found the end where `else` is needed"),
        ("1 + not 2", 4, "`not` needs parentheses here"), ("§", 0, "`§` has no meaning here"),
        ("and", 0, "found `and` where a value is needed"),
    ])
    func unreadable(text: String, offset: Int, message: String) {
        let failure = Sample.failure(text)
        #expect(failure?.code == "E-EXPR")
        #expect(failure?.message == message)
        #expect(failure?.offset == offset)
    }

    @Test(arguments: [
        (
            "steps.fuond.count", 6, "`steps.fuond` is unknown: no such step has run before this one",
            "did you mean `steps.found`?"
        ),
        ("1 + steps.found.cuont", 16, "`steps.found.cuont` is unknown", "did you mean `steps.found.count`?"),
        ("found.count", 0, "`found` is unknown", "did you mean `steps.found`?"),
        ("inbxo", 0, "`inbxo` is unknown", "did you mean `inbox`?"),
        ("True", 0, "`True` is unknown", "did you mean `true`?"),
        ("my_var", 0, "`my_var` is unknown", "did you mean `variables['my-var']`?"),
        ("zzzzzz", 0, "`zzzzzz` is unknown", "`| default: …` gives a value for what may be missing"),
        (
            "list[3]", 5, "`list[3]` is unknown: the list has 3 entries",
            "`| default: …` gives a value for what may be missing"
        ),
        (
            "run.error.message", 10, "`run.error.message` is unknown: `run.error` is null",
            "`| default: …` gives a value for what may be missing"
        ),
        (
            "steps.found['my_key']", 12, "`steps.found.my_key` is unknown",
            "did you mean `steps.found['my-key']`?"
        ),
        (
            "env('NOPE')", 0, "`env('NOPE')` is unknown: it is not in the environment",
            "`| default: …` gives a value for what may be missing"
        ),
        (
            "zz | trim | default: 1", 0, "`zz` is unknown",
            "`| default: …` gives a value for what may be missing"
        ),
    ])
    func undefined(text: String, offset: Int, message: String, hint: String) {
        let failure = Sample.failure(text)
        #expect(failure?.code == "E-UNDEFINED")
        #expect(failure?.message == message)
        #expect(failure?.hint == hint)
        #expect(failure?.offset == offset)
    }

    @Test(arguments: [
        ("1 < 'a'", "E-EXPR-TYPE", 2), ("nan < 1", "E-EXPR-TYPE", 4), ("'a' + 1", "E-EXPR-TYPE", 4),
        ("inbox.length", "E-EXPR-TYPE", 6), ("list.count", "E-EXPR-TYPE", 5),
        ("steps.found[0]", "E-EXPR-TYPE", 12),
        ("list['a'] | default: 1", "E-EXPR-TYPE", 5), ("-'a'", "E-EXPR-TYPE", 0),
        ("1 in 2", "E-EXPR-TYPE", 2),
        ("range('3')", "E-EXPR-TYPE", 0), ("1 / 0", "E-EXPR", 2), ("1 % 0.0", "E-EXPR", 2),
        ("[] | max", "E-EXPR", 5),
        ("'a' | split: ''", "E-EXPR", 6), ("huge + 1", "E-EXPR-LIMIT", 5), ("least - 1", "E-EXPR-LIMIT", 6),
        ("huge * 2", "E-EXPR-LIMIT", 5), ("least / -1", "E-EXPR-LIMIT", 6), ("-least", "E-EXPR-LIMIT", 0),
        ("least | abs", "E-EXPR-LIMIT", 8), ("1e308 * 10", "E-EXPR-LIMIT", 6),
        ("1e300 | int", "E-EXPR-LIMIT", 8),
        ("infinite - infinite", "E-EXPR-LIMIT", 9), ("9223372036854775808", "E-EXPR-LIMIT", 0),
        ("range(10001)", "E-EXPR-LIMIT", 0), ("range(-1)", "E-EXPR-LIMIT", 0), ("1e999", "E-EXPR-LIMIT", 0),
        ("list[huge] | default: 1 + 'a'", "E-EXPR", 24), ("list[least]", "E-UNDEFINED", 5),
        ("steps[huge]", "E-UNDEFINED", 6),
        ("secrets://a/b", "E-SECRET", 0), ("1 + secrets://a/@#", "E-SECRET-NAME", 4),
        ("secrets:///a", "E-SECRET-NAME", 0), ("secrets://a/../b", "E-SECRET-NAME", 0),
        ("secrets://.a", "E-SECRET-NAME", 0),
    ])
    func refused(text: String, code: String, offset: Int) {
        #expect(Sample.failure(text)?.code == code)
        #expect(Sample.failure(text)?.offset == offset)
    }

    @Test(arguments: [
        "(", "[", "-", "not ", "1 if 1 else ", "{a:", "range(", "n | default(", "n[", "(-[not ",
    ])
    func deepNestingIsALimit(part: String) {
        #expect(Sample.failure(String(repeating: part, count: 4_096 / part.count))?.code == "E-EXPR-LIMIT")
    }

    @Test(arguments: [
        ("1", "+1"), ("1", " and 1"), ("2", "*1-1"), ("n", "|abs"), ("'a'", "+'a'"), ("0", " or 0"),
    ])
    func longChainsAreNotDeep(first: String, next: String) throws {
        _ = try Sample.value(first + String(repeating: next, count: 4_000 / next.count))
    }

    @Test func textAndWorkAreBounded() throws {
        var scope = Sample.scope
        scope.variables["t"] = .string(String(repeating: "a", count: 600_000))
        scope.variables["l"] = .list(Array(repeating: .string("a"), count: 10_000))
        let many = Array(repeating: "t", count: 1_500).joined(separator: ",")
        let half = Array(repeating: "t", count: 1_000).joined(separator: ",")
        let lists = Array(repeating: "l", count: 2_000).joined(separator: "+")
        let chain = Array(repeating: "(l|sort)", count: 400).joined(separator: "+")
        let tooMuch = [
            "t + t", "[\(many)] | json", "[\(many)] | join: ''", "t | replace: 'a', 'bb'", lists, chain,
            "{a: [t, t]} | string", "[\(half)] == [\(half)]", "t | contains: t",
        ]
        for text in tooMuch {
            #expect(Sample.failure(text, scope)?.code == "E-EXPR-LIMIT", "\(text.prefix(20))")
        }
        #expect(try Expression.parse("l | unique | length").evaluate(scope) == .int(1))
        #expect(Sample.failure(String(repeating: " ", count: 4_097))?.code == "E-EXPR-LIMIT")
    }

    @Test func deepValuesAreALimit() throws {
        var value = Value.int(1)
        for _ in 0..<100 { value = .list([value]) }
        var scope = Sample.scope
        scope.variables["deep"] = value
        #expect(try Expression.parse("deep == deep and (deep | json | length) == 201").holds(scope))
        #expect(throws: ExpressionError.self) { try Expression.parse("[deep]").evaluate(scope) }
    }

    @Test func randomTextNeverTraps() {
        var random = Seeded(state: 7)
        let words = [
            "steps", ".found", "[0]", "['", "']", "(", ")", "{", "}", "{{", "}}", "|", "default", ":", ",",
            "not", "in", "and",
            "or", "if", "else", "1", "9223372036854775807", "0.5", "1e308", "+", "-", "*", "/", "%", "<",
            "==", "'a'", "\"",
            "list", "n", "least", "huge", "nan", "join", "sort", "range(", "json", "\\", " ", "\u{0}", "é",
            "\u{301}", "rows",
        ]
        for _ in 0..<5_000 {
            let text = (0..<Int.random(in: 1...12, using: &random)).map { _ in
                words.randomElement(using: &random) ?? ""
            }
            _ = Sample.failure(text.joined(separator: random.next() % 2 == 0 ? " " : ""))
            let bytes = (0..<Int.random(in: 0...30, using: &random)).map { _ in
                UInt8.random(in: .min ... .max, using: &random)
            }
            let noise = String(decoding: bytes, as: UTF8.self)
            _ = Sample.failure(noise)
            do { _ = try Condition.evaluate(text.joined(), Sample.scope) } catch {
                #expect(!error.message.isEmpty)
            }
            do { _ = try Template.parse("{{\(noise)}}").render(Sample.scope) } catch {
                #expect(!error.message.isEmpty)
            }
        }
    }
}

/// SplitMix64: the same numbers in every run.
struct Seeded: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
