// What this is: the rule by which a zone changes its clocks year by year, as POSIX writes it: `CET-1CEST,M3.5.0,M10.5.0/3`.
// Owns: reading that text (IEEE 1003.1, section 8.3, with the longer hours of RFC 9636) and the two changes of a year.
// Never: knows a table of past changes.
// On failure: text that is no such rule gives nil.
import JobModel

struct ZoneRule: Hashable, Sendable {
    struct Kind: Hashable, Sendable {
        var offset: Int64
        var abbreviation: String
    }
    struct Change: Hashable, Sendable {
        var at: Int64
        var kind: Kind
        var before: Kind
    }
    /// A day of a year, and the second of it on the clock that holds until then.
    private struct Day: Hashable, Sendable {
        enum Form: Hashable, Sendable {
            /// 1 to 365; 29 February is never counted.
            case withoutLeapDay(Int64)
            /// 0 to 365; 29 February counts.
            case withLeapDay(Int64)
            /// The `week`th `weekday` (0: Sunday) of a month; 5 is the last one.
            case weekday(month: Int64, week: Int64, weekday: Int64)
        }
        var form: Form
        var second: Int64

        func seconds(in year: Int64) -> Int64 {
            let january = Timestamp.daysSince1970(year: year, month: 1, day: 1)
            let isLeap = Timestamp.daysSince1970(year: year + 1, month: 1, day: 1) - january == 366
            switch form {
            case .withoutLeapDay(let number):
                return (january + number - 1 + (isLeap && number >= 60 ? 1 : 0)) * 86_400 + second
            case .withLeapDay(let number): return (january + number) * 86_400 + second
            case .weekday(let month, let week, let weekday):
                let first = Timestamp.daysSince1970(year: year, month: month, day: 1)
                // 1970-01-01 was a Thursday.
                let firstWeekday = Timestamp.floorDivide(first + 4, 7).remainder
                var day = first + Timestamp.floorDivide(weekday - firstWeekday, 7).remainder + (week - 1) * 7
                let next =
                    month == 12
                    ? Timestamp.daysSince1970(year: year + 1, month: 1, day: 1)
                    : Timestamp.daysSince1970(year: year, month: month + 1, day: 1)
                while day >= next { day -= 7 }
                return day * 86_400 + second
            }
        }
    }

    let standard: Kind
    let summer: Kind?
    private let start: Day?
    private let end: Day?

    init?(_ text: String) {
        var scanner = Scanner(Array(text.utf8))
        guard let name = scanner.name(), let offset = scanner.time() else { return nil }
        standard = Kind(offset: -offset, abbreviation: name)
        guard !scanner.isAtEnd else {
            (summer, start, end) = (nil, nil, nil)
            return
        }
        guard let name = scanner.name() else { return nil }
        var ahead = -offset + 3600
        if !scanner.isAtEnd, scanner.next != UInt8(ascii: ",") {
            guard let offset = scanner.time() else { return nil }
            ahead = -offset
        }
        guard scanner.skip(","), let start = scanner.day(), scanner.skip(","), let end = scanner.day(),
            scanner.isAtEnd
        else { return nil }
        summer = Kind(offset: ahead, abbreviation: name)
        self.start = start
        self.end = end
    }

    /// The changes of a year, in their order.
    func changes(in year: Int64) -> [Change] {
        guard let summer, let start, let end else { return [] }
        return [
            Change(at: start.seconds(in: year) - standard.offset, kind: summer, before: standard),
            Change(at: end.seconds(in: year) - summer.offset, kind: standard, before: summer),
        ].sorted { $0.at < $1.at }
    }

    private struct Scanner {
        private var rest: ArraySlice<UInt8>
        init(_ bytes: [UInt8]) { rest = bytes[...] }
        var isAtEnd: Bool { rest.isEmpty }
        var next: UInt8? { rest.first }

        mutating func skip(_ letter: Character) -> Bool {
            guard rest.first == letter.asciiValue else { return false }
            rest.removeFirst()
            return true
        }
        /// `CET`, or `<+1245>`.
        mutating func name() -> String? {
            let isQuoted = skip("<")
            let name = rest.prefix { byte in
                isQuoted ? byte != UInt8(ascii: ">") : (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7A
            }
            rest = rest.dropFirst(name.count)
            if isQuoted, !skip(">") { return nil }
            return name.count >= 3 ? String(decoding: name, as: UTF8.self) : nil
        }
        mutating func number() -> Int64? {
            let digits = rest.prefix { (0x30...0x39).contains($0) }
            rest = rest.dropFirst(digits.count)
            return digits.count <= 3 ? Int64(String(decoding: digits, as: UTF8.self)) : nil
        }
        /// `[+-]hh[:mm[:ss]]`, up to 167 hours.
        mutating func time() -> Int64? {
            let isNegative = skip("-")
            if !isNegative { _ = skip("+") }
            guard let hours = number(), hours <= 167 else { return nil }
            var seconds = hours * 3600
            if skip(":") {
                guard let minutes = number(), minutes < 60 else { return nil }
                seconds += minutes * 60
                if skip(":") {
                    guard let more = number(), more < 60 else { return nil }
                    seconds += more
                }
            }
            return isNegative ? -seconds : seconds
        }
        mutating func day() -> Day? {
            guard let form = form() else { return nil }
            guard skip("/") else { return Day(form: form, second: 7200) }
            return time().map { Day(form: form, second: $0) }
        }
        private mutating func form() -> Day.Form? {
            if skip("M") {
                guard let month = number(), (1...12).contains(month), skip("."), let week = number(),
                    (1...5).contains(week), skip("."), let weekday = number(), weekday <= 6
                else { return nil }
                return .weekday(month: month, week: week, weekday: weekday)
            }
            if skip("J") { return number().flatMap { (1...365).contains($0) ? .withoutLeapDay($0) : nil } }
            return number().flatMap { $0 <= 365 ? .withLeapDay($0) : nil }
        }
    }
}
