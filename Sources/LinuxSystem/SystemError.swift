// What this is: a failed system call, with what was called on what.
// Owns: SystemError and the names of the errno values that people meet.
// Never: decides what a failure means for a job; callers do.
// On failure: it is the failure.
import Glibc

public struct SystemError: Error, Hashable, Sendable, CustomStringConvertible {
    public var call: String
    public var subject: String
    public var errno: Int32

    public init(_ call: String, _ subject: String, errno: Int32) {
        self.call = call
        self.subject = subject
        self.errno = errno
    }

    /// There is more of it than is ever read.
    public static func tooLarge(_ subject: String) -> SystemError {
        SystemError("read", subject, errno: EFBIG)
    }

    /// `renameat2 claimed/x: No space left on device (ENOSPC)`.
    public var description: String {
        let name = SystemError.names[errno].map { " (\($0))" } ?? " (errno \(errno))"
        return "\(call)\(subject.isEmpty ? "" : " " + subject): \(SystemError.sentence(errno))\(name)"
    }

    public static func sentence(_ errno: Int32) -> String {
        // strerror's text is static for known numbers; the buffer form keeps threads apart.
        var buffer = [CChar](repeating: 0, count: 128)
        guard strerror_r(errno, &buffer, buffer.count) == 0 else { return "error \(errno)" }
        return String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    private static let names: [Int32: String] = [
        EPERM: "EPERM", ENOENT: "ENOENT", EIO: "EIO", EBADF: "EBADF", EAGAIN: "EAGAIN", ENOMEM: "ENOMEM",
        EACCES: "EACCES", EBUSY: "EBUSY", EEXIST: "EEXIST", EXDEV: "EXDEV", ENOTDIR: "ENOTDIR",
        EISDIR: "EISDIR",
        EINVAL: "EINVAL", ENFILE: "ENFILE", EMFILE: "EMFILE", EFBIG: "EFBIG", ENOSPC: "ENOSPC",
        EROFS: "EROFS",
        EMLINK: "EMLINK", EPIPE: "EPIPE", ENAMETOOLONG: "ENAMETOOLONG", ENOSYS: "ENOSYS",
        ENOTEMPTY: "ENOTEMPTY",
        ELOOP: "ELOOP", EDQUOT: "EDQUOT", ENOEXEC: "ENOEXEC", E2BIG: "E2BIG", ETXTBSY: "ETXTBSY",
        ECHILD: "ECHILD",
    ]

    public var isMissing: Bool { errno == ENOENT }
    public var isExisting: Bool { errno == EEXIST }
    /// Of a directory that is to go; some file systems say the other.
    public var isNotEmpty: Bool { errno == ENOTEMPTY || errno == EEXIST }
    /// No room, no inodes or over quota: the state of the disk, not of the job.
    public var isFull: Bool { errno == ENOSPC || errno == EDQUOT }
    /// No memory, no descriptors, no processes.
    public var isShortOfResources: Bool { [ENOMEM, ENFILE, EMFILE, EAGAIN].contains(errno) }
}
