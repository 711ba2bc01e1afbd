// What this is: what a step that holds others was to do when it began: its items, how many at one time, under what name.
// Owns: how that stands in the step's record, so that after a crash it is done as it was begun.
// Never: renders anything; the step's action and StepCourse did.
// On failure: what is not there has its default.
import JobModel

struct RoundPlan {
    var items: [Value]
    var name: String
    var concurrency: Int
    var goesOn: Bool
    var environment: ValueMap
    var delay: Span?
    /// That `until` must hold by the last round.
    var mustHold: Bool
    /// Of a template that is called.
    var variables: ValueMap

    private static let key = "plan"
    /// The record's outputs while the step is at work.
    static func outputs(_ plan: ValueMap, environment: ValueMap) -> ValueMap {
        var plan = plan
        if !environment.isEmpty { plan["env"] = .map(environment) }
        return [key: .map(plan)]
    }

    init(_ entry: StepRecord) {
        let plan = entry.outputs[RoundPlan.key]?.mapValue ?? [:]
        items = plan["items"]?.listValue ?? (0..<(plan["count"]?.intValue ?? 0)).map(Value.int)
        name = plan["as"]?.stringValue ?? "item"
        concurrency = plan["concurrency"]?.intValue ?? 1
        goesOn = plan["continue_on_error"]?.boolValue ?? false
        environment = plan["env"]?.mapValue ?? [:]
        delay = plan["delay"].flatMap(Span.init)
        mustHold = plan["until"]?.boolValue ?? false
        variables = plan["variables"]?.mapValue ?? [:]
    }
}
