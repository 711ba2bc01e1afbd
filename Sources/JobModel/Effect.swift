// What this is: what a step does to the world outside of its run, for people who are to judge a job before it runs.
// Owns: the kinds, their words and their risk.
// Never: hinders anything: it is told, not enforced.
// On failure: nothing here fails.

public enum Effect: String, Sendable, CaseIterable {
    case none
    case writesFiles = "writes files"
    /// Originals are gone afterwards.
    case movesFiles = "moves files"
    case changesDatabase = "changes a database"
    case sendsData = "sends data out"
    case runsProgram = "runs a program"
    case startsJob = "starts a job"

    public enum Risk: Int, Sendable, Comparable, CaseIterable {
        case none, low, medium
        public var text: String {
            switch self {
            case .none: "none"
            case .low: "low"
            case .medium: "medium"
            }
        }
        public static func < (left: Risk, right: Risk) -> Bool { left.rawValue < right.rawValue }
    }
    /// As the guides' approval gate has it: what makes files is low; what changes or sends is medium.
    public var risk: Risk {
        switch self {
        case .none: .none
        case .writesFiles: .low
        // A job may do whatever a job can.
        case .movesFiles, .changesDatabase, .sendsData, .runsProgram, .startsJob: .medium
        }
    }
}
