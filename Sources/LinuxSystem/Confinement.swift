// What this is: what a started program may not change, by Landlock (docs.kernel.org/userspace-api/landlock.html).
// Owns: the rules: every change is allowed but below the protected directories, and directly in those that lead to them.
// Never: hinders reading; changes anything of this process. Landlock knows what is allowed, not what is forbidden: so all that
//   stands beside the way to what is protected is allowed, as it is when the rules are made.
// On failure: SystemError; a kernel without Landlock of version 2 (5.19) is told apart by `isAvailable`.
import CLinux
import Glibc

public final class Confinement: Sendable {
    let fd: Int32
    public static var isAvailable: Bool { bb_landlock_version() >= 2 }

    /// `protected`: absolute paths without links.
    public init(protecting protected: [String]) throws(SystemError) {
        fd = try SystemCalls.wrapped("landlock_create_ruleset") { bb_landlock_begin() }
        try allow(below: "/", protected)
    }
    deinit { close(fd) }

    private func allow(below path: String, _ protected: [String]) throws(SystemError) {
        let directory: Directory, names: [String]
        do throws(SystemError) {
            directory = try Directory.open(path)
            names = try directory.names()
        } catch {
            // What we may not look into stays closed to the program too.
            guard error.fileTrouble == .access || error.isMissing else { throw error }
            return
        }
        for name in names {
            let child = path == "/" ? "/\(name)" : "\(path)/\(name)"
            if protected.contains(child) { continue }
            if protected.contains(where: { $0.hasPrefix(child + "/") }) {
                try allow(below: child, protected)
            } else {
                allow(child)
            }
        }
    }

    private func allow(_ path: String) {
        let opened = open(path, Int32(BB_O_PATH) | O_NOFOLLOW | O_CLOEXEC)
        // Gone since it was listed: there is nothing to allow.
        guard opened >= 0 else { return }
        defer { close(opened) }
        var status = bb_status()
        guard bb_status(opened, "", &status) >= 0 else { return }
        // A link is no place; where it leads to is allowed, or not, by itself. What the kernel will not have in a rule stays closed.
        if status.mode & UInt32(S_IFMT) == UInt32(S_IFLNK) { return }
        _ = bb_landlock_allow(fd, opened, status.mode & UInt32(S_IFMT) == UInt32(S_IFDIR) ? 1 : 0)
    }
}
