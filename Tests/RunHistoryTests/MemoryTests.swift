// MemoryTests: what is added is there, once, and the same however it came there.
// Owns: adding, replacing, clearing, the dump, the parts of a run and its attempts.
// Never: tests filters (FilterTests) or files that are no history (OpeningTests).
// On failure: the two texts or rows that differ are shown.
// The dump stands for the tables: equal dumps are equal histories.

import JobModel
import RunHistory
import Testing

@Suite struct MemoryTests {
    let file: HistoryFile
    let history: RunHistory

    init() throws {
        file = try HistoryFile()
        history = try RunHistory(path: file.path)
    }

    @Test func addingTwiceIsAddingOnce() throws {
        let runs = (1...5).map { sampleRun($0) }
        try history.add(runs)
        let once = try history.dump()
        try history.add(runs + runs)
        #expect(try history.dump() == once)
        // And what all of them together count for: one state, one class of waits, one of durations.
        #expect(once.split(separator: "\n").count == 5 * (1 + 1 + 2 + 1) + 3)
    }

    @Test func aRunIsReplacedWhole() throws {
        try history.add([sampleRun(1)])
        var shorter = sampleRun(1, .failed)
        shorter.steps.removeLast()
        shorter.waits = []
        try history.add([shorter])
        #expect(try history.runs(RunFilter()).map(\.state) == [.failed])
        #expect(try history.steps(of: shorter.id).count == 1)
        #expect(try history.waits(of: shorter.id).isEmpty)
    }

    @Test func theOrderOfAddingLeavesNoTrace() throws {
        let runs = (1...40).map { sampleRun($0, ticket: "t\($0)") }
        try history.add(runs)
        let forward = try history.dump()
        try history.clear()
        #expect(try history.dump().isEmpty)
        for run in runs.shuffled() { try history.add([run]) }
        #expect(try history.dump() == forward)
    }

    @Test func whatAResultBringsBackIsTheSame() throws {
        let runs =
            (1...3).map { sampleRun($0, failure: Failure("E-EXIT", "status 3", step: "2")) } + [retried()]
        try history.add(runs)
        let lived = try history.dump()
        try history.clear()
        try history.add(runs.map(asReadBack))
        #expect(try history.dump() == lived)
    }

    @Test func aRunIsReadAsItWas() throws {
        let run = sampleRun(1, .failed, ticket: "t-1", failure: Failure("E-EXIT", "status 3", step: "2"))
        try history.add([run])
        let summary = try #require(try history.run(idPrefix: "t-1").first)
        #expect(summary.id == run.id)
        #expect(summary.waited == .milliseconds(20))
        #expect(summary.ran == .milliseconds(80))
        #expect(summary.submitter == run.acceptance.submitter)
        #expect(summary.outputs == #"{"file":"a \"b\"\nc"}"#)
        let error = try #require(summary.error)
        #expect((error.code, error.message, error.step) == ("E-EXIT", "status 3", "2"))
        #expect(try history.waits(of: run.id) == asReadBack(run).waits)
        let steps = try history.steps(of: run.id)
        #expect(steps.map(\.label) == ["1", "finally.1"])
        #expect(steps[0].outputs == #"{"bytes":3,"share":2.0}"#)
        #expect(steps.map(\.endedAt) == asReadBack(run).steps.map(\.endedAt))
    }

    @Test func aRunThatNeverStartedWaitedToItsEnd() throws {
        var run = sampleRun(1, .cancelled)
        (run.startedAt, run.steps, run.waits) = (nil, [], [])
        try history.add([run])
        let summary = try #require(try history.runs(RunFilter()).first)
        #expect(summary.waited == .milliseconds(100))
        #expect(summary.ran == nil)
        let attempt = try #require(try history.attempts(of: run.id).first)
        #expect(attempt.state == .cancelled && attempt.startedAt == nil && attempt.endedAt != nil)
    }

    @Test func attemptsAreToldApart() throws {
        let run = retried()
        try history.add([run])
        let attempts = try history.attempts(of: run.id)
        #expect(attempts.map(\.attempt) == [1, 2])
        #expect(attempts.map(\.state) == [.timedOut, .succeeded])
        #expect(attempts[0].endedAt == asReadBack(run).waits[0].wait.since)
        #expect(attempts[1].endedAt == asReadBack(run).endedAt)
    }

    @Test func cancelledBetweenAttemptsLeavesTheFirstAsItEnded() throws {
        var run = retried()
        run.steps.removeLast()
        (run.attempt, run.state) = (1, .ended(.cancelled))
        try history.add([run])
        #expect(try history.attempts(of: run.id).map(\.state) == [.timedOut])
    }

    @Test func aRunThatHasNotEndedIsRefusedWithItsBatch() throws {
        var open = sampleRun(2)
        open.state = .running
        #expect { try history.add([sampleRun(1), open]) } throws: {
            ($0 as? Failure)?.code == "E-HISTORY-OPEN"
        }
        #expect(try history.dump().isEmpty)
    }

    @Test func missingTellsWhatToAdd() throws {
        try history.add([sampleRun(1), sampleRun(3)])
        #expect(try history.missing(from: (1...4).map(sampleID)) == [2, 4].map(sampleID))
        #expect(try history.contains(sampleID(3)))
        #expect(try !history.contains(sampleID(4)))
    }

    /// A branch that was cut short says nothing of how the attempt ended, though its record is the last.
    @Test func whatWasCutShortIsNotHowItEnded() throws {
        var run = retried()
        var cut = run.steps[0]
        cut.place = StepPlace(.main, [2])
        cut.state = .cancelled
        cut.failure = Failure(Failure.halted, "something beside it failed", kind: .cancelled, retry: .never)
        run.steps.insert(cut, at: 1)
        try history.add([run])
        #expect(try history.attempts(of: run.id).map(\.state) == [.timedOut, .succeeded])
    }

    /// One timed out attempt, a wait, and one that succeeded.
    private func retried() -> RunRecord {
        var run = sampleRun(9)
        let end = instant(9000)
        func step(_ attempt: Int, _ state: StepState, _ from: Int64, _ to: Int64) -> StepRecord {
            StepRecord(
                place: StepPlace(.main, [1]), title: "fetch", id: nil, type: "http", runAttempt: attempt,
                attempt: 1,
                state: state, startedAt: end.adding(.milliseconds(-from)),
                endedAt: end.adding(.milliseconds(-to)))
        }
        run.steps = [step(1, .timedOut, 80, 70), step(2, .succeeded, 40, 10)]
        let wait = Wait(.retry, until: end, since: end.adding(.milliseconds(-60)), nextAttempt: 2)
        run.waits = [WaitRecord(wait: wait, endedAt: end.adding(.milliseconds(-50)))]
        run.attempt = 2
        return run
    }
}
