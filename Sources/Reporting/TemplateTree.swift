// What this is: templates learnt from messages as they come: what all messages of a kind share, `<*>` where they differ.
// Owns: the leaves (one for each shape that was seen), and when two or more of them become one.
// Never: needs to know how many kinds there are, or to see a message twice; grows beyond its limits.
// On failure: cannot fail: when there are too many shapes, what is new is grouped by its first word.
//
// A leaf is a shape (MessageScanner). For each of its words there is a hole: the shape without that word. Leaves that share a
// hole differ in that one word; enough of them, and the word is a value: they become one template. Holes make this online and
// exact, where Drain (He et al., ICWS 2017) compares with a threshold of likeness.

public struct TemplateTree {
    /// The number of a leaf, for `template(of:)` when all messages are there.
    public typealias Leaf = Int32

    private struct Node {
        var shape: [UInt8]
        /// Which words have white space before them in the first message.
        var spaced: [Bool]
        var parent: Leaf
        /// Which words have been seen to change, where their looks do not say so.
        var learnt: Set<Int> = []
    }
    private struct HoleKey: Hashable {
        var first: UInt64
        var second: UInt64
    }
    private struct Hole {
        var leaves: [Leaf] = []
        var hasVariable = false
        /// What the leaves of this hole have become.
        var template: Leaf?
    }
    private struct Word {
        var range: Range<Int>
        var isVariable: Bool
        /// Whether a hole may be here: a mark of punctuation is no value.
        var mayVary: Bool
        var isConstant: Bool
        var mixed: HoleKey
    }
    /// A shape that has a template and no leaf of its own; the last one of its place stays.
    private struct Recent {
        var shape: [UInt8] = []
        var leaf: Leaf = -1
    }

    private var scanner = MessageScanner()
    private var nodes: [Node] = []
    private var exact: [UInt64: Leaf] = [:]
    private var holes: [HoleKey: Hole] = [:]
    private var recent = [Recent](repeating: Recent(), count: 4096)
    private let mostLeaves: Int
    private var live = 0
    /// Words beyond have no hole, and there are no more holes than this: one message of hundreds of words must not cost as much
    /// as a thousand of ten.
    private static let mostHolesOfOne = 64
    private var mostHoles: Int { 25 * mostLeaves }

    /// With more than `mostLeaves` shapes that no template covers, new ones are no longer learnt.
    public init(mostLeaves: Int = 20_000) { self.mostLeaves = mostLeaves }

    /// How many leaves there are: a bound for every number that `add` has answered.
    public var count: Int { nodes.count }

    @discardableResult
    public mutating func add(_ message: UnsafeRawBufferPointer) -> Leaf {
        scanner.scan(message)
        if let leaf = known(scanner.shape, scanner.hash) { return leaf }
        let place = Int(scanner.hash % UInt64(recent.count))
        if recent[place].leaf >= 0, recent[place].shape == scanner.shape { return recent[place].leaf }
        let words = TemplateTree.words(scanner.shape)
        if let template = template(covering: words) {
            recent[place] = Recent(shape: scanner.shape, leaf: template)
            return template
        }
        let spaced = scanner.pieces.map(\.isSpaced)
        guard live < mostLeaves, holes.count < mostHoles else { return coarse(words, spaced) }
        let leaf = grow(scanner.shape, scanner.hash, spaced)
        live += 1
        insert(leaf, words)
        return leaf
    }
    @discardableResult
    public mutating func add(_ message: String) -> Leaf {
        var message = message
        return message.withUTF8 { add(UnsafeRawBufferPointer($0)) }
    }

    /// A template's words as `learn` takes them: `<*>` is a value by its looks, `<?>` one that was seen to change.
    public func pattern(of leaf: Leaf) -> String {
        let node = nodes[Int(root(leaf))]
        return node.shape.split(separator: Sign.space).enumerated().map { index, word in
            guard word.elementsEqual([Sign.variable]) else { return String(decoding: word, as: UTF8.self) }
            return node.learnt.contains(index) ? "<?>" : "<*>"
        }.joined(separator: " ")
    }

