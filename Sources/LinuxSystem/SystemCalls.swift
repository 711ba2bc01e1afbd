// What this is: the one seam through which every system call of the durable path and of process control goes.
// Owns: EINTR (retried here and nowhere else), short writes; in debug builds the faults and the record that a test asks for.
// Never: interprets a result beyond success or errno; costs anything in release builds (both compile away).
// On failure: SystemError with the call's name and its subject.
import CLinux
import Glibc

/// What a call changes on the disk or starts, for the record (Recorder has the format).
enum Change {
    case create(directory: Int32, name: String)
    case makeDirectory(in: Int32, name: String)
    case write(Int32, at: Int, UnsafeRawBufferPointer)
    case append(Int32, UnsafeRawBufferPointer)
    case truncate(Int32, to: Int)
    case rename(from: Int32, String, to: Int32, String)
    case remove(from: Int32, String)
    case sync(Int32)
    case syncAll
    case start(arguments: [String], environment: [String])
}

enum SystemCalls {
    /// Runs one call whose result is negative errno on failure.
    @inline(__always)
    static func wrapped(
        _ name: StaticString, _ subject: @autoclosure () -> String = "",
        changes change: @autoclosure () -> Change? = nil,
        _ body: () -> Int32
    ) throws(SystemError) -> Int32 {
        #if DEBUG || SEAM
            var isInterrupted = false
            if let errno = Faults.strike(name, subject()) {
                if errno != EINTR { throw SystemError("\(name)", subject(), errno: errno) }
                isInterrupted = true
            }
            defer { Faults.strikeAfter(name, subject()) }
        #endif
        while true {
            #if DEBUG || SEAM
                let result =
                    isInterrupted ? -EINTR : Recorder.isOn ? Recorder.record(change(), body) : body()
                isInterrupted = false
            #else
                let result = body()
            #endif
            if result >= 0 { return result }
            if result != -EINTR { throw SystemError("\(name)", subject(), errno: -result) }
        }
    }

    /// Runs one call of the C library that sets errno.
    @inline(__always)
    static func plain(
        _ name: StaticString, _ subject: @autoclosure () -> String = "",
        changes change: @autoclosure () -> Change? = nil,
        _ body: () -> Int
    ) throws(SystemError) -> Int {
        #if DEBUG || SEAM
            var isInterrupted = false
            if let errno = Faults.strike(name, subject()) {
                if errno != EINTR { throw SystemError("\(name)", subject(), errno: errno) }
                isInterrupted = true
            }
            defer { Faults.strikeAfter(name, subject()) }
        #endif
        while true {
            #if DEBUG || SEAM
                if isInterrupted { Glibc.errno = EINTR }
                let result = isInterrupted ? -1 : Recorder.isOn ? Recorder.record(change(), body) : body()
                isInterrupted = false
            #else
                let result = body()
            #endif
            if result >= 0 { return result }
            let code = errno
            if code != EINTR { throw SystemError("\(name)", subject(), errno: code) }
        }
    }

    /// How much one call may write or read: all of it, where no test asks for short writes.
    @inline(__always)
    static func atOnce(_ count: Int) -> Int {
        #if DEBUG || SEAM
            return Faults.isShort ? (count + 1) / 2 : count
        #else
            return count
        #endif
    }

    static func writeAll(_ fd: Int32, _ bytes: UnsafeRawBufferPointer, _ subject: @autoclosure () -> String)
        throws(SystemError)
    {
        var rest = bytes
        while let base = rest.baseAddress, !rest.isEmpty {
            let most = atOnce(rest.count)
            let count = try plain("write", subject(), changes: .append(fd, rest)) { write(fd, base, most) }
            rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(count))
        }
    }

    static func writeAll(
        _ fd: Int32, at offset: Int, _ bytes: UnsafeRawBufferPointer, _ subject: @autoclosure () -> String
    ) throws(SystemError) {
        var (rest, position) = (bytes, offset)
        while let base = rest.baseAddress, !rest.isEmpty {
            let most = atOnce(rest.count)
            let count = try plain("pwrite", subject(), changes: .write(fd, at: position, rest)) {
                pwrite(fd, base, most, off_t(position))
            }
            position += count
            rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(count))
        }
    }
}

