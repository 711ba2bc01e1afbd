// What this is: steps that are stopped at every point where a run may end, and started again.
// Owns: the comparison with a step that was never stopped.
// Never: kills a process; a checkpoint that throws ends the step at the same places.
// On failure: the number of checkpoints that passed is in the message.
import JobModel
import LinuxSystem
import Testing

@testable import StepLibrary

@Suite struct TransferCrashTests {
    static let files = ["in/a", "in/b", "in/c", "in/sub/a"]

    private func filled(_ site: TestSite) throws {
        for (index, name) in TransferCrashTests.files.enumerated() {
            try site.file(name, "text \(index)", age: 90)
        }
        try site.file("out/b", "was here")
    }
    private func arguments(_ step: String, _ collision: String, _ out: String) -> ValueMap {
        let files = Value.texts(TransferCrashTests.files)
        if step == "rename" {
            return ["files": files, "rule": .string("{index}_{basename}"), "collision": .string(collision)]
        }
        return ["files": files, "dest": .string(out), "collision": .string(collision)]
    }
    /// Stops after `stop` checkpoints, then after one more each time; returns the outputs and the stops.
    private func perform(
        _ site: TestSite, _ step: String, _ arguments: ValueMap, stop: Int
    ) throws -> (outputs: ValueMap, stops: Int) {
        for round in 0..<100 {
            let context = FakeContext(site)
            context.isRerun = round > 0
            context.checkpointsLeft = stop + round
            do { return (try site.perform(step, arguments, context), round) } catch let failure as Failure {
                guard failure.code == "E-STOPPED" else { throw failure }
            }
        }
        throw Failure("E-TEST", "it never ended")
    }

    @Test(arguments: ["move_to", "copy_to", "rename"], ["suffix", "overwrite"])
    func anyStopEndsTheSame(step: String, collision: String) throws {
        let whole = try TestSite()
        try filled(whole)
        // Two files of one name cannot go to one place with overwrite: then the last one stays out.
        let isShort = collision == "overwrite" && step != "rename"
        var wanted = arguments(step, collision, "out")
        if isShort { wanted["files"] = .texts(TransferCrashTests.files.dropLast()) }
        let expected = try whole.perform(step, wanted)
        for stop in 0..<16 {
            let site = try TestSite()
            try filled(site)
            let (outputs, stops) = try perform(site, step, wanted, stop: stop)
            #expect(site.relative(outputs["files"]) == whole.relative(expected["files"]), "stop \(stop)")
            #expect(try site.tree("in") == whole.tree("in"), "stop \(stop)")
            #expect(try site.tree("out") == whole.tree("out"), "stop \(stop)")
            if stop == 0 { #expect(stops >= 3) }
        }
    }

    @Test(.enabled(if: TransferTests.hasSecondFileSystem)) func acrossFileSystemsToo() throws {
        for stop in 0..<24 {
            let site = try TestSite(), other = try TestSite(in: "/dev/shm")
            try filled(site)
            let wanted = arguments("move_to", "suffix", other.path + "/out")
            _ = try perform(site, "move_to", wanted, stop: stop)
            #expect(try site.tree("in") == [:], "stop \(stop)")
            #expect(
                try other.tree("out") == [
                    "out/a": "text 0", "out/b": "text 1", "out/c": "text 2", "out/a_1": "text 3",
                ], "stop \(stop)")
        }
    }

    @Test(arguments: ["move_to", "copy_to", "rename"]) func aRerunAfterTheEndFindsItDone(step: String) throws
    {
        let site = try TestSite()
        try filled(site)
        let wanted = arguments(step, "suffix", "out")
        let first = try site.perform(step, wanted)
        let trees = try (site.tree("in"), site.tree("out"))
        let again = FakeContext(site)
        again.isRerun = true
        #expect(try site.perform(step, wanted, again) == first)
        #expect(try (site.tree("in"), site.tree("out")) == trees)
    }

    @Test func aCopyWhoseSourceWasNotRemovedYetIsFinished() throws {
        let site = try TestSite()
        try site.file("in/a", "A", age: 90)
        let context = FakeContext(site)
        let wanted: ValueMap = ["files": .string("in/a"), "dest": .string("out")]
        context.checkpointsLeft = 1
        #expect(try site.failure("move_to", wanted, context).code == "E-STOPPED")
        // The power went after the copy was published and before the source was removed.
        _ = try site.perform("copy_to", wanted, FakeContext(site, step: "other"))
        let again = FakeContext(site)
        again.isRerun = true
        _ = try site.perform("move_to", wanted, again)
        #expect(try site.tree("in") == [:] && site.tree("out") == ["out/a": "A"])
    }

    @Test func aForeignFileIsNeverReplacedByARerun() throws {
        let site = try TestSite()
        try site.file("in/a", "A")
        let wanted: ValueMap = ["files": .string("in/a"), "dest": .string("out")]
        let context = FakeContext(site)
        context.checkpointsLeft = 1
        #expect(try site.failure("move_to", wanted, context).code == "E-STOPPED")
        try site.file("out/a", "B")
        let again = FakeContext(site)
        again.isRerun = true
        #expect(try site.failure("move_to", wanted, again).code == "E-FILE-EXISTS")
        #expect(site.text("in/a") == "A" && site.text("out/a") == "B")
    }

    @Test func aSourceThatSomebodyTookIsMissed() throws {
        let site = try TestSite()
        try site.file("in/a", "A")
        let wanted: ValueMap = ["files": .string("in/a"), "dest": .string("out")]
        let context = FakeContext(site)
        context.checkpointsLeft = 1
        _ = try site.failure("move_to", wanted, context)
        try site.folder("in").remove("a")
        let again = FakeContext(site)
        again.isRerun = true
        #expect(try site.failure("move_to", wanted, again).code == "E-FILE-MISSING")
    }

    @Test func aPlanThatIsDamagedTouchesNothing() throws {
        let site = try TestSite()
        try site.file("in/a", "A")
        let context = FakeContext(site)
        context.isRerun = true
        let plan = try context.runFile("step-2.plan")
        try site.file(String(plan.dropFirst(site.path.utf8.count + 1)), "bobbin plan 1 move_to\n[\"x\"]\n")
        let failure = try site.failure(
            "move_to", ["files": .string("in/a"), "dest": .string("out")], context)
        #expect(failure.code == "E-PLAN" && site.exists("in/a"))
    }
}
