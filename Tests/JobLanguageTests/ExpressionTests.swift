// What this is: tables of expressions and their values.
// Owns: the scope that the tests of this room share.
// Never: tests errors; ExpressionErrorTests does.
// On failure: the row that differs is named.
import JobModel
import Testing

@testable import JobLanguage

enum Sample {
    static let found: ValueMap = [
        "count": .int(21), "files": .list([.string("/in/a.pdf"), .string("/in/b.pdf")]),
        "my-key": .string("dash"),
        "found": .int(2), "in": .string("word"),
    ]
    static let scope = Scope(
        variables: [
            "inbox": .string("/srv/in"), "n": .int(7), "half": .double(0.5), "flag": .bool(true),
            "nothing": .null,
            "list": .list([.int(3), .int(1), .int(2)]), "my-var": .string("x"), "empty": .string(""),
            "rows": .list([.map(["path": .string("b"), "size": .int(2)]), .map(["path": .string("a")])]),
            "nan": .double(.nan), "huge": .int(.max), "least": .int(.min), "infinite": .double(.infinity),
            "braces": .string("{{ n }}"), "Größe": .int(5), "steps": .string("never seen"),
        ],
        steps: [
            Scope.StepOutputs(label: "1", id: "found", outputs: found),
            Scope.StepOutputs(label: "2", outputs: ["status": .int(200)]),
            Scope.StepOutputs(label: "on_failure.1", outputs: ["told": .bool(true)]),
        ],
        run: ["id": .string("01J"), "error": .null], extras: ["item": .string("one")],
        now: Timestamp(seconds: 1_795_246_912), localDate: "2026-11-21",
        environment: { $0 == "HOME" ? "/home/op" : nil }, fileExists: { $0 == "/etc/passwd" })

    static func value(_ text: String) throws -> Value { try Expression.parse(text).evaluate(scope) }
    static func failure(_ text: String, _ scope: Scope = scope) -> ExpressionError? {
        do {
            _ = try Expression.parse(text).evaluate(scope)
            return nil
        } catch { return error }
    }
}

