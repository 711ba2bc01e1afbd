// What this is: the reading of `outputs:`: values, or values of which the job says what they must be.
// Owns: the long form `{value: …, type: …, description: …}`.
// Never: judges a value; that is done when the run ends.
// On failure: findings.
import JobModel
import YamlText

struct OutputReader {
    let fields: FieldReader
    private static let keys = ["value", "type", "description"]

    func read() -> (ValueMap, [String: JobParameter.Kind]) {
        var outputs = fields.map("outputs") ?? [:]
        var kinds: [String: JobParameter.Kind] = [:]
        for pair in fields.field("outputs")?.pairs ?? [] {
            // A map with other keys is a value of its own.
            guard let inner = pair.value.pairs, pair.value["value"] != nil, pair.value["type"] != nil,
                inner.allSatisfy({ OutputReader.keys.contains($0.key) }),
                let long = FieldReader(pair.value, "`\(pair.key)`", fields.findings)
            else { continue }
            outputs[pair.key] = pair.value["value"].map { Value($0) }
            guard let word = long.text("type"), let node = long.field("type") else { continue }
            if let kind = JobParameter.Kind(rawValue: word) {
                kinds[pair.key] = kind
            } else {
                let names = JobParameter.Kind.allCases.map(\.rawValue)
                long.findings.error(
                    "E-TYPE", "there is no type `\(word)`",
                    hint: long.findings.nearest(word, in: names).map { "did you mean `\($0)`?" }
                        ?? names.joined(separator: ", "), at: node.start)
            }
        }
        return (outputs, kinds)
    }
}

extension ValueMap {
    /// The outputs in the form of their kinds. Throws E-OUTPUT for what does not fit.
    public func judged(as kinds: [String: JobParameter.Kind]) throws(Failure) -> ValueMap {
        guard !kinds.isEmpty else { return self }
        var outputs = self
        for entry in entries {
            guard let kind = kinds[entry.key] else { continue }
            guard let value = kind.accept(entry.value) else {
                throw Failure(
                    "E-OUTPUT",
                    "the output `\(entry.key)` must be a \(kind.title), but is a \(entry.value.kindName): \(entry.value.text.prefix(80))",
                    whatToDo: "correct the expression, or the type", retry: .never)
            }
            outputs[entry.key] = value
        }
        return outputs
    }
}

extension JobReader {
    /// `artifacts:` is a last step of `finally`: what it keeps, it keeps however the run ends.
    func artifacts(_ fields: FieldReader, number: Int) -> StepSpec? {
        guard let node = fields.field("artifacts"), let type = catalogue["keep_artifacts"] else { return nil }
        guard let paths = Parameter.Kind.texts.accept(Value(node)), paths.listValue?.isEmpty == false else {
            fields.wrong("artifacts", "list of files and patterns", node)
            return nil
        }
        return StepSpec(
            place: StepPlace(.finally, [number]), name: "artifacts", type: type,
            parameters: ["paths": paths, "missing": "skip"], line: node.start.line)
    }
}
