// SourceMark: a place in a source text, for messages and carets.
// Owns: the meaning of line, column and offset.
// Never: holds the text itself.
// On failure: cannot fail; an offset past the end is moved to the end.
// Line breaks are LF, CR and CR LF, as in YAML.

/// A place in a text. Places are ordered by `offset`.
public struct SourceMark: Hashable, Sendable {
    /// Line number, from 1.
    public var line: Int
    /// Column in Unicode scalars, from 1. A byte order mark takes no column.
    public var column: Int
    /// Bytes before this place, from 0. A byte order mark counts 3.
    public var offset: Int

    /// A place from its three parts; nothing is checked.
    public init(line: Int, column: Int, offset: Int) {
        self.line = line
        self.column = column
        self.offset = offset
    }

    /// The first place of any text.
    public static let start = SourceMark(line: 1, column: 1, offset: 0)
}

extension SourceMark {
    /// The place of byte `offset`, found by reading from the start: for error paths only.
    static func locate(_ offset: Int, in bytes: UnsafeBufferPointer<UInt8>) -> SourceMark {
        let end = min(offset, bytes.count)
        var mark = SourceMark.start
        mark.offset = end
        for index in min(Utf8.markLength(bytes), end)..<end {
            switch bytes[index] {
            case 0x0A where index > 0 && bytes[index - 1] == 0x0D: break
            case 0x0A, 0x0D:
                mark.line += 1
                mark.column = 1
            case let byte where Utf8.isContinuation(byte): break
            default: mark.column += 1
            }
        }
        return mark
    }
}
