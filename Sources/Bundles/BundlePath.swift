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
    /// A path by its bytes: texts that only look the same are two paths.
    struct Key: Hashable {
        private var path: String
        init(_ path: String) {
            self.path = path
            // Nothing to copy when it is asked for its bytes.
            self.path.makeContiguousUTF8()
        }
        static func == (left: Key, right: Key) -> Bool { isSame(left.path, right.path) }
        func hash(into hasher: inout Hasher) {
            _ = path.utf8.withContiguousStorageIfAvailable {
                hasher.combine(bytes: UnsafeRawBufferPointer($0))
            }
        }
    }

    static func isSame(_ left: String, _ right: String) -> Bool {
        guard left.utf8.count == right.utf8.count else { return false }
        let found = left.utf8.withContiguousStorageIfAvailable { left in
            right.utf8.withContiguousStorageIfAvailable { right in
                left.elementsEqual(right)
            }
        }
        // Not in one piece in memory: byte by byte.
        return (found ?? nil) ?? left.utf8.elementsEqual(right.utf8)
    }

    /// What is wrong with it; nil: nothing.
    public static func trouble(_ path: String) -> String? {
        var path = path
        let (trouble, isPlain) = path.withUTF8 { judge($0) }
        if let trouble { return trouble }
        if isPlain { return nil }
        for scalar in path.unicodeScalars {
            guard !(0x80...0x9F).contains(scalar.value) else { return "its path has a control character" }
            // What stands for bytes that are no text, or for a damaged text.
            guard scalar.value < 0xF0000, scalar != "\u{FFFD}" else { return "its path is not valid UTF-8" }
        }
        return nil
    }
    /// By its bytes; `isPlain`: all of them are ASCII.
    private static func judge(_ bytes: UnsafeBufferPointer<UInt8>) -> (String?, isPlain: Bool) {
        guard !bytes.isEmpty else { return ("it has no name", true) }
        guard bytes.count <= longest else { return ("its path is longer than \(longest) bytes", true) }
        guard bytes.first != 0x2F else { return ("its path is absolute", true) }
        var depth = 1, length = 0, dots = 0, isPlain = true, isOdd = false
        for index in 0...bytes.count {
            guard index == bytes.count || bytes[index] == 0x2F else {
                let byte = bytes[index]
                length += 1
                if byte == 0x2E { dots += 1 }
                if byte >= 0x80 { isPlain = false }
                // Also the end of a C string, and whatever moves a cursor.
                if byte < 0x20 || byte == 0x7F { isOdd = true }
                continue
            }
            guard length > 0 else { return ("its path has an empty part", true) }
            guard length <= longestPart else {
                return ("a part of its path is longer than \(longestPart) bytes", true)
            }
            if dots == length, length <= 2 { return ("its path leads elsewhere", true) }
            if index < bytes.count { depth += 1 }
            (length, dots) = (0, 0)
        }
        guard depth <= deepest else { return ("its path is deeper than \(deepest)", true) }
        guard !isOdd else { return ("its path has a control character", true) }
        return (nil, isPlain)
    }
}
