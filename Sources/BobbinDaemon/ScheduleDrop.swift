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
        TriggerCall.text(
            template: schedule.template, rendering: schedule.variables, tag: "schedule:\(schedule.id)",
            trigger: trigger(schedule, instant), at: .init(instant, in: schedule.zone))
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
