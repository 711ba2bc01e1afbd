// What this is: what one check of a job may cost: however many constant parts and patterns its file has, it is soon over.
// Owns: the units that all of them share.
// Never: says that something is wrong because it is dear.
// On failure: where it is spent, nothing more is certain: constant parts pass, matches are not said.
import JobModel

final class CheckBudget {
    struct Spent: Error {}
    private var units = 4 * ExpressionLimits.units

    func spend(_ cost: Int) throws(Spent) {
        units -= cost
        if units < 0 { throw Spent() }
    }

    /// What an evaluation throws; nil also where the budget is spent.
    func fault(_ evaluate: (inout ExpressionEvaluator) throws(ExpressionError) -> Void) -> ExpressionError? {
        let given = min(units, ExpressionLimits.units)
        guard given > 0 else { return nil }
        var evaluator = ExpressionEvaluator(
            scope: Scope(now: Timestamp(seconds: 0), localDate: "1970-01-01"), units: given)
        defer { units -= given - max(0, evaluator.unitsLeft) }
        do { try evaluate(&evaluator) } catch {
            return error.code == "E-EXPR-LIMIT" && given < ExpressionLimits.units ? nil : error
        }
        return nil
    }

    /// Whether the whole text matches; nil where that takes too long to say.
    func matches(_ text: String, _ pattern: String) -> Bool? {
        // A pattern that is none was found when it was read.
        guard let expression = try? RegularExpression(pattern, isWhole: true) else { return false }
        do throws(Spent) {
            try spend(expression.program.count)
            let match = try RegularExpressionMatcher(expression, text).firstMatch(from: 0) {
                (steps: Int) throws(Spent) in try spend(steps / 4 + 1)
            }
            return match != nil
        } catch { return nil }
    }
}
