// What this is: everything an expression can see when a step renders.
// Owns: Scope and the order in which a name is looked up.
// Never: reads the world itself; clock, environment and files come in as values and closures.
// On failure: nothing here fails; a name that is not there is nil.
import JobModel

/// What names mean. Cheap to build and to copy: a new one for each step.
///
/// A name is looked up as `steps`, `run` or `variables`, then in `extras`, then in `variables`; `date` is the
/// local date unless one of those holds a `date`, and `trigger` and `schedule` are what made the job come.
public struct Scope: Sendable {
    /// What a step that has run (or was skipped) left behind.
    public struct StepOutputs: Sendable {
        /// `2` or `on_failure.1`: counts from 1 within its section.
        public var label: String
        public var id: String?
        public var outputs: ValueMap

        public init(label: String, id: String? = nil, outputs: ValueMap) {
            self.label = label
            self.id = id
            self.outputs = outputs
        }
    }

    public var variables: ValueMap
    /// In the order they ended; of two with the same id the later one counts.
    public var steps: [StepOutputs]
    public var run: ValueMap
    /// Names that win over variables, such as `item`.
    public var extras: ValueMap
    public var now: Timestamp
    /// `2026-11-21` in the site's zone.
    public var localDate: String
    /// Seconds that the site's zone is east of UTC at an instant (seconds since 1970).
    public var zoneOffset: @Sendable (Int64) -> Int
    public var environment: @Sendable (String) -> String?
    public var fileExists: @Sendable (String) -> Bool
    /// Those that the run was given; nil where none are to be had.
    public var secrets: (any SecretValues)?
    /// What made the job come, as it says; empty where nothing did but a person.
    public var trigger: ValueMap

    public init(
        variables: ValueMap = [:], steps: [StepOutputs] = [], run: ValueMap = [:], extras: ValueMap = [:],
        now: Timestamp, localDate: String, zoneOffset: @escaping @Sendable (Int64) -> Int = { _ in 0 },
        environment: @escaping @Sendable (String) -> String? = { _ in nil },
        fileExists: @escaping @Sendable (String) -> Bool = { _ in false },
        secrets: (any SecretValues)? = nil, trigger: ValueMap = [:]
    ) {
        self.variables = variables
        self.steps = steps
        self.run = run
        self.extras = extras
        self.now = now
        self.localDate = localDate
        self.zoneOffset = zoneOffset
        self.environment = environment
        self.fileExists = fileExists
        self.secrets = secrets
        self.trigger = trigger
    }

    /// Names that no variable may have, because they would never be seen.
    public static let reservedNames = ["steps", "run", "variables"]
    /// Words of the language, which cannot name a variable either.
    public static let words = ["and", "or", "not", "in", "if", "else", "true", "false", "null"]

    func value(named name: String) -> Value? {
        switch name {
        case "steps": .map(allSteps)
        case "run": .map(run)
        case "variables": .map(variables)
        case "date": extras[name] ?? variables[name] ?? .string(localDate)
        case "trigger": extras[name] ?? variables[name] ?? .map(trigger)
        case "schedule": extras[name] ?? variables[name] ?? .map(schedule)
        default: extras[name] ?? variables[name]
        }
    }

    /// The trigger, where it is a schedule.
    private var schedule: ValueMap { trigger["kind"] == .string("schedule") ? trigger : [:] }

    /// By id or, where no id fits, by label (`steps['on_failure.1']`).
    func step(named name: String) -> ValueMap? {
        (steps.last { $0.id == name } ?? steps.last { $0.label == name })?.outputs
    }

    /// `steps[0]` is the first step of `steps:` whatever else has run; `steps[-1]` ended last.
    func step(at index: Int) -> ValueMap? {
        if index < 0 { return index >= -steps.count ? steps[steps.count + index].outputs : nil }
        guard index < Limits.steps else { return nil }
        let label = String(index + 1)
        if index < steps.count, steps[index].label == label { return steps[index].outputs }
        return steps.last { $0.label == label }?.outputs
    }

    private var allSteps: ValueMap {
        var map = ValueMap()
        for step in steps { map[step.id ?? step.label] = .map(step.outputs) }
        return map
    }

    /// What a misspelt first name may have meant.
    var rootNames: [String] {
        Scope.reservedNames + ["date", "trigger", "schedule"] + extras.keys + variables.keys + Scope.words
    }
    var stepNames: [String] { steps.map { $0.id ?? $0.label } }
}
