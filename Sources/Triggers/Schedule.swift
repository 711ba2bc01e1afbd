// What this is: one entry of ops/schedules.yaml as values: when, which template, and what if it is late or still at work.
// Owns: which occurrences there are: timing, window, days that are left out.
// Never: reads YAML or a clock; remembers what has run (ScheduleBook does).
// On failure: nothing here fails; no further occurrence is nil.
import JobModel

public struct Schedule: Hashable, Sendable {
    public enum Timing: Hashable, Sendable {
        case cron(CronExpression)
        /// Every so many seconds, counted from `anchor` (seconds since 1970).
        case every(seconds: Int64, anchor: Int64)
    }
    /// What to do when its last run has not ended yet.
    public enum Overlap: String, Sendable, CaseIterable { case skip, queue, replace, allow }
    /// What of that which was missed is made up for.
    public struct CatchUp: Hashable, Sendable {
        public enum Mode: String, Sendable, CaseIterable { case none, last, all }
        public var mode: Mode
        /// Of `all`, the newest so many.
        public var limit: Int
        /// What is older is never made up for; nil: no matter how old.
        public var within: Span?
        public init(_ mode: Mode = .last, limit: Int = 24, within: Span? = nil) {
            self.mode = mode
            self.limit = limit
            self.within = within
        }
    }
    /// Days of the calendar, in the schedule's zone.
    public struct SkipDays: Hashable, Sendable {
        /// Days since 1970, both ends included.
        public var ranges: [ClosedRange<Int64>] = []
        /// Month * 100 + day, of every year.
        public var yearly: Set<Int64> = []
        public init() {}
        public func has(_ day: Int64) -> Bool {
            if ranges.contains(where: { $0.contains(day) }) { return true }
            guard !yearly.isEmpty else { return false }
            let date = Timestamp.civilDate(daysSince1970: day)
            return yearly.contains(date.month * 100 + date.day)
        }
    }

    public var id: String
    public var name: String
    public var timing: Timing
    public var zone: Zone
    public var template: String
    public var queue: QueueName
    public var priority: Priority
    public var isEnabled = true
    public var variables: ValueMap = [:]
    public var overlap = Overlap.skip
    public var catchUp = CatchUp()
    /// Each of its occurrences comes this much later than its time: the same for all of them, so that their order stays.
    public var delay = Span.zero
    public var notBefore: Timestamp?
    public var until: Timestamp?
    public var skipDays = SkipDays()

    public init(
        id: String, name: String, timing: Timing, zone: Zone, template: String, queue: QueueName,
        priority: Priority
    ) {
        self.id = id
        self.name = name
        self.timing = timing
        self.zone = zone
        self.template = template
        self.queue = queue
        self.priority = priority
    }

    /// What decides when it is due: where this changes, what was missed under the old is not made up for.
    public var timingText: String {
        let when =
            switch timing {
            case .cron(let cron): "cron \(cron.text)"
            case .every(let seconds, let anchor): "every \(seconds) from \(anchor)"
            }
        var text = "\(when) in \(zone.name)"
        if let notBefore { text += " from \(notBefore.seconds)" }
        if let until { text += " until \(until.seconds)" }
        if skipDays != SkipDays() {
            let ranges = skipDays.ranges.map { "\($0.lowerBound)-\($0.upperBound)" }.sorted()
            text += " without \((ranges + skipDays.yearly.sorted().map(String.init)).joined(separator: ","))"
        }
        return text
    }

    /// The first occurrence after an instant, exclusive, on a day that is not left out, within its window.
    public func next(after instant: Timestamp) -> Occurrence? {
        var after = instant.seconds
        if let notBefore, notBefore.seconds > after { after = notBefore.seconds - 1 }
        // Every day of a calendar may be left out; the search over days has its end.
        for _ in 0..<100_000 {
            guard let found = nextOfTiming(after: after) else { return nil }
            if let until, found.time > until { return nil }
            guard let next = skippedUntil(found) else { return found }
            after = max(after + 1, next)
        }
        return nil
    }

    private func nextOfTiming(after: Int64) -> Occurrence? {
        switch timing {
        case .cron(let cron): return CronSearch(cron, in: zone).next(after: after)
        case .every(let seconds, let anchor):
            let count = Timestamp.floorDivide(after - anchor, seconds).quotient + 1
            return Occurrence(instant: max(anchor, anchor + count * seconds))
        }
    }

    /// Where its day is left out: the last second before the next day begins. A time that was skipped belongs to its own day.
    private func skippedUntil(_ occurrence: Occurrence) -> Int64? {
        guard skipDays != SkipDays() else { return nil }
        let offset = zone.offset(at: occurrence.instant)
        var local = occurrence.instant + offset
        if case .skipped(let clock)? = occurrence.note { local = clock }
        let day = Timestamp.floorDivide(local, 86_400).quotient
        guard skipDays.has(day) else { return nil }
        // A change of the clock on that day: from a little earlier the search comes by again.
        return max(occurrence.instant, (day + 1) * 86_400 - offset - 3 * 3600 - 1)
    }

    /// When it is to run.
    public func due(_ occurrence: Occurrence) -> Timestamp { occurrence.time.adding(delay) }
}
