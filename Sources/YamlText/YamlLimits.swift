// YamlLimits: how large and how deep a text may be.
// Owns: the default limits and the ceiling of the depth.
// Never: reads a text.
// On failure: cannot fail; values out of range are moved to the nearest end of the range.
// The defaults bound a parse to a few MiB of memory and some tens of milliseconds.

/// The bounds of one parse.
public struct YamlLimits: Hashable, Sendable {
    /// Bytes of the whole text, at least 0. Past it: E-YAML-SIZE.
    public let maxBytes: Int
    /// Lists and maps inside each other, 1...512. Past it: E-YAML-DEPTH.
    public let maxDepth: Int
    /// Lists, maps, values and keys together, at least 1. Past it: E-YAML-NODES.
    public let maxNodes: Int
    /// UTF-8 bytes of one value or key, at least 0. Past it: E-YAML-SCALAR.
    public let maxScalarBytes: Int

    /// Limits; 1 MiB, 64 levels, 50 000 nodes and 256 KiB for each value unless told.
    public init(
        maxBytes: Int = 1 << 20,
        maxDepth: Int = 64,
        maxNodes: Int = 50_000,
        maxScalarBytes: Int = 256 << 10
    ) {
        self.maxBytes = max(0, maxBytes)
        // The tree is built by recursion, so the depth has a ceiling that any stack can bear.
        self.maxDepth = min(max(1, maxDepth), 512)
        self.maxNodes = max(1, maxNodes)
        self.maxScalarBytes = max(0, maxScalarBytes)
    }
}
