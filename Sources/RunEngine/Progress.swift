// What this is: what is known of the run that is being driven, shared by all threads that run its steps.
// Owns: our copy of the record, what is last known of each place, the run's failure, detached programs.
// Never: decides anything.
// On failure: nothing here fails.
import JobModel
import LinuxSystem

final class Progress: Sendable {
    private struct State {
        var record: RunRecord
        /// Index of the last record of each place in this attempt of the run.
        var last: [StepPlace: Int] = [:]
        var failure: Failure?
        var detached: [ChildProcess] = []
        /// About the bytes that steps have handed on.
        var handedOn = 0
        /// What a person said about one step.
        var answer: (place: StepPlace, resolution: Resolution)?
    }
    private let state: Monitor<State>
    private let recorder: any RunRecorder
    /// They do not change while the run is driven.
    let acceptance: Acceptance
    let attempt: Int

    init(_ record: RunRecord, recorder: any RunRecorder) {
        var initial = State(record: record)
        for (index, step) in record.steps.enumerated() {
            if step.runAttempt == record.attempt { initial.last[step.place] = index }
            initial.handedOn += Value.map(step.outputs).roughBytes
        }
        if let answer = record.answer, let place = answer.place ?? record.unknownStep?.place {
            initial.answer = (place, answer.resolution)
        }
        state = Monitor(initial)
        self.recorder = recorder
        acceptance = record.acceptance
        attempt = record.attempt
    }

    var id: RunID { acceptance.id }
    var record: RunRecord { state.with { $0.record } }

    /// How often this place has come to an end in this attempt of the run; what a crash or a wait cut off is none.
    func effort(of place: StepPlace) -> String { "\(attempt).\(ends(of: place) + 1)" }
    private func ends(of place: StepPlace) -> Int {
        let ended: [StepState] = [.succeeded, .failed, .timedOut, .cancelled, .denied]
        return state.with { state in
            state.record.steps.count {
                $0.place == place && $0.runAttempt == attempt && ended.contains($0.state)
            }
        }
    }

    /// When this attempt of a step began, before the run waited for its sake.
    func began(_ place: StepPlace, attempt: Int, since floor: Int) -> Timestamp? {
        state.with { state in
            state.record.steps.dropFirst(floor).first {
                $0.place == place && $0.attempt == attempt && $0.runAttempt == self.attempt
            }?.startedAt
        }
    }

    /// Records before `floor` belong to an earlier round or try of what holds the step.
    func last(_ place: StepPlace, since floor: Int) -> StepRecord? {
        state.with { state in
            guard let index = state.last[place], index >= floor else { return nil }
            return state.record.steps[index]
        }
    }
    func index(_ place: StepPlace) -> Int? { state.with { $0.last[place] } }

    /// The highest round of a loop that has any record.
    func rounds(in place: StepPlace, since floor: Int) -> Int {
        state.with { state in
            state.last.reduce(0) { most, entry in
                guard entry.value >= floor, place.contains(entry.key) else { return most }
                return max(most, entry.key.path[place.path.count])
            }
        }
    }

    /// Until when the run has waited for retries in this attempt: what was due by then is due.
    var served: Timestamp? {
        state.with { state in
            state.record.waits.filter { $0.endedAt != nil && $0.wait.reason == .retry }.compactMap(
                \.wait.until
            )
            .max()
        }
    }

    /// Applies an event to our copy and hands it to the recorder. What concerns one place comes from one thread.
    func note(_ event: RunEvent, durable: Bool) {
        state.with { state in
            let count = state.record.steps.count
            state.record.apply(event)
            switch event {
            case .stepStarted(let step), .stepEnded(let step):
                // An end that found no open start is a record of its own.
                if state.record.steps.count > count { state.last[step.place] = count }
                state.handedOn += Value.map(step.outputs).roughBytes
            default: break
            }
        }
        recorder.record(event, of: id, durable: durable)
    }

