// What this is: the time of a site, which never goes back: a clock that is set back gives no question more time.
// Owns: `.bobbin/clock`, whose modification time is the latest instant that any runner has seen.
// Never: stands still: where the wall is behind, it runs on at its own pace until the wall has caught up.
// On failure: SystemError at the start; later a beat that cannot be kept is left out, and memory serves.
import JobModel
import LinuxSystem
import SpoolQueue

final class SiteClock {
    private let file: OpenFile
    private var seen: Int64
    private var seenAt = Clocks.monotonic
    /// A clock that was ahead by more than this was wrong, and must not keep the site in the future for days.
    private static let most = Span.seconds(3600).nanoseconds

    init(_ state: Directory) throws(SystemError) {
        let isNew = try state.statusIfPresent(SpoolName.clock) == nil
        file = try state.openForUpdate(SpoolName.clock, mode: 0o600)
        seen = isNew ? Clocks.wall : try file.status().modified
    }

    var now: Timestamp {
        let (wall, ticks) = (Clocks.wall, Clocks.monotonic)
        let own = seen + (ticks - seenAt)
        seen = own - wall > SiteClock.most ? wall : max(own, wall)
        seenAt = ticks
        return Timestamp(nanoseconds: seen)
    }

    func keep() {
        let now = now.nanoseconds
        // Either `try?`: another runner may know better. A full disk does not hinder this, and nothing depends on one beat.
        if let known = try? file.status().modified, known < now || known - now > SiteClock.most {
            try? file.setModified(now)
        }
    }
}
