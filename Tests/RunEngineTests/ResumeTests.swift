// What this is: the property that the whole design stands on: a run may be cut off at any recorded event.
// Owns: the same end from every prefix of every life, and at-most-once steps that run at most once.
// Never: kills a process; a prefix of the events is what a killed runner leaves.
// On failure: the seed of the job, the prefix and the story of both lives are in the message.
// Performances between a prefix and the next durable event may have happened before the cut, and are counted.
import JobModel
import LinuxSystem
import TestKit
import Testing

@testable import RunEngine

private func randomJob(_ random: inout SeededRandom, depth: Int = 0, maxParallel: Int = 1) -> JobSpec {
    func steps(_ count: Int, _ depth: Int, _ random: inout SeededRandom) -> [StepSpec] {
        (0..<count).map { _ in
            depth > 0 && random.chance(2) ? holding(depth, &random) : leaf(&random)
        }
    }
    func leaf(_ random: inout SeededRandom) -> StepSpec {
        Steps.spec(
            1, random.chance(2) ? Steps.once : Steps.often,
            do: random.chance(depth > 0 ? 5 : 3)
                ? random.pick(["never", "permanent", "transient", "denied", "timed_out"]) : nil,
            when: random.pick([nil, nil, nil, nil, "false", "1 + 'x'"]),
            retry: random.chance(4) ? 1 + random.below(3) : nil,
            idempotent: random.chance(5) ? random.chance(2) : nil, continueOnError: random.chance(3))
    }
    func holding(_ depth: Int, _ random: inout SeededRandom) -> StepSpec {
        let inside = steps(1 + random.below(3), depth - 1, &random)
        let type = random.pick(Steps.holding)
        var parameters = ValueMap()
        switch type.control {
        case .foreach:
            parameters = [
                "items": .list((0..<random.below(4)).map(Value.int)),
                "concurrency": .int(1 + random.below(3)), "continue_on_error": .bool(random.chance(2)),
            ]
        case .repeated:
            parameters = ["count": .int(random.below(4))]
            if random.chance(2) { parameters["until"] = .string("loop.number == \(1 + random.below(4))") }
        default: break
        }
        return Steps.hold(
            type, inside, when: random.pick([nil, nil, nil, "false"]),
            retry: random.chance(4) ? 1 + random.below(3) : nil, continueOnError: random.chance(3),
            parameters: parameters)
    }
    return job(
        steps(1 + random.below(4), depth, &random), onFailure: steps(random.below(3), depth, &random),
        finally: steps(random.below(3), depth, &random), retry: random.chance(3) ? 1 + random.below(3) : nil,
        maxParallel: maxParallel)
}

/// What a killed runner leaves: the record of the first `count` events, and what may have been performed by then.
private func cut(_ life: [Happening], after count: Int) throws -> (record: RunRecord, performed: [String]) {
    var record = try RunRecord(FakeWorld.acceptance())
    var performed: [String] = []
    var events = 0
    for happening in life {
        switch happening {
        case .event(let event, let durable):
            // A durable event that is not in the prefix had not returned: nothing after it has happened.
            if events >= count && durable { return (record, performed) }
            if events < count { record.apply(event) }
            events += 1
        case .performed(let what, _, _): performed.append("\(record.attempt)/\(what)")
        }
    }
    return (record, performed)
}
/// Whether nobody allowed the step of this key to be performed twice, not even by a `retry:` around it.
private func isGuarded(_ key: String, _ spec: JobSpec) -> Bool {
    guard let place = key.split(separator: "/").last.flatMap({ StepPlace(String($0)) }) else { return false }
    let path = spec.steps(to: place)
    return path.last?.isRepeatable == false && path.allSatisfy { $0.retry == nil }
}
private func counts(_ performed: [String]) -> [String: Int] {
    Dictionary(performed.map { ($0, 1) }, uniquingKeysWith: +)
}

