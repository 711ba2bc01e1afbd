// What this is: facts of this machine: boot id, accounts, programs on the path, processes and their marks.
// Owns: the reading of /proc and of the account database.
// Never: trusts a pid alone: a process is named by pid, start time and boot id together.
// On failure: nil, which callers treat as "unknown", never as "gone".
import CLinux
import Glibc

public enum Host {
    public static let bootID: String = firstLine("/proc/sys/kernel/random/boot_id") ?? "unknown"
    public static let name: String = firstLine("/proc/sys/kernel/hostname") ?? "unknown"
    public static var processID: Int32 { getpid() }

    /// That this process may use.
    public static let processors = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))

    /// The account name of a uid, or the number where there is none.
    public static func userName(_ uid: UInt32) -> String {
        var entry = passwd()
        var found: UnsafeMutablePointer<passwd>?
        var buffer = [CChar](repeating: 0, count: 4096)
        guard getpwuid_r(uid, &entry, &buffer, buffer.count, &found) == 0, let found else {
            return String(uid)
        }
        return String(cString: found.pointee.pw_name)
    }

    /// Whether we are this account, or root.
    public static func mayAct(as uid: UInt32) -> Bool { geteuid() == uid || geteuid() == 0 }
    /// The names of the groups of an account, its own first; none where there is no such account.
    public static func groupNames(of uid: UInt32) -> Set<String> {
        Set(groups(of: uid).compactMap(groupName))
    }
    /// Their numbers, the account's own first.
    public static func groups(of uid: UInt32) -> [UInt32] {
        guard let account = account(uid) else { return [] }
        var count: Int32 = 64
        while count <= 65_536 {
            var found = [gid_t](repeating: 0, count: Int(count))
            if getgrouplist(account.name, account.group, &found, &count) >= 0 {
                return Array(found.prefix(Int(count)))
            }
            count = max(count, Int32(found.count)) * 2
        }
        return [account.group]
    }
    /// Name and first group of an account; nil where there is none.
    public static func account(_ uid: UInt32) -> (name: String, group: UInt32, home: String, shell: String)? {
        var entry = passwd()
        var found: UnsafeMutablePointer<passwd>?
        var buffer = [CChar](repeating: 0, count: 16_384)
        guard getpwuid_r(uid, &entry, &buffer, buffer.count, &found) == 0, let found else { return nil }
        return (
            String(cString: found.pointee.pw_name), found.pointee.pw_gid,
            String(cString: found.pointee.pw_dir),
            String(cString: found.pointee.pw_shell)
        )
    }
    public static func uid(named name: String) -> UInt32? {
        var entry = passwd()
        var found: UnsafeMutablePointer<passwd>?
        var buffer = [CChar](repeating: 0, count: 16_384)
        guard getpwnam_r(name, &entry, &buffer, buffer.count, &found) == 0, let found else { return nil }
        return found.pointee.pw_uid
    }
    /// Accounts that are listed in a group, or have it as their first.
    public static func members(of group: String) -> Set<String> {
        var entry = Glibc.group()
        var found: UnsafeMutablePointer<Glibc.group>?
        var buffer = [CChar](repeating: 0, count: 1 << 20)
        guard getgrnam_r(group, &entry, &buffer, buffer.count, &found) == 0, let found else { return [] }
        var names: Set<String> = []
        var place = found.pointee.gr_mem
        while let name = place?.pointee {
            names.insert(String(cString: name))
            place = place?.advanced(by: 1)
        }
        let gid = found.pointee.gr_gid
        // One walk at a time: the account database keeps its place for the whole process.
        return accounts.with { _ in
            setpwent()
            defer { endpwent() }
            while let account = getpwent() {
                if account.pointee.pw_gid == gid { names.insert(String(cString: account.pointee.pw_name)) }
            }
            return names
        }
    }
    private static let accounts = Monitor(())
    static func groupName(_ gid: UInt32) -> String? {
        var entry = Glibc.group()
        var found: UnsafeMutablePointer<Glibc.group>?
        var buffer = [CChar](repeating: 0, count: 65_536)
        guard getgrgid_r(gid, &entry, &buffer, buffer.count, &found) == 0, let found else { return nil }
        return String(cString: found.pointee.gr_name)
    }
    public static func gid(named name: String) -> UInt32? {
        var entry = Glibc.group()
        var found: UnsafeMutablePointer<Glibc.group>?
        var buffer = [CChar](repeating: 0, count: 65_536)
        guard getgrnam_r(name, &entry, &buffer, buffer.count, &found) == 0, let found else { return nil }
        return found.pointee.gr_gid
    }

    /// Start time of a process in clock ticks since boot (field 22 of /proc/pid/stat).
    public static func startTicks(_ pid: Int32) -> UInt64? {
        guard let text = firstLine("/proc/\(pid)/stat"), let end = text.lastIndex(of: ")") else { return nil }
        let fields = text[text.index(after: end)...].split(separator: " ")
        return fields.count > 19 ? UInt64(fields[19]) : nil
    }
    /// Whether a process is held by SIGSTOP (state T of /proc/pid/stat).
    public static func isHeld(_ pid: Int32) -> Bool {
        guard let text = firstLine("/proc/\(pid)/stat"), let end = text.lastIndex(of: ")") else {
            return false
        }
        return text[text.index(after: end)...].drop { $0 == " " }.first == "T"
    }

    /// Kills every process whose environment holds all `marks` (NAME=value), wherever it moved to, and says how many.
    /// A step that left its process group still carries the mark, because exec passes the environment on.
    /// `account`: as whom they run, if not as we do: its processes show their environment to itself, and not to a service that is
    /// not root.
    public static func killAll(marked marks: [String], of account: Account?) -> Int {
        account.map { $0.reachingFiles { killAll(marked: marks) } } ?? killAll(marked: marks)
    }
    public static func killAll(marked marks: [String]) -> Int {
        var killed: Set<Int32> = []
        // For all rounds together.
        var patience = 4_000
        // What a process forks while we look may come to stand where we have looked already. One that is killed and
        // still dying is nothing new.
        for _ in 0..<100 {
            let found = killOnce(marks, besides: killed, &patience)
            if found.isEmpty { break }
            killed.formUnion(found)
        }
        return killed.count
    }
    private static func killOnce(_ marks: [String], besides known: Set<Int32>, _ patience: inout Int) -> Set<
        Int32
    > {
        // No /proc: nothing to find.
        guard let proc = try? Directory.open("/proc"), let names = try? proc.names() else { return [] }
        var killed: Set<Int32> = []
        for pid in names.compactMap({ Int32($0) }) where pid != getpid() && !known.contains(pid) {
            if carries(pid, marks, &patience), end(pid, marks) { killed.insert(pid) }
        }
        return killed
    }
    /// Held by a pidfd and looked at again, so that a number that changed hands meanwhile harms nobody.
    static func end(_ pid: Int32, _ marks: [String]) -> Bool {
        let process = bb_pidfd_open(pid)
        guard process >= 0 else { return false }
        defer { close(process) }
        return carries(pid, marks) && bb_pidfd_send_signal(process, SIGKILL) >= 0
    }
    /// Whether there is such a process, ours or not; one that has ended counts until it is reaped.
    public static func isRunning(_ pid: Int32) -> Bool { kill(pid, 0) == 0 || errno == EPERM }
    static func carries(_ pid: Int32, _ marks: [String]) -> Bool {
        var patience = 1_000
        return carries(pid, marks, &patience)
    }
    private static func carries(_ pid: Int32, _ marks: [String], _ patience: inout Int) -> Bool {
        let variables = environment(of: pid, &patience).split(separator: 0)
        return marks.allSatisfy { mark in variables.contains { $0.elementsEqual(mark.utf8) } }
    }

    /// Empty in the middle of an exec as well: then the program is there and its environment is not yet, and is looked at
    /// again; `patience` bounds, in half milliseconds, what a machine that gives an exec no processor can cost.
    private static func environment(of pid: Int32, _ patience: inout Int) -> [UInt8] {
        while true {
            guard let bytes = read("/proc/\(pid)/environ", limit: 1 << 20) else { return [] }
            guard bytes.isEmpty, patience > 0, !hasNone(pid) else { return bytes }
            patience -= 1
            usleep(500)
        }
    }
    /// Whether its environment is empty for good: it begins where it ends (fields 50 and 51 of /proc/pid/stat), and not at 0,
    /// which stands there until an exec has put the new one in place.
    private static func hasNone(_ pid: Int32) -> Bool {
        var target: CChar = 0
        // Neither a zombie nor a thread of the kernel has a program; of another user's we may not ask.
        guard readlink("/proc/\(pid)/exe", &target, 1) >= 0, let text = firstLine("/proc/\(pid)/stat"),
            let end = text.lastIndex(of: ")")
        else { return true }
        let fields = text[text.index(after: end)...].split(separator: " ")
        return fields.count > 48 && fields[47] == fields[48] && fields[48] != "0"
    }

    /// The absolute path of a program, looked up in `path` (colon separated) unless it holds a slash.
    public static func program(_ name: String, path: String) -> String? {
        if name.contains("/") { return name }
        for folder in path.split(separator: ":", omittingEmptySubsequences: true) {
            let candidate = "\(folder)/\(name)"
            if mayReach(candidate, X_OK), !isDirectory(candidate) { return candidate }
        }
        return nil
    }

    /// By whom the thread reaches files as: `access` alone would ask for the process.
    static func mayReach(_ path: String, _ mode: Int32) -> Bool {
        faccessat(AT_FDCWD, path, mode, AT_EACCESS) == 0
    }
    static func isDirectory(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }
    public static func environment(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

    static func firstLine(_ path: String) -> String? {
        read(path, limit: 4096).map { String(decoding: $0.prefix { $0 != 10 }, as: UTF8.self) }
    }
    /// What a file holds, links followed; nil where it cannot be read.
    public static func read(_ path: String, limit: Int) -> [UInt8]? {
        let fd = open(path, O_RDONLY | O_CLOEXEC)
        guard fd >= 0 else { return nil }
        // Files of /proc have no size: read until the end or the limit.
        return try? OpenFile(fd: fd, label: path).read(upTo: limit)
    }

    /// Signal names as people know them.
    public static func signalName(_ number: Int32) -> String {
        let names: [Int32: String] = [
            SIGHUP: "SIGHUP", SIGINT: "SIGINT", SIGQUIT: "SIGQUIT", SIGILL: "SIGILL", SIGABRT: "SIGABRT",
            SIGBUS: "SIGBUS",
            SIGFPE: "SIGFPE", SIGKILL: "SIGKILL", SIGSEGV: "SIGSEGV", SIGPIPE: "SIGPIPE", SIGALRM: "SIGALRM",
            SIGTERM: "SIGTERM", SIGUSR1: "SIGUSR1", SIGUSR2: "SIGUSR2", SIGXCPU: "SIGXCPU",
            SIGXFSZ: "SIGXFSZ",
        ]
        return names[number] ?? "signal \(number)"
    }
}

