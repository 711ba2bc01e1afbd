// What this is: which run was accepted first under which idempotency key: files `.bobbin/once/<xx>/<digest>`.
// Owns: those files, durable before the run's first step; the lock under which they change.
// Never: forgets the key of a run that succeeded or is on its way.
// On failure: SystemError; the run waits, since nobody can say whether it is the first.
import JobModel
import LinuxSystem

public final class OnceKeys: Sendable {
    public struct First: Hashable, Sendable {
        public var run: RunID
        public var acceptedAt: Timestamp
        /// Nil while it is on its way.
        public var endedAt: Timestamp?
    }
    private let directory: Directory
    private static let lockName = "lock"

    public init(_ state: Directory) throws(SystemError) {
        directory = try state.makeDirectory(SpoolName.once, mode: 0o700)
    }

    /// Nil: this run is the first, or the first whose key has expired. Else the run that was.
    public func claim(
        _ digest: String, for run: RunID, at accepted: Timestamp, within: Span?
    ) throws(SystemError) -> First? {
        let folder = try self.folder(digest, makes: true) ?? directory
        return try locked { () throws(SystemError) in
            if let first = try OnceKeys.read(digest, in: folder), first.run != run {
                // One that is on its way counts, however long it takes.
                guard let within, let ended = first.endedAt, ended.adding(within) < accepted else {
                    return first
                }
            }
            // Asked again after a crash: what is written stays.
            if try OnceKeys.read(digest, in: folder)?.run == run { return nil }
            try OnceKeys.write(First(run: run, acceptedAt: accepted), digest, folder)
            return nil
        }
    }

    /// The run has succeeded.
    public func keep(_ digest: String, of run: RunID, at accepted: Timestamp, ended: Timestamp)
        throws(SystemError)
    {
        guard let folder = try folder(digest, makes: true) else { return }
        try locked { () throws(SystemError) in
            let known = try OnceKeys.read(digest, in: folder)
            guard known == nil || known?.run == run, known?.endedAt == nil else { return }
            try OnceKeys.write(First(run: run, acceptedAt: accepted, endedAt: ended), digest, folder)
        }
    }

    private static func write(_ first: First, _ digest: String, _ folder: Directory) throws(SystemError) {
        let words = [first.run.text, first.acceptedAt.rfc3339] + (first.endedAt.map { [$0.rfc3339] } ?? [])
        try AtomicFile.write(
            Array((words.joined(separator: " ") + "\n").utf8), to: digest, in: folder, mode: 0o600,
            existing: .replace)
    }

    /// The run did not succeed: the next with its key may try.
    public func forget(_ digest: String, of run: RunID) throws(SystemError) {
        guard let folder = try folder(digest, makes: false) else { return }
        try locked { () throws(SystemError) in
            guard try OnceKeys.read(digest, in: folder)?.run == run else { return }
            try folder.removeIfPresent(digest)
            try folder.sync()
        }
    }

    private func folder(_ digest: String, makes: Bool) throws(SystemError) -> Directory? {
        let name = String(digest.prefix(2))
        if try directory.statusIfPresent(name) == nil {
            guard makes else { return nil }
            let made = try directory.makeDirectory(name, mode: 0o700)
            try directory.sync()
            return made
        }
        return try directory.directory(name)
    }

    private static func read(_ digest: String, in folder: Directory) throws(SystemError) -> First? {
        guard try folder.statusIfPresent(digest) != nil else { return nil }
        let words = String(decoding: try folder.openForReading(digest).read(upTo: 200), as: UTF8.self)
            .split(whereSeparator: \.isWhitespace)
        // What nobody can read names nobody: the file is written anew.
        guard (2...3).contains(words.count), let run = RunID(words[0]),
            let instant = Timestamp(rfc3339: String(words[1]))
        else { return nil }
        return First(
            run: run, acceptedAt: instant,
            endedAt: words.count == 3 ? Timestamp(rfc3339: String(words[2])) : nil)
    }

    /// Held for the time of one small write, by any runner of the spool.
    private func locked<Out>(_ body: () throws(SystemError) -> Out) throws(SystemError) -> Out {
        while true {
            guard let lock = try FileLock.take(OnceKeys.lockName, in: directory) else {
                _ = try Waker.sleep([], until: Clocks.monotonic + 1_000_000)
                continue
            }
            defer { withExtendedLifetime(lock) {} }
            return try body()
        }
    }
}
