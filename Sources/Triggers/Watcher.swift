// What this is: one entry of ops/watchers.yaml as values: which folder, which files, which changes, and what they start.
// Owns: whether a path is wanted.
// Never: reads YAML, a disk or a clock.
// On failure: nothing here fails.
import JobModel
import LinuxSystem

public struct Watcher: Hashable, Sendable {
    public enum Event: String, Sendable, CaseIterable { case created, modified, deleted, moved }
    /// What makes a file the same as one that was processed.
    public enum Once: String, Sendable, CaseIterable {
        /// The same path with the same inode, size and time of change.
        case version
        /// The same path, whatever is in it.
        case name
        /// The same bytes, whatever they are called.
        case content
    }
    /// What was there when a watcher was made.
    public enum Existing: String, Sendable, CaseIterable { case process, ignore }
    public struct Batch: Hashable, Sendable {
        public var maxFiles: Int
        public var maxWait: Span
        public init(maxFiles: Int, maxWait: Span) {
            self.maxFiles = maxFiles
            self.maxWait = maxWait
        }
    }

    public var id: String
    public var name: String
    /// Absolute.
    public var path: String
    public var template: String
    public var queue: QueueName
    public var priority: Priority
    public var patterns: [String] = []
    public var ignorePatterns: [String] = []
    public var events: Set<Event> = [.created, .modified]
    /// A path must be quiet for so long.
    public var debounce = Span.milliseconds(500)
    /// A file that nobody was seen to close must be unchanged for so long.
    public var settle = Span.seconds(1)
    public var once = Once.version
    public var existing = Existing.process
    public var batch: Batch?
    public var isRecursive = false
    public var takesHidden = false
    public var isEnabled = true
    public var variables: ValueMap = [:]
    /// What is gone is remembered for so long (by name and by content).
    public var remember = Span.seconds(90 * 86_400)
    public var takesChecksum = true

    public init(
        id: String, name: String, path: String, template: String, queue: QueueName, priority: Priority
    ) {
        self.id = id
        self.name = name
        self.path = path
        self.template = template
        self.queue = queue
        self.priority = priority
    }

    /// What programs write before a file has its name; never anybody's file.
    private static let always = ["*~", "*.tmp", "*.part", "*.swp", "#*#", "*.crdownload", "*.filepart"]

    /// `path`: below the folder.
    public func wants(_ path: String) -> Bool {
        if !takesHidden, path.parts(at: "/").contains(where: { $0.begins(with: ".") }) { return false }
        func fits(_ pattern: String) -> Bool { NamePattern.fits(pattern, path: path) }
        if Watcher.always.contains(where: fits) || ignorePatterns.contains(where: fits) { return false }
        return patterns.isEmpty || patterns.contains(where: fits)
    }
    /// Whether a folder below is looked into.
    public func enters(_ path: String) -> Bool {
        guard isRecursive, takesHidden || !path.parts(at: "/").contains(where: { $0.begins(with: ".") })
        else {
            return false
        }
        return !ignorePatterns.contains { NamePattern.fits($0, path: path) }
    }
}

/// What happened to a file, and is to start something.
public struct FileEvent: Hashable, Sendable {
    public var event: Watcher.Event
    /// Below the folder.
    public var path: String
    public var oldPath: String?
    /// Nil where it is gone.
    public var size: Int?
    public var modified: Timestamp?
    public var sha256: String?

    public init(
        event: Watcher.Event, path: String, oldPath: String? = nil, size: Int? = nil,
        modified: Timestamp? = nil
    ) {
        self.event = event
        self.path = path
        self.oldPath = oldPath
        self.size = size
        self.modified = modified
    }
}
