// What this is: the attempts of a run, which no record holds as such, derived from its steps and waits.
// Owns: AttemptSummary and its derivation, the same for a record that was lived and one that was read back.
// Never: compares times; a result file brings them back in milliseconds only.
// On failure: nothing here fails; what nothing tells is nil.

import JobModel

/// One attempt of a run.
public struct AttemptSummary: Hashable, Sendable {
    /// From 1.
    public var attempt: Int
    public var state: FinalState
    /// nil when the attempt began no step.
    public var startedAt: Timestamp?
    public var endedAt: Timestamp?

    static func all(of record: RunRecord, _ state: FinalState, _ ended: Timestamp) -> [AttemptSummary] {
        let last = max(1, record.attempt)
        // A run that was cancelled while it waited for its next attempt: the last one had ended by itself.
        let endedBetween = record.waits.last.map { $0.wait.nextAttempt > last } ?? false
        return (1...last).map { number in
            let steps = last == 1 ? record.steps : record.steps.filter { $0.runAttempt == number }
            guard number < last || endedBetween else {
                let started = steps.first?.startedAt
                return AttemptSummary(attempt: number, state: state, startedAt: started, endedAt: ended)
            }
            let next = record.waits.first { $0.wait.nextAttempt == number + 1 }
            return AttemptSummary(
                attempt: number, state: brokenState(steps), startedAt: steps.first?.startedAt,
                endedAt: next?.wait.since ?? steps.last?.endAsResultsTell)
        }
    }

    /// How an attempt that was followed by another ended: as its last main step that went wrong.
    private static func brokenState(_ steps: [StepRecord]) -> FinalState {
        for step in steps.reversed() where step.place.section == .main && step.failure?.code != Failure.halted
        {
            switch step.state {
            case .timedOut: return .timedOut
            case .denied: return .denied
            case .cancelled: return .cancelled
            case .failed, .interrupted: return .failed
            case .running, .succeeded, .skipped, .waiting: continue
            }
        }
        return .failed
    }
}

extension StepRecord {
    /// A result file holds the start and the length, each cut to milliseconds; their sum can be one less than
    /// the end cut to milliseconds.
    var endAsResultsTell: Timestamp? {
        guard let endedAt else { return nil }
        let milliseconds = startedAt.milliseconds + endedAt.since(startedAt).milliseconds
        return Timestamp(nanoseconds: milliseconds * 1_000_000)
    }
}
