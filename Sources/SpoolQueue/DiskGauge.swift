// What this is: whether the spool's disk has room for new work, and when it had none at all (docs/SPOOL.md, section 2).
// Owns: the thresholds, of going slowly and of stopping, with the hysteresis between them; the spans of time in which files may have lost their end.
// Never: looks at a disk or a clock itself: it is given what was read.
// On failure: nothing here fails.
import JobModel
import LinuxSystem

/// A time in which the disk was full, wall clock in nanoseconds. A file that was changed in it may lack its end.
public struct FullSpan: Hashable, Sendable {
    public var from: Int64
    public var until: Int64
    public init(from: Int64, until: Int64) {
        self.from = from
        self.until = until
    }
    /// A clock that was set back in between may have turned the ends about.
    public func holds(_ instant: Timestamp) -> Bool {
        instant.nanoseconds >= min(from, until) && instant.nanoseconds <= max(from, until)
    }
}

public struct DiskGauge: Sendable {
    /// Why nothing new may begin; nil while there is room.
    public private(set) var shortage: String?
    /// Why runs go one at a time; nil while there is plenty. What comes to a stop soon need not come to it at full speed, and
    /// somebody who is told in time makes room before it does.
    public private(set) var scarcity: String?
    /// The newest last. Old ones are merged: a file that waited through many of them was looked at long ago.
    public private(set) var full: [FullSpan] = []
    private var isFull = false
    private var roomSeenAt: Int64?
    private static let spansKept = 16

    public init() {}

    /// Takes one reading. `now` is the wall clock, since it is compared with the times of files.
    public mutating func read(_ facts: FileSystemFacts, at now: Int64) {
        noteFullness(facts.isFull, now)
        let bytes = min(Limits.diskReserveBytes, facts.totalBytes / 64)
        let inodes = min(Limits.diskReserveInodes, facts.totalInodes / 64)
        shortage = DiskGauge.lack(facts, bytes, inodes, has: shortage != nil)
        let times = Limits.diskScarce
        scarcity = DiskGauge.lack(facts, bytes * times, inodes * times, has: scarcity != nil)
    }
    /// To go on takes twice what stopping took, so that one small file more or less does not flap.
    private static func lack(_ facts: FileSystemFacts, _ bytes: UInt64, _ inodes: UInt64, has: Bool)
        -> String?
    {
        let factor: UInt64 = has ? 2 : 1
        if facts.freeBytes < bytes * factor || facts.isFull {
            return
                "the disk has \(mebibytes(facts.freeBytes)) MiB left, and \(mebibytes(bytes * 2)) MiB are wanted"
        }
        if facts.totalInodes > 0, facts.freeInodes < inodes * factor {
            return "the disk has \(facts.freeInodes) inodes left, and \(inodes * 2) are wanted"
        }
        return nil
    }

    private mutating func noteFullness(_ isFullNow: Bool, _ now: Int64) {
        if isFullNow, !isFull {
            // Not known since when: whoever looks for the first time suspects the last minutes.
            full.append(
                FullSpan(from: roomSeenAt ?? now - Limits.fullBeforeFirstLook.nanoseconds, until: now))
            if full.count > DiskGauge.spansKept {
                full[1].from = full[0].from
                full.removeFirst()
            }
        } else if isFull, let last = full.indices.last {
            full[last].until = now
        }
        isFull = isFullNow
        if !isFullNow { roomSeenAt = now }
    }

    private static func mebibytes(_ bytes: UInt64) -> String {
        bytes < 10 << 20
            ? "\(bytes >> 20).\(((bytes & 0xFFFFF) * 10) >> 20)" : String(bytes >> 20)
    }
}
