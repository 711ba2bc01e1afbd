// What this is: a parameter of a job or template: what a caller may set, of which kind, within which bounds.
// Owns: JobParameter, and whether a value fits it.
// Never: matches patterns (JobLanguage has them, and hands a check in).
// On failure: a sentence that says what is wanted and what came.

public struct JobParameter: Hashable, Sendable {
    public enum Kind: String, CaseIterable, Sendable {
        case string, integer, number, boolean, list, map, duration, size, any

        /// The same kind among those of steps' parameters, which has its words and its judgement.
        public var ofSteps: Parameter.Kind {
            switch self {
            case .string: .text
            case .integer: .integer
            case .number: .number
            case .boolean: .flag
            case .list: .list
            case .map: .map
            case .duration: .span
            case .size: .size
            case .any: .any
            }
        }
        public var title: String { ofSteps.title }
        /// The kind that a default without a word about it has.
        public init(of value: Value) {
            self =
                switch value {
                case .null: .any
                case .bool: .boolean
                case .int: .integer
                case .double: .number
                case .string: .string
                case .list: .list
                case .map: .map
                }
        }
        /// The value in this kind's form; nil where it does not fit. A number counts as text where text is wanted.
        public func accept(_ value: Value) -> Value? { ofSteps.accept(value) }
    }

    public var name: String
    public var kind: Kind
    /// Without a default it must be given.
    public var standard: Value?
    public var summary: String
    /// The only values that it may have; empty: any.
    public var choices: [Value]
    /// A regular expression that the whole text must match.
    public var pattern: String?
    /// Of numbers, and of the length of texts and lists.
    public var least: Double?
    public var most: Double?

    public init(
        _ name: String, _ kind: Kind, standard: Value? = nil, summary: String = "", choices: [Value] = [],
        pattern: String? = nil, least: Double? = nil, most: Double? = nil
    ) {
        self.name = name
        self.kind = kind
        self.standard = standard
        self.summary = summary
        self.choices = choices
        self.pattern = pattern
        self.least = least
        self.most = most
    }

    /// As it is written below `params:`, where it has been checked: a default alone, or a map.
    public init(_ name: String, described value: Value) {
        guard case .map(let map) = value else {
            self.init(name, Kind(of: value), standard: value.isNull ? nil : value)
            return
        }
        let standard = map["default"]
        let kind =
            map["type"]?.stringValue.flatMap(Kind.init(rawValue:)) ?? standard.map(Kind.init(of:)) ?? .string
        self.init(
            name, kind, standard: standard.map { kind.accept($0) ?? $0 },
            summary: map["description"]?.text ?? "",
            choices: (map["enum"]?.listValue ?? []).map { kind.accept($0) ?? $0 },
            pattern: map["pattern"]?.stringValue, least: map["min"]?.doubleValue,
            most: map["max"]?.doubleValue)
    }

    public var isRequired: Bool { standard == nil }

    /// What is wrong with a value, as the end of a sentence that begins with the name; nil where it fits. `matches` says
    /// whether a whole text matches a pattern, and nil where that takes too long to say.
    public func fault(of value: Value, matches: (_ text: String, _ pattern: String) -> Bool?) -> String? {
        guard let value = kind.accept(value) else {
            return "must be a \(kind.title), but is a \(value.kindName)"
        }
        if !choices.isEmpty, !choices.contains(value) {
            return
                "must be one of \(choices.map(\.text).joined(separator: ", ")), not `\(value.text.prefix(80))`"
        }
        if let size = size(of: value) {
            // What is no number at all is within no bounds.
            if let least, !(size.number >= least) {
                return "must \(size.verb)at least \(JobParameter.shown(least))"
            }
            if let most, !(size.number <= most) {
                return "must \(size.verb)at most \(JobParameter.shown(most))"
            }
        }
        guard let pattern, case .string(let text) = value else { return nil }
        switch matches(text, pattern) {
        case true?: return nil
        case false?: return "must match \(pattern), unlike `\(text.prefix(80))`"
        case nil: return "takes too long to be matched with \(pattern)"
        }
    }

    private func size(of value: Value) -> (number: Double, verb: String)? {
        switch value {
        case .int(let number): (Double(number), "be ")
        case .double(let number): (number, "be ")
        case .string(let text) where kind == .string: (Double(text.count), "have a length of ")
        case .list(let items): (Double(items.count), "have a length of ")
        default: nil
        }
    }
    private static func shown(_ number: Double) -> String {
        Int(exactly: number).map(String.init) ?? String(number)
    }
}
