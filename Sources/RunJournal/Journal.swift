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
        /// Directories whose entries must be durable before the pending records are.
        var directories: [ObjectIdentifier: Directory] = [:]
        var wanted: Sequence = 0
        var appended: Sequence = 0
        var durable: Sequence = 0
        var closing = false
    }
    private let state: Monitor<State>
    private let committer: Monitor<Committer>
    private let thread: Monitor<BlockingThread?>
    private let halt: @Sendable (any Error) -> Never

    /// Takes the journal over from whatever `replay` found: a new segment with every live run carried, durable, and
    /// only then are the old segments removed.
    public init(
        _ directory: Directory, replay: Replay, segmentBytes: Int = 8 << 20, salt: @escaping @Sendable () -> UInt64,
        settle: @escaping @Sendable () throws -> Void, halt: @escaping @Sendable (any Error) -> Never
    ) throws {
        self.halt = halt
        var initial = State()
        initial.live = replay.live
        state = Monitor(initial)
        var committer = Committer(directory: directory, segmentBytes: segmentBytes, salt: salt, settle: settle)
        committer.number = replay.lastSegment
        committer.sequence = replay.lastSequence
        committer.old = replay.segments
        try committer.rotate(carrying: Array(replay.live.values))
        self.committer = Monitor(committer)
        thread = Monitor(nil)
        let started = try BlockingThread.start("journal") { [unowned self] in self.commitLoop() }
        thread.with { $0 = started }
    }

    /// Applies an event and queues it. `after` are directories whose changes must be durable before it.
    @discardableResult
    public func append(_ event: RunEvent, of run: RunID, after directories: [Directory] = []) -> Sequence {
        let coded = EventCoding.encode(event, of: run)
        return state.signal { state in
            Journal.apply(event, of: run, to: &state.live)
            return Journal.queue(coded, directories, &state)
        }
    }

    private static func queue(
        _ coded: (kind: UInt8, payload: [UInt8]), _ directories: [Directory], _ state: inout State
    ) -> Sequence {
        state.pending.append(coded)
        for directory in directories { state.directories[ObjectIdentifier(directory)] = directory }
        state.appended += 1
        return state.appended
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
        let done = state.broadcast { state -> Bool in
            if state.durable >= sequence { return true }
            state.wanted = max(state.wanted, sequence)
            return false
        }
        if done { return }
        state.wait { $0.durable >= sequence ? () : nil }
    }

    public func record(_ run: RunID) -> RunRecord? { state.with { $0.live[run] } }
    public var liveRecords: [RunRecord] { state.with { Array($0.live.values) } }

    /// Makes everything durable and ends the commit thread.
    public func close() {
        waitUntilDurable(state.with { $0.appended })
        state.broadcast { $0.closing = true }
        thread.with { $0 }?.join()
    }

    // MARK: commit thread

    private struct Batch {
        var records: [(kind: UInt8, payload: [UInt8])]
        var directories: [Directory]
        var last: Sequence
        var sync: Bool
    }

    private func commitLoop() {
        while let batch = nextBatch() {
            do {
                for directory in batch.directories { try directory.sync() }
                try committer.with { try $0.write(batch.records, sync: batch.sync) }
                if batch.sync { state.broadcast { $0.durable = max($0.durable, batch.last) } }
                if committer.with({ $0.isFull }) { try rotate() }
            } catch {
                halt(error)
            }
        }
    }

    private func nextBatch() -> Batch? {
        state.wait { state -> Batch?? in
            let sync = state.wanted > state.durable
            if state.pending.isEmpty && !sync { return state.closing ? .some(nil) : nil }
            // Directories are synced only with the records that need them durable.
            let batch = Batch(
                records: state.pending, directories: sync ? Array(state.directories.values) : [],
                last: state.appended, sync: sync)
            state.pending.removeAll(keepingCapacity: true)
            if sync { state.directories.removeAll(keepingCapacity: true) }
            return batch
        }
    }

    /// Live runs move to a new segment; then the old ones are not needed any more. The records that were pending are
    /// part of what is carried, so this is a commit as well.
    private func rotate() throws {
        let (live, directories, last) = state.with { state -> ([RunRecord], [Directory], Sequence) in
            defer {
                state.pending.removeAll(keepingCapacity: true)
                state.directories.removeAll(keepingCapacity: true)
            }
            return (Array(state.live.values), Array(state.directories.values), state.appended)
        }
        for directory in directories { try directory.sync() }
        try committer.with { try $0.rotate(carrying: live) }
        state.broadcast { $0.durable = max($0.durable, last) }
    }
}
