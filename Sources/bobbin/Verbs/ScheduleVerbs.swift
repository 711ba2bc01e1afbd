// What this is: schedule ls, next, run, enable, disable, explain: ops/schedules.yaml for people.
// Owns: the layout of its tables and sentences.
// Never: fires anything by the clock (`bobbin up` does).
// On failure: 65 where the file has errors, 2 for an id that it does not have.
import ArgumentParser
import BobbinDaemon
import JobModel
import LinuxSystem
import SpoolQueue
import Triggers

struct ScheduleVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "schedule", abstract: "Work that comes by the clock: ops/schedules.yaml.",
        subcommands: [
            ScheduleListVerb.self, ScheduleNextVerb.self, ScheduleRunVerb.self, ScheduleEnableVerb.self,
            ScheduleDisableVerb.self, ScheduleExplainVerb.self,
        ])
}

struct ScheduleListVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls",
        abstract: "List the schedules: when each comes next, and what the last one became.",
        discussion: "  bobbin schedule ls")
    @OptionGroup var site: SiteOption
    @OptionGroup var json: JSONFlag

    func run() throws {
        let view = try ScheduleView(site.open())
        if json.json { return Terminal.print(json: .list(view.rows.map(ScheduleText.value))) }
        if view.rows.isEmpty { return print("no schedules: write \(ScheduleFile.path) (docs/TRIGGERS.md)") }
        let head = ["id", "when", "next", "last", "fires"]
        print(
            Terminal.table(
                [head]
                    + view.rows.map { row in
                        [
                            row.schedule.id, ScheduleText.when(row.schedule), ScheduleText.next(row),
                            ScheduleText.last(row), String(row.memory?.fires ?? 0),
                        ]
                    }))
        for row in view.rows {
            if let why = row.trouble {
                Terminal.complain(
                    Terminal.escape("\(row.schedule.id): its job would be sent back: \(why)"))
            }
        }
        if view.isServed == false, view.rows.contains(where: \.schedule.isEnabled) {
            Terminal.complain("nobody serves them: start with `bobbin up`")
        }
    }
}

struct ScheduleNextVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "next", abstract: "Show what comes next, of all schedules or of one.",
        discussion: "  bobbin schedule next --count 20")
    @Argument(help: "Only this one.") var id: String?
    @Option(help: "How many.") var count = 10
    @OptionGroup var site: SiteOption
    @OptionGroup var json: JSONFlag

    func validate() throws { if count < 1 { throw ValidationError("--count is at least 1") } }

    func run() throws {
        let rows = try ScheduleText.rows(id, site.open())
        var coming: [(due: Timestamp, occurrence: Occurrence, schedule: Schedule)] = []
        for row in rows where row.schedule.isEnabled {
            var next = row.next
            for _ in 0..<count {
                guard let found = next else { break }
                coming.append((row.schedule.due(found), found, row.schedule))
                next = row.schedule.next(after: found.time)
            }
        }
        coming.sort { ($0.due, $0.schedule.id) < ($1.due, $1.schedule.id) }
        let shown = coming.prefix(count)
        if json.json {
            return Terminal.print(
                json: .list(
                    shown.map {
                        .map([
                            "id": .string($0.schedule.id), "at": .string($0.occurrence.time.rfc3339),
                            "due": .string($0.due.rfc3339),
                            "note": $0.occurrence.note.map { .string(OccurrenceText.text($0)) } ?? .null,
                        ])
                    }))
        }
        if shown.isEmpty { return print("nothing comes") }
        print(
            Terminal.table(
                shown.map {
                    [
                        $0.schedule.id,
                        OccurrenceText.line(
                            $0.occurrence.time, $0.occurrence.note, $0.schedule.zone, now: Terminal.now),
                    ]
                }))
    }
}

struct ScheduleRunVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Drop the job of a schedule now.",
        discussion: """
              bobbin schedule run nightly --at 2026-11-28T02:00:00Z
            It is one run more: nothing that is due is left out for it. {{ schedule.at }} is now, or what --at says.
            """)
    @Argument(help: "The schedule.") var id: String
    @Option(help: ArgumentHelp("What {{ schedule.at }} is to be (RFC 3339).", valueName: "time")) var at:
        String?
    @Flag(help: "Wait for the end; exit 1 if the run does not succeed.") var wait = false
    @OptionGroup var site: SiteOption

    func run() throws {
        let site = try site.open()
        guard let row = try ScheduleText.rows(id, site).first else { return }
        var instant = Terminal.now
        if let at {
            guard let time = Timestamp(rfc3339: at) else {
                throw ValidationError("`\(at)` is no time: write 2026-11-28T02:00:00Z")
            }
            instant = time
        }
        if let why = row.trouble {
            Terminal.complain(Terminal.escape("bobbin: its job would be sent back: \(why)"))
            throw ExitCode(Exit.malformed)
        }
        let text = ScheduleDrop.text(row.schedule, instant)
        let drop = try Submission.drop(
            Array(text.utf8), stem: row.schedule.id, row.schedule.queue, row.schedule.priority, site)
        print("\(drop.ticket)  \(drop.path)")
        guard wait else { return }
        throw ExitCode(try RunWaiter(site).wait([drop.ticket], showSteps: Terminal.isTerminal))
    }
}

