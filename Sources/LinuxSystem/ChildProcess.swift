// What this is: a program that was started, from its first instruction to its reaping. The one place that spawns.
// Owns: the pidfd, the three pipes, the signals to its process group.
// Never: uses Foundation.Process (one step that closes its descriptors stalls every other's exit, reliability.md finding 8);
//   signals a pid that may belong to somebody else.
// On failure: SystemError of the spawn, the exec included.
import CLinux
import Glibc

public final class ChildProcess {
    public let pid: Int32
    public let pidfd: Int32
    /// Our ends of the child's pipes, non-blocking; nil once closed.
    public private(set) var input: Int32?
    public private(set) var output: Int32?
    public private(set) var error: Int32?

    public struct Exit: Hashable, Sendable {
        public var code: Int32
        public var wasKilled: Bool
    }

    private init(pid: Int32, pidfd: Int32, input: Int32?, output: Int32?, error: Int32?) {
        self.pid = pid
        self.pidfd = pidfd
        self.input = input
        self.output = output
        self.error = error
    }
    deinit {
        for fd in [input, output, error] { if let fd { close(fd) } }
        close(pidfd)
        // One that nobody collected is the sweeper's.
        OwnChildren.forget(pid)
    }

    /// Starts `path` with exactly these arguments and this environment (`NAME=value`) in a session of its own.
    /// `inherited`: what it finds as descriptors 3, 4 and so on. `account`: as whom it runs; as we do where there is none. With `log`, standard output and error go there and nothing is read. Without `hasInput` it reads /dev/null.
    public static func start(
        path: String, arguments: [String], environment: [String], directory: Directory?,
        hasInput: Bool = true,
        log: OpenFile? = nil, inherited: [MemoryFile] = [], account: Account? = nil,
        confinement: Confinement? = nil
    ) throws(SystemError) -> ChildProcess {
        let stdin = hasInput ? try Pipe() : nil
        let stdout = log == nil ? try Pipe() : nil, stderr = log == nil ? try Pipe() : nil
        let nothing = hasInput ? -1 : try NullDevice.descriptor()
        OwnChildren.begin()
        var pid: Int32 = 0
        // Also where the spawn fails: then there is none.
        defer { OwnChildren.end(pid) }
        let argv = CStrings(arguments), envp = CStrings(environment)
        let pidfd = try SystemCalls.wrapped(
            "spawn", path, changes: .start(arguments: arguments, environment: environment)
        ) {
            path.withCString { path in
                let descriptors = inherited.map(\.fd)
                return descriptors.withUnsafeBufferPointer { descriptors in
                    var request = bb_spawn(
                        path: path, arguments: argv.pointers, environment: envp.pointers,
                        input: stdin?.reader ?? nothing,
                        output: stdout?.writer ?? log?.fd ?? -1, error: stderr?.writer ?? log?.fd ?? -1,
                        directory: directory?.fd ?? -1, inherited: descriptors.baseAddress,
                        inherited_count: Int32(descriptors.count), own_session: 1,
                        account: nil, ruleset: confinement?.fd ?? -1)
                    guard let account else { return bb_spawn_child(&request, &pid) }
                    return account.withC { account in
                        request.account = account
                        return bb_spawn_child(&request, &pid)
                    }
                }
            }
        }
        let child = ChildProcess(
            pid: pid, pidfd: pidfd, input: stdin?.takeWriter(), output: stdout?.takeReader(),
            error: stderr?.takeReader())
        for fd in [child.input, child.output, child.error] {
            if let fd { _ = fcntl(fd, F_SETFL, O_NONBLOCK) }
        }
        return child
    }

