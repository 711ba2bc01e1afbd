// What this is: fake steps, a recorder in memory, and a house that drives runs with them as the daemon would.
// Owns: what each fake step does, and the count of what was done.
// Never: sleeps; a fake that pauses is ended by what it pauses for.
// On failure: a drive that never ends stops after a bound with a message.
// Suspensions are resumed at once: the harness is the daemon, the clock and the person.
import Foundation
import JobLanguage
import JobModel
import LinuxSystem
import TestKit
import Testing

@testable import RunEngine

/// A step type whose doing is a closure.
struct FakeAction: StepAction {
    let type: StepType
    let body: @Sendable (ValueMap, any StepContext) throws(Failure) -> ValueMap
    /// Of a step that says `target`.
    func target(_ arguments: ValueMap) -> String? { arguments["target"]?.stringValue }
    func perform(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) -> ValueMap {
        try body(arguments, context)
    }
}

/// What happened, in the order it happened.
enum Happening: Hashable, Sendable {
    case event(RunEvent, durable: Bool)
    case performed(String, attempt: Int, isRerun: Bool)
}

final class Recorder: RunRecorder {
    let happenings = Monitor<[Happening]>([])
    /// Asked at each event; the daemon's place to raise a signal from.
    let hook: @Sendable (RunEvent) -> Void
    init(hook: @escaping @Sendable (RunEvent) -> Void = { _ in }) { self.hook = hook }

    func record(_ event: RunEvent, of run: RunID, durable: Bool) {
        happenings.with { $0.append(.event(event, durable: durable)) }
        hook(event)
    }
    func performed(_ what: String, attempt: Int, isRerun: Bool) {
        happenings.with { $0.append(.performed(what, attempt: attempt, isRerun: isRerun)) }
    }
    var all: [Happening] { happenings.with { $0 } }
    var events: [RunEvent] { all.compactMap { if case .event(let event, _) = $0 { event } else { nil } } }
    /// `start 1`, `end 1 succeeded`, and what was performed between them.
    var story: [String] {
        all.map { happening in
            switch happening {
            case .event(.stepStarted(let step), let durable):
                "start \(step.label)#\(step.attempt)" + (durable ? " durable" : "")
            case .event(.stepEnded(let step), _): "end \(step.label)#\(step.attempt) \(step.state.rawValue)"
            case .event(.parked(let wait), _): "parked \(wait.reason.rawValue)"
            case .event(.resumed, _): "resumed"
            case .event(.resolved(let answer, _), _): "resolved \(answer.rawValue)"
            case .event(.ended(let state, _, _, _, _), _): "ended \(state.rawValue)"
            case .event: "other"
            case .performed(let what, _, _): "do \(what)"
            }
        }
    }
    var performances: [String] {
        all.compactMap { if case .performed(let what, _, _) = $0 { what } else { nil } }
    }
}

enum Steps {
    static let often = StepType(
        "often", "",
        parameters: [Parameter("do", .any, ""), Parameter("text", .text, ""), Parameter("target", .any, "")],
        example: "")
    static let once = StepType("once", "", parameters: often.parameters, retryClass: .atMostOnce, example: "")
    static let call = StepType(
        "call", "", parameters: [Parameter("name", .text, "")], retryClass: .repeatable, example: "")

    static let group = StepType("group", "", parameters: [], example: "", control: .group)
    static let parallel = StepType("parallel", "", parameters: [], example: "", control: .parallel)
    static let loop = StepType(
        "loop", "",
        parameters: ["items", "concurrency", "continue_on_error"].map { Parameter($0, .any, "") }
            + [Parameter("collect", .roundValue, "")], example: "", control: .foreach)
    static let again = StepType(
        "again", "",
        parameters: [
            Parameter("count", .any, ""), Parameter("until", .roundCondition, ""),
            Parameter("collect", .roundValue, ""),
        ], example: "", control: .repeated)
    static let holding = [group, parallel, loop, again]

