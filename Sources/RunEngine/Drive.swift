// What this is: what all parts of one drive of a run share: the job, the ports, the progress, the run's own time.
// Owns: the scope in which expressions are evaluated, the deadlines, the notes.
// Never: decides what is run; the courses do.
// On failure: nothing here fails.
import JobLanguage
import JobModel
import LinuxSystem

final class Drive: Sendable {
    let spec: JobSpec
    let actions: [String: any StepAction]
    let surroundings: RunSurroundings
    let signals: RunSignals
    let progress: Progress
    let crew: Crew
    let timeout: Span?
    let secrets: any SecretValues
    /// As whom its steps were started, whatever becomes of his role meanwhile; nil: as the service, or as nobody.
    let account: Account?
    /// Why the run has none, though its job names some.
    let secretFailure: Failure?
    private let started = Clocks.monotonic
    /// Time that steps of this attempt took in earlier drives: waits do not count against the run's time.
    private let activeBefore: Int64
    /// What on_failure and finally steps get when the run's own time is over.
    private static let cleanUpTime = Span.seconds(600)

    init(
        progress: Progress, spec: JobSpec, actions: [String: any StepAction], surroundings: RunSurroundings,
        signals: RunSignals, timeout: Span?
    ) {
        self.progress = progress
        self.spec = spec
        self.actions = actions
        self.surroundings = surroundings
        self.signals = signals
        self.timeout = timeout
        // Refused: then no step of his is started either.
        account = (try? surroundings.account(progress.acceptance.submitter)) ?? nil
        do throws(Failure) {
            secrets =
                spec.secrets.isEmpty
                ? NoSecrets() : try surroundings.secrets(spec.secrets, progress.acceptance)
            secretFailure = nil
        } catch {
            secrets = NoSecrets()
            secretFailure = error
        }
        crew = Crew("run \(progress.id.text.suffix(6))", count: spec.maxParallel - 1)
        activeBefore =
            timeout == nil
            ? 0 : progress.active(since: 0) { $0.place.section == .main && spec.isLeaf($0.place) }
    }

    var id: RunID { progress.id }
    var now: Timestamp { Timestamp(nanoseconds: Clocks.wall) }

    // MARK: secrets

    /// As they may be kept, and shown.
    func kept(_ outputs: ValueMap) -> ValueMap { spec.secrets.isEmpty ? outputs : secrets.masked(outputs) }
    func kept(_ failure: Failure) -> Failure { spec.secrets.isEmpty ? failure : secrets.masked(failure) }

    // MARK: time

    func deadline(_ section: Section) -> StepRun.Deadline? {
        guard let whole = section == .main ? timeout : Drive.cleanUpTime else { return nil }
        let used = section == .main ? Clocks.monotonic - started + activeBefore : 0
        return .init(
            instant: Clocks.monotonic + max(0, whole.nanoseconds - used),
            what: section == .main ? "the run" : section.rawValue, span: whole)
    }
    /// The nearest of a step's own and of what holds it. `used`: since it began, where the run waited for its sake.
    func deadline(_ step: StepSpec, at place: StepPlace, in frame: Frame, used: Int64 = 0) -> StepRun
        .Deadline?
    {
        let outer = step.section == .main ? nil : deadline(step.section)
        return Drive.nearest(frame.deadline, outer, own(step, place, used: used))
    }
    /// The same for a step that holds others, which may have used some of its time in earlier drives.
    func deadline(
        holding step: StepSpec, at place: StepPlace, since floor: Int, in frame: Frame
    ) -> StepRun.Deadline? {
        guard step.timeout != nil else { return frame.deadline }
        let used = progress.active(since: floor) { place.contains($0.place) && spec.isLeaf($0.place) }
        return Drive.nearest(frame.deadline, own(step, place, used: used))
    }
    private func own(_ step: StepSpec, _ place: StepPlace, used: Int64) -> StepRun.Deadline? {
        step.timeout.map {
            .init(
                instant: Clocks.monotonic + max(0, $0.nanoseconds - used),
                what: "step \(place.text) (\(step.title))", span: $0)
        }
    }
    private static func nearest(_ deadlines: StepRun.Deadline?...) -> StepRun.Deadline? {
        deadlines.compactMap { $0 }.min { $0.instant < $1.instant }
    }

