// What this is: instants and their RFC 3339 text, held against Foundation's calendar.
// Owns: the range, leap years, offsets, fractions, and what is no RFC 3339.
// Never: reads a clock.
// On failure: the instant or the text is in the message.
// Foundation is the oracle here and nowhere in the code under test.
import Foundation
import TestKit
import Testing

@testable import JobModel

private func calendar(east seconds: Int) throws -> Calendar {
    var calendar = Calendar(identifier: .gregorian)
    calendar.timeZone = try #require(TimeZone(secondsFromGMT: seconds))
    return calendar
}
private func pad(_ number: Int, _ width: Int = 2) -> String {
    let text = String(number)
    return String(repeating: "0", count: max(0, width - text.count)) + text
}
/// What Foundation says of an instant of whole seconds, without the zone.
private func civil(_ seconds: Int64, east: Int) throws -> String {
    let parts = try calendar(east: east).dateComponents(
        [.year, .month, .day, .hour, .minute, .second], from: Date(timeIntervalSince1970: Double(seconds)))
    func part(_ number: Int?, _ width: Int = 2) throws -> String { pad(try #require(number), width) }
    return try part(parts.year, 4) + "-" + part(parts.month) + "-" + part(parts.day) + "T" + part(parts.hour)
        + ":"
        + part(parts.minute) + ":" + part(parts.second)
}

@Suite struct TimestampTests {
    static let corners: [Int64] = [
        0, -1, 1, 86_399, 86_400, -86_400, 951_782_400, 951_868_799, 1_709_164_800, 4_107_542_400, 253,
        2_147_483_647,
        2_147_483_648, -2_147_483_649, 1_582_934_400, -2_203_891_200, -8_520_336_000, 7_258_118_399,
    ]

    @Test func textIsWhatTheCalendarSays() throws {
        var random = SeededRandom(seed: 1)
        let drawn = (0..<600).map { _ in Int64.random(in: -8_500_000_000...7_258_118_400, using: &random) }
        for seconds in TimestampTests.corners + drawn {
            let milliseconds = Int64(random.below(1000)), rest = Int64(random.below(1_000_000))
            let instant = Timestamp(nanoseconds: seconds * 1_000_000_000 + milliseconds * 1_000_000 + rest)
            #expect(
                try instant.rfc3339 == civil(seconds, east: 0) + "." + pad(Int(milliseconds), 3) + "Z",
                "\(seconds)")
            #expect(try instant.utcDay == civil(seconds, east: 0).prefix(10), "\(seconds)")
            #expect(instant.seconds == seconds)
            #expect(instant.milliseconds == seconds * 1000 + milliseconds)
        }
    }
    @Test func zonesShiftTheCivilTime() throws {
        var random = SeededRandom(seed: 2)
        for east in [3600, -3600, 19_800, -34_200, 50_400, -43_200, 60, -60, 45_900] {
            for _ in 0..<40 {
                let seconds = Int64.random(in: -8_500_000_000...7_258_000_000, using: &random)
                let text = Timestamp(seconds: seconds).civil(offsetSeconds: east, withMilliseconds: false)
                let zone = (east < 0 ? "-" : "+") + pad(abs(east) / 3600) + ":" + pad(abs(east) / 60 % 60)
                #expect(try text == civil(seconds, east: east) + zone)
                #expect(Timestamp(rfc3339: text) == Timestamp(seconds: seconds), "\(text)")
            }
        }
    }
    @Test func everyDayOfThreeCenturiesHasItsDate() throws {
        // Counted, not computed: the table of months is the oracle.
        let lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        var day = Timestamp.daysSince1970(year: 1900, month: 1, day: 1)
        #expect(day == -25_567)
        for year in 1900..<2200 {
            let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
            for (index, length) in lengths.enumerated() {
                for date in 1...(index == 1 && isLeap ? 29 : length) {
                    let found = Timestamp.civilDate(daysSince1970: day)
                    guard found == (Int64(year), Int64(index + 1), Int64(date)) else {
                        Issue.record("day \(day) is \(found), not \(year)-\(index + 1)-\(date)")
                        return
                    }
                    day += 1
                }
            }
        }
        #expect(Timestamp.daysSince1970(year: 2200, month: 1, day: 1) == day)
    }
    @Test func everyMillisecondRoundTrips() {
        var random = SeededRandom(seed: 3)
        for _ in 0..<3000 {
            let instant = Timestamp(
                nanoseconds: Int64.random(in: -8_500_000_000_000...7_258_000_000_000, using: &random)
                    * 1_000_000)
            #expect(Timestamp(rfc3339: instant.rfc3339) == instant)
        }
    }
    @Test(
        arguments: [
            ("1970-01-01T00:00:00Z", 0), ("1969-12-31T23:59:59Z", -1_000_000_000),
            ("1970-01-01t00:00:00z", 0),
            ("1970-01-01 01:00:00+01:00", 0), ("1969-12-31T19:30:00-04:30", 0),
            ("1970-01-01T00:00:00.5Z", 500_000_000),
            ("1970-01-01T00:00:00.000000001Z", 1), ("1970-01-01T00:00:00.0000000019Z", 1),
            ("1969-12-31T23:59:59.999Z", -1_000_000), ("2000-02-29T00:00:00Z", 951_782_400_000_000_000),
            ("1970-01-01T00:00:60Z", 60_000_000_000), ("1970-01-01T00:00:00-00:00", 0),
        ] as [(String, Int64)])
    func reads(text: String, nanoseconds: Int64) {
        #expect(Timestamp(rfc3339: text)?.nanoseconds == nanoseconds)
    }
    @Test(arguments: [
        "", "1970-01-01", "1970-01-01T00:00:00", "1970-13-01T00:00:00Z", "1970-00-01T00:00:00Z",
        "1970-01-00T00:00:00Z",
        "1970-01-32T00:00:00Z", "1970-01-01T24:00:00Z", "1970-01-01T00:60:00Z", "1970-01-01T00:00:61Z",
        "1970-01-01T00:00:00+1:00", "1970-01-01T00:00:00+01", "1970-01-01T00:00:00Zx",
        "1970-01-01T00:00:00 Z",
        "197O-01-01T00:00:00Z", "+970-01-01T00:00:00Z", "1970/01/01T00:00:00Z", "1970-01-01X00:00:00Z",
        "1970-01-01T00:00:00,5Z", "99999-01-01T00:00:00Z", "1970-01-01T00:00:0\u{661}Z",
        "0000-01-01T00:00:00Z",
    ])
    func refuses(text: String) { #expect(Timestamp(rfc3339: text) == nil) }

    @Test(arguments: [
        "2026-02-30T00:00:00Z", "2025-02-29T00:00:00Z", "2026-04-31T12:00:00Z", "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00+24:00", "2026-01-01T00:00:00+01:60", "2026-01-01T00:00:00-99:99",
    ])
    func refusesDatesThatDoNotExist(text: String) {
        #expect(Timestamp(rfc3339: text) == nil)
    }
    @Test func readingIsTotal() {
        var random = SeededRandom(seed: 4)
        let pieces = Array("0123456789-:TZ.+ tz\u{0}é")
        for _ in 0..<20_000 {
            var text = Array("2026-01-02T03:04:05.678+09:30")
            for _ in 0...random.below(4) { text[random.below(text.count)] = random.pick(pieces) }
            if let instant = Timestamp(rfc3339: String(text)) {
                #expect(Timestamp(rfc3339: instant.rfc3339) != nil)
            }
        }
    }
    @Test func sumsNeverTrap() {
        let last = Timestamp(nanoseconds: .max), first = Timestamp(nanoseconds: .min)
        #expect(last.adding(.seconds(1)) == last)
        #expect(first.adding(Span(nanoseconds: -1)) == first)
        _ = last.since(first)
        _ = [last.rfc3339, first.rfc3339, first.civil(offsetSeconds: -86_399, withMilliseconds: true)]
        #expect(first.milliseconds < 0 && last.milliseconds > 0)
    }
}
