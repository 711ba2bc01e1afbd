// What this is: text as lines.
// Owns: what counts as a line end: LF, or CR LF.
// Never: drops an empty line in the middle.
// On failure: bytes that are not UTF-8 are E-FILE-TEXT with their place.
import JobModel

enum TextLines {
    /// The lines; a line end at the very end begins no further line.
    static func split(_ text: String) -> [String] {
        guard !text.isEmpty else { return [] }
        var lines = text.utf8.split(separator: 10, omittingEmptySubsequences: false)
        if lines.last?.isEmpty == true { lines.removeLast() }
        return lines.map { line in String(decoding: line.last == 13 ? line.dropLast() : line, as: UTF8.self) }
    }

    static func withoutEnd(_ text: String) -> String {
        var bytes = text.utf8[...]
        while let last = bytes.last, last == 10 || last == 13 { bytes.removeLast() }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The bytes as text, or a failure that says where they stop being text. A byte order mark is dropped.
    static func strict(_ bytes: [UInt8], _ path: String) throws(Failure) -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw Failure(
                "E-FILE-TEXT", "\(path) is not UTF-8 text (line \(firstBadLine(bytes)))",
                whatToDo: "convert it first, for example run: [iconv, -f, latin1, -t, utf-8, …]")
        }
        return text.unicodeScalars.first == "\u{FEFF}" ? String(text.unicodeScalars.dropFirst()) : text
    }

    private static func firstBadLine(_ bytes: [UInt8]) -> Int {
        var number = 0
        for line in bytes.split(separator: 10, omittingEmptySubsequences: false) {
            number += 1
            if String(validating: line, as: UTF8.self) == nil { break }
        }
        return number
    }
}
