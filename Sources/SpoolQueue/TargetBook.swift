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
        let name = DropName.escaped(target, limit: .max)
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

    /// Its failures, and the turns that were given but not used. False: nothing is known of it.
    public func forget(_ target: String) throws(SystemError) -> Bool {
        try change(target, makes: false) { state in
            guard !state.isPlain else { return false }
            let turns = state.turns
            state = TargetState()
            state.turns = turns
            state.release { _ in true }
            return true
        }
    }

    /// The run has ended: its turns are free. Costs a look at each target of which something is known.
    public func release(_ run: RunID) throws(SystemError) {
        for (target, state) in try TargetBook.all(in: directory) {
            var after = state
            after.release { $0.hasPrefix(run.text) }
            if after != state { try change(target, makes: false) { $0.release { $0.hasPrefix(run.text) } } }
        }
    }

    /// Forgets what nobody has called for a day, and where turns are kept for a year: they have a span of their own.
    public func prune(now: Timestamp) throws(SystemError) {
        for (target, _) in try TargetBook.all(in: directory) {
            let name = DropName.escaped(target, limit: .max)
            guard let status = try directory.statusIfPresent(name),
                Timestamp(nanoseconds: status.modified).adding(.seconds(86_400)) < now
            else { continue }
            try change(target, makes: false) { state in
                let old = now.adding(.seconds(-366 * 86_400))
                if state.turns.turns.allSatisfy({ $0.at < old }) { state = TargetState() }
            }
        }
    }

    /// All of which something is known, by name.
    public static func all(_ state: Directory) throws(SystemError) -> [(target: String, state: TargetState)] {
        guard try state.statusIfPresent(SpoolName.targets) != nil else { return [] }
        return try all(in: state.directory(SpoolName.targets))
    }
    private static func all(in directory: Directory) throws(SystemError) -> [(
        target: String, state: TargetState
    )] {
        var found: [(target: String, state: TargetState)] = []
        for name in try directory.names().sorted() {
            let bytes: [UInt8]
            do throws(SystemError) { bytes = try directory.openForReading(name).read(upTo: 1 << 20) } catch {
                // Forgotten since it was listed, or nothing of ours.
                guard [.missing, .kind, .access].contains(error.fileTrouble) else { throw error }
                continue
            }
            let first = String(decoding: bytes, as: UTF8.self).split(separator: "\n").first
            guard let first, first.hasPrefix("target ") else { continue }
            found.append((String(first.dropFirst(7)), read(bytes)))
        }
        return found
    }

    // MARK: form: a word and its value on each line, to the line `end`: behind it may be what a crash left of an older text

    static func text(_ state: TargetState, _ target: String) -> String {
        var lines = ["target \(target)", "failures \(state.failures)"]
        if !state.lastFailure.isEmpty { lines.append("last_failure \(state.lastFailure)") }
        if let since = state.downSince { lines.append("down_since \(since.rfc3339)") }
        if let open = state.openUntil { lines.append("open_until \(open.rfc3339)") }
        if let probe = state.probe { lines.append("probe \(probe.until.nanoseconds) \(probe.who)") }
        return (lines + state.turns.lines + ["end"]).joined(separator: "\n") + "\n"
    }

    static func read(_ bytes: [UInt8]) -> TargetState {
        var state = TargetState()
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n").prefix { $0 != "end" }
        for line in lines {
            let parts = line.split(separator: " ", maxSplits: 2).map(String.init)
            guard parts.count > 1 else { continue }
            switch parts[0] {
            case "failures": state.failures = Int(parts[1]) ?? 0
            case "last_failure": state.lastFailure = parts.dropFirst().joined(separator: " ")
            case "down_since": state.downSince = Timestamp(rfc3339: parts[1])
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