    // MARK: values

    func scope(_ frame: Frame) -> Scope {
        let instant = now
        let local = instant.civil(
            offsetSeconds: Clocks.zoneOffset(atSeconds: instant.seconds), withMilliseconds: false)
        let acceptance = progress.acceptance
        var run: ValueMap = [
            "id": .string(id.text), "name": .string(spec.name), "queue": .string(acceptance.queue.text),
            "priority": .int(acceptance.priority.level), "attempt": .int(progress.attempt),
            "submitted_by": .string(acceptance.submitter.name), "file": .string(acceptance.dropName),
            "site": .string(surroundings.sitePath), "directory": .string("\(surroundings.runsPath)/\(id)"),
        ]
        if let failure = progress.failure {
            run["error"] = .map(failure.seen.merging(["step": .string(failure.step ?? "")]))
        }
        let base = surroundings.sitePath
        return Scope(
            variables: frame.variables ?? spec.variables, steps: frame.shelf.visible, run: run,
            extras: frame.names,
            now: instant,
            localDate: String(local.prefix(10)), zoneOffset: { Clocks.zoneOffset(atSeconds: $0) },
            environment: { [base = surroundings.baseEnvironment] in base[$0]?.text },
            fileExists: { [surroundings, who = acceptance.submitter] in
                let path = $0.begins(with: "/") ? $0 : base + "/" + $0
                do throws(Failure) {
                    guard let account = try surroundings.account(who) else { return Host.exists(path) }
                    return account.reachingFiles { Host.exists(path) }
                } catch {
                    // Nobody can act as him: nothing is there for him. The step itself fails for it.
                    return false
                }
            }, secrets: secrets, trigger: spec.trigger)
    }

    /// What is left of the lists that a step stands in, from the inside out, as it looks from there; in `parallel` what
    /// stands beside it does not wait for it.
    func upcoming(after place: StepPlace, in frame: Frame) -> [Value] {
        var rows: [StepOutline] = []
        var loops: [String] = []
        var list: Frame? = frame
        var seen: StepPlace?
        while let frame = list {
            list = frame.parent
            guard frame.place != seen else { continue }
            seen = frame.place
            let holder = frame.place.path.isEmpty ? nil : spec.steps(to: frame.place).last
            if holder?.type.control == .parallel { continue }
            let steps = holder?.steps ?? spec.steps(of: frame.place.section)
            let number = place.path[frame.place.path.count]
            if holder?.type.control?.isLoop == true { loops.append(holder?.label ?? "") }
            rows += StepOutline.rows(steps.filter { $0.number > number }, Preview(at: scope(frame))) {
                [actions] step, arguments in actions[step.type.name]?.target(arguments)
            }
        }
        return StepOutline.told(rows)
            + loops.map {
                .map(["loop": .string("step \($0) has other rounds, which may begin meanwhile or come after")]
                )
            }
    }

    static func failure(_ error: ExpressionError, in key: String) -> Failure {
        let place = error.path.isEmpty ? key : "\(key).\(error.path)"
        return Failure(error.code, "`\(place)`: \(error.message)", whatToDo: error.hint, retry: .never)
    }
}

extension Failure {
    /// What expressions see of it.
    var seen: ValueMap {
        var error: ValueMap = ["code": .string(code), "message": .string(message)]
        if let exitCode { error["exit_code"] = .int(exitCode) }
        return error
    }
}

extension JobSpec {
    /// Whether the record of this place is of a step that does something itself.
    func isLeaf(_ place: StepPlace) -> Bool { steps(to: place).last?.type.control == nil }
}
