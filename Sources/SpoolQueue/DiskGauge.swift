// What this is: whether the spool's disk has room for new work, and when it had none at all (docs/SPOOL.md, section 2).
// Owns: the thresholds with the hysteresis between them; the spans of time in which files may have lost their end.
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
        // To go on takes twice what stopping took, so that one small file more or less does not flap.
        let factor: UInt64 = shortage == nil ? 1 : 2
        if facts.freeBytes < bytes * factor || facts.isFull {
            shortage =
                "the disk has \(DiskGauge.mebibytes(facts.freeBytes)) MiB left, and \(DiskGauge.mebibytes(bytes * 2)) MiB are wanted"
        } else if facts.totalInodes > 0, facts.freeInodes < inodes * factor {
            shortage = "the disk has \(facts.freeInodes) inodes left, and \(inodes * 2) are wanted"
        } else {
            shortage = nil
        }
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
