// What this is: cron expressions: their grammar, their days, and every hour of two years against a model of Debian's cron.
// Owns: the six zones: half-hour changes, changes at midnight, both hemispheres, none at all.
// Never: takes an offset from the room for the model (glibc gives them).
// On failure: the expression, the zone and the first instant that differs are in the message.
import JobModel
import TestKit
import Testing

@testable import Triggers

@Suite struct CronTests {
    // MARK: against the model

    private static let zones = [
        "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Asia/Beirut",
        "Asia/Kathmandu",
    ]
    private struct Case {
        var text: String
        var job: ModelJob
    }
    /// Each hour of the day at four minutes of it; and what goes with elapsed time.
    private static let cases: [Case] = {
        var cases = (0..<24).flatMap { hour in
            [0, 15, 30, 59].map { minute in
                Case(text: "\(minute) \(hour) * * *", job: ModelJob(minutes: [minute], hours: [hour]))
            }
        }
        let all = Set(0...23), minutes = Set(0...59)
        cases += [
            Case(text: "0,30 0-3 * * *", job: ModelJob(minutes: [0, 30], hours: [0, 1, 2, 3])),
            Case(
                text: "0-59/7 2 * * *",
                job: ModelJob(minutes: Set(stride(from: 0, to: 60, by: 7)), hours: [2])),
            Case(text: "15 * * * *", job: ModelJob(minutes: [15], hours: all, isWild: true)),
            Case(text: "*/20 * * * *", job: ModelJob(minutes: [0, 20, 40], hours: all, isWild: true)),
            Case(text: "* 1-2 * * *", job: ModelJob(minutes: minutes, hours: [1, 2], isWild: true)),
            Case(
                text: "10 */2 * * *",
                job: ModelJob(minutes: [10], hours: Set(stride(from: 0, to: 24, by: 2)), isWild: true)),
            Case(text: "30 2 * * 0", job: ModelJob(minutes: [30], hours: [2], weekdays: [0])),
            Case(text: "0 0 * * SAT,sun", job: ModelJob(minutes: [0], hours: [0], weekdays: [0, 6])),
            Case(
                text: "45 23 * * 1-5", job: ModelJob(minutes: [45], hours: [23], weekdays: [1, 2, 3, 4, 5])),
        ]
        return cases
    }()

    @Test(arguments: zones) func everyHourOfTwoYearsAsDebiansCron(_ name: String) throws {
        let start: Int64 = 1_735_689_600 / 60
        // Offsets change at whole quarters of an hour, so one answer serves fifteen minutes.
        let quarters = (0..<(2 * 365 * 96)).map { (start + $0 * 15) * 60 }
        let offsets = try glibcOffsets(name, at: quarters).flatMap { [Int64](repeating: $0, count: 15) }
        let runs = modelRuns(CronTests.cases.map(\.job), start: start, offsets: offsets)
        let zone = try ZoneFiles.named(name)
        for (expected, one) in zip(runs, CronTests.cases) {
            let search = CronSearch(try CronExpression(one.text), in: zone)
            // The model knows nothing of the time before it began.
            var at = (expected[0] * 60) - 1
            for minute in expected {
                guard let next = search.next(after: at) else {
                    Issue.record("\(one.text) in \(name) ends after \(at)")
                    return
                }
                at = next.instant
                if at != minute * 60 {
                    Issue.record(
                        "\(one.text) in \(name): \(next.time.rfc3339), not \(Timestamp(seconds: minute * 60).rfc3339)"
                    )
                    return
                }
            }
        }
    }

