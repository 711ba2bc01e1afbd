// What this is: templates, values made of templates, and conditions.
// Owns: the tables for types that survive, texts that join, and values that must not be expanded again.
// Never: tests the expressions themselves.
// On failure: the row that differs is named.
import JobModel
import Testing

@testable import JobLanguage

@Suite struct TemplateTests {
    @Test(arguments: [
        ("plain }} text", Value.string("plain }} text")), ("{{ n }}", .int(7)), ("{{n}}", .int(7)),
        (" {{ n }}", .string(" 7")), ("{{ list }}", .list([.int(3), .int(1), .int(2)])),
        ("{{ list }}!", .string("[3,1,2]!")),
        ("a{{ nothing }}b", .string("ab")), ("{{ nothing }}", .null), ("{{ n }}{{ half }}", .string("70.5")),
        ("{{ '{{' }} {{ '}}' }}", .string("{{ }}")), ("{{ {a: {b: 1}} }}", .map(["a": .map(["b": .int(1)])])),
        ("{{ {a: {b: 1}}}}", .map(["a": .map(["b": .int(1)])])), ("{{{a: n}}}", .map(["a": .int(7)])),
        ("x {{ 'a}}b' }}", .string("x a}}b")), ("{{ braces }}", .string("{{ n }}")),
        ("-{{ braces }}-", .string("-{{ n }}-")),
        ("%{http_code} {% if %} {", .string("%{http_code} {% if %} {")), ("é{{ n }}", .string("é7")),
        ("", .string("")),
    ])
    func renders(text: String, value: Value) throws {
        let template = try Template.parse(text)
        #expect(try template.render(Sample.scope) == value)
        #expect(template.isPlain == template.expressions.isEmpty)
    }

    @Test(arguments: [
        ("ab {{ n", "E-EXPR", 3), ("{{ 'a }}", "E-EXPR", 3), ("é {{ n }} {{ }}", "E-EXPR", 12),
        ("{{ n n }}", "E-EXPR", 5),
        ("x {{ secrets://a/b }}", "E-SECRET", 5), ("x {{ secrets:// }}", "E-SECRET-NAME", 5),
        ("é {{ n }} {{ zzz }}", "E-UNDEFINED", 13),
        ("{{ user's }}", "E-EXPR", 7),
        ("{{ 1 + }}", "E-EXPR", 7),
    ])
    func errorsKnowTheirPlace(text: String, code: String, offset: Int) {
        do {
            _ = try Template.parse(text).render(Sample.scope)
            Issue.record("\(text) should not render")
        } catch {
            #expect(error.code == code)
            #expect(error.offset == offset)
        }
    }

    @Test func longTextsAreALimit() throws {
        var scope = Sample.scope
        scope.variables["t"] = .string(String(repeating: "a", count: 600_000))
        #expect(throws: ExpressionError.self) { try Template.parse("{{ t }}{{ t }}").render(scope) }
        #expect(throws: ExpressionError.self) { try Template.parse("-{{ [t, t] }}").render(scope) }
    }

    @Test func valuesRenderThroughListsAndMaps() throws {
        let value = Value.map([
            "{{ key }}": .list([.string("{{ n }}"), .int(1), .string("a{{ n }}")]),
            "b": .string("{{ braces }}"),
        ])
        let expected = Value.map([
            "{{ key }}": .list([.int(7), .int(1), .string("a7")]), "b": .string("{{ n }}"),
        ])
        #expect(try value.rendered(Sample.scope) == expected)
    }

    @Test(arguments: [
        (
            Value.map(["headers": .map(["Authorization": .string("Bearer {{ zz }}")])]),
            "headers.Authorization"
        ),
        (.list([.int(1), .map(["a": .list([.string("{{ zz }}")])])]), "[1].a[0]"), (.string("{{ zz }}"), ""),
    ])
    func errorsNameThePath(value: Value, path: String) {
        do {
            _ = try value.rendered(Sample.scope)
            Issue.record("\(value) should not render")
        } catch { #expect(error.path == path) }
    }

    @Test(arguments: [
        ("steps.found.count > 20", true), ("{{steps[0].found}} > 0", true), ("{{ n }} + 1 == 8", true),
        ("{{ empty }}", false), ("{{ n }} and {{ nothing }}", false),
        ("'{{ n }}-{{ half }}' == '7-0.5'", true),
        ("'{{ braces }}' == braces", true), ("not {{ flag }}", false), ("{a: {b: 1}} | length == 1", true),
        ("({{ {a: {b: 1}} }}).a.b == 1", true), ("{{ '{{' }} == '{' + '{'", true),
        ("2 * {{ 1 + 2 }} == 6", true),
        ("\"{{ item }}\" == 'one'", true), ("0 in [{{ n }}]", false),
    ])
    func conditions(text: String, truth: Bool) throws {
        #expect(try Condition.evaluate(text, Sample.scope) == truth)
    }

    @Test(arguments: [
        "1 == 2 or true", "' or '1' == '1", "}} or {{ true", "x' == 'x' or '", "{{ true }}", "n",
        "\") or (\"",
    ])
    func valuesNeverBecomeConditions(evil: String) throws {
        var scope = Sample.scope
        scope.variables["evil"] = .string(evil)
        #expect(try !Condition.evaluate("{{ evil }} == 'safe'", scope))
        #expect(try !Condition.evaluate("'{{ evil }}' == 'safe'", scope))
        #expect(try !Condition.evaluate("\"{{ evil }}\" == \"safe\"", scope))
        #expect(try Condition.evaluate("'{{ evil }}' == evil", scope))
        #expect(try Template.parse("{{ evil }}").render(scope) == .string(evil))
    }

    @Test(arguments: [
        ("{{ n }", 5), ("{{ n } }", 5), ("{ {n} }", 2), ("'{{ n'", 0), ("{{ {{ n }} }}", 3), ("{{ }}", 3),
        ("{{ n }} {{ n }}", 8),
        ("", 0),
    ])
    func brokenConditions(text: String, offset: Int) {
        do {
            _ = try Condition.parse(text)
            Issue.record("\(text) should be refused")
        } catch {
            #expect(error.code == "E-EXPR")
            #expect(error.offset == offset)
        }
    }
}