    /// Puts steps, and those inside of them, where they stand.
    static func placed(_ steps: [StepSpec], inside place: StepPlace) -> [StepSpec] {
        steps.enumerated().map { index, step in
            var step = step
            step.place = place.inside(index + 1)
            step.steps = placed(step.steps, inside: step.place)
            return step
        }
    }
    static func hold(
        _ type: StepType, _ steps: [StepSpec], id: String? = nil, when: String? = nil, retry: Int? = nil,
        timeout: Span? = nil, continueOnError: Bool = false, parameters: ValueMap = [:]
    ) -> StepSpec {
        StepSpec(
            place: StepPlace(.main, []), id: id, type: type, parameters: parameters, steps: steps, when: when,
            retry: retry.map(policy), timeout: timeout, continueOnError: continueOnError)
    }

    /// `do` says how it goes: absent is success, else a failure's retry class or kind.
    static func spec(
        _ number: Int, _ type: StepType = often, _ section: Section = .main, do outcome: String? = nil,
        id: String? = nil, needs: [String]? = nil,
        when: String? = nil, retry: Int? = nil, timeout: Span? = nil, idempotent: Bool? = nil,
        continueOnError: Bool = false,
        environment: ValueMap = [:], parameters: ValueMap = [:]
    ) -> StepSpec {
        var parameters = parameters
        if let outcome { parameters["do"] = .string(outcome) }
        return StepSpec(
            place: StepPlace(section, [number]), id: id, type: type, parameters: parameters, needs: needs,
            when: when, retry: retry.map(policy),
            timeout: timeout, idempotent: idempotent, continueOnError: continueOnError,
            environment: environment)
    }
    static func policy(_ attempts: Int) -> RetryPolicy {
        RetryPolicy(
            maxAttempts: attempts, baseDelay: .seconds(1), backoffMultiplier: 2, maxDelay: .seconds(60))
    }
    static func outcome(_ word: String) throws(Failure) {
        let failures: [String: Failure] = [
            "never": Failure("E-NEVER", "never", retry: .never),
            "permanent": Failure("E-PERMANENT", "permanent"),
            "down": Failure("E-DOWN", "down", retry: .transient).blamingTarget,
            "transient": Failure("E-TRANSIENT", "transient", retry: .transient),
            "denied": Failure("E-DENIED", "denied", kind: .denied, retry: .never),
            "unspawned": Failure(Failure.notSpawned, "no process", retry: .transient),
            "timed_out": Failure("E-TIMEOUT", "late", kind: .timedOut, retry: .transient),
        ]
        if let failure = failures[word] { throw failure }
    }
}

/// One run in a directory of its own.
final class FakeWorld: Sendable {
    let folder: Folder
    let recorder: Recorder
    let calls: [String: @Sendable (any StepContext) throws(Failure) -> ValueMap]
    let grace: Span
    let targets: (any TargetGate)?

    init(
        grace: Span = .milliseconds(100), targets: (any TargetGate)? = nil,
        calls: [String: @Sendable (any StepContext) throws(Failure) -> ValueMap] = [:],
        hook: @escaping @Sendable (RunEvent) -> Void = { _ in }
    ) throws {
        folder = try Folder()
        recorder = Recorder(hook: hook)
        self.calls = calls
        self.grace = grace
        self.targets = targets
        _ = try folder.folder("runs")
    }

