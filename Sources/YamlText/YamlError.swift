// YamlError: the one error of the parser, with its code, its place and a hint.
// Owns: the list of the codes.
// Never: holds a part of the source longer than a short key.
// On failure: cannot fail.
// Messages are lower case and without a full stop, ready for "file:1:2: error: message [CODE]".

/// Why a text was refused, and where.
public struct YamlError: Error, Hashable, Sendable {
    /// A stable code, such as "E-YAML-TAB"; one of `YamlError.codes`.
    public var code: String
    /// What is wrong, in one line.
    public var message: String
    /// What to do about it; may be empty.
    public var hint: String
    /// The place of the fault in the bytes that were parsed.
    public var mark: SourceMark

    /// An error from its parts; nothing is checked.
    public init(code: String, message: String, hint: String, mark: SourceMark) {
        self.code = code
        self.message = message
        self.hint = hint
        self.mark = mark
    }

    /// Every code the parser can give.
    public static var codes: [String] { Code.allCases.map(\.rawValue) }
}

extension YamlError {
    enum Code: String, CaseIterable {
        case syntax = "E-YAML"
        case encoding = "E-YAML-ENCODING"
        case tab = "E-YAML-TAB"
        case size = "E-YAML-SIZE"
        case depth = "E-YAML-DEPTH"
        case nodes = "E-YAML-NODES"
        case scalar = "E-YAML-SCALAR"
        case alias = "E-YAML-ALIAS"
        case tag = "E-YAML-TAG"
        case duplicate = "E-YAML-DUPLICATE"
        case key = "E-YAML-KEY"
        case multidoc = "E-YAML-MULTIDOC"
        case empty = "E-YAML-EMPTY"
        case number = "E-YAML-NUMBER"
    }

    init(_ code: Code, _ message: String, hint: String = "", at mark: SourceMark) {
        self.init(code: code.rawValue, message: message, hint: hint, mark: mark)
    }
}
