// What this is: the slots of one queue: kernel locks on `.bobbin/slots/<queue>/<n>`, so a dead runner's are free at once.
// Owns: the lock files of one queue as this process uses them.
// Never: counts on anything but the locks: another runner's slots are seen only by trying.
// On failure: SystemError.
import JobModel
import LinuxSystem

public final class SlotSet {
    private let directory: Directory
    private var locks: [ReusableLock] = []
    private var mine: [Bool] = []

    public init(_ queue: QueueName, in slots: Directory) throws(SystemError) {
        directory = try slots.makeDirectory(queue.text, mode: 0o700)
    }
    /// Takes any free slot below `limit`; nil when all are taken.
    public func take(limit: Int) throws(SystemError) -> Int? {
        while locks.count < limit {
            locks.append(try ReusableLock(String(locks.count + 1), in: directory))
            mine.append(false)
        }
        for number in 0..<min(limit, locks.count) where !mine[number] {
            if try locks[number].take() {
                mine[number] = true
                return number
            }
        }
        return nil
    }
    public func release(_ number: Int) throws(SystemError) {
        mine[number] = false
        try locks[number].release()
    }
    public var taken: Int { mine.count { $0 } }
}
