// What this is: the job that a trigger drops: a call of a template, with what made it come.
// Owns: its form; `{{ trigger… }}` in the variables of a trigger's entry.
// Never: knows more of the world than the trigger and the instant that it is given; renders what came from outside.
// On failure: Failure names the variable that cannot be rendered; what must come all the same is a job that fails with it.
import JobLanguage
import JobModel
import LinuxSystem
import Triggers

enum TriggerCall {
    /// When, and on which clock: what `now()` and `date` are in variables.
    struct Moment {
        var instant: Timestamp
        var offset: @Sendable (Int64) -> Int

        static var now: Moment {
            Moment(instant: Timestamp(nanoseconds: Clocks.wall)) { Clocks.zoneOffset(atSeconds: $0) }
        }
        init(instant: Timestamp, offset: @escaping @Sendable (Int64) -> Int) {
            self.instant = instant
            self.offset = offset
        }
        init(_ instant: Timestamp, in zone: Zone) {
            self.init(instant: instant) { Int(zone.offset(at: $0)) }
        }
    }

    static func text(template: String, variables: ValueMap, tag: String, trigger: ValueMap) -> String {
        var job: ValueMap = ["dsl_version": "1.1", "template": .string(template)]
        if !variables.isEmpty { job["variables"] = .map(variables) }
        return text(job, tag, trigger)
    }
    private static func text(_ job: ValueMap, _ tag: String, _ trigger: ValueMap) -> String {
        var job = job
        job["tags"] = .list([.string(tag)])
        job["trigger"] = .map(trigger)
        return JSONText.write(.map(job)) + "\n"
    }

    /// The call with its variables rendered. Where one cannot be, the job is one that fails and says so: it has its place
    /// among the failed ones, and nothing runs with half of what it was to have.
    static func text(
        template: String, rendering variables: ValueMap, tag: String, trigger: ValueMap, at moment: Moment
    ) -> String {
        do throws(Failure) {
            let variables = try rendered(variables, trigger, at: moment)
            return text(template: template, variables: variables, tag: tag, trigger: trigger)
        } catch {
            let why = "\(error.message) [\(error.code)]".replacing("{{", with: "{ {")
            let step: ValueMap = ["assert": .map(["condition": "false", "message": .string(why)])]
            return text(
                [
                    "dsl_version": "1.1", "name": .string(JobReader.stem(template)),
                    "steps": .list([.map(step)]),
                ], tag, trigger)
        }
    }

    /// The variables of an entry, rendered; what cannot be is named.
    static func rendered(_ variables: ValueMap, _ trigger: ValueMap, at moment: Moment) throws(Failure)
        -> ValueMap
    {
        let local = moment.instant.civil(
            offsetSeconds: moment.offset(moment.instant.seconds), withMilliseconds: false)
        let scope = Scope(
            now: moment.instant, localDate: String(local.prefix(10)), zoneOffset: moment.offset,
            trigger: trigger)
        var out = ValueMap()
        for entry in variables.entries {
            do throws(TemplateError) { out[entry.key] = try rendered(entry.value, scope) } catch {
                throw Failure(
                    "E-TRIGGER-VARIABLE",
                    "the variable `\(entry.key)` cannot be made of this: \(error.message)",
                    whatToDo: error.hint, retry: .never)
            }
        }
        return out
    }
    private static func rendered(_ value: Value, _ scope: Scope) throws(TemplateError) -> Value {
        switch value {
        case .string(let text) where value.mayHoldTemplate: return try Template.parse(text).render(scope)
        case .list(let items):
            var out: [Value] = []
            for item in items { out.append(try rendered(item, scope)) }
            return .list(out)
        case .map(let map):
            var out = ValueMap()
            for entry in map.entries { out[entry.key] = try rendered(entry.value, scope) }
            return .map(out)
        default: return value
        }
    }
}