#if DEBUG || SEAM
    /// Faults on demand, for tests that drive the debug binary: BOBBIN_FAULT="renameat2:3:28" makes the third
    /// renameat2 fail with errno 28, "renameat2:3+:28" the third and all later ones; "fdatasync:2:kill" ends the
    /// process by SIGKILL before the second fdatasync, "fdatasync:2:killafter" right after it. `any` is every call.
    /// "renameat2@parked/key:1:late" makes the first call whose subject has that text a second late: what others do
    /// meanwhile is then sure to come between.
    /// Errno 4 (EINTR) is what the kernel does to any call: it is made again here, and nobody may notice.
    /// BOBBIN_SHORT=1 lets each write and read do half of what it was asked for.
    enum Faults {
        static let isShort = getenv("BOBBIN_SHORT") != nil
        private enum Blow { case errno(Int32), killBefore, killAfter, late }
        private struct Plan {
            var call: String
            /// Nil: every subject.
            var subject: String?
            var count: Int
            var isLasting: Bool
            var blow: Blow
        }
        private static let plan: Plan? = {
            guard let text = getenv("BOBBIN_FAULT").map({ String(cString: $0) }) else { return nil }
            let parts = text.split(separator: ":").map(String.init)
            guard parts.count == 3, let count = Int(parts[1].filter { $0 != "+" }) else { return nil }
            let blow: Blow? =
                switch parts[2] {
                case "kill": .killBefore
                case "killafter": .killAfter
                case "late": .late
                default: Int32(parts[2]).map(Blow.errno)
                }
            let call = parts[0].split(separator: "@", maxSplits: 1).map(String.init)
            return blow.map {
                Plan(
                    call: call[0], subject: call.count > 1 ? call[1] : nil, count: count,
                    isLasting: parts[1].hasSuffix("+"), blow: $0)
            }
        }()
        private static let seen = Counter()

        private static func isDue(_ plan: Plan, _ name: StaticString, _ subject: () -> String) -> Bool {
            guard plan.call == "any" || plan.call == "\(name)" else { return false }
            if let text = plan.subject, !subject().contains(text) { return false }
            let number = seen.increment()
            return number == plan.count || plan.isLasting && number > plan.count
        }
        static func strike(_ name: StaticString, _ subject: @autoclosure () -> String) -> Int32? {
            if let errno = ThreadFaults.strike() { return errno }
            guard let plan else { return nil }
            switch plan.blow {
            case .errno(let errno): return isDue(plan, name, subject) ? errno : nil
            case .killBefore: if isDue(plan, name, subject) { kill(getpid(), SIGKILL) }
            case .late: if isDue(plan, name, subject) { usleep(1_000_000) }
            case .killAfter: break
            }
            return nil
        }
        static func strikeAfter(_ name: StaticString, _ subject: @autoclosure () -> String) {
            guard let plan, case .killAfter = plan.blow, isDue(plan, name, subject) else { return }
            kill(getpid(), SIGKILL)
        }
    }

    /// Faults for the calls of one thread: loops over every point of a piece of work, inside of a test's own process.
    public enum ThreadFaults {
        public enum Blow: Hashable, Sendable {
            /// The call fails; `lasting`: and all after it.
            case errno(Int32, lasting: Bool)
            /// As a kill: from here on no call has an effect.
            case death
        }
        private final class Plan {
            var left: Int
            let blow: Blow
            var isHit = false
            init(_ left: Int, _ blow: Blow) {
                self.left = left
                self.blow = blow
            }
        }
        private static let key: pthread_key_t = {
            var key = pthread_key_t()
            pthread_key_create(&key, nil)
            return key
        }()
        /// What a call meets that is made after the death.
        public static let dead: Int32 = 132  // ERFKILL: no call of ours returns it

        /// What came of a struck piece of work.
        public struct Outcome {
            /// Nil where nothing was struck.
            public var blow: Blow?
            /// Whether there was an n-th call at all.
            public var isHit: Bool
            /// What the work threw: a blow that it keeps to itself must have done no harm.
            public var error: (any Error)?

            public init(blow: Blow? = nil, isHit: Bool = false, error: (any Error)? = nil) {
                self.blow = blow
                self.isHit = isHit
                self.error = error
            }
        }

        /// Does `body` with its n-th call struck.
        public static func strike(_ call: Int, _ blow: Blow, _ body: () throws -> Void) -> Outcome {
            let plan = Plan(call, blow)
            pthread_setspecific(key, Unmanaged.passUnretained(plan).toOpaque())
            defer { pthread_setspecific(key, nil) }
            do { try body() } catch { return Outcome(blow: blow, isHit: plan.isHit, error: error) }
            return Outcome(blow: blow, isHit: plan.isHit, error: nil)
        }

        static func strike() -> Int32? {
            guard let raw = pthread_getspecific(key) else { return nil }
            let plan = Unmanaged<Plan>.fromOpaque(raw).takeUnretainedValue()
            plan.left -= 1
            guard plan.left <= 0 else { return nil }
            plan.isHit = true
            switch plan.blow {
            case .errno(let errno, let lasting): return lasting || plan.left == 0 ? errno : nil
            case .death: return dead
            }
        }
    }
#endif
