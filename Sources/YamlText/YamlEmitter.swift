// YamlEmitter: the block style of the writer.
// Owns: the growing output, indentation, and keys too long for one line.
// Never: decides how a text is quoted; TextStyle does.
// On failure: cannot fail.
// It recurses once for each level of the tree.

struct YamlEmitter {
    /// Readers allow 1024 characters up to the colon of a simple key; longer ones take a '?'.
    private static let longestKey = 1000

    private(set) var bytes: [UInt8] = []

    init() { bytes.reserveCapacity(4096) }

    mutating func add(_ byte: UInt8) { bytes.append(byte) }

    mutating func add(_ text: StaticString) {
        bytes.append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    mutating func add(_ slice: UnsafeBufferPointer<UInt8>) { bytes.append(contentsOf: slice) }

    mutating func pad(_ count: Int) {
        for _ in 0..<count { bytes.append(0x20) }
    }

    mutating func comment(_ line: String) {
        bytes.append(UInt8(ascii: "#"))
        if !line.isEmpty { bytes.append(0x20) }
        bytes.append(contentsOf: Printable.escape(line).utf8)
        bytes.append(0x0A)
    }

    /// The pairs, one below the other. `isInline` when the first stands behind a '-'.
    mutating func map(_ pairs: [(String, YamlOut)], indent: Int, isInline: Bool) {
        var isPadded = isInline
        for (name, value) in pairs {
            if !isPadded { pad(indent) }
            isPadded = false
            key(name, indent: indent)
            switch value {
            case .list(let items) where !items.isEmpty:
                add(0x0A)
                list(items, indent: indent + 2, isInline: false)
            case .map(let pairs) where !pairs.isEmpty:
                add(0x0A)
                map(pairs, indent: indent + 2, isInline: false)
            default:
                add(0x20)
                leaf(value, indent: indent)
            }
        }
    }

    /// The items, one below the other. `isInline` when the first stands behind a '-'.
    mutating func list(_ items: [YamlOut], indent: Int, isInline: Bool) {
        var isPadded = isInline
        for item in items {
            if !isPadded { pad(indent) }
            isPadded = false
            add("- ")
            switch item {
            case .list(let items) where !items.isEmpty: list(items, indent: indent + 2, isInline: true)
            case .map(let pairs) where !pairs.isEmpty: map(pairs, indent: indent + 2, isInline: true)
            default: leaf(item, indent: indent)
            }
        }
    }

    private mutating func key(_ name: String, indent: Int) {
        let start = bytes.count
        text(name, as: TextStyle.key)
        if bytes.count - start > Self.longestKey {
            bytes.insert(contentsOf: [UInt8(ascii: "?"), 0x20], at: start)
            add(0x0A)
            pad(indent)
        }
        add(UInt8(ascii: ":"))
    }

    /// A value of one line, or a literal text; ends with a line break.
    private mutating func leaf(_ value: YamlOut, indent: Int) {
        if case .string(let content) = value {
            var copy = content
            let isLiteral = copy.withUTF8 { bytes in
                guard TextStyle.value(bytes) == .literal else { return false }
                literal(bytes, indent: indent + 2)
                return true
            }
            if isLiteral { return }
        }
        flow(value, isNested: false)
        add(0x0A)
    }

    /// A text in plain style where `style` allows it, else in double quotes.
    mutating func text(_ content: String, as style: (UnsafeBufferPointer<UInt8>) -> TextStyle) {
        var copy = content
        copy.withUTF8 { bytes in
            if style(bytes) == .plain { add(bytes) } else { quoted(bytes) }
        }
    }
}
