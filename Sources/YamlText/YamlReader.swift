// YamlReader: the way in: bytes to a tree.
// Owns: E-YAML-SIZE and the order of the checks.
// Never: opens files or keeps state between calls.
// On failure: throws one YamlError, the first that is found; no input traps.
// JSON is accepted too: it is YAML in flow style, but for surrogate pairs (see JsonSurrogates).

/// The parser for job files and settings.
public enum YamlReader {
    /// The tree of the only document in `bytes`.
    ///
    /// The text is YAML 1.2 (core schema) or JSON, in UTF-8 with or without a byte order mark.
    /// Escapes may give any character, NUL too: check a text before it becomes a file name.
    /// - Throws: `YamlError` with the place of the first fault; see `YamlError.codes`.
    public static func parse(
        _ bytes: [UInt8], limits: YamlLimits = YamlLimits()
    ) throws(YamlError) -> YamlNode {
        if bytes.count > limits.maxBytes {
            let message = "the text has \(bytes.count) bytes, more than \(limits.maxBytes)"
            let hint = "split it, or keep long text in a file of its own"
            throw YamlError(.size, message, hint: hint, at: .start)
        }
        // libyaml aborts on a null pointer, which an empty array may have.
        if bytes.isEmpty { throw TreeBuilder.empty(at: .start) }
        do throws(YamlError) {
            return try tree(bytes, limits: limits, filler: nil)
        } catch {
            guard error.message == SyntaxProblem.surrogate, let json = JsonSurrogates(bytes) else {
                throw error
            }
            return try tree(json.rewritten, limits: limits, filler: json.filler)
        }
    }

    private static func tree(
        _ bytes: [UInt8], limits: YamlLimits, filler: UInt8?
    ) throws(YamlError) -> YamlNode {
        try bytes.withUnsafeBufferPointer { (buffer) throws(YamlError) -> YamlNode in
            let check = try InputCheck(buffer)
            var builder = TreeBuilder(try EventStream(buffer, check: check), limits: limits, filler: filler)
            return try builder.document()
        }
    }
}
