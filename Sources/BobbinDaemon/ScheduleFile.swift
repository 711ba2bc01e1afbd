// What this is: ops/schedules.yaml as schedules.
// Owns: its keys and defaults (docs/TRIGGERS.md lists them); what is told of a schedule that cannot run as it stands.
// Never: half-applies: a file with an error gives no schedules at all.
// On failure: findings with file, line and column; what holds already goes on.
import Crypto
import JobLanguage
import JobModel
import LinuxSystem
import SpoolQueue
import Triggers
import YamlText

public struct ScheduleFile: Sendable {
    public static let name = "schedules.yaml", path = "ops/schedules.yaml"
    public var schedules: [Schedule]
    /// What each entry says of itself in a sentence, by id.
    public var descriptions: [String: String] = [:]

    static let topKeys = ["schedules", "timezone", "calendars"]
    static let keys = [
        "id", "name", "description", "cron", "every", "template", "queue", "priority", "enabled", "variables",
        "timezone",
        "overlap", "catch_up", "jitter", "not_before", "until", "calendar",
    ]

    /// `bytes`: nil where there is no such file. `spool` makes the delays of `jitter` this site's own.
    public static func read(_ bytes: [UInt8]?, queues: [QueuePolicy], spool: String)
        throws(ConfigurationProblem) -> ScheduleFile
    {
        guard let bytes, let (sheet, tree) = try TriggerSheet.open(bytes, path) else {
            return ScheduleFile(schedules: [])
        }
        let file = ScheduleSheet(sheet: sheet, queues: queues, spool: spool).read(tree)
        try TriggerSheet.finish(sheet)
        return file
    }

    /// Of a site; throws where the file, or the configuration with its queues, has errors.
    public static func read(_ site: Site) throws -> ScheduleFile {
        try read(bytes(site), queues: site.configuration().queues, spool: site.spool.id)
    }
    public static func bytes(_ site: Site) throws -> [UInt8]? { try site.opsBytes(name) }

    /// Why what a schedule drops would be sent back now; nil: it would be taken.
    public static func trouble(_ schedule: Schedule, _ site: Site) -> String? {
        do throws(Failure) {
            let instant = Timestamp(seconds: 0)
            _ = try TriggerCall.rendered(
                schedule.variables, ScheduleDrop.trigger(schedule, instant),
                at: .init(instant, in: schedule.zone))
        } catch { return error.message }
        return TriggerSheet.trouble(ScheduleDrop.text(schedule, Timestamp(seconds: 0)), site, path)
    }
}

/// One reading of the file.
private struct ScheduleSheet {
    let sheet: ConfigurationSheet
    let queues: [QueuePolicy]
    let spool: String

    func read(_ tree: YamlNode) -> ScheduleFile {
        var file = ScheduleFile(schedules: [])
        guard sheet.pairs(tree, "the file", ScheduleFile.topKeys) != nil else { return file }
        let zone = tree["timezone"].map { self.zone($0) } ?? siteZone(tree)
        var calendars: [String: Schedule.SkipDays] = [:]
        for pair in tree["calendars"]?.pairs ?? [] { calendars[pair.key] = days(pair.value, calendars) }
        file.schedules = TriggerSheet.entries(sheet, tree, "schedules", id: \.id) { item in
            guard let schedule = schedule(item, zone, calendars) else { return nil }
            file.descriptions[schedule.id] = sheet.text(item, "description")
            return schedule
        }
        return file
    }

    private func schedule(_ node: YamlNode, _ siteZone: Zone, _ calendars: [String: Schedule.SkipDays])
        -> Schedule?
    {
        guard sheet.pairs(node, "a schedule", ScheduleFile.keys) != nil else { return nil }
        guard let id = sheet.identifier(node, "a schedule") else { return nil }
        let zone = node["timezone"].map { self.zone($0) } ?? siteZone
        let template = sheet.word(node, "template", of: "schedule `\(id)`")
        guard let timing = timing(node, id, zone), let template,
            let (queue, priority) = sheet.place(node, queues)
        else { return nil }
        var schedule = Schedule(
            id: id, name: sheet.text(node, "name") ?? id, timing: timing, zone: zone, template: template,
            queue: queue, priority: priority)
        schedule.isEnabled = sheet.flag(node, "enabled") ?? true
        schedule.variables = sheet.variables(node)
        schedule.overlap = sheet.choice(node, "overlap", Schedule.Overlap.self) ?? .skip
        schedule.catchUp = catchUp(node)
        schedule.notBefore = instant(node, "not_before", zone, isEnd: false)
        schedule.until = instant(node, "until", zone, isEnd: true)
        if let field = node["calendar"] { schedule.skipDays = days(field, calendars) }
        if let jitter = sheet.span(node, "jitter") { schedule.delay = delay(jitter, id) }
        if case .every(let seconds, _) = schedule.timing, let start = schedule.notBefore {
            schedule.timing = .every(seconds: seconds, anchor: start.seconds)
        }
        // Of the expression alone: that a window is over, or a calendar has no day left, is no mistake.
        if case .cron(let cron) = schedule.timing,
            CronSearch(cron, in: zone).next(after: Clocks.wall / 1_000_000_000) == nil
        {
            sheet.problem(
                "schedule `\(id)` never comes: no day fits", (node["cron"] ?? node).start,
                hint: "the days of the month, the months and the days of the week must fit together")
        }
        return schedule
    }

