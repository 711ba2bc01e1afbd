// What this is: the reading of `params:` and the judging of values that callers give.
// Owns: the keys of a parameter, its findings.
// Never: renders; parameters are plain values, as variables are.
// On failure: findings E-PARAM at the parameter or at the value.
import JobModel
import YamlText

struct ParameterReader {
    let findings: Findings
    /// Nil for what was accepted before: its values were judged then.
    let budget: CheckBudget?
    private static let keys = ["type", "default", "description", "enum", "pattern", "min", "max"]

    /// The parameters of a job or template.
    func read(_ fields: FieldReader) -> [JobParameter] {
        guard let node = fields.field("params") else { return [] }
        guard let pairs = node.pairs else {
            fields.wrong("params", "map", node)
            return []
        }
        return read(pairs)
    }
    /// Those of a form as well.
    @discardableResult
    func read(_ pairs: [YamlPair]) -> [JobParameter] {
        pairs.compactMap { pair in
            if Scope.reservedNames.contains(pair.key) || Scope.words.contains(pair.key) {
                findings.error(
                    "E-VARIABLE", "`\(pair.key)` cannot name a parameter: it is a word of the language",
                    at: pair.keyStart)
                return nil
            }
            return parameter(pair)
        }
    }

    /// `count: 3` is a parameter with this default and of its kind; a map describes one.
    private func parameter(_ pair: YamlPair) -> JobParameter? {
        guard pair.value.pairs != nil else {
            let standard = Value(pair.value)
            return JobParameter(
                pair.key, JobParameter.Kind(of: standard), standard: standard.isNull ? nil : standard)
        }
        guard let fields = FieldReader(pair.value, "parameter `\(pair.key)`", findings) else { return nil }
        fields.refuseUnknown(ParameterReader.keys)
        let standard = fields.field("default")
        var parameter = JobParameter(pair.key, kind(fields, standard.map { Value($0) }))
        parameter.summary = fields.text("description") ?? ""
        for node in fields.items("enum") ?? [] {
            let value = ParameterReader.value(node, for: parameter.kind)
            if judge(value, JobParameter(pair.key, parameter.kind), at: node.start) {
                parameter.choices.append(parameter.kind.accept(value) ?? value)
            }
        }
        readBounds(fields, into: &parameter)
        if let standard {
            let value = ParameterReader.value(standard, for: parameter.kind)
            judge(value, parameter, at: standard.start)
            parameter.standard = parameter.kind.accept(value) ?? value
        }
        return parameter
    }

    private func readBounds(_ fields: FieldReader, into parameter: inout JobParameter) {
        parameter.least = fields.number("min", in: -1e15...1e15)
        parameter.most = fields.number("max", in: -1e15...1e15)
        // A bound that nothing would be held to is worse than none.
        for key in ["min", "max"] where ![.integer, .number, .string, .list].contains(parameter.kind) {
            if let node = fields.field(key) {
                findings.error("E-PARAM", "`\(key)` is for numbers, texts and lists", at: node.start)
            }
        }
        if let node = fields.field("pattern"), parameter.kind != .string {
            findings.error("E-PARAM", "`pattern` is for texts (type: string)", at: node.start)
        }
        if let node = fields.field("pattern"), let pattern = fields.text("pattern") {
            do throws(RegularExpression.Problem) {
                _ = try RegularExpression(pattern)
                parameter.pattern = pattern
            } catch {
                findings.error(
                    "E-PARAM", "`pattern`: \(error.message), at character \(error.offset + 1)", at: node.start
                )
            }
        }
    }

    private func kind(_ fields: FieldReader, _ standard: Value?) -> JobParameter.Kind {
        guard let word = fields.text("type"), let node = fields.field("type") else {
            return standard.map(JobParameter.Kind.init(of:)) ?? .string
        }
        if let kind = JobParameter.Kind(rawValue: word) { return kind }
        let names = JobParameter.Kind.allCases.map(\.rawValue)
        findings.error(
            "E-PARAM", "there is no type `\(word)`",
            hint: findings.nearest(word, in: names).map { "did you mean `\($0)`?" }
                ?? "types: \(names.joined(separator: ", "))", at: node.start)
        return .any
    }

    /// Whether a value fits; a finding where it does not.
    @discardableResult
    func judge(_ value: Value, _ parameter: JobParameter, at mark: SourceMark) -> Bool {
        guard let budget, let fault = parameter.fault(of: value, matches: budget.matches) else { return true }
        findings.error("E-PARAM", "`\(parameter.name)` \(fault)", hint: parameter.summary, at: mark)
        return false
    }

    /// The value as it is meant: where a text is wanted, what was written (`1.10`, `007`), not the number it looks like.
    static func value(_ node: YamlNode, for kind: JobParameter.Kind) -> Value {
        guard kind == .string, let scalar = node.scalar, scalar.value != .null else { return Value(node) }
        return .string(scalar.text)
    }
}

extension JobSpec {
    /// Sets variables from outside, given as they were written; sentences about those that do not fit the parameters.
    public mutating func set(_ nodes: [(name: String, node: YamlNode)]) -> [String] {
        var faults: [String] = []
        let budget = CheckBudget()
        for (name, node) in nodes {
            guard let parameter = parameters.first(where: { $0.name == name }) else {
                if !parameters.isEmpty, variables[name] == nil {
                    let near = NearestName.hint(for: name, among: parameters.map(\.name))
                    faults.append("there is no parameter `\(name)`" + (near.isEmpty ? "" : "; \(near)"))
                }
                variables[name] = Value(node)
                continue
            }
            let value = ParameterReader.value(node, for: parameter.kind)
            if value.mayHoldTemplate {
                faults.append("`\(name)` holds a template, but parameters are plain values")
            } else if let fault = parameter.fault(of: value, matches: budget.matches) {
                faults.append(
                    "`\(name)` \(fault)" + (parameter.summary.isEmpty ? "" : " (\(parameter.summary))"))
            }
            variables[name] = parameter.kind.accept(value) ?? value
        }
        return faults
    }

    /// A sentence for each parameter that has no value yet and needs one.
    public var lacking: [String] {
        let missing = parameters.filter { $0.isRequired && variables[$0.name] == nil }
        return missing.map { "`\($0.name)` must be given (\($0.kind.title))" }
    }
}

extension JobParameter {
    /// Whether a whole text matches a pattern, within a budget of its own; nil where that takes too long to say.
    public static func matches(_ text: String, _ pattern: String) -> Bool? {
        CheckBudget().matches(text, pattern)
    }
}
