// What this is: a message without what changes from one to the next: numbers, ids, paths, hosts, times, quoted text.
// Owns: how a message is cut into pieces and which of them are variable (docs/REPORTS.md has the rules in words).
// Never: knows which program wrote the message; allocates once it is warm; reads more than `longest` bytes of one.
// On failure: cannot fail: every sequence of bytes has pieces, and what is no text is a word like any other.
//
// The rules are the usual ones of log parsing (He et al., "Drain", ICWS 2017, take them as regular expressions given for
// each data set; Zhu et al., ICSE-SEIP 2019, list those); here one set of rules serves everything, in one pass.

struct MessageScanner {
    /// What follows is one variable piece: nobody reads on, and no message may cost more than this.
    static let longest = 8192
    static let mostPieces = 400

    struct Piece {
        enum Kind: UInt8 { case variable, word, separator }
        var start: Int32
        var end: Int32
        var kind: Kind
        /// Whether white space stands before it in the message.
        var isSpaced: Bool
        var isDateWord = false
    }
    /// The pieces of the last message, as many variable ones in a row as one.
    private(set) var pieces: [Piece] = []
    /// Their bytes with a space between, a variable one as `Sign.variable`: messages with equal shapes are alike.
    private(set) var shape: [UInt8] = []
    private(set) var hash: UInt64 = 0
    private var raw: [Piece] = []

    init() {}

    mutating func scan(_ message: UnsafeRawBufferPointer) {
        raw.removeAll(keepingCapacity: true)
        let text = UnsafeRawBufferPointer(rebasing: message.prefix(MessageScanner.longest))
        cut(text)
        if message.count > text.count { add(.variable, text.count, text.count, spaced: false) }
        markDateWords()
        join(text)
        writeShape(text)
    }

    // MARK: cutting

    private mutating func cut(_ text: UnsafeRawBufferPointer) {
        var at = 0
        while at < text.count {
            if raw.count >= MessageScanner.mostPieces {
                add(.variable, at, text.count, spaced: true)
                return
            }
            let byte = text[at]
            let spaced = at > 0 && Sign.isSpace(text[at - 1])
            switch byte {
            case _ where Sign.isSpace(byte): at += 1
            case Sign.dot where Sign.isLeader(text, at):
                // Dots that lead the eye to a value.
                while at < text.count, text[at] == Sign.dot { at += 1 }
            case Sign.doubleQuote, Sign.backtick, Sign.quote:
                at = quoted(text, at, spaced)
            case Sign.less where Sign.isPlaceholder(text, at):
                // A template is a message of its own kind.
                add(.variable, at, at + 3, spaced: spaced)
                at += 3
            case Sign.less, Sign.greater, Sign.tilde:
                // "<1 sec" is a time like any other.
                let isBeforeNumber = at + 1 < text.count && Sign.isDigit(text[at + 1])
                if !isBeforeNumber {
                    if byte == Sign.tilde { at = word(text, at, spaced); continue }
                    add(.separator, at, at + 1, spaced: spaced)
                }
                at += 1
            case Sign.equals: at = value(text, at, spaced)
            case _ where Sign.isSeparator(byte):
                add(.separator, at, at + 1, spaced: spaced)
                at += 1
            default: at = word(text, at, spaced)
            }
        }
    }

    private mutating func add(_ kind: Piece.Kind, _ start: Int, _ end: Int, spaced: Bool) {
        raw.append(Piece(start: Int32(start), end: Int32(end), kind: kind, isSpaced: spaced))
    }

    /// A quoted text is a value; of an HTTP request the method stays.
    private mutating func quoted(_ text: UnsafeRawBufferPointer, _ at: Int, _ spaced: Bool) -> Int {
        let sign = text[at]
        // Of an apostrophe in a word nobody knows where it would end.
        let mayOpen = sign != Sign.quote || at == 0 || !Sign.isWordLike(text[at - 1])
        var end = at + 1
        while mayOpen, end < text.count {
            if text[end] == sign,
                sign != Sign.quote || end + 1 == text.count || !Sign.isWordLike(text[end + 1])
            {
                let method = WordTable.methodLength(text, at + 1, end)
                if method > 0 { add(.word, at + 1, at + 1 + method, spaced: spaced) }
                add(.variable, at, end + 1, spaced: spaced || method > 0)
                return end + 1
            }
            end += 1
        }
        add(.separator, at, at + 1, spaced: spaced)
        return at + 1
    }