    /// Signals the whole process group. Safe while the leader is not reaped: its pid cannot be reused before.
    public func signalGroup(_ signal: Int32) { _ = kill(-pid, signal) }
    /// An error means that it was collected already.
    public var hasEnded: Bool { bb_has_ended(pidfd) != 0 }
    /// Waits for the end and collects it. Call once.
    public func reap() throws(SystemError) -> Exit {
        var code: Int32 = 0, killed: Int32 = 0
        _ = try SystemCalls.wrapped("waitid") { bb_reap(pidfd, &code, &killed) }
        OwnChildren.forget(pid)
        return Exit(code: code, wasKilled: killed != 0)
    }
    public func closeInput() { if let fd = input { close(fd); input = nil } }
    public func closeOutput() { if let fd = output { close(fd); output = nil } }
    public func closeError() { if let fd = error { close(fd); error = nil } }

    /// Sleeps until the child ends, one of its pipes is ready, `waker` is woken or the deadline passes.
    public func sleep(wakenBy waker: Int32, wantsToWrite: Bool, until deadline: Int64?) {
        var polls = [
            pollfd(fd: pidfd, events: Int16(POLLIN), revents: 0),
            pollfd(fd: waker, events: Int16(POLLIN), revents: 0),
        ]
        for fd in [output, error] {
            if let fd { polls.append(pollfd(fd: fd, events: Int16(POLLIN), revents: 0)) }
        }
        if wantsToWrite, let input { polls.append(pollfd(fd: input, events: Int16(POLLOUT), revents: 0)) }
        let milliseconds =
            deadline.map { max(0, min(($0 - Clocks.monotonic + 999_999) / 1_000_000, 3_600_000)) } ?? -1
        // EINTR or a wake-up look alike to the caller, who looks at everything anyway.
        _ = poll(&polls, nfds_t(polls.count), Int32(milliseconds))
    }
}

/// What a non-blocking read of a pipe gave.
public enum PipeRead { case bytes(Int), nothing, end }

public enum PipeCalls {
    public static func read(_ fd: Int32, into buffer: UnsafeMutableRawBufferPointer) -> PipeRead {
        while true {
            let count = Glibc.read(fd, buffer.baseAddress, buffer.count)
            if count > 0 { return .bytes(count) }
            if count == 0 { return .end }
            switch errno {
            case EINTR: continue
            case EAGAIN: return .nothing
            default: return .end
            }
        }
    }
    /// Bytes taken by the pipe, 0 when it is full, nil when nobody reads any more.
    public static func write(_ fd: Int32, _ bytes: ArraySlice<UInt8>) -> Int? {
        let count = bytes.withUnsafeBytes { Glibc.write(fd, $0.baseAddress, $0.count) }
        if count >= 0 { return count }
        return errno == EAGAIN || errno == EINTR ? 0 : nil
    }
}

/// /dev/null for reading, opened once and kept.
private enum NullDevice {
    private static let opened = Monitor<Int32>(-1)
    static func descriptor() throws(SystemError) -> Int32 {
        if let fd = opened.with({ $0 < 0 ? nil : $0 }) { return fd }
        let fd = try SystemCalls.wrapped("open", "/dev/null") {
            bb_openat(AT_FDCWD, "/dev/null", O_RDONLY, 0)
        }
        return opened.with { kept in
            if kept >= 0 { close(fd) } else { kept = fd }
            return kept
        }
    }
}

private final class Pipe {
    private(set) var reader: Int32
    private(set) var writer: Int32
    init() throws(SystemError) {
        var ends: [Int32] = [0, 0]
        _ = try SystemCalls.wrapped("pipe2") { bb_pipe(&ends) }
        (reader, writer) = (ends[0], ends[1])
    }
    deinit {
        if reader >= 0 { close(reader) }
        if writer >= 0 { close(writer) }
    }
    func takeReader() -> Int32 { defer { reader = -1 }; return reader }
    func takeWriter() -> Int32 { defer { writer = -1 }; return writer }
}

/// A NULL-terminated array of C strings that lives as long as this object.
private final class CStrings {
    let pointers: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
    private let count: Int
    init(_ texts: [String]) {
        count = texts.count
        pointers = .allocate(capacity: count + 1)
        for (index, text) in texts.enumerated() {
            pointers[index] = strdup(text)
        }
        pointers[count] = nil
    }
    deinit {
        for index in 0..<count { free(pointers[index]) }
        pointers.deallocate()
    }
}
