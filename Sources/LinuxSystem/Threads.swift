// What this is: threads of our own for calls that block, and the condition they wait on.
// Owns: one pthread each; stack size; names that show in `ps -L` and `top -H`.
// Never: runs on the cooperative pool, which is as wide as the machine and would stall.
// On failure: SystemError when the kernel refuses a thread.
import CLinux
import Glibc

public final class BlockingThread: @unchecked Sendable {
    // @unchecked: the handle is written once before start returns and read only by join.
    private var handle = pthread_t()

    private final class Body {
        let name: String
        let run: @Sendable () -> Void
        init(_ name: String, _ run: @escaping @Sendable () -> Void) {
            self.name = name
            self.run = run
        }
    }

    public static func start(_ name: String, _ run: @escaping @Sendable () -> Void) throws(SystemError)
        -> BlockingThread
    {
        let thread = BlockingThread()
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setstacksize(&attributes, 1 << 20)
        let body = Unmanaged.passRetained(Body(name, run))
        let code = pthread_create(
            &thread.handle, &attributes,
            { raw in
                guard let raw else { return nil }
                let body = Unmanaged<Body>.fromOpaque(raw).takeRetainedValue()
                bb_name_thread(String(body.name.prefix(15)))
                body.run()
                return nil
            }, body.toOpaque())
        guard code == 0 else {
            body.release()
            throw SystemError("pthread_create", name, errno: code)
        }
        return thread
    }

    public func join() { pthread_join(handle, nil) }
}

/// A value under a lock, with a condition to wait for its changes.
public final class Monitor<Value>: @unchecked Sendable {
    // @unchecked: every access to `value` is inside the mutex.
    private var value: Value
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>

    public init(_ value: Value) {
        self.value = value
        mutex = .allocate(capacity: 1)
        condition = .allocate(capacity: 1)
        pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(condition, &attributes)
        pthread_condattr_destroy(&attributes)
    }
    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    public func with<Outcome>(_ body: (inout Value) throws -> Outcome) rethrows -> Outcome {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return try body(&value)
    }
    /// Changes the value and wakes one waiter.
    public func signal<Outcome>(_ body: (inout Value) -> Outcome) -> Outcome {
        let outcome = with(body)
        pthread_cond_signal(condition)
        return outcome
    }
    /// Changes the value and wakes all waiters.
    public func broadcast<Outcome>(_ body: (inout Value) -> Outcome) -> Outcome {
        let outcome = with(body)
        pthread_cond_broadcast(condition)
        return outcome
    }
    /// Waits until `body` gives something; it is asked under the lock, after each wake-up.
    public func wait<Outcome>(_ body: (inout Value) -> Outcome?) -> Outcome {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while true {
            if let outcome = body(&value) { return outcome }
            pthread_cond_wait(condition, mutex)
        }
    }
    /// The same with a deadline on the monotonic clock; nil when it passed.
    public func wait<Outcome>(until deadline: Int64, _ body: (inout Value) -> Outcome?) -> Outcome? {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while true {
            if let outcome = body(&value) { return outcome }
            // A negative time is an error to the kernel, and would be asked again at once.
            let deadline = max(0, deadline)
            var time = timespec(tv_sec: Int(deadline / 1_000_000_000), tv_nsec: Int(deadline % 1_000_000_000))
            if pthread_cond_timedwait(condition, mutex, &time) == ETIMEDOUT { return body(&value) }
        }
    }
}
