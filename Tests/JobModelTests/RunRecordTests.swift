// What this is: the folding of events into a run's record, as properties over random lives.
// Owns: what may be said of a record after any event: waits, attempts, the end that stays the end.
// Never: drives a run.
// On failure: the seed of the life is in the message.
// Lives are legal here: what a runner would write. RunJournalTests folds arbitrary ones.
import JobModel
import TestKit
import Testing

private func acceptance() throws -> Acceptance {
    Acceptance(
        id: try #require(RunID("01ARZ3NDEKTSV4RRFFQ69G5FAV")), queue: .standard, priority: .normal,
        dropName: "a.b.yaml", jobName: "a",
        submitter: Submitter(uid: 1, name: "alice"), acceptedAt: Timestamp(seconds: 1),
        arrivedAt: Timestamp(seconds: 0),
        identity: InodeIdentity(inode: 1, birthNanoseconds: 2), snapshot: [1], sha256: "", runner: "main")
}
private func step(_ number: Int, _ state: StepState, run: Int, attempt: Int = 1, at seconds: Int64)
    -> StepRecord
{
    StepRecord(
        place: StepPlace(.main, [number]), title: "s", id: nil, type: "t", runAttempt: run, attempt: attempt,
        state: state,
        startedAt: Timestamp(seconds: seconds),
        endedAt: state == .running ? nil : Timestamp(seconds: seconds + 1))
}

/// One legal life, event by event, with what must hold after each.
private struct Life {
    var random: SeededRandom
    var record: RunRecord
    var parked = 0, starts = 0, clock: Int64 = 10
    let seed: UInt64

    init(seed: UInt64) throws {
        self.seed = seed
        random = SeededRandom(seed: seed)
        record = RunRecord(try acceptance())
    }
    mutating func event() -> RunEvent {
        clock += 1
        let now = Timestamp(seconds: clock)
        if case .waiting(let wait) = record.state {
            if random.chance(5) { return .parked(Wait(.held, since: now, nextAttempt: wait.nextAttempt)) }
            if wait.reason == .interrupted { return .resolved(random.pick(Resolution.allCases), at: now) }
            return .resumed(at: now)
        }
        if !record.openSteps.isEmpty {
            return .stepEnded(
                step(record.steps.count, random.pick([.succeeded, .failed]), run: record.attempt, at: clock))
        }
        switch random.below(5) {
        case 0:
            return .parked(
                Wait(
                    random.pick(Wait.Reason.allCases), since: now,
                    nextAttempt: record.attempt + random.below(2)))
        default: return .stepStarted(step(record.steps.count + 1, .running, run: record.attempt, at: clock))
        }
    }
    mutating func live() {
        let before = record
        let event = event()
        record.apply(event)
        switch event {
        case .parked(let wait):
            parked += 1
            #expect(record.state == .waiting(wait) && record.attempt == before.attempt, "life \(seed)")
        case .resumed(let at), .resolved(_, let at):
            guard case .waiting(let wait) = before.state else { return }
            #expect(record.state == .queued && record.attempt == wait.nextAttempt, "life \(seed)")
            #expect(record.waits.last?.endedAt == at, "life \(seed)")
        case .stepStarted(let entry):
            starts += 1
            #expect(
                record.state == .running && record.openSteps == [entry] && record.answer == nil,
                "life \(seed)")
            #expect(record.startedAt == (before.startedAt ?? entry.startedAt), "life \(seed)")
        case .stepEnded:
            #expect(record.openSteps.isEmpty && record.steps.count == before.steps.count, "life \(seed)")
        default: break
        }
        let isWaiting = if case .waiting = record.state { true } else { false }
        #expect(
            record.waits.count == parked && record.waits.count { $0.endedAt == nil } == (isWaiting ? 1 : 0),
            "life \(seed)")
        #expect(
            record.waits.dropLast().allSatisfy { $0.endedAt != nil } && record.steps.count == starts,
            "life \(seed)")
    }
}

