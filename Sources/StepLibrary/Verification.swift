// What this is: how a step that verifies something answers: PASS, RETRY (the second look said yes) or FAIL.
// Owns: the outputs of every such step, and the one second look after a moment.
// Never: turns a FAIL into a success; the step fails.
// On failure: the Failure of the last look.
import JobModel

struct Verification {
    static let outputs: [(name: String, summary: String)] = [
        ("status", "PASS, or RETRY where only the second look said yes; a FAIL fails the step"),
        ("passed", "true"), ("message", "what was found"),
        ("retry_attempted", "whether there was a second look"),
        ("retry_successful", "whether that one said yes"),
    ]
    static let retryAfter = Parameter(
        "retry_after", .span, default: .string("500ms"),
        "one second look after so long, where the first says no; 0s: none")

    /// `look` throws what is wrong; its outputs join those of the verification.
    static func perform(
        retryAfter span: Span, _ context: any StepContext,
        _ look: () throws(Failure) -> (message: String, outputs: ValueMap)
    ) throws(Failure) -> ValueMap {
        do { return answer(try look()) } catch {
            guard span > .zero, error.retry != .never else { throw error }
            try context.log("\(error.message); looking once more in \(span.text)")
            try context.pause(span)
            return answer(try look(), isSecond: true)
        }
    }

    static func answer(_ found: (message: String, outputs: ValueMap), isSecond: Bool = false)
        -> ValueMap
    {
        var outputs = found.outputs
        outputs["status"] = .string(isSecond ? "RETRY" : "PASS")
        outputs["passed"] = .bool(true)
        outputs["message"] = .string(found.message)
        outputs["retry_attempted"] = .bool(isSecond)
        outputs["retry_successful"] = .bool(isSecond)
        return outputs
    }
}
