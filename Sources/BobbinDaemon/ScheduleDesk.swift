// What this is: the schedules at work: ops/schedules.yaml, what is due, what was missed, the drops that come of it.
// Owns: the re-reading of the file; the lines in the log and in spool/history/.
// Never: runs a job; decides when something is due (ScheduleBook does).
// On failure: a file with errors changes nothing and is told once; a disk that is full is tried again every second.
import JobModel
import LinuxSystem
import SpoolQueue
import Triggers

final class ScheduleDesk {
    private let core: RunnerCore
    private let drops: TriggerDrops
    private let history: HistoryFile
    private let traces: DropTraces
    private var book = ScheduleBook()
    private var bytes: [UInt8]?
    private var isRead = false
    /// A file without errors was read in this life.
    private var hasRead = false
    private var queues: [QueuePolicy] = []
    private var nextFreshLook: Int64 = 0
    /// Zones change with tzdata; a template may have come or gone.
    private static let freshLookEvery = Span.seconds(3600).nanoseconds
    /// When what waits for the end of a run is looked at again, if nobody tells before.
    private static let holdLook = Span.seconds(1).nanoseconds

    init(_ core: RunnerCore, _ drops: TriggerDrops) {
        self.core = core
        self.drops = drops
        history = HistoryFile(core.site.spool, core.log)
        traces = DropTraces(core.site.spool)
    }

    // MARK: the file

    /// Reads the file where it, or the queues, have changed.
    func reread(force: Bool = false) {
        let now = Clocks.monotonic
        let isTime = now >= nextFreshLook
        if isTime { nextFreshLook = now + ScheduleDesk.freshLookEvery }
        do {
            let bytes = try ScheduleFile.bytes(core.site)
            let queues = core.configuration.queues
            guard !isRead || bytes != self.bytes || queues != self.queues || isTime || force else { return }
            let isNew = !isRead || bytes != self.bytes
            (self.bytes, self.queues, isRead) = (bytes, queues, true)
            let file = try ScheduleFile.read(bytes, queues: queues, spool: core.site.spool.id)
            take(file, isNew: isNew)
            hasRead = true
        } catch let problem as ConfigurationProblem {
            core.log.error(
                "schedule",
                "the new \(ScheduleFile.path) is not used, \(hasRead ? "the schedules of before hold" : "no schedule runs until it is corrected"): \(problem.text)"
            )
        } catch {
            core.triggerTrouble(ScheduleFile.path, error)
        }
    }

    private func take(_ file: ScheduleFile, isNew: Bool) {
        let now = Timestamp(nanoseconds: Clocks.wall)
        var memories: [String: ScheduleBook.Memory] = [:]
        for (key, fact) in drops.log.facts where key.hasPrefix(ScheduleDrop.key("")) {
            memories[String(key.dropFirst(ScheduleDrop.key("").utf8.count))] = ScheduleBook.Memory(fact)
        }
        book.configure(file.schedules, memories, now: now)
        correct(now)
        keepMemory()
        prepare()
        guard isNew else { return }
        let active = file.schedules.count(where: \.isEnabled)
        core.log.info(
            "schedule",
            "\(ScheduleFile.path): \(active) schedule\(active == 1 ? "" : "s")\(book.nextDue.map { ", the next at \($0.rfc3339)" } ?? "")"
        )
        for schedule in file.schedules where schedule.isEnabled {
            if let why = ScheduleFile.trouble(schedule, core.site) {
                core.log.warn("schedule", "\(schedule.id): its job would be sent back: \(why)")
            }
        }
    }

    /// What was decided without a drop: a first sight, a mark that moved.
    private func keepMemory() {
        let facts = memoryFacts()
        do throws(SystemError) { try drops.log.made([], facts: facts) } catch {
            core.triggerTrouble("spool/.bobbin/\(SpoolName.triggers)", error)
        }
    }
    private func memoryFacts() -> [String: ValueMap?] {
        var facts: [String: ValueMap?] = [:]
        for (id, memory) in book.takeChanged() { facts[ScheduleDrop.key(id)] = memory.map }
        return facts
    }

    // MARK: at work

    /// When the wall clock is to wake us.
    var nextDue: Timestamp? { restUntil == nil ? book.nextDue : nil }
    /// Monotonic: when what is held is looked at again.
    var nextLook: Int64 { restUntil ?? (book.isHolding ? Clocks.monotonic + ScheduleDesk.holdLook : .max) }
    /// After trouble with the disk nothing is tried before this.
    private var restUntil: Int64?

    func clockWasSet() {
        let now = Timestamp(nanoseconds: Clocks.wall)
        core.log.warn("schedule", "the clock was set: it is \(now.rfc3339) now")
        correct(now)
        keepMemory()
    }
    private func correct(_ now: Timestamp) {
        let corrected = book.clockWasSet(now: now)
        guard !corrected.isEmpty else { return }
        core.log.warn(
            "schedule",
            "the clock had been far ahead: from now on \(corrected.joined(separator: ", ")) count anew, and what has run does not run again"
        )
    }

