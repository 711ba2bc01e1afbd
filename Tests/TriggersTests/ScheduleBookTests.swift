// What this is: the scheduler's decisions with a clock made of numbers: catching up, overlap, edits, clocks that are set.
// Owns: a driver that plays fires, ends of runs, restarts and steps of the clock.
// Never: waits.
// On failure: what was fired is in the message.
import JobModel
import TestKit
import Testing

@testable import Triggers

private let base = Timestamp(rfc3339: "2026-11-28T12:00:00Z") ?? Timestamp(seconds: 0)

private func hourly(_ change: (inout Schedule) throws -> Void = { _ in }) throws -> Schedule {
    var schedule = Schedule(
        id: "s", name: "s", timing: .cron(try CronExpression("0 * * * *")), zone: .utc, template: "t.yaml",
        queue: .standard, priority: .normal)
    try change(&schedule)
    return schedule
}

/// A scheduler with a memory and runs that end when they are told to.
private struct Play {
    var schedules: [Schedule]
    var book = ScheduleBook()
    var memories: [String: ScheduleBook.Memory] = [:]
    var now: Int64
    var live: Set<String> = []
    var fired: [Int64] = []
    var skipped = 0
    var cancelled: [String] = []

    init(_ schedule: Schedule, at now: Timestamp = base) {
        schedules = [schedule]
        self.now = now.seconds
        configure()
    }
    var time: Timestamp { Timestamp(seconds: now) }
    mutating func configure() {
        book.configure(schedules, memories, now: time)
        _ = book.clockWasSet(now: time)
        keep()
    }
    mutating func keep() { memories.merge(book.takeChanged()) { $1 } }
    mutating func restart() {
        book = ScheduleBook()
        configure()
    }
    mutating func tick() {
        let open = live
        for action in book.take(now: time, isLive: { open.contains($0.ticket) }) {
            switch action {
            case .fire(let schedule, let one):
                fired.append(one.instant)
                let ticket = "\(schedule.id)-\(one.instant)"
                live.insert(ticket)
                book.dropped(
                    schedule.id,
                    .init(instant: one.instant, ticket: ticket, lane: "q/p5", name: ticket, at: now))
            case .skip(_, let count, _, _): skipped += count
            case .cancel(_, let last): cancelled.append(last.ticket)
            }
        }
        keep()
    }
    /// Goes on to an instant as the desk does: from one that is due to the next.
    mutating func go(to end: Int64, ending: Bool = true) {
        while let due = book.nextDue?.seconds, due <= end {
            now = max(now, due)
            tick()
            if ending {
                live = []
                tick()
            }
        }
        now = end
        tick()
    }
    /// Hours after the beginning.
    var hours: [Int64] { fired.map { ($0 - base.seconds) / 3600 } }
}

@Suite struct ScheduleBookTests {
    @Test func whatIsDueIsFiredOnceAndInItsTime() throws {
        var play = Play(try hourly())
        play.go(to: base.seconds + 5 * 3600 + 10)
        #expect(play.hours == [1, 2, 3, 4, 5] && play.skipped == 0)
    }

    @Test(arguments: [
        (Schedule.CatchUp(.none), [Int64](), 9), (Schedule.CatchUp(.last), [9], 8),
        (Schedule.CatchUp(.all), [1, 2, 3, 4, 5, 6, 7, 8, 9], 0),
        (Schedule.CatchUp(.all, limit: 3), [7, 8, 9], 6),
        (Schedule.CatchUp(.all, within: .seconds(2 * 3600)), [8, 9], 7),
        (Schedule.CatchUp(.last, within: .seconds(600)), [], 9),
    ]) func whatWasMissedWhileNobodyServed(_ rule: Schedule.CatchUp, _ hours: [Int64], _ left: Int) throws {
        for overlap in Schedule.Overlap.allCases {
            var play = Play(
                try hourly {
                    $0.catchUp = rule
                    $0.overlap = overlap
                })
            play.now += 9 * 3600 + 1800
            play.restart()
            for _ in 0..<20 {
                play.tick()
                play.live = []
            }
            // Where each replaces the one before it, the last is all that there is.
            let wanted = overlap == .replace ? hours.suffix(1) : hours[...]
            #expect(play.hours == Array(wanted), "\(overlap)")
            #expect(play.skipped == left + hours.count - wanted.count, "\(overlap)")
            play.go(to: base.seconds + 10 * 3600)
            #expect(play.hours.last == 10)
        }
    }

