// What this is: what a schedule drops: the job file, its name and its ticket.
// Owns: what `{{ schedule… }}` is in such a job.
// Never: writes it.
// On failure: nothing here fails.
import JobModel
import SpoolQueue
import Triggers

public enum ScheduleDrop {
    static func key(_ id: String) -> String { "schedule/\(id)" }

    public static func text(_ schedule: Schedule, _ instant: Timestamp) -> String {
        let trigger = trigger(schedule, instant)
        return TriggerCall.text(
            template: schedule.template,
            variables: TriggerCall.renderedWherePossible(schedule.variables, trigger),
            tag: "schedule:\(schedule.id)", trigger: trigger)
    }
    static func trigger(_ schedule: Schedule, _ instant: Timestamp) -> ValueMap {
        let offset = Int(schedule.zone.offset(at: instant.seconds))
        let local = instant.civil(offsetSeconds: offset, withMilliseconds: false)
        return [
            "kind": "schedule", "id": .string(schedule.id), "name": .string(schedule.name),
            "at": .string(instant.civil(offsetSeconds: 0, withMilliseconds: false)),
            "local": .string(local), "date": .string(String(local.prefix(10))),
            "timezone": .string(schedule.zone.name),
        ]
    }

    static func fire(_ schedule: Schedule, _ occurrence: Occurrence, spool: String) -> Fire {
        let key = key(schedule.id)
        let ticket = TriggerDrops.ticket(
            spool: spool, trigger: key, about: String(occurrence.instant), at: occurrence.time)
        return Fire(
            trigger: key, ticket: ticket.text, queue: schedule.queue, priority: schedule.priority,
            name: name(schedule, ticket), text: text(schedule, occurrence.time))
    }
    public static func name(_ schedule: Schedule, _ ticket: RunID) -> String {
        "\(DropName.escaped(schedule.id, limit: 100)).\(ticket).yaml"
    }
}

extension ScheduleBook.Memory {
    var map: ValueMap {
        var map: ValueMap = [
            "mark": .int(Int(mark)), "timing": .string(timing),
            "fired": .list(fired.map { .list([.int(Int($0.lowerBound)), .int(Int($0.upperBound))]) }),
            "fires": .int(fires), "skips": .int(skips),
        ]
        if let lastSkip { map["last_skip"] = .string(lastSkip) }
        if let last {
            map["last"] = .map([
                "instant": .int(Int(last.instant)), "ticket": .string(last.ticket),
                "lane": .string(last.lane),
                "name": .string(last.name), "at": .int(Int(last.at)),
            ])
        }
        return map
    }
    init?(_ map: ValueMap) {
        guard let mark = map["mark"]?.intValue, let timing = map["timing"]?.stringValue else { return nil }
        self.init(mark: Int64(mark), timing: timing)
        fired = (map["fired"]?.listValue ?? []).compactMap { pair in
            let ends = (pair.listValue ?? []).compactMap { $0.intValue.map(Int64.init) }
            return ends.count == 2 && ends[0] <= ends[1] ? ends[0]...ends[1] : nil
        }
        fires = map["fires"]?.intValue ?? 0
        skips = map["skips"]?.intValue ?? 0
        lastSkip = map["last_skip"]?.stringValue
        guard let inner = map["last"]?.mapValue, let instant = inner["instant"]?.intValue,
            let ticket = inner["ticket"]?.stringValue, let lane = inner["lane"]?.stringValue,
            let name = inner["name"]?.stringValue, let at = inner["at"]?.intValue
        else { return }
        last = Last(instant: Int64(instant), ticket: ticket, lane: lane, name: name, at: Int64(at))
    }
}
