// What this is: what a queue allows: how many runs at once, how they are retried, what an arrival must look like.
// Owns: queue names, the documented defaults of keys that a queue leaves out.
// Never: reads the configuration file (BobbinDaemon does).
// On failure: a name outside [a-z0-9_]{1,32} gives nil.

public struct QueueName: Hashable, Comparable, Sendable, CustomStringConvertible {
    public let text: String
    public var description: String { text }

    public init?(_ text: some StringProtocol) {
        let legal = text.utf8.allSatisfy {
            (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x5F
        }
        guard legal, (1...32).contains(text.utf8.count), !QueueName.reserved.contains(String(text)) else {
            return nil
        }
        self.text = String(text)
    }
    private init(known: String) { text = known }
    public static let standard = QueueName(known: "default")
    /// Directories of the spool that are not queues.
    public static let reserved: Set<String> = [
        "inbox", "claimed", "parked", "done", "failed", "rejected", "runs", "approvals", "events", "control",
        "history", "log",
    ]
    public static func < (left: QueueName, right: QueueName) -> Bool { left.text < right.text }
}

/// 1 is the most urgent, 9 the least.
public struct Priority: Hashable, Comparable, Sendable {
    public let level: Int
    public init?(_ level: Int) {
        guard (1...9).contains(level) else { return nil }
        self.level = level
    }
    private init(known: Int) { level = known }
    public static let normal = Priority(known: 5)
    public static let all = (1...9).map(Priority.init(known:))
    public static func < (left: Priority, right: Priority) -> Bool { left.level < right.level }
    /// The directory that holds drops of this priority.
    public var directory: String { "p\(level)" }
}

public struct QueuePolicy: Hashable, Sendable {
    public var name: QueueName
    /// Runs of this queue at one time in the whole spool. Range 1 to 1,000.
    public var maxConcurrent: Int
    /// Directories p1 to this are made and scanned. Range 1 to 9.
    public var priorityLevels: Int
    public var retry: RetryPolicy
    /// Only a last line `...` completes a drop.
    public var requireEnd: Bool
    /// Wall clock limit of a run that names none; nil is no limit.
    public var timeout: Span?

    public init(
        name: QueueName, maxConcurrent: Int = 1, priorityLevels: Int = 9, retry: RetryPolicy = .standard,
        requireEnd: Bool = false, timeout: Span? = nil
    ) {
        self.name = name
        self.maxConcurrent = maxConcurrent
        self.priorityLevels = priorityLevels
        self.retry = retry
        self.requireEnd = requireEnd
        self.timeout = timeout
    }
}
