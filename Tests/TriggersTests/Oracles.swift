// What this is: two opinions that share nothing with the room: glibc's offsets (through `date`), and a model of Debian's cron.
// Owns: the model: a minute after the other, with cron's virtual time (cron.c of Debian: its four kinds of wake-up).
// Never: calls anything of Triggers.
// On failure: a `date` that cannot be run fails the test.
import LinuxSystem

struct NoDate: Error {}

/// Offsets from UTC in seconds at these instants, as glibc has them.
func glibcOffsets(_ zone: String, at instants: [Int64]) throws -> [Int64] {
    // Our own spawn: Foundation's holds copies of other tests' open files for long, and their leases then see a writer.
    let text = instants.map { "@\($0)\n" }.joined()
    let answer = try BriefProcess.ask(
        ["env", "TZ=\(zone)", "LC_ALL=C", "date", "-f", "-", "+%z:%::z"], input: Array(text.utf8),
        limit: 1 << 24,
        patience: 60)
    guard let answer, answer.isGood else { throw NoDate() }
    let lines = String(decoding: answer.output, as: UTF8.self).split(separator: "\n")
    return lines.map { line in
        let parts = line.drop { $0 != ":" }.dropFirst()
        let numbers = parts.dropFirst().split(separator: ":").compactMap { Int64($0) }
        let seconds = numbers[0] * 3600 + numbers[1] * 60 + numbers[2]
        return parts.first == "-" ? -seconds : seconds
    }
}

/// One line of a crontab as the model understands it: sets, and whether minutes or hours began with a star.
struct ModelJob {
    var minutes: Set<Int>
    var hours: Set<Int>
    var weekdays: Set<Int> = Set(0...6)
    var isWild = false
}

/// Cron wakes once a minute; `offsets` has one entry a minute from `start` (minutes since 1970, UTC). Gives for each job
/// the minutes in which it is started, at most once in one minute.
func modelRuns(_ jobs: [ModelJob], start: Int64, offsets: [Int64]) -> [[Int64]] {
    // By the minute of a day, so that two years are soon gone through.
    var byMinute = [[Int]](repeating: [], count: 1440)
    for (number, job) in jobs.enumerated() {
        for hour in job.hours { for minute in job.minutes { byMinute[hour * 60 + minute].append(number) } }
    }
    var runs = jobs.map { _ in [Int64]() }
    func begin(_ wild: Bool?, _ clock: Int64, _ real: Int64) {
        for number in byMinute[Int(clock % 1440)] {
            let day = Int((clock / 1440 + 4) % 7)
            guard wild == nil || jobs[number].isWild == wild, jobs[number].weekdays.contains(day),
                runs[number].last != real
            else { continue }
            runs[number].append(real)
        }
    }
    var virtual = start + offsets[0] / 60 - 1
    for (index, offset) in offsets.enumerated() {
        let real = start + Int64(index)
        let clock = real + offset / 60
        let ahead = clock - virtual
        if ahead == 1 || ahead <= -180 || ahead > 180 {
            // The usual minute, or a correction: the new time counts.
            virtual = clock
            begin(nil, clock, real)
        } else if ahead > 1 {
            // Forward: the times in between for jobs of the day, the new time for all.
            for skipped in (virtual + 1)...clock { begin(false, skipped, real) }
            begin(true, clock, real)
            virtual = clock
        } else {
            // Back: jobs of the day wait until the clock is where it was.
            begin(true, clock, real)
        }
    }
    return runs
}
