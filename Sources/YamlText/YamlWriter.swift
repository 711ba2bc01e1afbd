// YamlWriter: a tree to YAML text in block style.
// Owns: the layout: two spaces for each level, one line for each scalar, a line break at the end.
// Never: writes a text that YAML 1.1 and 1.2 readers take for different values.
// On failure: cannot fail.
// All bytes go into one array, which becomes the text at the end.

/// The writer for results and logs.
public enum YamlWriter {
    /// The text of `map`, behind the lines of `header` as comments.
    ///
    /// Control characters in the header are escaped, so no line of it can leave its comment.
    public static func write(_ map: [(String, YamlOut)], header: [String] = []) -> String {
        var emitter = YamlEmitter()
        for line in header { emitter.comment(line) }
        if map.isEmpty { emitter.add("{}\n") } else { emitter.map(map, indent: 0, isInline: false) }
        return String(decoding: emitter.bytes, as: UTF8.self)
    }
}
