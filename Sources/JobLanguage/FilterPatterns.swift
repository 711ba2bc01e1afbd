// What this is: the filters with a regular expression: regex_match, regex_find, regex_replace.
// Owns: what a match means to an expression, and the references `$0` `$1` `$$` of a replacement.
// Never: matches past the budget of the evaluation.
// On failure: E-EXPR with the place in the pattern; E-EXPR-LIMIT when text and pattern are too much together.
import JobModel

extension ExpressionEvaluator {
    /// The first match; its text is the first group where the pattern has one.
    mutating func found(by call: FilterCall) throws(ExpressionError) -> Value? {
        let (matcher, expression) = try matcher(call)
        guard let match = try first(matcher, from: 0, call) else { return nil }
        guard let range = expression.groups > 0 ? match[1] : match[0] else { return .string("") }
        return .string(matcher.text(range))
    }

    mutating func match(_ call: FilterCall, from: Int) throws(ExpressionError) -> RegularExpressionMatcher
        .Match?
    {
        try first(try matcher(call).0, from: from, call)
    }

    mutating func replacedMatches(_ call: FilterCall) throws(ExpressionError) -> String {
        let (matcher, expression) = try matcher(call)
        let parts = try Replacement.parse(try call.text(1), groups: expression.groups, call)
        var out = "", at = 0, from = 0
        func add(_ piece: String, _ out: inout String) throws(ExpressionError) {
            out += piece
            if out.utf8.count > ExpressionLimits.textBytes { throw ExpressionEvaluator.tooLong(call.offset) }
        }
        while from <= matcher.end, let match = try first(matcher, from: from, call), let whole = match[0] {
            try spend(whole.upperBound - at + parts.count, at: call.offset)
            try add(matcher.text(at..<whole.lowerBound), &out)
            for part in parts {
                switch part {
                case .text(let text): try add(text, &out)
                case .group(let number): if let range = match[number] { try add(matcher.text(range), &out) }
                }
            }
            at = whole.upperBound
            // After an empty match the next begins one character on; that character stays.
            from = whole.isEmpty ? at + 1 : at
            if whole.isEmpty, at < matcher.end {
                try add(matcher.text(at..<at + 1), &out)
                at += 1
            }
        }
        try add(matcher.text(min(at, matcher.end)..<matcher.end), &out)
        return out
    }

    private mutating func matcher(_ call: FilterCall) throws(ExpressionError) -> (
        RegularExpressionMatcher, RegularExpression
    ) {
        let text = try call.text(), pattern = try call.text(0)
        try spend(text.utf8.count / 16 + pattern.utf8.count * 4, at: call.offset)
        let expression: RegularExpression
        do throws(RegularExpression.Problem) {
            expression = try RegularExpression(pattern)
        } catch {
            throw ExpressionError(
                "E-EXPR",
                "`\(call.filter.rawValue)`: \(error.message), at character \(error.offset + 1) of the pattern",
                hint: "write patterns as r'…', where a backslash is itself", offset: call.offset)
        }
        // A short pattern with counts may be a large program.
        try spend(expression.program.count, at: call.offset)
        return (RegularExpressionMatcher(expression, text), expression)
    }

    private mutating func first(_ matcher: RegularExpressionMatcher, from: Int, _ call: FilterCall)
        throws(ExpressionError) -> RegularExpressionMatcher.Match?
    {
        try matcher.firstMatch(from: from) { (steps: Int) throws(ExpressionError) in
            try spend(steps / 4 + 1, at: call.offset)
        }
    }
}

private enum Replacement {
    enum Part { case text(String), group(Int) }

    static func parse(_ text: String, groups: Int, _ call: FilterCall) throws(ExpressionError) -> [Part] {
        var parts: [Part] = [], plain = ""
        var rest = text.unicodeScalars[...]
        while let scalar = rest.popFirst() {
            guard scalar == "$", let next = rest.first else {
                plain.unicodeScalars.append(scalar)
                continue
            }
            if next == "$" {
                rest.removeFirst()
                plain.unicodeScalars.append("$")
                continue
            }
            let digits = rest.prefix { ("0"..."9").contains($0) }.prefix(2)
            guard let number = Int(String(digits)) else {
                plain.unicodeScalars.append(scalar)
                continue
            }
            guard number <= groups else {
                throw ExpressionError(
                    "E-EXPR", "`regex_replace`: there is no group $\(number); the pattern has \(groups)",
                    hint: "a dollar sign is written $$", offset: call.offset)
            }
            rest.removeFirst(digits.count)
            if !plain.isEmpty { parts.append(.text(plain)) }
            plain = ""
            parts.append(.group(number))
        }
        return plain.isEmpty ? parts : parts + [.text(plain)]
    }
}
