// What this is: typed reading of a step's bound arguments, and the bound on what a step hands on.
// Owns: the accessors; E-OUTPUT-SIZE.
// Never: checks types again: StepType.bind did, so a missing value reads as empty.
// On failure: E-OUTPUT-SIZE tells what to use instead.
import JobModel

extension ValueMap {
    func text(_ name: String) -> String { self[name]?.stringValue ?? "" }
    func optionalText(_ name: String) -> String? { self[name]?.stringValue }
    func flag(_ name: String) -> Bool { self[name]?.boolValue ?? false }
    func integer(_ name: String) -> Int { self[name]?.intValue ?? 0 }
    func texts(_ name: String) -> [String] { (self[name]?.listValue ?? []).map(\.text) }
    /// Defaults stand in the table as people write them (`64KiB`), so both forms are read.
    func bytes(_ name: String) -> Int { self[name].flatMap { ByteSize($0)?.bytes } ?? 0 }
    func span(_ name: String) -> Span { self[name].flatMap { Span($0) } ?? .zero }

    /// This map, unless it is more than later steps may get.
    func withinLimit(instead: String) throws(Failure) -> ValueMap {
        let bytes = Value.map(self).roughBytes
        guard bytes > Limits.outputBytes else { return self }
        throw Failure(
            "E-OUTPUT-SIZE",
            "the result has about \(bytes) bytes; a step hands on at most \(Limits.outputBytes)",
            whatToDo: instead, retry: .never)
    }
}

extension Value {
    static func texts(_ items: some Sequence<String>) -> Value { .list(items.map(Value.string)) }
    /// What a person means by this value as the content of a file or a body: text as it is, the rest as JSON.
    var content: String {
        switch self {
        case .list, .map: JSONText.write(self, pretty: true) + "\n"
        default: text
        }
    }
}

extension Failure {
    /// A mistake in the job's parameters, found when they were known.
    static func parameter(_ message: String, whatToDo: String = "") -> Failure {
        Failure("E-STEP-PARAM", message, whatToDo: whatToDo, retry: .never)
    }
}
