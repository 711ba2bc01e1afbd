// What this is: the course of a run, told by the events it records.
// Owns: order, conditions, retries, signals, deadlines, handlers, outputs.
// Never: sleeps: what pauses is ended by a signal or by a deadline that has passed.
// On failure: the story of the run is in the message.
// Stories read: start LABEL#ATTEMPT, do KEY, end LABEL#ATTEMPT STATE.
import JobLanguage
import JobModel
import LinuxSystem
import TestKit
import Testing

@testable import RunEngine

private let key = "01ARZ3NDEKTSV4RRFFQ69G5FAV"

@Suite struct RunDriverTests {
    @Test func startsAreDurableWhereTheyMustBe() throws {
        let world = try FakeWorld()
        let spec = job([
            Steps.spec(1), Steps.spec(2, Steps.once), Steps.spec(3, Steps.once, idempotent: true),
            Steps.spec(4, Steps.often, idempotent: false),
            Steps.spec(5, Steps.once, retry: 2),
        ])
        #expect(try world.live(spec).state == .succeeded)
        #expect(
            world.recorder.story == [
                "start 1#1", "do \(key)/1", "end 1#1 succeeded", "start 2#1 durable", "do \(key)/2",
                "end 2#1 succeeded",
                "start 3#1", "do \(key)/3", "end 3#1 succeeded", "start 4#1 durable", "do \(key)/4",
                "end 4#1 succeeded",
                "start 5#1", "do \(key)/5", "end 5#1 succeeded", "ended succeeded",
            ])
    }
    @Test(arguments: [true, false]) func onlyWhatMayBeRepeatedIsTriedAgain(only: Bool) throws {
        var policy = Steps.policy(3)
        policy.onlyIdempotent = only
        var own = Steps.spec(1, Steps.once, do: "transient")
        own.retry = policy
        let world = try FakeWorld()
        #expect(try world.live(job([own])).state == .failed)
        #expect(world.recorder.performances.count == (only ? 1 : 3))
        // The same for a run; one whose steps may all be repeated is.
        for (type, tries) in [(Steps.once, only ? 1 : 3), (Steps.often, 3)] {
            let world = try FakeWorld()
            var spec = job([Steps.spec(1, type, do: "transient")])
            spec.retry = policy
            #expect(try world.live(spec).state == .failed)
            #expect(world.recorder.performances.count == tries)
        }
    }

    /// The host's trouble is no failure of the job: no try is counted, however often it happens.
    @Test func whatCouldNotBeSpawnedIsTriedAgainWithoutCounting() throws {
        let left = Monitor(9)
        let world = try FakeWorld(calls: [
            "starved": { _ throws(Failure) in
                if left.with({
                    $0 -= 1; return $0 >= 0
                }) {
                    try Steps.outcome("unspawned")
                }
                return [:]
            }
        ])
        let spec = job([
            Steps.spec(1, Steps.once), Steps.spec(2, Steps.call, retry: 2, parameters: ["name": "starved"]),
        ])
        let outcome = try world.live(spec)
        #expect(outcome.state == .succeeded, "\(world.recorder.story)")
        #expect(outcome.waits == Array(repeating: .retry, count: 9))
        #expect(outcome.record.attempt == 1 && outcome.record.steps.allSatisfy { $0.attempt == 1 })
        #expect(world.recorder.performances.count { $0 == "\(key)/1" } == 1)
        let seconds: [Int64] = outcome.record.waits.map { entry in
            (entry.wait.until?.since(entry.wait.since).nanoseconds ?? 0) / 1_000_000_000
        }
        #expect(seconds == [1, 2, 4, 8, 16, 32, 60, 60, 60])
    }
    @Test func conditions() throws {
        let world = try FakeWorld()
        let spec = job([
            Steps.spec(1, id: "a", parameters: ["text": "x"]), Steps.spec(2, when: "steps.a.text == 'y'"),
            Steps.spec(3, when: "steps.a.text == 'x'"),
            Steps.spec(4, when: "steps['2'].state == 'skipped'"),
        ])
        #expect(try world.live(spec).state == .succeeded)
        #expect(world.recorder.performances == ["\(key)/1", "\(key)/3", "\(key)/4"])
        #expect(world.recorder.story.contains("end 2#1 skipped"))
    }
    @Test func anErrorInAConditionIsAFailureAndNoSkip() throws {
        let world = try FakeWorld()
        let outcome = try world.live(job([Steps.spec(1, when: "nonsense > 1"), Steps.spec(2)], retry: 3))
        #expect(outcome.state == .failed && outcome.failure?.step == "1" && outcome.failure?.retry == .never)
        #expect(world.recorder.performances.isEmpty && outcome.waits.isEmpty, "\(world.recorder.story)")
    }
    @Test func aStepThatCannotBeRenderedNeverStarts() throws {
        for step in [
            Steps.spec(1, parameters: ["text": "{{ nowhere }}"]),
            Steps.spec(1, parameters: ["text": .list([])]),
            Steps.spec(1, environment: ["A": "{{ nowhere }}"]),
        ] {
            let world = try FakeWorld()
            let outcome = try world.live(job([step]))
            #expect(
                outcome.state == .failed && outcome.failure?.retry == .never
                    && world.recorder.performances.isEmpty)
            #expect(world.recorder.story == ["end 1#1 failed", "ended failed"])
        }
    }

    // MARK: retries

    @Test func aStepIsTriedAgainWithoutSlotOrThread() throws {
        for (attempts, word, tries) in [
            (3, "permanent", 3), (3, "transient", 3), (3, "timed_out", 3), (3, "never", 1), (3, "denied", 1),
            (1, "permanent", 1),
        ] {
            let world = try FakeWorld()
            let spec = job([Steps.spec(1, Steps.once, do: word, retry: attempts), Steps.spec(2)])
            let outcome = try world.live(spec, queue: QueuePolicy(name: .standard, retry: .none))
            #expect(
                world.recorder.performances.count == tries
                    && outcome.waits == Array(repeating: .retry, count: tries - 1), "\(word)")
            let wanted: FinalState = word == "denied" ? .denied : word == "timed_out" ? .timedOut : .failed
            #expect(outcome.state == wanted && outcome.record.attempt == 1, "\(word)")
            #expect(outcome.record.steps.map(\.attempt) == Array(1...tries))
        }
    }
    @Test func theWaitIsAsLongAsThePolicySays() throws {
        let world = try FakeWorld()
        let before = Clocks.wall
        guard
            case .suspended(let wait) = world.driver(
                try RunRecord(FakeWorld.acceptance()), job([Steps.spec(1, do: "permanent", retry: 2)])
            ).drive()
        else {
            Issue.record("not suspended")
            return
        }
        let delay = try #require(wait.until).nanoseconds - wait.since.nanoseconds
        #expect(wait.since.nanoseconds >= before && delay >= 800_000_000 && delay <= 1_200_000_000)
    }
    @Test func aRunIsTriedAgainFromItsFirstStep() throws {
        let world = try FakeWorld()
        let outcome = try world.live(
            job(
                [Steps.spec(1), Steps.spec(2, do: "permanent"), Steps.spec(3)],
                onFailure: [Steps.spec(1, Steps.often, .onFailure)], retry: 2))
        #expect(outcome.state == .failed && outcome.record.attempt == 2 && outcome.waits == [.retry])
        #expect(
            world.recorder.performances.map { $0.dropFirst(27) } == ["1", "2", "1", "2", "on_failure.1"],
            "\(world.recorder.story)")
    }
    @Test func theQueueRetriesOnlyWhatCanHaveDoneNoHarm() throws {
        let queue = QueuePolicy(name: .standard, retry: Steps.policy(3))
        for (word, first, tries) in [
            ("transient", Steps.often, 3), ("permanent", Steps.often, 1), ("transient", Steps.once, 1),
            ("never", Steps.often, 1), ("timed_out", Steps.often, 3),
        ] {
            let world = try FakeWorld()
            let outcome = try world.live(job([Steps.spec(1, first), Steps.spec(2, do: word)]), queue: queue)
            #expect(outcome.record.attempt == tries, "\(word) after \(first.name)")
        }
    }

    @Test func theQueueDoesNotMultiplyAStepsOwnRetry() throws {
        let world = try FakeWorld()
        let outcome = try world.live(
            job([Steps.spec(1, do: "transient", retry: 3)]),
            queue: QueuePolicy(name: .standard, retry: Steps.policy(3)))
        #expect(outcome.state == .failed && outcome.record.attempt == 1)
        #expect(world.recorder.performances.count == 3, "\(world.recorder.story)")
    }

    // MARK: handlers

    @Test func handlersAfterAFailure() throws {
        let world = try FakeWorld()
        let spec = job(
            [Steps.spec(1, do: "permanent"), Steps.spec(2)],
            onFailure: [
                Steps.spec(1, Steps.often, .onFailure, do: "permanent"),
                Steps.spec(
                    2, Steps.often, .onFailure,
                    parameters: ["text": "{{ run.error.code }} {{ run.error.step }}"]),
            ],
            finally: [
                Steps.spec(1, Steps.often, .finally, do: "permanent"), Steps.spec(2, Steps.often, .finally),
            ])
        let outcome = try world.live(spec)
        #expect(
            outcome.state == .failed && outcome.failure?.code == "E-PERMANENT" && outcome.failure?.step == "1"
        )
        #expect(
            world.recorder.performances.map { $0.dropFirst(27) } == [
                "1", "on_failure.1", "on_failure.2", "finally.1", "finally.2",
            ])
        #expect(outcome.record.last(StepPlace(.onFailure, [2]))?.outputs["text"] == "E-PERMANENT 1")
    }
    @Test func handlersAfterSuccess() throws {
        let world = try FakeWorld()
        let outcome = try world.live(
            job(
                [Steps.spec(1)], onFailure: [Steps.spec(1, Steps.often, .onFailure)],
                finally: [Steps.spec(1, Steps.often, .finally)]))
        #expect(
            outcome.state == .succeeded
                && world.recorder.performances.map { $0.dropFirst(27) } == ["1", "finally.1"])
        let other = try FakeWorld()
        let failed = try other.live(
            job(
                [Steps.spec(1)],
                finally: [
                    Steps.spec(1, Steps.often, .finally, do: "permanent"),
                    Steps.spec(2, Steps.often, .finally),
                ]))
        #expect(
            failed.state == .failed && failed.failure?.step == "finally.1"
                && other.recorder.performances.count == 3)
    }
    @Test func errorsThatAreNoReasonToStop() throws {
        let world = try FakeWorld()
        let outcome = try world.live(
            job([
                Steps.spec(1, do: "permanent", id: "a", continueOnError: true),
                Steps.spec(2, when: "steps.a.state == 'failed' and steps.a.error.code == 'E-PERMANENT'"),
            ]))
        #expect(outcome.state == .succeeded && world.recorder.performances.count == 2)
    }
    @Test func outputs() throws {
        let world = try FakeWorld()
        let spec = job(
            [Steps.spec(1, id: "a", parameters: ["text": "{{ who }}"])], variables: ["who": "me"],
            outputs: ["said": "{{ steps.a.text }}", "n": "{{ steps.a.attempt }}"])
        #expect(try world.live(spec).outputs == ["said": "me", "n": .int(1)])
        let bad = try FakeWorld().live(job([Steps.spec(1)], outputs: ["x": "{{ steps.none.y }}"]))
        #expect(bad.state == .failed && bad.failure?.message.contains("outputs") == true)
    }
    @Test func whatAStepCanSeeOfItsRun() throws {
        let world = try FakeWorld()
        let texts = [
            "{{ run.id }}", "{{ run.queue }}/{{ run.priority }}", "{{ run.attempt }}",
            "{{ run.submitted_by }}", "{{ run.file }}",
        ]
        let outcome = try world.live(
            job(texts.enumerated().map { Steps.spec($0 + 1, parameters: ["text": .string($1)]) }))
        #expect(
            outcome.record.steps.map { $0.outputs["text"]?.text } == [
                key, "default/5", "1", "alice", "job.yaml",
            ])
    }

    // MARK: signals

    @Test func holdTakesEffectAtTheNextStep() throws {
        let signals = RunSignals()
        let world = try FakeWorld(calls: [
            "hold": { (_) throws(Failure) in
                signals.raise(.hold); return [:]
            }
        ])
        let spec = job([Steps.spec(1, Steps.call, parameters: ["name": "hold"]), Steps.spec(2, Steps.once)])
        let record = try RunRecord(FakeWorld.acceptance())
        guard case .suspended(let wait) = world.driver(record, spec, signals: signals).drive() else {
            Issue.record("not held"); return
        }
        #expect(wait.reason == .held && wait.until == nil && wait.nextAttempt == 1)
        #expect(world.recorder.story == ["start 1#1", "do \(key)/1", "end 1#1 succeeded"])
        var held = record
        for event in world.recorder.events + [.parked(wait), .resumed(at: Timestamp(seconds: 9))] {
            held.apply(event)
        }
        #expect(try world.live(spec, from: held).state == .succeeded)
        #expect(world.recorder.performances == ["\(key)/1", "\(key)/2"])
    }
    @Test func aCancelEndsAPauseAndStillCleansUp() throws {
        let signals = RunSignals()
        let world = try FakeWorld(
            calls: [
                "wait": { (context) throws(Failure) in
                    try context.pause(.seconds(3600)); return [:]
                }
            ],
            hook: { event in
                if case .stepStarted(let step) = event, step.place.section == .main { signals.raise(.cancel) }
            })
        let spec = job(
            [Steps.spec(1, Steps.call, continueOnError: true, parameters: ["name": "wait"]), Steps.spec(2)],
            onFailure: [Steps.spec(1, Steps.often, .onFailure)],
            finally: [Steps.spec(1, Steps.often, .finally)])
        guard
            case .ended(.cancelled, let failure, _) = world.driver(
                try RunRecord(FakeWorld.acceptance()), spec, signals: signals
            ).drive()
        else {
            Issue.record("not cancelled: \(world.recorder.story)")
            return
        }
        #expect(failure?.code == "E-CANCELLED" && failure?.step == "1")
        #expect(
            world.recorder.story.suffix(3) == [
                "start finally.1#1", "do \(key)/finally.1", "end finally.1#1 succeeded",
            ], "\(world.recorder.story)")
        #expect(!world.recorder.performances.contains("\(key)/on_failure.1"))
    }
    @Test func aCancelFromAnotherThreadEndsAPause() throws {
        let signals = RunSignals()
        let isPausing = Monitor(false)
        let world = try FakeWorld(calls: [
            "wait": { (context) throws(Failure) in
                isPausing.broadcast { $0 = true }
                try context.pause(.seconds(3600))
                return [:]
            }
        ])
        let thread = try BlockingThread.start("canceller") {
            isPausing.wait { $0 ? () : nil }
            signals.raise(.cancel)
        }
        guard
            case .ended(.cancelled, _, _) = world.driver(
                try RunRecord(FakeWorld.acceptance()),
                job([Steps.spec(1, Steps.call, parameters: ["name": "wait"])]), signals: signals
            ).drive()
        else {
            Issue.record("not cancelled")
            return
        }
        thread.join()
    }
    @Test func aCancelBeforeTheFirstStepDoesNothingButCleanUp() throws {
        let signals = RunSignals()
        signals.raise(.cancel)
        let world = try FakeWorld()
        let spec = job([Steps.spec(1, Steps.once)], finally: [Steps.spec(1, Steps.often, .finally)])
        guard
            case .ended(.cancelled, _, _) = world.driver(
                try RunRecord(FakeWorld.acceptance()), spec, signals: signals
            ).drive()
        else {
            Issue.record("not cancelled")
            return
        }
        #expect(world.recorder.performances == ["\(key)/finally.1"], "\(world.recorder.story)")
    }
    @Test(arguments: [Section.onFailure, .finally]) func aCancelInAHandlerDoesNotStopTheCleanUp(
        section: Section
    ) throws {
        let signals = RunSignals()
        let world = try FakeWorld(calls: [
            "cancel": { (_) throws(Failure) in
                signals.raise(.cancel); return [:]
            }
        ])
        let cancelling = Steps.spec(1, Steps.call, section, parameters: ["name": "cancel"])
        let spec = job(
            [Steps.spec(1, do: "never")], onFailure: section == .onFailure ? [cancelling] : [],
            finally: (section == .finally ? [cancelling] : []) + [
                Steps.spec(2, Steps.often, .finally), Steps.spec(3, Steps.often, .finally),
            ])
        _ = world.driver(try RunRecord(FakeWorld.acceptance()), spec, signals: signals).drive()
        #expect(
            world.recorder.performances.suffix(2).map { String($0.dropFirst(27)) }
                == spec.finally.suffix(2).map(\.label))
    }
    @Test func aCancelAfterTheLastStepDoesNotStopTheCleanUp() throws {
        let signals = RunSignals()
        let world = try FakeWorld(hook: { event in
            if case .stepEnded(let step) = event, step.place.section == .main { signals.raise(.cancel) }
        })
        let spec = job([Steps.spec(1)], finally: [Steps.spec(1, Steps.often, .finally)])
        _ = world.driver(try RunRecord(FakeWorld.acceptance()), spec, signals: signals).drive()
        #expect(world.recorder.performances.last == "\(key)/finally.1")
    }
    @Test func aStopLeavesTheStepOpen() throws {
        let signals = RunSignals()
        let world = try FakeWorld(calls: [
            "stop": { (context) throws(Failure) in
                signals.raise(.stop); try context.pause(.seconds(3600)); return [:]
            }
        ])
        let spec = job(
            [Steps.spec(1, Steps.call, parameters: ["name": "stop"]), Steps.spec(2)],
            finally: [Steps.spec(1, Steps.often, .finally)])
        guard
            case .stopped = world.driver(try RunRecord(FakeWorld.acceptance()), spec, signals: signals)
                .drive()
        else { Issue.record("not stopped"); return }
        #expect(world.recorder.story == ["start 1#1", "do \(key)/1"])
        guard
            case .stopped = world.driver(try RunRecord(FakeWorld.acceptance()), spec, signals: signals)
                .drive()
        else { Issue.record("not stopped"); return }
        #expect(world.recorder.story.count == 2, "a stopping runner starts nothing")
    }
    @Test func aGraverSignalIsNotReplaced() {
        let signals = RunSignals()
        for (raised, held) in [
            (RunSignals.Request.hold, RunSignals.Request.hold), (.cancel, .cancel), (.hold, .cancel),
            (.stop, .stop), (.cancel, .stop),
        ] {
            signals.raise(raised)
            #expect(signals.request == held)
        }
        signals.forgiveCancel()
        #expect(signals.request == .stop)
    }

    // MARK: time

    @Test func aStepsTimeEndsItsPause() throws {
        let world = try FakeWorld(calls: [
            "wait": { (context) throws(Failure) in
                try context.pause(.seconds(3600)); return [:]
            }
        ])
        let outcome = try world.live(
            job(
                [Steps.spec(1, Steps.call, timeout: .milliseconds(5), parameters: ["name": "wait"])],
                finally: [Steps.spec(1, Steps.often, .finally)]))
        #expect(
            outcome.state == .timedOut && outcome.failure?.code == "E-TIMEOUT"
                && outcome.failure?.message.contains("step 1") == true)
        #expect(world.recorder.performances.last == "\(key)/finally.1")
    }
    @Test func theRunsTimeEndsItsSteps() throws {
        let world = try FakeWorld(calls: [
            "wait": { (context) throws(Failure) in
                try context.pause(.seconds(3600)); return [:]
            }
        ])
        let outcome = try world.live(
            job(
                [
                    Steps.spec(1),
                    Steps.spec(2, Steps.call, timeout: .seconds(3600), parameters: ["name": "wait"]),
                ], timeout: .milliseconds(20)))
        #expect(outcome.state == .timedOut && outcome.failure?.message.contains("the run") == true)
    }
    @Test func theRunsTimeIsNotForAStepToContinueAfter() throws {
        let world = try FakeWorld(calls: [
            "wait": { (context) throws(Failure) in
                try context.pause(.seconds(3600)); return [:]
            }
        ])
        let outcome = try world.live(
            job(
                [Steps.spec(1, Steps.call, continueOnError: true, parameters: ["name": "wait"])],
                timeout: .milliseconds(5)))
        #expect(outcome.state == .timedOut)
    }
    @Test func theRunsTimeIsNotForAStepToRetryIn() throws {
        let world = try FakeWorld(calls: [
            "wait": { (context) throws(Failure) in
                try context.pause(.seconds(3600)); return [:]
            }
        ])
        let outcome = try world.live(
            job(
                [Steps.spec(1, Steps.call, retry: 3, parameters: ["name": "wait"])], timeout: .milliseconds(5)
            ), queue: QueuePolicy(name: .standard, retry: .none))
        #expect(outcome.state == .timedOut)
        #expect(outcome.waits.isEmpty)
    }
    @Test func waitsDoNotCountAgainstTheRunsTime() throws {
        // One second of work in an earlier drive; the limit is an hour; a day of waiting lies between.
        var record = try RunRecord(FakeWorld.acceptance())
        let day = Span.seconds(86_400)
        let start = Timestamp(nanoseconds: Clocks.wall - day.nanoseconds)
        var step = StepRecord(
            place: StepPlace(.main, [1]), title: "", id: nil, type: "often", runAttempt: 1, attempt: 1,
            state: .running, startedAt: start)
        record.apply(.stepStarted(step))
        step.state = .succeeded
        step.endedAt = start.adding(.seconds(1))
        record.apply(.stepEnded(step))
        record.apply(.parked(Wait(.held, since: start.adding(.seconds(1)), nextAttempt: 1)))
        #expect(
            try FakeWorld().live(job([Steps.spec(1), Steps.spec(2)], timeout: .seconds(3600)), from: record)
                .state == .succeeded)
        #expect(
            try FakeWorld().live(
                job([Steps.spec(1), Steps.spec(2)], timeout: .seconds(1)), from: record,
                queue: QueuePolicy(name: .standard, retry: .none)
            ).state == .timedOut)
    }
    @Test func anUnknownStepTypeIsAFailure() throws {
        let outcome = try FakeWorld().live(
            job([Steps.spec(1, StepType("mystery", "", parameters: [], example: ""))]))
        #expect(outcome.failure?.code == "E-STEP-TYPE" && outcome.failure?.retry == .never)
    }
}
