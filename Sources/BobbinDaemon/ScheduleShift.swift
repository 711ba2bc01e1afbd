// What this is: the loop of the schedules: it sleeps until the clock, a file or the end of a run wants something.
// Owns: the alarm on the wall clock, the watch on ops/.
// Never: decides anything (ScheduleDesk and its book do).
// On failure: thrown to TriggerDesk, which begins anew.
import JobModel
import LinuxSystem
import Triggers

final class ScheduleShift: TriggerShift {
    private let waker: Waker
    private let alarm: WallAlarm
    private let watch: DirectoryWatch
    private let drops: TriggerDrops
    private let desk: ScheduleDesk
    private var nextHousekeeping: Int64 = 0
    private var nextFinish: Int64 = .max
    private static let housekeepingEvery = Span.seconds(5).nanoseconds
    private static let finishAgain = Span.seconds(1).nanoseconds

    init(_ core: RunnerCore, _ waker: Waker, _ home: Directory) throws {
        self.waker = waker
        alarm = try WallAlarm()
        watch = try DirectoryWatch()
        drops = try TriggerDesk.drops(core, home)
        desk = ScheduleDesk(core, drops)
        try watch.add(core.site.spool.site.directory("ops"), tag: 1)
    }

    func work(_ orders: () -> TriggerOrders) throws {
        drops.finishOpen()
        desk.reread()
        while true {
            let now = orders()
            if now.isClosing { return }
            if !now.isDraining { desk.tick() }
            try sleep(isDraining: now.isDraining)
        }
    }

    private func sleep(isDraining: Bool) throws {
        nextFinish =
            drops.log.open.isEmpty ? .max : min(nextFinish, Clocks.monotonic + ScheduleShift.finishAgain)
        if try alarm.set(isDraining ? nil : desk.nextDue?.nanoseconds) { desk.clockWasSet() }
        let deadline = min(nextHousekeeping, isDraining ? .max : desk.nextLook, nextFinish)
        let ready = try Waker.sleep([waker.fd, alarm.fd, watch.fd], until: deadline)
        if ready[0] { waker.clear() }
        if ready[1], case .clockWasSet = alarm.take() { desk.clockWasSet() }
        if ready[2], TriggerDesk.speaks(try watch.drain(), of: [ScheduleFile.name]) { desk.reread() }
        let now = Clocks.monotonic
        if now >= nextFinish {
            nextFinish = .max
            drops.finishOpen()
        }
        if now >= nextHousekeeping {
            nextHousekeeping = now + ScheduleShift.housekeepingEvery
            desk.reread()
        }
    }
}
