// What this is: how often runs of one key may begin: one file a key, `.bobbin/rates/<digest>`, with the turns that count.
// Owns: these files, and the lock under which they change.
// Never: decides (JobModel's RateTurns does); counts a run twice that asks again.
// On failure: SystemError.
import JobModel
import LinuxSystem

public final class RateBook: Sendable {
    private let directory: Directory

    public init(_ state: Directory) throws(SystemError) {
        directory = try state.makeDirectory(SpoolName.rates, mode: 0o700)
    }

    /// Nil: the run begins now. Else when it is to ask again; its turn is kept for it.
    public func ask(_ digest: String, _ run: RunID, _ rate: RateLimit, now: Timestamp) throws(SystemError)
        -> Timestamp?
    {
        while true {
            guard let lock = try FileLock.take(digest, in: directory) else {
                _ = try Waker.sleep([], until: Clocks.monotonic + 1_000_000)
                continue
            }
            defer { withExtendedLifetime(lock) {} }
            let bytes = try lock.file.read(upTo: lock.file.status().size)
            var turns = RateTurns(lines: String(decoding: bytes, as: UTF8.self).split(separator: "\n"))
            let before = turns
            let due = turns.ask(run.text, rate, now: now)
            // Written over, then cut: a crash in between leaves more turns than there were, never fewer.
            if turns != before {
                let text = Array(turns.lines.map { $0 + "\n" }.joined().utf8)
                try lock.file.write(text, at: 0)
                try lock.file.truncate(to: text.count)
            }
            return due
        }
    }
}
