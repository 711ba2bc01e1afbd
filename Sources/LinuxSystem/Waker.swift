// What this is: what a loop sleeps on: descriptors that became readable, a wake-up from another thread, a deadline, an alarm.
// Owns: one eventfd, one signalfd, one timerfd on the wall clock, the poll call.
// Never: spins: without an event or a deadline it sleeps.
// On failure: SystemError.
import CLinux
import Glibc

public final class Waker: Sendable {
    public let fd: Int32
    public init() throws(SystemError) { fd = try SystemCalls.wrapped("eventfd") { bb_eventfd() } }
    deinit { close(fd) }

    public func wake() {
        var one: UInt64 = 1
        // A full counter means that a wake-up is already pending.
        _ = write(fd, &one, 8)
    }
    public func clear() {
        var count: UInt64 = 0
        // Nothing to read means that nobody woke us.
        _ = read(fd, &count, 8)
    }

    /// Sleeps until one of `descriptors` is readable or the deadline (monotonic nanoseconds) has passed.
    public static func sleep(_ descriptors: [Int32], until deadline: Int64?) throws(SystemError) -> [Bool] {
        var polls = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        let milliseconds =
            deadline.map { max(0, min(($0 - Clocks.monotonic + 999_999) / 1_000_000, 3_600_000)) } ?? -1
        let ready = poll(&polls, nfds_t(polls.count), Int32(milliseconds))
        if ready < 0 && errno != EINTR { throw SystemError("poll", "", errno: errno) }
        return polls.map { ready > 0 && $0.revents != 0 }
    }
}

/// Becomes readable at an instant of the wall clock, also after the machine slept, and when somebody sets the clock.
public final class WallAlarm: Sendable {
    public enum Look: Sendable { case quiet, rang, clockWasSet }
    public let fd: Int32
    public init() throws(SystemError) { fd = try SystemCalls.wrapped("timerfd_create") { bb_wall_timer() } }
    deinit { close(fd) }

    /// Nil: only a clock that is set wakes. True: it was set since the last look, which no later look tells.
    public func set(_ instant: Int64?) throws(SystemError) -> Bool {
        // An instant that has passed rings at once; zero would switch the timer off. 2^33 seconds are in the year 2242.
        let instant = max(1, instant.map { $0 - Clocks.offset } ?? (1 << 33) * 1_000_000_000)
        do {
            _ = try SystemCalls.wrapped("timerfd_settime") {
                bb_set_wall_timer(fd, instant / 1_000_000_000, instant % 1_000_000_000)
            }
            return false
        } catch {
            // The timer is armed all the same.
            guard error.errno == ECANCELED else { throw error }
            return true
        }
    }
    public func take() -> Look {
        switch bb_read_timer(fd) {
        case -ECANCELED: .clockWasSet
        case 0: .quiet
        default: .rang
        }
    }
}

public final class SignalInbox: Sendable {
    public let fd: Int32
    private let signals: [Int32]
    /// Blocks the signals in this thread and all that it starts, and queues them here instead.
    public init(_ signals: [Int32]) throws(SystemError) {
        self.signals = signals
        fd = try SystemCalls.wrapped("signalfd") { bb_signalfd(signals, Int32(signals.count)) }
    }
    deinit { close(fd) }
    /// Meanwhile the signals do in this thread what they did before.
    public func letThrough(_ body: () -> Void) {
        var set = sigset_t(), before = sigset_t()
        sigemptyset(&set)
        for signal in signals { sigaddset(&set, signal) }
        pthread_sigmask(SIG_UNBLOCK, &set, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        body()
    }
    public func next() -> Int32? {
        var info = signalfd_record()
        let got = withUnsafeMutableBytes(of: &info) { read(fd, $0.baseAddress, $0.count) }
        return got > 0 ? Int32(info.number) : nil
    }
    /// struct signalfd_siginfo begins with the signal number; the rest of its 128 bytes is not used.
    private struct signalfd_record {
        var number: UInt32 = 0
        var rest:
            (
                UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64,
                UInt64, UInt64,
                UInt64, UInt64
            ) = (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
        var tail: UInt32 = 0
    }
}

public enum ProcessSetup {
    /// What a long-running process of ours needs once: writes to a closed pipe are errors, not deaths; a broken lease
    /// is no death either; descriptors 0 to 2 exist, so that no file of ours ever takes their place.
    public static func prepare() {
        signal(SIGPIPE, SIG_IGN)
        outliveBrokenLeases()
        // Whoever started us may have ignored it, and then no child's end would ever be seen.
        signal(SIGCHLD, SIG_DFL)
        while true {
            let fd = open("/dev/null", O_RDWR)
            if fd > 2 || fd < 0 {
                if fd > 2 { close(fd) }
                return
            }
        }
    }
    /// A lease that a writer breaks is announced by SIGIO, whose default is death.
    public static func outliveBrokenLeases() { signal(SIGIO, SIG_IGN) }
    /// Asks for the newest call that a spawn makes in the child, where it could no longer say what is missing.
    public static func probe() throws(SystemError) {
        _ = try SystemCalls.wrapped("close_range") { bb_probe_close_range() }
    }
    /// From now on nobody of the same account reads our memory or our environment, and no core dump holds them.
    public static func hideMemory() { _ = bb_hide_memory() }
    public static func becomeSubreaper() { _ = bb_set_subreaper() }
    public static var pid: Int32 { getpid() }
    public static var uid: UInt32 { getuid() }
}
