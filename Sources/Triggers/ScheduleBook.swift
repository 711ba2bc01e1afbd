// What this is: the scheduler's decisions: what is due now, what is late, what is left out, and when to look again.
// Owns: how far each schedule has got (its mark), and the rules of catching up and of overlapping runs.
// Never: reads a clock, a file or the state of a run: `now` and the answer to "has it ended?" are given to it.
// On failure: nothing here fails.
import JobModel

public struct ScheduleBook: Sendable {
    /// What is remembered of a schedule between two starts.
    public struct Memory: Hashable, Sendable {
        /// Up to here (seconds since 1970) all has been decided: each occurrence later than this is still to come.
        public var mark: Int64
        /// `Schedule.timingText` of then.
        public var timing: String
        /// From one occurrence to another all that there are have run, oldest first: what has run never does again,
        /// whatever the clock does.
        public var fired: [ClosedRange<Int64>] = []
        public var last: Last?
        /// It is due, and the run before it has not ended: what waits was chosen when it came.
        public var isHeld = false
        public var fires = 0
        public var skips = 0
        /// Why the last one that was left out did not run.
        public var lastSkip: String?

        public struct Last: Hashable, Sendable {
            public var instant: Int64
            public var ticket: String
            /// `queue/p5`, where it was dropped.
            public var lane: String
            public var name: String
            /// When it was dropped, in nanoseconds.
            public var at: Int64
            public init(instant: Int64, ticket: String, lane: String, name: String, at: Int64) {
                self.instant = instant
                self.ticket = ticket
                self.lane = lane
                self.name = name
                self.at = at
            }
        }
        public init(mark: Int64, timing: String) {
            self.mark = mark
            self.timing = timing
        }
    }

    public enum Action: Sendable, Equatable {
        case fire(Schedule, Occurrence)
        /// So many occurrences do not run, and why; the newest of them.
        case skip(Schedule, count: Int, newest: Int64, why: String)
        /// The run before it is to end first.
        case cancel(Schedule, Memory.Last)
    }

    private struct Entry: Sendable {
        var schedule: Schedule
        var memory: Memory
        var next: Occurrence?
        var wasCancelled = false

        var due: Timestamp? { next.map(schedule.due) }
        mutating func note(_ one: Occurrence) {
            let last = memory.fired.last
            if let last, schedule.next(after: Timestamp(seconds: last.upperBound)) == one {
                memory.fired[memory.fired.count - 1] = last.lowerBound...one.instant
            } else {
                memory.fired = Array(
                    (memory.fired + [one.instant...one.instant]).suffix(ScheduleBook.firedKept))
            }
        }
        mutating func lookAhead() { next = schedule.next(after: Timestamp(seconds: memory.mark)) }
    }

    private var entries: [String: Entry] = [:]
    /// What changed since it was taken last.
    private var changed: Set<String> = []
    /// So late something may be without counting as missed: a busy machine, a restart.
    public static let grace = Span.seconds(60)
    /// A mark that is further ahead than this was made by a wrong clock, as cron judges it.
    static let correction: Int64 = 3 * 3600
    private static let firedKept = 64

    public init() {}

    // MARK: configuration

    /// Takes the schedules of the file; `memories` is what is known of each by id.
    public mutating func configure(
        _ schedules: [Schedule], _ memories: [String: Memory], now: Timestamp
    ) {
        var fresh: [String: Entry] = [:]
        for schedule in schedules where schedule.isEnabled {
            var memory =
                entries[schedule.id]?.memory ?? memories[schedule.id]
                ?? Memory(mark: now.seconds, timing: schedule.timingText)
            let isKnown = entries[schedule.id] != nil || memories[schedule.id] != nil
            // What another timing would have had to run is nobody's wish.
            if memory.timing != schedule.timingText {
                memory.mark = max(now.seconds, memory.fired.last?.upperBound ?? .min)
                // Of another timing the ranges say nothing.
                memory.fired = memory.fired.suffix(1).map { $0.upperBound...$0.upperBound }
                memory.timing = schedule.timingText
                memory.isHeld = false
                changed.insert(schedule.id)
            }
            if !isKnown { changed.insert(schedule.id) }
            var entry = Entry(schedule: schedule, memory: memory)
            entry.wasCancelled = entries[schedule.id]?.wasCancelled ?? false
            entry.lookAhead()
            fresh[schedule.id] = entry
        }
        // Switched off, or taken out: what would have run meanwhile is not made up for.
        for id in Set(entries.keys).union(memories.keys) where fresh[id] == nil {
            guard var memory = entries[id]?.memory ?? memories[id], !memory.timing.isEmpty else { continue }
            memory.timing = ""
            memory.isHeld = false
            switchedOff[id] = memory
            changed.insert(id)
        }
        entries = fresh
    }
    private var switchedOff: [String: Memory] = [:]

