// Diagnostic: one finding about a text: an error or a warning.
// Owns: the parts of a finding.
// Never: prints; SourceFile renders it.
// On failure: cannot fail.
// The parser throws YamlError; checks of the schema make Diagnostics of their own.

/// A finding with its code, its place and a hint.
public struct Diagnostic: Hashable, Sendable {
    /// How grave a finding is.
    public enum Severity: String, Hashable, Sendable {
        case error
        case warning
    }

    /// How grave it is.
    public var severity: Severity
    /// A stable code, such as "E-YAML".
    public var code: String
    /// What is wrong, in one line.
    public var message: String
    /// What to do about it; may be empty.
    public var hint: String
    /// The place in the source; nil for a finding about the whole.
    public var mark: SourceMark?

    /// A finding from its parts; nothing is checked.
    public init(severity: Severity, code: String, message: String, hint: String = "", mark: SourceMark? = nil)
    {
        self.severity = severity
        self.code = code
        self.message = message
        self.hint = hint
        self.mark = mark
    }

    /// The finding for an error of the parser.
    public init(_ error: YamlError) {
        self.init(
            severity: .error, code: error.code, message: error.message, hint: error.hint, mark: error.mark)
    }
}