    @Test func aLittleLateIsNotMissed() throws {
        var play = Play(try hourly { $0.catchUp = .init(.none) })
        play.now += 3600 + 30
        play.restart()
        play.tick()
        #expect(play.hours == [1])
    }

    @Test func whileTheLastRunHasNotEnded() throws {
        for (overlap, hours) in [
            (Schedule.Overlap.skip, [1 as Int64]), (.queue, [1]), (.replace, [1]), (.allow, [1, 2, 3, 4]),
        ] {
            var play = Play(try hourly { $0.overlap = overlap })
            play.go(to: base.seconds + 3600, ending: false)
            for hour in 2...4 as ClosedRange<Int64> {
                play.now = base.seconds + hour * 3600
                play.tick()
                play.tick()
            }
            #expect(play.hours == hours, "\(overlap): \(play.hours)")
            #expect(play.cancelled.count == (overlap == .replace ? 1 : 0))
            #expect(play.book.isHolding == (overlap == .queue || overlap == .replace))
            // Its end lets the ones that wait go, one after the other; of those that replace the newest.
            for _ in 0..<5 {
                play.live = []
                play.tick()
            }
            switch overlap {
            case .skip: #expect(play.hours == [1] && play.skipped == 3)
            case .queue: #expect(play.hours == [1, 2, 3, 4])
            case .replace: #expect(play.hours == [1, 4])
            case .allow: break
            }
            play.go(to: base.seconds + 5 * 3600)
            #expect(play.hours.last == 5)
        }
    }

    @Test func anEditIsNoReasonToRunWhatItWouldHaveRun() throws {
        var play = Play(try hourly())
        play.go(to: base.seconds + 2 * 3600)
        play.schedules[0].timing = .cron(try CronExpression("30 * * * *"))
        play.now += 2400
        play.configure()
        play.tick()
        #expect(play.hours == [1, 2])
        // Also where the edit came while nobody served.
        play.schedules[0].timing = .cron(try CronExpression("0,5 * * * *"))
        play.now += 1800
        play.restart()
        play.tick()
        #expect(play.hours == [1, 2])
        // Another template is the same schedule.
        play.schedules[0].template = "other.yaml"
        play.configure()
        play.go(to: base.seconds + 4 * 3600)
        #expect(play.fired.suffix(1) == [base.seconds + 4 * 3600])
    }

    @Test func whatWaitsForARunGoesOnWaitingWhenTheFileIsReadAgain() throws {
        for again in [true, false] {
            var play = Play(
                try hourly {
                    $0.overlap = .queue
                    $0.catchUp = .init(.none)
                })
            play.go(to: base.seconds + 3600, ending: false)
            for hour in [2, 3] as [Int64] {
                play.now = base.seconds + hour * 3600 + 5
                play.tick()
            }
            #expect(play.memories["s"]?.isHeld == true)
            if again { play.configure() } else { play.restart() }
            play.now += 600
            for _ in 0..<4 {
                play.tick()
                play.live = []
            }
            #expect(play.hours == [1, 2, 3] && play.skipped == 0, "\(play.hours)")
        }
    }

    @Test func whatWasTakenOutOrNotYetValidIsNotMissed() throws {
        var play = Play(try hourly { $0.catchUp = .init(.all) })
        play.go(to: base.seconds + 3600)
        let kept = play.schedules
        play.schedules = []
        play.configure()
        play.now += 5 * 3600
        play.schedules = kept
        play.configure()
        play.tick()
        #expect(play.hours == [1])
        play.schedules[0].notBefore = base.adding(.seconds(400 * 86_400))
        play.configure()
        play.now += 5 * 3600
        play.schedules[0].notBefore = nil
        play.restart()
        play.tick()
        #expect(play.hours == [1] && play.skipped == 0)
    }

