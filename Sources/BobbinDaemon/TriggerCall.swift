// What this is: the job that a trigger drops: a call of a template, with what made it come.
// Owns: its form; `{{ trigger… }}` in the variables of a trigger's entry.
// Never: knows more of the world than the trigger does: no files, no secrets, no environment. Renders what came from outside.
// On failure: Failure names the variable that cannot be rendered.
import JobLanguage
import JobModel
import LinuxSystem

enum TriggerCall {
    static func text(template: String, variables: ValueMap, tag: String, trigger: ValueMap) -> String {
        var job: ValueMap = ["dsl_version": "1.1", "template": .string(template)]
        if !variables.isEmpty { job["variables"] = .map(variables) }
        job["tags"] = .list([.string(tag)])
        job["trigger"] = .map(trigger)
        return JSONText.write(.map(job), pretty: true) + "\n"
    }

    /// As far as they can be rendered; what cannot was told when the file was read, and is told by the job that lacks it.
    static func renderedWherePossible(_ variables: ValueMap, _ trigger: ValueMap) -> ValueMap {
        var out = ValueMap()
        for entry in variables.entries {
            do throws(TemplateError) { out[entry.key] = try rendered(entry.value, trigger) } catch {
                continue
            }
        }
        return out
    }
    /// The variables of an entry, rendered; what cannot be is named.
    static func rendered(_ variables: ValueMap, _ trigger: ValueMap) throws(Failure) -> ValueMap {
        var out = ValueMap()
        for entry in variables.entries {
            do throws(TemplateError) { out[entry.key] = try rendered(entry.value, trigger) } catch {
                throw Failure(
                    "E-TRIGGER-VARIABLE",
                    "the variable `\(entry.key)` cannot be made of this: \(error.message)",
                    whatToDo: error.hint, retry: .never)
            }
        }
        return out
    }
    private static func rendered(_ value: Value, _ trigger: ValueMap) throws(TemplateError) -> Value {
        switch value {
        case .string(let text) where value.mayHoldTemplate:
            let now = Timestamp(nanoseconds: Clocks.wall)
            let local = now.civil(
                offsetSeconds: Clocks.zoneOffset(atSeconds: now.seconds), withMilliseconds: false)
            let scope = Scope(
                now: now, localDate: String(local.prefix(10)),
                zoneOffset: { Clocks.zoneOffset(atSeconds: $0) }, trigger: trigger)
            return try Template.parse(text).render(scope)
        case .list(let items):
            var out: [Value] = []
            for item in items { out.append(try rendered(item, trigger)) }
            return .list(out)
        case .map(let map):
            var out = ValueMap()
            for entry in map.entries { out[entry.key] = try rendered(entry.value, trigger) }
            return .map(out)
        default: return value
        }
    }
}
