// What this is: the schedules as a person asks for them: when each comes next, what the last one became, what is wrong.
// Owns: the joining of the file with what the scheduler remembers.
// Never: writes; needs a scheduler that works.
// On failure: ConfigurationProblem where the file has errors; what the scheduler remembers may be missing.
import JobModel
import LinuxSystem
import SpoolQueue
import Triggers

public struct ScheduleView: Sendable {
    public struct Row: Sendable {
        public var schedule: Schedule
        public var description: String?
        /// When it is to be dropped next, its time and why that is not the usual one; nil: never, or switched off.
        public var next: Occurrence?
        public var memory: ScheduleBook.Memory?
        /// Its last run has not ended.
        public var isLive: Bool
        /// What the last one became: `succeeded`, `failed`, `sent back` …; nil where it has not ended, or is not to be found.
        public var outcome: String?
        /// Why its job would be sent back.
        public var trouble: String?
    }
    public var rows: [Row]
    /// Somebody serves the triggers of this spool; nil: who asks may not see it.
    public var isServed: Bool?

    public init(_ site: Site) throws {
        let file = try ScheduleFile.read(site)
        var facts: [String: ValueMap] = [:]
        if site.spool.isOwn {
            let home = try site.spool.state.directory(SpoolName.triggers)
            facts = try FireLog.facts(in: home)
            isServed = try FileLock.isHeld(SpoolName.lock, in: home)
        }
        let now = Timestamp(nanoseconds: Clocks.wall)
        let traces = DropTraces(site.spool)
        rows = file.schedules.map { schedule in
            let memory = facts[ScheduleDrop.key(schedule.id)].flatMap { ScheduleBook.Memory($0) }
            let isLive = memory?.last.map { last in
                // Unreadable for a moment: shown as ended.
                (try? traces.isLive(lane: last.lane, name: last.name, ticket: last.ticket)) ?? false
            }
            let outcome =
                isLive == true || file.schedules.count > ScheduleView.mostLookedUp
                ? nil : memory?.last.flatMap { ScheduleView.outcome($0.ticket, site.spool) }
            // By the clock: what was missed is made up for as soon as somebody serves.
            let after = now.adding(Span(nanoseconds: -schedule.delay.nanoseconds))
            return Row(
                schedule: schedule, description: file.descriptions[schedule.id],
                next: schedule.isEnabled ? schedule.next(after: after) : nil, memory: memory,
                isLive: isLive ?? false, outcome: outcome, trouble: ScheduleFile.trouble(schedule, site))
        }
    }

    /// Each is a search through the results of its days.
    private static let mostLookedUp = 50
    private static func outcome(_ ticket: String, _ spool: Spool) -> String? {
        guard let ticket = RunID(ticket) else { return nil }
        let files = FinalFiles(spool)
        if let found = files.find(ticket: ticket) { return files.read(found)?.finalState?.rawValue }
        // Unreadable: shown as not to be found.
        let names = (try? spool.rejected.names()) ?? []
        return names.contains { $0.contains(".\(ticket).") } ? "sent back" : nil
    }
}