@Suite struct RunRecordTests {
    @Test func everyLifeKeepsItsBooks() throws {
        for seed in UInt64(1)...300 {
            var life = try Life(seed: seed)
            for _ in 0..<life.random.below(40) { life.live() }
        }
    }
    @Test func nothingChangesAfterTheEnd() throws {
        for seed in UInt64(1)...200 {
            var life = try Life(seed: seed)
            for _ in 0..<life.random.below(20) { life.live() }
            let final = life.random.pick(FinalState.allCases), end = Timestamp(seconds: 10_000)
            let failure = Failure("E-X", "x")
            life.record.apply(.ended(final, at: end, failure: failure, outputs: ["a": .int(1)], result: [7]))
            let ended = life.record
            #expect(
                ended.finalState == final && ended.endedAt == end && ended.failure == failure
                    && ended.result == [7])
            #expect(ended.waits.allSatisfy { $0.endedAt != nil } && ended.outputs == ["a": .int(1)])
            let late: [RunEvent] = [
                .accepted(ended.acceptance), .stepStarted(step(1, .running, run: 1, at: 1)),
                .stepEnded(step(1, .failed, run: 1, at: 1)),
                .parked(Wait(.held, since: end, nextAttempt: 5)), .resumed(at: end),
                .resolved(.retry, at: end), .retired,
                .carried(RunRecord(ended.acceptance)),
                .ended(.succeeded, at: end, failure: nil, outputs: [:], result: []),
            ]
            for event in late { life.record.apply(event) }
            #expect(life.record == ended, "life \(seed)")
        }
    }
    @Test func theLastAttemptOfAStepIsFound() throws {
        var record = RunRecord(try acceptance())
        for (run, attempt) in [(1, 1), (1, 2), (2, 1)] {
            record.attempt = run
            record.apply(.stepStarted(step(1, .running, run: run, attempt: attempt, at: 1)))
            record.apply(.stepEnded(step(1, .failed, run: run, attempt: attempt, at: 1)))
        }
        #expect(record.last(StepPlace(.main, [1]))?.runAttempt == 2)
        record.attempt = 1
        #expect(record.last(StepPlace(.main, [1]))?.attempt == 2)
        #expect(record.last(StepPlace(.finally, [1])) == nil && record.last(StepPlace(.main, [2])) == nil)
    }
    @Test func aStepThatStartsAgainLeavesNoneRunningBehind() throws {
        var record = RunRecord(try acceptance())
        record.apply(.stepStarted(step(1, .running, run: 1, attempt: 1, at: 1)))
        record.apply(.stepStarted(step(1, .running, run: 1, attempt: 2, at: 5)))
        record.apply(.stepEnded(step(1, .succeeded, run: 1, attempt: 2, at: 5)))
        #expect(record.steps.map(\.state) == [.interrupted, .succeeded])
    }
    @Test(arguments: [
        ("a.yaml", "a"), ("a.b.yml", "a.b"), ("a.json", "a"), ("a", "a"), ("a.yaml.yaml", "a.yaml"),
        (".yaml", ""),
    ])
    func stems(name: String, stem: String) throws {
        var accepted = try acceptance()
        accepted.dropName = name
        #expect(accepted.stem == stem)
    }
    @Test func stepsBesideEachOtherEndEachForItself() throws {
        var record = RunRecord(try acceptance())
        for number in 1...3 { record.apply(.stepStarted(step(number, .running, run: 1, at: 1))) }
        record.apply(.stepEnded(step(2, .succeeded, run: 1, at: 1)))
        #expect(record.steps.map(\.state) == [.running, .succeeded, .running])
        #expect(record.openSteps.map(\.label) == ["1", "3"])
        // A crash cut off both of the others; a person is asked about the first, then about the second.
        for number in [1, 3] { record.apply(.stepEnded(step(number, .interrupted, run: 1, at: 1))) }
        #expect(record.unknownStep?.label == "1")
        record.apply(.stepEnded(step(1, .skipped, run: 1, at: 1)))
        #expect(record.unknownStep?.label == "3" && record.steps.count == 4)
        record.attempt = 2
        #expect(record.unknownStep == nil)
    }
    @Test func whatOnlyHoldsOthersIsNotShownAsOpen() throws {
        var record = RunRecord(try acceptance())
        for path in [[2], [2, 7], [2, 7, 1]] {
            var entry = step(1, .running, run: 1, at: 1)
            entry.place = StepPlace(.main, path)
            record.apply(.stepStarted(entry))
        }
        #expect(record.openSteps.map(\.label) == ["2.7.1"])
    }
    @Test(arguments: [
        "3", "3.7.2", "on_failure.1", "finally.2.1", "steps.1", "0", "01", "-1", "", "3.", ".3", "3..2", "a",
        "+1",
    ])
    func places(text: String) {
        let legal = ["3", "3.7.2", "on_failure.1", "finally.2.1"]
        let place = StepPlace(text)
        #expect((place != nil) == legal.contains(text))
        if let place { #expect(place.text == text) }
    }
    @Test func whatContainsWhat() {
        let place = StepPlace(.main, [3])
        #expect(place.contains(place.inside(1)) && place.contains(StepPlace(.main, [3, 1, 2])))
        #expect(!place.contains(place) && !place.contains(StepPlace(.main, [30, 1])))
        #expect(!place.contains(StepPlace(.finally, [3, 1])) && !place.inside(1).contains(place))
    }
    @Test func finalStatesOfFailures() {
        for kind in Failure.Kind.allCases {
            #expect(
                FinalState(kind) == (kind == .interrupted ? .failed : FinalState(rawValue: kind.rawValue)))
            #expect(StepState(kind).rawValue == kind.rawValue)
        }
    }
    @Test func labels() {
        #expect(
            Section.main.label(2) == "2" && Section.onFailure.label(1) == "on_failure.1"
                && Section.finally.label(3) == "finally.3")
    }
}
