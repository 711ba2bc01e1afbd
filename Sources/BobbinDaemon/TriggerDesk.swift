// What this is: the threads of the triggers, one for the clock and one for files, so that a great folder keeps no schedule waiting.
// Owns: their locks: one process of a spool serves each.
// Never: is in the way of the main loop; decides anything while the spool drains (what is decided is made).
// On failure: trouble of the disk is logged and tried again; without the lock another process serves, and it waits.
import JobModel
import LinuxSystem
import SpoolQueue
import Triggers

/// What the main loop wants of a thread of triggers.
struct TriggerOrders: Sendable {
    var isClosing = false
    var isDraining = false
}

/// The time for which this process holds one of the locks.
protocol TriggerShift {
    /// Works until it is told to close.
    func work(_ orders: () -> TriggerOrders) throws
}

final class TriggerDesk: Sendable {
    private final class Seat: Sendable {
        let waker: Waker
        let thread = Monitor<BlockingThread?>(nil)
        init() throws(SystemError) { waker = try Waker() }
    }
    private let core: RunnerCore
    private let orders = Monitor(TriggerOrders())
    private let clock: Seat
    private let files: Seat

    init(_ core: RunnerCore) throws {
        self.core = core
        clock = try Seat()
        files = try Seat()
        let schedules = try BlockingThread.start("schedules") {
            self.loop(self.clock, SpoolName.lock) { try ScheduleShift(self.core, self.clock.waker, $0) }
        }
        clock.thread.with { $0 = schedules }
        let watchers = try BlockingThread.start("watchers") {
            self.loop(self.files, SpoolName.filesLock) { try FileShift(self.core, self.files.waker, $0) }
        }
        files.thread.with { $0 = watchers }
    }

    /// Runs have ended: something may wait for that.
    func poke() { clock.waker.wake() }
    func drain() {
        orders.with { $0.isDraining = true }
        clock.waker.wake()
        files.waker.wake()
    }
    func close() {
        orders.with { $0.isClosing = true }
        for seat in [clock, files] {
            seat.waker.wake()
            seat.thread.with { $0 }?.join()
        }
    }

    private static let rest = Span.seconds(5).nanoseconds

    private func loop(_ seat: Seat, _ lockName: String, _ begin: (Directory) throws -> any TriggerShift) {
        while !orders.with({ $0.isClosing }) {
            do {
                let home = try core.site.spool.state.makeDirectory(SpoolName.triggers, mode: 0o700)
                guard let lock = try FileLock.take(lockName, in: home) else {
                    // Another process serves.
                    try sleep(seat)
                    continue
                }
                try begin(home).work { orders.with { $0 } }
                withExtendedLifetime(lock) {}
            } catch {
                core.triggerTrouble("the triggers", error)
                // A process that cannot even wait serves no triggers any more; its runs go on.
                do { try sleep(seat) } catch { return }
            }
        }
    }
    private func sleep(_ seat: Seat) throws {
        _ = try Waker.sleep([seat.waker.fd], until: Clocks.monotonic + TriggerDesk.rest)
        seat.waker.clear()
    }

    /// The log of decisions in a directory, and the drops made from it.
    static func drops(_ core: RunnerCore, _ home: Directory) throws -> TriggerDrops {
        let log = try FireLog(home)
        if log.damaged > 0 {
            core.log.warn(
                "trigger",
                "\(log.damaged) line\(log.damaged == 1 ? "" : "s") of \(home.path)/\(FireLog.fileName) could not be read and are left out"
            )
        }
        let traces = DropTraces(core.site.spool)
        return TriggerDrops(
            log, spool: .init(lane: traces.lane, known: traces.known),
            trouble: { fire, error in
                // Without the name of a temporary file: the same trouble is told once.
                let error =
                    (error as? SystemError).map { SystemError($0.call, fire.lane, errno: $0.errno) } ?? error
                core.triggerTrouble(
                    "the drop of \(fire.trigger) in \(fire.lane), which is tried again", error)
            })
    }
    /// Whether the events speak of one of these files of ops/.
    static func speaks(_ report: DirectoryWatch.Report, of names: [String]) -> Bool {
        report.overflowed
            || report.hints.contains { entry in
                switch entry.hint {
                case .closed(let name), .movedIn(let name): names.contains(name)
                case .appeared, .removed: false
                case .gone: true
                }
            }
    }
}
