// What this is: shell texts with values in them, as scripts and as refusals.
// Owns: one row for each context that the scanner knows.
// Never: runs a shell; ShellTextRunTests does.
// On failure: the row that differs is named.
import JobModel
import Testing

@testable import JobLanguage

@Suite struct ShellTextTests {
    /// `@` stands for `{{ n }}` in the text and for the bare reference in the script.
    @Test(arguments: [
        ("cp @ x", "cp \"@\" x"), ("cp \"@/x\"", "cp \"@/x\""), ("echo 'a @ b'", "echo 'a '\"@\"' b'"),
        ("a@b", "a\"@\"b"), ("x=@", "x=\"@\""), ("# it's @\necho @", "# it's @\necho \"@\""),
        ("echo a#@", "echo a#\"@\""),
        ("echo $(ls @)", "echo $(ls \"@\")"), ("echo \"$(ls @)\"", "echo \"$(ls \"@\")\""),
        ("echo \"$(ls '@' \"@\")@\"", "echo \"$(ls ''\"@\"'' \"@\")@\""),
        ("echo `ls @`@", "echo `ls \"@\"`\"@\""),
        ("(cd @; ls) && echo @", "(cd \"@\"; ls) && echo \"@\""), ("echo \\'@", "echo \\'\"@\""),
        ("echo '\\'@", "echo '\\'\"@\""), ("echo \"\\\"@\"", "echo \"\\\"@\""),
        ("echo $$@ $x@", "echo $$\"@\" $x\"@\""),
        ("echo '$@'", "echo '$'\"@\"''"), ("echo '\\@'", "echo '\\'\"@\"''"),
        ("echo \"'@'\"", "echo \"'@'\""),
        ("cat <<E\nit's @\nE\necho @", "cat <<E\nit's @\nE\necho \"@\""),
        ("cat <<-E | wc\n\t@\n\tE\n@", "cat <<-E | wc\n\t@\n\tE\n\"@\""),
        ("cat <<A <<'B'\n@\nA\n'\nB\necho @", "cat <<A <<'B'\n@\nA\n'\nB\necho \"@\""),
        ("cat <<< @", "cat <<< \"@\""), ("echo ${x:-'}'} @", "echo ${x:-'}'} \"@\""),
        ("echo \"${x:-\"}\"}@\"", "echo \"${x:-\"}\"}@\""),
        ("echo $((1 + (2))) @", "echo $((1 + (2))) \"@\""),
        ("for f in *; do mv \"$f\" @; done", "for f in *; do mv \"$f\" \"@\"; done"),
        ("case @ in a) echo @;; esac", "case \"@\" in a) echo \"@\";; esac"), ("[ @ = x ]", "[ \"@\" = x ]"),
        ("[[ a == b ]]; echo @", "[[ a == b ]]; echo \"@\""), ("eval ls; echo @", "eval ls; echo \"@\""),
        ("trap 'rm x' EXIT\necho @", "trap 'rm x' EXIT\necho \"@\""),
        ("echo evaluate@", "echo evaluate\"@\""),
        ("echo \"$(echo a)\"#'@", "echo \"$(echo a)\"#''\"@\"'"), ("echo $#@", "echo $#\"@\""),
        ("echo > @", "echo > \"@\""),
        ("echo \"`echo @`\" '@'", "echo \"`echo \"@\"`\" ''\"@\"''"), ("a\\\n@", "a\\\n\"@\""),
        ("echo \"é@\"", "echo \"é@\""),
    ])
    func scripts(text: String, script: String) throws {
        let shell = try ShellText.parse(
            text.split(separator: "@", omittingEmptySubsequences: false).joined(separator: "{{ n }}"))
        var expected = ""
        for (number, part) in script.split(separator: "@", omittingEmptySubsequences: false).enumerated() {
            expected += (number > 0 ? "${BOBBIN_VALUE_\(number)}" : "") + part
        }
        #expect(shell.script == expected)
        #expect(shell.bindings.map(\.name) == (0..<shell.bindings.count).map { "BOBBIN_VALUE_\($0 + 1)" })
    }

