// What this is: what of an expression can be known to fail before it runs: the parts that depend on nothing.
// Owns: the finding of such parts, and of filters whose written arguments cannot be right for any input.
// Never: asks for the time, the environment or files; judges a part that depends on a variable or a step.
// On failure: the first fault is returned, as evaluation would throw it.
import JobModel

extension Expression {
    /// What evaluation will throw whatever the variables are; nil where nothing is known to fail.
    func certainFault(_ budget: CheckBudget) -> ExpressionError? { root.certainFault(budget) }
}

extension ExpressionNode {
    fileprivate func certainFault(_ budget: CheckBudget) -> ExpressionError? {
        if dependsOnNothing {
            return budget.fault { (evaluator) throws(ExpressionError) in _ = try evaluator.found(self) }
        }
        // What `and`, `or` and a choice leave out is not evaluated, so a fault there is not certain.
        switch kind {
        case .every(let nodes), .some(let nodes): return nodes.first?.certainFault(budget)
        case .choice(_, let condition, _): return condition.certainFault(budget)
        case .filtered(let base, let uses):
            // `default` alone lets its argument wait until it is needed.
            if let fault = base.certainFault(budget) { return fault }
            for use in uses where use.filter != .default {
                for argument in use.arguments {
                    if let fault = argument.certainFault(budget) { return fault }
                }
                if let fault = use.certainFault(budget) { return fault }
            }
            return nil
        default:
            for child in children {
                if let fault = child.certainFault(budget) { return fault }
            }
            return nil
        }
    }

    private var dependsOnNothing: Bool {
        switch kind {
        case .name, .secret: false
        case .call(let function, let nodes): function == .range && nodes.allSatisfy(\.dependsOnNothing)
        case .filtered(let base, let uses):
            base.dependsOnNothing && uses.flatMap(\.arguments).allSatisfy(\.dependsOnNothing)
                && !uses.contains { $0.filter == .date || $0.filter == .dateAdd }
        case .access(let base, let accesses):
            base.dependsOnNothing
                && accesses.allSatisfy {
                    if case .index(let node) = $0 { node.dependsOnNothing } else { true }
                }
        default: children.allSatisfy(\.dependsOnNothing)
        }
    }
}

extension ExpressionNode.FilterUse {
    /// A pattern that is none, a format with an unknown directive: tried on an input that the filter takes.
    fileprivate func certainFault(_ budget: CheckBudget) -> ExpressionError? {
        var values: [Value] = []
        for argument in arguments {
            guard case .constant(let value) = argument.kind else { return nil }
            values.append(value)
        }
        let sample: Value
        switch filter {
        case .replace, .split, .startswith, .endswith, .regexMatch, .regexFind, .regexReplace:
            sample = .string("")
        case .join: sample = .list([])
        case .date, .dateAdd: sample = .int(0)
        default: return nil
        }
        guard !values.isEmpty else { return nil }
        return budget.fault { (evaluator) throws(ExpressionError) in
            _ = try evaluator.apply(self, to: .value(sample))
        }
    }
}
