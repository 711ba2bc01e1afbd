// What this is: which run has which concurrency key: kernel locks on `.bobbin/slots/keys/<digest>`, which name the run.
// Owns: the lock files; one open file for each key that this process holds.
// Never: keeps a key of a process that died; leaves the file of a key that nobody holds.
// On failure: SystemError.
import JobModel
import LinuxSystem

public final class KeyLocks: Sendable {
    private let directory: Directory
    private let held = Monitor<[String: (run: RunID, lock: FileLock)]>([:])

    public init(_ slots: Directory) throws(SystemError) {
        directory = try slots.makeDirectory(SpoolName.keys, mode: 0o700)
    }

    /// The run that has the key; nil: nobody of this process.
    public func holder(_ digest: String) -> RunID? { held.with { $0[digest]?.run } }

    /// The run has the key now, or has had it. False: another has it.
    public func take(_ digest: String, for run: RunID) throws(SystemError) -> Bool {
        if let holder = holder(digest) { return holder == run }
        // The file of a key that was just let go may be removed under us: then it is made anew.
        for _ in 0..<100 {
            guard let lock = try FileLock.take(digest, in: directory) else { return false }
            guard try directory.statusIfPresent(digest)?.inode == lock.file.status().inode else { continue }
            try KeyLocks.write(run, lock)
            let isOurs = held.with { held -> Bool in
                guard held[digest] == nil else { return held[digest]?.run == run }
                held[digest] = (run, lock)
                return true
            }
            return isOurs
        }
        return false
    }

    /// Hands the key on without letting go of it.
    public func pass(_ digest: String, to run: RunID) throws(SystemError) {
        guard let lock = held.with({ $0[digest]?.lock }) else { return }
        try KeyLocks.write(run, lock)
        held.with { $0[digest]?.run = run }
    }

    public func release(_ digest: String) throws(SystemError) {
        guard let lock = held.with({ $0.removeValue(forKey: digest)?.lock }) else { return }
        try directory.removeIfPresent(digest)
        withExtendedLifetime(lock) {}
    }

    /// Who has it, as the file says: for messages.
    public func named(_ digest: String) -> RunID? {
        // Unreadable or just gone: nobody to name.
        let text = try? directory.openForReading(digest).read(upTo: RunID.length)
        return text.flatMap { RunID(String(decoding: $0, as: UTF8.self)) }
    }

    private static func write(_ run: RunID, _ lock: FileLock) throws(SystemError) {
        try lock.file.truncate(to: 0)
        try lock.file.write(Array("\(run)\n".utf8), at: 0)
    }
}
