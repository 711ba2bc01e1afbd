// DocumentTail: looks at what is behind the first document.
// Owns: E-YAML-MULTIDOC, and the error for text behind a closed value.
// Never: asks libyaml, which would read all directives of a second document first.
// On failure: throws a YamlError at the first character that does not belong there.
// Blank lines, comments and `...` lines may follow.

struct DocumentTail {
    private let bytes: UnsafeBufferPointer<UInt8>
    private let from: SourceMark

    /// `from` is the end of the last event of the document.
    init(_ bytes: UnsafeBufferPointer<UInt8>, from: SourceMark) {
        self.bytes = bytes
        self.from = from
    }

    func check() throws(YamlError) {
        guard let index = firstText() else { return }
        let mark = SourceMark.locate(index, in: bytes)
        let isDocument = isMarker("---", at: index) || bytes[index] == UInt8(ascii: "%") || isAfterEnd(index)
        if isDocument {
            let hint = "keep one document in each file"
            throw YamlError(.multidoc, "a second document starts here", hint: hint, at: mark)
        }
        let hint = "check the brackets and the quotes in front of it"
        throw YamlError(.syntax, "the value has ended, but there is more text", hint: hint, at: mark)
    }

    /// The offset of the first byte that is no blank, no comment and no `...` line.
    private func firstText() -> Int? {
        var index = from.offset
        while index < bytes.count {
            switch bytes[index] {
            case 0x20, 0x09, 0x0A, 0x0D: index += 1
            case UInt8(ascii: "#"): index = lineEnd(index)
            case UInt8(ascii: ".") where isMarker("...", at: index): index += 3
            default: return index
            }
        }
        return nil
    }

    private func lineEnd(_ start: Int) -> Int {
        var index = start
        while index < bytes.count, !isBreak(index) { index += 1 }
        return index
    }

    private func isBreak(_ index: Int) -> Bool { bytes[index] == 0x0A || bytes[index] == 0x0D }

    private func isMarker(_ text: StaticString, at index: Int) -> Bool {
        let marker = UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
        guard index == 0 || isBreak(index - 1), bytes[index...].starts(with: marker) else { return false }
        let next = index + marker.count
        return next == bytes.count || isBreak(next) || bytes[next] == 0x20 || bytes[next] == 0x09
    }

    /// True when a `...` line ended the document in front of `index`.
    private func isAfterEnd(_ index: Int) -> Bool {
        let start = from.offset
        return (start >= 3 && isMarker("...", at: start - 3))
            || (start..<index).contains { isMarker("...", at: $0) }
    }
}
