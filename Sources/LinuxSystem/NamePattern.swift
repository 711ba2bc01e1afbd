// What this is: shell patterns for file names: `*.pdf`, `IMG_[0-9]*`, `?.txt`.
// Owns: the call of fnmatch(3).
// Never: expands a pattern to names; looks at a disk.
// On failure: a pattern that is none fits nothing but itself.
import Glibc

public enum NamePattern {
    /// Whether a whole text fits, where `*` is anything, a `/` as well.
    public static func fits(_ pattern: String, whole text: String) -> Bool { fnmatch(pattern, text, 0) == 0 }

    /// Whether a name, or a path below some directory where the pattern has a `/`, fits.
    public static func fits(_ pattern: String, path: String) -> Bool {
        let isPath = pattern.utf8.contains(UInt8(ascii: "/"))
        let subject =
            isPath
            ? path
            : path.utf8.lastIndex(of: UInt8(ascii: "/")).map { String(path[path.utf8.index(after: $0)...]) }
                ?? path
        return fnmatch(pattern, subject, isPath ? FNM_PATHNAME : 0) == 0
    }
}
