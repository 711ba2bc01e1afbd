// What this is: a validated job as plain data: what was asked, with its templates still unrendered.
// Owns: JobSpec and StepSpec.
// Never: parses or renders (JobLanguage does), runs (RunEngine does).
// On failure: nothing here fails; a JobSpec that exists is valid.

public struct JobSpec: Hashable, Sendable {
    public var name: String
    public var description: String
    public var queue: QueueName?
    public var priority: Priority?
    /// Their defaults too, once a job is read.
    public var variables: ValueMap
    public var parameters: [JobParameter]
    /// The job's own policy; nil leaves the decision to its queue.
    public var retry: RetryPolicy?
    public var timeout: Span?
    public var steps: [StepSpec]
    public var onFailure: [StepSpec]
    public var finally: [StepSpec]
    public var outputs: ValueMap
    /// How many of its steps may run at one time.
    public var maxParallel = Limits.parallelSteps
    /// When and beside whom it runs, and its labels.
    public var terms = TermSpec()
    /// What its outputs must be, where it says so.
    public var outputKinds: [String: JobParameter.Kind] = [:]
    /// What it and the templates it is made of name.
    public var secrets: [SecretNeed] = []
    /// What made it come: its `kind`, `id`, `at` and more, as a schedule, a watcher or an event says; empty otherwise.
    public var trigger: ValueMap = [:]

    public init(
        name: String, description: String = "", queue: QueueName? = nil, priority: Priority? = nil,
        variables: ValueMap = [:], parameters: [JobParameter] = [], retry: RetryPolicy? = nil,
        timeout: Span? = nil,
        steps: [StepSpec],
        onFailure: [StepSpec] = [], finally: [StepSpec] = [], outputs: ValueMap = [:]
    ) {
        self.name = name
        self.description = description
        self.queue = queue
        self.priority = priority
        self.variables = variables
        self.parameters = parameters
        self.retry = retry
        self.timeout = timeout
        self.steps = steps
        self.onFailure = onFailure
        self.finally = finally
        self.outputs = outputs
    }

    public func steps(of section: Section) -> [StepSpec] {
        switch section {
        case .main: steps
        case .onFailure: onFailure
        case .finally: finally
        }
    }

    /// The step that a record's place is of, and those that hold it, from the outside in.
    public func steps(to place: StepPlace) -> [StepSpec] {
        var list = steps(of: place.section), found: [StepSpec] = []
        var numbers = place.path[...]
        while let number = numbers.popFirst() {
            guard let step = list.first(where: { $0.number == number }) else { return found }
            found.append(step)
            if step.type.control?.isLoop == true { _ = numbers.popFirst() }
            list = step.steps
        }
        return found
    }
}

/// A secret that a job names.
public struct SecretNeed: Hashable, Sendable {
    public var name: SecretName
    /// Where it is named, below templates/; nil: in the job itself.
    public var template: String?
    public init(name: SecretName, template: String?) {
        self.name = name
        self.template = template
    }
}

/// What a template that a step calls takes and gives; its steps are those of the step.
public struct CallSpec: Hashable, Sendable {
    public var template: String
    /// Its variables, the defaults of its parameters among them.
    public var variables: ValueMap
    public var parameters: [JobParameter]
    /// As written, unrendered.
    public var outputs: ValueMap
    public var outputKinds: [String: JobParameter.Kind] = [:]

    public init(template: String, variables: ValueMap, parameters: [JobParameter], outputs: ValueMap) {
        self.template = template
        self.variables = variables
        self.parameters = parameters
        self.outputs = outputs
    }
}

public struct StepSpec: Hashable, Sendable {
    /// As it is written: rounds of loops are not counted. A round's number comes in when the step runs.
    public var place: StepPlace
    public var id: String?
    public var name: String?
    public var type: StepType
    /// As written, templates unrendered; a scalar shorthand is already under its parameter's name.
    public var parameters: ValueMap
    /// What a step that holds others does: the steps of its `steps:`.
    public var steps: [StepSpec] = []
    /// Of a step that calls a template.
    public var call: CallSpec?
    /// Ids of steps above it in its list; nil waits for all of them.
    public var needs: [String]?
    /// A condition without its braces.
    public var when: String?
    public var retry: RetryPolicy?
    public var timeout: Span?
    public var idempotent: Bool?
    public var continueOnError: Bool
    public var environment: ValueMap
    public var line: Int

    public init(
        place: StepPlace, id: String? = nil, name: String? = nil, type: StepType,
        parameters: ValueMap, steps: [StepSpec] = [], needs: [String]? = nil,
        when: String? = nil, retry: RetryPolicy? = nil, timeout: Span? = nil, idempotent: Bool? = nil,
        continueOnError: Bool = false, environment: ValueMap = [:], line: Int = 0
    ) {
        self.place = place
        self.id = id
        self.name = name
        self.type = type
        self.parameters = parameters
        self.steps = steps
        self.needs = needs
        self.when = when
        self.retry = retry
        self.timeout = timeout
        self.idempotent = idempotent
        self.continueOnError = continueOnError
        self.environment = environment
        self.line = line
    }

    /// The step and those that it holds, as part of the list inside of `place`.
    public func moved(inside place: StepPlace) -> StepSpec {
        var step = self
        step.place = place.inside(number)
        step.steps = steps.map { $0.moved(inside: step.place) }
        return step
    }

    public var section: Section { place.section }
    /// Counts from 1 within its list.
    public var number: Int { place.path.last ?? 0 }
    /// `2` or `on_failure.1`.
    public var label: String { place.text }
    /// What people see: the name, else the id, else the step type.
    public var title: String { name ?? id ?? type.name }

    /// Whether running this step again after an unknown outcome is allowed; one that holds others asks them.
    public var isRepeatable: Bool {
        if let idempotent { return idempotent }
        if type.control != nil { return steps.allSatisfy(\.isRepeatable) }
        if let retry, !retry.onlyIdempotent { return true }
        return type.retryClass(parameters) == .repeatable
    }
}
