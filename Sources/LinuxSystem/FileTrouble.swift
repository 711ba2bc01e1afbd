// What this is: the errno values of file calls, grouped by what a person would do about them.
// Owns: FileTrouble.
// Never: decides whether to try again; StepLibrary's DiskFailure does.
// On failure: an errno that is in no group is `.other`.
import Glibc

public enum FileTrouble: Sendable {
    case missing, access, readOnly, existing, kind, name, full, exhausted, other
}

extension SystemError {
    public var fileTrouble: FileTrouble {
        switch errno {
        case ENOENT: .missing
        case EPERM, EACCES: .access
        case EROFS: .readOnly
        case EEXIST, ENOTEMPTY: .existing
        case ENOTDIR, EISDIR, ELOOP, ENXIO: .kind
        case ENAMETOOLONG, EINVAL, EILSEQ: .name
        case ENOSPC, EDQUOT: .full
        case ENFILE, EMFILE, ENOMEM: .exhausted
        default: .other
        }
    }
    /// The two names of a rename are on different file systems.
    public var isCrossDevice: Bool { errno == EXDEV }
    /// The file system does not know this call or one of its flags.
    public var isUnsupported: Bool { errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP }
    /// The kernel does not know this call at all (or a seccomp filter says so).
    public var isUnknownToKernel: Bool { errno == ENOSYS }
    /// What the kernel says of a name that is taken.
    public static func existing(_ call: String, _ subject: String) -> SystemError {
        SystemError(call, subject, errno: EEXIST)
    }
}
