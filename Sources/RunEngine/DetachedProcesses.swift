// What this is: the end of programs that were started with `detach: true`.
// Owns: TERM to all groups at once, the grace, KILL, reaping, and a look for what left its group.
// Never: leaves one behind when a run ends or is parked.
// On failure: what cannot be reaped is left to the kernel; the look through /proc has killed it.
import JobModel
import LinuxSystem

enum DetachedProcesses {
    static func end(_ children: [ChildProcess], marks: [String], grace: Span, of account: Account?) {
        guard !children.isEmpty else { return }
        for child in children { child.signalGroup(15) }
        let deadline = Clocks.monotonic + grace.nanoseconds
        for child in children {
            while !child.hasEnded && Clocks.monotonic < deadline {
                child.sleep(wakenBy: -1, wantsToWrite: false, until: deadline)
            }
        }
        for child in children {
            child.signalGroup(9)
            // Killed or ended: the wait is short. See the head for a failure.
            _ = try? child.reap()
        }
        _ = Host.killAll(marked: marks, of: account)
    }
}
