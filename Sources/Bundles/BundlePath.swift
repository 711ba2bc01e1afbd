// What this is: which paths a bundle may hold: relative, plain, below the site.
// Owns: the grammar of a path, the same when a bundle is written and when it is read.
// Never: mends a path; asks a disk.
// On failure: a sentence that says what is wrong.

public enum BundlePath {
    static let longest = 4_000, longestPart = 255, deepest = 40

    public static func split(_ path: String) -> (folder: String, name: String) {
        guard let slash = path.utf8.lastIndex(of: 0x2F) else { return ("", path) }
        return (String(path[..<slash]), String(path[path.utf8.index(after: slash)...]))
    }
    /// What is wrong with it; nil: nothing.
    public static func trouble(_ path: String) -> String? {
        let bytes = path.utf8
        guard !bytes.isEmpty else { return "it has no name" }
        guard bytes.count <= longest else { return "its path is longer than \(longest) bytes" }
        guard bytes.first != 0x2F else { return "its path is absolute" }
        var depth = 0
        for part in bytes.split(separator: 0x2F, omittingEmptySubsequences: false) {
            depth += 1
            guard !part.isEmpty else { return "its path has an empty part" }
            guard part.count <= longestPart else {
                return "a part of its path is longer than \(longestPart) bytes"
            }
            if part.elementsEqual([0x2E]) || part.elementsEqual([0x2E, 0x2E]) {
                return "its path leads elsewhere"
            }
        }
        guard depth <= deepest else { return "its path is deeper than \(deepest)" }
        // Also the end of a C string, and whatever moves a cursor.
        guard bytes.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
            return "its path has a control character"
        }
        for scalar in path.unicodeScalars {
            guard !(0x80...0x9F).contains(scalar.value) else { return "its path has a control character" }
            // What stands for bytes that are no text, or for a damaged text.
            guard scalar.value < 0xF0000, scalar != "\u{FFFD}" else { return "its path is not valid UTF-8" }
        }
        return nil
    }
}
