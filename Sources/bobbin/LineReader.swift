// What this is: the lines of a file, a pipe or a terminal, as bytes, one at a time.
// Owns: the cutting; a last line without its end; how much of a line without end is kept.
// Never: decodes; holds more than a piece of the input and one line.
// On failure: SystemError of the read; the line that was being read is not told.
import LinuxSystem

struct LineReader {
    /// Of a longer line the rest is passed over: nothing that reads lines looks further.
    static let longest = 1 << 20
    private let file: OpenFile
    private let pieceSize = 1 << 18

    /// `-` is standard input.
    init(_ path: String) throws(SystemError) {
        // As it stands: opened once more, a socket could not be read and a file would begin anew.
        file = path == "-" ? try OpenFile.standardInput() : try OpenFile.open(path)
    }

    func forEach(_ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: pieceSize, alignment: 16)
        defer { piece.deallocate() }
        // The beginning of a line whose end is in the next piece.
        var carried: [UInt8] = []
        var hasCarried = false
        while true {
            let count = try file.readNext(into: piece)
            guard count > 0 else { break }
            var rest = UnsafeRawBufferPointer(rebasing: piece[..<count])
            while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                let line = UnsafeRawBufferPointer(rebasing: rest[..<end])
                if hasCarried {
                    LineReader.extend(&carried, line)
                    try carried.withUnsafeBytes(body)
                    carried.removeAll(keepingCapacity: true)
                    hasCarried = false
                } else {
                    try body(line)
                }
                rest = UnsafeRawBufferPointer(rebasing: rest[(end + 1)...])
            }
            if !rest.isEmpty {
                LineReader.extend(&carried, rest)
                hasCarried = true
            }
        }
        if hasCarried { try carried.withUnsafeBytes(body) }
    }

    private static func extend(_ line: inout [UInt8], _ more: UnsafeRawBufferPointer) {
        line.append(contentsOf: more.prefix(max(0, longest - line.count)))
    }
}