    /// Of `key=value` the value is variable, whatever it is.
    private mutating func value(_ text: UnsafeRawBufferPointer, _ at: Int, _ spaced: Bool) -> Int {
        let isAfterKey = raw.last.map { $0.kind != .separator } ?? false
        let before = at > 0 ? text[at - 1] : Sign.space
        let after = at + 1 < text.count ? text[at + 1] : Sign.space
        add(.separator, at, at + 1, spaced: spaced)
        let isComparison =
            [Sign.equals, Sign.greater].contains(after)
            || [Sign.equals, Sign.less, Sign.greater, Sign.exclamation].contains(before)
        // `logname= uid=0`: a space after the sign alone says that there is no value.
        if isComparison || !isAfterKey || (Sign.isSpace(after) && !Sign.isSpace(before)) { return at + 1 }
        var start = at + 1
        while start < text.count, Sign.isSpace(text[start]) { start += 1 }
        let end = Sign.wordEnd(text, start)
        guard end > start else { return at + 1 }
        add(.variable, start, end, spaced: start > at + 1)
        return end
    }

    private mutating func word(_ text: UnsafeRawBufferPointer, _ at: Int, _ spaced: Bool) -> Int {
        if at == 0 || !Sign.isWordLike(text[at - 1]), let end = Sign.endOfHexRun(text, at) {
            add(.variable, at, end, spaced: spaced)
            return end
        }
        var end = max(Sign.wordEnd(text, at), at + 1)
        if let leader = Sign.leader(in: text, at, end) { end = leader }
        guard !WordShape.isVariable(text, at, end) else {
            add(.variable, at, end, spaced: spaced)
            return WordShape.isNumber(text, at, end) ? afterUnit(text, end) : end
        }
        let last = WordShape.withoutStop(text, at, end)
        add(.word, at, last, spaced: spaced)
        if WordTable.isDateWord(text, at, last) { raw[raw.count - 1].isDateWord = true }
        return end
    }

    /// `12 MB`, `12MB` and `12 ms` are one quantity; so are two of them in different units.
    private func afterUnit(_ text: UnsafeRawBufferPointer, _ at: Int) -> Int {
        var start = at
        if start < text.count, text[start] == Sign.space { start += 1 }
        let end = Sign.wordEnd(text, start)
        return WordTable.isUnit(text, start, WordShape.withoutStop(text, start, end)) ? end : at
    }

    // MARK: joining

    /// `Fri Jul 01 08:16:53 PDT 2005`: names of days, months and zones beside numbers or each other.
    private mutating func markDateWords() {
        guard raw.contains(where: \.isDateWord) else { return }
        for index in raw.indices where raw[index].isDateWord {
            let neighbours = [index - 1, index + 1].filter(raw.indices.contains)
            if neighbours.contains(where: { raw[$0].kind == .variable || raw[$0].isDateWord }) {
                raw[index].kind = .variable
            }
        }
    }

    /// Variable pieces side by side, with a mark between them, or repeated in brackets, are one.
    private mutating func join(_ text: UnsafeRawBufferPointer) {
        pieces.removeAll(keepingCapacity: true)
        for piece in raw {
            let count = pieces.count
            if piece.kind == .variable, count > 0 {
                if pieces[count - 1].kind == .variable { continue }
                if count > 1, pieces[count - 2].kind == .variable, isLink(text, pieces[count - 1]) {
                    pieces.removeLast()
                    continue
                }
            }
            if piece.kind == .separator, count > 2, pieces[count - 1].kind == .variable,
                pieces[count - 3].kind == .variable, encloses(text, pieces[count - 2], piece)
            {
                pieces.removeLast(2)
                continue
            }
            pieces.append(piece)
        }
    }
    private func isLink(_ text: UnsafeRawBufferPointer, _ piece: Piece) -> Bool {
        piece.end - piece.start == 1 && Sign.isLink(text[Int(piece.start)])
    }
    private func encloses(_ text: UnsafeRawBufferPointer, _ opens: Piece, _ closes: Piece) -> Bool {
        guard opens.kind == .separator else { return false }
        let pair = (text[Int(opens.start)], text[Int(closes.start)])
        return pair == (Sign.openParenthesis, Sign.closeParenthesis)
            || pair == (Sign.openBracket, Sign.closeBracket)
    }

    private mutating func writeShape(_ text: UnsafeRawBufferPointer) {
        shape.removeAll(keepingCapacity: true)
        for piece in pieces {
            if !shape.isEmpty { shape.append(Sign.space) }
            if piece.kind == .variable {
                shape.append(Sign.variable)
            } else {
                shape.append(contentsOf: text[Int(piece.start)..<Int(piece.end)])
            }
        }
        hash = shape.withUnsafeBytes(ShapeHash.of)
    }
}
