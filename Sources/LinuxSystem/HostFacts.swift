// What this is: what the machine allows this process and shows of another: limits, watches, the state of the clock.
// Owns: the reading of /proc and of the limits; numbers, never a judgement.
// Never: changes a limit.
// On failure: nil, where the kernel does not say or we may not ask.
import CLinux
import Glibc

public enum HostFacts {
    /// Descriptors that this process, and so a runner started like it, may hold: now, and if it raised its limit itself.
    public static var openFiles: (soft: UInt64, hard: UInt64) {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return (0, 0) }
        return (UInt64(limit.rlim_cur), UInt64(limit.rlim_max))
    }
    /// Of inotify, for one user: `max_user_watches`, `max_user_instances`, `max_queued_events`.
    public static func inotifyLimit(_ name: String) -> Int? { number("/proc/sys/fs/inotify/\(name)") }
    public static var kernel: String { text("/proc/sys/kernel/osrelease") ?? "unknown" }

    /// Inodes of the directories that a process watches with inotify; nil where we may not look.
    public static func watchedInodes(of pid: Int32) -> Set<UInt64>? {
        guard let folder = try? Directory.open("/proc/\(pid)/fdinfo"), let names = try? folder.names() else {
            return nil
        }
        var found: Set<UInt64> = []
        for name in names {
            // A descriptor that was closed meanwhile watches nothing.
            guard let lines = text("/proc/\(pid)/fdinfo/\(name)") else { continue }
            for line in lines.split(separator: "\n") where line.hasPrefix("inotify ") {
                guard let word = line.split(separator: " ").first(where: { $0.hasPrefix("ino:") }),
                    let inode = UInt64(word.dropFirst(4), radix: 16)
                else { continue }
                found.insert(inode)
            }
        }
        return found
    }

    /// Whether something keeps the clock in step with others (NTP or the like), as the kernel was told.
    public static var isClockKept: Bool { bb_clock_is_kept() == 1 }

    /// Bytes that the machine has, and that programs could still get without pushing others out.
    public static var memory: (total: UInt64, available: UInt64)? {
        guard let lines = text("/proc/meminfo") else { return nil }
        func kilobytes(_ name: String) -> UInt64? {
            lines.split(separator: "\n").first { $0.hasPrefix(name + ":") }
                .flatMap { $0.split(separator: " ").dropFirst().first }.flatMap { UInt64($0) }
        }
        guard let total = kilobytes("MemTotal"), let available = kilobytes("MemAvailable") else { return nil }
        return (total * 1024, available * 1024)
    }
    /// Tasks that ran or wanted to, the mean of a minute.
    public static var load: Double? {
        text("/proc/loadavg").flatMap { $0.split(separator: " ").first }.flatMap { Double($0) }
    }

    private static func text(_ path: String) -> String? {
        Host.read(path, limit: 1 << 20).map { String(decoding: $0, as: UTF8.self).trimmedEnd }
    }
    private static func number(_ path: String) -> Int? { text(path).flatMap { Int($0) } }
}

extension String {
    fileprivate var trimmedEnd: String {
        var text = Substring(self)
        while let last = text.last, last.isWhitespace { text.removeLast() }
        return String(text)
    }
}
