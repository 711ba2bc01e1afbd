// What this is: the time of a site, which never goes back: a clock that is set back gives no question more time.
// Owns: `.bobbin/clock`, whose modification time is the latest instant that any runner has seen.
// Never: stands still: it follows the wall where that is ahead.
// On failure: SystemError at the start; later a beat that cannot be kept is left out, and memory serves.
import JobModel
import LinuxSystem
import SpoolQueue

final class SiteClock {
    private let file: OpenFile
    private var seen: Int64

    init(_ state: Directory) throws(SystemError) {
        let isNew = try state.statusIfPresent(SpoolName.clock) == nil
        file = try state.openForUpdate(SpoolName.clock, mode: 0o600)
        seen = isNew ? Clocks.wall : try file.status().modified
    }
    /// A file from the future (a clock that was wrong by days) must not stop the site for days: it is followed for an hour.
    var now: Timestamp {
        let wall = Clocks.wall
        if seen - wall > SiteClock.most { seen = wall }
        seen = max(seen, wall)
        return Timestamp(nanoseconds: seen)
    }
    private static let most = Span.seconds(3600).nanoseconds

    func keep() {
        let now = now.nanoseconds
        // Only forward: another runner may know better. A full disk does not hinder this, and nothing depends on one beat.
        if let known = try? file.status().modified, known < now { try? file.setModified(now) }
    }
}
