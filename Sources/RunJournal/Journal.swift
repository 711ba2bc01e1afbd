// What this is: the truth about runs in flight: events appended by many threads, made durable together.
// Owns: the turns at the committer, the lazy thread, the live records.
// Never: retries a failed sync (fail-stop instead); waits on a timer before a commit.
// On failure: the `halt` given at opening is called with the error and does not return.
import JobModel
import LinuxSystem

public final class Journal: Sendable {
    /// A place in the journal; durable once the commit that carried it is.
    public typealias Sequence = UInt64

    private struct State {
        var live: [RunID: RunRecord] = [:]
        /// Encoded but unwritten: kind, payload.
        var pending: [(kind: UInt8, payload: [UInt8])] = []
        /// Some of them are to be written before the next thing happens.
        var isUrgent = false
        var appended: Sequence = 0
        var durable: Sequence = 0
        /// One thread has the committer; who comes meanwhile waits, and the first of those commits for all.
        var isCommitting = false
    }
    /// What the lazy thread sleeps on.
    private struct Call {
        var hasPending = false
        /// It sleeps until the laziness is over and needs no further call.
        var isNapping = false
        var isClosing = false
    }
    private let call = Monitor(Call())
    /// A record that nobody waits for is written after this at the latest, so that a look at a live run shows it.
    private static let laziness: Int64 = 20_000_000
    private let state: Monitor<State>
    private let committer: Monitor<Committer>
    private let thread: Monitor<BlockingThread?>
    private let halt: @Sendable (any Error) -> Never

    /// Takes the journal over from whatever `replay` found: a new segment with every live run carried, durable, and
    /// only then are the old segments removed.
    public init(
        _ directory: Directory, replay: Replay, segmentBytes: Int = 4 << 20,
        salt: @escaping @Sendable () -> UInt64,
        settle: @escaping @Sendable () throws -> Void, halt: @escaping @Sendable (any Error) -> Never
    ) throws {
        self.halt = halt
        var initial = State()
        initial.live = replay.live
        state = Monitor(initial)
        var committer = Committer(
            directory: directory, segmentBytes: segmentBytes, salt: salt, settle: settle)
        committer.number = replay.lastSegment
        committer.sequence = replay.lastSequence
        committer.old = replay.segments
        try committer.adoptSpare()
        try committer.rotate(carrying: Array(replay.live.values))
        try committer.prepareSpare()
        self.committer = Monitor(committer)
        thread = Monitor(nil)
        let started = try BlockingThread.start("journal") { self.writeLazily() }
        thread.with { $0 = started }
    }

    /// Applies an event and queues it.
    @discardableResult
    public func append(_ event: RunEvent, of run: RunID) -> Sequence {
        let coded = EventCoding.encode(event, of: run)
        let isUrgent = Journal.isWrittenAtOnce(event)
        let (sequence, isFirst, turn) = state.with { state -> (Sequence, Bool, Turn?) in
            Journal.apply(event, of: run, to: &state.live)
            state.pending.append(coded)
            state.appended += 1
            let sequence = state.appended
            guard isUrgent else { return (sequence, state.pending.count == 1, nil) }
            state.isUrgent = true
            // Whoever commits just now writes it before letting go.
            return (sequence, false, state.isCommitting ? nil : Journal.takeTurn(&state))
        }
        if let turn { commit(turn, sync: false) }
        if isFirst { wakeLazyThread() }
        return sequence
    }

    /// The end of a step is written at once: a runner killed right after it must not ask a person what became of it.
    private static func isWrittenAtOnce(_ event: RunEvent) -> Bool {
        switch event {
        case .stepEnded, .parked, .resumed, .resolved, .approval: true
        case .accepted, .stepStarted, .mainEnded, .ended, .retired, .carried: false
        }
    }

    private static func apply(_ event: RunEvent, of run: RunID, to live: inout [RunID: RunRecord]) {
        switch event {
        case .accepted(let acceptance): live[run] = RunRecord(acceptance)
        case .carried(let record): live[run] = record
        case .retired: live[run] = nil
        default: live[run]?.apply(event)
        }
    }

