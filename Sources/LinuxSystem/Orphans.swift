// What this is: processes that steps left behind and that the kernel gave to us, because we are their subreaper.
// Owns: finding, ending and reaping them.
// Never: collects a child that we started ourselves, though the kernel gives it to the main thread when the thread that
//   started it ends: it belongs to its ChildProcess.
// On failure: what cannot be read now is looked at by the next sweep.
import CLinux
import Glibc

/// Processes that a ChildProcess of ours will collect.
enum OwnChildren {
    private struct State {
        var pids: Set<Int32> = []
        /// Of the main thread, whose children are looked through: one that has no number here yet is no orphan.
        var starting = 0
    }
    private static let state = Monitor(State())
    private static var isMainThread: Bool { bb_is_main_thread() != 0 }

    static func begin() { if isMainThread { state.with { $0.starting += 1 } } }
    static func end(_ pid: Int32) {
        state.with {
            if isMainThread { $0.starting -= 1 }
            if pid > 0 { $0.pids.insert(pid) }
        }
    }
    static func forget(_ pid: Int32) { state.with { _ = $0.pids.remove(pid) } }
    static func others(of pids: [Int32]) -> [Int32] {
        state.with { state in state.starting > 0 ? [] : pids.filter { !state.pids.contains($0) } }
    }
}

public enum Orphans {
    /// Children of the main thread that we did not start: those were adopted.
    private static func adopted() -> [Int32] {
        // Whoever is none adopts nobody: children that are not known here are those of a library, which collects them.
        guard bb_is_subreaper() != 0 else { return [] }
        guard let text = Host.firstLine("/proc/self/task/\(getpid())/children") else { return [] }
        return OwnChildren.others(of: text.split(separator: " ").compactMap { Int32($0) })
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
