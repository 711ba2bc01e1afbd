// What this is: `bobbin prune` and the step `prune`: old files go, days are packed, the log is set aside, the index is tidied.
// Owns: the order of these, the lock that keeps them and bundles apart, the line in spool/history/.
// Never: begins while a bundle is made or another prune is at work.
// On failure: BundleProblem E-BUSY where it cannot begin; else what failed, and the next time does the rest.
import Bundles
import JobModel
import LinuxSystem
import RunHistory
import SpoolQueue

public struct Prune: Sendable {
    public private(set) var retention: Retention
    public let packing: DayPacking
    /// What is to be set aside, or was.
    public private(set) var log: String?
    public private(set) var packed = DayPacking.Outcome()
    private let rotates: Bool
    private let site: Site
    private let now: Timestamp
    public static let fact = "retention.done"

    /// A look at what goes and what is packed.
    public init(
        _ site: Site, only kinds: Set<RetentionClass> = Set(RetentionClass.allCases),
        now: Timestamp = Timestamp(nanoseconds: Clocks.wall)
    ) throws {
        self.site = site
        self.now = now
        let file = try RetentionFile.read(site)
        let live = try Whereabouts.running(in: site.spool)
        retention = try Retention(site, file, live: live, now: now, kinds)
        let isWhole = kinds.count == RetentionClass.allCases.count
        packing = try DayPacking(
            site.spool, after: isWhole ? file.packAfter : nil, live: live, now: now,
            leaving: Set(retention.going.flatMap(\.paths)))
        // `forever` leaves the log to whoever else cares for it.
        rotates = isWhole && file.rules[.log] != RetentionRule()
        log = rotates ? try LogRotation(site.spool).next(now) : nil
    }

    /// Looks, and does what it saw. `patience`: how long it waits for a bundle that is being made. `checkpoint` may throw to
    /// end it.
    public static func perform(
        _ site: Site, only kinds: Set<RetentionClass> = Set(RetentionClass.allCases),
        now: Timestamp = Timestamp(nanoseconds: Clocks.wall), patience: Span = .zero,
        checkpoint: () throws -> Void = {}
    ) throws -> Prune {
        let lock = try lock(site.spool, patience: patience, checkpoint)
        return try withExtendedLifetime(lock) {
            var prune = try Prune(site, only: kinds, now: now)
            try prune.retention.perform(checkpoint)
            prune.packed = try prune.packing.perform(checkpoint)
            if prune.rotates {
                prune.log = try LogRotation(site.spool).perform(now).aside
            }
            try prune.note()
            return prune
        }
    }
    /// Of whoever moves old files, or reads all of them: one at a time.
    static func lock(_ spool: Spool, patience: Span, _ checkpoint: () throws -> Void = {}) throws -> FileLock
    {
        let end = Clocks.monotonic + patience.nanoseconds
        while true {
            if let lock = try FileLock.take(SpoolName.retentionLock, in: spool.state) { return lock }
            guard Clocks.monotonic < end else {
                throw BundleProblem(
                    "E-BUSY", "a bundle is being made, or a prune is at work",
                    whatToDo:
                        "Nothing, where a schedule does it: it tries again. Or say it again when that is over."
                )
            }
            try checkpoint()
            _ = try Waker.sleep([], until: Clocks.monotonic + Span.milliseconds(100).nanoseconds)
        }
    }

    private func note() throws {
        var line: ValueMap = ["kind": .string(Prune.fact), "subject": "site", "outcome": "ok"]
        line.merge(fields)
        line["packed"] = nil
        try HistoryFile.write([line], site.spool, at: now)
    }
    /// As steps and `--json` tell it.
    public var fields: ValueMap {
        var went: ValueMap = [:]
        for going in retention.going {
            went[going.kind.rawValue] = .int((went[going.kind.rawValue]?.intValue ?? 0) + going.count)
        }
        return [
            "files": .int(retention.going.reduce(0) { $0 + $1.files }),
            "bytes": .int(retention.going.reduce(0) { $0 + $1.bytes }), "went": .map(went),
            "packed_runs": .int(packed.runs), "packed": .list(packed.files.map(Value.string)),
            "left": .list(retention.troubled.map(Value.string)),
        ]
    }
}
