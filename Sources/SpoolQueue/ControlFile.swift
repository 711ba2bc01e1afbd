// What this is: the files of control/: states that hold while they are there, and commands that are taken once.
// Owns: their names.
// Never: carries a command out; the leader does.
// On failure: a name that is no command is `unknown`, answered with a sentence.
import JobModel

public enum ControlFile: Hashable, Sendable {
    public enum Verb: String, Sendable, CaseIterable { case cancel, hold, release, requeue, resolve }
    case pause(QueueName)
    case drain
    /// The subject is a run id, or a ticket of a drop that nobody claimed yet.
    case command(Verb, subject: String)
    case ignored
    case unknown

    public init(name: String) {
        if name.hasPrefix(".") || name == SpoolName.closed || name.hasSuffix(".tmp") || name.hasSuffix("~") {
            self = .ignored
            return
        }
        if ControlFile.stem(name) == "drain" {
            self = .drain
            return
        }
        let parts = name.split(separator: "-", maxSplits: 1).map(String.init)
        guard parts.count == 2 else {
            self = .unknown
            return
        }
        if parts[0] == "pause", let queue = QueueName(ControlFile.stem(parts[1])) {
            self = .pause(queue)
        } else if let verb = Verb(rawValue: parts[0]), RunID(ControlFile.stem(parts[1])) != nil {
            self = .command(verb, subject: ControlFile.stem(parts[1]))
        } else {
            self = .unknown
        }
    }
    /// People may give the file an ending so that an editor likes it.
    private static func stem(_ text: String) -> String {
        text.hasSuffix(".yaml") ? String(text.dropLast(5)) : text
    }

    /// Whether it is carried out, or answered, and then gone.
    public var isToBeTaken: Bool {
        switch self {
        case .command, .unknown: true
        case .pause, .drain, .ignored: false
        }
    }
    /// What a command is about: a run id or a ticket.
    public var subject: String? { if case .command(_, let subject) = self { subject } else { nil } }

    public var name: String {
        switch self {
        case .pause(let queue): "pause-\(queue)"
        case .drain: "drain"
        case .command(let verb, let subject): "\(verb.rawValue)-\(subject)"
        case .ignored, .unknown: ""
        }
    }
}
