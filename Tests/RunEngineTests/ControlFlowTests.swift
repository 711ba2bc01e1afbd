// What this is: steps that hold others: groups, branches side by side, loops, and the graph of `needs:`.
// Owns: what begins when, what is seen where, what ends what.
// Never: sleeps to see an order; steps that must be at work at one time meet in one place.
// On failure: the story of the life is in the message.
import Foundation
import JobLanguage
import JobModel
import LinuxSystem
import TestKit
import Testing

@testable import RunEngine

/// A place where a number of steps must be at one time.
private final class Meeting: Sendable {
    private let state = Monitor((here: 0, most: 0, left: 0))
    let count: Int
    init(_ count: Int) { self.count = count }

    /// Waits for the others; false when they did not come.
    func attend() -> Bool {
        state.broadcast {
            $0.here += 1
            $0.most = max($0.most, $0.here)
        }
        let met: Void? = state.wait(until: Clocks.monotonic + 20_000_000_000) { [count] in
            $0.here >= count || $0.most >= count ? () : nil
        }
        state.broadcast { $0.here -= 1 }
        return met != nil
    }
    /// The most that were at work at one time, without waiting for anybody.
    func pass() {
        state.with {
            $0.here += 1
            $0.most = max($0.most, $0.here)
        }
        sched_yield()
        state.with { $0.here -= 1 }
    }
    var most: Int { state.with { $0.most } }
}

private func items(_ count: Int) -> Value { .list((0..<count).map(Value.int)) }
private func say(_ text: String, id: String? = nil, needs: [String]? = nil, when: String? = nil) -> StepSpec {
    Steps.spec(1, id: id, needs: needs, when: when, parameters: ["text": .string(text)])
}
private func call(_ name: String, id: String? = nil, needs: [String]? = nil) -> StepSpec {
    Steps.spec(1, Steps.call, id: id, needs: needs, parameters: ["name": .string(name)])
}

@Suite struct ControlFlowTests {
    // MARK: what is seen where

