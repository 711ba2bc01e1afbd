// What this is: how long the waiting drops of a queue have waited, in classes (Postfix' qshape).
// Owns: how many are asked; where more wait, those asked stand for all.
// Never: opens a drop.
// On failure: SystemError of a directory; a drop that is gone meanwhile is not counted.
import JobModel
import LinuxSystem
import Reporting
import SpoolQueue

enum QueueAges {
    /// Of one directory; a system call each.
    private static let most = 5_000

    static func count(_ policy: QueuePolicy, _ spool: Spool, now: Timestamp) throws -> [Int] {
        var ages = [Int](repeating: 0, count: Metrics.Queue.ageBounds.count + 1)
        for priority in Priority.all.prefix(policy.priorityLevels) {
            // A queue whose directories were not made yet has nothing waiting.
            guard let lane = try? spool.root.directory("\(policy.name)/\(priority.directory)") else {
                continue
            }
            let names = try lane.names().filter { DropName.judge($0) != .ignored }
            // Every so-manieth, so that they stand for all.
            let step = max(1, (names.count + most - 1) / most)
            for index in stride(from: 0, to: names.count, by: step) {
                guard let status = try lane.statusIfPresent(names[index]) else { continue }
                let age = now.since(Timestamp(nanoseconds: status.changed))
                let place = Metrics.Queue.ageBounds.firstIndex { age < $0 } ?? Metrics.Queue.ageBounds.count
                ages[place] += min(step, names.count - index)
            }
        }
        return ages
    }
}
