// What this is: the ends of a week's runs, kept from one report to the next, so that only the newest are read again.
// Owns: what is kept, and whether it is still what the index says.
// Never: is asked for more than it was made for; keeps more than a million ends.
// On failure: what the index throws; then nothing is kept.
import JobModel
import LinuxSystem
import Reporting
import RunHistory
import SpoolQueue

final class EndMemory {
    private static let most = 1_000_000
    /// Runs of other runners come into the index some moments after their end.
    private static let late = Span.seconds(600)
    private var ends: [RunEnd] = []
    private var window: (since: Timestamp, until: Timestamp)?
    private var file: FileIdentity?

    func tally(_ history: RunHistory, _ spool: Spool, since: Timestamp, until: Timestamp) throws
        -> OutcomeTally
    {
        let now = try spool.state.statusIfPresent(SpoolName.index)?.identity
        if now == nil || now != file || window.map({ since < $0.since || until < $0.until }) ?? true {
            forget()
        }
        file = now
        var from = since
        if let window {
            from = max(since, window.until.adding(Span(nanoseconds: -EndMemory.late.nanoseconds)))
            ends.removeAll { $0.ended < since || $0.ended >= from }
        }
        window = nil
        try history.forEachEnd(since: from, until: until) { ends.append($0) }
        // One that came in late, or was taken away: all of it anew.
        if from > since, try history.count(since: since, until: until) != ends.count {
            ends = []
            try history.forEachEnd(since: since, until: until) { ends.append($0) }
        }
        var tally = OutcomeTally(since: since, until: until)
        for end in ends { tally.add(end) }
        tally.finish()
        if ends.count <= EndMemory.most { window = (since, until) } else { forget() }
        return tally
    }

    private func forget() {
        ends = []
        window = nil
    }
}
