// What this is: the text of an expression cut into words, numbers, quoted texts and marks.
// Owns: the spelling rules: names, numbers, quotes and their escapes.
// Never: looks at grammar.
// On failure: E-EXPR at the character that fits nowhere, with the word that was probably meant.
import JobModel

struct ExpressionToken: Sendable {
    enum Kind: Equatable, Sendable {
        case word(String)
        case text(String)
        /// `secrets://erp/api_key`.
        case secret(SecretName)
        case number(Value)
        case mark(Mark)
        case end
    }
    enum Mark: UInt8, Sendable {
        case plus, minus, times, slash, percent
        case equal, different, less, lessOrEqual, greater, greaterOrEqual
        case open, close, openList, closeList, openMap, closeMap, comma, colon, dot, pipe

        private static let texts = [
            "+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=",
            "(", ")", "[", "]", "{", "}", ",", ":", ".", "|",
        ]
        var text: String { Mark.texts[Int(rawValue)] }
    }
    var kind: Kind
    var offset: Int

    /// How an error message names the token.
    var shown: String {
        switch kind {
        case .word(let word): "`\(word.prefix(40))`"
        case .text: "a text"
        case .secret(let name): "`\(name.reference)`"
        case .number(let value): "`\(value.text)`"
        case .mark(let mark): "`\(mark.text)`"
        case .end: "the end"
        }
    }
}

struct ExpressionTokens {
    private let scalars: [Unicode.Scalar]
    private var position = 0

    static func read(_ text: String) throws(ExpressionError) -> [ExpressionToken] {
        var reader = ExpressionTokens(scalars: Array(text.unicodeScalars))
        guard reader.scalars.count <= ExpressionLimits.scalars else {
            throw ExpressionError(
                "E-EXPR-LIMIT", "the expression is longer than \(ExpressionLimits.scalars) characters",
                hint: "compute part of it in an earlier step", offset: ExpressionLimits.scalars)
        }
        var tokens: [ExpressionToken] = []
        tokens.reserveCapacity(reader.scalars.count / 3 + 2)
        while let token = try reader.next() { tokens.append(token) }
        tokens.append(ExpressionToken(kind: .end, offset: reader.scalars.count))
        return tokens
    }

    private init(scalars: [Unicode.Scalar]) { self.scalars = scalars }

    private func peek(_ ahead: Int = 0) -> Unicode.Scalar? {
        position + ahead < scalars.count ? scalars[position + ahead] : nil
    }

    private mutating func next() throws(ExpressionError) -> ExpressionToken? {
        while let blank = peek(), ExpressionTokens.isBlank(blank) { position += 1 }
        guard let first = peek() else { return nil }
        let start = position
        let kind: ExpressionToken.Kind
        if first == "r", let quote = peek(1), quote == "'" || quote == "\"" {
            position += 1
            kind = try quoted(quote, isRaw: true)
        } else if ExpressionTokens.startsName(first) {
            kind = try word()
        } else if ExpressionTokens.isDigit(first) {
            kind = try number()
        } else if first == "'" || first == "\"" {
            kind = try quoted(first)
        } else {
            kind = .mark(try mark(first))
        }
        return ExpressionToken(kind: kind, offset: start)
    }

    private mutating func word() throws(ExpressionError) -> ExpressionToken.Kind {
        let start = position
        while let scalar = peek(), ExpressionTokens.continuesName(scalar) { position += 1 }
        let word = string(start..<position)
        if word == "secrets", peek() == ":", peek(1) == "/" { return .secret(try secret(start)) }
        return .word(word)
    }

    /// The name behind `secrets://`: it is written out, never computed, so that a job's secrets are known before it runs.
    private mutating func secret(_ start: Int) throws(ExpressionError) -> SecretName {
        position += peek(2) == "/" ? 3 : 2
        let first = position
        while let scalar = peek(), scalar.isASCII,
            scalar == "/" || SecretName.mayHold(UInt8(truncatingIfNeeded: scalar.value))
        {
            position += 1
        }
        let text = string(first..<position)
        guard let name = SecretName(text) else {
            throw ExpressionError(
                "E-SECRET-NAME", "`secrets://\(text.prefix(80))` names no secret",
                hint:
                    "write secrets://key or secrets://service/key; letters, digits and _ . - (a blank ends the name)",
                offset: start)
        }
        return name
    }

    private mutating func number() throws(ExpressionError) -> ExpressionToken.Kind {
        let start = position
        var isWhole = true
        skipDigits()
        if peek() == ".", let after = peek(1), ExpressionTokens.isDigit(after) {
            isWhole = false
            position += 1
            skipDigits()
        }
        if peek() == "e" || peek() == "E" {
            let sign = peek(1) == "+" || peek(1) == "-" ? 1 : 0
            if let digit = peek(1 + sign), ExpressionTokens.isDigit(digit) {
                isWhole = false
                position += 1 + sign
                skipDigits()
            }
        }
        if let scalar = peek(), ExpressionTokens.continuesName(scalar) {
            throw ExpressionError("E-EXPR", "a name cannot begin with a digit", offset: start)
        }
        return .number(try value(string(start..<position), isWhole, at: start))
    }

