// What this is: the reader of cron expressions.
// Owns: the grammar of crontab(5) with names and @words, seconds as a sixth field in front, and L, W and # of Quartz.
// Never: guesses: what could mean two things is refused with what to write instead.
// On failure: CronExpression.Problem with the column of the piece that is wrong.
import JobModel

struct CronParser {
    typealias Problem = CronExpression.Problem

    private enum Field: Int {
        case second, minute, hour, day, month, weekday
        var range: ClosedRange<Int> {
            switch self {
            case .second, .minute: 0...59
            case .hour: 0...23
            case .day: 1...31
            case .month: 1...12
            // Both 0 and 7 are Sunday, in steps as well.
            case .weekday: 0...7
            }
        }
        var title: String {
            ["seconds", "minutes", "hours", "days of the month", "months", "days of the week"][rawValue]
        }
        var names: [String] {
            switch self {
            case .month:
                ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
            case .weekday: ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
            default: []
            }
        }
        var firstName: Int { self == .month ? 1 : 0 }
    }

    /// A stretch of the text, upper case, and where it begins (from 1).
    private struct Piece {
        var text: Substring
        var column: Int

        func parts(at sign: Character) -> [Piece] {
            var found: [Piece] = []
            var at = column
            for part in text.split(separator: sign, omittingEmptySubsequences: false) {
                found.append(Piece(text: part, column: at))
                at += part.count + 1
            }
            return found
        }
        func dropping(last count: Int) -> Piece { Piece(text: text.dropLast(count), column: column) }
        func problem(_ message: String, _ hint: String = "") -> Problem {
            Problem(message: message, hint: hint, column: column)
        }
        var isDigits: Bool { !text.isEmpty && text.utf8.allSatisfy { (0x30...0x39).contains($0) } }
    }

    private static let words = [
        "@YEARLY": "0 0 1 1 *", "@ANNUALLY": "0 0 1 1 *", "@MONTHLY": "0 0 1 * *", "@WEEKLY": "0 0 * * 0",
        "@DAILY": "0 0 * * *", "@MIDNIGHT": "0 0 * * *", "@HOURLY": "0 * * * *",
    ]
    private static let longest = 1000

    static func read(_ text: String) throws(Problem) -> CronExpression {
        guard text.utf8.count <= longest, text.utf8.allSatisfy({ $0 < 0x7F && ($0 >= 0x20 || $0 == 0x09) })
        else {
            throw Problem(
                message: "a cron expression is one line of plain letters, digits and signs", hint: "",
                column: 1)
        }
        let upper = text.uppercased()
        let fields = split(upper)
        guard let first = fields.first else {
            throw Problem(
                message: "the cron expression is empty", hint: "write one such as 0 9 * * *", column: 1)
        }
        if first.text.first == "@" { return try word(first, fields.count, text) }
        guard fields.count == 5 || fields.count == 6 else {
            let last = fields[min(fields.count, 7) - 1]
            throw last.problem(
                "a cron expression has five fields, or six with seconds first, not \(fields.count)",
                "minute hour day-of-month month day-of-week, such as 0 9 * * 1-5")
        }
        return try read(fields, text)
    }

    private static func word(_ piece: Piece, _ count: Int, _ text: String) throws(Problem) -> CronExpression {
        guard count == 1, let meaning = words[String(piece.text)] else {
            let hint =
                switch piece.text {
                case "@REBOOT":
                    "a start is no time of the clock; `catch_up: last` runs what was missed meanwhile"
                case "@EVERY": "write `every: 15m` in place of `cron:`"
                default: "known are @hourly @daily @midnight @weekly @monthly @yearly @annually"
                }
            throw piece.problem("`\(text)` is no cron expression", hint)
        }
        return try read(split(meaning), text)
    }

    private static func split(_ text: String) -> [Piece] {
        Piece(text: text[...], column: 1).parts(at: " ").flatMap { $0.parts(at: "\t") }.filter {
            !$0.text.isEmpty
        }
    }

    private static func read(_ fields: [Piece], _ text: String) throws(Problem) -> CronExpression {
        var out = CronExpression(unread: text)
        let five = fields.suffix(5).map { $0 }
        if fields.count == 6 { out.seconds = try numbers(fields[0], .second) }
        out.minutes = try numbers(five[0], .minute)
        out.hours = try numbers(five[1], .hour)
        for item in five[2].parts(at: ",") { try day(item, into: &out.days) }
        out.months = try numbers(five[3], .month)
        for item in five[4].parts(at: ",") { try weekday(item, into: &out.weekdays) }
        // Sunday is 0 from here on.
        out.weekdays.numbers = (out.weekdays.numbers | out.weekdays.numbers >> 7) & 0x7F
        out.followsElapsedTime = five[0].text.first == "*" || five[1].text.first == "*"
        out.bothDays = five[2].text.first == "*" || five[4].text.first == "*"
        return out
    }

