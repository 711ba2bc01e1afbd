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
}

public struct StepSpec: Hashable, Sendable {
    public var section: Section
    /// Counts from 1 within its section.
    public var number: Int
    public var id: String?
    public var name: String?
    public var type: StepType
    /// As written, templates unrendered; a scalar shorthand is already under its parameter's name.
    public var parameters: ValueMap
    /// A condition without its braces.
    public var when: String?
    public var retry: RetryPolicy?
    public var timeout: Span?
    public var idempotent: Bool?
    public var continueOnError: Bool
    public var environment: ValueMap
    public var line: Int

    public init(
        section: Section, number: Int, id: String? = nil, name: String? = nil, type: StepType,
        parameters: ValueMap,
        when: String? = nil, retry: RetryPolicy? = nil, timeout: Span? = nil, idempotent: Bool? = nil,
        continueOnError: Bool = false, environment: ValueMap = [:], line: Int = 0
    ) {
        self.section = section
        self.number = number
        self.id = id
        self.name = name
        self.type = type
        self.parameters = parameters
        self.when = when
        self.retry = retry
        self.timeout = timeout
        self.idempotent = idempotent
        self.continueOnError = continueOnError
        self.environment = environment
        self.line = line
    }

    /// `2` or `on_failure.1`.
    public var label: String { section.label(number) }
    /// What people see: the name, else the id, else the step type.
    public var title: String { name ?? id ?? type.name }

    /// Whether running this step again after an unknown outcome is allowed.
    public var isRepeatable: Bool {
        if let idempotent { return idempotent }
        if retry != nil { return true }
        return type.retryClass(parameters) == .repeatable
    }
}
