// What this is: the way of a run aside into parked/ and back among the claims: record first, then the file.
// Owns: that one run is moved by one thread at a time, and that what it waits for is judged when the move begins.
// Never: decides that a run waits or goes on; queues it.
// On failure: SystemError; the journal then says where the run is, and its file follows at the next start.
import JobModel
import LinuxSystem
import RunJournal
import SpoolQueue

struct Aside: Sendable {
    let journal: Journal
    let spool: Spool
    let claimed: Directory
    /// Runs whose record and file do not agree just now. Who reads the record in between would look for the file where
    /// it is not.
    private let moving = Monitor<Set<RunID>>([])

    init(journal: Journal, spool: Spool, claimed: Directory) {
        self.journal = journal
        self.spool = spool
        self.claimed = claimed
    }

    private func alone<Outcome>(_ run: RunID, _ move: () throws -> Outcome) rethrows -> Outcome {
        moving.wait { $0.insert(run).inserted ? () : nil }
        defer { moving.broadcast { _ = $0.remove(run) } }
        return try move()
    }

    /// Puts a run aside that works, or that waits already (`again`); durable before its file moves. False: it does not,
    /// by now.
    func park(_ run: RunID, _ wait: Wait, again: Bool) throws -> Bool {
        try alone(run) {
            guard let record = journal.record(run), record.finalState == nil else { return false }
            var before: Wait.Reason?
            if case .waiting(let wait) = record.state { before = wait.reason }
            guard again == (before != nil) else { return false }
            journal.waitUntilDurable(journal.append(.parked(wait), of: run))
            guard before != wait.reason else { return true }
            let (name, move) = (ClaimedName(record.acceptance), Move(spool))
            if let before { _ = try move.unpark(name, from: before, to: claimed) }
            try move.park(name, from: claimed, wait.reason)
            return true
        }
    }

    /// Ends a wait, if it is one of those: the file returns to the claims. False: the run waits for something else by now,
    /// or not at all.
    func unpark(_ run: RunID, where fits: (Wait.Reason) -> Bool, with event: RunEvent) throws -> Bool {
        try alone(run) {
            guard let record = journal.record(run), case .waiting(let wait) = record.state, fits(wait.reason)
            else { return false }
            let name = ClaimedName(record.acceptance)
            if try !Move(spool).unpark(name, from: wait.reason, to: claimed),
                try claimed.statusIfPresent(name.text) == nil
            {
                try AtomicFile.write(record.acceptance.snapshot, to: name.text, in: claimed)
            }
            journal.append(event, of: run)
            return true
        }
    }
}
