// What this is: waiting for what happens on the disk or to a process, by inotify and pidfd.
// Owns: the watches, the one poll call, the generous deadline.
// Never: waits for a length of time in the hope that something has happened by then.
// On failure: throws what was waited for and how long; a watched process that died ends the wait at once.
import Glibc
import LinuxSystem

final class Signals {
    private let inotify: Int32
    /// Everything that can change what a look at the directory gives, leaving and appending included.
    private static let mask = UInt32(
        IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CLOSE_WRITE | IN_MODIFY | IN_ATTRIB
            | IN_ONLYDIR)
    static let patience = 60

    init() throws {
        inotify = inotify_init1(Int32(IN_NONBLOCK) | Int32(IN_CLOEXEC))
        guard inotify >= 0 else { throw Trouble("inotify: errno \(errno) (fs.inotify.max_user_instances?)") }
    }
    deinit { close(inotify) }

    /// Waits until `look` gives something. Directories that do not exist yet are watched once they do; with a
    /// trailing `/*` their subdirectories are watched too. With a pace, signals that come close together are one.
    static func wait<Found>(
        _ what: String, in directories: [String], processes: [Int32] = [], seconds: Int = patience,
        pace milliseconds: Int = 0, _ look: () throws -> Found?
    ) throws -> Found {
        let signals = try Signals()
        let deadline = Clocks.monotonic + Int64(seconds) * 1_000_000_000
        while true {
            // Watch before look: what comes between the two is a signal.
            for directory in directories { signals.add(directory) }
            if let found = try look() { return found }
            guard Clocks.monotonic < deadline else { throw Trouble("waited \(seconds) s for \(what)") }
            let ready = poll([signals.inotify] + processes, until: deadline)
            if ready.dropFirst().contains(true) {
                if let found = try look() { return found }
                throw Trouble("waited for \(what), but the process ended")
            }
            if milliseconds > 0 { _ = poll(processes, until: Moment.after(milliseconds: milliseconds)) }
            signals.clear()
        }
    }

    /// Asks again and again, for what gives no signal: answers of the program itself.
    static func ask(_ what: String, seconds: Int = patience, _ look: () throws -> Bool) throws {
        let deadline = Clocks.monotonic + Int64(seconds) * 1_000_000_000
        while try !look() {
            guard Clocks.monotonic < deadline else { throw Trouble("waited \(seconds) s for \(what)") }
            _ = poll([], until: Moment.after(milliseconds: 50))
        }
    }

    private func add(_ directory: String) {
        guard directory.hasSuffix("/*") else {
            _ = inotify_add_watch(inotify, directory, Signals.mask)
            return
        }
        let root = String(directory.dropLast(2))
        _ = inotify_add_watch(inotify, root, Signals.mask)
        for name in Disk.names(root) { _ = inotify_add_watch(inotify, "\(root)/\(name)", Signals.mask) }
    }
    private func clear() {
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while read(inotify, &buffer, buffer.count) > 0 {}
    }

    /// Which of the descriptors became readable before the deadline (monotonic nanoseconds).
    static func poll(_ descriptors: [Int32], until deadline: Int64) -> [Bool] {
        var polls = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        let left = max(0, min((deadline - Clocks.monotonic + 999_999) / 1_000_000, 3_600_000))
        let ready = Glibc.poll(&polls, nfds_t(polls.count), Int32(left))
        return polls.map { ready > 0 && $0.revents != 0 }
    }
}
