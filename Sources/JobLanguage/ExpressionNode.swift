// What this is: the tree of a parsed expression.
// Owns: the kinds of nodes, the names and argument counts of functions, and the list of references.
// Never: evaluates. Chains of equal operators are flat, so that only real nesting makes the tree deep.
// On failure: nothing here fails.
import JobModel

struct ExpressionNode: Sendable {
    indirect enum Kind: Sendable {
        case constant(Value)
        /// A quoted text of a condition that holds `{{ }}`: its parts, joined as text.
        case text([ExpressionNode])
        case list([ExpressionNode])
        case map([(key: String, value: ExpressionNode)])
        case name(String)
        case secret(SecretName)
        case access(ExpressionNode, [Access])
        case negate(ExpressionNode)
        case not(ExpressionNode)
        case chain(ExpressionNode, [Link])
        case compare(ExpressionNode, Comparison, ExpressionNode)
        case every([ExpressionNode])
        case some([ExpressionNode])
        case choice(ExpressionNode, condition: ExpressionNode, otherwise: ExpressionNode)
        case filtered(ExpressionNode, [FilterUse])
        case call(Function, [ExpressionNode])
    }
    enum Access: Sendable {
        case member(String, offset: Int)
        case index(ExpressionNode)
    }
    struct Link: Sendable {
        var operation: Arithmetic
        var operand: ExpressionNode
        var offset: Int
    }
    struct FilterUse: Sendable {
        var filter: Filter
        var arguments: [ExpressionNode]
        var offset: Int
    }
    enum Arithmetic: String, Sendable {
        case add = "+", subtract = "-", multiply = "*", divide = "/", remainder = "%"
    }
    enum Comparison: Sendable {
        case equal, different, less, lessOrEqual, greater, greaterOrEqual, isIn, isNotIn
    }

    var kind: Kind
    /// Unicode scalars from the start of the expression.
    var offset: Int

    init(_ kind: Kind, _ offset: Int) {
        self.kind = kind
        self.offset = offset
    }
}

enum Function: String, CaseIterable, Sendable {
    case now, date, range, fileExists = "file_exists", env

    var argumentCount: ClosedRange<Int> {
        switch self {
        case .now, .date: 0...0
        case .range, .fileExists, .env: 1...1
        }
    }
}

extension ExpressionNode {
    var references: [Reference] {
        var found: [Reference] = []
        collect(optional: false, into: &found)
        return found
    }

    private func collect(optional: Bool, into found: inout [Reference]) {
        switch kind {
        case .constant, .secret: break
        case .name(let root):
            found.append(
                Reference(root: root, members: [], isComplete: true, isOptional: optional, offset: offset))
        case .access(let base, let accesses):
            let first = found.count
            base.collect(optional: optional, into: &found)
            if case .name = base.kind { found[first].extend(by: accesses) }
            for case .index(let node) in accesses { node.collect(optional: false, into: &found) }
        case .filtered(let base, let uses):
            base.collect(optional: uses.first?.filter == .default, into: &found)
            for argument in uses.flatMap(\.arguments) { argument.collect(optional: false, into: &found) }
        default:
            for child in children { child.collect(optional: false, into: &found) }
        }
    }

    /// The secrets it names, in reading order.
    var secrets: [SecretUse] {
        if case .secret(let name) = kind { return [SecretUse(name: name, offset: offset)] }
        return children.flatMap(\.secrets)
    }

    /// The nodes directly below, in reading order.
    var children: [ExpressionNode] {
        switch kind {
        case .constant, .name, .secret: []
        case .filtered(let base, let uses): [base] + uses.flatMap(\.arguments)
        case .access(let base, let accesses):
            [base] + accesses.compactMap { if case .index(let node) = $0 { node } else { nil } }
        case .text(let nodes), .list(let nodes), .every(let nodes), .some(let nodes), .call(_, let nodes):
            nodes
        case .map(let entries): entries.map(\.value)
        case .negate(let node), .not(let node): [node]
        case .chain(let first, let links): [first] + links.map(\.operand)
        case .compare(let left, _, let right): [left, right]
        case .choice(let node, let condition, let otherwise): [node, condition, otherwise]
        }
    }
}

extension Reference {
    fileprivate mutating func extend(by accesses: [ExpressionNode.Access]) {
        for access in accesses {
            guard let member = access.literal else { return isComplete = false }
            members.append(member)
        }
    }
}

extension ExpressionNode.Access {
    /// The member where it is known without evaluating.
    var literal: Reference.Member? {
        switch self {
        case .member(let name, _): .name(name)
        case .index(let node):
            if case .constant(.int(let number)) = node.kind { .index(number) } else { nil }
        }
    }
}
