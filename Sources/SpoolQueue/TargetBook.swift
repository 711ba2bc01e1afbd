// What this is: what is known of the services that steps call: one file each, `.bobbin/targets/<host:port>`, for all runners.
// Owns: the form of these files, and the lock under which they change.
// Never: decides (JobModel's TargetState does); keeps a file that says nothing. An operator who removes one forgets a failure.
// On failure: SystemError. A line that cannot be read is left out.
import JobModel
import LinuxSystem

public final class TargetBook: Sendable {
    private let directory: Directory

    public init(_ state: Directory) throws(SystemError) {
        directory = try state.makeDirectory(SpoolName.targets, mode: 0o700)
    }

    /// Reads, changes and writes; `makes`: also where nothing is known yet.
    public func change<Answer>(
        _ target: String, makes: Bool, _ body: (inout TargetState) -> Answer
    ) throws(SystemError) -> Answer {
        let name = DropName.escaped(target, limit: 240)
        let isKnown = try directory.statusIfPresent(name) != nil
        guard makes || isKnown else {
            var state = TargetState()
            let answer = body(&state)
            // What came of nothing is kept where it says something.
            guard !state.isPlain else { return answer }
            return try change(target, makes: true, body)
        }
        while true {
            guard let lock = try FileLock.take(name, in: directory) else {
                _ = try Waker.sleep([], until: Clocks.monotonic + 1_000_000)
                continue
            }
            // The file of a target of which nothing was known any more may have been removed under us.
            guard try directory.statusIfPresent(name)?.inode == lock.file.status().inode else { continue }
            defer { withExtendedLifetime(lock) {} }
            let before = TargetBook.read(try lock.file.read(upTo: lock.file.status().size))
            var state = before
            let answer = body(&state)
            if state.isPlain {
                try directory.removeIfPresent(name)
            } else if state != before {
                let bytes = Array(TargetBook.text(state, target).utf8)
                try lock.file.write(bytes, at: 0)
                try lock.file.truncate(to: bytes.count)
            }
            return answer
        }
    }

    /// False: nothing is known of it. Turns that were given stay given.
    public func forget(_ target: String) throws(SystemError) -> Bool {
        try change(target, makes: false) { state in
            guard !state.isPlain else { return false }
            (state.failures, state.lastFailure, state.openUntil, state.probe) = (0, "", nil, nil)
            return true
        }
    }

    /// All of which something is known, by name.
    public static func all(_ state: Directory) throws(SystemError) -> [(target: String, state: TargetState)] {
        guard try state.statusIfPresent(SpoolName.targets) != nil else { return [] }
        let directory = try state.directory(SpoolName.targets)
        var found: [(target: String, state: TargetState)] = []
        for name in try directory.names().sorted() {
            let bytes: [UInt8]
            do throws(SystemError) { bytes = try directory.openForReading(name).read(upTo: 1 << 20) } catch {
                // Forgotten since it was listed.
                guard error.isMissing else { throw error }
                continue
            }
            let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
            let target = lines.first.flatMap { $0.hasPrefix("target ") ? String($0.dropFirst(7)) : nil }
            found.append((target ?? name, read(bytes)))
        }
        return found
    }

    // MARK: form: a word and its value on each line

    static func text(_ state: TargetState, _ target: String) -> String {
        var lines = ["target \(target)", "failures \(state.failures)"]
        if !state.lastFailure.isEmpty { lines.append("last_failure \(state.lastFailure)") }
        if let open = state.openUntil { lines.append("open_until \(open.rfc3339)") }
        if let probe = state.probe { lines.append("probe \(probe.until.nanoseconds) \(probe.who)") }
        return (lines + state.turns.lines).joined(separator: "\n") + "\n"
    }

    static func read(_ bytes: [UInt8]) -> TargetState {
        var state = TargetState()
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
        for line in lines {
            let parts = line.split(separator: " ", maxSplits: 2).map(String.init)
            guard parts.count > 1 else { continue }
            switch parts[0] {
            case "failures": state.failures = Int(parts[1]) ?? 0
            case "last_failure": state.lastFailure = parts.dropFirst().joined(separator: " ")
            case "open_until": state.openUntil = Timestamp(rfc3339: parts[1])
            case "probe":
                guard let until = Int64(parts[1]), parts.count > 2 else { continue }
                state.probe = .init(until: Timestamp(nanoseconds: until), who: parts[2])
            default: break
            }
        }
        state.turns = RateTurns(lines: lines)
        return state
    }
}
