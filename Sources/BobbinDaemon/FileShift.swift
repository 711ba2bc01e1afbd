// What this is: the loop of the watchers and the events: it sleeps until a folder, a file or the clock wants something.
// Owns: the watch on ops/; the place of the ledgers.
// Never: decides anything (the desks do).
// On failure: thrown to TriggerDesk, which begins anew.
import JobModel
import LinuxSystem
import SpoolQueue
import Triggers

final class FileShift: TriggerShift {
    private let waker: Waker
    private let watch: DirectoryWatch
    private let drops: TriggerDrops
    private let watchers: WatcherDesk
    private let events: EventDesk
    private var nextHousekeeping: Int64 = 0
    private var nextFinish: Int64 = .max
    private static let housekeepingEvery = Span.seconds(5).nanoseconds
    private static let finishAgain = Span.seconds(1).nanoseconds

    init(_ core: RunnerCore, _ waker: Waker, _ home: Directory) throws {
        self.waker = waker
        watch = try DirectoryWatch()
        let files = try home.makeDirectory(SpoolName.files, mode: 0o700)
        drops = try TriggerDesk.drops(core, files)
        watchers = WatcherDesk(core, drops, ledgers: try home.makeDirectory(SpoolName.watchers, mode: 0o700))
        events = try EventDesk(core, drops)
        try watch.add(core.site.spool.site.directory("ops"), tag: 1)
    }

    func work(_ orders: () -> TriggerOrders) throws {
        drops.finishOpen()
        watchers.reread()
        events.reread()
        while true {
            let now = orders()
            if now.isClosing { return }
            watchers.tick(isDraining: now.isDraining)
            events.tick(isDraining: now.isDraining)
            try sleep(isDraining: now.isDraining)
        }
    }

    private func sleep(isDraining: Bool) throws {
        nextFinish = drops.log.open.isEmpty ? .max : min(nextFinish, Clocks.monotonic + FileShift.finishAgain)
        // What is seen while the spool drains is found again by the next start.
        let deadline = min(
            nextHousekeeping, isDraining ? .max : min(watchers.nextLook, events.nextLook), nextFinish)
        let ready = try Waker.sleep(
            [waker.fd, watch.fd, events.descriptor] + watchers.descriptors, until: deadline)
        if ready[0] { waker.clear() }
        if ready[1], TriggerDesk.speaks(try watch.drain(), of: [WatcherFile.name, WebhookFile.name]) {
            watchers.reread()
            events.reread()
        }
        if ready[2] { events.takeHints() }
        if ready.dropFirst(3).contains(true) { watchers.takeHints() }
        let now = Clocks.monotonic
        if now >= nextFinish {
            nextFinish = .max
            drops.finishOpen()
        }
        if now >= nextHousekeeping {
            nextHousekeeping = now + FileShift.housekeepingEvery
            watchers.reread()
            events.reread()
            watchers.keepStatus()
            events.keepStatus()
        }
    }
}
