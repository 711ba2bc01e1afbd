// What this is: the reading of `params:` and the judging of values that callers give.
// Owns: the keys of a parameter, its findings.
// Never: renders; parameters are plain values, as variables are.
// On failure: findings E-PARAM at the parameter or at the value.
import JobModel
import YamlText

struct ParameterReader {
    let findings: Findings
    private static let keys = ["type", "default", "description", "enum", "pattern", "min", "max"]

    /// The parameters of a job or template.
    func read(_ fields: FieldReader) -> [JobParameter] {
        guard let node = fields.field("params") else { return [] }
        guard let pairs = node.pairs else {
            fields.wrong("params", "map", node)
            return []
        }
        return pairs.compactMap { pair in
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
        guard let map = pair.value.pairs else {
            let standard = Value(pair.value)
            return JobParameter(
                pair.key, JobParameter.Kind(of: standard), standard: standard.isNull ? nil : standard)
        }
        guard let fields = FieldReader(pair.value, "parameter `\(pair.key)`", findings) else { return nil }
        fields.refuseUnknown(ParameterReader.keys)
        let standard = map.first { $0.key == "default" }.map { Value($0.value) }
        var parameter = JobParameter(pair.key, kind(fields, standard))
        parameter.summary = fields.text("description") ?? ""
        parameter.choices = fields.items("enum")?.map { Value($0) } ?? []
        parameter.least = fields.number("min", in: -1e15...1e15)
        parameter.most = fields.number("max", in: -1e15...1e15)
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
        if let standard, let node = fields.field("default") {
            judge(standard, parameter, at: node.start)
            parameter.standard = parameter.kind.accept(standard) ?? standard
        }
        return parameter
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
        guard let fault = parameter.fault(of: value, matches: ParameterReader.matches) else { return true }
        findings.error("E-PARAM", "`\(parameter.name)` \(fault)", hint: parameter.summary, at: mark)
        return false
    }

    /// The whole text must match; the work is bounded by pattern and text, and the text by the size of a job file.
    static func matches(_ text: String, _ pattern: String) -> Bool {
        // A pattern that is none was found when it was read.
        guard let expression = try? RegularExpression(pattern) else { return false }
        return RegularExpressionMatcher(expression, text).matchesWhole()
    }
}

extension JobSpec {
    /// Sets variables from outside; sentences about those that do not fit the parameters.
    public mutating func set(_ values: ValueMap) -> [String] {
        var faults: [String] = []
        for entry in values.entries {
            guard let parameter = parameters.first(where: { $0.name == entry.key }) else {
                variables[entry.key] = entry.value
                continue
            }
            if let fault = parameter.fault(of: entry.value, matches: ParameterReader.matches) {
                faults.append("`\(entry.key)` \(fault)")
            }
            variables[entry.key] = parameter.kind.accept(entry.value) ?? entry.value
        }
        let missing = parameters.filter { $0.isRequired && variables[$0.name] == nil }
        return faults + missing.map { "`\($0.name)` must be given (\($0.kind.title))" }
    }
}
