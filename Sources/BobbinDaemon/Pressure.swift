// What this is: why a runner begins nothing new for a while: no room on the disk, no descriptors, no processes, or a
//   spool that is not where people look for it.
// Owns: the gauge of the disk, by which work goes slowly before it stops, the wait after a blow from the system, and the note that `bobbin status` shows.
// Never: touches work that has begun; fails a job for the host's trouble.
// On failure: a disk that cannot be asked changes nothing; a note that cannot be written is only not shown.
import JobModel
import LinuxSystem
import SpoolQueue

final class Pressure: Sendable {
    private struct State {
        var gauge = DiskGauge()
        /// A call was refused for want of something that cannot be read off beforehand: quota, descriptors, processes.
        var struck: (why: String, until: Int64)?
        var patience = Pressure.shortest
        var told: String?
    }
    private let state = Monitor(State())
    private let root: Directory
    private let spool: String
    private let identity: FileIdentity?
    private let note: OpenFile?
    private static let shortest = Span.seconds(1).nanoseconds, longest = Span.seconds(60).nanoseconds
    private static let noteBytes = 512

    init(root: Directory, spool: String, home: Directory) {
        self.root = root
        self.spool = spool
        // Unreadable: then its place is not watched.
        identity = (try? root.status())?.identity
        // Written now, so that a full disk can be told of in place. Without it the log tells alone.
        note = try? home.openForUpdate(SpoolName.pressure)
        tell("")
    }

    /// One look at the disk: why nothing may begin, or nil.
    func look() -> String? {
        state.with { state in
            // Under the lock, so that readings come in their order. Unreadable for a moment: the last one holds.
            if let facts = try? root.fileSystem() { state.gauge.read(facts, at: Clocks.wall) }
            if let struck = state.struck, Clocks.monotonic >= struck.until { state.struck = nil }
            return misplaced ?? state.gauge.shortage ?? state.struck?.why
        }
    }
    /// Something was mounted over the spool, or it was moved away: what people drop now does not come to us, and what we
    /// would begin they could not see.
    private var misplaced: String? {
        guard let identity else { return nil }
        do throws(SystemError) {
            if try FileStatus.of(root.path).identity == identity { return nil }
            return "another directory stands at \(root.path): spool \(spool) is not mounted there any more"
        } catch {
            // Out of memory, say: that tells nothing of the directory.
            return error.isMissing ? "\(root.path) is gone: spool \(spool) was moved or unmounted" : nil
        }
    }
    /// Why runs go one at a time, by the last look.
    var scarcity: String? { state.with { $0.gauge.scarcity } }
    var full: [FullSpan] { state.with { $0.gauge.full } }

    /// The system refused something. The wait doubles from 1 s to 60 s as long as that goes on.
    func strike(_ why: String) {
        let now = Clocks.monotonic
        state.with { state in
            guard state.struck == nil else { return }
            state.struck = (why, now + state.patience)
            state.patience = min(state.patience * 2, Pressure.longest)
        }
    }
    /// Something began and was not refused.
    func ease() {
        state.with { if $0.struck == nil { $0.patience = Pressure.shortest } }
    }

    /// For `bobbin status`; empty: all is well.
    func tell(_ why: String) {
        let isNew = state.with { state -> Bool in
            defer { state.told = why }
            return state.told != why
        }
        guard isNew else { return }
        let bytes = Array(why.utf8.prefix(Pressure.noteBytes - 1)) + [0x0A]
        // A note that cannot be written is only not shown; see the head.
        try? note?.write(
            bytes + [UInt8](repeating: 0x0A, count: Pressure.noteBytes - bytes.count), at: 0)
    }

    /// Errors that speak of the host and not of the file or the job.
    static func isHostTrouble(_ error: any Error) -> Bool {
        guard let error = error as? SystemError else { return false }
        return error.isFull || error.isShortOfResources
    }
}
