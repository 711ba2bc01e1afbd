// What this is: a job as it would run on this site: where, how often, in what order, with which values, calling whom.
// Owns: what is worth saying before anything runs.
// Never: runs, drops or writes anything; shows what is named like a secret.
// On failure: nothing here fails; a value that is not known yet is shown as it is written.
import AccessControl
import JobLanguage
import JobModel
import LinuxSystem

public struct JobPlan: Sendable {
    public typealias Row = StepOutline
    public var spec: JobSpec
    /// Who may do what here, and who answers.
    public var policy: AccessPolicy
    public var queue: QueuePolicy
    public var priority: Priority
    public var retry: RetryPolicy
    public var timeout: Span?
    public var sections: [(section: Section, rows: [Row])] = []
    /// Of the main section, where it is not one after the other: labels that may run side by side.
    public var waves: [[String]] = []
    /// What is asked of people: the step, and the question as far as it is known.
    public var questions: [(label: String, question: ApprovalQuestion)] {
        sections.flatMap(\.rows).filter { $0.step.type.name == ApprovalQuestion.stepType }.map { row in
            var fields = ValueMap()
            for parameter in row.step.type.parameters { fields[parameter.name] = parameter.standard }
            for entry in row.arguments.entries {
                let kind = row.step.type.parameters.first { $0.name == entry.key }?.kind
                fields[entry.key] = kind?.accept(entry.value) ?? entry.value
            }
            return (row.step.label, ApprovalQuestion(fields, nonce: "", next: []))
        }
    }
    /// Inputs that whoever drops it has still to give.
    public var missing: [String]

    /// `site`: nil: the language's own defaults.
    public init(_ spec: JobSpec, site: Site?) throws {
        self.spec = spec
        policy = try site?.access() ?? .privateSite(of: ProcessSetup.uid)
        let name = spec.queue ?? .standard
        queue = try site?.configuration().policy(name) ?? QueuePolicy(name: name)
        priority = spec.priority ?? .normal
        retry = spec.retry ?? queue.retry
        timeout = spec.timeout ?? queue.timeout
        missing = spec.parameters.filter { $0.isRequired && spec.variables[$0.name] == nil }.map(\.name)
        let now = Timestamp(nanoseconds: Clocks.wall)
        let zone: @Sendable (Int64) -> Int = { Clocks.zoneOffset(atSeconds: $0) }
        let base = site?.path ?? "."
        let scope = Scope(
            variables: spec.variables, now: now,
            localDate: String(
                now.civil(offsetSeconds: zone(now.seconds), withMilliseconds: false).prefix(10)),
            zoneOffset: zone, environment: { Host.environment($0) },
            fileExists: { Host.exists($0.begins(with: "/") ? $0 : base + "/" + $0) },
            trigger: spec.trigger)
        let preview = Preview(scope, missing: missing)
        variables = preview.value(.map(spec.variables)).mapValue ?? [:]
        for section in Section.allCases where !spec.steps(of: section).isEmpty {
            let rows = StepOutline.rows(spec.steps(of: section), preview) { step, arguments in
                Site.allActions.first { $0.type.name == step.type.name }?.target(arguments)
            }
            sections.append((section, rows))
        }
        waves = JobPlan.waves(spec.steps)
    }

    public var effects: [Effect] {
        let all = Set(sections.flatMap(\.rows).map(\.effect))
        return Effect.allCases.filter { $0 != .none && all.contains($0) }
    }
    public private(set) var variables: ValueMap
    public var parameters: [JobParameter] {
        spec.parameters.map { parameter in
            var shown = parameter
            if Preview.isSecret(parameter.name), parameter.standard != nil {
                shown.standard = .string(Preview.mask)
            }
            return shown
        }
    }
    public var targets: [String] { Array(Set(sections.flatMap(\.rows).compactMap(\.target))).sorted() }

    /// Empty where the steps run one after the other.
    private static func waves(_ steps: [StepSpec]) -> [[String]] {
        guard steps.contains(where: { $0.needs != nil }) else { return [] }
        var level: [String: Int] = [:]
        var all: [Int] = []
        var waves: [[String]] = []
        for step in steps {
            let above = step.needs.map { $0.compactMap { level[$0] } } ?? all
            let own = (above.max() ?? -1) + 1
            if let id = step.id { level[id] = own }
            all.append(own)
            while waves.count <= own { waves.append([]) }
            waves[own].append(step.label)
        }
        return waves
    }
}