@Suite struct ExpressionTests {
    @Test(arguments: [
        ("1", Value.int(1)), ("1.50", .double(1.5)), ("2e3", .double(2000)), ("012", .int(12)),
        ("'a\\'b\\n'", .string("a'b\n")), ("\"it's\"", .string("it's")), ("true", .bool(true)),
        ("null", .null),
        ("[1, 'a', [],]", .list([.int(1), .string("a"), .list([])])),
        ("{a: 1, 'b c': [2]}", .map(["a": .int(1), "b c": .list([.int(2)])])), ("{}", .map([:])),
        ("[1,2][1]", .int(2)), ("{a: {b: 3}}.a['b']", .int(3)), ("Größe", .int(5)),
    ])
    func literals(text: String, value: Value) throws { #expect(try Sample.value(text) == value) }

    @Test(arguments: [
        ("n", Value.int(7)), ("item", .string("one")), ("date", .string("2026-11-21")),
        ("run.id", .string("01J")),
        ("steps.found.count", .int(21)), ("steps[0].found", .int(2)), ("steps['found'].count", .int(21)),
        ("steps[1].status", .int(200)), ("steps['on_failure.1'].told", .bool(true)),
        ("steps[-1].told", .bool(true)),
        ("steps.found['my-key']", .string("dash")), ("steps.found.in", .string("word")), ("list[0]", .int(3)),
        ("list[-1]", .int(2)), ("list[n - 6]", .int(1)), ("rows[0].path", .string("b")), ("run.error", .null),
        ("variables['my-var']", .string("x")), ("steps.found.files[1]", .string("/in/b.pdf")),
        ("variables.n", .int(7)), ("steps | length", .int(3)), ("braces", .string("{{ n }}")),
    ])
    func paths(text: String, value: Value) throws { #expect(try Sample.value(text) == value) }

    @Test(arguments: [
        ("1 + 2 * 3", Value.int(7)), ("(1 + 2) * 3", .int(9)), ("10 - 4 - 3", .int(3)),
        ("7 / 2", .double(3.5)),
        ("8 / 2", .int(4)), ("8.0 / 2", .double(4)), ("-7 % 3", .int(2)), ("7 % -3", .int(-2)),
        ("-7.5 % 2", .double(0.5)),
        ("least % -1", .int(0)), ("- - 3", .int(3)), ("+n", .int(7)), ("-half", .double(-0.5)),
        ("2 * -3", .int(-6)),
        ("'a' + 'b' + inbox", .string("ab/srv/in")), ("[1] + [2]", .list([.int(1), .int(2)])),
        ("1 + 0.5", .double(1.5)), ("12 / 4 * 3 % 5", .int(4)),
    ])
    func arithmetic(text: String, value: Value) throws { #expect(try Sample.value(text) == value) }

    @Test(arguments: [
        ("1 == 1.0", true), ("1 == '1'", false), ("'a' < 'b'", true), ("2 <= 2.0", true),
        ("null == null", true),
        ("null == false", false), ("nan == nan", false), ("nan != nan", true), ("[1] == [1.0]", true),
        ("{a: 1, b: 2} == {b: 2.0, a: 1}", true), ("huge < 9223372036854775808.0", true),
        ("9007199254740993 > 9007199254740992.0", true), ("least < infinite", true), ("0.0 == -0.0", true),
        ("2 in list", true), ("2.0 in list", true), ("5 not in list", true), ("'rv' in inbox", true),
        ("'count' in steps.found", true), ("not 'x' in 'abc'", true), ("[1] in [[1], 2]", true),
        ("1 < 2 and 2 < 3", true), ("not true or true", true), ("not (true or true)", false),
    ])
    func comparisons(text: String, truth: Bool) throws { #expect(try Sample.value(text) == .bool(truth)) }

    @Test(arguments: [
        ("false and nonsense", Value.bool(false)), ("1 or nonsense", .int(1)),
        ("0 or empty or 'x'", .string("x")),
        ("n and list", .list([.int(3), .int(1), .int(2)])), ("'a' if flag else nonsense", .string("a")),
        ("nonsense if empty else 'b'", .string("b")), ("1 if 0 else 2 if null else 3", .int(3)),
        ("not []", .bool(true)), ("not {}", .bool(true)), ("not 0.0", .bool(true)),
        ("not 'false'", .bool(false)),
        ("not nothing", .bool(true)), ("steps.found.found == 0 and n", .bool(false)),
    ])
    func truth(text: String, value: Value) throws { #expect(try Sample.value(text) == value) }

    @Test(arguments: [
        ("nonsense | default: 1", Value.int(1)), ("steps.found.nope.deep | default: 'd'", .string("d")),
        ("steps.nope.count | default: 0 > 3", .bool(false)), ("list[99] | default: null", .null),
        ("run.error.message | default: ''", .string("")), ("nothing | default: 2", .int(2)),
        ("env('NOPE') | default: 'x'", .string("x")), ("[] | first | default: 'none'", .string("none")),
        ("empty | default: 'x'", .string("")), ("n | default: nonsense", .int(7)),
        ("[n | default: 1, 2]", .list([.int(7), .int(2)])), ("(nonsense) | default(3)", .int(3)),
        ("env('HOME')", .string("/home/op")), ("file_exists('/etc/passwd')", .bool(true)),
        ("date()", .string("2026-11-21")),
        ("now()", .string("2026-11-21T07:41:52.000Z")), ("range(3)", .list([.int(0), .int(1), .int(2)])),
    ])
    func defaultsAndFunctions(text: String, value: Value) throws { #expect(try Sample.value(text) == value) }

    @Test func referencesNameEveryPath() throws {
        let text = "steps.found.count > n and (rows[n].path | default: steps[0]['a-b']) in run.x | upper"
        let found = try Expression.parse(text).references
        #expect(found.map(\.root) == ["steps", "n", "rows", "n", "steps", "run"])
        #expect(found[0].members == [.name("found"), .name("count")])
        #expect(found[4].members == [.index(0), .name("a-b")])
        #expect(found.map(\.isComplete) == [true, true, false, true, true, true])
        #expect(found.map(\.isOptional) == [false, false, true, false, false, false])
        #expect(found.map(\.offset) == [0, 20, 27, 32, 51, 71])
        #expect(try Expression.parse("steps[-1].x").references[0].members == [.index(-1), .name("x")])
    }
}