extension Host {
    /// Whether a path leads to anything, links followed.
    public static func exists(_ path: String) -> Bool { mayReach(path, F_OK) }
    /// Whether it leads to a program that this account may run.
    public static func isExecutable(_ path: String) -> Bool { mayReach(path, X_OK) && !isDirectory(path) }
}

extension Host {
    /// The path without links and dots, or nil where it leads nowhere.
    public static func realPath(_ path: String) -> String? {
        guard let resolved = realpath(path, nil) else { return nil }
        defer { free(resolved) }
        return String(cString: resolved)
    }
    /// The bytes of an IP address: 4 or 16; nil where the text is none.
    public static func addressBytes(_ text: String) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: 16)
        if inet_pton(AF_INET, text, &bytes) == 1 { return Array(bytes.prefix(4)) }
        return inet_pton(AF_INET6, text, &bytes) == 1 ? bytes : nil
    }
    /// Makes a directory and those above it.
    public static func makeDirectories(_ path: String) throws(SystemError) {
        var built = path.hasPrefix("/") ? "/" : ""
        for part in path.split(separator: "/") {
            built += (built.isEmpty || built == "/" ? "" : "/") + part
            do {
                _ = try SystemCalls.plain("mkdir", built) { Int(mkdir(built, 0o755)) }
            } catch {
                if !error.isExisting { throw error }
            }
        }
    }
}
