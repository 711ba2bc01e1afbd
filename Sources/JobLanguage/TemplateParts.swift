// What this is: a text cut into plain parts and the expressions between `{{` and `}}`.
// Owns: where an expression ends: at the first `}}` outside its quotes and its own braces.
// Never: reads the expressions.
// On failure: E-EXPR at a `{{` that is not closed. A lone `}}` is text.

enum TemplateParts {
    enum Part {
        case text(String)
        /// What stands between the braces, and its offset in Unicode scalars.
        case expression(String, offset: Int)
    }

    /// Whether there is anything to read; costs one pass over the bytes.
    static func mayHold(_ text: String) -> Bool {
        var before: UInt8 = 0
        for byte in text.utf8 {
            if byte == 0x7B, before == 0x7B { return true }
            before = byte
        }
        return false
    }

    static func read(_ text: String) throws(ExpressionError) -> [Part] {
        guard mayHold(text) else { return [.text(text)] }
        let scalars = Array(text.unicodeScalars)
        var parts: [Part] = []
        var start = 0
        var index = 0
        while index + 1 < scalars.count {
            guard scalars[index] == "{", scalars[index + 1] == "{" else {
                index += 1
                continue
            }
            let end = try end(of: index, in: scalars)
            if start < index { parts.append(.text(string(scalars[start..<index]))) }
            parts.append(.expression(string(scalars[(index + 2)..<end]), offset: index + 2))
            index = end + 2
            start = index
        }
        if start < scalars.count { parts.append(.text(string(scalars[start...]))) }
        return parts
    }

    /// The index of the `}}` that closes the `{{` at `open`.
    private static func end(of open: Int, in scalars: [Unicode.Scalar]) throws(ExpressionError) -> Int {
        var quote: (mark: Unicode.Scalar, index: Int)?
        var depth = 0
        var index = open + 2
        while index < scalars.count {
            let scalar = scalars[index]
            if let mark = quote?.mark {
                if scalar == "\\" { index += 1 } else if scalar == mark { quote = nil }
            } else if scalar == "'" || scalar == "\"" {
                quote = (scalar, index)
            } else if scalar == "{" {
                depth += 1
            } else if scalar == "}", depth > 0 {
                depth -= 1
            } else if scalar == "}", index + 1 < scalars.count, scalars[index + 1] == "}" {
                return index
            }
            index += 1
        }
        if let quote {
            throw ExpressionError(
                "E-EXPR", "the text that begins here inside {{ }} has no closing \(quote.mark)",
                offset: quote.index)
        }
        throw ExpressionError(
            "E-EXPR", "`{{` is not closed by `}}`", hint: "for the two characters as text write {{ '{{' }}",
            offset: open)
    }

    private static func string(_ scalars: ArraySlice<Unicode.Scalar>) -> String {
        var view = String.UnicodeScalarView()
        view.append(contentsOf: scalars)
        return String(view)
    }
}
