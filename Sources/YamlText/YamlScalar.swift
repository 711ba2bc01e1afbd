// YamlScalar: a value that is neither a list nor a map, as text and as a typed value.
// Owns: the kinds of value.
// Never: decides the kind of a text; CoreSchema does.
// On failure: cannot fail; the parser refuses numbers out of range before a scalar is made.
// The text is kept for messages, and for values that a reader wants as text.

/// One typed value of the YAML 1.2 core schema.
public enum YamlScalarValue: Hashable, Sendable {
    case null
    case bool(Bool)
    case int(Int)
    case double(Double)
    case string(String)
}

/// One scalar: its text and its value.
public struct YamlScalar: Hashable, Sendable {
    /// The text after unquoting, unescaping and folding.
    public var text: String
    /// True for an unquoted text without a tag, whose look decides its kind.
    public var isPlain: Bool
    /// The typed value; quoted and block texts are strings.
    public var value: YamlScalarValue

    init(text: String, isPlain: Bool, value: YamlScalarValue) {
        self.text = text
        self.isPlain = isPlain
        self.value = value
    }

    /// A scalar made by hand. A plain number out of range becomes a string.
    public init(text: String, isPlain: Bool) {
        var copy = text
        let kind = isPlain ? copy.withUTF8 { CoreSchema.resolve($0) } : .string
        self.init(text: text, isPlain: isPlain, value: kind.value(text: text))
    }
}