    @Test(arguments: [
        ("echo $((@ + 1))", 8, "arithmetic"), ("echo $((1 + (@)))", 13, "arithmetic"),
        ("((x = @))", 6, "arithmetic"),
        ("echo \"$((@))\"", 9, "arithmetic"), ("echo ${x:-@}", 10, "${ }"), ("echo \"${x:-@}\"", 11, "${ }"),
        ("echo $@", 6, "`$`"), ("echo \"$@\"", 7, "`$`"), ("echo \\@", 6, "backslash"),
        ("echo \"\\@\"", 7, "backslash"),
        ("cat <<'E'\n@\nE", 10, "here-document"), ("cat <<\\E\n@\nE", 9, "here-document"),
        ("cat <<@\n", 6, "end word"),
        ("cat <<E\n$(ls @)\nE", 13, "here-document"), ("echo `echo \\\\@`", 13, "backquotes"),
        ("eval ls @", 8, "`eval`"),
        ("eval \"$(ls; pwd)\" @", 18, "`eval`"), ("trap 'rm @' EXIT", 9, "`trap`"),
        ("[[ @ -gt 1 ]]", 3, "[[ ]]"),
        ("a=$(case x in x) echo;; esac) @", 30, "`case`"), ("echo $'a\\'' @", 12, "$'"),
        ("let x=@", 6, "`let`"),
        ("((a); b) @", 9, "two brackets"), ("echo \"${x:-'}'}\" @", 17, "single quote"),
        ("echo `echo '` @", 14, "overlap"),
        ("$(cat <<E)\nE\n@", 13, "another place"), ("alias x=@", 8, "`alias`"),
        ("cat <<E\na\\\nE\n@", 13, "joined lines"),
    ])
    func refusals(text: String, offset: Int, reason: String) {
        do {
            let shell = try ShellText.parse(
                text.split(separator: "@", omittingEmptySubsequences: false).joined(separator: "{{ n }}"))
            Issue.record("\(text) became \(shell.script)")
        } catch {
            #expect(error.code == "E-SHELL-QUOTE")
            #expect(error.message.contains(reason), "\(error.message)")
            #expect(error.hint.contains("env:"))
            #expect(error.offset == offset + 2)
        }
    }

    @Test func templateErrorsComeFirst() {
        for (text, code, offset) in [
            ("echo {{ 1 + }}", "E-EXPR", 12), ("a {{ secrets://a/b/c }}", "E-SECRET-NAME", 5),
            ("é {{ n", "E-EXPR", 2),
        ] {
            do {
                _ = try ShellText.parse(text)
                Issue.record("\(text) should be refused")
            } catch { #expect((error.code, error.offset) == (code, offset)) }
        }
    }

    @Test func bindingsHoldTheTextOfValues() throws {
        let bound = try ShellText.parse("{{ n }} {{ nothing }} {{ flag }} '{{ braces }}'").bind(Sample.scope)
        #expect(bound.map(\.text) == ["7", "", "true", "{{ n }}"])
        #expect(try ShellText.parse("echo plain $x").bindings.isEmpty)
        #expect(try ShellText.parse("echo plain $x").script == "echo plain $x")
    }

    @Test(arguments: [
        ("list", "E-EXPR-TYPE"), ("steps.found", "E-EXPR-TYPE"), ("nul", "E-SHELL-QUOTE"),
        ("long", "E-EXPR-LIMIT"), ("zzz", "E-UNDEFINED"),
    ])
    func someValuesCannotBeWords(name: String, code: String) throws {
        var scope = Sample.scope
        scope.variables["nul"] = .string("a\u{0}b")
        scope.variables["long"] = .string(String(repeating: "x", count: 128 << 10))
        do {
            _ = try ShellText.parse("echo {{ \(name) }}").bind(scope)
            Issue.record("\(name) should be refused")
        } catch {
            #expect(error.code == code)
            #expect(error.offset == (code == "E-UNDEFINED" ? 8 : 7))
        }
    }
}