    /// What is to be kept of those that changed.
    public mutating func takeChanged() -> [String: Memory] {
        defer { changed = [] }
        var out: [String: Memory] = [:]
        for id in changed { out[id] = entries[id]?.memory ?? switchedOff[id] }
        switchedOff = [:]
        return out
    }

    public func memory(_ id: String) -> Memory? { entries[id]?.memory }

    /// When something is due next; nil: nothing that is waited for by the clock.
    public var nextDue: Timestamp? { entries.values.compactMap { $0.memory.isHeld ? nil : $0.due }.min() }
    /// What will be due next, all at one instant; no more than so many.
    public func upcoming(most: Int) -> [(Schedule, Occurrence)] {
        guard let due = nextDue else { return [] }
        var found: [(Schedule, Occurrence)] = []
        for entry in entries.values where !entry.memory.isHeld && entry.due == due && found.count < most {
            if let next = entry.next { found.append((entry.schedule, next)) }
        }
        return found
    }
    /// Whether something waits for the end of the run before it.
    public var isHolding: Bool { entries.values.contains(where: \.memory.isHeld) }

    // MARK: decisions

    /// The clock was set. What was ahead of it by more than a change of the clocks explains was decided by a wrong clock.
    public mutating func clockWasSet(now: Timestamp) -> [String] {
        var corrected: [String] = []
        for (id, entry) in entries where entry.memory.mark > now.seconds + ScheduleBook.correction {
            entries[id]?.memory.mark = now.seconds
            entries[id]?.lookAhead()
            changed.insert(id)
            corrected.append(id)
        }
        return corrected.sorted()
    }

    /// What is to be done now, in the order of ids. `isLive`: whether the last run of a schedule has not ended; nil where
    /// nobody can say just now, and then nothing is decided.
    public mutating func take(now: Timestamp, isLive: (Memory.Last) -> Bool?) -> [Action] {
        var actions: [Action] = []
        for id in entries.keys.sorted() {
            guard let due = entries[id]?.due, due <= now else { continue }
            actions += take(id, now, isLive)
        }
        return actions
    }

    private mutating func take(_ id: String, _ now: Timestamp, _ isLive: (Memory.Last) -> Bool?) -> [Action] {
        guard var entry = entries[id] else { return [] }
        defer {
            entry.lookAhead()
            entries[id] = entry
        }
        let schedule = entry.schedule
        // Newest last; those that ran already, before the clock was set back, are none.
        let missed = ScheduleBook.occurrences(schedule, entry.memory, now)
        guard let newest = missed.list.last else {
            entry.memory.mark = missed.reached
            changed.insert(id)
            return []
        }
        var wanted = missed.list
        let isLate = { (one: Occurrence) in now.since(schedule.due(one)) > ScheduleBook.grace }
        switch entry.memory.isHeld ? ScheduleBook.modeOfHeld(schedule) : ScheduleBook.mode(schedule) {
        case .none: wanted = wanted.suffix(1).filter { !isLate($0) }
        case .last: wanted = Array(wanted.suffix(1))
        case .all: wanted = Array(wanted.suffix(schedule.catchUp.limit))
        }
        let chosen = wanted.count
        if let within = schedule.catchUp.within, !entry.memory.isHeld {
            wanted.removeAll { isLate($0) && now.since(schedule.due($0)) > within }
        }
        var actions: [Action] = []
        let left = missed.count - wanted.count
        // Told once: what is left out now is behind the mark afterwards.
        if left > 0 {
            let last = missed.list.last { one in !wanted.contains(one) } ?? newest
            let why = ScheduleBook.whyLeft(entry, chosen: chosen, wanted: wanted.count)
            entry.memory.skips += left
            entry.memory.lastSkip = why
            actions.append(.skip(schedule, count: left, newest: last.instant, why: why))
        }
        guard let first = wanted.first else {
            entry.memory.mark = missed.reached
            changed.insert(id)
            return actions
        }
        // What comes before the first that is wanted is decided.
        if first.instant > entry.memory.mark + 1 {
            entry.memory.mark = first.instant - 1
            changed.insert(id)
        }
        for one in wanted {
            let wasMissed = wanted.count > 1 && one != newest
            switch hold(&entry, one, wasMissed, isLive) {
            case .go:
                entry.memory.mark = one.instant
                entry.note(one)
                entry.memory.fires += 1
                entry.memory.isHeld = false
                entry.wasCancelled = false
                changed.insert(id)
                actions.append(.fire(schedule, one))
                // The next of them may have to wait for this one.
                if schedule.overlap != .allow, one != newest {
                    entry.memory.isHeld = true
                    return actions
                }
            case .skip:
                entry.memory.mark = one.instant
                entry.memory.skips += 1
                let why = "the run before it has not ended, and overlap is skip"
                entry.memory.lastSkip = why
                changed.insert(id)
                actions.append(.skip(schedule, count: 1, newest: one.instant, why: why))
            case .wait(let cancel):
                if !entry.memory.isHeld { changed.insert(id) }
                entry.memory.isHeld = true
                if let cancel, !entry.wasCancelled {
                    entry.wasCancelled = true
                    actions.append(.cancel(schedule, cancel))
                }
                return actions
            }
        }
        entry.memory.isHeld = false
        return actions
    }