    @Test func whereNobodyKnowsWhetherARunHasEndedNothingIsDecided() throws {
        var play = Play(try hourly())
        play.go(to: base.seconds + 3600, ending: false)
        play.now += 3600
        #expect(play.book.take(now: play.time) { _ in nil } == [])
        play.live = []
        play.tick()
        #expect(play.hours == [1, 2] && play.skipped == 0)
    }

    @Test func whatIsSwitchedOffIsNotMissed() throws {
        var play = Play(try hourly())
        play.go(to: base.seconds + 3600)
        play.schedules[0].isEnabled = false
        play.configure()
        play.go(to: base.seconds + 5 * 3600)
        play.restart()
        play.schedules[0].isEnabled = true
        play.configure()
        play.tick()
        #expect(play.hours == [1] && play.skipped == 0)
        play.go(to: base.seconds + 6 * 3600)
        #expect(play.hours == [1, 6])
    }

    @Test func windowDaysAndDelay() throws {
        var play = Play(
            try hourly {
                $0.notBefore = base.adding(.seconds(2 * 3600))
                $0.until = base.adding(.seconds(40 * 3600))
                // The 29th of November.
                $0.skipDays.yearly = [1129]
                $0.delay = .seconds(90)
            })
        #expect(play.book.nextDue == base.adding(.seconds(2 * 3600 + 90)))
        play.go(to: base.seconds + 72 * 3600)
        // From 14:00 to 23:00 of the 28th; the 30th from 0:00 until the end of the window, 4:00.
        #expect(play.hours == Array(2...11) + Array(36...40))
    }

    @Test func everySoOften() throws {
        var play = Play(try hourly { $0.timing = .every(seconds: 900, anchor: 300) })
        play.go(to: base.seconds + 3600)
        #expect(play.fired.map { $0 - base.seconds } == [300, 1200, 2100, 3000])
        var fast = Play(
            try hourly {
                $0.timing = .every(seconds: 1, anchor: 0)
                $0.catchUp = .init(.all, limit: 5)
            })
        // A month later the newest five, without going through all of it.
        fast.now += 30 * 86_400
        fast.restart()
        for _ in 0..<10 {
            fast.tick()
            fast.live = []
        }
        #expect(fast.fired.count == 5 && fast.fired.last == fast.now)
    }

    /// Steps of an hour, restarts at any time, sleep: every occurrence the clock has passed runs exactly once.
    @Test(arguments: 0..<40) func clocksThatAreSetAndRestarts(_ seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var play = Play(
            try hourly {
                $0.timing = .cron(try CronExpression("*/10 * * * *"))
                $0.overlap = .allow
                $0.catchUp = .init(.all, limit: 10_000)
            })
        var furthest = play.now
        for _ in 0..<300 {
            switch random.below(6) {
            case 0: play.now += 3600
            case 1: play.now -= 3600
            case 2: play.restart()
            case 3: play.now += Int64(random.below(20_000))
            default: play.now += Int64(random.below(900))
            }
            _ = play.book.clockWasSet(now: play.time)
            play.tick()
            furthest = max(furthest, play.now)
        }
        // However often the clock was behind, in the end it is where it was.
        play.now = furthest
        play.tick()
        let wanted = stride(from: base.seconds + 600, through: furthest, by: 600).map { $0 }
        #expect(Set(play.fired).count == play.fired.count, "seed \(seed): something ran twice")
        // A clock that was set back by days may have come to times before the first.
        #expect(play.fired.filter { $0 > base.seconds }.sorted() == wanted, "seed \(seed)")
    }

    @Test func aClockThatWasFarAheadDoesNotSilenceASchedule() throws {
        var play = Play(try hourly())
        play.go(to: base.seconds + 2 * 3600)
        play.now = base.seconds + 400 * 86_400
        play.tick()
        play.live = []
        #expect(play.fired.count == 3)
        play.now = base.seconds + 2 * 3600 + 60
        #expect(play.book.clockWasSet(now: play.time) == ["s"])
        play.go(to: base.seconds + 4 * 3600)
        #expect(play.hours.filter { $0 < 100 } == [1, 2, 3, 4])
    }
}
