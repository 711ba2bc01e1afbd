// SyntaxAdvice: the table of libyaml's reports with plain words and a hint for each.
// Owns: the wording of E-YAML.
// Never: looks at the source.
// On failure: `find` gives nil for a report that is not in the table.
// The order matters: the first row that fits is taken.

struct SyntaxAdvice {
    /// The report, and what its context must contain ("" for any).
    let problem: String
    let context: String
    let message: String
    let hint: String
    /// True when the start of the construct is the better place to show.
    let isAtContext: Bool

    static func find(_ problem: String, context: String) -> SyntaxAdvice? {
        table.first { $0.problem == problem && ($0.context.isEmpty || context.contains($0.context)) }
    }

    private init(
        _ problem: String, in context: String = "", _ message: String, _ hint: String, atContext: Bool = false
    ) {
        self.problem = problem
        self.context = context
        self.message = message
        self.hint = hint
        isAtContext = atContext
    }

    private static let quoteHint = "put the text in quotes"
    private static let columnHint = "check the indentation: all of one level start in the same column"

    private static let table = [
        SyntaxAdvice(
            "mapping values are not allowed in this context", "a ':' is not allowed here",
            "put text that contains ': ' in quotes, or check the indentation"),
        SyntaxAdvice(
            "did not find expected key", "a key was expected here",
            "check the quotes and the indentation: keys of one map start in the same column"),
        SyntaxAdvice(
            "could not find expected ':'", "there is no ':' behind this key",
            "write 'key: value', or check the indentation", atContext: true),
        SyntaxAdvice("did not find expected '-' indicator", "a '-' was expected here", columnHint),
        SyntaxAdvice(
            "did not find expected ',' or ']'", "a ',' or ']' was expected here",
            "check the list in brackets, and put text with signs in quotes"),
        SyntaxAdvice(
            "did not find expected ',' or '}'", "a ',' or '}' was expected here",
            "check the map in braces, and put text with signs in quotes"),
        SyntaxAdvice("did not find expected node content", "a value was expected here", quoteHint),
        SyntaxAdvice(
            "block sequence entries are not allowed in this context", "a '-' item is not allowed here",
            "start the list on a line of its own, or put the text in quotes"),
        SyntaxAdvice("mapping keys are not allowed in this context", "a '?' is not allowed here", quoteHint),
        SyntaxAdvice(
            "found character that cannot start any token", "text cannot start with this character",
            quoteHint),
        SyntaxAdvice(
            "found unexpected ':'", "a ':' is not allowed here",
            "put a space behind the ':', or put the text in quotes"),
        SyntaxAdvice(
            "found unknown escape character", "this escape is not known",
            "write '\\\\' for a backslash, or use single quotes"),
        SyntaxAdvice(
            "did not find expected hexdecimal number", "hexadecimal digits were expected here",
            "write '\\\\' for a backslash, or use single quotes"),
        SyntaxAdvice(
            "found invalid Unicode character escape code", SyntaxProblem.surrogate,
            "write the character itself, or its code as \\U and 8 digits"),
        SyntaxAdvice(
            "did not find expected alphabetic or numeric character", in: "alias",
            "text cannot start with '*'", quoteHint, atContext: true),
        SyntaxAdvice(
            "did not find expected alphabetic or numeric character", in: "anchor",
            "text cannot start with '&'", quoteHint, atContext: true),
        SyntaxAdvice(
            "did not find expected comment or line break", in: "block scalar",
            "text cannot stand behind the '|' or '>'", "start the text on the next line"),
        SyntaxAdvice(
            "found an indentation indicator equal to 0", "the indentation cannot be 0", "use 1 to 9"),
        SyntaxAdvice(
            "did not find expected <document start>", "a '---' line was expected here",
            "put '---' behind the directives, or put text that starts with '%' in quotes"),
        SyntaxAdvice(
            "found duplicate %YAML directive", "there are two %YAML lines", "remove the %YAML lines"),
        SyntaxAdvice(
            "found incompatible YAML document", "this version of YAML is not known", "remove the %YAML line"),
        SyntaxAdvice(
            "found unknown directive name", "this directive is not known",
            "remove the line, or put text that starts with '%' in quotes", atContext: true),
    ]
}