    private enum Gate {
        case go, skip
        /// With the run that is to end for it.
        case wait(cancel: Memory.Last?)
    }
    private func hold(
        _ entry: inout Entry, _ one: Occurrence, _ wasMissed: Bool, _ isLive: (Memory.Last) -> Bool?
    ) -> Gate {
        guard entry.schedule.overlap != .allow, let last = entry.memory.last else { return .go }
        guard let live = isLive(last) else { return .wait(cancel: nil) }
        guard live else { return .go }
        switch entry.schedule.overlap {
        case .allow: return .go
        // What is made up for one after the other waits for the one before; it was due long ago, and is not late by it.
        case .skip: return wasMissed || entry.memory.isHeld ? .wait(cancel: nil) : .skip
        case .queue: return .wait(cancel: nil)
        case .replace: return .wait(cancel: last)
        }
    }

    /// What a fire became: asked before the next one.
    public mutating func dropped(_ id: String, _ last: Memory.Last) {
        entries[id]?.memory.last = last
        changed.insert(id)
    }

    private static func whyLeft(_ entry: Entry, chosen: Int, wanted: Int) -> String {
        let rule = entry.schedule.catchUp
        if entry.memory.isHeld { return "the run before it has not ended, and later ones wait as well" }
        if wanted < chosen, let within = rule.within {
            return "missed, and longer ago than the \(within.text) of `within`"
        }
        switch mode(entry.schedule) {
        case .none: return "missed, and catch_up is none"
        case .last: return "missed, and only the last one is made up for"
        case .all: return "missed, and only the newest \(wanted) are made up for"
        }
    }
    /// Each replaces the one before it, so only the last of them can be wanted.
    private static func mode(_ schedule: Schedule) -> Schedule.CatchUp.Mode {
        schedule.overlap == .replace && schedule.catchUp.mode == .all ? .last : schedule.catchUp.mode
    }
    /// What waits for the run before it was chosen when it was due.
    private static func modeOfHeld(_ schedule: Schedule) -> Schedule.CatchUp.Mode {
        schedule.overlap == .replace ? .last : .all
    }

    /// What was due between the mark and now and has not run: the newest, how many there were (counted up to a bound), and
    /// how far the look went.
    private static func occurrences(_ schedule: Schedule, _ memory: Memory, _ now: Timestamp)
        -> (list: [Occurrence], count: Int, reached: Int64)
    {
        let most = max(schedule.catchUp.limit, 1)
        var list: [Occurrence] = []
        var count = 0
        var after = start(schedule, memory.mark, most, now)
        while let next = schedule.next(after: Timestamp(seconds: after)), schedule.due(next) <= now {
            after = next.instant
            if memory.fired.contains(where: { $0.contains(next.instant) }) { continue }
            list.append(next)
            count += 1
            if list.count > 2 * most + 64 { list.removeFirst(most) }
        }
        return (Array(list.suffix(most)), count, after)
    }
    /// Most often there is one. A long sleep of a schedule of seconds has millions: those of the last hours are enough.
    private static func start(_ schedule: Schedule, _ mark: Int64, _ most: Int, _ now: Timestamp) -> Int64 {
        var span: Int64 = 3600
        while now.seconds - mark > 86_400, span < now.seconds - mark {
            if reaches(schedule, now.seconds - span, most, now) { return now.seconds - span }
            span *= 4
        }
        return mark
    }
    /// Whether so many occurrences lie between there and now.
    private static func reaches(_ schedule: Schedule, _ from: Int64, _ most: Int, _ now: Timestamp) -> Bool {
        var after = from
        for _ in 0..<most {
            guard let next = schedule.next(after: Timestamp(seconds: after)), schedule.due(next) <= now else {
                return false
            }
            after = next.instant
        }
        return true
    }
}
