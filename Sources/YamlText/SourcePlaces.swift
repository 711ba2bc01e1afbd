// SourcePlaces: turns the marks of libyaml into SourceMarks.
// Owns: the way from a character index to a byte offset.
// Never: counts lines; libyaml does.
// On failure: cannot fail; an index past the end gives the end.
// libyaml calls the index a position, but counts characters, and none for a byte order mark.

import CYaml

struct SourcePlaces {
    private let bytes: UnsafeBufferPointer<UInt8>
    private let isAscii: Bool
    private let lead: Int
    /// The last answer. Marks come almost in order, so each walk from here is short.
    private var index = 0
    private var offset: Int

    init(_ bytes: UnsafeBufferPointer<UInt8>, check: InputCheck) {
        self.bytes = bytes
        isAscii = check.isAscii
        lead = check.lead
        offset = check.lead
    }

    mutating func mark(_ mark: yaml_mark_t) -> SourceMark {
        let target = Int(mark.index)
        let place = isAscii ? min(target + lead, bytes.count) : walk(to: target)
        return SourceMark(line: Int(mark.line) + 1, column: Int(mark.column) + 1, offset: place)
    }

    private mutating func walk(to target: Int) -> Int {
        while index < target, offset < bytes.count {
            repeat { offset += 1 } while offset < bytes.count && Utf8.isContinuation(bytes[offset])
            index += 1
        }
        while index > target, offset > lead {
            repeat { offset -= 1 } while offset > lead && Utf8.isContinuation(bytes[offset])
            index -= 1
        }
        return offset
    }
}
