// What this is: regular expressions of the job language: the notation, and the program that the matcher runs.
// Owns: the syntax (that of RE2, without Unicode classes and names) and its limits.
// Never: knows back-references or look-around: with them nobody could bound the time of a match.
// On failure: Problem with the place in the pattern.
// The way of Thompson (1968) and Pike: alternatives are threads of one pass over the text (swtch.com/~rsc/regexp).

struct RegularExpression: Sendable {
    struct Problem: Error {
        var message: String
        /// Unicode scalars from the start of the pattern.
        var offset: Int
    }
    /// What one step of the program does; places are indexes of `program`.
    enum Instruction: Sendable {
        case scalar(UInt32)
        case set(Ranges)
        /// Goes both ways; the first is preferred.
        case split(Int, Int)
        case jump(Int)
        case save(Int)
        case assert(Assertion)
        case match
    }
    enum Assertion: Sendable { case start, end, lineStart, lineEnd, boundary, noBoundary }
    /// Sorted, apart from each other.
    struct Ranges: Sendable {
        var ranges: [ClosedRange<UInt32>]
        func contains(_ scalar: UInt32) -> Bool {
            var low = 0, high = ranges.count
            while low < high {
                let middle = (low + high) / 2
                if ranges[middle].upperBound < scalar { low = middle + 1 } else { high = middle }
            }
            return low < ranges.count && ranges[low].contains(scalar)
        }
    }

    static let longestPattern = 1000, largestProgram = 5000, largestCount = 1000, deepest = 50,
        mostGroups = 20

    let program: [Instruction]
    /// Groups in parentheses; group 0, the whole match, is not counted.
    let groups: Int

    /// `isWhole`: only from the first character of a text to its last.
    init(_ pattern: String, isWhole: Bool = false) throws(Problem) {
        var parser = RegularExpressionParser(pattern)
        var tree = try parser.parse()
        if isWhole { tree = .sequence([.assertion(.start), tree, .assertion(.end)]) }
        var compiler = Compiler()
        compiler.emit(.save(0))
        try compiler.compile(tree)
        compiler.emit(.save(1))
        compiler.emit(.match)
        program = compiler.program
        groups = parser.groups
    }

    /// Tree to program.
    private struct Compiler {
        var program: [Instruction] = []
        /// Also of nodes that emit nothing: counts of an empty group multiply as well.
        private var visits = 0
        mutating func emit(_ instruction: Instruction) { program.append(instruction) }

        mutating func compile(_ node: RegularExpressionNode) throws(Problem) {
            visits += 1
            guard program.count < RegularExpression.largestProgram,
                visits < 4 * RegularExpression.largestProgram
            else {
                throw Problem(message: "the pattern is too large; its counts multiply", offset: 0)
            }
            switch node {
            case .empty: break
            case .scalar(let scalar): emit(.scalar(scalar))
            case .set(let ranges): emit(.set(ranges))
            case .assertion(let assertion): emit(.assert(assertion))
            case .group(let number, let inner):
                emit(.save(2 * number))
                try compile(inner)
                emit(.save(2 * number + 1))
            case .sequence(let nodes): for node in nodes { try compile(node) }
            case .choice(let nodes): try compileChoice(nodes)
            case .repeated(let inner, let least, let most, let isLazy):
                try compileRepeated(inner, least, most, isLazy)
            }
        }

        private mutating func compileChoice(_ nodes: [RegularExpressionNode]) throws(Problem) {
            var jumps: [Int] = []
            for (index, node) in nodes.enumerated() {
                guard index < nodes.count - 1 else {
                    try compile(node)
                    break
                }
                let split = program.count
                emit(.match)
                try compile(node)
                jumps.append(program.count)
                emit(.match)
                program[split] = .split(split + 1, program.count)
            }
            for jump in jumps { program[jump] = .jump(program.count) }
        }

        private mutating func compileRepeated(
            _ inner: RegularExpressionNode, _ least: Int, _ most: Int?, _ isLazy: Bool
        ) throws(Problem) {
            for _ in 0..<least { try compile(inner) }
            guard let most else {
                let split = program.count
                emit(.match)
                try compile(inner)
                emit(.jump(split))
                program[split] = fork(split + 1, program.count, isLazy)
                return
            }
            var splits: [Int] = []
            for _ in least..<max(least, most) {
                splits.append(program.count)
                emit(.match)
                try compile(inner)
            }
            for split in splits { program[split] = fork(split + 1, program.count, isLazy) }
        }
        private func fork(_ on: Int, _ out: Int, _ isLazy: Bool) -> Instruction {
            isLazy ? .split(out, on) : .split(on, out)
        }
    }
}

indirect enum RegularExpressionNode {
    case empty
    case scalar(UInt32)
    case set(RegularExpression.Ranges)
    case assertion(RegularExpression.Assertion)
    case group(Int, RegularExpressionNode)
    case sequence([RegularExpressionNode])
    case choice([RegularExpressionNode])
    case repeated(RegularExpressionNode, least: Int, most: Int?, isLazy: Bool)
}

extension RegularExpression.Ranges {
    static let digits = RegularExpression.Ranges(ranges: [0x30...0x39])
    static let words = RegularExpression.Ranges(ranges: [0x30...0x39, 0x41...0x5A, 0x5F...0x5F, 0x61...0x7A])
    static let blanks = RegularExpression.Ranges(ranges: [0x09...0x0D, 0x20...0x20])
    static let anyButNewline = RegularExpression.Ranges(ranges: [0x0A...0x0A]).inverted
    static let any = RegularExpression.Ranges(ranges: [0...0x10FFFF])

    init(joining all: [ClosedRange<UInt32>]) {
        ranges = []
        for range in all.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = ranges.last, range.lowerBound <= last.upperBound &+ 1 {
                ranges[ranges.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
            } else {
                ranges.append(range)
            }
        }
    }
    var inverted: RegularExpression.Ranges {
        var out: [ClosedRange<UInt32>] = [], next: UInt32 = 0
        for range in ranges {
            if range.lowerBound > next { out.append(next...(range.lowerBound - 1)) }
            next = range.upperBound + 1
        }
        if next <= 0x10FFFF { out.append(next...0x10FFFF) }
        return RegularExpression.Ranges(ranges: out)
    }
    /// With the other case of each ASCII letter.
    var ignoringCase: RegularExpression.Ranges {
        var all = ranges
        for range in ranges {
            for (letters, shift) in [(UInt32(0x41)...UInt32(0x5A), Int64(32)), (0x61...0x7A, -32)]
            where range.overlaps(letters) {
                let inside = range.clamped(to: letters)
                all.append(
                    UInt32(Int64(inside.lowerBound) + shift)...UInt32(Int64(inside.upperBound) + shift))
            }
        }
        return RegularExpression.Ranges(joining: all)
    }
}
