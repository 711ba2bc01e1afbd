// What this is: steps that call a service outside, before a gate that this test keeps.
// Owns: that a step which may not go yet has not begun, and what the gate is told afterwards.
// Never: waits.
// On failure: the story of the run is in the message.
import JobLanguage
import JobModel
import LinuxSystem
import TestKit
import Testing

@testable import RunEngine

private let run = "01ARZ3NDEKTSV4RRFFQ69G5FAV"

private final class FakeGate: TargetGate {
    /// One for each time that it is asked; then everything goes.
    let answers: Monitor<[Answer]>
    let calls = Monitor<[String]>([])
    nonisolated(unsafe) var whenAsked: () -> Void = {}
    enum Answer: Sendable { case go, wait(Span), refuse }
    init(_ answers: Answer...) { self.answers = Monitor(answers) }

    func enter(_ target: String, for who: String) -> TargetState.Answer {
        calls.with { $0.append("enter \(target) \(who)") }
        whenAsked()
        switch answers.with({ $0.isEmpty ? .go : $0.removeFirst() }) {
        case .go: return .go
        case .wait(let span):
            return .wait(until: Timestamp(nanoseconds: Clocks.wall).adding(span), isDown: true)
        case .refuse: return .refuse
        }
    }
    func refusal(_ target: String) -> Failure { Failure("E-TARGET-DOWN", "\(target) is down") }
    func leave(_ target: String, for who: String, _ outcome: TargetOutcome) {
        calls.with { $0.append("leave \(target) \(who) \(outcome)") }
    }
}

@Suite struct TargetCallTests {
    private func call(_ type: StepType = Steps.once, do outcome: String? = nil, retry: Int? = nil) -> StepSpec
    {
        Steps.spec(1, type, do: outcome, retry: retry, parameters: ["target": "api:443"])
    }

    @Test func whoMayNotGoYetHasNotBegun() throws {
        let gate = FakeGate(.wait(.seconds(60)), .wait(.seconds(90)))
        let world = try FakeWorld(targets: gate)
        let outcome = try world.live(job([call()]))
        #expect(outcome.state == .succeeded && outcome.waits == [.target, .target])
        // A crash while it waits finds nothing that may have happened, and its start is as durable as any.
        #expect(
            world.recorder.story == [
                "parked target", "resumed", "parked target", "resumed", "start 1#1 durable", "do \(run)/1",
                "end 1#1 succeeded", "ended succeeded",
            ])
        // By the same name each time, so that its turn stays its own.
        let who = "api:443 \(run)/1/1.1.1"
        #expect(
            gate.calls.with { $0 } == [
                "enter \(who)", "enter \(who)", "enter \(who)", "leave \(who) answered",
            ])
    }

    @Test func aShortWaitIsWaitedOutWithoutLettingTheRunGo() throws {
        let gate = FakeGate(.wait(.milliseconds(5)))
        let outcome = try FakeWorld(targets: gate).live(job([call()]))
        #expect(outcome.state == .succeeded && outcome.waits.isEmpty)
    }

    @Test func theGateHearsWhatTheCallSaidOfItsTarget() throws {
        for (outcome, said) in [
            ("down", "down(\"E-DOWN\")"), ("permanent", "unknown"), ("timed_out", "unknown"),
        ] {
            let gate = FakeGate()
            let ended = try FakeWorld(targets: gate).live(job([call(do: outcome)]))
            #expect(ended.failure != nil && ended.failure?.target == nil)
            #expect(gate.calls.with { $0.last } == "leave api:443 \(run)/1/1.1.1 \(said)")
        }
    }

    @Test func anotherTryIsAnotherCall() throws {
        let gate = FakeGate()
        let ended = try FakeWorld(targets: gate).live(job([call(Steps.often, do: "down", retry: 2)]))
        #expect(ended.failure?.code == "E-DOWN")
        let names = gate.calls.with { $0.filter { $0.hasPrefix("enter") } }
        #expect(names == ["enter api:443 \(run)/1/1.1.1", "enter api:443 \(run)/1/1.2.2"])
    }

    @Test func aRefusalIsTheStepsFailure() throws {
        let world = try FakeWorld(targets: FakeGate(.refuse))
        let outcome = try world.live(job([call()]))
        #expect(outcome.failure?.code == "E-TARGET-DOWN" && outcome.failure?.step == "1")
        #expect(world.recorder.performances.isEmpty)
    }

    @Test func aCancelledRunIsNotKeptWaiting() throws {
        let gate = FakeGate(.wait(.seconds(60)))
        let world = try FakeWorld(targets: gate)
        let record = try RunRecord(FakeWorld.acceptance())
        let signals = RunSignals()
        signals.raise(.cancel)
        guard case .ended(let state, _, _) = world.driver(record, job([call()]), signals: signals).drive()
        else {
            Issue.record("it waits")
            return
        }
        #expect(state == .cancelled && world.recorder.performances.isEmpty)
        #expect(gate.calls.with { $0 }.isEmpty)
    }

    @Test func itsTimeBeginsWhenItMayGo() throws {
        let gate = FakeGate(.wait(.milliseconds(60)))
        var step = call()
        step.timeout = .milliseconds(50)
        // A step type of its own, which looks whether its time is over.
        let world = try FakeWorld(
            targets: gate,
            calls: [
                "look": { context throws(Failure) in
                    try context.checkpoint()
                    return [:]
                }
            ])
        step.type = Steps.call
        step.parameters["name"] = "look"
        #expect(try world.live(job([step])).state == .succeeded)
    }

    @Test func whoIsStoppedOrHeldWhileItWaitsHasNotBegun() throws {
        for request in [RunSignals.Request.stop, .hold] {
            let signals = RunSignals()
            let gate = FakeGate(.wait(.milliseconds(50)), .wait(.milliseconds(50)))
            gate.whenAsked = { signals.raise(request) }
            let world = try FakeWorld(targets: gate)
            let ending = world.driver(RunRecord(try FakeWorld.acceptance()), job([call()]), signals: signals)
                .drive()
            switch ending {
            case .stopped: #expect(request == .stop)
            case .suspended(let wait): #expect(request == .hold && wait.reason == .held)
            default: Issue.record("\(ending)")
            }
            #expect(world.recorder.story.allSatisfy { !$0.hasPrefix("start") }, "\(world.recorder.story)")
        }
    }

    @Test func anAnswerOfAPersonOutlivesTheWait() throws {
        let gate = FakeGate(.wait(.seconds(60)))
        let world = try FakeWorld(targets: gate)
        var record = try RunRecord(FakeWorld.acceptance())
        let step = StepRecord(
            place: StepPlace(.main, [1]), title: "once", id: nil, type: "once", runAttempt: 1, attempt: 1,
            state: .running,
            startedAt: Timestamp(seconds: 3))
        record.apply(.stepStarted(step))
        let outcome = try world.live(job([call()]), from: record, resolution: .retry)
        #expect(outcome.state == .succeeded && outcome.waits == [.interrupted, .target])
    }

    @Test func whatCleansUpIsNotKeptWaiting() throws {
        let world = try FakeWorld(targets: FakeGate(.wait(.seconds(60)), .refuse))
        let steps = [1, 2].map { Steps.spec($0, Steps.once, .finally, parameters: ["target": "api:443"]) }
        let outcome = try world.live(job([Steps.spec(1)], finally: steps))
        #expect(
            outcome.state == .succeeded && outcome.waits.isEmpty && world.recorder.performances.count == 3)
    }
}
