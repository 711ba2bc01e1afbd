// What this is: the text form of an age file: strict PEM (RFC 7468) with lines of 64 characters (C2SP age, ASCII armor).
// Owns: both directions.
// Never: takes what two readers could read in two ways: short lines in the middle, blanks inside, no padding.
// On failure: AgeProblem.armor.
import JobModel

enum AgeArmor {
    private static let begin = Array("-----BEGIN AGE ENCRYPTED FILE-----".utf8)
    private static let end = Array("-----END AGE ENCRYPTED FILE-----".utf8)
    private static let width = 64

    /// Whether a file means to be armored, well or badly.
    static func isArmored(_ file: [UInt8]) -> Bool {
        guard !file.starts(with: AgeHeader.version) else { return false }
        let head = file.prefix(4096)
        let wanted = Array("-----BEGIN AGE".utf8)
        return head.indices.contains { head[$0...].starts(with: wanted) }
            || file.drop(while: isBlank).starts(with: Array("-----".utf8))
    }

    static func encode(_ file: [UInt8]) -> [UInt8] {
        var out = begin + [0x0A]
        let text = Array(Base64.encode(file).utf8)
        for start in stride(from: 0, to: text.count, by: width) {
            out += text[start..<min(start + width, text.count)] + [0x0A]
        }
        return out + end + [0x0A]
    }

    static func decode(_ file: [UInt8]) throws(AgeProblem) -> [UInt8] {
        var rest = file[...]
        while let first = rest.first, isBlank(first) { rest.removeFirst() }
        while let last = rest.last, isBlank(last) { rest.removeLast() }
        let lines = rest.split(separator: 0x0A, omittingEmptySubsequences: false).map { line in
            line.last == 0x0D ? line.dropLast() : line
        }
        guard let first = lines.first, first.elementsEqual(begin) else {
            throw AgeProblem(.armor, "the first line is not `-----BEGIN AGE ENCRYPTED FILE-----`")
        }
        guard lines.count >= 2, lines[lines.count - 1].elementsEqual(end) else {
            throw AgeProblem(.armor, "the last line is not `-----END AGE ENCRYPTED FILE-----`")
        }
        let body = lines[1..<(lines.count - 1)]
        var out: [UInt8] = []
        for (index, line) in body.enumerated() {
            let isLast = index == body.count - 1
            guard line.count == width || isLast && (1...width).contains(line.count),
                let bytes = Base64.decode(line)
            else { throw AgeProblem(.armor, "line \(index + 2) is no line of 64 characters of base64") }
            if !isLast, bytes.count != width / 4 * 3 {
                throw AgeProblem(.armor, "line \(index + 2) ends before the text does")
            }
            out += bytes
        }
        return out
    }

    private static func isBlank(_ byte: UInt8) -> Bool { [0x20, 0x09, 0x0A, 0x0D].contains(byte) }
}
