// What this is: a regular expression for other rooms: is it found in a text?
// Owns: the door to RegularExpression; how much of a text is looked at.
// Never: goes back in a text, so that no pattern can hold anything up (docs/decisions/0010).
// On failure: Problem when it is made; a question cannot fail.

public struct TextPattern: Sendable {
    public struct Problem: Error {
        public var message: String
    }
    /// Unicode scalars of a text that are looked at.
    public static let longestText = 4000
    private let expression: RegularExpression

    public init(_ pattern: String) throws(Problem) {
        do throws(RegularExpression.Problem) { expression = try RegularExpression(pattern) } catch {
            throw Problem(message: "\(error.message) (character \(error.offset + 1))")
        }
    }

    public func isFound(in text: String) -> Bool {
        let cut = text.unicodeScalars.prefix(TextPattern.longestText)
        return RegularExpressionMatcher(expression, String(String.UnicodeScalarView(cut)))
            .firstMatch(from: 0) { _ in } != nil
    }
}
