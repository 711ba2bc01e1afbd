// YamlNode: the tree that a parse gives.
// Owns: the shape of the tree and the short ways to read it.
// Never: changes a value or knows the schema of a job.
// On failure: the readers give nil for another kind or an absent key.
// A tree is never deeper than the limits it was parsed under.

/// A value with its place in the source.
public struct YamlNode: Sendable {
    /// What the node holds.
    public enum Content: Sendable {
        case scalar(YamlScalar)
        case sequence([YamlNode])
        case mapping([YamlPair])
    }

    /// What the node holds.
    public var content: Content
    /// The first character of the node, or of its tag.
    public var start: SourceMark
    /// The place behind the node; for a block list or map the end of its last value.
    public var end: SourceMark

    /// A node from its parts; nothing is checked.
    public init(content: Content, start: SourceMark, end: SourceMark) {
        self.content = content
        self.start = start
        self.end = end
    }
}

/// A key of a map with its value. Keys of one map differ from each other.
public struct YamlPair: Sendable {
    /// The text of the key; `12: x` has the key "12".
    public var key: String
    /// The first character of the key.
    public var keyStart: SourceMark
    /// The value behind the colon.
    public var value: YamlNode

    /// A pair from its parts; nothing is checked.
    public init(key: String, keyStart: SourceMark, value: YamlNode) {
        self.key = key
        self.keyStart = keyStart
        self.value = value
    }
}

extension YamlNode {
    /// The scalar, or nil for a list or a map.
    public var scalar: YamlScalar? {
        if case .scalar(let scalar) = content { scalar } else { nil }
    }

    /// The pairs of a map in the order of the source, or nil for another kind.
    public var pairs: [YamlPair]? {
        if case .mapping(let pairs) = content { pairs } else { nil }
    }

    /// The values of a list, or nil for another kind.
    public var items: [YamlNode]? {
        if case .sequence(let items) = content { items } else { nil }
    }

    /// The value of `key` in a map; nil when the key is absent or this is no map.
    public subscript(key: String) -> YamlNode? {
        pairs?.first { $0.key == key }?.value
    }

    /// The kind in plain words: text, number, list, map, true/false or nothing.
    public var kindName: String {
        switch content {
        case .sequence: "list"
        case .mapping: "map"
        case .scalar(let scalar):
            switch scalar.value {
            case .null: "nothing"
            case .bool: "true/false"
            case .int, .double: "number"
            case .string: "text"
            }
        }
    }
}