    /// Takes over a template of an earlier life: from now on it covers what it covered then.
    @discardableResult
    public mutating func learn(_ pattern: String) -> Leaf {
        var shape: [UInt8] = [], learnt: Set<Int> = []
        for (index, word) in pattern.split(separator: " ").enumerated() {
            if index > 0 { shape.append(Sign.space) }
            if word == "<?>" { learnt.insert(index) }
            shape += word == "<?>" || word == "<*>" ? [Sign.variable] : Array(word.utf8)
        }
        let words = TemplateTree.words(shape)
        let hash = shape.withUnsafeBytes(ShapeHash.of)
        let leaf: Leaf
        if let present = known(shape, hash) {
            leaf = root(present)
        } else if let wider = template(covering: words) {
            leaf = wider
        } else {
            leaf = grow(shape, hash, words.map { _ in true })
            live += 1
            insert(leaf, words)
        }
        let keys = TemplateTree.holeKeys(words)
        for index in learnt where holes[keys[index]]?.template == nil {
            take(keys[index], at: index, into: root(leaf))
        }
        return leaf
    }

    /// The template that a leaf belongs to by now. Leaves with equal templates are one kind.
    public func template(of leaf: Leaf) -> String {
        let node = nodes[Int(root(leaf))]
        var text: [UInt8] = []
        var before: [UInt8]?
        var link: [UInt8]?
        // As a scanner joins what varies side by side, so does a template in which it has only come to light.
        for (word, isSpaced) in zip(node.shape.split(separator: Sign.space).map(Array.init), node.spaced) {
            let isVariable = word == [Sign.variable]
            if isVariable, before == [Sign.variable] { continue }
            if isVariable, let mark = link {
                text.removeLast(mark.count)
                link = nil
                before = word
                continue
            }
            let follows = before == [Sign.variable]
            let mayLink = follows && word.count == 1 && Sign.isLink(word[0]) && !isSpaced
            let piece = isVariable ? Array("<*>".utf8) : word
            let whole = (isSpaced && !text.isEmpty ? [Sign.space] : []) + piece
            text += whole
            link = mayLink ? whole : nil
            before = word
        }
        return String(decoding: text, as: UTF8.self)
    }

    // MARK: leaves

    private func root(_ leaf: Leaf) -> Leaf {
        var leaf = leaf
        while nodes[Int(leaf)].parent != leaf { leaf = nodes[Int(leaf)].parent }
        return leaf
    }
    private func known(_ shape: [UInt8], _ hash: UInt64) -> Leaf? {
        var hash = hash
        while let leaf = exact[hash] {
            if nodes[Int(leaf)].shape == shape { return leaf }
            hash &+= 1
        }
        return nil
    }
    private mutating func grow(_ shape: [UInt8], _ hash: UInt64, _ spaced: [Bool]) -> Leaf {
        let leaf = Leaf(nodes.count)
        nodes.append(Node(shape: shape, spaced: spaced, parent: leaf))
        var hash = hash
        while exact[hash] != nil { hash &+= 1 }
        exact[hash] = leaf
        return leaf
    }
    private mutating func coarse(_ words: [Word], _ spaced: [Bool]) -> Leaf {
        var shape: [UInt8] = [Sign.variable]
        if nodes.count < 2 * mostLeaves, let first = words.first(where: \.isConstant) {
            shape = Array(scanner.shape[first.range]) + [Sign.space, Sign.variable]
        }
        let hash = shape.withUnsafeBytes(ShapeHash.of)
        return known(shape, hash) ?? grow(shape, hash, [false, true])
    }

    private static func words(_ shape: [UInt8]) -> [Word] {
        var words: [Word] = []
        var start = 0
        func close(_ end: Int) {
            guard end > start else { return }
            let first = shape[start]
            let isVariable = first == Sign.variable
            let hash = shape.withUnsafeBytes {
                ShapeHash.of(UnsafeRawBufferPointer(rebasing: $0[start..<end]))
            }
            let place = UInt64(words.count) &* 0x9E37_79B9_7F4A_7C15
            words.append(
                Word(
                    range: start..<end, isVariable: isVariable,
                    mayVary: isVariable || Sign.isWordLike(first),
                    isConstant: !isVariable && Sign.isLetter(first),
                    mixed: HoleKey(
                        first: ShapeHash.mixed(hash &+ place), second: ShapeHash.mixed(hash ^ ~place))))
        }
        for (at, byte) in shape.enumerated() where byte == Sign.space {
            close(at)
            start = at + 1
        }
        close(shape.count)
        return words
    }

