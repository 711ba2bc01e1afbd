// What this is: when a cron expression comes true in a zone: instant after instant.
// Owns: what becomes of a time that a change of the clocks skips or repeats: Debian cron's rule.
// Never: reads a clock; gives an instant twice.
// On failure: nothing here fails; an expression that does not come true within 60 years gives nil.
import JobModel

/// One instant at which something is due.
public struct Occurrence: Hashable, Sendable {
    public enum Note: Hashable, Sendable {
        /// The time of the day was skipped (seconds since 1970 as the clock would have shown): it is due right at the jump.
        case skipped(Int64)
        /// The clock shows this time twice; this is the first one.
        case firstOfTwo
        /// The second one, of an expression that follows elapsed time.
        case secondOfTwo
    }
    /// Seconds since 1970, UTC.
    public var instant: Int64
    public var note: Note?

    public init(instant: Int64, note: Note? = nil) {
        self.instant = instant
        self.note = note
    }
    public var time: Timestamp { Timestamp(seconds: instant) }
}

/// The rule is that of cron(8) as Debian has it: where clocks are changed by less than three hours, what has a `*` in its
/// minutes or hours goes on with elapsed time; what names a time of the day runs right after a jump over it, and not again
/// when the time comes twice. A greater change is a correction: then the new time simply counts.
public struct CronSearch: Sendable {
    let expression: CronExpression
    let zone: Zone
    private static let greatestChange: Int64 = 3 * 3600
    /// 29 February comes on a given weekday at least once in 40 years.
    private static let horizon: Int64 = 60 * 366 * 86_400

    public init(_ expression: CronExpression, in zone: Zone) {
        self.expression = expression
        self.zone = zone
    }

    /// The first occurrence after an instant (seconds since 1970), exclusive; nil where there is none in 60 years.
    public func next(after instant: Int64) -> Occurrence? {
        let limit = instant + CronSearch.horizon
        var at = instant + 1
        while at < limit {
            let stretch = zone.stretch(at: at)
            if let found = next(from: at, in: stretch, limit: limit) { return found }
            guard stretch.end < limit else { return nil }
            at = stretch.end
        }
        return nil
    }

    private func next(from at: Int64, in stretch: Zone.Stretch, limit: Int64) -> Occurrence? {
        // How far the clock was put on at the beginning of the stretch; negative: back.
        let change = stretch.offset - stretch.before
        var local = at + stretch.offset
        if stretch.start != .min {
            let begin = stretch.start + stretch.offset
            if !expression.followsElapsedTime {
                if at == stretch.start, change > 0, change <= CronSearch.greatestChange,
                    let skipped = nextLocal(from: begin - change, before: begin)
                {
                    return Occurrence(instant: at, note: .skipped(skipped))
                }
                // What is repeated has been.
                if change < 0, -change < CronSearch.greatestChange { local = max(local, begin - change) }
            }
        }
        let end = min(stretch.end, limit) + stretch.offset
        guard let found = nextLocal(from: local, before: end) else { return nil }
        return Occurrence(instant: found - stretch.offset, note: note(found, stretch))
    }

    private func note(_ local: Int64, _ stretch: Zone.Stretch) -> Occurrence.Note? {
        let change = stretch.offset - stretch.before
        if change < 0, stretch.start != .min, local < stretch.start + stretch.before { return .secondOfTwo }
        guard stretch.end != .max else { return nil }
        let back = stretch.offset - zone.offset(at: stretch.end)
        return back > 0 && local >= stretch.end + stretch.offset - back ? .firstOfTwo : nil
    }

    /// The first time of the clock, as seconds since 1970 in it, that fits: from `start`, before `end`.
    private func nextLocal(from start: Int64, before end: Int64) -> Int64? {
        let (number, second) = Timestamp.floorDivide(start, 86_400)
        var day = CronExpression.Day(number)
        var from = second
        while day.number * 86_400 < end {
            if expression.months >> UInt64(day.month) & 1 == 0 {
                day = CronExpression.Day(CronExpression.Day.firstOfNextMonth(day.year, day.month))
                from = 0
                continue
            }
            if expression.fits(day), let second = nextSecond(from: from) {
                let found = day.number * 86_400 + second
                return found < end ? found : nil
            }
            day = CronExpression.Day(day.number + 1)
            from = 0
        }
        return nil
    }

    /// The first fitting second of a day.
    private func nextSecond(from start: Int64) -> Int64? {
        var (hour, minute, second) = (Int(start / 3600), Int(start / 60 % 60), Int(start % 60))
        while hour < 24, let nextHour = CronSearch.bit(expression.hours, from: hour) {
            if nextHour > hour { (minute, second) = (0, 0) }
            hour = nextHour
            while minute < 60, let nextMinute = CronSearch.bit(expression.minutes, from: minute) {
                if nextMinute > minute { second = 0 }
                minute = nextMinute
                if let nextSecond = CronSearch.bit(expression.seconds, from: second) {
                    return Int64(hour * 3600 + minute * 60 + nextSecond)
                }
                minute += 1
                second = 0
            }
            hour += 1
            (minute, second) = (0, 0)
        }
        return nil
    }

    private static func bit(_ set: UInt64, from: Int) -> Int? {
        guard from < 64 else { return nil }
        let rest = set >> UInt64(from)
        return rest == 0 ? nil : from + rest.trailingZeroBitCount
    }
}
