// What this is: the steps that verify or wait: assert_text, wait_for_file, and what they answer.
// Owns: nothing.
// Never: waits for time: a pause of the fake context costs none.
// On failure: the code of the failure is in the message.
import JobModel
import LinuxSystem
import Testing

@testable import StepLibrary

@Suite struct VerifyTests {
    @Test func aTextHoldsWhatItMust() throws {
        let site = try TestSite()
        try site.file("out.txt", "Total: 12 EUR\nall good\n")
        let outputs = try site.perform(
            "assert_text",
            ["path": .string("out.txt"), "contains": .texts(["Total", "EUR"]), "absent": .string("ERROR")])
        #expect(outputs["status"] == .string("PASS") && outputs["passed"] == .bool(true))
        #expect(outputs["retry_attempted"] == .bool(false))
        let folded = try site.perform(
            "assert_text",
            ["text": .string("ÄRGER"), "contains": .string("ärger"), "ignore_case": .bool(true)])
        #expect(folded["status"] == .string("PASS"))
        let cases: [(ValueMap, String, String)] = [
            (["path": .string("out.txt"), "contains": .texts(["Total", "USD"])], "E-ASSERT-TEXT", "USD"),
            (["path": .string("out.txt"), "absent": .string("good")], "E-ASSERT-TEXT", "good"),
            (["path": .string("none"), "contains": .string("x")], "E-FILE-MISSING", "none"),
            (["text": .string("x")], "E-STEP-PARAM", "contains"),
            (
                ["text": .string("x"), "path": .string("y"), "contains": .string("x")], "E-STEP-PARAM",
                "one of"
            ),
            (["contains": .string("x")], "E-STEP-PARAM", "one of"),
        ]
        for (arguments, code, word) in cases {
            let failure = try site.failure("assert_text", arguments)
            #expect(failure.code == code && failure.message.contains(word), "\(failure)")
        }
    }

    @Test func aSecondLookIsSaid() throws {
        let site = try TestSite()
        let context = FakeContext(site)
        // What it waits for comes while it waits.
        context.onPause = { _ = try? site.file("late.txt", "done") }
        let outputs = try site.perform(
            "assert_text", ["path": .string("late.txt"), "contains": .string("done")], context)
        #expect(outputs["status"] == .string("RETRY") && outputs["retry_successful"] == .bool(true))
        #expect(context.pauses == [.milliseconds(500)] && context.lines.count == 1)
        // Two looks are all; and none when it may not.
        let never = FakeContext(site)
        _ = try site.failure(
            "assert_text", ["path": .string("late.txt"), "contains": .string("more")], never)
        #expect(never.pauses.count == 1)
        let once = FakeContext(site)
        _ = try site.failure(
            "assert_text",
            ["path": .string("late.txt"), "contains": .string("more"), "retry_after": .string("0s")], once)
        #expect(once.pauses.isEmpty)
    }

    @Test func aFileIsWaitedFor() throws {
        let site = try TestSite()
        let context = FakeContext(site)
        context.onPause = { _ = try? site.file("in.csv", "a,b\n") }
        let outputs = try site.perform(
            "wait_for_file",
            ["path": .string("in.csv"), "stable_for": .string("1ms"), "every": .string("1s")], context)
        #expect(outputs["bytes"] == .int(4) && outputs["status"] == .string("PASS"))
        #expect(!context.pauses.isEmpty && context.pauses.allSatisfy { $0 <= .seconds(1) })
        let gone = try site.perform("wait_for_file", ["path": .string("none"), "state": .string("absent")])
        #expect(gone["bytes"] == .null)
        let late = try site.failure(
            "wait_for_file", ["path": .string("none"), "within": .string("5ms"), "every": .string("1ms")])
        #expect(late.code == "E-WAIT-FILE" && late.message.contains("did not come"))
        let small = try site.failure(
            "wait_for_file",
            [
                "path": .string("in.csv"), "min_bytes": .int(5), "within": .string("5ms"),
                "every": .string("1ms"),
            ])
        #expect(small.message.contains("not whole"))
    }

    @Test func aRunThatIsCancelledWaitsNoLonger() throws {
        let site = try TestSite()
        let context = FakeContext(site)
        context.onPause = { context.checkpointsLeft = 0 }
        context.pauseChecks = true
        #expect(
            try site.failure("wait_for_file", ["path": .string("none")], context).code == "E-STOPPED")
    }
}