    // MARK: fields

    private static func numbers(_ piece: Piece, _ field: Field) throws(Problem) -> UInt64 {
        var out: UInt64 = 0
        for item in piece.parts(at: ",") { out |= try range(item, field) }
        return out
    }

    /// `*`, `5`, `1-5`, each with `/step`; `5/10` goes on to the end of the field.
    private static func range(_ piece: Piece, _ field: Field) throws(Problem) -> UInt64 {
        let parts = piece.parts(at: "/")
        guard let head = parts.first, parts.count <= 2 else {
            throw piece.problem("`\(piece.text)` has more than one step")
        }
        var step = 1
        if parts.count == 2 {
            guard parts[1].isDigits, let number = Int(parts[1].text), number > 0, number < 1_000_000 else {
                throw parts[1].problem("a step is a whole number from 1, not `\(parts[1].text)`")
            }
            step = number
        }
        var (low, high) = (field.range.lowerBound, field.range.upperBound)
        if head.text != "*" {
            let ends = head.parts(at: "-")
            guard ends.count <= 2 else { throw head.problem("`\(head.text)` is no range") }
            low = try number(ends[0], field)
            if ends.count == 2 {
                high = try number(ends[1], field)
                // Sunday ends a week as well as it begins one.
                if field == .weekday, high == 0, low > 0, !ends[1].isDigits { high = 7 }
                guard low <= high else {
                    throw head.problem(
                        "the range `\(head.text)` goes backwards",
                        "write it as two: \(low)-\(field.range.upperBound),\(field.range.lowerBound)-\(high)")
                }
            } else if parts.count == 1 {
                high = low
            }
        }
        var out: UInt64 = 0
        for value in stride(from: low, through: high, by: step) { out |= 1 << UInt64(value) }
        return out
    }

    private static func number(_ piece: Piece, _ field: Field) throws(Problem) -> Int {
        if let index = field.names.firstIndex(of: String(piece.text)) { return index + field.firstName }
        guard piece.isDigits, piece.text.utf8.count <= 4, let number = Int(piece.text) else {
            let shown = piece.text.isEmpty ? "nothing" : "`\(piece.text)`"
            throw piece.problem(
                "\(field.title): \(shown) stands where a number should",
                field.names.isEmpty
                    ? "numbers from \(field.range.lowerBound) to \(field.range.upperBound)"
                    : "\(field.range.lowerBound) to \(field.range.upperBound), or \(field.names.joined(separator: " "))"
            )
        }
        guard field.range.contains(number) else {
            throw piece.problem(
                "\(field.title): \(number) is not from \(field.range.lowerBound) to \(field.range.upperBound)"
            )
        }
        return number
    }

    private static func day(_ piece: Piece, into days: inout CronExpression.MonthDays) throws(Problem) {
        let text = piece.text
        if text == "L" {
            days.fromLast.insert(0)
        } else if text == "LW" || text == "WL" {
            days.lastWorkday = true
        } else if text.hasPrefix("L-") {
            let count = Piece(text: text.dropFirst(2), column: piece.column + 2)
            guard count.isDigits, let number = Int(count.text), (1...30).contains(number) else {
                throw count.problem("L-n is n days before the last: 1 to 30")
            }
            days.fromLast.insert(number)
        } else if text.last == "W" {
            days.nearest.insert(try number(piece.dropping(last: 1), .day))
        } else {
            days.numbers |= try range(piece, .day)
        }
    }

    private static func weekday(_ piece: Piece, into weekdays: inout CronExpression.Weekdays) throws(Problem)
    {
        let parts = piece.parts(at: "#")
        if parts.count == 2 {
            let day = try number(parts[0], .weekday)
            guard parts[1].isDigits, let nth = Int(parts[1].text), (1...5).contains(nth) else {
                throw parts[1].problem("#n is the first to the fifth of a month, not `\(parts[1].text)`")
            }
            weekdays.nth.insert(day % 7 * 8 + nth)
        } else if piece.text == "L" {
            throw piece.problem(
                "days of the week: `L` alone could mean two things",
                "6 or SAT is Saturday, 6L the last Saturday of a month")
        } else if piece.text.last == "L" {
            weekdays.last.insert(try number(piece.dropping(last: 1), .weekday) % 7)
        } else {
            weekdays.numbers |= try range(piece, .weekday)
        }
    }
}
