// What this is: runs that wait for runs they have submitted, and when they are woken.
// Owns: the look whether a child is still on its way, wherever in the spool and whoever's it is.
// Never: judges what a child's end means: the step that submitted it does.
// On failure: a directory that cannot be read keeps the parents asleep until the next look.
import JobModel
import LinuxSystem
import SpoolQueue

struct Parents {
    private let core: RunnerCore
    private let wake: (RunID) -> Void

    init(_ core: RunnerCore, wake: @escaping (RunID) -> Void) {
        self.core = core
        self.wake = wake
    }

    /// While another of its steps waits for something else, a parent may go on for the sake of the child.
    static func mayWake(_ reason: Wait.Reason) -> Bool {
        [.child, .retry, .scheduled, .interrupted].contains(reason)
    }

    /// A run of ours has ended.
    func ended(_ record: RunRecord) {
        guard let parent = record.acceptance.terms.parent, let run = RunID(parent.run),
            let record = core.journal.record(run), !Parents.tickets(record).isEmpty
        else { return }
        wake(run)
    }

    /// Wakes those of whose children nothing is left on its way: they ended elsewhere, or were sent back.
    func look(for runs: [RunID]? = nil) {
        let waiting = (runs?.compactMap(core.journal.record) ?? core.journal.liveRecords).filter { record in
            guard case .waiting(let wait) = record.state else { return false }
            return wait.reason == .child
        }
        guard !waiting.isEmpty, let onTheirWay = onTheirWay() else { return }
        for record in waiting where !Parents.tickets(record).allSatisfy(onTheirWay.contains) {
            wake(record.id)
        }
    }

    /// The run ends while steps of it still wait: something beside them has failed, or its time is over.
    static func giveUp(_ record: RunRecord, at now: Timestamp) -> [RunEvent] {
        waiting(record).map { step in
            var given = step
            given.state = .cancelled
            given.startedAt = now
            given.endedAt = now
            given.failure = Failure(
                Failure.halted, "the run ended while this step waited", kind: .cancelled, retry: .never,
                step: step.label)
            return .stepEnded(given)
        }
    }
    /// Jobs of such steps that are to end with the run.
    static func children(leftBy record: RunRecord) -> [RunID] {
        record.steps.filter {
            $0.state == .cancelled && $0.failure?.code == Failure.halted
                && $0.outputs["on_cancel"]?.stringValue == "cancel"
        }.compactMap { $0.outputs["ticket"]?.stringValue.flatMap { RunID($0) } }
    }
    private static func waiting(_ record: RunRecord) -> [StepRecord] {
        record.steps.filter { step in
            step.state == .waiting && step.runAttempt == record.attempt && record.last(step.place) == step
        }
    }

    /// Of the children that steps of this run wait for.
    static func tickets(_ record: RunRecord) -> [String] {
        record.steps.filter { $0.state == .waiting && $0.runAttempt == record.attempt }.compactMap { step in
            record.last(step.place)?.state == .waiting ? step.outputs["ticket"]?.stringValue : nil
        }
    }

    /// Tickets of all drops and runs that have not ended; nil where that cannot be said.
    private func onTheirWay() -> Set<String>? {
        do {
            let names = try TicketsOnTheirWay.find(in: core.site.spool)
            return Set(names.keys).union(core.journal.liveRecords.compactMap(\.acceptance.ticket))
        } catch {
            core.diskTrouble("looking for submitted jobs", error)
            return nil
        }
    }
}
