// What this is: the rules by which shell text moves from one context to the next.
// Owns: quotes, substitutions, comments and here-documents of POSIX sh, and the words that make data code.
// Never: runs or expands anything.
// On failure: a value right behind `$` or a backslash is refused; what is unclear bars the values after it.

extension TemplateShellScanner {
    mutating func step() throws(ExpressionError) {
        if case .hereDocument(let document)? = stack.last, endsHereDocument(document) { return }
        if isHole() { return try fill() }
        if code() == "`", backquote() { return }
        switch stack.last {
        case .single: if code() == "'" { close() } else { copy() }
        case .double: if code() == "\"" { close() } else { try expansions() }
        case .comment: if code() == "\n" { stack.removeLast() } else { copy() }
        case .hereDocument(let document): if document.isQuoted { copy() } else { try expansions() }
        case .arithmetic, .group: try arithmetic()
        case .parameter(let quoted): try parameter(quoted)
        case .commands, .backquotes, nil: try commands()
        }
    }

    private mutating func open(_ frame: Frame, _ length: Int) {
        copy(length)
        stack.append(frame)
        startsWord = false
    }

    private mutating func close(_ length: Int = 1) {
        copy(length)
        stack.removeLast()
        startsWord = false
    }

    /// What is special inside double quotes as well as outside: backslash and dollar.
    private mutating func expansions() throws(ExpressionError) {
        let isInside = isWithinQuotes
        switch (code(), code(1)) {
        case ("\\", _):
            if isHole(1) { throw refusal("the backslash before it would quote the wrong character") }
            if code(1) == "\n", case .hereDocument? = stack.last {
                bar("the here-document before it has joined lines")
            }
            copy(2)
        case ("$", "(") where code(2) == "(": open(.arithmetic, 3)
        case ("$", "("):
            open(.commands(closed: true, substitution: true), 2)
            startsWord = true
        case ("$", "{"): open(.parameter(quoted: isInside), 2)
        case ("$", "$"): copy(2)
        case ("$", "'") where !isInside, ("$", "\"") where !isInside:
            bar("shells differ in what $' and $\" mean")
            copy()
        case ("$", nil) where isHole(1):
            throw refusal("with the `$` before it, it would be another expansion")
        default: copy()
        }
    }

    private var isWithinQuotes: Bool {
        switch stack.last {
        case .double, .hereDocument, .parameter(quoted: true): true
        default: false
        }
    }

    /// Opens backquotes or closes the open ones; false where a backquote is nothing special.
    private mutating func backquote() -> Bool {
        let opened = stack.lastIndex { if case .backquotes = $0 { true } else { false } }
        if let opened {
            if opened != stack.count - 1, stack.last != .comment {
                bar("quotes and backquotes overlap before it")
            }
            stack.removeSubrange((opened + 1)...)
            close()
            return true
        }
        switch stack.last {
        case .single, .comment: return false
        case .hereDocument(let document) where document.isQuoted: return false
        default:
            open(.backquotes(from: index + 1), 1)
            startsWord = true
            return true
        }
    }

    private mutating func arithmetic() throws(ExpressionError) {
        switch (code(), code(1)) {
        case ("(", _): open(.group, 1)
        case (")", _) where stack.last == .group: close()
        case (")", ")"): close(2)
        case (")", _):
            bar("`((` before it may be arithmetic or two brackets; put a space between them")
            close()
        case ("'", _), ("\"", _):
            bar("quotes in arithmetic before it are too unclear")
            copy()
        default: try expansions()
        }
    }

    private mutating func parameter(_ quoted: Bool) throws(ExpressionError) {
        switch code() {
        case "}": close()
        case "\"": open(.double, 1)
        case "'" where quoted:
            bar("a single quote inside \"${ }\" before it is too unclear")
            copy()
        case "'": open(.single, 1)
        default: try expansions()
        }
    }

    // MARK: commands

    private mutating func commands() throws(ExpressionError) {
        if startsWord { word() }
        switch code() {
        case "'": open(.single, 1)
        case "\"": open(.double, 1)
        case "#" where startsWord: stack.append(.comment)
        case "<" where code(1) == "<": try hereDocument()
        case "\n": lineEnd()
        case "(": bracket()
        case ")": closingBracket()
        case "\\", "$":
            startsWord = false
            try expansions()
        case ";", "&", "|":
            unbar(.command)
            copy()
            startsWord = true
        case let other:
            copy()
            startsWord = other == " " || other == "\t" || other == "<" || other == ">"
        }
    }

    private mutating func bracket() {
        if startsWord, code(1) == "(" { return open(.arithmetic, 2) }
        open(.commands(closed: true, substitution: false), 1)
        startsWord = true
    }

    private mutating func closingBracket() {
        let frame = stack.last
        copy()
        if case .commands(closed: true, _)? = frame { stack.removeLast() }
        // `$(a)#b` is one word; `(a)#b` ends with a comment.
        startsWord = frame != .commands(closed: true, substitution: true)
    }

    /// Words after which a value is code, or after which this walk loses its way.
    private mutating func word() {
        if isWord("[[") {
            bar("inside [[ ]] it may be evaluated as arithmetic; use [ ]", until: .bracket)
        } else if isWord("]]") {
            unbar(.bracket)
        } else if isWord("case"), stack.contains(.commands(closed: true, substitution: true)) {
            bar("`case` inside $( ) before it is too unclear")
        } else if let name = ["eval", "let", "trap", "alias"].first(where: isWord) {
            bar("`\(name)` would run it as code", until: .command)
        }
    }

    private func isWord(_ word: String) -> Bool {
        let letters = Array(word.unicodeScalars)
        for (ahead, letter) in letters.enumerated() where code(ahead) != letter { return false }
        return code(letters.count).map(TemplateShellScanner.endsWord) ?? true
    }

    private static func endsWord(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar {
        case " ", "\t", "\n", ";", "&", "|", "(", ")", "<", ">", "`": true
        default: false
        }
    }

    // MARK: here-documents

    private mutating func hereDocument() throws(ExpressionError) {
        startsWord = false
        if code(2) == "<" { return copy(3) }
        var document = HereDocument(dropsTabs: code(2) == "-", depth: stack.count)
        copy(document.dropsTabs ? 3 : 2)
        while code() == " " || code() == "\t" { copy() }
        var quote: Unicode.Scalar?
        while index < codes.count {
            guard let scalar = code() else { throw refusal("it would be the end word of a here-document") }
            if quote == nil, TemplateShellScanner.endsWord(scalar) { break }
            if scalar == quote {
                quote = nil
            } else if quote == nil, scalar == "'" || scalar == "\"" || scalar == "\\" {
                document.isQuoted = true
                if scalar != "\\" { quote = scalar }
            } else {
                document.end.append(scalar)
            }
            copy()
        }
        pending.append(document)
    }

    private mutating func lineEnd() {
        copy()
        startsWord = true
        unbar(.command)
        guard !pending.isEmpty else { return }
        let document = pending.removeFirst()
        if document.depth != stack.count { bar("a here-document before it begins in another place") }
        stack.append(.hereDocument(document))
    }

    /// At the start of a line, whether it is the end word; copies it if so.
    private mutating func endsHereDocument(_ document: HereDocument) -> Bool {
        guard codes[index - 1] == "\n" else { return false }
        var start = index
        while document.dropsTabs, start < codes.count, codes[start] == "\t" { start += 1 }
        let line = codes[start...].prefix { $0 != "\n" }
        guard line.elementsEqual(document.end) else { return false }
        copy(line.endIndex - index)
        stack.removeLast()
        return true
    }
}