    /// Ends what is still open below a place, cut short because something beside it failed: steps that hold others, and steps
    /// that wait, which nobody would ask again.
    func close(inside place: StepPlace, since floor: Int, _ isHolding: (StepPlace) -> Bool) {
        let open = state.with { state in
            state.record.steps.indices.dropFirst(floor).filter { index in
                let step = state.record.steps[index]
                guard place.contains(step.place), step.runAttempt == attempt else { return false }
                return step.state == .running || step.state == .waiting && state.last[step.place] == index
            }.map { state.record.steps[$0] }
        }.filter { $0.state == .waiting || isHolding($0.place) }
        for var step in open {
            // What a waiting step had begun stands in its outputs: at the end of the run it is called back.
            if step.state == .running { step.outputs = [:] }
            step.state = .cancelled
            step.endedAt = Timestamp(nanoseconds: Clocks.wall)
            step.failure = Failure(
                Failure.halted, "something beside it failed", kind: .cancelled, retry: .never,
                step: step.label)
            note(.stepEnded(step), durable: false)
        }
    }

    /// The run ends: a step that a crash cut off, and to which no list came back because something beside it had failed, stays
    /// what it is, unknown.
    func closeLeft(_ isLeaf: (StepPlace) -> Bool) {
        for var step in state.with({ $0.record.steps.filter { $0.state == .running } })
        where isLeaf(step.place) {
            step.state = .interrupted
            step.endedAt = Timestamp(nanoseconds: Clocks.wall)
            step.failure = Failure(
                "E-INT-UNKNOWN", "step \(step.label) (\(step.title)) may or may not have had its effect",
                whatToDo: "Look at what it did; the run has ended for another reason.", kind: .interrupted,
                retry: .never, step: step.label)
            note(.stepEnded(step), durable: false)
        }
        for section in Section.allCases { close(inside: StepPlace(section, []), since: 0) { !isLeaf($0) } }
    }

    /// The code of a run that is too large to go on.
    static let full = "E-RUN-SIZE"
    /// What keeps another step from beginning: a run is one record in memory, in the journal and in its result. The clean-up has
    /// some room of its own.
    func fullness(_ section: Section) -> Failure? {
        let (records, bytes) = state.with { ($0.record.steps.count, $0.handedOn) }
        let more = section == .main ? 1.0 : section == .onFailure ? 1.1 : 1.2
        if Double(records) >= Double(Limits.runRecords) * more {
            return Failure(
                Progress.full, "the run has \(records) steps on record, and that is the limit",
                whatToDo: "Split it: a job for each part of the list.", retry: .never)
        }
        guard Double(bytes) > Double(Limits.runOutputBytes) * more else { return nil }
        return Failure(
            Progress.full,
            "the steps of the run have handed on about \(bytes >> 20) MiB, and \(Limits.runOutputBytes >> 20) are the limit",
            whatToDo: "Let steps write to files, or set `capture:` lower.", retry: .never)
    }

    /// Why the run ends as it does; the first counts.
    var failure: Failure? { state.with { $0.failure } }
    func fail(_ failure: Failure?) { state.with { $0.failure = $0.failure ?? failure } }

    /// A person's answer is for one step and is used once.
    func takeAnswer(for place: StepPlace) -> Resolution? {
        state.with { state in
            guard let answer = state.answer, answer.place == place else { return nil }
            state.answer = nil
            return answer.resolution
        }
    }

    func keep(detached: [ChildProcess]) { state.with { $0.detached += detached } }
    var detached: [ChildProcess] { state.with { $0.detached } }

    /// How long steps took that `counts` says to count, in this attempt and in earlier drives. Steps that ran side by
    /// side count once, and waits not at all.
    func active(since floor: Int, _ counts: (StepRecord) -> Bool) -> Int64 {
        let spans = record.steps.dropFirst(floor).filter {
            $0.runAttempt == attempt && $0.state != .interrupted && counts($0)
        }
        .map { (from: $0.startedAt.nanoseconds, to: ($0.endedAt ?? $0.startedAt).nanoseconds) }
        .sorted { $0.from < $1.from }
        var total: Int64 = 0, end = Int64.min
        for span in spans where span.to > end {
            total += span.to - max(span.from, end)
            end = span.to
        }
        return total
    }
}
