// What this is: a cron expression as sets of numbers: which seconds, minutes, hours and days it means.
// Owns: the meaning of a day: the two day fields and how they join, L, W and #.
// Never: reads text (CronParser does), knows a zone or an instant (CronSearch does).
// On failure: nothing here fails; an expression that exists is well formed, though it may never come true.
import JobModel

/// Five fields (minute hour day-of-month month day-of-week) or six with seconds first, as crontab(5) of Debian means them.
public struct CronExpression: Hashable, Sendable {
    public struct Problem: Error, Hashable, Sendable {
        public var message: String
        public var hint: String
        /// Within the expression, from 1.
        public var column: Int
    }

    /// As it was written.
    public let text: String
    /// Bit n: the number n belongs to it.
    var seconds: UInt64 = 1
    var minutes: UInt64 = 0
    var hours: UInt64 = 0
    var months: UInt64 = 0
    var days = MonthDays()
    var weekdays = Weekdays()
    /// Where one of the day fields begins with `*` both must fit; else one of them is enough.
    var bothDays = true
    /// It begins with `*` in the minutes or the hours: it goes with elapsed time when clocks are changed. One that names
    /// its minute and its hour means a time of the day, and has it once each day.
    public internal(set) var followsElapsedTime = false

    public init(_ text: String) throws(Problem) { self = try CronParser.read(text) }
    init(unread text: String) { self.text = text }

    struct MonthDays: Hashable, Sendable {
        /// Bits 1 to 31.
        var numbers: UInt64 = 0
        /// `L` is 0, `L-3` is 3: days before the last.
        var fromLast: Set<Int> = []
        /// `15W`: the weekday nearest to the 15th, in the same month.
        var nearest: Set<Int> = []
        /// `LW`: the last weekday (Monday to Friday).
        var lastWorkday = false
    }
    struct Weekdays: Hashable, Sendable {
        /// Bits 0 (Sunday) to 6.
        var numbers: UInt64 = 0
        /// `5L`: the last Friday.
        var last: Set<Int> = []
        /// `5#2`: the second Friday, as 5 * 8 + 2.
        var nth: Set<Int> = []
    }

    /// A day of the calendar with all that the fields ask about.
    struct Day {
        var number: Int64
        var year: Int64, month: Int64, day: Int64
        var weekday: Int
        var lastDay: Int64

        init(_ number: Int64) {
            self.number = number
            (year, month, day) = Timestamp.civilDate(daysSince1970: number)
            // 1970-01-01 was a Thursday.
            weekday = Int(Timestamp.floorDivide(number + 4, 7).remainder)
            lastDay = Day.firstOfNextMonth(year, month) - (number - day + 1)
        }
        static func firstOfNextMonth(_ year: Int64, _ month: Int64) -> Int64 {
            month == 12
                ? Timestamp.daysSince1970(year: year + 1, month: 1, day: 1)
                : Timestamp.daysSince1970(year: year, month: month + 1, day: 1)
        }
        var isWorkday: Bool { (1...5).contains(weekday) }
        func weekday(ofDay other: Int64) -> Int {
            Int(Timestamp.floorDivide(Int64(weekday) + other - day, 7).remainder)
        }
    }

    func fits(_ day: Day) -> Bool {
        guard months >> UInt64(day.month) & 1 == 1 else { return false }
        let (first, second) = (fitsMonthDay(day), fitsWeekday(day))
        return bothDays ? first && second : first || second
    }

    private func fitsMonthDay(_ day: Day) -> Bool {
        if days.numbers >> UInt64(day.day) & 1 == 1 { return true }
        if days.fromLast.contains(Int(day.lastDay - day.day)) { return true }
        guard day.isWorkday, days.lastWorkday || !days.nearest.isEmpty else { return false }
        if days.lastWorkday, day.lastDay - day.day < 3,
            (day.day + 1...day.lastDay + 1).dropLast().allSatisfy({
                !(1...5).contains(day.weekday(ofDay: $0))
            })
        {
            return true
        }
        return days.nearest.contains { CronExpression.nearestWorkday(to: Int64($0), day) == day.day }
    }
    /// The rule of Quartz: Saturday goes to Friday, Sunday to Monday, and neither out of the month.
    private static func nearestWorkday(to wanted: Int64, _ day: Day) -> Int64? {
        guard wanted <= day.lastDay else { return nil }
        return switch day.weekday(ofDay: wanted) {
        case 6: wanted == 1 ? 3 : wanted - 1
        case 0: wanted == day.lastDay ? wanted - 2 : wanted + 1
        default: wanted
        }
    }

    private func fitsWeekday(_ day: Day) -> Bool {
        if weekdays.numbers >> UInt64(day.weekday) & 1 == 1 { return true }
        if weekdays.last.contains(day.weekday), day.day + 7 > day.lastDay { return true }
        return weekdays.nth.contains(day.weekday * 8 + Int(day.day + 6) / 7)
    }
}
