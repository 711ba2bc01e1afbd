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
    /// A person's answer about the step that the wait names.
    case resolved(Resolution, at: Timestamp)
    /// Something about the question with this nonce that the step at this place asks; it may come while other steps run.
    case approval(StepPlace, nonce: String, ApprovalEvent)
    /// How the main steps of this attempt came out, for good: what comes after them may wait and begin anew.
    case mainEnded(Failure?)
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
            if let open = openIndex(step.place) { steps[open].state = .interrupted }
            steps.append(step)
            forgetAnswer(of: step.place)
        case .stepEnded(let step):
            if let open = openIndex(step.place) {
                steps[open] = step
            } else {
                steps.append(step)
            }
            forgetAnswer(of: step.place)
        case .approval(let place, let nonce, let event):
            if !approvals.contains(where: { $0.nonce == nonce }) {
                approvals.append(Approval(place, nonce: nonce))
            }
            for index in approvals.indices where approvals[index].nonce == nonce {
                approvals[index].apply(event)
            }
        case .mainEnded(let failure): mainEnd = MainEnd(attempt: attempt, failure: failure)
        case .parked(let wait):
            closeWait(at: wait.since)
            // Before the step that it is for has begun, a hold or a service that is waited for keeps it.
            if ![.held, .target].contains(wait.reason) { answer = nil }
            state = .waiting(wait)
            waits.append(WaitRecord(wait: wait))
        case .resumed(let instant): goOn(at: instant)
        case .resolved(let answer, let instant):
            let place = unknownStep?.place
            goOn(at: instant)
            self.answer = Answer(resolution: answer, place: place)
        case .ended(let final, let instant, let failure, let outputs, let result):
            closeWait(at: instant)
            state = .ended(final)
            endedAt = instant
            self.failure = failure
            self.outputs = outputs
            self.result = result
        }
    }

    private mutating func forgetAnswer(of place: StepPlace) {
        if answer?.place == place || answer?.place == nil { answer = nil }
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
