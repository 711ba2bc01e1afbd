// What this is: the truth about runs in flight: events appended by many threads, made durable together.
// Owns: the current segment, the commit thread, the live records, the sequence of segments.
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
        var wanted: Sequence = 0
        var appended: Sequence = 0
        var durable: Sequence = 0
    }
    /// What the commit thread sleeps on; those who wait for durability sleep on `state`.
    private struct Call {
        var isUrgent = false
        var hasPending = false
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
        let started = try BlockingThread.start("journal") { [unowned self] in self.commitLoop() }
        thread.with { $0 = started }
    }

    /// Applies an event and queues it.
    @discardableResult
    public func append(_ event: RunEvent, of run: RunID) -> Sequence {
        let coded = EventCoding.encode(event, of: run)
        let (sequence, isFirst) = state.with { state -> (Sequence, Bool) in
            Journal.apply(event, of: run, to: &state.live)
            state.pending.append(coded)
            state.appended += 1
            return (state.appended, state.pending.count == 1)
        }
        if Journal.isWrittenAtOnce(event) {
            call.signal { $0.isUrgent = true }
        } else if isFirst {
            call.signal { $0.hasPending = true }
        }
        return sequence
    }

    /// The end of a step is written at once: a runner killed right after it must not ask a person what became of it.
    private static func isWrittenAtOnce(_ event: RunEvent) -> Bool {
        switch event {
        case .stepEnded, .parked, .resumed, .resolved: true
        case .accepted, .stepStarted, .ended, .retired, .carried: false
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

    /// Returns once everything up to `sequence` is on disk.
    public func waitUntilDurable(_ sequence: Sequence) {
        let done = state.with { state -> Bool in
            if state.durable >= sequence { return true }
            state.wanted = max(state.wanted, sequence)
            return false
        }
        if done { return }
        call.signal { $0.isUrgent = true }
        state.wait { $0.durable >= sequence ? () : nil }
    }

    public func record(_ run: RunID) -> RunRecord? { state.with { $0.live[run] } }
    public var liveRecords: [RunRecord] { state.with { Array($0.live.values) } }

    /// Makes everything durable and ends the commit thread.
    public func close() {
        waitUntilDurable(state.with { $0.appended })
        call.signal { $0.isClosing = true }
        thread.with { $0 }?.join()
    }

    // MARK: commit thread

    private struct Batch {
        var records: [(kind: UInt8, payload: [UInt8])]
        var last: Sequence
        var sync: Bool
    }

    private func commitLoop() {
        while let batch = nextBatch() {
            do {
                try committer.with { try $0.write(batch.records, sync: batch.sync) }
                if batch.sync { state.broadcast { $0.durable = max($0.durable, batch.last) } }
                if committer.with({ $0.isFull }) { try rotate() }
            } catch {
                halt(error)
            }
        }
    }

    private func nextBatch() -> Batch? {
        while true {
            let isClosing = sleepUntilCalled()
            let batch = state.with { state -> Batch? in
                let sync = state.wanted > state.durable
                guard sync || !state.pending.isEmpty else { return nil }
                defer { state.pending = [] }
                return Batch(records: state.pending, last: state.appended, sync: sync)
            }
            if batch != nil || isClosing { return batch }
        }
    }

    /// Returns when there is something to write: at once when it is urgent, else after a little laziness.
    private func sleepUntilCalled() -> Bool {
        let take: (inout Call) -> Bool? = { call in
            guard call.isUrgent || call.isClosing else { return nil }
            call.isUrgent = false
            call.hasPending = false
            return call.isClosing
        }
        // One decision under one lock: what is urgent is never slept over, whatever was pending beside it.
        let first = call.wait { call -> Bool?? in
            if let closing = take(&call) { return .some(closing) }
            return call.hasPending ? .some(nil) : nil
        }
        if let first { return first }
        let later = call.wait(until: Clocks.monotonic + Journal.laziness, take)
        call.with { $0.hasPending = false }
        return later ?? false
    }

    /// Live runs move to a new segment; then the old ones are not needed any more. The records that were pending are
    /// part of what is carried, so this is a commit as well.
    private func rotate() throws {
        let (live, last) = state.with { state -> ([RunRecord], Sequence) in
            defer { state.pending = [] }
            return (Array(state.live.values), state.appended)
        }
        try committer.with { try $0.rotate(carrying: live) }
        state.broadcast { $0.durable = max($0.durable, last) }
    }
}
