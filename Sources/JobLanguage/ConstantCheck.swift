// What this is: what of an expression can be known to fail before it runs: the parts that depend on nothing.
// Owns: the finding of such parts, and of filters whose written arguments cannot be right for any input.
// Never: asks for the time, the environment or files; judges a part that depends on a variable or a step.
// On failure: the first fault is returned, as evaluation would throw it.
import JobModel

extension Expression {
    /// What evaluation will throw whatever the variables are; nil where nothing is known to fail.
    public var certainFault: ExpressionError? { root.certainFault }
}

extension ExpressionNode {
    fileprivate var certainFault: ExpressionError? {
        if dependsOnNothing {
            var evaluator = ExpressionEvaluator(
                scope: Scope(now: Timestamp(seconds: 0), localDate: "1970-01-01"))
            do { _ = try evaluator.found(self) } catch { return error }
            return nil
        }
        // What `and`, `or` and a choice leave out is not evaluated, so a fault there is not certain.
        switch kind {
        case .every(let nodes), .some(let nodes): return nodes.first?.certainFault
        case .choice(_, let condition, _): return condition.certainFault
        case .filtered(let base, let uses):
            // `default` alone lets its argument wait until it is needed.
            if let fault = base.certainFault { return fault }
            for use in uses where use.filter != .default {
                if let fault = use.arguments.lazy.compactMap(\.certainFault).first ?? use.certainFault {
                    return fault
                }
            }
            return nil
        default: return children.lazy.compactMap(\.certainFault).first
        }
    }

    private var dependsOnNothing: Bool {
        switch kind {
        case .name: false
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
    fileprivate var certainFault: ExpressionError? {
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
        case .round: sample = .double(0.5)
        case .date, .dateAdd: sample = .int(0)
        default: return nil
        }
        guard !values.isEmpty else { return nil }
        var evaluator = ExpressionEvaluator(scope: Scope(now: Timestamp(seconds: 0), localDate: "1970-01-01"))
        do { _ = try evaluator.apply(self, to: .value(sample)) } catch { return error }
        return nil
    }
}
