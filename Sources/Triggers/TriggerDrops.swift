// What this is: how triggers make drops: decided in the log, made in the queue, each exactly once.
// Owns: the ticket of such a drop, the order of the writes, and what is finished after a crash.
// Never: runs a job, judges one, or waits for one; a job that is no good is sent back like anybody's.
// On failure: SystemError before anything is decided; afterwards what could not be made yet is tried again.
import Crypto
import JobModel
import LinuxSystem

public final class TriggerDrops {
    public struct Spool {
        /// The directory of a queue and priority, or nil where this site has none.
        public var lane: (QueueName, Priority) throws -> Directory?
        /// Which of these tickets are anywhere in the spool, on their way or ended.
        public var known: (Set<String>) throws -> Set<String>
        public init(
            lane: @escaping (QueueName, Priority) throws -> Directory?,
            known: @escaping (Set<String>) throws -> Set<String>
        ) {
            self.lane = lane
            self.known = known
        }
    }
    private let spool: Spool
    public let log: FireLog
    /// Told of what could not be made, and why; it is tried again.
    private let trouble: (Fire, any Error) -> Void

    public init(_ log: FireLog, spool: Spool, trouble: @escaping (Fire, any Error) -> Void) {
        self.log = log
        self.spool = spool
        self.trouble = trouble
    }

    /// The ticket of what a trigger does at an instant about a thing: the same for everybody who asks.
    public static func ticket(spool: String, trigger: String, about: String, at instant: Timestamp) -> RunID {
        let text = "\(spool)\n\(trigger)\n\(about)"
        return .derived(at: instant, digest: SHA256.hash(data: Array(text.utf8)))
    }

    /// Decides and makes. When it returns, each is there or will be: `trouble` was told what is still to be made.
    public func make(_ fires: [Fire], facts: [String: ValueMap?] = [:]) throws(SystemError) {
        try log.decide(fires, facts: facts)
        finish(fires, known: nil)
    }

    /// What was decided and perhaps not made: after a start, and while something could not be made.
    public func finishOpen() {
        let fires = log.open.values.sorted { $0.ticket < $1.ticket }
        guard let first = fires.first else { return }
        do { finish(fires, known: try spool.known(Set(fires.map(\.ticket)))) } catch { trouble(first, error) }
    }

    /// So many files are held open at one time, where the limit of descriptors allows it.
    private static let batch = 4096

    private func finish(_ fires: [Fire], known: Set<String>?) {
        let size = max(64, min(TriggerDrops.batch, Int(clamping: HostFacts.openFiles.soft / 4)))
        for start in stride(from: 0, to: fires.count, by: size) {
            finish(fires[start..<min(start + size, fires.count)], known)
        }
    }

    /// All of them appear before the first is synced: a sync is for the power that may fail, and nobody waits for it.
    private func finish(_ fires: ArraySlice<Fire>, _ known: Set<String>?) {
        var files: [OpenFile] = []
        var lanes: [String: Directory] = [:]
        var there: [Fire] = []
        for fire in fires {
            do {
                if let file = try put(fire, &lanes, known) { files.append(file) }
                there.append(fire)
            } catch { trouble(fire, error) }
        }
        do {
            for file in files { try file.syncData() }
            for lane in lanes.values { try lane.sync() }
            try log.made(there)
        } catch {
            // Whatever of them is there is found by its ticket at the next try.
            if let first = there.first { trouble(first, error) }
        }
    }

    /// Nil: it has been made before. `known`: those of an earlier life that are anywhere; nil where they are all new.
    private func put(_ fire: Fire, _ lanes: inout [String: Directory], _ known: Set<String>?) throws
        -> OpenFile?
    {
        if lanes[fire.lane] == nil { lanes[fire.lane] = try spool.lane(fire.queue, fire.priority) }
        guard let lane = lanes[fire.lane] else { throw NoSuchLane(lane: fire.lane) }
        let bytes = Array(fire.text.utf8)
        if let known {
            if let size = try lane.statusIfPresent(fire.name)?.size {
                if size == bytes.count {
                    // Whoever made it may not have come to its sync.
                    let found = try lane.openForReading(fire.name)
                    if try found.read(upTo: bytes.count) == bytes { return found }
                }
                // A crash before its sync may have left a part, which no runner takes.
                try lane.removeIfPresent(fire.name)
            } else if known.contains(fire.ticket) {
                return nil
            }
        }
        return try AtomicFile.place(bytes, as: fire.name, in: lane)
    }
}

public struct NoSuchLane: Error, Hashable, Sendable, CustomStringConvertible {
    public var lane: String
    public var description: String { "this site has no \(lane): the queue or the priority is not there" }
}
