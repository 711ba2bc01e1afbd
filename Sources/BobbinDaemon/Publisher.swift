// What this is: the last mile of a run: result durable and visible, job file retired, index fed, waiters told.
// Owns: one thread; the grouping of runs that end close together, so that they share their syncs.
// Never: publishes what the journal does not hold durably; tells anybody before the directory is synced.
// On failure: a full disk: the group waits and is tried again; any other error of a sync stops the process.
import JobModel
import LinuxSystem
import RunJournal
import SpoolQueue

final class Publisher: Sendable {
    struct Entry: Sendable {
        var run: RunID
        var sequence: Journal.Sequence
    }
    private struct State {
        var queue: [Entry] = []
        var inHand = 0
        var isClosing = false
        var isStuck = false
    }
    private let state = Monitor(State())
    private let spool: Spool
    private let journal: Journal
    private let claimed: Directory
    private let publish: Publish
    private let log: DaemonLog
    private let settle: @Sendable (RunRecord) throws -> Void
    private let told: @Sendable ([RunRecord]) -> Void
    private let halt: @Sendable (any Error) -> Never
    private let days = Monitor<[String: Directory]>([:])
    private let thread = Monitor<BlockingThread?>(nil)
    private static let most = 128
    /// While more runs are on their way, ends wait this long for each other; an idle runner publishes at once.
    private static let patience: Int64 = 20_000_000
    private let isBusy: @Sendable () -> Bool

    init(
        spool: Spool, journal: Journal, claimed: Directory, temporary: Directory, log: DaemonLog,
        isBusy: @escaping @Sendable () -> Bool, settle: @escaping @Sendable (RunRecord) throws -> Void,
        told: @escaping @Sendable ([RunRecord]) -> Void,
        halt: @escaping @Sendable (any Error) -> Never
    ) throws {
        self.spool = spool
        self.journal = journal
        self.claimed = claimed
        self.log = log
        self.settle = settle
        self.told = told
        self.isBusy = isBusy
        self.halt = halt
        publish = Publish(temporary: temporary)
        let started = try BlockingThread.start("publisher") { [unowned self] in self.loop() }
        thread.with { $0 = started }
    }

    func add(_ run: RunID, _ sequence: Journal.Sequence) {
        // Between the first and the last of a group the thread waits for its patience to end, not for each of them.
        let isAwaited = state.with { state -> Bool in
            state.queue.append(Entry(run: run, sequence: sequence))
            return state.queue.count == 1 || state.queue.count >= Publisher.most
        }
        if isAwaited { state.signal { _ in } }
    }
    var isIdle: Bool { state.with { $0.queue.isEmpty && $0.inHand == 0 } }
    /// The disk is full and results wait in the journal.
    var isStuck: Bool { state.with { $0.isStuck } }

    /// A person may have moved a day's directory: it is opened anew for the next result.
    func forgetDays() { days.with { $0.removeAll() } }

    /// Publishes what is queued and ends.
    func close() {
        state.broadcast { $0.isClosing = true }
        thread.with { $0 }?.join()
    }

    private func loop() {
        while let group = nextGroup() {
            journal.waitUntilDurable(group.map(\.sequence).max() ?? 0)
            let records = group.compactMap { journal.record($0.run) }
            do {
                try finish(records)
            } catch let error as SystemError where !Publisher.isFinal(error) {
                waitForRoom(group, error)
                continue
            } catch {
                halt(error)
            }
            // First told, then idle: who looks whether all is over finds the one or the other.
            told(records)
            let isIdle = state.with { state -> Bool in
                state.inHand = 0
                state.isStuck = false
                return state.queue.isEmpty
            }
            // Whoever waits for just that is woken; what it was told before did not say so.
            if isIdle { told([]) }
        }
    }

    /// After a failed sync, a failing or a read-only disk nothing may be promised; everything else may pass.
    private static func isFinal(_ error: SystemError) -> Bool {
        ["fsync", "fdatasync", "syncfs"].contains(error.call) || error.errno == 5 || error.errno == 30
    }

    private func nextGroup() -> [Entry]? {
        state.wait { state -> Void? in state.queue.isEmpty && !state.isClosing ? nil : () }
        if isBusy() {
            _ = state.wait(until: Clocks.monotonic + Publisher.patience) { state -> Void? in
                state.queue.count < Publisher.most && !state.isClosing ? nil : ()
            }
        }
        return state.with { state -> [Entry]? in
            guard !state.queue.isEmpty else { return nil }
            let group = Array(state.queue.prefix(Publisher.most))
            state.queue.removeFirst(group.count)
            state.inHand = group.count
            return group
        }
    }

    private func waitForRoom(_ group: [Entry], _ error: SystemError) {
        forgetDays()
        if !isStuck { log.error("publisher", "\(group.count) results wait in the journal: \(error)") }
        let closing = state.with { state -> Bool in
            state.queue = group + state.queue
            state.inHand = 0
            state.isStuck = true
            return state.isClosing
        }
        // The journal has the results: a stopping process may leave them to the next start.
        if closing { return state.with { $0.queue = [] } }
        _ = state.wait(until: Clocks.monotonic + 1_000_000_000) { $0.isClosing ? () : nil }
    }

    private func finish(_ records: [RunRecord]) throws {
        let items = try records.map { record in
            Publication(
                acceptance: record.acceptance, bytes: record.result, directory: try directory(of: record))
        }
        // Its end is durable: whoever sees the result may rely on what follows from it.
        for record in records { try settle(record) }
        try publish.publish(items)
        for (record, item) in zip(records, items) {
            try retire(record, to: item.directory)
            journal.append(.retired, of: record.id)
        }
    }

    /// The job file goes beside its result: the drop itself, or a copy of what was accepted where the drop is not ours.
    private func retire(_ record: RunRecord, to directory: Directory) throws {
        // Before its file goes: a file of this inode must never again count as meant.
        if record.acceptance.terms.isMeant { try Intents(spool).spend(record.acceptance.identity) }
        let name = ClaimedName(record.acceptance).text
        let move = Move(spool)
        if record.acceptance.submitter.uid == ProcessSetup.uid {
            if try move.retire(record.acceptance, from: claimed, to: directory) { return }
        } else {
            try claimed.removeIfPresent(name)
        }
        // Parked when it ended, moved by hand, or somebody else's file.
        for parked in spool.parked.values { try parked.removeIfPresent(name) }
        let final = FinalName.job(record.acceptance)
        guard try directory.statusIfPresent(final) == nil else { return }
        try publish.placeJob(record.acceptance, in: directory)
    }

    /// `done/<day>`, kept open: a night's jobs end in one directory.
    private func directory(of record: RunRecord) throws -> Directory {
        let state = record.finalState ?? .failed
        let day = (record.endedAt ?? record.acceptance.acceptedAt).utcDay
        let key = (state.isGood ? "d" : "f") + day
        if let open = days.with({ $0[key] }) { return open }
        let opened = try spool.finalDirectory(state, day: day)
        // The new day's own entry must survive as well as what will be in it.
        for root in spool.finalRoots() { try root.sync() }
        days.with { days in
            if days.count > 8 { days.removeAll() }
            days[key] = opened
        }
        return opened
    }

}
