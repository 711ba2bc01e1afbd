// What this is: one entry of the table of step types, from which checker, manual, schema and `bobbin steps` come.
// Owns: StepType, Parameter, and the binding of rendered values to typed parameters.
// Never: runs a step; StepAction does.
// On failure: a value of the wrong type is a Failure E-STEP-PARAM that names the parameter.

/// Whether a step may run again when nobody knows if it took effect.
public enum RetryClass: String, Sendable { case repeatable, atMostOnce = "at_most_once" }

public struct Parameter: Hashable, Sendable {
    public enum Kind: Hashable, Sendable {
        case text, integer, number, flag, span, size, any, map
        case list
        /// A list, or a map as a list of its entries.
        case items
        /// A list of texts; a single text counts as a list of one.
        case texts
        case choice([String])
        /// Shell text: interpolated values are passed beside it, never pasted in (JobLanguage.ShellText).
        case script
        /// An expression without braces, evaluated when the step runs.
        case condition
        /// Evaluated, or rendered, at the end of each round of a loop.
        case roundCondition, roundValue
        /// A list of steps.
        case steps
        /// A map that is taken as it is written: its expressions are not this job's.
        case literal
        /// Parameters as `params:` has them, taken as they are written: a form that a person fills in.
        case form

        public var isCondition: Bool { self == .condition || self == .roundCondition }

        public var title: String {
            switch self {
            case .text: "text"
            case .integer: "whole number"
            case .number: "number"
            case .flag: "true or false"
            case .span: "duration (90s, 10m)"
            case .size: "size (64KiB, 10MB)"
            case .any: "any value"
            case .map: "map"
            case .list: "list"
            case .items: "list or map"
            case .texts: "list of texts"
            case .choice(let words): words.joined(separator: " | ")
            case .script: "shell text"
            case .condition, .roundCondition: "condition"
            case .roundValue: "any value"
            case .steps: "list of steps"
            case .literal: "map, as written"
            case .form: "map of inputs, as `params:` has them"
            }
        }
    }
    public var name: String
    public var kind: Kind
    public var required: Bool
    public var standard: Value
    /// Of a number.
    public var range: ClosedRange<Int>?
    public var summary: String
    /// Whether its value goes to the step as data that is neither shown nor kept.
    public private(set) var mayHoldSecret = false

    public init(
        _ name: String, _ kind: Kind, required: Bool = false, default standard: Value = .null,
        range: ClosedRange<Int>? = nil, _ summary: String
    ) {
        self.name = name
        self.kind = kind
        self.required = required
        self.standard = standard
        self.range = range
        self.summary = summary
    }

    /// The same, as one that takes secrets.
    public var takingSecrets: Parameter {
        var parameter = self
        parameter.mayHoldSecret = true
        return parameter
    }

    /// Why a number of the right kind does not fit; nil where it does.
    public func outOfRange(_ value: Value) -> String? {
        guard let range, let number = value.doubleValue,
            !(Double(range.lowerBound)...Double(range.upperBound)).contains(number)
        else { return nil }
        return "must be from \(range.lowerBound) to \(range.upperBound), but is \(value.text)"
    }
}

public struct StepType: Sendable, Hashable {
    /// How a step that holds others runs them.
    public enum Control: Sendable {
        case group, parallel
        /// Once for each item of a list that the step's action gives; or so many times.
        case foreach, repeated
        /// The steps of a template, which see nothing of the job but what they are given.
        case call

        public var isLoop: Bool { self == .foreach || self == .repeated }
        /// Whether the steps inside are seen by those after it.
        public var isOpen: Bool { self == .group || self == .parallel }
        /// The parameter that says under what name a round sees its item.
        public var nameParameter: String? {
            switch self {
            case .foreach: "as"
            case .repeated: "loop_index"
            case .group, .parallel, .call: nil
            }
        }
    }
    public var name: String
    public var summary: String
    public var parameters: [Parameter]
    /// The parameter that a bare scalar or list fills (`log: done`).
    public var shorthand: String?
    public var fixedClass: RetryClass
    /// Where the class depends on parameters (make_request: GET may be repeated).
    public var repeatableWhen: @Sendable (ValueMap) -> Bool
    /// Field and meaning of what later steps can use as `steps.<id>.<field>`.
    public var outputs: [(name: String, summary: String)]
    /// A step as it stands in a job file; the manual shows it and a test runs the checker on it.
    public var example: String
    /// Of a step that holds others; its action prepares, the engine runs them.
    public var control: Control?
    /// What it does to the world outside, at its most.
    public var fullEffect: Effect
    /// It reaches neither files nor programs outside of the run.
    public private(set) var staysInside = false
    /// Of a step that waits for people: the parameter that says how long. A `timeout:` beside it would say another time.
    public var ownTime: String?

    public init(
        _ name: String, _ summary: String, parameters: [Parameter], shorthand: String? = nil,
        retryClass: RetryClass = .repeatable, repeatableWhen: (@Sendable (ValueMap) -> Bool)? = nil,
        outputs: [(name: String, summary: String)] = [], example: String, control: Control? = nil,
        effect: Effect = .none, ownTime: String? = nil
    ) {
        self.name = name
        self.summary = summary
        self.parameters = parameters
        self.shorthand = shorthand
        self.fixedClass = retryClass
        self.repeatableWhen = repeatableWhen ?? { _ in retryClass == .repeatable }
        self.outputs = outputs
        self.example = example
        self.control = control
        fullEffect = effect
        self.ownTime = ownTime
    }

