// SourceFile: a named text, and the picture of a finding in it.
// Owns: the layout of a rendered finding.
// Never: reads the file; it gets the bytes.
// On failure: cannot fail; a mark outside of the text is moved to its end.
// All text from outside goes through Printable.

/// A source text with the name to show for it.
public struct SourceFile: Sendable {
    /// The name to show, as the user knows it.
    public var name: String
    /// The content; need not be UTF-8.
    public var bytes: [UInt8]

    /// A source from its name and content.
    public init(name: String, bytes: [UInt8]) {
        self.name = name
        self.bytes = bytes
    }

    /// The finding as text of one to four lines, without a line break at the end.
    ///
    /// "name:line:column: error: message [CODE]", the line of the source with a caret below, and
    /// "hint: ...". The line shows at most 100 columns and 200 bytes around the caret.
    public func render(_ diagnostic: Diagnostic) -> String {
        var lines = [heading(diagnostic)]
        if let mark = diagnostic.mark {
            let excerpt = bytes.withUnsafeBufferPointer { SourceExcerpt($0, around: mark.offset) }
            lines.append("  " + excerpt.text)
            lines.append("  " + String(repeating: " ", count: excerpt.caret) + "^")
        }
        if !diagnostic.hint.isEmpty { lines.append("hint: " + Printable.escape(diagnostic.hint)) }
        return lines.joined(separator: "\n")
    }

    private func heading(_ diagnostic: Diagnostic) -> String {
        let place = diagnostic.mark.map { ":\($0.line):\($0.column)" } ?? ""
        let message = Printable.escape(diagnostic.message)
        let code = Printable.escape(diagnostic.code)
        return "\(Printable.escape(name))\(place): \(diagnostic.severity.rawValue): \(message) [\(code)]"
    }
}