    @Test func whatAChangeDoesIsToldWithTheInstant() throws {
        let zone = try ZoneFiles.named("Europe/Berlin")
        let daily = CronSearch(try CronExpression("30 2 * * *"), in: zone)
        let spring = try #require(daily.next(after: CronTests.seconds("2026-03-28T12:00:00Z")))
        #expect(spring.time.rfc3339 == "2026-03-29T01:00:00.000Z")
        #expect(spring.note == .skipped(CronTests.seconds("2026-03-29T02:30:00Z")))
        let autumn = try #require(daily.next(after: CronTests.seconds("2026-10-24T12:00:00Z")))
        #expect(autumn.time.rfc3339 == "2026-10-25T00:30:00.000Z" && autumn.note == .firstOfTwo)
        let hourly = CronSearch(try CronExpression("30 * * * *"), in: zone)
        let second = try #require(hourly.next(after: autumn.instant))
        #expect(second.time.rfc3339 == "2026-10-25T01:30:00.000Z" && second.note == .secondOfTwo)
        let late = try #require(hourly.next(after: second.instant))
        #expect(late.note == nil)
    }

    @Test func aDayThatAZoneLeavesOutIsACorrectionNotAJump() throws {
        // Samoa had no 30 December 2011: cron takes a change of more than three hours as the new time.
        let search = CronSearch(try CronExpression("0 9 * * *"), in: try ZoneFiles.named("Pacific/Apia"))
        let first = try #require(search.next(after: CronTests.seconds("2011-12-29T00:00:00Z")))
        let second = try #require(search.next(after: first.instant))
        #expect(first.time.rfc3339 == "2011-12-29T19:00:00.000Z")
        #expect(second.time.rfc3339 == "2011-12-30T19:00:00.000Z")
    }

    private static func seconds(_ text: String) -> Int64 { Timestamp(rfc3339: text)?.seconds ?? 0 }

    // MARK: days

    /// Days of a month of 2026 on which an expression (with `0 0` in front) comes true.
    private func days(_ fields: String, _ month: Int) throws -> [Int] {
        let expression = try CronExpression("0 0 " + fields)
        let first = Timestamp.daysSince1970(year: 2026, month: Int64(month), day: 1)
        let next = CronExpression.Day.firstOfNextMonth(2026, Int64(month))
        return (first..<next).filter { expression.fits(CronExpression.Day($0)) }.map { Int($0 - first) + 1 }
    }

    @Test func theTwoDayFieldsJoinAsInCrontab() throws {
        // February 2026 begins on a Sunday.
        #expect(try days("13 * 5", 2) == [6, 13, 20, 27])
        #expect(try days("10 * 5", 2) == [6, 10, 13, 20, 27])
        #expect(try days("* * 5", 2) == [6, 13, 20, 27])
        // A star in front means that both must fit.
        #expect(try days("*/2 * 5", 2) == [13, 27])
        #expect(try days("10 * */3", 2) == [] && days("10 * */2", 2) == [10])
        #expect(try days("1 * 7", 2) == [1, 8, 15, 22] && days("1 * 0", 2) == [1, 8, 15, 22])
        #expect(try days("* * FRI-SUN", 2) == [1, 6, 7, 8, 13, 14, 15, 20, 21, 22, 27, 28])
    }

    @Test func lastNearestAndNth() throws {
        #expect(try days("L * *", 2) == [28] && days("L-3 * *", 2) == [25])
        // May 2026 ends on a Sunday, its 2nd is a Saturday, its 31st too late for a Monday.
        #expect(try days("LW * *", 5) == [29] && days("31W * *", 5) == [29])
        #expect(try days("2W * *", 5) == [1] && days("16W * *", 5) == [15] && days("17W * *", 5) == [18])
        // August 2026 begins on a Saturday: the nearest workday inside the month is Monday the 3rd.
        #expect(try days("1W * *", 8) == [3])
        #expect(try days("31W * *", 2) == [] && days("1,15W * *", 8) == [1, 14])
        #expect(try days("* * 5L", 2) == [27] && days("* * FRI#2", 2) == [13] && days("* * 0#5", 2) == [])
        #expect(try days("* * 7L", 5) == [31] && days("* * SUN#5", 5) == [31])
        #expect(try days("* * MON#1,5L", 2) == [2, 27])
    }

    @Test func secondsComeFirst() throws {
        let search = CronSearch(try CronExpression("*/20 30 9 * * *"), in: .utc)
        var at: Int64 = CronTests.seconds("2026-11-28T09:29:00Z")
        var found: [Int64] = []
        for _ in 0..<4 {
            at = try #require(search.next(after: at)).instant
            found.append(at - CronTests.seconds("2026-11-28T09:30:00Z"))
        }
        #expect(found == [0, 20, 40, 86_400])
    }