    /// The same, as one that reaches nothing outside of the run.
    public var inside: StepType {
        var type = self
        type.staysInside = true
        return type
    }

    /// What it does with these parameters: a question (GET, a query that only reads) does nothing.
    public func effect(_ parameters: ValueMap) -> Effect {
        fixedClass == .atMostOnce && retryClass(parameters) == .repeatable ? .none : fullEffect
    }

    public func retryClass(_ parameters: ValueMap) -> RetryClass {
        repeatableWhen(parameters) ? .repeatable : .atMostOnce
    }

    // Step types are told apart by name: the catalogue holds each name once.
    public static func == (left: StepType, right: StepType) -> Bool { left.name == right.name }
    public func hash(into hasher: inout Hasher) { hasher.combine(name) }

    /// Checks rendered values against the parameters and fills in defaults.
    public func bind(_ values: ValueMap) throws(Failure) -> ValueMap {
        var bound = ValueMap()
        for parameter in parameters where parameter.kind != .steps {
            guard let value = values[parameter.name], !(value.isNull && !parameter.required) else {
                guard !parameter.required else {
                    throw Failure(
                        "E-STEP-PARAM", "\(name) needs `\(parameter.name)` (\(parameter.kind.title))",
                        retry: .never)
                }
                bound[parameter.name] = parameter.standard
                continue
            }
            guard let typed = parameter.kind.accept(value) else {
                throw Failure(
                    "E-STEP-PARAM",
                    "`\(parameter.name)` of \(name) must be a \(parameter.kind.title), but is a \(value.kindName): \(String(value.text.prefix(80)))",
                    retry: .never)
            }
            if let why = parameter.outOfRange(typed) {
                throw Failure("E-STEP-PARAM", "`\(parameter.name)` of \(name) \(why)", retry: .never)
            }
            bound[parameter.name] = typed
        }
        return bound
    }
}

extension Parameter.Kind {
    /// The value in this kind's form, or nil where it does not fit. Numbers become text where text is asked for,
    /// because `args: [8080]` is what people write; text never becomes a number.
    public func accept(_ value: Value) -> Value? {
        switch (self, value) {
        case (.any, _), (.roundValue, _): value
        case (.text, .string), (.script, .string), (.condition, .string): value
        case (.text, .int), (.text, .double), (.text, .bool): .string(value.text)
        case (.condition, .bool), (.roundCondition, .bool), (.roundCondition, .string): value
        case (.script, .map): value
        case (.integer, .int), (.number, .int), (.number, .double), (.flag, .bool): value
        case (.map, .map), (.literal, .map), (.form, .map), (.list, .list), (.items, .list), (.items, .map):
            value
        case (.span, _): Span(value).map { .string($0.text) }
        case (.size, _): ByteSize(value).map { .int($0.bytes) }
        case (.choice(let words), .string(let word)): words.contains(word) ? value : nil
        case (.texts, .list(let items)):
            Parameter.Kind.allTexts(items).map(Value.list)
        case (.texts, .string), (.texts, .int), (.texts, .double), (.texts, .bool):
            .list([.string(value.text)])
        default: nil
        }
    }

    private static func allTexts(_ items: [Value]) -> [Value]? {
        var texts: [Value] = []
        for item in items {
            guard let text = Parameter.Kind.text.accept(item) else { return nil }
            texts.append(text)
        }
        return texts
    }
}

/// A number of bytes as people write it: `512`, `64KiB`, `10MB`.
public struct ByteSize: Hashable, Sendable {
    public var bytes: Int
    private static let units = [
        "": 1, "B": 1, "KB": 1000, "MB": 1_000_000, "GB": 1_000_000_000, "K": 1024, "M": 1 << 20,
        "G": 1 << 30,
        "KiB": 1024, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40, "TB": 1_000_000_000_000,
    ]

    public init?(_ value: Value) {
        switch value {
        case .int(let number) where number >= 0: bytes = number
        case .string(let text):
            let digits = text.prefix { $0.isASCII && $0.isNumber }
            guard let number = Int(digits), let unit = ByteSize.units[text.dropFirst(digits.count).trimmed]
            else { return nil }
            let product = number.multipliedReportingOverflow(by: unit)
            guard !product.overflow else { return nil }
            bytes = product.partialValue
        default: return nil
        }
    }
}

extension StringProtocol {
    /// Without spaces, tabs and line ends at either side.
    public var trimmed: String {
        let blank: (Character) -> Bool = {
            $0 == " " || $0 == "\t" || $0 == "\n" || $0 == "\r" || $0 == "\r\n"
        }
        var rest = self[...]
        while let first = rest.first, blank(first) { rest.removeFirst() }
        while let last = rest.last, blank(last) { rest.removeLast() }
        return String(rest)
    }
}

/// The table of all step types a site knows.
public struct StepCatalogue: Sendable {
    public let types: [StepType]
    private let byName: [String: StepType]

    public init(_ types: [StepType]) {
        self.types = types
        byName = Dictionary(types.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    }
    public subscript(name: String) -> StepType? { byName[name] }
    public var names: [String] { types.map(\.name) }
}
