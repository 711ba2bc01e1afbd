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
        reason == .child || reason == .retry || reason == .scheduled
    }

    /// A run of ours has ended.
    func ended(_ record: RunRecord) {
        guard let parent = record.acceptance.terms.parent, let run = RunID(parent.run),
            let record = core.journal.record(run), !tickets(record).isEmpty
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
        for record in waiting where !tickets(record).allSatisfy(onTheirWay.contains) { wake(record.id) }
    }

    /// Of the children that steps of this run wait for.
    private func tickets(_ record: RunRecord) -> [String] {
        record.steps.filter { $0.state == .waiting && $0.runAttempt == record.attempt }.compactMap { step in
            record.last(step.place)?.state == .waiting ? step.outputs["ticket"]?.stringValue : nil
        }
    }

    /// Tickets of all drops and runs that have not ended; nil where that cannot be said.
    private func onTheirWay() -> Set<String>? {
        let spool = core.site.spool
        // In the order in which a job moves on: one that moves while we look is seen at least once.
        do {
            var names = try spool.inbox.names()
            for lane in core.lanes { names += try lane.names() }
            for runner in try spool.claimed.names() {
                // A runner that was just taken over: its claims are in another directory by now.
                names += (try? spool.claimed.directory(runner).names()) ?? []
            }
            for parked in spool.parked.values { names += try parked.names() }
            for lane in core.lanes { names += try lane.names() }
            for runner in try spool.claimed.names() {
                names += (try? spool.claimed.directory(runner).names()) ?? []
            }
            let dropped = names.compactMap { DropName.ticket(in: ClaimedName($0)?.name ?? $0) }
            return Set(dropped + core.journal.liveRecords.compactMap(\.acceptance.ticket))
        } catch {
            core.diskTrouble("looking for submitted jobs", error)
            return nil
        }
    }
}
