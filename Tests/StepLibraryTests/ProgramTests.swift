// What this is: `run` and `shell` with real programs.
// Owns: nothing.
// Never: needs more than sh, cat and env.
// On failure: the outputs of the program are in the message.
import JobModel
import Testing

@testable import StepLibrary

@Suite struct ProgramTests {
    @Test func argumentsArriveAsTheyAre() throws {
        let site = try TestSite()
        let outputs = try site.perform(
            "run", ["argv": .texts(["printf", "%s|", "a b", "$HOME", "*", "'\"", ""])])
        #expect(outputs["stdout"] == .string("a b|$HOME|*|'\"||"))
        #expect(outputs["exit_code"] == .int(0))
        #expect(outputs["truncated"] == .bool(false))
    }

    @Test func lineEndsAtTheEndAreCut() throws {
        let outputs = try TestSite().perform(
            "shell", ["script": .string("printf 'a\\n\\nb\\r\\n\\n'; echo e >&2")])
        #expect(outputs["stdout"] == .string("a\n\nb"))
        #expect(outputs["stderr"] == .string("e"))
    }

    @Test func anExitCodeIsNotASignal() throws {
        let site = try TestSite()
        let exit = try site.failure("shell", ["script": .string("echo first >&2; echo last >&2; exit 3")])
        #expect(exit.code == "E-EXIT" && exit.message == "the script exited with 3: last")
        #expect(exit.retry == .transient)
        let signal = try site.failure("shell", ["script": .string("kill -SEGV $$")])
        #expect(signal.code == "E-SIGNAL" && signal.message == "the script was killed by SIGSEGV")
        // 139 is what a shell makes of a child's SIGSEGV: still a code.
        #expect(try site.failure("shell", ["script": .string("exit 139")]).code == "E-EXIT")
    }

    @Test func otherCodesMayBeAccepted() throws {
        let site = try TestSite()
        let codes = Value.list([.int(0), .int(1)])
        let outputs = try site.perform("run", ["argv": .texts(["false"]), "exit_codes": codes])
        #expect(outputs["exit_code"] == .int(1))
        #expect(
            try site.failure("run", ["argv": .texts(["true"]), "exit_codes": .list([.string("0")])]).code
                == "E-STEP-PARAM")
    }

    @Test func aProgramThatIsMissingIsNamed() throws {
        let failure = try TestSite().failure("run", ["argv": .texts(["no-such-program-here"])])
        #expect(failure.code == "E-EXEC" && failure.message.contains("no-such-program-here"))
        #expect(try TestSite().failure("run", ["argv": .list([])]).code == "E-STEP-PARAM")
    }

    @Test func standardInputAndFolderAreGiven() throws {
        let site = try TestSite()
        _ = try site.folder("work")
        let outputs = try site.perform(
            "shell", ["script": .string("pwd; cat"), "cwd": .string("work"), "stdin": .map(["k": .int(1)])])
        #expect(outputs["stdout"] == .string("\(site.path)/work\n{\n  \"k\": 1\n}"))
        #expect(
            try site.failure("run", ["argv": .texts(["true"]), "cwd": .string("none")]).code
                == "E-FILE-MISSING")
        #expect(try site.failure("run", ["argv": .texts(["true"]), "cwd": .string("~/x")]).code == "E-PATH")
    }

    @Test func valuesInAScriptAreData() throws {
        let value = "'; touch pwned; echo \"$(id)`id`\n"
        let script: ValueMap = [
            "script": .string("printf %s \"$BOBBIN_VALUE_1\""),
            "values": .map(["BOBBIN_VALUE_1": .string(value + "!")]),
        ]
        let site = try TestSite()
        #expect(try site.perform("shell", ["script": .map(script)])["stdout"] == .string(value + "!"))
        #expect(!site.exists("pwned"))
        var large = script
        large["values"] = .map(["BOBBIN_VALUE_1": .string(String(repeating: "x", count: 200_000))])
        #expect(try site.failure("shell", ["script": .map(large)]).code == "E-STEP-PARAM")
    }

    @Test func outputCanBeReadAsJSONOrLines() throws {
        let site = try TestSite()
        let json = try site.perform(
            "run", ["argv": .texts(["echo", "{\"a\": [1, 2.5, null]}"]), "parse": .string("json")])
        #expect(json["json"] == .map(["a": .list([.int(1), .double(2.5), .null])]))
        let lines = try site.perform(
            "shell", ["script": .string("echo a; echo; echo b"), "parse": .string("lines")])
        #expect(lines["lines"] == .texts(["a", "", "b"]))
        #expect(
            try site.failure("run", ["argv": .texts(["echo", "{"]), "parse": .string("json")]).code
                == "E-JSON")
    }

    @Test func aLongOutputIsCutVisibly() throws {
        let site = try TestSite()
        let arguments: ValueMap = ["argv": .texts(["seq", "1", "1000"]), "capture": .int(10)]
        let outputs = try site.perform("run", arguments)
        #expect(outputs["stdout"] == .string("1\n2\n3\n4\n5") && outputs["truncated"] == .bool(true))
        var parsed = arguments
        parsed["parse"] = .string("lines")
        #expect(try site.failure("run", parsed).code == "E-OUTPUT-SIZE")
    }

    @Test func bashIsThereForThoseWhoAsk() throws {
        let outputs = try TestSite().perform(
            "shell", ["script": .string("a=(1 2); echo ${#a[@]}"), "interpreter": .string("bash")])
        #expect(outputs["stdout"] == .string("2"))
    }
}