@Suite struct ResumeTests {
    /// With one thread steps side by side begin in their order, so that two lives can be compared.
    @Test(arguments: [(0, 220, 1500), (1, 120, 1200), (2, 60, 1000)])
    func everyPrefixOfEveryLifeEndsTheSame(depth: Int, seeds: UInt64, least: Int) throws {
        var checked = 0
        for seed in 1...seeds {
            var random = SeededRandom(seed: seed)
            let spec = randomJob(&random, depth: depth)
            let queue = QueuePolicy(name: .standard, retry: random.chance(2) ? Steps.policy(2) : .none)
            let first = try FakeWorld()
            let whole = try first.live(spec, queue: queue)
            let life = first.recorder.all
            for count in 0..<first.recorder.events.count {
                let (record, before) = try cut(life, after: count)
                guard record.finalState == nil else { continue }
                let second = try FakeWorld()
                let resumed = try second.live(spec, from: record, queue: queue)
                checked += 1
                let story =
                    "seed \(seed), prefix \(count): \(first.recorder.story) then \(second.recorder.story)"
                // A branch of which nobody knows lets those beside it overtake.
                let isUnknown = resumed.record.steps.contains {
                    $0.state == .interrupted && spec.steps(to: $0.place).last?.isRepeatable == false
                }
                if !isUnknown {
                    #expect(resumed.state == whole.state, "\(story)")
                    #expect(
                        resumed.failure?.code == whole.failure?.code
                            && resumed.failure?.step == whole.failure?.step, "\(story)")
                }
                checkOnce(spec, before, second.recorder, story)
            }
        }
        #expect(checked > least)
    }
    /// With threads two lives differ; what may never happen twice does not, and every life ends and leaves nothing open.
    @Test func cutsOfStepsSideBySide() throws {
        for seed in UInt64(1)...150 {
            var random = SeededRandom(seed: seed)
            let spec = randomJob(&random, depth: 2, maxParallel: 4)
            let first = try FakeWorld()
            let whole = try first.live(spec)
            let story = "seed \(seed): \(first.recorder.story)"
            #expect(!whole.record.steps.contains { $0.state == .running }, "\(story)")
            for _ in 0..<3 {
                let (record, before) = try cut(
                    first.recorder.all, after: random.below(first.recorder.events.count))
                guard record.finalState == nil else { continue }
                let second = try FakeWorld()
                let end = try second.live(spec, from: record)
                checkOnce(spec, before, second.recorder, "\(story) then \(second.recorder.story)")
                #expect(!end.record.steps.contains { $0.state == .running }, "\(story)")
            }
        }
    }
    private func checkOnce(_ spec: JobSpec, _ before: [String], _ recorder: Recorder, _ story: String) {
        // The second life's performances are told apart by the run's attempt, as the first life's are.
        var attempt = 1
        var performed = before
        for happening in recorder.all {
            switch happening {
            case .event(.stepStarted(let step), _): attempt = step.runAttempt
            case .performed(let what, _, _): performed.append("\(attempt)/\(what)")
            default: break
            }
        }
        for (what, count) in counts(performed) where isGuarded(what, spec) {
            #expect(count == 1, "\(what) was performed \(count) times; \(story)")
        }
    }
    @Test(arguments: [0, 2]) func twoCutsAreNoWorse(depth: Int) throws {
        for seed in UInt64(1000)...1150 {
            var random = SeededRandom(seed: seed)
            let spec = randomJob(&random, depth: depth)
            let first = try FakeWorld()
            let whole = try first.live(spec)
            let (record, before) = try cut(
                first.recorder.all, after: random.below(first.recorder.events.count))
            guard record.finalState == nil else { continue }
            let second = try FakeWorld()
            let middle = try second.live(spec, from: record)
            // The second life continues from its own record: its events are cut on top of it.
            var again = record
            var performed = before
            let count = random.below(second.recorder.events.count)
            var events = 0
            life: for happening in second.recorder.all {
                switch happening {
                case .event(let event, let durable):
                    if events >= count && durable { break life }
                    if events < count { again.apply(event) }
                    events += 1
                case .performed(let what, _, _): performed.append("\(again.attempt)/\(what)")
                }
            }
            guard again.finalState == nil else { continue }
            let third = try FakeWorld()
            let end = try third.live(spec, from: again)
            let story =
                "seed \(seed): \(first.recorder.story) then \(second.recorder.story) cut after \(count) then \(third.recorder.story)"
            if !(middle.waits + end.waits).contains(.interrupted)
                && again.steps.allSatisfy({ $0.state != .interrupted })
            {
                #expect(end.state == whole.state, "\(story)")
            }
            checkOnce(spec, performed, third.recorder, story)
        }
    }
    @Test func anInterruptedStepAsksAPersonAndIsNotRun() throws {
        let spec = job([Steps.spec(1, Steps.once), Steps.spec(2)])
        var record = try RunRecord(FakeWorld.acceptance())
        let open = StepRecord(
            place: StepPlace(.main, [1]), title: "once", id: nil, type: "once", runAttempt: 1, attempt: 1,
            state: .running,
            startedAt: Timestamp(seconds: 3))
        record.apply(.stepStarted(open))
        let expected: [(Resolution, FinalState, [String])] = [
            (.retry, .succeeded, ["1", "2"]), (.skip, .succeeded, ["2"]), (.fail, .failed, []),
        ]
        for (answer, state, done) in expected {
            let world = try FakeWorld()
            let outcome = try world.live(spec, from: record, resolution: answer)
            #expect(outcome.waits == [.interrupted] && outcome.state == state, "\(answer)")
            #expect(
                world.recorder.performances.map { String($0.split(separator: "/")[1]) } == done, "\(answer)")
            #expect(
                world.recorder.story.prefix(3) == [
                    "end 1#1 interrupted", "parked interrupted", "resolved \(answer.rawValue)",
                ])
        }
    }
    @Test func aRepeatableStepIsRunAgainAndToldSo() throws {
        let spec = job([Steps.spec(1)])
        var record = try RunRecord(FakeWorld.acceptance())
        record.apply(
            .stepStarted(
                StepRecord(
                    place: StepPlace(.main, [1]), title: "often", id: nil, type: "often", runAttempt: 1,
                    attempt: 1, state: .running,
                    startedAt: Timestamp(seconds: 3))))
        let world = try FakeWorld()
        #expect(try world.live(spec, from: record).state == .succeeded)
        #expect(world.recorder.all.contains(.performed("\(record.id)/1", attempt: 2, isRerun: true)))
    }
    @Test func anAnswerOfFailHoldsThroughTheHandlers() throws {
        // The person answers; on_failure begins; the runner dies there. Nobody may be asked again.
        let spec = job(
            [Steps.spec(1, Steps.once)],
            onFailure: [
                Steps.spec(
                    1, .init("often", "", parameters: Steps.often.parameters, example: ""), .onFailure),
                Steps.spec(2, Steps.often, .onFailure),
            ])
        var record = try RunRecord(FakeWorld.acceptance())
        record.apply(
            .stepStarted(
                StepRecord(
                    place: StepPlace(.main, [1]), title: "once", id: nil, type: "once", runAttempt: 1,
                    attempt: 1, state: .running,
                    startedAt: Timestamp(seconds: 3))))
        let world = try FakeWorld()
        let whole = try world.live(spec, from: record, resolution: .fail)
        #expect(whole.state == .failed)
        var again = record
        for event in world.recorder.events.prefix(while: { if case .ended = $0 { false } else { true } }) {
            again.apply(event)
        }
        let second = try FakeWorld()
        let resumed = try second.live(spec, from: again, resolution: .retry)
        #expect(resumed.waits.isEmpty && resumed.state == .failed)
        #expect(second.recorder.performances.isEmpty, "the step runs although a person had failed it")
    }
    @Test func aCancelIsRememberedByAStepThatContinuesOnErrors() throws {
        let signals = RunSignals()
        let world = try FakeWorld(calls: [
            "cancel": { (context) throws(Failure) in
                signals.raise(.cancel)
                try context.checkpoint()
                return [:]
            }
        ])
        let spec = job([
            Steps.spec(1, Steps.call, continueOnError: true, parameters: ["name": "cancel"]),
            Steps.spec(2, Steps.once),
        ])
        let record = try RunRecord(FakeWorld.acceptance())
        guard case .ended(.cancelled, _, _) = world.driver(record, spec, signals: signals).drive() else {
            Issue.record("not cancelled")
            return
        }
        var again = record
        for event in world.recorder.events { again.apply(event) }
        let second = try FakeWorld()
        let resumed = try second.live(spec, from: again)
        #expect(resumed.state == .cancelled && second.recorder.performances.isEmpty)
    }
    @Test func timeThatTheRunnerWasDeadIsNotTimeOfTheRun() throws {
        // The step was open when the runner died an hour ago; the run may take ten minutes.
        let spec = job([Steps.spec(1, Steps.once), Steps.spec(2)], timeout: .seconds(600))
        let long = Timestamp(nanoseconds: Clocks.wall - Span.seconds(3600).nanoseconds)
        var record = try RunRecord(FakeWorld.acceptance())
        record.apply(
            .stepStarted(
                StepRecord(
                    place: StepPlace(.main, [1]), title: "once", id: nil, type: "once", runAttempt: 1,
                    attempt: 1, state: .running, startedAt: long)))
        let world = try FakeWorld()
        let outcome = try world.live(spec, from: record, resolution: .skip)
        #expect(outcome.state == .succeeded)
    }
}
