// What this is: the one seam through which every system call of the durable path and of process control goes.
// Owns: EINTR (retried here and nowhere else), short writes, and in debug builds the faults a test asks for.
// Never: interprets a result beyond success or errno; costs anything in release builds (Faults compiles away).
// On failure: SystemError with the call's name and its subject.
import CLinux
import Glibc

enum SystemCalls {
    /// Runs one call whose result is negative errno on failure.
    @inline(__always)
    static func wrapped(
        _ name: StaticString, _ subject: @autoclosure () -> String = "", _ body: () -> Int32
    ) throws(SystemError) -> Int32 {
        #if DEBUG
            if let errno = Faults.strike(name) { throw SystemError("\(name)", subject(), errno: errno) }
        #endif
        while true {
            let result = body()
            if result >= 0 { return result }
            if result != -EINTR { throw SystemError("\(name)", subject(), errno: -result) }
        }
    }

    /// Runs one call of the C library that sets errno.
    @inline(__always)
    static func plain(
        _ name: StaticString, _ subject: @autoclosure () -> String = "", _ body: () -> Int
    ) throws(SystemError) -> Int {
        #if DEBUG
            if let errno = Faults.strike(name) { throw SystemError("\(name)", subject(), errno: errno) }
        #endif
        while true {
            let result = body()
            if result >= 0 { return result }
            let code = errno
            if code != EINTR { throw SystemError("\(name)", subject(), errno: code) }
        }
    }

    static func writeAll(_ fd: Int32, _ bytes: UnsafeRawBufferPointer, _ subject: @autoclosure () -> String)
        throws(SystemError)
    {
        var rest = bytes
        while let base = rest.baseAddress, !rest.isEmpty {
            let count = try plain("write", subject()) { write(fd, base, rest.count) }
            rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(count))
        }
    }

    static func writeAll(
        _ fd: Int32, at offset: Int, _ bytes: UnsafeRawBufferPointer, _ subject: @autoclosure () -> String
    ) throws(SystemError) {
        var (rest, position) = (bytes, offset)
        while let base = rest.baseAddress, !rest.isEmpty {
            let count = try plain("pwrite", subject()) { pwrite(fd, base, rest.count, off_t(position)) }
            position += count
            rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(count))
        }
    }
}

#if DEBUG
    /// Faults on demand, for tests that drive the debug binary: BOBBIN_FAULT="renameat2:3:28" makes the third
    /// renameat2 fail with errno 28; "fdatasync:2:kill" ends the process by SIGKILL before the second fdatasync.
    enum Faults {
        private struct Plan {
            var call: String
            var count: Int
            var errno: Int32?
        }
        private static let plan: Plan? = {
            guard let text = getenv("BOBBIN_FAULT").map({ String(cString: $0) }) else { return nil }
            let parts = text.split(separator: ":").map(String.init)
            guard parts.count == 3, let count = Int(parts[1]) else { return nil }
            return Plan(call: parts[0], count: count, errno: Int32(parts[2]))
        }()
        private static let seen = Counter()

        static func strike(_ name: StaticString) -> Int32? {
            guard let plan else { return nil }
            guard plan.call == "any" || plan.call == "\(name)" else { return nil }
            guard seen.increment() == plan.count else { return nil }
            guard let errno = plan.errno else {
                kill(getpid(), SIGKILL)
                return nil
            }
            return errno
        }
    }
#endif
