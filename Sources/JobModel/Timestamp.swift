// What this is: an instant of civil time and its RFC 3339 text.
// Owns: Timestamp; the civil calendar arithmetic (days from 1970, proleptic Gregorian, H. Hinnant's formulas).
// Never: reads a clock or a time zone; both are given to it.
// On failure: text that is not RFC 3339 gives nil.

/// Nanoseconds since 1970-01-01T00:00:00Z, without leap seconds. Range: about 1678 to 2262.
public struct Timestamp: Hashable, Comparable, Sendable {
    public var nanoseconds: Int64

    public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }
    public init(seconds: Int64) {
        nanoseconds = seconds.multipliedReportingOverflow(by: 1_000_000_000).partialValue
    }

    public static func < (left: Timestamp, right: Timestamp) -> Bool { left.nanoseconds < right.nanoseconds }
    public var milliseconds: Int64 { Timestamp.floorDivide(nanoseconds, 1_000_000).quotient }
    public var seconds: Int64 { Timestamp.floorDivide(nanoseconds, 1_000_000_000).quotient }

    public func adding(_ span: Span) -> Timestamp {
        let sum = nanoseconds.addingReportingOverflow(span.nanoseconds)
        guard sum.overflow else { return Timestamp(nanoseconds: sum.partialValue) }
        return Timestamp(nanoseconds: span.nanoseconds < 0 ? .min : .max)
    }
    public func since(_ earlier: Timestamp) -> Span { Span(nanoseconds: nanoseconds &- earlier.nanoseconds) }

    /// `2026-11-21T07:41:52.123Z`, milliseconds, UTC.
    public var rfc3339: String { civil(offsetSeconds: 0, withMilliseconds: true) }
    /// `2026-11-21`, the UTC day.
    public var utcDay: String { String(rfc3339.prefix(10)) }

    /// The RFC 3339 text in a zone that is `offsetSeconds` east of UTC.
    public func civil(offsetSeconds: Int, withMilliseconds: Bool) -> String {
        let local = Timestamp.floorDivide(nanoseconds, 1_000_000_000)
        let (days, second) = Timestamp.floorDivide(local.quotient + Int64(offsetSeconds), 86_400)
        let date = Timestamp.civilDate(daysSince1970: days)
        var out = ""
        out.reserveCapacity(32)
        Timestamp.append(date.year, 4, "-", &out)
        Timestamp.append(date.month, 2, "-", &out)
        Timestamp.append(date.day, 2, "T", &out)
        Timestamp.append(second / 3600, 2, ":", &out)
        Timestamp.append(second / 60 % 60, 2, ":", &out)
        Timestamp.append(second % 60, 2, withMilliseconds ? "." : "", &out)
        if withMilliseconds { Timestamp.append(local.remainder / 1_000_000, 3, "", &out) }
        guard offsetSeconds != 0 else { return out + "Z" }
        out += offsetSeconds < 0 ? "-" : "+"
        Timestamp.append(Int64(abs(offsetSeconds)) / 3600, 2, ":", &out)
        Timestamp.append(Int64(abs(offsetSeconds)) / 60 % 60, 2, "", &out)
        return out
    }

    /// Reads RFC 3339 with an offset or Z; fractions beyond nanoseconds are cut.
    public init?(rfc3339 text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count >= 20, bytes[4] == 0x2D, bytes[7] == 0x2D, bytes[13] == 0x3A, bytes[16] == 0x3A,
            bytes[10] == 0x54 || bytes[10] == 0x74 || bytes[10] == 0x20,
            let year = Timestamp.digits(bytes[0..<4]), let month = Timestamp.digits(bytes[5..<7]),
            let day = Timestamp.digits(bytes[8..<10]), let hour = Timestamp.digits(bytes[11..<13]),
            let minute = Timestamp.digits(bytes[14..<16]), let second = Timestamp.digits(bytes[17..<19]),
            (1...12).contains(month), (1...Timestamp.days(inMonth: month, of: year)).contains(day), hour < 24,
            minute < 60, second < 61,
            (1700...2200).contains(year)
        else { return nil }
        var rest = bytes[19...]
        var fraction: Int64 = 0
        if rest.first == 0x2E {
            let digits = rest.dropFirst().prefix { (0x30...0x39).contains($0) }
            guard !digits.isEmpty else { return nil }
            var scale: Int64 = 100_000_000
            for digit in digits.prefix(9) {
                fraction += Int64(digit - 0x30) * scale
                scale /= 10
            }
            rest = rest.dropFirst(1 + digits.count)
        }
        guard let offset = Timestamp.offset(rest) else { return nil }
        let days = Timestamp.daysSince1970(year: year, month: month, day: day)
        let seconds = days * 86_400 + hour * 3600 + minute * 60 + second - offset
        self.init(nanoseconds: seconds * 1_000_000_000 + fraction)
    }

    private static func offset(_ bytes: ArraySlice<UInt8>) -> Int64? {
        let text = Array(bytes)
        if text == [0x5A] || text == [0x7A] { return 0 }
        guard text.count == 6, text[3] == 0x3A, text[0] == 0x2B || text[0] == 0x2D,
            let hours = digits(text[1..<3]), let minutes = digits(text[4..<6]),
            hours < 24, minutes < 60
        else { return nil }
        return (hours * 3600 + minutes * 60) * (text[0] == 0x2D ? -1 : 1)
    }

    private static func days(inMonth month: Int64, of year: Int64) -> Int64 {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }
    private static func digits(_ bytes: ArraySlice<UInt8>) -> Int64? {
        var number: Int64 = 0
        for byte in bytes {
            guard (0x30...0x39).contains(byte) else { return nil }
            number = number * 10 + Int64(byte - 0x30)
        }
        return number
    }

    private static func append(_ number: Int64, _ width: Int, _ after: String, _ out: inout String) {
        let digits = String(number)
        for _ in digits.utf8.count..<max(width, digits.utf8.count) { out += "0" }
        out += digits
        out += after
    }

    /// Division whose remainder is never negative.
    public static func floorDivide(_ number: Int64, _ by: Int64) -> (quotient: Int64, remainder: Int64) {
        let (quotient, remainder) = number.quotientAndRemainder(dividingBy: by)
        return remainder < 0 ? (quotient - 1, remainder + by) : (quotient, remainder)
    }

    /// The date of a day; day 0 is 1970-01-01, a Thursday.
    public static func civilDate(daysSince1970 days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let shifted = days + 719_468
        let era = floorDivide(shifted, 146_097).quotient
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthIndex = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * monthIndex + 2) / 5 + 1
        let month = monthIndex < 10 ? monthIndex + 3 : monthIndex - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
    }

    public static func daysSince1970(year: Int64, month: Int64, day: Int64) -> Int64 {
        let shifted = month <= 2 ? year - 1 : year
        let era = floorDivide(shifted, 400).quotient
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }
}
