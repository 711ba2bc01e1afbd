// What this is: the reading of a pattern: alternatives, sequences, counts, groups, classes, escapes, flags.
// Owns: the sentences about what is wrong in a pattern.
// Never: matches.
// On failure: RegularExpression.Problem at the scalar where it went wrong.

struct RegularExpressionParser {
    typealias Problem = RegularExpression.Problem
    private let scalars: [Unicode.Scalar]
    private var at = 0
    private var depth = 0
    private(set) var groups = 0
    /// (?i), (?m), (?s) at the beginning.
    private var ignoresCase = false, isMultiline = false, dotIsAll = false

    init(_ pattern: String) { scalars = Array(pattern.unicodeScalars) }

    mutating func parse() throws(Problem) -> RegularExpressionNode {
        guard scalars.count <= RegularExpression.longestPattern else {
            throw problem("the pattern has more than \(RegularExpression.longestPattern) characters", 0)
        }
        try flags()
        let node = try choice()
        if at < scalars.count { throw problem("`)` without a `(`") }
        return node
    }

    private var peek: Unicode.Scalar? { at < scalars.count ? scalars[at] : nil }
    private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
        guard peek == scalar else { return false }
        at += 1
        return true
    }
    private mutating func take(_ text: String) -> Bool {
        let wanted = Array(text.unicodeScalars)
        guard scalars[at...].starts(with: wanted) else { return false }
        at += wanted.count
        return true
    }
    private func problem(_ message: String, _ offset: Int? = nil) -> Problem {
        Problem(message: message, offset: offset ?? at)
    }

    private mutating func flags() throws(Problem) {
        guard scalars.starts(with: "(?".unicodeScalars), let close = scalars.firstIndex(of: ")"),
            scalars[2..<close].allSatisfy({ "ims".unicodeScalars.contains($0) }), close > 2
        else { return }
        for flag in scalars[2..<close] {
            switch flag {
            case "i": ignoresCase = true
            case "m": isMultiline = true
            default: dotIsAll = true
            }
        }
        at = close + 1
    }

    private mutating func choice() throws(Problem) -> RegularExpressionNode {
        depth += 1
        defer { depth -= 1 }
        guard depth <= RegularExpression.deepest else { throw problem("groups are nested too deeply") }
        var branches = [try sequence()]
        while take("|" as Unicode.Scalar) { branches.append(try sequence()) }
        return branches.count == 1 ? branches[0] : .choice(branches)
    }

    private mutating func sequence() throws(Problem) -> RegularExpressionNode {
        var nodes: [RegularExpressionNode] = []
        while let next = peek, next != "|", next != ")" { nodes.append(try counted(try atom())) }
        return nodes.isEmpty ? .empty : nodes.count == 1 ? nodes[0] : .sequence(nodes)
    }

    private mutating func counted(_ node: RegularExpressionNode) throws(Problem) -> RegularExpressionNode {
        let place = at
        let bounds: (Int, Int?)
        switch peek {
        case "*": bounds = (0, nil)
        case "+": bounds = (1, nil)
        case "?": bounds = (0, 1)
        case "{":
            guard let counts = try braces() else { return node }
            return try finish(node, counts, place)
        default: return node
        }
        at += 1
        return try finish(node, bounds, place)
    }
    private mutating func finish(_ node: RegularExpressionNode, _ bounds: (Int, Int?), _ place: Int)
        throws(Problem) -> RegularExpressionNode
    {
        if case .assertion = node { throw problem("there is nothing here to repeat", place) }
        let isLazy = take("?" as Unicode.Scalar)
        if let next = peek, "*+?".unicodeScalars.contains(next) {
            throw problem("a count after a count; put the first into parentheses")
        }
        return .repeated(node, least: bounds.0, most: bounds.1, isLazy: isLazy)
    }

    /// `{3}`, `{3,}`, `{3,5}`; anything else in braces is taken as it stands, as most programs do.
    private mutating func braces() throws(Problem) -> (Int, Int?)? {
        let start = at
        at += 1
        let least = number()
        var most = least
        if take("," as Unicode.Scalar) { most = number() }
        guard let least, take("}" as Unicode.Scalar) else {
            at = start
            return nil
        }
        if max(least, most ?? 0) > RegularExpression.largestCount {
            throw problem("a count may be \(RegularExpression.largestCount) at most", start)
        }
        if let most, most < least { throw problem("the counts are the wrong way round", start) }
        return (least, most)
    }
    private mutating func number() -> Int? {
        let start = at
        while let next = peek, ("0"..."9").contains(next), at - start < 7 { at += 1 }
        return Int(String(String.UnicodeScalarView(scalars[start..<at])))
    }

    private mutating func atom() throws(Problem) -> RegularExpressionNode {
        let place = at
        guard let next = peek else { return .empty }
        switch next {
        case "(": return try group()
        case "[": return .set(folded(try bracketed()))
        case "\\": return try escape()
        case "*", "+", "?": throw problem("there is nothing before `\(next)` to repeat")
        default: break
        }
        at += 1
        switch next {
        case ".": return .set(dotIsAll ? .any : .anyButNewline)
        case "^": return .assertion(isMultiline ? .lineStart : .start)
        case "$": return .assertion(isMultiline ? .lineEnd : .end)
        case "{":
            at = place
            guard try braces() == nil else { throw problem("there is nothing before `{` to repeat", place) }
            at = place + 1
            return literal(next)
        default: return literal(next)
        }
    }
    private func literal(_ scalar: Unicode.Scalar) -> RegularExpressionNode {
        let ranges = RegularExpression.Ranges(ranges: [scalar.value...scalar.value])
        let both = folded(ranges)
        return both.ranges.count == 1 ? .scalar(scalar.value) : .set(both)
    }
    private func folded(_ ranges: RegularExpression.Ranges) -> RegularExpression.Ranges {
        ignoresCase ? ranges.ignoringCase : ranges
    }

    private mutating func group() throws(Problem) -> RegularExpressionNode {
        let place = at
        at += 1
        var number: Int?
        if take("?:") {
            number = nil
        } else if peek == "?" {
            throw problem(
                "`(?` begins something that is not known here; there are (?:…), and (?i) (?m) (?s) at the very beginning",
                place)
        } else {
            groups += 1
            number = groups
            guard groups <= RegularExpression.mostGroups else {
                throw problem("more than \(RegularExpression.mostGroups) groups; (?:…) keeps nothing", place)
            }
        }
        let inner = try choice()
        guard take(")" as Unicode.Scalar) else { throw problem("this `(` is not closed", place) }
        return number.map { .group($0, inner) } ?? inner
    }

    private mutating func escape() throws(Problem) -> RegularExpressionNode {
        let place = at
        at += 1
        guard let letter = peek else { throw problem("a backslash at the end", place) }
        switch letter {
        case "b", "B":
            at += 1
            return .assertion(letter == "b" ? .boundary : .noBoundary)
        case "A", "z":
            at += 1
            return .assertion(letter == "A" ? .start : .end)
        default: break
        }
        if let ranges = escapedClass(letter) {
            at += 1
            return .set(ranges)
        }
        return literal(try escapedScalar(place))
    }
    private func escapedClass(_ letter: Unicode.Scalar) -> RegularExpression.Ranges? {
        switch letter {
        case "d": .digits
        case "D": RegularExpression.Ranges.digits.inverted
        case "w": .words
        case "W": RegularExpression.Ranges.words.inverted
        case "s": .blanks
        case "S": RegularExpression.Ranges.blanks.inverted
        default: nil
        }
    }
    /// The scalar that an escape stands for; the backslash is behind us.
    private mutating func escapedScalar(_ place: Int) throws(Problem) -> Unicode.Scalar {
        guard let letter = peek else { throw problem("a backslash at the end", place) }
        at += 1
        switch letter {
        case "n": return "\n"
        case "t": return "\t"
        case "r": return "\r"
        case "f": return "\u{0C}"
        case "v": return "\u{0B}"
        case "1"..."9": throw problem("there are no references back to a group", place)
        case let letter where letter.properties.isAlphabetic || ("0"..."9").contains(letter):
            throw problem("`\\\(letter)` means nothing here", place)
        default: return letter
        }
    }

    private mutating func bracketed() throws(Problem) -> RegularExpression.Ranges {
        let place = at
        at += 1
        let isInverted = take("^" as Unicode.Scalar)
        var ranges: [ClosedRange<UInt32>] = []
        var isFirst = true
        while let next = peek, next != "]" || isFirst {
            isFirst = false
            if next == "\\", at + 1 < scalars.count, let escaped = escapedClass(scalars[at + 1]) {
                at += 2
                ranges += escaped.ranges
                continue
            }
            if next == "[", at + 1 < scalars.count, scalars[at + 1] == ":" {
                throw problem("classes such as [:digit:] are not known here; write \\d, \\w, \\s or a range")
            }
            let first = try member()
            guard peek == "-", at + 1 < scalars.count, scalars[at + 1] != "]" else {
                ranges.append(first.value...first.value)
                continue
            }
            let dash = at
            at += 1
            let last = try member()
            guard first.value <= last.value else { throw problem("this range is the wrong way round", dash) }
            ranges.append(first.value...last.value)
        }
        guard take("]" as Unicode.Scalar) else { throw problem("this `[` is not closed", place) }
        // Folded before it is inverted: [^a] without case is neither a nor A.
        let joined = folded(RegularExpression.Ranges(joining: ranges))
        return isInverted ? joined.inverted : joined
    }
    private mutating func member() throws(Problem) -> Unicode.Scalar {
        let place = at
        guard let next = peek else { throw problem("this `[` is not closed", place) }
        at += 1
        return next == "\\" ? try escapedScalar(place) : next
    }
}
