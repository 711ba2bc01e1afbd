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
        try change(digest, makes: true) { $0.ask(run.text, rate, now: now) }
    }

    /// A person let the run go before its turn.
    public func begin(_ digest: String, _ run: RunID, now: Timestamp) throws(SystemError) {
        try change(digest, makes: true) { $0.begin(run.text, now: now) }
    }

    /// The run did not begin after all: something else keeps it.
    public func giveBack(_ digest: String, _ run: RunID) throws(SystemError) {
        try change(digest, makes: false) { $0.giveBack(run.text) }
    }

    /// The run has ended: if it never began, its turn is free.
    public func release(_ digest: String, _ run: RunID) throws(SystemError) {
        try change(digest, makes: false) { $0.release { $0 == run.text } }
    }

    private func change<Answer>(
        _ digest: String, makes: Bool, _ body: (inout RateTurns) -> Answer
    ) throws(SystemError) -> Answer {
        let isKnown = try directory.statusIfPresent(digest) != nil
        guard makes || isKnown else {
            var none = RateTurns()
            return body(&none)
        }
        while true {
            guard let lock = try FileLock.take(digest, in: directory) else {
                _ = try Waker.sleep([], until: Clocks.monotonic + 1_000_000)
                continue
            }
            defer { withExtendedLifetime(lock) {} }
            let bytes = try lock.file.read(upTo: lock.file.status().size)
            let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n").prefix { $0 != "end" }
            var turns = RateTurns(lines: lines)
            let before = turns
            let answer = body(&turns)
            // Written over, then cut; behind `end` may be what a crash left of an older text.
            if turns != before {
                let text = Array((turns.lines + ["end"]).map { $0 + "\n" }.joined().utf8)
                try lock.file.write(text, at: 0)
                try lock.file.truncate(to: text.count)
            }
            return answer
        }
    }
}