    /// Returns once everything up to `sequence` is on disk. The first of those who wait syncs for all of them.
    public func waitUntilDurable(_ sequence: Sequence) {
        while true {
            let turn = state.wait { state -> Turn?? in
                if state.durable >= sequence { return .some(nil) }
                return state.isCommitting ? nil : .some(Journal.takeTurn(&state))
            }
            guard let turn else { return }
            commit(turn, sync: true)
        }
    }

    public func record(_ run: RunID) -> RunRecord? { state.with { $0.live[run] } }
    public var liveRecords: [RunRecord] { state.with { Array($0.live.values) } }

    /// Makes everything durable and ends the lazy thread.
    public func close() {
        waitUntilDurable(state.with { $0.appended })
        settleRetired()
        call.signal { $0.isClosing = true }
        thread.with { $0 }?.join()
    }

    // MARK: committing

    /// The right to use the committer, and what is to be written with it.
    private struct Turn {
        var records: [(kind: UInt8, payload: [UInt8])]
        var last: Sequence
    }

    private static func takeTurn(_ state: inout State) -> Turn {
        defer {
            state.pending = []
            state.isUrgent = false
            state.isCommitting = true
        }
        return Turn(records: state.pending, last: state.appended)
    }

    private func commit(_ first: Turn, sync: Bool) {
        var turn = first, isSynced = sync
        while true {
            do {
                try committer.with { try $0.write(turn.records, sync: isSynced) }
                if committer.with({ $0.isFull }) { try rotate() }
            } catch {
                halt(error)
            }
            let (last, synced) = (turn.last, isSynced)
            let more = state.broadcast { state -> Turn? in
                if synced { state.durable = max(state.durable, last) }
                if state.isUrgent { return Journal.takeTurn(&state) }
                state.isCommitting = false
                return nil
            }
            guard let more else { return }
            (turn, isSynced) = (more, false)
        }
    }

    /// A rotation makes the moves of retired runs durable, so that the next start need not look at them again.
    private func settleRetired() {
        let isMine = state.wait { state -> Bool? in
            if state.isCommitting { return nil }
            state.isCommitting = true
            return true
        }
        guard isMine else { return }
        do { try rotate() } catch { halt(error) }
        state.broadcast { $0.isCommitting = false }
    }

    private func wakeLazyThread() {
        let sleeps = call.with { call -> Bool in
            defer { call.hasPending = true }
            return !call.isNapping && !call.hasPending
        }
        if sleeps { call.signal { _ in } }
    }

    private func writeLazily() {
        while true {
            let isClosing = call.wait { call -> Bool? in
                guard call.hasPending || call.isClosing else { return nil }
                call.isNapping = true
                return call.isClosing
            }
            if isClosing { return }
            if call.wait(until: Clocks.monotonic + Journal.laziness, { $0.isClosing ? true : nil }) != nil {
                return
            }
            // From here on a new record calls again; those before are seen below.
            call.with { ($0.isNapping, $0.hasPending) = (false, false) }
            let turn = state.with { state -> Turn? in
                guard !state.pending.isEmpty else { return nil }
                if !state.isCommitting { return Journal.takeTurn(&state) }
                // Whoever commits just now writes them before letting go.
                state.isUrgent = true
                return nil
            }
            if let turn { commit(turn, sync: false) }
        }
    }

    /// Live runs move to a new segment; then the old ones are not needed any more. The records that were pending are
    /// part of what is carried, so this is a commit as well.
    private func rotate() throws {
        let (live, last) = state.with { state -> ([RunRecord], Sequence) in
            defer {
                state.pending = []
                state.isUrgent = false
            }
            return (Array(state.live.values), state.appended)
        }
        try committer.with { try $0.rotate(carrying: live) }
        state.broadcast { $0.durable = max($0.durable, last) }
    }
}
