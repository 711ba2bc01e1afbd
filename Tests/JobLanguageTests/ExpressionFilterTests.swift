// What this is: a table of filters and their values, and of the inputs they refuse.
// Owns: at least one row for each filter; a test counts them.
// Never: tests grammar.
// On failure: the row that differs is named.
import Glibc
import JobModel
import TestKit
import Testing

@testable import JobLanguage

@Suite struct ExpressionFilterTests {
    static let rows: [(String, Value)] = [
        ("x | default: 1", .int(1)), ("'aXbX' | replace:'X','--'", .string("a--b--")),
        ("'aaa' | replace('aa', 'b')", .string("ba")), ("'straße' | upper", .string("STRASSE")),
        ("'ÄB' | lower", .string("äb")), ("' a b\\n' | trim", .string("a b")),
        ("'a,b,' | split: ','", .list([.string("a"), .string("b"), .string("")])),
        ("' a  b\\n' | split", .list([.string("a"), .string("b")])), ("list | join: '-'", .string("3-1-2")),
        ("[null, 1.5, [1]] | join: ','", .string(",1.5,[1]")), ("'né' | length", .int(2)),
        ("steps.found | length", .int(5)), ("list | first", .int(3)), ("list | last", .int(2)),
        ("list | sort", .list([.int(1), .int(2), .int(3)])),
        ("['b', 'a'] | sort", .list([.string("a"), .string("b")])),
        ("[2, 1.5] | sort", .list([.double(1.5), .int(2)])),
        ("[1, 1.0, 'a', 'a', [1], [1.0]] | unique", .list([.int(1), .string("a"), .list([.int(1)])])),
        ("rows | map: 'path'", .list([.string("b"), .string("a")])),
        ("{a: 1, b: 2} | keys", .list([.string("a"), .string("b")])),
        ("{a: 1, b: 2} | values", .list([.int(1), .int(2)])),
        ("{a: [1, 'x']} | json", .string("{\"a\":[1,\"x\"]}")),
        ("' 12\\n' | int", .int(12)), ("-1.9 | int", .int(-1)), ("'1e3' | float", .double(1000)),
        ("2 | float", .double(2)), ("1.0 | string", .string("1.0")), ("true | string", .string("true")),
        ("null | string", .string("")), ("2.5 | round", .int(3)), ("-2.5 | round", .int(-3)),
        ("2.345 | round: 1", .double(2.3)), ("7 | round: 2", .int(7)), ("-n | abs", .int(7)),
        ("-0.5 | abs", .double(0.5)),
        ("list | min", .int(1)), ("list | max", .int(3)), ("['b', 'a'] | max", .string("b")),
        ("list | sum", .int(6)),
        ("[] | sum", .int(0)), ("[1, 0.5] | sum", .double(1.5)), ("'/a/b/' | basename", .string("b")),
        ("'/' | basename", .string("/")), ("'a' | basename", .string("a")),
        ("'/a/b/' | dirname", .string("/a")),
        ("'a' | dirname", .string(".")), ("'/a' | dirname", .string("/")), ("'' | basename", .string("")),
        ("list | contains: 2", .bool(true)), ("'abc' | contains: 'bc'", .bool(true)),
        ("'' | contains: ''", .bool(true)),
        ("'abc' | startswith: 'ab'", .bool(true)), ("'abc' | endswith: 'ab'", .bool(false)),
        ("\"it's\" | shell_quote", .string("'it'\\''s'")), ("'' | shell_quote", .string("''")),
        ("'Grüße' | base64", .string("R3LDvMOfZQ==")), ("'' | base64", .string("")),
        ("'R3LD\nvMOfZQ' | base64_decode", .string("Grüße")), ("'YQ==' | base64_decode", .string("a")),
        (
            "'abc' | sha256",
            .string("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        ),
        ("'{\"a\": [1, null, 1.5]}' | from_json", .map(["a": .list([.int(1), .null, .double(1.5)])])),
        ("'ü b/c~' | url_encode", .string("%C3%BC%20b%2Fc~")),
        ("'order 4711 x' | regex_match: r'\\d{4}'", .bool(true)),
        ("'order' | regex_match: r'^\\d'", .bool(false)),
        ("'order 4711 of 12' | regex_find: r'\\d+'", .string("4711")),
        ("'v1.22' | regex_find: r'v(\\d+)\\.'", .string("1")),
        ("'abc' | regex_find: 'z' | default: 'none'", .string("none")),
        ("'a-b--c' | regex_replace: '-+', '+'", .string("a+b+c")),
        ("'Lee, Ann' | regex_replace: r'(\\w+), (\\w+)', '$2 $1 $$'", .string("Ann Lee $")),
        ("'ab' | regex_replace: 'x*', '-'", .string("-a-b-")),
        ("now() | date: '%Y-%m-%d %H:%M:%S'", .string("2026-11-21 07:41:52")),
        (
            "1795246912 | date: '%F %T %j %a %A %b %B %u %V %G %y %e %I %p %z %s %%'",
            .string(
                "2026-11-21 07:41:52 325 Sat Saturday Nov November 6 47 2026 26 21 07 AM +0000 1795246912 %")
        ),
        ("'2024-12-30' | date: '%G-W%V'", .string("2025-W01")),
        ("'2026-03-01' | date_add: '-1d'", .string("2026-02-28")),
        ("now() | date_add: '90m'", .string("2026-11-21T09:11:52.000Z")),
        ("'2026-03-01' | date_add: '1h'", .string("2026-03-01T01:00:00.000Z")),
        ("list | sort | first + 1", .int(2)), ("list | length > 2 and true", .bool(true)),
    ]

    @Test(arguments: rows) func values(text: String, value: Value) throws {
        #expect(try Sample.value(text) == value)
    }

    @Test func everyFilterHasARow() {
        let used = Set(
            Filter.allCases.filter { filter in Self.rows.contains { $0.0.contains("| \(filter.rawValue)") } })
        #expect(used == Set(Filter.allCases))
    }

    @Test(arguments: [
        ("n | upper", "`upper` needs a text, not a whole number"),
        ("'a' | first", "`first` needs a list, not a text 'a'"),
        ("true | int", "`int` needs a number or a text, not true/false"),
        ("'12x' | int", "`int` needs a text that is a whole number, not a text '12x'"),
        ("'nan' | float", "`float` needs a text that is a number, not a text 'nan'"),
        ("'0x1p3' | float", "`float` needs a text that is a number, not a text '0x1p3'"),
        ("[1, 'a'] | sum", "`sum` needs a list of numbers, not a text 'a'"),
        ("[1, 'a'] | sort", "a text and a whole number have no order"),
        ("[nan, 1] | max", "NaN has no order"),
        ("list | shell_quote", "`shell_quote` needs a single value, not a list"),
        ("list | join: 1", "`join` needs a text as argument, not a whole number"),
        ("1.5 | round: 99", "`round` needs a number of digits from 0 to 15, not a whole number"),
        ("n | contains: 7", "a whole number cannot hold a whole number"),
        ("'a===' | base64_decode", "`base64_decode` needs a text in base64, not a text 'a==='"),
        ("'YR==' | base64_decode", "`base64_decode` needs a text in base64, not a text 'YR=='"),
        ("'/w==' | base64_decode", "`base64_decode` needs the base64 of a UTF-8 text, not a text '/w=='"),
        ("'{' | from_json", "`from_json`: line 1, column 2: a key in quotes is expected"),
        (
            "'yesterday' | date: '%F'",
            "`date` needs an instant (2026-11-21T09:00:00Z), a date (2026-11-21) or seconds since 1970, not a text 'yesterday'"
        ),
        (
            "least | date: '%F'",
            "`date` needs an instant (2026-11-21T09:00:00Z), a date (2026-11-21) or seconds since 1970, not a whole number"
        ),
        (
            "now() | date_add: 'tomorrow'",
            "`date_add` needs a duration such as '-1d' or '90m', not a text 'tomorrow'"
        ),
    ])
    func wrongTypes(text: String, message: String) {
        #expect(Sample.failure(text)?.code == "E-EXPR-TYPE")
        #expect(Sample.failure(text)?.message == message)
    }

    @Test func itemsWithoutTheMemberAreNamed() {
        let failure = Sample.failure("rows | map: 'sise'")
        #expect(failure?.code == "E-UNDEFINED")
        #expect(failure?.message == "item 0 of the list has no `sise`")
        #expect(failure?.hint == "did you mean `size`?")
    }

    /// glibc's strftime on the same instants, in zones east and west.
    @Test func datesAreThoseOfStrftime() throws {
        var random = SeededRandom(seed: 4)
        let format = "%Y %m %d %H %M %S %j %F %T %y %e %a %A %b %B %p %I %u %G %V"
        for _ in 0..<3000 {
            let seconds = random.below(8_000_000_000) - 2_000_000_000
            let offset = random.pick([0, 3600, -18_000, 20_700, 49_500, -43_200])
            var broken = tm()
            var local = time_t(seconds + offset)
            gmtime_r(&local, &broken)
            var buffer = [CChar](repeating: 0, count: 300)
            let count = strftime(&buffer, buffer.count, format, &broken)
            let wanted = String(decoding: buffer.prefix(count).map(UInt8.init(bitPattern:)), as: UTF8.self)
            let scope = Scope(
                variables: ["t": .int(seconds)], now: Timestamp(seconds: 0), localDate: "",
                zoneOffset: { _ in offset })
            let value = try Expression.parse("t | date: '\(format)'").evaluate(scope)
            // %e is padded with a blank there.
            #expect(
                value.text.split(separator: " ") == wanted.split(separator: " "), "\(seconds) in \(offset)")
        }
    }

    /// In some zones the clocks go forward at midnight: there is no such hour on that day, but there is the day.
    @Test func aDayWithoutItsMidnight() throws {
        // 2026-09-06T04:00:00Z, when America/Santiago goes from -04:00 to -03:00.
        let change: Int64 = 1_788_667_200
        let scope = Scope(
            now: Timestamp(seconds: 0), localDate: "", zoneOffset: { $0 < change ? -4 * 3600 : -3 * 3600 })
        #expect(
            try Expression.parse("'2026-09-06' | date: '%F %H'").evaluate(scope) == .string("2026-09-06 01"))
        #expect(
            try Expression.parse("'2026-09-05' | date: '%F %H'").evaluate(scope) == .string("2026-09-05 00"))
        #expect(
            try Expression.parse("'2026-09-07' | date: '%F %H'").evaluate(scope) == .string("2026-09-07 00"))
    }

    @Test func longTextsCanBeReplacedIn() throws {
        let text = String(repeating: "one  two ", count: 7000)
        let scope = Scope(variables: ["t": .string(text)], now: Timestamp(seconds: 0), localDate: "")
        let value = try Expression.parse("t | regex_replace: r'\\s+', '-'").evaluate(scope)
        #expect(value == .string(String(repeating: "one-two-", count: 7000)))
    }

    /// A file full of constant parts is checked within one budget.
    @Test func constantPartsShareABudget() throws {
        let budget = CheckBudget()
        let costly = try Expression.parse("range(9999) | json | regex_match: r'(\\d|,|\\d,|\\d\\d|,\\d)*z'")
        for _ in 0..<1000 { _ = costly.certainFault(budget) }
        #expect(try Expression.parse("1 / 0").certainFault(budget) == nil, "the budget is spent")
        #expect(try Expression.parse("1 / 0").certainFault(CheckBudget()) != nil)
    }
}
