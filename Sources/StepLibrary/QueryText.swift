// What this is: the small grammars inside a query: words and quotes, `*` and `?`, days and ages.
// Owns: QueryWords, NamePattern, QueryCalendar (weeks begin on Monday, days in the site's time zone).
// Never: reads a clock; `now` and the zone are given.
// On failure: a quote that is not closed is E-FIND-QUERY; a time that is none gives nil.
import JobModel

enum QueryWords {
    /// Words between blanks; `"…"` keeps blanks, and so does `modified:this week`.
    static func split(_ text: String) throws(Failure) -> [String] {
        var words: [String] = []
        var word = ""
        var (isQuoted, wasQuoted) = (false, false)
        for character in text {
            if character == "\"" {
                isQuoted.toggle()
                wasQuoted = true
            } else if character.isWhitespace && !isQuoted {
                if !word.isEmpty || wasQuoted { words.append(word) }
                (word, wasQuoted) = ("", false)
            } else {
                word.append(character)
            }
        }
        guard !isQuoted else { throw FileQuery.refusal("a quote in the query is not closed") }
        if !word.isEmpty || wasQuoted { words.append(word) }
        return joinWeeks(words)
    }

    private static func joinWeeks(_ words: [String]) -> [String] {
        var joined: [String] = []
        for word in words {
            if word == "week", let last = joined.last,
                last.hasSuffix("modified:this") || last.hasSuffix("modified:last")
            {
                joined[joined.count - 1] = last + " week"
            } else {
                joined.append(word)
            }
        }
        return joined
    }
}

/// A file name with `*` (any text) and `?` (one character), upper and lower case alike.
struct NamePattern {
    private let pattern: [Character]
    init(_ text: String) { pattern = Array(text.lowercased()) }

    func matches(_ name: String) -> Bool {
        let name = Array(name.lowercased())
        var (place, at) = (0, 0)
        // Where to go on when a later part does not fit: the last star, taking one character more.
        var retry: (pattern: Int, name: Int)?
        while at < name.count {
            if place < pattern.count, pattern[place] == "*" {
                retry = (place + 1, at)
                place += 1
            } else if place < pattern.count, pattern[place] == "?" || pattern[place] == name[at] {
                place += 1
                at += 1
            } else if let last = retry {
                retry = (last.pattern, last.name + 1)
                (place, at) = (last.pattern, last.name + 1)
            } else {
                return false
            }
        }
        return pattern[place...].allSatisfy { $0 == "*" }
    }
}

struct QueryCalendar: Sendable {
    var now: Timestamp
    /// Seconds east of UTC at an instant (seconds since 1970).
    var zoneOffset: @Sendable (Int64) -> Int
    static let advice = "write modified:today, yesterday, this week, last week, >7d (older) or <2h (younger)"

    func range(_ text: String) -> Range<Int64>? {
        let day = today
        let monday = day - (day + 3) % 7  // 1970-01-01 was a Thursday
        switch text {
        case "today": return start(day)..<start(day + 1)
        case "yesterday": return start(day - 1)..<start(day)
        case "this week": return start(monday)..<start(monday + 7)
        case "last week": return start(monday - 7)..<start(monday)
        default: return age(text)
        }
    }

    private func age(_ text: String) -> Range<Int64>? {
        guard let sign = text.first, let span = Span(String(text.dropFirst())) else { return nil }
        let limit = now.nanoseconds &- span.nanoseconds
        switch sign {
        case ">": return Int64.min..<limit
        case "<": return limit..<Int64.max
        default: return nil
        }
    }

    /// Days since 1970 in the zone.
    private var today: Int64 { (now.seconds + Int64(zoneOffset(now.seconds))) / 86_400 }
    /// Midnight at the beginning of that day, in nanoseconds; the offset may change within the day before.
    private func start(_ day: Int64) -> Int64 {
        let local = day * 86_400
        let guess = local - Int64(zoneOffset(local - Int64(zoneOffset(local))))
        return (local - Int64(zoneOffset(guess))) * 1_000_000_000
    }
}
