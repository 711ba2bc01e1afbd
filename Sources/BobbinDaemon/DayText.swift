// What this is: days as people write them in calendars and windows.
// Owns: `2026-12-25`, `2026-12-24..2027-01-02`, `12-25`.
// Never: knows a zone.
// On failure: text that is none of these gives nil.
import JobModel

enum DayText {
    static func day(_ text: String) -> Int64? {
        text.utf8.count == 10 ? Timestamp(rfc3339: text + "T00:00:00Z").map { $0.seconds / 86_400 } : nil
    }
    static func range(_ text: String) -> ClosedRange<Int64>? {
        if let day = day(text) { return day...day }
        let ends =
            text.firstRange(of: "..").map {
                [String(text[..<$0.lowerBound]), String(text[$0.upperBound...])]
            } ?? []
        guard ends.count == 2, let first = day(ends[0]), let last = day(ends[1]), first <= last else {
            return nil
        }
        return first...last
    }
    /// `12-25`; the 29th of February is a day as well.
    static func yearly(_ text: String) -> Int64? {
        guard text.utf8.count == 5, let day = day("2024-" + text) else { return nil }
        let date = Timestamp.civilDate(daysSince1970: day)
        return date.month * 100 + date.day
    }
}
