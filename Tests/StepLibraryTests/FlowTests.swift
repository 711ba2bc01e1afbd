// What this is: the steps that touch nothing, and the words of all steps about their arguments.
// Owns: nothing.
// Never: waits.
// On failure: the code of the failure is in the message.
import JobModel
import Testing

@testable import StepLibrary

@Suite struct FlowTests {
    @Test func assertSpeaksWithTheJobsWords() throws {
        let site = try TestSite()
        #expect(try site.perform("assert", ["condition": .bool(true)]).isEmpty)
        let failure = try site.failure(
            "assert", ["condition": .bool(false), "message": .string("no invoices")])
        #expect(failure.code == "E-ASSERT" && failure.message == "no invoices" && failure.retry == .permanent)
        #expect(try site.failure("assert", ["condition": .string("x > 1")]).code == "E-STEP-PARAM")
    }
    @Test func failIsNeverRetried() throws {
        let failure = try TestSite().failure("fail", ["message": .string("enough")])
        #expect(failure.message == "enough" && failure.retry == .never)
    }
    @Test func setHandsOnItsNames() throws {
        let site = try TestSite()
        let values: ValueMap = ["a": .int(1), "b_2": .list([.bool(true)])]
        #expect(try site.perform("set", ["values": .map(values)]) == values)
        #expect(try site.failure("set", ["values": .map(["2b": .int(1)])]).code == "E-STEP-PARAM")
        let large = Value.string(String(repeating: "x", count: Limits.outputBytes + 1))
        #expect(try site.failure("set", ["values": .map(["a": large])]).code == "E-OUTPUT-SIZE")
    }
    @Test func logWritesLines() throws {
        let site = try TestSite()
        let context = FakeContext(site)
        _ = try site.perform("log", ["message": .string("one\ntwo")], context)
        _ = try site.perform("log", ["message": .list([.int(1)]), "level": .string("warn")], context)
        #expect(context.lines == ["one", "two", "warn: [1]"])
    }
    @Test func sleepPauses() throws {
        let site = try TestSite()
        let context = FakeContext(site)
        #expect(try site.perform("sleep", ["duration": .string("1m30s")], context)["seconds"] == .double(90))
        #expect(context.pauses == [.seconds(90)])
    }
    @Test func aFileThatIsExpectedIsLookedAt() throws {
        let site = try TestSite()
        try site.file("out/a.txt", "12345")
        #expect(try site.perform("assert_file_exists", ["path": .string("out/a.txt")])["bytes"] == .int(5))
        _ = try site.perform("assert_file_exists", ["path": .string("out"), "kind": .string("directory")])
        _ = try site.perform("assert_file_exists", ["path": .string("out/"), "kind": .string("any")])
        for wrong: ValueMap in [
            ["path": .string("out/b.txt")], ["path": .string("out")],
            ["path": .string("out/a.txt"), "min_bytes": .int(6)],
            ["path": .string("out/a.txt"), "kind": .string("directory")],
        ] {
            #expect(try site.failure("assert_file_exists", wrong).code == "E-ASSERT-FILE")
        }
    }
}