struct ScheduleEnableVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "enable", abstract: "Switch a schedule on: `enabled: true` in its entry.",
        discussion: "  bobbin schedule enable nightly")
    @Argument(help: "The schedule.") var id: String
    @OptionGroup var site: SiteOption
    func run() throws { try ScheduleText.switchOver(id, to: true, site.open()) }
}

struct ScheduleDisableVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "disable", abstract: "Switch a schedule off: `enabled: false` in its entry.",
        discussion:
            "  bobbin schedule disable nightly\nWhat would have come until it is switched on again is not made up for."
    )
    @Argument(help: "The schedule.") var id: String
    @OptionGroup var site: SiteOption
    func run() throws { try ScheduleText.switchOver(id, to: false, site.open()) }
}

struct ScheduleExplainVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain", abstract: "Say what a schedule does, and when, in sentences.",
        discussion: "  bobbin schedule explain nightly")
    @Argument(help: "The schedule.") var id: String
    @Option(help: "How many of the next times.") var count = 5
    @OptionGroup var site: SiteOption

    func run() throws {
        guard let row = try ScheduleText.rows(id, site.open()).first else { return }
        for line in ScheduleText.explained(row, count) { print(Terminal.escape(line)) }
    }
}

enum ScheduleText {
    static func rows(_ id: String?, _ site: Site) throws -> [ScheduleView.Row] {
        let rows = try ScheduleView(site).rows
        guard let id else { return rows }
        let found = rows.filter { $0.schedule.id == id }
        guard !found.isEmpty else {
            let known = rows.map(\.schedule.id).joined(separator: ", ")
            Terminal.complain(
                "bobbin: \(ScheduleFile.path) has no schedule `\(Terminal.escape(id))`"
                    + (known.isEmpty ? "" : "; it has \(known)"))
            throw ExitCode(Exit.usage)
        }
        return found
    }

    static func switchOver(_ id: String, to isEnabled: Bool, _ site: Site) throws {
        guard let row = try rows(id, site).first, let bytes = try ScheduleFile.bytes(site) else { return }
        let word = isEnabled ? "enabled" : "disabled"
        guard row.schedule.isEnabled != isEnabled else { return print("\(id) is \(word) already") }
        guard let changed = EnabledEdit.apply(bytes, list: "schedules", id: id, to: isEnabled) else {
            throw SpoolProblem(
                "E-EDIT", "\(ScheduleFile.path) is written in a way that cannot be changed safely from here",
                whatToDo: "Write `enabled: \(isEnabled)` into the entry `\(id)`.")
        }
        let ops = try site.spool.site.directory("ops")
        let status = try ops.status(ScheduleFile.name)
        guard status.uid == ProcessSetup.uid else {
            throw SpoolProblem(
                "E-EDIT",
                "\(ScheduleFile.path) belongs to \(Host.userName(status.uid)), and would be yours afterwards",
                whatToDo:
                    "Say it as \(Host.userName(status.uid)), or write `enabled: \(isEnabled)` into the entry `\(id)`."
            )
        }
        let mode = status.mode & 0o777
        try AtomicFile.write(changed, to: ScheduleFile.name, in: ops, mode: mode, existing: .replace)
        print("\(id) is \(word)")
    }

    static func when(_ schedule: Schedule) -> String {
        switch schedule.timing {
        case .cron(let cron): "\(Terminal.escape(cron.text)) \(schedule.zone.name)"
        case .every(let seconds, _): "every \(Span.seconds(seconds).text)"
        }
    }
    static func next(_ row: ScheduleView.Row) -> String {
        guard row.schedule.isEnabled else { return "disabled" }
        guard let next = row.next else { return "never" }
        let due = row.schedule.due(next)
        return "\(local(due, row.schedule)), in \(OccurrenceText.rough(due.since(Terminal.now)))"
    }
    static func last(_ row: ScheduleView.Row) -> String {
        guard let last = row.memory?.last else { return "·" }
        return local(Timestamp(seconds: last.instant), row.schedule)
            + (row.isLive ? ", not ended" : row.outcome.map { ", \($0)" } ?? "")
    }
    private static func local(_ time: Timestamp, _ schedule: Schedule) -> String {
        let text = time.civil(
            offsetSeconds: Int(schedule.zone.offset(at: time.seconds)), withMilliseconds: false)
        return text.prefix(10) + " " + text.dropFirst(11)
    }