    private func timing(_ node: YamlNode, _ id: String, _ zone: Zone) -> Schedule.Timing? {
        switch (node["cron"], node["every"]) {
        case (let field?, nil):
            guard let scalar = field.scalar else {
                sheet.problem("`cron` must be a text", field.start)
                return nil
            }
            do throws(CronExpression.Problem) { return .cron(try CronExpression(scalar.text)) } catch {
                var mark = field.start
                let quote = scalar.isPlain ? 0 : 1
                mark.column += error.column - 1 + quote
                mark.offset += error.column - 1 + quote
                sheet.problem(error.message, mark, hint: error.hint)
                return nil
            }
        case (nil, let field?):
            guard let span = sheet.span(node, "every") else { return nil }
            guard span >= .seconds(1), span.nanoseconds % 1_000_000_000 == 0 else {
                sheet.problem("`every` is a whole number of seconds, at least one", field.start)
                return nil
            }
            return .every(seconds: span.nanoseconds / 1_000_000_000, anchor: 0)
        default:
            sheet.problem(
                "schedule `\(id)` needs either `cron` or `every`", node.start,
                hint: "cron: \"0 9 * * *\", or every: 15m")
            return nil
        }
    }

    private func zone(_ node: YamlNode) -> Zone {
        do throws(ZoneProblem) { return try ZoneFiles.named(node.scalar?.text ?? "") } catch {
            sheet.problem(error.message, node.start, hint: error.whatToDo)
            return .utc
        }
    }
    private func siteZone(_ tree: YamlNode) -> Zone {
        do throws(ZoneProblem) { return try ZoneFiles.ofSite() } catch {
            sheet.problem("this machine's own zone: \(error.message)", tree.start, hint: error.whatToDo)
            return .utc
        }
    }

    private func catchUp(_ node: YamlNode) -> Schedule.CatchUp {
        guard let field = node["catch_up"] else { return Schedule.CatchUp() }
        guard field.pairs != nil else {
            return Schedule.CatchUp(
                sheet.choice(node, "catch_up", Schedule.CatchUp.Mode.self) ?? .last)
        }
        guard sheet.pairs(field, "`catch_up`", ["mode", "limit", "within"]) != nil else {
            return Schedule.CatchUp()
        }
        return Schedule.CatchUp(
            sheet.choice(field, "mode", Schedule.CatchUp.Mode.self) ?? .last,
            limit: sheet.integer(field, "limit", 1...10_000) ?? 24, within: sheet.span(field, "within"))
    }

    /// An instant, or a day: its beginning, or for an end its last second.
    private func instant(_ node: YamlNode, _ key: String, _ zone: Zone, isEnd: Bool) -> Timestamp? {
        guard let field = node[key] else { return nil }
        let text = field.scalar?.text ?? ""
        if let instant = Timestamp(rfc3339: text) { return instant }
        guard let day = DayText.day(text) else {
            sheet.problem(
                "`\(key)` must be an instant or a day", field.start,
                hint: "write 2026-12-01T08:00:00Z or 2026-12-01")
            return nil
        }
        let local = (isEnd ? day + 1 : day) * 86_400 - (isEnd ? 1 : 0)
        let guess = local - zone.offset(at: local)
        return Timestamp(seconds: local - zone.offset(at: guess))
    }

    private func days(_ node: YamlNode, _ calendars: [String: Schedule.SkipDays]) -> Schedule.SkipDays {
        var out = Schedule.SkipDays()
        if node.pairs != nil {
            guard sheet.pairs(node, "a calendar", ["skip"]) != nil, let inner = node["skip"] else {
                return out
            }
            return days(inner, calendars)
        }
        for item in node.items ?? [node] {
            let text = item.scalar?.text ?? ""
            if let known = calendars[text] {
                out.ranges += known.ranges
                out.yearly.formUnion(known.yearly)
            } else if let range = DayText.range(text) {
                out.ranges.append(range)
            } else if let day = DayText.yearly(text) {
                out.yearly.insert(day)
            } else {
                sheet.problem(
                    "`\(text)` is no day and no calendar of this file", item.start,
                    hint: "write 2026-12-25, 12-25 for every year, or 2026-12-24..2027-01-02")
            }
        }
        return out
    }

    private func delay(_ jitter: Span, _ id: String) -> Span {
        let digest = SHA256.hash(data: Array("\(spool)\njitter\n\(id)".utf8))
        let number = digest.prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        let milliseconds = UInt64(max(1, jitter.milliseconds))
        return .milliseconds(Int64(number % milliseconds))
    }
}