    private func value(_ digits: String, _ isWhole: Bool, at start: Int) throws(ExpressionError) -> Value {
        if isWhole, let number = Int(digits) { return .int(number) }
        if !isWhole, let number = Double(digits), number.isFinite { return .double(number) }
        throw ExpressionError("E-EXPR-LIMIT", "the number \(digits.prefix(40)) is too large", offset: start)
    }

    private mutating func skipDigits() {
        while let scalar = peek(), ExpressionTokens.isDigit(scalar) { position += 1 }
    }

    /// `isRaw`: r'…', where a backslash is itself, as patterns want it; a quote behind one does not end the text.
    private mutating func quoted(_ quote: Unicode.Scalar, isRaw: Bool = false) throws(ExpressionError)
        -> ExpressionToken.Kind
    {
        let start = position
        var text = String.UnicodeScalarView()
        position += 1
        while let scalar = peek(), scalar != quote {
            position += 1
            guard scalar == "\\" else {
                text.append(scalar)
                continue
            }
            guard isRaw else {
                text.append(try escaped())
                continue
            }
            text.append(scalar)
            if let next = peek() { text.append(next) }
            position += 1
        }
        guard peek() != nil else {
            throw ExpressionError(
                "E-EXPR", "the text that begins here has no closing \(quote)", offset: start)
        }
        position += 1
        return .text(String(text))
    }

    private mutating func escaped() throws(ExpressionError) -> Unicode.Scalar {
        defer { position += 1 }
        switch peek() {
        case "n": return "\n"
        case "t": return "\t"
        case "r": return "\r"
        case let same? where same == "\\" || same == "'" || same == "\"": return same
        default:
            throw ExpressionError(
                "E-EXPR", "a backslash in a text stands before n, t, r, a quote or another backslash",
                hint: "write \\\\ for a backslash, or r'…' around a regular expression", offset: position - 1)
        }
    }

    private mutating func mark(_ first: Unicode.Scalar) throws(ExpressionError) -> ExpressionToken.Mark {
        if peek(1) == "=", let mark = ExpressionTokens.withEqualSign(first) {
            position += 2
            return mark
        }
        if first == "|", peek(1) == "|" { throw misspelt("||", "or") }
        if let mark = ExpressionTokens.single(first) {
            position += 1
            return mark
        }
        switch first {
        case "=": throw misspelt("=", "==")
        case "!": throw misspelt("!", "not")
        case "&": throw misspelt(peek(1) == "&" ? "&&" : "&", "and")
        case "\u{2018}"..."\u{201E}": throw misspelt(String(first), "' or \"")
        default:
            throw ExpressionError(
                "E-EXPR", "`\(first.escaped(asASCII: false))` has no meaning here", offset: position)
        }
    }

    private static func withEqualSign(_ scalar: Unicode.Scalar) -> ExpressionToken.Mark? {
        switch scalar {
        case "=": .equal
        case "!": .different
        case "<": .lessOrEqual
        case ">": .greaterOrEqual
        default: nil
        }
    }

    private static func single(_ scalar: Unicode.Scalar) -> ExpressionToken.Mark? {
        switch scalar {
        case "+": .plus
        case "-": .minus
        case "*": .times
        case "/": .slash
        case "%": .percent
        case "<": .less
        case ">": .greater
        case "(": .open
        case ")": .close
        case "[": .openList
        case "]": .closeList
        case "{": .openMap
        case "}": .closeMap
        case ",": .comma
        case ":": .colon
        case ".": .dot
        case "|": .pipe
        default: nil
        }
    }

    private func misspelt(_ written: String, _ meant: String) -> ExpressionError {
        ExpressionError(
            "E-EXPR", "`\(written)` is not a word of expressions", hint: "write \(meant)", offset: position)
    }

    /// Names and numbers are nearly always ASCII, which needs no decoding.
    private func string(_ range: Range<Int>) -> String {
        guard scalars[range].allSatisfy(\.isASCII) else {
            var view = String.UnicodeScalarView()
            view.append(contentsOf: scalars[range])
            return String(view)
        }
        return String(unsafeUninitializedCapacity: range.count) { buffer in
            for (place, scalar) in scalars[range].enumerated() {
                buffer[place] = UInt8(truncatingIfNeeded: scalar.value)
            }
            return range.count
        }
    }

    private static func isBlank(_ scalar: Unicode.Scalar) -> Bool {
        scalar == " " || scalar == "\t" || scalar == "\n" || scalar == "\r"
    }
    private static func isDigit(_ scalar: Unicode.Scalar) -> Bool { ("0"..."9").contains(scalar) }

    /// A letter of any script or `_`; ASCII is answered without the Unicode tables.
    static func startsName(_ scalar: Unicode.Scalar) -> Bool {
        guard !scalar.isASCII else {
            return ("a"..."z").contains(scalar) || ("A"..."Z").contains(scalar) || scalar == "_"
        }
        return scalar.properties.isXIDStart
    }
    static func continuesName(_ scalar: Unicode.Scalar) -> Bool {
        guard !scalar.isASCII else { return startsName(scalar) || isDigit(scalar) }
        return scalar.properties.isXIDContinue
    }
}
