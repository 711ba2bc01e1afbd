// What this is: where a step stands in its run, and how people write that: `3`, `finally.1`, `3.7.2`.
// Owns: StepPlace and its text, which journals, results, logs and idempotency keys hold.
// Never: knows what stands there; JobSpec finds the step.
// On failure: a text that is no place gives nil.

/// Numbers from the outside in, each from 1: a step of a list, or a round of a loop. `3.7.2` is step 2 of the seventh
/// round of step 3.
public struct StepPlace: Hashable, Sendable {
    public var section: Section
    public var path: [Int]

    public init(_ section: Section, _ path: [Int]) {
        self.section = section
        self.path = path
    }
    /// Nil for what `text` never gives.
    public init?(_ text: String) {
        var rest = text[...]
        section = .main
        for other in Section.allCases where other != .main && text.hasPrefix("\(other.rawValue).") {
            section = other
            rest = text.dropFirst(other.rawValue.count + 1)
        }
        path = []
        for part in rest.split(separator: ".", omittingEmptySubsequences: false) {
            guard let number = Int(part), number > 0, String(number) == part else { return nil }
            path.append(number)
        }
    }

    public var text: String {
        let numbers = path.map(String.init).joined(separator: ".")
        return section == .main ? numbers : "\(section.rawValue).\(numbers)"
    }

    public func inside(_ number: Int) -> StepPlace { StepPlace(section, path + [number]) }
    /// Whether `other` is inside this one; a place is not inside itself.
    public func contains(_ other: StepPlace) -> Bool {
        section == other.section && path.count < other.path.count && other.path.starts(with: path)
    }
}
