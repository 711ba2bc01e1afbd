// What this is: the filters on instants and dates: `now() | date: '%Y-%m'`, `date | date_add: '-1d'`.
// Owns: the directives of a format (a part of strftime's, in the site's zone) and what counts as an instant.
// Never: asks the clock or the zone: both come with the scope.
// On failure: E-EXPR-TYPE with what is no instant, E-EXPR with what is no format.
import JobModel

extension ExpressionEvaluator {
    /// An instant, or a date alone, which is its first moment in the site's zone.
    private enum Moment {
        case instant(Timestamp)
        case day(Int64)
    }

    mutating func formatted(_ call: FilterCall) throws(ExpressionError) -> String {
        try spend(try call.text(0).utf8.count / 4, at: call.offset)
        let instant: Timestamp
        switch try moment(call) {
        case .instant(let known): instant = known
        case .day(let day): instant = beginning(of: day)
        }
        let local = LocalTime(instant, offset: scope.zoneOffset(instant.seconds))
        var out = ""
        var rest = try call.text(0)[...]
        while let sign = rest.popFirst() {
            guard sign == "%" else {
                out.append(sign)
                continue
            }
            guard let letter = rest.popFirst(), let text = local.text(letter) else {
                throw ExpressionError(
                    "E-EXPR", "`date`: the format ends in, or has, an unknown directive after %",
                    hint: "known are \(LocalTime.directives.map { "%\($0)" }.joined(separator: " "))",
                    offset: call.offset)
            }
            out += text
        }
        return try bounded(out, call)
    }

    /// A date stays a date when whole days are added, whatever the clocks did meanwhile.
    func shifted(_ call: FilterCall) throws(ExpressionError) -> String {
        var words = try call.text(0).trimmed[...]
        let isBack = words.hasPrefix("-")
        if isBack || words.hasPrefix("+") { words.removeFirst() }
        guard let span = Span(String(words)) else {
            throw call.wrongType("a duration such as '-1d' or '90m'", got: call.arguments[0])
        }
        let nanoseconds = isBack ? -span.nanoseconds : span.nanoseconds
        switch try moment(call) {
        case .instant(let instant): return instant.adding(Span(nanoseconds: nanoseconds)).rfc3339
        case .day(let day):
            let wholeDay: Int64 = 86_400_000_000_000
            guard nanoseconds % wholeDay == 0 else {
                return beginning(of: day).adding(Span(nanoseconds: nanoseconds)).rfc3339
            }
            return LocalTime.date(day + nanoseconds / wholeDay)
        }
    }

    private func moment(_ call: FilterCall) throws(ExpressionError) -> Moment {
        switch call.input {
        case .int(let seconds) where (-(1 << 33)..<(1 << 33)).contains(seconds):
            return .instant(Timestamp(seconds: Int64(seconds)))
        case .string(let text):
            if let instant = Timestamp(rfc3339: text) { return .instant(instant) }
            if text.utf8.count == 10, let midnight = Timestamp(rfc3339: text + "T00:00:00Z") {
                return .day(Timestamp.floorDivide(midnight.seconds, 86_400).quotient)
            }
        default: break
        }
        throw call.wrongType("an instant (2026-11-21T09:00:00Z), a date (2026-11-21) or seconds since 1970")
    }

    /// Twice, since the offset at the first guess may be that of the day before. Where the clocks go forward at midnight,
    /// the day begins at one o'clock, and the second guess would lie on the day before.
    private func beginning(of day: Int64) -> Timestamp {
        let local = day * 86_400
        let guess = local - Int64(scope.zoneOffset(local))
        let second = local - Int64(scope.zoneOffset(guess))
        let dayOfSecond = Timestamp.floorDivide(second + Int64(scope.zoneOffset(second)), 86_400).quotient
        return Timestamp(seconds: dayOfSecond < day ? guess : second)
    }
}

/// An instant as the clocks and calendars of a zone show it.
private struct LocalTime {
    static let directives = "YmdHMSjFTyeabABpIuGVzsn%"
    private static let days = [
        "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday",
    ]
    private static let months = [
        "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
        "November", "December",
    ]
    private let seconds: Int64, offset: Int
    private let day: Int64, second: Int
    private let year: Int64, month: Int, dayOfMonth: Int

    init(_ instant: Timestamp, offset: Int) {
        seconds = instant.seconds
        self.offset = offset
        let (day, second) = Timestamp.floorDivide(seconds + Int64(offset), 86_400)
        let date = Timestamp.civilDate(daysSince1970: day)
        (self.day, self.second) = (day, Int(second))
        (year, month, dayOfMonth) = (date.year, Int(date.month), Int(date.day))
    }

    static func date(_ day: Int64) -> String {
        let date = Timestamp.civilDate(daysSince1970: day)
        return "\(padded(date.year, 4))-\(padded(date.month, 2))-\(padded(date.day, 2))"
    }
    private static func padded(_ number: some BinaryInteger, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }

    func text(_ directive: Character) -> String? {
        let hour = second / 3600, weekday = Int(Timestamp.floorDivide(day + 4, 7).remainder)
        return switch directive {
        case "Y": LocalTime.padded(year, 4)
        case "y": LocalTime.padded(year % 100, 2)
        case "m": LocalTime.padded(month, 2)
        case "d": LocalTime.padded(dayOfMonth, 2)
        case "e": String(dayOfMonth)
        case "F": LocalTime.date(day)
        case "H": LocalTime.padded(hour, 2)
        case "I": LocalTime.padded((hour + 11) % 12 + 1, 2)
        case "p": hour < 12 ? "AM" : "PM"
        case "M": LocalTime.padded(second / 60 % 60, 2)
        case "S": LocalTime.padded(second % 60, 2)
        case "T":
            "\(LocalTime.padded(hour, 2)):\(LocalTime.padded(second / 60 % 60, 2)):\(LocalTime.padded(second % 60, 2))"
        case "j": LocalTime.padded(day - firstDay(of: year) + 1, 3)
        case "A": LocalTime.days[weekday]
        case "a": String(LocalTime.days[weekday].prefix(3))
        case "B": LocalTime.months[month - 1]
        case "b": String(LocalTime.months[month - 1].prefix(3))
        case "u": String(weekday == 0 ? 7 : weekday)
        case "G": LocalTime.padded(week.year, 4)
        case "V": LocalTime.padded(week.number, 2)
        case "z": zone
        case "s": String(seconds)
        case "n": "\n"
        case "%": "%"
        default: nil
        }
    }

    private func firstDay(of year: Int64) -> Int64 { Timestamp.daysSince1970(year: year, month: 1, day: 1) }
    private var zone: String {
        let minutes = abs(offset) / 60
        return (offset < 0 ? "-" : "+") + LocalTime.padded(minutes / 60, 2)
            + LocalTime.padded(minutes % 60, 2)
    }
    /// ISO 8601: weeks begin on Monday, and a week belongs to the year that has its Thursday.
    private var week: (year: Int64, number: Int64) {
        let monday = day - Timestamp.floorDivide(day + 3, 7).remainder
        let year = Timestamp.civilDate(daysSince1970: monday + 3).year
        return (year, (monday + 3 - firstDay(of: year)) / 7 + 1)
    }
}