    static func value(_ row: ScheduleView.Row) -> Value {
        let schedule = row.schedule
        var map: ValueMap = [
            "id": .string(schedule.id), "name": .string(schedule.name), "enabled": .bool(schedule.isEnabled),
            "when": .string(when(schedule)), "timezone": .string(schedule.zone.name),
            "template": .string(schedule.template), "queue": .string(schedule.queue.text),
            "priority": .int(schedule.priority.level), "overlap": .string(schedule.overlap.rawValue),
            "catch_up": .string(schedule.catchUp.mode.rawValue),
            "next": row.next.map { .string($0.time.rfc3339) } ?? .null,
            "due": row.next.map { .string(schedule.due($0).rfc3339) } ?? .null,
            "live": .bool(row.isLive), "outcome": row.outcome.map(Value.string) ?? .null,
            "trouble": row.trouble.map(Value.string) ?? .null,
        ]
        if let memory = row.memory {
            map["fires"] = .int(memory.fires)
            map["skips"] = .int(memory.skips)
            map["last_skip"] = memory.lastSkip.map(Value.string) ?? .null
            map["last"] = memory.last.map { .string(Timestamp(seconds: $0.instant).rfc3339) } ?? .null
            map["last_ticket"] = memory.last.map { .string($0.ticket) } ?? .null
        }
        return .map(map)
    }

    static func explained(_ row: ScheduleView.Row, _ count: Int) -> [String] {
        let schedule = row.schedule
        var lines = ["\(schedule.id): \(schedule.name)"]
        if let text = row.description { lines.append("  \(text)") }
        lines.append(
            "  drops templates/\(schedule.template) into spool/\(schedule.queue)/\(schedule.priority.directory)"
        )
        switch schedule.timing {
        case .cron(let cron):
            lines.append("  at \(cron.text), on the clock of \(schedule.zone.name)")
            lines.append(
                cron.followsElapsedTime
                    ? "  with a * in its minutes or hours it goes with elapsed time when clocks are changed"
                    : "  a time of the day: once each day, right after a jump over it, not again when it comes twice"
            )
        case .every(let seconds, let anchor):
            lines.append(
                "  every \(Span.seconds(seconds).text), counted from \(Timestamp(seconds: anchor).rfc3339)")
        }
        if schedule.delay > .zero {
            lines.append("  always \(schedule.delay.text) later (its share of `jitter`)")
        }
        if let start = schedule.notBefore { lines.append("  not before \(start.rfc3339)") }
        if let end = schedule.until { lines.append("  until \(end.rfc3339)") }
        if schedule.skipDays != Schedule.SkipDays() { lines.append("  not on the days of its calendar") }
        lines.append("  while its last run has not ended: \(overlap(schedule.overlap))")
        lines.append("  what was missed: \(catchUp(schedule.catchUp))")
        if let memory = row.memory {
            lines.append(
                "  so far: \(memory.fires) dropped, \(memory.skips) left out"
                    + (memory.lastSkip.map { "; the last of them: \($0)" } ?? ""))
            if let last = memory.last {
                lines.append(
                    "  the last: \(Timestamp(seconds: last.instant).rfc3339), ticket \(last.ticket)\(row.isLive ? ", not ended yet" : "")"
                )
            }
        }
        if let why = row.trouble { lines.append("  ITS JOB WOULD BE SENT BACK: \(why)") }
        guard schedule.isEnabled else { return lines + ["  it is disabled"] }
        lines.append(row.next == nil ? "  it never comes again" : "  next:")
        var next = row.next
        for _ in 0..<max(1, count) {
            guard let found = next else { break }
            lines.append(
                "    " + OccurrenceText.line(found.time, found.note, schedule.zone, now: Terminal.now))
            next = schedule.next(after: found.time)
        }
        return lines
    }
    private static func overlap(_ overlap: Schedule.Overlap) -> String {
        switch overlap {
        case .skip: "the next one is left out"
        case .queue: "the next one waits for its end"
        case .replace: "it is cancelled, and the next one takes its place"
        case .allow: "the next one is dropped all the same"
        }
    }
    private static func catchUp(_ rule: Schedule.CatchUp) -> String {
        let bound = rule.within.map { ", if it is not older than \($0.text)" } ?? ""
        return switch rule.mode {
        case .none: "is not made up for"
        case .last: "the last one is made up for, once\(bound)"
        case .all: "each is made up for, one after the other, the newest \(rule.limit) at most\(bound)"
        }
    }
}