    @Test func wordsAndStepsMeanWhatTheyMeanInCrontab() throws {
        let same = [
            ("@daily", "0 0 * * *"), ("@midnight", "0 0 * * *"), ("@Hourly", "0 * * * *"),
            ("@weekly", "0 0 * * 0"), ("@monthly", "0 0 1 * *"), ("@yearly", "0 0 1 1 *"),
            ("@annually", "0 0 1 1 *"), ("5/20 3 * * *", "5,25,45 3 * * *"),
            ("0 0 1 jan-mar,DEC *", "0 0 1 1,2,3,12 *"), ("0  0\t* * mon-fri", "0 0 * * 1-5"),
            ("0 0 * * 1-7/2", "0 0 * * 0,1,3,5"), ("0-0 9-9/3 * * *", "0 9 * * *"),
        ]
        for (one, other) in same {
            let (left, right) = (try CronExpression(one), try CronExpression(other))
            #expect(
                left.minutes == right.minutes && left.hours == right.hours && left.days == right.days
                    && left.months == right.months && left.weekdays == right.weekdays
                    && left.bothDays == right.bothDays && left.followsElapsedTime == right.followsElapsedTime,
                "\(one)")
        }
    }

    @Test(arguments: [
        ("", 1), ("* * * *", 7), ("* * * * * * *", 13), ("60 * * * *", 1), ("* 24 * * *", 3),
        ("* * 0 * *", 5),
        ("* * 32 * *", 5), ("* * * 13 *", 7), ("* * * 0 *", 7), ("* * * * 8", 9), ("*/0 * * * *", 3),
        ("*/x * * * *", 3), ("1,,2 * * * *", 3), ("5-1 * * * *", 1), ("1-2-3 * * * *", 1),
        ("1/2/3 * * * *", 1),
        ("-1 * * * *", 1), ("a * * * *", 1), ("* * * FEBR *", 7), ("* * * * FRI#6", 13), ("* * * * FRI#", 13),
        ("* * * * L", 9), ("* * L-31 * *", 7), ("* * 40W * *", 5), ("@reboot", 1), ("@every 15m", 1),
        ("@daily 5", 1),
        ("0 9 * * 1-9", 11), ("* ? * * *", 3), ("99999999999999999999 * * * *", 1), ("0 0 ü * *", 1),
    ]) func whatIsWrongHasItsColumn(_ text: String, _ column: Int) {
        do throws(CronExpression.Problem) {
            _ = try CronExpression(text)
            Issue.record("`\(text)` was taken")
        } catch {
            #expect(error.column == column && !error.message.isEmpty, "\(text): \(error)")
        }
    }

    @Test func anythingIsEitherReadOrRefused() {
        var random = SeededRandom(seed: 3)
        let pieces = [
            "*", "/", "-", ",", "L", "W", "#", "0", "5", "31", "7", "SUN", "JAN", " ", " ", " ", "@", "99",
        ]
        for _ in 0..<20_000 {
            let text = (0..<(3 + random.below(14))).map { _ in random.pick(pieces) }.joined()
            guard let expression = try? CronExpression(text) else { continue }
            let next = CronSearch(expression, in: .utc).next(after: 1_700_000_000)
            #expect(next.map { $0.instant > 1_700_000_000 } ?? true, "\(text)")
        }
    }

    @Test func leapDaysAreWaitedForAndImpossibleDaysAreNot() throws {
        let leap = CronSearch(try CronExpression("0 0 29 2 */7"), in: .utc)
        let first = try #require(leap.next(after: CronTests.seconds("2088-03-01T00:00:00Z")))
        #expect(first.time.rfc3339 == "2128-02-29T00:00:00.000Z")
        #expect(CronSearch(try CronExpression("0 0 31 4,6 *"), in: .utc).next(after: 0) == nil)
    }
}