    /// Of a run of its own where processes are started: they are found and killed by their run's id.
    static func acceptance(own: Bool = false) throws -> Acceptance {
        var maker = RunIDMaker()
        let fresh = maker.next(now: Timestamp(seconds: 1_800_000_000), random: Clocks.randomBits())
        return Acceptance(
            id: own ? fresh : try #require(RunID("01ARZ3NDEKTSV4RRFFQ69G5FAV")), queue: .standard,
            priority: .normal, dropName: "job.yaml",
            jobName: "job", submitter: Submitter(uid: 1, name: "alice"), acceptedAt: Timestamp(seconds: 2),
            arrivedAt: Timestamp(seconds: 1), identity: InodeIdentity(inode: 1, birthNanoseconds: 1),
            snapshot: [], sha256: "", runner: "main")
    }
    var surroundings: RunSurroundings {
        let runs = folder.path + "/runs"
        return RunSurroundings(
            sitePath: folder.path, runsPath: runs,
            runDirectory: { try Directory.open(runs).makeDirectory($0.text) },
            baseEnvironment: ["PATH": "/usr/bin:/bin", "BASE": "base"],
            killGrace: grace, targets: targets)
    }
    private var actions: [String: any StepAction] {
        let recorder = recorder, calls = calls
        let body: @Sendable (ValueMap, any StepContext) throws(Failure) -> ValueMap = {
            (arguments, context) throws(Failure) in
            recorder.performed(context.idempotencyKey, attempt: context.attempt, isRerun: context.isRerun)
            try Steps.outcome(arguments["do"]?.text ?? "")
            return ["text": arguments["text"] ?? .null, "attempt": .int(context.attempt)]
        }
        var all: [String: any StepAction] = [
            "often": FakeAction(type: Steps.often, body: body),
            "once": FakeAction(type: Steps.once, body: body),
            "call": FakeAction(type: Steps.call) { (arguments, context) throws(Failure) in
                recorder.performed(context.idempotencyKey, attempt: context.attempt, isRerun: context.isRerun)
                return try calls[arguments["name"]?.text ?? ""]?(context) ?? [:]
            },
        ]
        for type in Steps.holding {
            all[type.name] = FakeAction(type: type) { (arguments, _) throws(Failure) in
                ValueMap(
                    distinct: arguments.entries.compactMap { $0.value.isNull ? nil : ($0.key, $0.value) }
                        .map { ($0.0, $0.0 == "until" ? .bool(true) : $0.1) })
            }
        }
        return all
    }
    func driver(
        _ record: RunRecord, _ spec: JobSpec, signals: RunSignals = RunSignals(),
        queue: QueuePolicy = QueuePolicy(name: .standard)
    ) -> RunDriver {
        RunDriver(
            record: record, spec: spec, actions: actions, recorder: recorder, surroundings: surroundings,
            signals: signals, queue: queue)
    }

    struct Outcome {
        var state: FinalState
        var failure: Failure?
        var outputs: ValueMap
        var record: RunRecord
        var waits: [Wait.Reason]
    }
    /// Drives to the end, as the daemon would: waits are over at once, an interrupted step is resolved as given.
    func live(
        _ spec: JobSpec, from start: RunRecord? = nil, resolution: Resolution = .skip,
        queue: QueuePolicy = QueuePolicy(name: .standard)
    ) throws -> Outcome {
        var record = try start ?? RunRecord(FakeWorld.acceptance())
        var waits: [Wait.Reason] = []
        for _ in 0..<200 {
            if case .waiting(let wait) = record.state { goOn(wait, resolution, &record) }
            let seen = recorder.events.count
            let ending = driver(record, spec, queue: queue).drive()
            for event in recorder.events.dropFirst(seen) { record.apply(event) }
            switch ending {
            case .ended(let state, let failure, let outputs):
                note(
                    .ended(state, at: Timestamp(seconds: 9), failure: failure, outputs: outputs, result: []),
                    &record)
                return Outcome(state: state, failure: failure, outputs: outputs, record: record, waits: waits)
            case .suspended(let wait), .starved(let wait, _):
                waits.append(wait.reason)
                note(.parked(wait), &record)
            case .stopped: throw Failure("E-TEST", "stopped without a stop")
            }
        }
        throw Failure("E-TEST", "the run never ended")
    }
    private func goOn(_ wait: Wait, _ resolution: Resolution, _ record: inout RunRecord) {
        let now = Timestamp(seconds: 8)
        note(wait.reason == .interrupted ? .resolved(resolution, at: now) : .resumed(at: now), &record)
    }
    private func note(_ event: RunEvent, _ record: inout RunRecord) {
        record.apply(event)
        recorder.record(event, of: record.id, durable: true)
    }
}

func job(
    _ steps: [StepSpec], onFailure: [StepSpec] = [], finally: [StepSpec] = [], retry: Int? = nil,
    timeout: Span? = nil,
    variables: ValueMap = [:], outputs: ValueMap = [:], maxParallel: Int = Limits.parallelSteps
) -> JobSpec {
    var spec = JobSpec(
        name: "job", variables: variables, retry: retry.map(Steps.policy), timeout: timeout,
        steps: Steps.placed(steps, inside: StepPlace(.main, [])),
        onFailure: Steps.placed(onFailure, inside: StepPlace(.onFailure, [])),
        finally: Steps.placed(finally, inside: StepPlace(.finally, [])), outputs: outputs)
    spec.maxParallel = maxParallel
    return spec
}