    @Test func stepsOfGroupsAndBranchesAreSeenAfterThem() throws {
        let world = try FakeWorld()
        let spec = job(
            [
                Steps.hold(
                    Steps.group, [say("one", id: "a"), Steps.hold(Steps.parallel, [say("two", id: "b")])]),
                Steps.hold(Steps.group, [say("never", id: "c")], when: "false"),
            ],
            outputs: [
                "all": "{{ steps.a.text }} {{ steps.b.text }} {{ steps.c.state }} {{ steps['1.2.1'].text }}"
            ])
        #expect(try world.live(spec).outputs["all"] == "one two skipped two")
    }
    @Test func aRoundSeesItsOwnStepsAndItsItem() throws {
        let world = try FakeWorld()
        let spec = job(
            [
                say("outside", id: "o"),
                Steps.hold(
                    Steps.loop,
                    [
                        say("{{ item }}/{{ loop.number }}/{{ loop.count }}/{{ steps.o.text }}", id: "in"),
                        say("{{ steps.in.text }}!", id: "out", when: "not loop.last"),
                    ], id: "each",
                    parameters: [
                        "items": .list(["x", "y"]), "collect": "{{ steps.in.text }} {{ steps.out.state }}",
                    ]),
            ], outputs: ["r": "{{ steps.each.results }}", "n": "{{ steps.each.succeeded }}"])
        let outcome = try world.live(spec)
        #expect(
            outcome.outputs == [
                "r": .list(["x/1/2/outside succeeded", "y/2/2/outside skipped"]), "n": .int(2),
            ])
        #expect(
            outcome.record.steps.map(\.label) == ["1", "2", "2.1.1", "2.1.2", "2.1", "2.2.1", "2.2.2", "2.2"])
        #expect(outcome.record.steps.map(\.state.rawValue).filter { $0 == "skipped" }.count == 1)
    }
    @Test func loopsInsideOfLoops() throws {
        let world = try FakeWorld()
        let inner = Steps.hold(
            Steps.loop, [say("{{ item }}", id: "leaf")], id: "inner",
            parameters: ["items": "{{ [item, item * 10] }}", "collect": "{{ steps.leaf.text }}"])
        let spec = job(
            [
                Steps.hold(
                    Steps.loop, [inner], id: "outer",
                    parameters: [
                        "items": items(3), "collect": "{{ steps.inner.results }}", "concurrency": .int(3),
                    ])
            ], outputs: ["r": "{{ steps.outer.results }}"])
        let list: [Value] = [.list(["0", "0"]), .list(["1", "10"]), .list(["2", "20"])]
        #expect(try world.live(spec).outputs["r"] == .list(list))
    }
    @Test func environmentsReachTheStepsInside() throws {
        let seen = Monitor<[String]>([])
        let world = try FakeWorld(calls: [
            "look": { (context) throws(Failure) in
                let ending = try context.run(ProcessRequest(["sh", "-c", "echo $A $B $C"]))
                seen.with { $0.append(String(decoding: ending.stdout, as: UTF8.self)) }
                return [:]
            }
        ])
        var inner = call("look")
        inner.environment = ["C": "three", "B": "own"]
        var group = Steps.hold(Steps.group, [inner])
        group.environment = ["B": "two", "A": "{{ item }}"]
        let spec = job([Steps.hold(Steps.loop, [group], parameters: ["items": .list(["one"])])])
        #expect(try world.live(spec, from: RunRecord(FakeWorld.acceptance(own: true))).state == .succeeded)
        #expect(seen.with { $0 } == ["one own three\n"])
    }

    /// A template that is called sees what it was given and its own steps; its outputs are all that is seen of it.
    @Test(arguments: ["call", "work"]) func templatesThatAreCalled(name: String) throws {
        let type = StepType(
            name, "",
            parameters: name == "call" ? [Parameter("variables", .map, "")] : [Parameter("who", .any, "")],
            example: "", control: .call)
        func calling(_ who: Value) -> JobSpec {
            var step = Steps.hold(type, [say("hello {{ who }}", id: "s")], id: "c")
            step.parameters = name == "call" ? ["variables": .map(["who": who])] : ["who": who]
            step.call = CallSpec(
                template: "t.yaml", variables: ["who": "nobody"],
                parameters: [JobParameter("who", .string, pattern: "[a-z]+")],
                outputs: ["text": "{{ steps.s.text + ('' if steps['1'].text == steps[0].text else '?') }}"])
            return job(
                [
                    Steps.hold(
                        Steps.loop, [step], id: "l",
                        parameters: ["items": .list(["ann"]), "collect": "{{ steps.c.text }}"])
                ],
                variables: ["who": "outside"], outputs: ["t": "{{ steps.l.results }}"])
        }
        #expect(try FakeWorld().live(calling("{{ item }}")).outputs["t"] == .list(["hello ann"]))
        let refused = try FakeWorld().live(calling("{{ item | upper }}"))
        #expect(
            refused.failure?.code == "E-PARAM" && refused.failure?.step == "1.1.1",
            "\(refused.failure?.message ?? "")")
    }

    // MARK: side by side

    @Test(arguments: ["parallel", "loop", "needs"]) func sideBySide(form: String) throws {
        let meeting = Meeting(3)
        let world = try FakeWorld(calls: [
            "meet": { (_) throws(Failure) in
                if meeting.attend() { return [:] }
                throw Failure("E-TEST", "nobody came")
            }
        ])
        let steps: [StepSpec] =
            switch form {
            case "parallel": [Steps.hold(Steps.parallel, [call("meet"), call("meet"), call("meet")])]
            case "loop":
                [
                    Steps.hold(
                        Steps.loop, [call("meet")], parameters: ["items": items(3), "concurrency": .int(3)])
                ]
            default: [call("meet"), call("meet", needs: []), call("meet", needs: [])]
            }
        #expect(try world.live(job(steps)).state == .succeeded)
        #expect(meeting.most == 3)
    }
    /// Branches in rounds in branches: never more at one time than the job allows.
    @Test(arguments: [1, 2, 5]) func neverMoreThanTheJobAllows(most: Int) throws {
        let meeting = Meeting(0)
        let world = try FakeWorld(calls: [
            "pass": { (_) throws(Failure) in
                meeting.pass(); return [:]
            }
        ])
        let inner = Steps.hold(Steps.parallel, (0..<4).map { _ in call("pass") })
        let spec = job(
            [
                Steps.hold(
                    Steps.parallel,
                    (0..<3).map { _ in
                        Steps.hold(
                            Steps.loop, [inner], parameters: ["items": items(6), "concurrency": .int(4)])
                    })
            ], maxParallel: most)
        #expect(try world.live(spec).state == .succeeded)
        #expect(world.recorder.performances.count == 72)
        #expect(meeting.most <= most && meeting.most > 0)
    }
    /// Each step after all that it needs, by the model: without `needs:` after all above it, but in branches at once.
    @Test(arguments: [false, true]) func graphs(inBranches: Bool) throws {
        for seed in UInt64(1)...60 {
            var random = SeededRandom(seed: seed)
            let count = 2 + random.below(10)
            let steps = (0..<count).map { index -> StepSpec in
                let needs = (0..<index).filter { _ in random.chance(3) }.map { "s\($0)" }
                return Steps.spec(1, id: "s\(index)", needs: random.chance(3) ? nil : needs)
            }
            let world = try FakeWorld()
            let spec = job(inBranches ? [Steps.hold(Steps.parallel, steps)] : steps)
            #expect(try world.live(spec).state == .succeeded)
            let story = world.recorder.story, prefix = inBranches ? "1." : ""
            for (index, step) in steps.enumerated() {
                let start = try #require(story.firstIndex(of: "start \(prefix)\(index + 1)#1"), "\(story)")
                let above = inBranches ? [] : (0..<index).map { "s\($0)" }
                for id in step.needs ?? above {
                    let end = try #require(
                        story.firstIndex(of: "end \(prefix)\((Int(id.dropFirst()) ?? 0) + 1)#1 succeeded"),
                        "\(story)")
                    #expect(end < start, "seed \(seed), \(id) before s\(index): \(story)")
                }
            }
        }
    }

    // MARK: what fails

    @Test func aRoundThatFailsEndsTheLoop() throws {
        let world = try FakeWorld()
        let steps = [say("x"), Steps.spec(1, when: "item == 1", parameters: ["do": "never"]), say("y")]
        let spec = job([
            Steps.hold(Steps.loop, steps, id: "each", parameters: ["items": items(4)])
        ])
        let outcome = try world.live(spec)
        #expect(outcome.failure?.code == "E-NEVER" && outcome.failure?.step == "1.2.2")
        #expect(
            world.recorder.performances.map { $0.split(separator: "/").last ?? "" } == [
                "1.1.1", "1.1.3", "1.2.1", "1.2.2",
            ])
        let loop = try #require(outcome.record.steps.first)
        #expect(
            loop.state == .failed && loop.outputs["failed"] == .int(1) && loop.outputs["succeeded"] == .int(1)
        )
    }
    @Test func roundsThatGoOnAreCounted() throws {
        let world = try FakeWorld()
        let steps = [Steps.spec(1, when: "item % 2 == 1", parameters: ["do": "permanent"])]
        let spec = job(
            [
                Steps.hold(
                    Steps.loop, steps, id: "each", continueOnError: true,
                    parameters: [
                        "items": items(5), "continue_on_error": .bool(true), "collect": "{{ item * 10 }}",
                        "concurrency": .int(2),
                    ])
            ], outputs: ["each": "{{ steps.each }}"])
        let outcome = try world.live(spec)
        let each = try #require(outcome.outputs["each"]?.mapValue)
        #expect(outcome.state == .succeeded && each["failed"] == .int(2) && each["succeeded"] == .int(3))
        #expect(each["results"] == .list([.int(0), .null, .int(20), .null, .int(40)]))
        #expect(each["failures"]?.listValue?.compactMap { $0.mapValue?["round"]?.intValue } == [2, 4])
        #expect(
            outcome.record.steps.first?.failure?.message
                == "2 of 5 rounds failed; the first, round 2: permanent")
    }
    /// The branch beside it finishes the step at which it is, and begins no other.
    @Test func aBranchThatFailsLetsNothingMoreBegin() throws {
        let meeting = Meeting(2), failed = Monitor(false)
        let world = try FakeWorld(
            calls: [
                "long": { (_) throws(Failure) in
                    _ = meeting.attend()
                    let seen: Void? = failed.wait(until: Clocks.monotonic + 20_000_000_000) { $0 ? () : nil }
                    return ["seen": .bool(seen != nil)]
                },
                "bad": { (_) throws(Failure) in
                    _ = meeting.attend()
                    throw Failure("E-BAD", "bad", retry: .never)
                },
            ],
            hook: { event in
                if case .stepEnded(let step) = event, step.label == "1.2" { failed.broadcast { $0 = true } }
            })
        let branch = Steps.hold(Steps.group, [call("long"), say("after")])
        let outcome = try world.live(job([Steps.hold(Steps.parallel, [branch, call("bad")])]))
        #expect(outcome.failure?.code == "E-BAD" && outcome.failure?.step == "1.2")
        let states = Dictionary(uniqueKeysWithValues: outcome.record.steps.map { ($0.label, $0.state) })
        #expect(states["1.1.1"] == .succeeded && states["1"] == .failed)
        // Its next step may have begun in the moment between the failure and the news of it.
        #expect(states["1.1"] == (states["1.1.2"] == nil ? .cancelled : .succeeded))
        // With one thread there is no such moment.
        let alone = try FakeWorld()
        let one = try alone.live(
            job([Steps.hold(Steps.parallel, [Steps.spec(1, do: "never"), say("never")])], maxParallel: 1))
        #expect(one.state == .failed && alone.recorder.performances.count == 1)
    }
    @Test func aGroupIsTriedAgainAsAWhole() throws {
        let world = try FakeWorld()
        let group = Steps.hold(
            Steps.group, [Steps.spec(1, Steps.once), Steps.spec(1, parameters: ["do": "transient"])], retry: 3
        )
        let outcome = try world.live(job([group]))
        #expect(outcome.state == .failed && outcome.waits == [.retry, .retry])
        #expect(world.recorder.performances.count == 6)
        #expect(outcome.record.steps.filter { $0.label == "1" }.map(\.attempt) == [1, 2, 3])
    }
    @Test func branchesThatWaitForAnotherTryWaitEachForItself() throws {
        let tries = Monitor<[String: Int]>([:])
        @Sendable func flaky(_ name: String, _ good: Int)
            -> @Sendable (any StepContext) throws(Failure) -> ValueMap
        {
            { (_) throws(Failure) in
                let count = tries.with { tries in
                    tries[name, default: 0] += 1
                    return tries[name] ?? 0
                }
                if count >= good { return [:] }
                throw Failure("E-FLAKY", name, retry: .transient)
            }
        }
        let world = try FakeWorld(calls: ["a": flaky("a", 2), "b": flaky("b", 4)])
        var (a, b) = (call("a"), call("b"))
        (a.retry, b.retry) = (Steps.policy(5), Steps.policy(5))
        let outcome = try world.live(job([Steps.hold(Steps.parallel, [a, b, say("beside")])]))
        #expect(outcome.state == .succeeded && tries.with { $0 } == ["a": 2, "b": 4])
        // They may have waited for the same instant or for each its own; nobody was tried before his time.
        #expect(outcome.waits.allSatisfy { $0 == .retry } && (3...4).contains(outcome.waits.count))
        #expect(world.recorder.performances.filter { $0.hasSuffix("1.3") }.count == 1)
        for wait in outcome.record.waits { #expect(wait.wait.until != nil) }
    }
    @Test func eachUnknownStepIsAskedAboutForItself() throws {
        let spec = job([Steps.hold(Steps.parallel, [Steps.spec(1, Steps.once), Steps.spec(1, Steps.once)])])
        var record = try RunRecord(FakeWorld.acceptance())
        for path in [[1], [1, 1], [1, 2]] {
            record.apply(
                .stepStarted(
                    StepRecord(
                        place: StepPlace(.main, path), title: "", id: nil,
                        type: path == [1] ? "parallel" : "once", runAttempt: 1, attempt: 1, state: .running,
                        startedAt: Timestamp(seconds: 3), outputs: path == [1] ? ["plan": .map([:])] : [:])))
        }
        let world = try FakeWorld()
        let outcome = try world.live(spec, from: record, resolution: .retry)
        #expect(outcome.waits == [.interrupted, .interrupted] && outcome.state == .succeeded)
        #expect(world.recorder.performances.count == 2)
    }

    // MARK: what ends it from outside

    @Test func theTimeOfAGroupIsOverForAllInside() throws {
        let world = try FakeWorld(calls: [
            "wait": { (context) throws(Failure) in
                try context.pause(.seconds(600))
                return [:]
            }
        ])
        var patient = call("wait")
        patient.continueOnError = true
        patient.retry = Steps.policy(5)
        let spec = job([
            Steps.hold(Steps.group, [patient, say("after")], timeout: .milliseconds(50)), say("never"),
        ])
        let outcome = try world.live(spec)
        #expect(outcome.state == .timedOut && outcome.waits.isEmpty)
        #expect(
            outcome.failure?.message == "step 1 (group) took longer than 50ms",
            "\(outcome.failure?.message ?? "")")
        #expect(world.recorder.performances.count == 1)
    }
    @Test(arguments: [RunSignals.Request.cancel, .stop, .hold]) func signals(request: RunSignals.Request)
        throws
    {
        let meeting = Meeting(3), signals = RunSignals()
        let world = try FakeWorld(calls: [
            "wait": { (context) throws(Failure) in
                if meeting.attend(), request != .hold { try context.pause(.seconds(600)) }
                return [:]
            },
            "raise": { (_) throws(Failure) in
                _ = meeting.attend()
                signals.raise(request)
                return [:]
            },
        ])
        let branches = [
            Steps.hold(Steps.group, [call("wait"), say("after")]),
            Steps.hold(Steps.group, [call("wait"), say("after")]),
            Steps.hold(Steps.group, [call("raise"), say("after")]),
        ]
        let spec = job([Steps.hold(Steps.parallel, branches)], finally: [say("clean")])
        let record = try RunRecord(FakeWorld.acceptance())
        let ending = world.driver(record, spec, signals: signals).drive()
        switch (request, ending) {
        case (.cancel, .ended(.cancelled, _, _)):
            #expect(world.recorder.performances.contains { $0.hasSuffix("finally.1") })
        case (.stop, .stopped): break
        case (.hold, .suspended(let wait)): #expect(wait.reason == .held)
        default: Issue.record("\(request): \(ending)")
        }
        // Hold lets what began before it go on to where it hears of it.
        let after = world.recorder.performances.filter { $0.hasSuffix(request == .hold ? "1.3.2" : ".2") }
        #expect(after.isEmpty, "\(world.recorder.story)")
    }

    // MARK: repeat

    @Test func untilItHolds() throws {
        let world = try FakeWorld()
        func rounds(_ parameters: ValueMap) -> StepSpec {
            Steps.hold(Steps.again, [say("{{ loop.index }}", id: "r")], id: "a", parameters: parameters)
        }
        let found = try world.live(
            job(
                [rounds(["count": .int(9), "until": "steps.r.text == '2'", "collect": "{{ loop.number }}"])],
                outputs: ["r": "{{ steps.a.results }}"]))
        #expect(found.outputs["r"] == .list([.int(1), .int(2), .int(3)]))
        let never = try FakeWorld().live(job([rounds(["count": .int(3), "until": "false"])]))
        #expect(never.failure?.code == "E-UNTIL" && never.failure?.step == "1")
        #expect(try FakeWorld().live(job([rounds(["count": .int(0)])])).state == .succeeded)
        let wrong = try FakeWorld().live(job([rounds(["count": .int(3), "until": "1 + 'x'"])]))
        #expect(wrong.failure?.message.hasPrefix("`until`: ") == true, "\(wrong.failure?.message ?? "")")
    }

    // MARK: after a crash

    /// What the items were is part of what was begun: the list may be another by now.
    @Test func aLoopGoesOnWithTheItemsItBeganWith() throws {
        func spec(_ list: [Value], _ collect: Value) -> JobSpec {
            job(
                [
                    Steps.hold(
                        Steps.loop, [say("{{ item }}", id: "s")], id: "each",
                        parameters: ["items": "{{ list }}", "collect": collect])
                ], variables: ["list": .list(list)], outputs: ["r": "{{ steps.each.results }}"])
        }
        let first = try FakeWorld()
        _ = try first.live(spec(["a", "b", "c"], "{{ steps.s.text }}"))
        var record = try RunRecord(FakeWorld.acceptance())
        for event in first.recorder.events.prefix(5) { record.apply(event) }
        #expect(record.openSteps.map(\.label) == ["1.2.1"])
        // What was collected of a round that is over is not asked again.
        let again = spec(["x"], "{{ steps.s.text + '!' }}")
        #expect(try FakeWorld().live(again, from: record).outputs["r"] == .list(["a", "b!", "c!"]))
    }
    /// A clean-up step that waits makes the run begin anew, and its main steps must not be asked again.
    @Test func whatCameOutOfMainStaysSo() throws {
        let wait = Steps.spec(1, do: "transient", retry: 3)
        let graph = [
            Steps.spec(1, do: "transient", id: "r", retry: 3), Steps.spec(1, id: "c", needs: ["r"]),
            Steps.spec(1, do: "never", needs: []),
        ]
        let world = try FakeWorld()
        let outcome = try world.live(job(graph, onFailure: [wait], finally: [wait], maxParallel: 1))
        #expect(outcome.state == .failed && outcome.failure?.code == "E-NEVER" && outcome.waits.count == 4)
        let done = world.recorder.performances.map { String($0.dropFirst(27)) }
        #expect(
            done == ["1", "3"] + [String](repeating: "on_failure.1", count: 3)
                + [String](repeating: "finally.1", count: 3), "\(done)")
    }
    @Test func anAnswerThatEndsTheRunEndsItForGood() throws {
        let spec = job(
            [Steps.spec(1, Steps.once, continueOnError: true), say("after")],
            onFailure: [Steps.spec(1, do: "transient", retry: 2)])
        var record = try RunRecord(FakeWorld.acceptance())
        record.apply(
            .stepStarted(
                StepRecord(
                    place: StepPlace(.main, [1]), title: "", id: nil, type: "once", runAttempt: 1, attempt: 1,
                    state: .running, startedAt: Timestamp(seconds: 3))))
        let world = try FakeWorld()
        let outcome = try world.live(spec, from: record, resolution: .fail)
        #expect(outcome.state == .failed && outcome.waits == [.interrupted, .retry])
        #expect(!world.recorder.performances.contains { $0.hasSuffix("/2") })
    }
    /// A branch that was cut short, and whose cause is settled otherwise, does not hang the run.
    @Test func nothingHangsOnWhatWasCutShort() throws {
        var record = try RunRecord(FakeWorld.acceptance())
        for (path, type, state) in [([1], "group", StepState.cancelled), ([1, 1], "often", .succeeded)] {
            record.apply(
                .stepEnded(
                    StepRecord(
                        place: StepPlace(.main, path), title: "", id: nil, type: type, runAttempt: 1,
                        attempt: 1,
                        state: state, startedAt: Timestamp(seconds: 3),
                        failure: state == .cancelled
                            ? Failure(Failure.halted, "", kind: .cancelled, retry: .never) : nil)))
        }
        let spec = job([Steps.hold(Steps.group, [say("x"), say("y")])])
        #expect(try FakeWorld().live(spec, from: record).failure?.code == Failure.halted)
    }
    /// `a` is asked about and answered; a hold, or a crash, comes before the answer is used or right after.
    @Test(arguments: [true, false]) func anAnswerIsForOneStep(isHeld: Bool) throws {
        let spec = job([
            Steps.hold(
                Steps.parallel,
                [Steps.hold(Steps.group, [Steps.spec(1, Steps.once), say("a2")]), Steps.spec(1, Steps.once)])
        ])
        var record = try RunRecord(FakeWorld.acceptance())
        for (path, type) in [([1], "parallel"), ([1, 1], "group"), ([1, 1, 1], "once"), ([1, 2], "once")] {
            record.apply(
                .stepStarted(
                    StepRecord(
                        place: StepPlace(.main, path), title: "", id: nil, type: type, runAttempt: 1,
                        attempt: 1,
                        state: .running, startedAt: Timestamp(seconds: 3))))
        }
        let first = try FakeWorld()
        guard case .suspended(let wait) = first.driver(record, spec).drive() else {
            Issue.record("not asked")
            return
        }
        for event in first.recorder.events { record.apply(event) }
        record.apply(.parked(wait))
        let asked = try #require(wait.step)
        #expect(record.unknownStep?.place == asked)
        record.apply(.resolved(.skip, at: Timestamp(seconds: 5)))
        let now = Timestamp(seconds: 6)
        if isHeld {
            record.apply(.parked(Wait(.held, since: now, nextAttempt: 1)))
            record.apply(.resumed(at: now))
            #expect(record.answer?.place == asked, "a hold keeps the answer")
        } else {
            var skipped = try #require(record.last(asked))
            skipped.state = .skipped
            record.apply(.stepEnded(skipped))
            #expect(record.answer == nil)
        }
        let second = try FakeWorld()
        guard case .suspended(let next) = second.driver(record, spec).drive() else {
            Issue.record("nobody was asked about the other")
            return
        }
        #expect(next.step != asked)
    }
    /// What is left unknown in a group that has failed and was survived is nobody's question any more.
    @Test func theQuestionIsTheOneThatTheRunWaitsFor() throws {
        var failing = Steps.hold(
            Steps.parallel, [Steps.spec(1, Steps.once), Steps.spec(1, do: "never")], continueOnError: true)
        failing.id = "g"
        let spec = job([failing, Steps.spec(1, Steps.once)])
        var record = try RunRecord(FakeWorld.acceptance())
        let rows: [([Int], String, StepState)] = [
            ([1], "parallel", .running), ([1, 1], "once", .interrupted), ([1, 2], "often", .failed),
            ([1], "parallel", .failed), ([2], "once", .running),
        ]
        for (path, type, state) in rows {
            var step = StepRecord(
                place: StepPlace(.main, path), title: "", id: nil, type: type, runAttempt: 1, attempt: 1,
                state: state, startedAt: Timestamp(seconds: 3))
            if state == .failed { step.failure = Failure("E-NEVER", "", retry: .never) }
            record.apply(state == .running ? .stepStarted(step) : .stepEnded(step))
        }
        let outcome = try FakeWorld().live(spec, from: record, resolution: .retry)
        #expect(outcome.state == .succeeded && outcome.waits == [.interrupted])
    }
    /// In a round that has failed nothing begins again, though one of its steps was waiting for another try.
    @Test func aRoundThatFailedStaysFailed() throws {
        let inside = [
            Steps.spec(1, do: "transient", id: "w", needs: [], when: "item == 0", retry: 3),
            Steps.spec(1, do: "never", needs: [], when: "item == 0"),
            Steps.spec(1, needs: ["w"], when: "item == 0"),
            Steps.spec(1, do: "transient", needs: [], when: "item == 1", retry: 2),
        ]
        let world = try FakeWorld()
        let outcome = try world.live(
            job(
                [
                    Steps.hold(
                        Steps.loop, inside,
                        parameters: [
                            "items": items(2), "concurrency": .int(2), "continue_on_error": .bool(true),
                        ])
                ], maxParallel: 1))
        #expect(outcome.state == .failed && outcome.waits == [.retry])
        let first = world.recorder.performances.filter { $0.contains("/1.1.") }.map { $0.suffix(5) }
        #expect(first == ["1.1.1", "1.1.2"], "\(world.recorder.story)")
    }
    /// A step that a crash cut off beside a failure: a person is asked before anything follows from the failure.
    @Test(arguments: [true, false]) func whatACrashCutOffBesideAFailureIsAskedAbout(inLoop: Bool) throws {
        let once = Steps.spec(1, Steps.once, when: inLoop ? "item == 1" : nil)
        let bad = Steps.spec(1, do: "never", when: inLoop ? "item == 0" : nil)
        let holding =
            inLoop
            ? Steps.hold(
                Steps.loop, [bad, once], continueOnError: true,
                parameters: ["items": items(3), "concurrency": .int(2), "collect": "{{ item }}"])
            : Steps.hold(Steps.parallel, [bad, once], retry: 2)
        var record = try RunRecord(FakeWorld.acceptance())
        var plan = ValueMap()
        if inLoop { plan = ["items": items(3), "concurrency": .int(2)] }
        let rows: [([Int], String, StepState)] =
            inLoop
            ? [
                ([1], "loop", .running), ([1, 1, 1], "often", .failed), ([1, 1], "round", .failed),
                ([1, 2, 1], "often", .skipped),
                ([1, 2, 2], "once", .running),
            ]
            : [([1], "parallel", .running), ([1, 1], "often", .failed), ([1, 2], "once", .running)]
        for (path, type, state) in rows {
            var step = StepRecord(
                place: StepPlace(.main, path), title: "", id: nil, type: type, runAttempt: 1, attempt: 1,
                state: state, startedAt: Timestamp(seconds: 3),
                outputs: path == [1] ? ["plan": .map(plan)] : [:])
            if state == .failed { step.failure = Failure("E-NEVER", "", retry: .never) }
            record.apply(state == .running ? .stepStarted(step) : .stepEnded(step))
        }
        let world = try FakeWorld()
        let outcome = try world.live(job([holding]), from: record)
        #expect(outcome.waits == [.interrupted], "\(world.recorder.story)")
        #expect(world.recorder.performances.isEmpty, "\(world.recorder.story)")
        #expect(outcome.state == (inLoop ? .succeeded : .failed))
        if inLoop {
            let loop = try #require(outcome.record.steps.first)
            #expect(loop.outputs["results"] == .list([.null, .int(1), .null]), "\(loop)")
        }
    }
    @Test func aCancelInAWaitOfTheCleanUpCounts() throws {
        let world = try FakeWorld(), signals = RunSignals()
        let spec = job([say("x")], finally: [Steps.spec(1, do: "transient", retry: 2)])
        var record = try RunRecord(FakeWorld.acceptance())
        guard case .suspended(let wait) = world.driver(record, spec, signals: signals).drive() else {
            Issue.record("no wait")
            return
        }
        for event in world.recorder.events { record.apply(event) }
        record.apply(.parked(wait))
        record.apply(.resumed(at: Timestamp(seconds: 8)))
        signals.raise(.cancel)
        guard case .ended(.cancelled, _, _) = world.driver(record, spec, signals: signals).drive() else {
            Issue.record("the cancel was forgotten")
            return
        }
    }
    /// Whoever survives errors does not survive the end of the run's room.
    @Test func theBoundOfARunIsFinal() throws {
        let inner = Steps.hold(
            Steps.loop, [Steps.spec(1, parameters: ["text": "x"])], continueOnError: true,
            parameters: ["items": items(10_000), "continue_on_error": .bool(true)])
        let spec = job([
            Steps.hold(
                Steps.loop, [inner], continueOnError: true,
                parameters: ["items": items(10_000), "continue_on_error": .bool(true)])
        ])
        let outcome = try FakeWorld().live(spec)
        #expect(outcome.failure?.code == "E-RUN-SIZE" && outcome.record.steps.count < Limits.runRecords + 10)
    }
    @Test func errorsOfStepsInsideAreSeenAfterAWait() throws {
        let group = Steps.hold(Steps.group, [Steps.spec(1, do: "never", id: "c", continueOnError: true)])
        let spec = job(
            [group, Steps.spec(1, do: "transient", retry: 2, continueOnError: true)],
            outputs: ["why": "{{ steps.c.error.message }}"])
        let outcome = try FakeWorld().live(spec)
        #expect(outcome.waits == [.retry] && outcome.outputs["why"] == "never")
    }
    /// Of what is too much the counts are kept.
    @Test func tooMuchIsCollected() throws {
        let big = Value.string(String(repeating: "x", count: 200_000))
        func loop(_ type: StepType, _ parameters: ValueMap) -> JobSpec {
            job(
                [
                    Steps.hold(
                        type, [Steps.spec(1, do: "never", when: "loop.last and fails")], id: "l",
                        continueOnError: true,
                        parameters: parameters.merging(["collect": "{{ big }}"]))
                ], variables: ["big": big, "fails": .bool(true)],
                outputs: ["n": "{{ steps.l.count }}", "has": "{{ 'results' in steps.l }}"])
        }
        let each = try FakeWorld().live(
            loop(Steps.loop, ["items": items(8), "continue_on_error": .bool(true)]))
        #expect(each.outputs == ["n": .int(8), "has": .bool(false)])
        let again = try FakeWorld().live(loop(Steps.again, ["count": .int(8)]))
        #expect(again.outputs == ["n": .int(7), "has": .bool(false)])
    }
    @Test func aRunHasABound() throws {
        let inner = Steps.hold(Steps.loop, [say("x")], parameters: ["items": items(10_000)])
        let spec = job(
            [Steps.hold(Steps.loop, [inner], parameters: ["items": items(10_000)])], finally: [say("clean")])
        let world = try FakeWorld()
        let outcome = try world.live(spec)
        #expect(outcome.failure?.code == "E-RUN-SIZE" && outcome.record.steps.count < Limits.runRecords + 10)
        #expect(world.recorder.performances.last?.hasSuffix("finally.1") == true)
    }
    /// So much that a cost for each earlier record, at each record, would be felt.
    @Test func manyRounds() throws {
        let world = try FakeWorld()
        let spec = job(
            [
                Steps.hold(
                    Steps.loop, [say("{{ item }}")],
                    parameters: ["items": items(3000), "concurrency": .int(4), "collect": "{{ loop.index }}"])
            ])
        let outcome = try world.live(spec)
        #expect(outcome.state == .succeeded && outcome.record.steps.count == 6001)
    }
}
