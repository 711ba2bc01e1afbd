// What this is: processes that steps left behind and that the kernel gave to us, because we are their subreaper.
// Owns: finding, ending and reaping them.
// Never: touches a child that a thread of ours started: those belong to their threads, orphans to the main one.
// On failure: what cannot be read now is looked at by the next sweep.
import CLinux
import Glibc

public enum Orphans {
    /// Children of the main thread, which starts none itself: all were adopted.
    private static func adopted() -> [Int32] {
        guard let text = Host.firstLine("/proc/self/task/\(getpid())/children") else { return [] }
        return text.split(separator: " ").compactMap { Int32($0) }
    }

    /// Kills the orphans that carry the marks (NAME=value in their environment).
    public static func end(marked marks: [String]) {
        // One that ended by itself meanwhile is collected below all the same.
        for pid in adopted() where Host.carries(pid, marks) { _ = Host.end(pid, marks) }
        reap()
    }

    /// Collects those that have ended, so that no zombie stays.
    public static func reap() {
        for pid in adopted() {
            var status: Int32 = 0
            // Still running, or gone already: nothing to collect.
            _ = waitpid(pid, &status, WNOHANG)
        }
    }
}
