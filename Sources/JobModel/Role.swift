// What this is: the four roles of a person on a site, each with all rights of those below it (guide 000).
// Owns: their names and their order.
// Never: knows who has which; AccessControl does.
// On failure: a word that names no role gives nil.

public enum Role: String, Sendable, CaseIterable, Comparable {
    /// Sees.
    case viewer = "Viewer"
    /// Sees and runs.
    case runner = "Runner"
    /// Runs, pauses, approves.
    case editor = "Editor"
    /// May do everything.
    case admin = "Admin"

    /// As it is written, whatever its case.
    public init?(word: String) {
        guard let role = Role.allCases.first(where: { $0.rawValue.lowercased() == word.lowercased() }) else {
            return nil
        }
        self = role
    }
    private var level: Int { Role.allCases.firstIndex(of: self) ?? 0 }
    public static func < (left: Role, right: Role) -> Bool { left.level < right.level }

    /// Who has it, for people: `Editor or higher`.
    public var orHigher: String { self == .admin ? rawValue : "\(rawValue) or higher" }
}
