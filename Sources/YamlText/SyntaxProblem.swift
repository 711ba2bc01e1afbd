// SyntaxProblem: a report of libyaml, made into an error that a person can act on.
// Owns: the wording and the place of E-YAML and E-YAML-TAB.
// Never: parses the text again.
// On failure: cannot fail; a report it does not know keeps the words of libyaml.
// The reports are those of libyaml 0.2.5 (scanner.c and parser.c).

struct SyntaxProblem {
    typealias Bytes = UnsafeBufferPointer<UInt8>

    /// What libyaml says is wrong.
    let problem: String
    /// What it was doing, such as "while scanning a quoted scalar".
    let context: String
    /// Where it stopped.
    let place: SourceMark
    /// Where the thing it was reading began.
    let contextPlace: SourceMark

    /// The message for an escape like "\ud83d", which libyaml does not take as half of a pair.
    static let surrogate = "this \\u escape is not a character"

    func error(in bytes: Bytes) -> YamlError {
        if let tab = tab(in: bytes) { return tab }
        if context.contains(" tag") || problem == "found undefined tag handle" {
            let hint = "put text that starts with '!' in quotes"
            return YamlError(.tag, "this tag cannot be read", hint: hint, at: contextPlace)
        }
        if let unclosed = unclosed(in: bytes) { return unclosed }
        let advice = SyntaxAdvice.find(problem, context: context)
        let mark = advice?.isAtContext == true ? contextPlace : place
        return YamlError(.syntax, advice?.message ?? problem, hint: advice?.hint ?? "", at: mark)
    }

    /// A tab where spaces belong: named in the report, or the character that cannot start a value.
    private func tab(in bytes: Bytes) -> YamlError? {
        let isAtTab = place.offset < bytes.count && bytes[place.offset] == 0x09
        let isStart = problem == "found character that cannot start any token"
        guard problem.hasPrefix("found a tab character") || (isStart && isAtTab) else { return nil }
        return YamlError(.tab, "a tab is used as indentation", hint: "use spaces", at: place)
    }

    /// A quote or bracket that is open at the end; its start says more than the end of the text.
    private func unclosed(in bytes: Bytes) -> YamlError? {
        let isQuote = context == "while scanning a quoted scalar" && problem.hasPrefix("found unexpected ")
        let isFlow = problem.hasPrefix("did not find expected ',' or") && place.offset >= bytes.count
        guard isQuote || isFlow, contextPlace.offset < bytes.count else { return nil }
        let sign = isQuote ? "quote" : bytes[contextPlace.offset] == UInt8(ascii: "[") ? "'['" : "'{'"
        let message = "this \(sign) is never closed"
        return YamlError(.syntax, message, hint: "add the closing one", at: contextPlace)
    }
}
