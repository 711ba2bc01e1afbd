// What this is: the memory of the triggers on disk: which drops they decided to make, which of them are made, what they know.
// Owns: .bobbin/triggers/fires.log: one JSON object a line; its rewriting when it has grown.
// Never: makes a drop (TriggerDrops does); believes that a line which was cut off was ever written.
// On failure: SystemError of the disk: then nothing was decided. Damaged lines are left out and counted.
import JobModel
import LinuxSystem

/// A drop that a trigger makes: decided once, made once.
public struct Fire: Hashable, Sendable {
    /// `schedule/daily_report`.
    public let trigger: String
    public let ticket: String
    public var queue: QueueName
    public var priority: Priority
    /// The drop's name, with the ticket in it.
    public var name: String
    /// The bytes of the drop.
    public var text: String
    /// Its line in the log: ready before it is needed.
    let line: [UInt8]

    public init(
        trigger: String, ticket: String, queue: QueueName, priority: Priority, name: String, text: String
    ) {
        self.trigger = trigger
        self.ticket = ticket
        self.queue = queue
        self.priority = priority
        self.name = name
        self.text = text
        line = JSONText.bytes(
            .map([
                "fire": .string(trigger), "ticket": .string(ticket), "queue": .string(queue.text),
                "priority": .int(priority.level), "name": .string(name), "text": .string(text),
            ]))
    }
    public var lane: String { "\(queue)/\(priority.directory)" }
}

/// The order is: `decide` is durable before any drop appears; the drop; `made` before it is forgotten. After a crash what
/// was decided and not made is asked for by its ticket, wherever it may be, and made if it is nowhere.
public final class FireLog {
    public static let fileName = "fires.log"
    private static let largest = 1 << 30
    /// It is rewritten when it is larger than this, and than twice what it says.
    private let rewriteAt: Int

    private let directory: Directory
    private var file: OpenFile
    /// The file was replaced and could not be opened anew.
    private var isStale = false
    private var size: Int
    private var sizeAtRewrite = 0
    /// What is known, by key: maps of the triggers' own.
    public private(set) var facts: [String: ValueMap] = [:]
    /// Decided and perhaps not made, by ticket.
    public private(set) var open: [String: Fire] = [:]
    /// Lines that could not be read.
    public private(set) var damaged = 0

    public init(_ directory: Directory, rewriteAt: Int = 4 << 20) throws(SystemError) {
        self.directory = directory
        self.rewriteAt = rewriteAt
        file = try directory.openForUpdate(FireLog.fileName, mode: 0o600)
        let bytes = try file.readToEnd(limit: FireLog.largest)
        // Its end is the newest: a file that is not read whole must not be cut.
        guard bytes.count < FireLog.largest else {
            throw SystemError.tooLarge(FireLog.fileName)
        }
        // What has no newline was being written when the machine stopped.
        let whole = bytes.lastIndex(of: 0x0A).map { $0 + 1 } ?? 0
        if whole < bytes.count { try file.truncate(to: whole) }
        size = whole
        var lines = 0
        for line in bytes[..<whole].split(separator: 0x0A) {
            take(line)
            lines += 1
        }
        // About what it would be if it had been written anew.
        sizeAtRewrite = lines == 0 ? 0 : whole / lines * (facts.count + open.count)
    }

    /// What is known, for people who only look; it may be a moment old.
    public static func facts(in directory: Directory) throws(SystemError) -> [String: ValueMap] {
        guard try directory.statusIfPresent(fileName) != nil else { return [:] }
        let bytes = try directory.openForReading(fileName).readToEnd(limit: largest)
        var facts: [String: ValueMap] = [:]
        for line in bytes.split(separator: 0x0A) {
            // A line that is just being written is no line yet.
            guard case .map(let map)? = try? JSONReader.read(Array(line)), let key = map["of"]?.stringValue,
                let value = map["is"]
            else { continue }
            facts[key] = value.mapValue
        }
        return facts
    }

    private func take(_ line: ArraySlice<UInt8>) {
        // One that is none is counted, and told by who opens the log.
        guard case .map(let map)? = try? JSONReader.read(Array(line)) else {
            damaged += 1
            return
        }
        if let key = map["of"]?.stringValue, let value = map["is"] {
            facts[key] = value.mapValue
        } else if let fire = Fire(map) {
            open[fire.ticket] = fire
        } else if let made = map["made"]?.listValue {
            for ticket in made { open[ticket.text] = nil }
        } else {
            damaged += 1
        }
    }

    /// Durable when it returns: these drops are to be made, and these facts hold (nil: no more).
    public func decide(_ fires: [Fire], facts: [String: ValueMap?] = [:]) throws(SystemError) {
        guard !fires.isEmpty || !facts.isEmpty else { return }
        let lines = fires.map(\.line) + FireLog.lines(facts)
        try append(lines, durable: true)
        for fire in fires { open[fire.ticket] = fire }
        for (key, value) in facts { self.facts[key] = value }
    }
    /// These are made, and durable in their directories.
    public func made(_ fires: [Fire], facts: [String: ValueMap?] = [:]) throws(SystemError) {
        guard !fires.isEmpty || !facts.isEmpty else { return }
        var lines = FireLog.lines(facts)
        if !fires.isEmpty {
            lines.append(JSONText.bytes(.map(["made": .list(fires.map { .string($0.ticket) })])))
        }
        try append(lines, durable: false)
        for fire in fires { open[fire.ticket] = nil }
        for (key, value) in facts { self.facts[key] = value }
        if size > rewriteAt, size > 2 * sizeAtRewrite { try rewrite() }
    }

    private static func lines(_ facts: [String: ValueMap?]) -> [[UInt8]] {
        facts.sorted { $0.key < $1.key }.map { key, value in
            JSONText.bytes(.map(["of": .string(key), "is": value.map(Value.map) ?? .null]))
        }
    }

    private func append(_ lines: [[UInt8]], durable: Bool) throws(SystemError) {
        var bytes: [UInt8] = []
        for line in lines {
            bytes += line
            bytes.append(0x0A)
        }
        if isStale {
            file = try directory.openForUpdate(FireLog.fileName, mode: 0o600)
            size = try file.status().size
            isStale = false
        }
        do {
            try file.write(bytes, at: size)
            if durable { try file.syncData() }
        } catch {
            // A part of a line must not become the beginning of the next one; what cannot be cut is overwritten by it.
            try? file.truncate(to: size)
            throw error
        }
        size += bytes.count
    }

    private func rewrite() throws(SystemError) {
        let known = facts.mapValues { Optional($0) }
        let waiting = open.values.sorted { $0.ticket < $1.ticket }.map(\.line)
        let bytes = Array((FireLog.lines(known) + waiting).map { $0 + [0x0A] }.joined())
        // From the rename on, the old file is nobody's.
        isStale = true
        try AtomicFile.write(bytes, to: FireLog.fileName, in: directory, mode: 0o600, existing: .replace)
        sizeAtRewrite = bytes.count
        try append([], durable: false)
    }
}

extension Fire {
    init?(_ map: ValueMap) {
        guard let trigger = map["fire"]?.stringValue, let ticket = map["ticket"]?.stringValue,
            let queue = map["queue"]?.stringValue.flatMap({ QueueName($0) }),
            let priority = map["priority"]?.intValue.flatMap({ Priority($0) }),
            let name = map["name"]?.stringValue, let text = map["text"]?.stringValue
        else { return nil }
        self.init(
            trigger: trigger, ticket: ticket, queue: queue, priority: priority, name: name, text: text)
    }
}