    // MARK: holes

    /// The key of each hole: what all words add up to, without one, and where it is missing.
    private static func holeKeys(_ words: [Word]) -> [HoleKey] {
        var all = HoleKey(first: UInt64(words.count), second: 0)
        for word in words {
            all.first &+= word.mixed.first
            all.second &+= word.mixed.second
        }
        return words.enumerated().map { index, word in
            HoleKey(
                first: all.first &- word.mixed.first &+ ShapeHash.mixed(UInt64(index) &+ 1),
                second: all.second &- word.mixed.second)
        }
    }

    private func template(covering words: [Word]) -> Leaf? {
        for (word, key) in zip(words, TemplateTree.holeKeys(words)) where !word.isVariable {
            if let template = holes[key]?.template { return root(template) }
        }
        return nil
    }

    /// How many different words make a value of them. The more a shape says besides, the fewer; where one of them is a
    /// value by its looks, the others are none by chance.
    private static func needed(constants: Int, hasVariable: Bool) -> Int {
        switch constants {
        case 0: .max
        case 1: hasVariable ? 16 : 32
        case 2: hasVariable ? 4 : 8
        default: hasVariable ? 2 : 4
        }
    }

    private mutating func insert(_ leaf: Leaf, _ words: [Word]) {
        let constants = words.count { $0.isConstant }
        let keys = TemplateTree.holeKeys(words)
        for (index, word) in words.enumerated().prefix(TemplateTree.mostHolesOfOne) where word.mayVary {
            var hole = holes[keys[index]] ?? Hole()
            guard hole.template == nil else { continue }
            hole.leaves.append(leaf)
            if word.isVariable { hole.hasVariable = true }
            holes[keys[index]] = hole
            let others = constants - (word.isConstant ? 1 : 0)
            if hole.leaves.count >= TemplateTree.needed(constants: others, hasVariable: hole.hasVariable) {
                merge(keys[index], at: index, leaf, words)
                return
            }
        }
    }

    private mutating func merge(_ key: HoleKey, at index: Int, _ leaf: Leaf, _ words: [Word]) {
        let range = words[index].range
        let old = nodes[Int(leaf)]
        let shape =
            Array(old.shape[..<range.lowerBound]) + [Sign.variable] + Array(old.shape[range.upperBound...])
        let hash = shape.withUnsafeBytes(ShapeHash.of)
        let present = known(shape, hash)
        let template = present ?? grow(shape, hash, old.spaced)
        nodes[Int(template)].learnt.formUnion(old.learnt)
        take(key, at: index, into: template)
        guard present == nil else { return }
        live += 1
        // It may itself be one of a kind that is known, or complete one.
        let merged = TemplateTree.words(shape)
        if let wider = self.template(covering: merged) {
            nodes[Int(template)].parent = wider
            nodes[Int(wider)].learnt.formUnion(nodes[Int(template)].learnt)
            live -= 1
        } else {
            insert(template, merged)
        }
    }

    /// All leaves of a hole become part of one template.
    private mutating func take(_ key: HoleKey, at index: Int, into template: Leaf) {
        var hole = holes[key] ?? Hole()
        let members = hole.leaves
        hole.template = template
        hole.leaves = []
        holes[key] = hole
        nodes[Int(template)].learnt.insert(index)
        for member in members where member != template {
            nodes[Int(template)].learnt.formUnion(nodes[Int(member)].learnt)
            nodes[Int(member)].parent = template
            forget(member)
            live -= 1
        }
    }

    /// A leaf that has become part of a template counts nowhere else.
    private mutating func forget(_ leaf: Leaf) {
        for key in TemplateTree.holeKeys(TemplateTree.words(nodes[Int(leaf)].shape)) {
            guard var hole = holes[key] else { continue }
            hole.leaves.removeAll { $0 == leaf }
            holes[key] = hole.leaves.isEmpty && hole.template == nil ? nil : hole
        }
    }
}
