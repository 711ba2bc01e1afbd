// What this is: the thread of the triggers: it sleeps until the clock, a file or a person wants something, and lets the desks
//   of schedules, watchers and events do it.
// Owns: its lock (one process of a spool serves triggers), its alarm, its watch on ops/.
// Never: is in the way of the main loop; makes anything while the spool drains.
// On failure: trouble of the disk is logged and tried again; without the lock another process serves, and it waits.
import JobModel
import LinuxSystem
import SpoolQueue
import Triggers

final class TriggerDesk: Sendable {
    private struct State {
        var isClosing = false
        var isDraining = false
    }
    private let core: RunnerCore
    private let waker: Waker
    private let state = Monitor(State())
    private let thread = Monitor<BlockingThread?>(nil)

    init(_ core: RunnerCore) throws {
        self.core = core
        waker = try Waker()
        let started = try BlockingThread.start("triggers") { self.loop() }
        thread.with { $0 = started }
    }

    /// Runs have ended: something may wait for that.
    func poke() { waker.wake() }
    func drain() {
        state.with { $0.isDraining = true }
        waker.wake()
    }
    func close() {
        state.with { $0.isClosing = true }
        waker.wake()
        thread.with { $0 }?.join()
    }

    private static let rest = Span.seconds(5).nanoseconds

    private func loop() {
        while !state.with({ $0.isClosing }) {
            do {
                guard let lock = try FileLock.take(SpoolName.lock, in: home()) else {
                    // Another process serves the triggers of this spool.
                    try sleep()
                    continue
                }
                try TriggerShift(core, waker: waker, home: home()).work { [state] in
                    state.with { ($0.isClosing, $0.isDraining) }
                }
                withExtendedLifetime(lock) {}
            } catch {
                core.diskTrouble("the triggers", error)
                // Only a process without poll comes here twice in a row.
                do { try sleep() } catch { return }
            }
        }
    }
    private func home() throws -> Directory {
        try core.site.spool.state.makeDirectory(SpoolName.triggers, mode: 0o700)
    }
    private func sleep() throws {
        _ = try Waker.sleep([waker.fd], until: Clocks.monotonic + TriggerDesk.rest)
        waker.clear()
    }
}

/// The time for which this process holds the lock.
private final class TriggerShift {
    private let core: RunnerCore
    private let waker: Waker
    private let alarm: WallAlarm
    private let watch: DirectoryWatch
    private let drops: TriggerDrops
    private let schedules: ScheduleDesk
    private var nextHousekeeping: Int64 = 0
    private var nextFinish: Int64 = .max
    private static let housekeepingEvery = Span.seconds(5).nanoseconds
    private static let finishAgain = Span.seconds(1).nanoseconds
    private static let opsTag = 1

    init(_ core: RunnerCore, waker: Waker, home: Directory) throws {
        self.core = core
        self.waker = waker
        alarm = try WallAlarm()
        watch = try DirectoryWatch()
        let log = try FireLog(home)
        if log.damaged > 0 {
            core.log.warn(
                "schedule",
                "\(log.damaged) line\(log.damaged == 1 ? "" : "s") of spool/.bobbin/\(SpoolName.triggers)/\(FireLog.fileName) could not be read and are left out"
            )
        }
        let traces = DropTraces(core.site.spool)
        drops = TriggerDrops(
            log, spool: .init(lane: traces.lane, known: traces.known),
            trouble: { fire, error in
                core.diskTrouble("the drop of \(fire.trigger) in \(fire.lane), which is tried again", error)
            })
        schedules = ScheduleDesk(core, drops)
        try watch.add(core.site.spool.site.directory("ops"), tag: TriggerShift.opsTag)
    }

    func work(_ told: () -> (isClosing: Bool, isDraining: Bool)) throws {
        drops.finishOpen()
        schedules.reread()
        while true {
            let (isClosing, isDraining) = told()
            if isClosing { return }
            if !isDraining { schedules.tick() }
            nextFinish =
                drops.log.open.isEmpty ? .max : min(nextFinish, Clocks.monotonic + TriggerShift.finishAgain)
            if try alarm.set(isDraining ? nil : schedules.nextDue?.nanoseconds) { schedules.clockWasSet() }
            let deadline = min(nextHousekeeping, schedules.nextLook, nextFinish)
            let ready = try Waker.sleep([waker.fd, alarm.fd, watch.fd], until: deadline)
            if ready[0] { waker.clear() }
            if ready[1], case .clockWasSet = alarm.take() { schedules.clockWasSet() }
            if ready[2] { try takeHints() }
            let now = Clocks.monotonic
            if now >= nextFinish {
                nextFinish = .max
                drops.finishOpen()
            }
            if now >= nextHousekeeping {
                nextHousekeeping = now + TriggerShift.housekeepingEvery
                schedules.reread()
            }
        }
    }

    private func takeHints() throws {
        let report = try watch.drain()
        let isOurs = report.hints.contains { entry in
            switch entry.hint {
            case .closed(let name), .movedIn(let name): name == ScheduleFile.name
            case .appeared, .removed: false
            case .gone: true
            }
        }
        if isOurs || report.overflowed { schedules.reread() }
    }
}
