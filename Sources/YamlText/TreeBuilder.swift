// TreeBuilder: makes the tree of one document from the event stream.
// Owns: the limits of depth, nodes and scalars, and the rules for anchors and the root.
// Never: goes deeper than `maxDepth`: the check comes before the recursion.
// On failure: throws a YamlError at the event that broke a rule.
// The stream is read only as far as the tree needs, so a bad text is refused early.

import CYaml

struct TreeBuilder: ~Copyable {
    var stream: EventStream
    let limits: YamlLimits
    /// A byte to leave out of all texts; see JsonSurrogates.
    let filler: UInt8?
    private var nodes = 0

    init(_ stream: consuming EventStream, limits: YamlLimits, filler: UInt8?) {
        self.stream = stream
        self.limits = limits
        self.filler = filler
    }

    /// The root of the only document.
    mutating func document() throws(YamlError) -> YamlNode {
        try stream.advance()  // stream start
        try stream.advance()  // document start
        guard stream.type == YAML_DOCUMENT_START_EVENT else { throw Self.empty(at: .start) }
        try stream.advance()
        let root = try node(depth: 0)
        if case .scalar(let scalar) = root.content, scalar.isPlain, scalar.text.isEmpty {
            throw Self.empty(at: root.start)
        }
        try stream.advance()  // document end
        try DocumentTail(stream.bytes, from: stream.end).check()
        return root
    }

    static func empty(at mark: SourceMark) -> YamlError {
        YamlError(.empty, "there is no content", hint: "write at least one 'key: value' line", at: mark)
    }

    /// The node of the current event; ends on its last event. `depth` counts the collections around it.
    mutating func node(depth: Int) throws(YamlError) -> YamlNode {
        let start = stream.start
        try admit(at: start)
        switch stream.type {
        case YAML_SCALAR_EVENT: return try scalarNode(at: start)
        case YAML_SEQUENCE_START_EVENT:
            try enter(.seq, depth: depth, at: start)
            return try sequence(depth: depth + 1, at: start)
        case YAML_MAPPING_START_EVENT:
            try enter(.map, depth: depth, at: start)
            return try mapping(depth: depth + 1, at: start)
        default: throw YamlError(.syntax, "a value was expected here", at: start)
        }
    }

    /// Counts a node and refuses anchors and aliases.
    mutating func admit(at start: SourceMark) throws(YamlError) {
        nodes += 1
        if nodes > limits.maxNodes {
            let message = "there are more than \(limits.maxNodes) values"
            throw YamlError(.nodes, message, hint: "split the file", at: start)
        }
        let quote = "write the value again, or put text that starts with '&' or '*' in quotes"
        if stream.type == YAML_ALIAS_EVENT {
            throw YamlError(.alias, "an alias (*name) is not allowed", hint: quote, at: start)
        }
        if stream.hasAnchor {
            throw YamlError(.alias, "an anchor (&name) is not allowed", hint: quote, at: start)
        }
    }

    private func enter(_ tag: CoreTag, depth: Int, at start: SourceMark) throws(YamlError) {
        if depth >= limits.maxDepth {
            let message = "lists and maps are nested more than \(limits.maxDepth) deep"
            throw YamlError(.depth, message, hint: "use a flatter structure", at: start)
        }
        if let name = stream.tag { try CoreTag(name, at: start).require(tag, at: start) }
    }

    private mutating func scalarNode(at start: SourceMark) throws(YamlError) -> YamlNode {
        YamlNode(content: .scalar(try scalar(at: start)), start: start, end: stream.end)
    }

    private mutating func sequence(depth: Int, at start: SourceMark) throws(YamlError) -> YamlNode {
        let isFlow = stream.isFlow
        var items: [YamlNode] = []
        try stream.advance()
        while stream.type != YAML_SEQUENCE_END_EVENT {
            items.append(try node(depth: depth))
            try stream.advance()
        }
        let end = isFlow ? stream.end : items.last?.end ?? stream.end
        return YamlNode(content: .sequence(items), start: start, end: end)
    }

    private mutating func mapping(depth: Int, at start: SourceMark) throws(YamlError) -> YamlNode {
        let isFlow = stream.isFlow
        var pairs: [YamlPair] = []
        var seen = KeySet()
        try stream.advance()
        while stream.type != YAML_MAPPING_END_EVENT {
            let (key, keyStart) = try key()
            try seen.insert(key, at: keyStart, after: pairs)
            try stream.advance()
            pairs.append(YamlPair(key: key, keyStart: keyStart, value: try node(depth: depth)))
            try stream.advance()
        }
        let end = isFlow ? stream.end : pairs.last?.value.end ?? stream.end
        return YamlNode(content: .mapping(pairs), start: start, end: end)
    }
}
