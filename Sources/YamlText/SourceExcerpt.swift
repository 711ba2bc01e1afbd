// SourceExcerpt: the part of a line around a place, as cells of a terminal.
// Owns: the cut to 100 columns and 200 bytes, and the column of the caret.
// Never: shows a control character, or more than one line.
// On failure: cannot fail; a place past the end gets a caret behind the last line.
// Only bytes near the place are read, so a line of a megabyte costs no more.

struct SourceExcerpt {
    private static let maxColumns = 100
    private static let maxBytes = 200
    private static let dots = "..."

    private typealias Bytes = UnsafeBufferPointer<UInt8>

    private struct Cell {
        var shown: String
        var width: Int
        var length: Int
    }

    /// The part of the line, with "..." where it is cut.
    let text: String
    /// Columns in front of the caret.
    let caret: Int

    init(_ bytes: UnsafeBufferPointer<UInt8>, around offset: Int) {
        let place = Self.characterStart(bytes, max(0, min(offset, bytes.count)))
        let (before, isStart) = Self.cellsBefore(bytes, place)
        let (after, isEnd) = Self.cellsAfter(bytes, place)
        var window = Window(isStart: isStart, isEnd: isEnd)
        let fits = isStart && isEnd && Self.fits(before + after)
        if fits { window.takeAll(before, after) } else { window.take(before, after) }
        let front = window.isStart ? "" : Self.dots
        text = front + window.left + window.right + (window.isEnd ? "" : Self.dots)
        caret = front.utf8.count + window.leftColumns
    }
}

extension SourceExcerpt {
    /// The cells on both sides of the caret that are shown.
    private struct Window {
        var isStart: Bool
        var isEnd: Bool
        var left = ""
        var right = ""
        var leftColumns = 0

        mutating func takeAll(_ before: [Cell], _ after: [Cell]) {
            left = before.map(\.shown).joined()
            right = after.map(\.shown).joined()
            leftColumns = before.reduce(0) { $0 + $1.width }
        }

        /// Half of the room for the left side, and what is then free for the right side.
        mutating func take(_ before: [Cell], _ after: [Cell]) {
            let room = SourceExcerpt.maxColumns - 2 * SourceExcerpt.dots.utf8.count
            let tail = SourceExcerpt.longestPrefix(before.reversed(), columns: room / 2, bytes: maxBytes / 2)
            left = tail.cells.reversed().map(\.shown).joined()
            leftColumns = tail.columns
            isStart = isStart && tail.cells.count == before.count
            let head = SourceExcerpt.longestPrefix(
                after, columns: room - tail.columns, bytes: maxBytes - tail.bytes)
            right = head.cells.map(\.shown).joined()
            isEnd = isEnd && head.cells.count == after.count
        }
    }

    private static func fits(_ cells: [Cell]) -> Bool {
        longestPrefix(cells, columns: maxColumns, bytes: maxBytes).cells.count == cells.count
    }

    private static func longestPrefix(
        _ cells: [Cell], columns: Int, bytes: Int
    ) -> (cells: ArraySlice<Cell>, columns: Int, bytes: Int) {
        var used = (columns: 0, bytes: 0)
        var count = 0
        for cell in cells {
            guard used.columns + cell.width <= columns, used.bytes + cell.length <= bytes else { break }
            used = (used.columns + cell.width, used.bytes + cell.length)
            count += 1
        }
        return (cells.prefix(count), used.columns, used.bytes)
    }

    private static func isBreak(_ byte: UInt8) -> Bool { byte == 0x0A || byte == 0x0D }

    /// The first byte of the character that `index` is in.
    private static func characterStart(_ bytes: Bytes, _ index: Int) -> Int {
        for back in 0..<4 where index - back >= 0 && index < bytes.count {
            guard let next = Utf8.decode(bytes, at: index - back) else { continue }
            return back < next.length ? index - back : index
        }
        return index
    }

    private static func cellsBefore(_ bytes: Bytes, _ place: Int) -> (cells: [Cell], isStart: Bool) {
        let lead = place >= Utf8.markLength(bytes) ? Utf8.markLength(bytes) : 0
        var start = place
        while start > lead, place - start < maxBytes, !isBreak(bytes[start - 1]) { start -= 1 }
        let isStart = start == lead || isBreak(bytes[start - 1])
        return (cells(bytes, characterStart(bytes, start)..<place), isStart)
    }

    private static func cellsAfter(_ bytes: Bytes, _ place: Int) -> (cells: [Cell], isEnd: Bool) {
        var end = place
        while end < bytes.count, end - place < maxBytes, !isBreak(bytes[end]) { end += 1 }
        return (cells(bytes, place..<end), end == bytes.count || isBreak(bytes[end]))
    }

    private static func cells(_ bytes: Bytes, _ range: Range<Int>) -> [Cell] {
        var cells: [Cell] = []
        var index = range.lowerBound
        while index < range.upperBound {
            let (shown, length) = Printable.cell(bytes, at: index)
            // A tab is one column, and so is the caret line's space below it.
            let isTab = bytes[index] == 0x09
            let text = isTab ? " " : shown
            cells.append(Cell(shown: text, width: TextWidth.columns(text), length: length))
            index += length
        }
        return cells
    }
}