    func tick() {
        if let restUntil {
            guard Clocks.monotonic >= restUntil else { return }
            self.restUntil = nil
            reread()
        }
        let now = Timestamp(nanoseconds: Clocks.wall)
        var trouble: (any Error)?
        let actions = book.take(now: now) { last in
            do { return try traces.isLive(lane: last.lane, name: last.name, ticket: last.ticket) } catch {
                // Nobody knows: nothing is decided until somebody does.
                trouble = error
                return nil
            }
        }
        if let trouble { core.triggerTrouble("looking for the last runs of schedules", trouble) }
        // That something waits must be known to the next life, too.
        guard !actions.isEmpty else { return keepMemory() }
        var fires: [Fire] = []
        for action in actions {
            switch action {
            case .fire(let schedule, let occurrence):
                let fire = fire(schedule, occurrence)
                fires.append(fire)
                book.dropped(
                    schedule.id,
                    .init(
                        instant: occurrence.instant, ticket: fire.ticket, lane: fire.lane, name: fire.name,
                        at: now.nanoseconds))
            case .skip: break
            case .cancel(let schedule, let last): cancel(schedule, last)
            }
        }
        do throws(SystemError) {
            try drops.make(fires, facts: memoryFacts())
        } catch {
            // Nothing was decided: from the log's memory it is all due once more.
            core.triggerTrouble("spool/.bobbin/\(SpoolName.triggers)", error)
            forget()
            return
        }
        tell(actions, fires, now)
        prepare()
    }

    /// For the log and the history.
    private func tell(_ actions: [ScheduleBook.Action], _ fires: [Fire], _ now: Timestamp) {
        var fires = fires[...]
        var facts: [ValueMap] = []
        var lines: [(DaemonLog.Level, String)] = []
        for action in actions {
            switch action {
            case .fire(let schedule, let occurrence):
                guard let fire = fires.popFirst() else { continue }
                let late = now.since(schedule.due(occurrence))
                facts.append(ScheduleDesk.fired(occurrence, fire, late))
                let why = late > ScheduleBook.grace ? ", which was missed" : ""
                let text = "dropped \(fire.lane)/\(fire.name) for \(occurrence.time.rfc3339)\(why)"
                lines.append(core.log.line(.info, "schedule", "\(schedule.id): \(text)", nil))
            case .skip(let schedule, let count, let newest, let why):
                let which = count == 1 ? "the one of" : "\(count), the newest of"
                let text = "\(which) \(Timestamp(seconds: newest).rfc3339) left out: \(why)"
                lines.append(core.log.line(.warn, "schedule", "\(schedule.id): \(text)", nil))
                facts.append([
                    "kind": "trigger.skipped", "trigger": .string(ScheduleDrop.key(schedule.id)),
                    "count": .int(count), "instant": .string(Timestamp(seconds: newest).rfc3339),
                    "why": .string(why),
                ])
            case .cancel: break
            }
        }
        core.log.write(lines)
        history.append(facts, at: now)
    }

    // MARK: ahead of time

    private struct Prepared {
        var schedule: Schedule
        var occurrence: Occurrence
        var fire: Fire
    }
    /// What comes next, written out while there is time: a thousand at one instant are then soon made.
    private var prepared: [String: Prepared] = [:]
    private static let mostPrepared = 4096

    private func prepare() {
        prepared.removeAll(keepingCapacity: true)
        for (schedule, occurrence) in book.upcoming(most: ScheduleDesk.mostPrepared) {
            let fire = ScheduleDrop.fire(schedule, occurrence, spool: core.site.spool.id)
            prepared[schedule.id] = Prepared(schedule: schedule, occurrence: occurrence, fire: fire)
        }
    }
    private func fire(_ schedule: Schedule, _ occurrence: Occurrence) -> Fire {
        if let known = prepared[schedule.id], known.occurrence == occurrence, known.schedule == schedule {
            return known.fire
        }
        return ScheduleDrop.fire(schedule, occurrence, spool: core.site.spool.id)
    }

    /// Back to what the disk knows.
    private func forget() {
        book = ScheduleBook()
        isRead = false
        restUntil = Clocks.monotonic + ScheduleDesk.holdLook
    }

    private static func fired(_ occurrence: Occurrence, _ fire: Fire, _ late: Span) -> ValueMap {
        [
            "kind": "trigger.fired", "trigger": .string(fire.trigger), "ticket": .string(fire.ticket),
            "instant": .string(occurrence.time.rfc3339), "late_ms": .int(Int(late.milliseconds)),
            "drop": .string("\(fire.lane)/\(fire.name)"),
        ]
    }

    private func cancel(_ schedule: Schedule, _ last: ScheduleBook.Memory.Last) {
        core.log.info(
            "schedule", "\(schedule.id): asks for the end of \(last.ticket), which the next one replaces")
        if let run = RunID(last.ticket) { core.cancel(run) }
    }
}
