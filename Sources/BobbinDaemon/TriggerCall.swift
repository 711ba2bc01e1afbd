// What this is: the job that a trigger drops: a call of a template, with what made it come.
// Owns: its form; `{{ trigger… }}` in the variables of a trigger's entry.
// Never: knows more of the world than the trigger does: no files, no secrets, no environment.
// On failure: a variable that cannot be rendered stays as it is written; the job is then sent back with a reason.
import JobLanguage
import JobModel
import LinuxSystem

enum TriggerCall {
    static func text(template: String, variables: ValueMap, tag: String, trigger: ValueMap) -> String {
        var job: ValueMap = ["dsl_version": "1.1", "template": .string(template)]
        if !variables.isEmpty { job["variables"] = rendered(.map(variables), trigger) }
        job["tags"] = .list([.string(tag)])
        job["trigger"] = .map(trigger)
        return JSONText.write(.map(job), pretty: true) + "\n"
    }

    private static func rendered(_ value: Value, _ trigger: ValueMap) -> Value {
        switch value {
        case .string(let text) where value.mayHoldTemplate:
            let now = Timestamp(nanoseconds: Clocks.wall)
            let scope = Scope(
                now: now,
                localDate: String(
                    now.civil(
                        offsetSeconds: Clocks.zoneOffset(atSeconds: now.seconds), withMilliseconds: false
                    ).prefix(10)), zoneOffset: { Clocks.zoneOffset(atSeconds: $0) }, trigger: trigger)
            do throws(TemplateError) { return try Template.parse(text).render(scope) } catch {
                // The checker tells it to whoever reads the rejection.
                return value
            }
        case .list(let items): return .list(items.map { rendered($0, trigger) })
        case .map(let map):
            return .map(ValueMap(distinct: map.entries.map { ($0.key, rendered($0.value, trigger)) }))
        default: return value
        }
    }
}
