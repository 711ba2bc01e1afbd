// What this is: many texts searched for at once, byte by byte (Aho and Corasick, "Efficient string matching", CACM 18, 1975).
// Owns: the tree with its failure links; which bytes count for nothing (the line ends of wrapped base64).
// Never: keeps where it is: a search has its own state, so that streams do not mix.
// On failure: nothing here fails; without patterns nothing is found.

struct PatternTree: Sendable {
    private struct Node {
        var byte: UInt8 = 0
        var firstChild: Int32 = -1
        var sibling: Int32 = -1
        /// The longest proper suffix that begins a pattern as well.
        var failure: Int32 = 0
        var depth: Int32 = 0
        /// Of the longest pattern that ends here; 0: none does.
        var match: Int32 = 0
    }
    private var nodes: [Node] = [Node()]
    /// Children of the root, which is asked most.
    private var starts = [Int32](repeating: -1, count: 256)
    private let skipped: Set<UInt8>
    let isEmpty: Bool

    init(_ patterns: Set<[UInt8]>, skipping skipped: Set<UInt8> = []) {
        self.skipped = skipped
        isEmpty = patterns.isEmpty
        for pattern in patterns { insert(pattern) }
        link()
    }

    private mutating func insert(_ pattern: [UInt8]) {
        var at: Int32 = 0
        for byte in pattern {
            var next = child(of: at, byte)
            if next < 0 {
                next = Int32(nodes.count)
                nodes.append(
                    Node(byte: byte, sibling: nodes[Int(at)].firstChild, depth: nodes[Int(at)].depth + 1))
                nodes[Int(at)].firstChild = next
                if at == 0 { starts[Int(byte)] = next }
            }
            at = next
        }
        nodes[Int(at)].match = Int32(pattern.count)
    }

    private func child(of node: Int32, _ byte: UInt8) -> Int32 {
        if node == 0 { return starts[Int(byte)] }
        var at = nodes[Int(node)].firstChild
        while at >= 0, nodes[Int(at)].byte != byte { at = nodes[Int(at)].sibling }
        return at
    }

    /// In order of depth, so that the links of shorter texts are there.
    private mutating func link() {
        var queue: [Int32] = [0]
        var head = 0
        while head < queue.count {
            let node = queue[head]
            head += 1
            var at = nodes[Int(node)].firstChild
            while at >= 0 {
                if node != 0 {
                    let failure = step(from: nodes[Int(node)].failure, nodes[Int(at)].byte)
                    nodes[Int(at)].failure = failure
                    nodes[Int(at)].match = max(nodes[Int(at)].match, nodes[Int(failure)].match)
                }
                queue.append(at)
                at = nodes[Int(at)].sibling
            }
        }
    }

    private func step(from node: Int32, _ byte: UInt8) -> Int32 {
        var at = node
        while true {
            let next = child(of: at, byte)
            if next >= 0 { return next }
            if at == 0 { return 0 }
            at = nodes[Int(at)].failure
        }
    }

    /// Bytes with which a pattern begins.
    var beginnings: [UInt8] { (0...255).filter { starts[Int($0)] >= 0 } }

    /// One search, over bytes that come in pieces; `reader` says what they stand for.
    struct Search {
        private var node: Int32 = 0
        private var reader: EscapeReader
        /// Of what the first one gives: escapes within escapes, as JSON within JSON has them.
        private var inner: EscapeReader?
        /// Where the bytes began that the current node stands for, and those before them.
        private var counted: [Int] = []
        private var position = 0
        /// Of those that count for nothing, so many in a row.
        private var blanks = 0
        private static let mostBlanks = 256

        init(_ escapes: EscapeReader.Escapes = .none, twice: Bool = false) {
            reader = EscapeReader(escapes)
            inner = twice ? EscapeReader(escapes) : nil
        }
        /// Whether this byte may be part of an escape.
        func isEscape(_ byte: UInt8) -> Bool { reader.isEscape(byte) || inner?.open != nil }

        /// Tells of each pattern that ends with this byte, the longest of them: from its first byte to its last.
        mutating func take(_ byte: UInt8, _ tree: PatternTree, _ found: (ClosedRange<Int>) -> Void) {
            let unit = EscapeReader.Unit(byte: byte, place: position...position)
            if isEscape(byte) {
                for unit in reader.take(unit) {
                    for unit in inner?.take(unit) ?? [unit] { step(unit.byte, at: unit.place, tree, found) }
                }
            } else {
                step(byte, at: unit.place, tree, found)
            }
            position += 1
        }

        private mutating func step(
            _ byte: UInt8, at place: ClosedRange<Int>, _ tree: PatternTree,
            _ found: (ClosedRange<Int>) -> Void
        ) {
            if node != 0, tree.skipped.contains(byte) {
                blanks += 1
                if blanks <= Search.mostBlanks { return }
                // No writer wraps so: what waited for more than that is let go.
                node = 0
                return counted.removeAll(keepingCapacity: true)
            }
            blanks = 0
            node = tree.step(from: node, byte)
            guard node != 0 else { return counted.removeAll(keepingCapacity: true) }
            counted.append(place.lowerBound)
            let entry = tree.nodes[Int(node)]
            if counted.count > 4096, counted.count > 2 * Int(entry.depth) {
                counted.removeFirst(counted.count - Int(entry.depth))
            }
            if entry.match > 0 { found(counted[counted.count - Int(entry.match)]...place.upperBound) }
        }

        /// Whether nothing has begun.
        var isAtRest: Bool { node == 0 && reader.open == nil && inner?.open == nil }
        /// Goes on from where another search of the same tree is.
        mutating func follow(_ other: Search) {
            (node, counted, position) = (other.node, other.counted, other.position)
        }
        mutating func advance(_ count: Int) { position += count }

        /// From here on a byte may still be part of a pattern.
        func open(_ tree: PatternTree) -> Int {
            let begun = node == 0 ? position : counted[counted.count - Int(tree.nodes[Int(node)].depth)]
            return min(begun, reader.open ?? position, inner?.open ?? position)
        }
    }
}
