// YamlOut: a tree to write.
// Owns: the kinds of value a file of results may hold.
// Never: holds marks or comments.
// On failure: cannot fail.
// YamlWriter writes it; YamlReader reads the same values back.

/// A value to write. A tree deeper than 64 levels cannot be read back under the default limits.
public indirect enum YamlOut: Sendable {
    case null
    case bool(Bool)
    case int(Int)
    case double(Double)
    /// Any text; the writer picks plain, quoted or literal style.
    case string(String)
    case list([YamlOut])
    /// Pairs in the order to write. Keys must differ, or the result cannot be read back.
    case map([(String, YamlOut)])
    /// The value inside, on one line: `[a, b]`, `{a: 1}`.
    case flow(YamlOut)
}
