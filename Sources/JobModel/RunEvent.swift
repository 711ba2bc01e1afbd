// What this is: the facts of which a run's record is made; the journal stores them, the record folds them.
// Owns: RunEvent and RunRecord.apply.
// Never: refuses: an event was durable before it was applied. Events after the end change nothing.
// On failure: nothing here fails.

public enum RunEvent: Hashable, Sendable {
    case accepted(Acceptance)
    case stepStarted(StepRecord)
    /// Replaces the open step's record: state, end, outputs, failure, log.
    case stepEnded(StepRecord)
    case parked(Wait)
    /// The wait is over: the run is queued again, with the attempt number that its wait named.
    case resumed(at: Timestamp)
    case resolved(Resolution, at: Timestamp)
    case ended(FinalState, at: Timestamp, failure: Failure?, outputs: ValueMap, result: [UInt8])
    /// Result published and job file retired; nothing is left to do.
    case retired
    /// A whole record carried into a newer segment or taken over from a dead runner.
    case carried(RunRecord)
}

extension RunRecord {
    public mutating func apply(_ event: RunEvent) {
        if case .ended = state { return }
        switch event {
        case .accepted, .retired: break
        case .carried(let record): self = record
        case .stepStarted(let step):
            state = .running
            startedAt = startedAt ?? step.startedAt
            // An attempt that a crash cut off ends when the next one is known.
            if let open = open(step.place) { steps[open].state = .interrupted }
            steps.append(step)
            resolution = nil
        case .stepEnded(let step):
            if let open = open(step.place) {
                steps[open] = step
            } else {
                steps.append(step)
            }
        case .parked(let wait):
            closeWait(at: wait.since)
            state = .waiting(wait)
            waits.append(WaitRecord(wait: wait))
        case .resumed(let instant): goOn(at: instant)
        case .resolved(let answer, let instant):
            goOn(at: instant)
            resolution = answer
        case .ended(let final, let instant, let failure, let outputs, let result):
            closeWait(at: instant)
            state = .ended(final)
            endedAt = instant
            self.failure = failure
            self.outputs = outputs
            self.result = result
        }
    }

    private func open(_ place: StepPlace) -> Int? {
        steps.lastIndex { $0.state == .running && $0.place == place }
    }
    private mutating func goOn(at instant: Timestamp) {
        if case .waiting(let wait) = state { attempt = wait.nextAttempt }
        closeWait(at: instant)
        state = .queued
    }
    private mutating func closeWait(at instant: Timestamp) {
        guard let last = waits.indices.last, waits[last].endedAt == nil else { return }
        waits[last].endedAt = instant
    }
}
