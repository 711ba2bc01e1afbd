// What this is: a kernel lock on a file: who holds it is alive, and when he dies it is free at once.
// Owns: one open file description lock (F_OFD_SETLK).
// Never: expires by time; is inherited by children (the descriptor is close-on-exec).
// On failure: SystemError; a taken lock is not an error but nil.
import CLinux
import Glibc

public final class FileLock: Sendable {
    public let file: OpenFile

    private init(_ file: OpenFile) { self.file = file }

    /// The lock on `name`, or nil where another process holds it.
    public static func take(_ name: String, in directory: Directory) throws(SystemError) -> FileLock? {
        let file = try directory.openForUpdate(name, mode: 0o600)
        return try takes(file) ? FileLock(file) : nil
    }
    static func takes(_ file: OpenFile) throws(SystemError) -> Bool {
        do {
            _ = try SystemCalls.wrapped("lock", file.label) { bb_lock_exclusive(file.fd) }
            return true
        } catch  where error.errno == EAGAIN || error.errno == EACCES {
            return false
        }
    }
    /// Whether somebody holds the lock; asks without taking it.
    public static func isHeld(_ name: String, in directory: Directory) throws(SystemError) -> Bool {
        do {
            let file = try directory.openForReading(name)
            return try SystemCalls.wrapped("lock", name) { bb_is_locked(file.fd) } > 0
        } catch  where error.isMissing {
            return false
        }
    }
}

/// A lock file that is opened once and locked and unlocked many times.
public final class ReusableLock: Sendable {
    private let file: OpenFile
    public init(_ name: String, in directory: Directory) throws(SystemError) {
        file = try directory.openForUpdate(name, mode: 0o600)
    }
    public func take() throws(SystemError) -> Bool { try FileLock.takes(file) }
    public func release() throws(SystemError) {
        _ = try SystemCalls.wrapped("unlock", file.label) { bb_unlock(file.fd) }
    }
}
