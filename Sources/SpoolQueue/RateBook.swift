// What this is: how often runs of one key may begin: one file a key, `.bobbin/rates/<digest>`, with the last turns taken.
// Owns: the rule: in any span of `per`, whenever it begins, at most `limit` turns.
// Never: counts a run twice that waited for its turn.
// On failure: SystemError.
import JobModel
import LinuxSystem

public final class RateBook: Sendable {
    private let directory: Directory

    public init(_ state: Directory) throws(SystemError) {
        directory = try state.makeDirectory(SpoolName.rates, mode: 0o700)
    }

    /// When a run that asks now may begin; its turn is taken by asking.
    public func turn(_ digest: String, limit: Int, per: Span, now: Timestamp) throws(SystemError) -> Timestamp
    {
        while true {
            guard let lock = try FileLock.take(digest, in: directory) else {
                _ = try Waker.sleep([], until: Clocks.monotonic + 1_000_000)
                continue
            }
            defer { withExtendedLifetime(lock) {} }
            let bytes = try lock.file.read(upTo: lock.file.status().size)
            // A line that a crash left half is no turn.
            let known = String(decoding: bytes, as: UTF8.self).split(separator: "\n").compactMap { Int64($0) }
            let turns = RateBook.next(known, limit, per, now)
            // Written over, then cut: a crash in between leaves more turns than there were, never fewer.
            let text = Array(turns.map { "\($0)\n" }.joined().utf8)
            try lock.file.write(text, at: 0)
            try lock.file.truncate(to: text.count)
            return Timestamp(nanoseconds: turns.last ?? now.nanoseconds)
        }
    }

    /// The turns that count from now on, in nanoseconds since 1970; the last is the new one.
    static func next(_ known: [Int64], _ limit: Int, _ per: Span, _ now: Timestamp) -> [Int64] {
        // A clock that was set back by more than a year must not keep everybody waiting for that.
        let turns = known.filter { $0 < now.nanoseconds + 366 * 86_400 * 1_000_000_000 }.suffix(limit)
        let due =
            turns.count < limit
            ? max(now.nanoseconds, turns.last ?? .min)
            : max(now.nanoseconds, turns[turns.endIndex - limit] + per.nanoseconds, turns.last ?? .min)
        return turns.suffix(limit - 1) + [due]
    }
}
