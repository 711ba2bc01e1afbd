// What this is: what has become of a question, in the words of result files, requests and `--json`.
// Owns: these words.
// Never: reads or decides anything.
// On failure: nothing here fails.
import JobLanguage
import JobModel

extension ApprovalQuestion {
    /// What people may see: what is named like a secret is masked, wherever a request or a notice shows it.
    public var shownMessage: String { Preview.masked(message) }
    public var shownDetails: Value { Preview.cleared(details) }
}

public enum ApprovalText {
    /// Nobody needs an answer any more.
    public static let void = "void"

    public static func outcome(_ outcome: Approval.Outcome) -> String {
        switch outcome {
        case .open: "open"
        case .approved: "approved"
        case .denied: "denied"
        case .timedOut(.approve): "auto_approve"
        case .timedOut(.deny): "auto_deny"
        }
    }
    public static func value(_ decision: Decision) -> Value {
        var map: ValueMap = [
            "decision": .string(decision.verdict.rawValue), "by": .string(decision.by.name),
            "uid": .int(Int(decision.by.uid)), "at": .string(decision.at.rfc3339),
        ]
        if !decision.comment.isEmpty { map["comment"] = .string(decision.comment) }
        if !decision.inputs.isEmpty { map["inputs"] = .map(decision.inputs) }
        if decision.isSelf { map["self_approved"] = .bool(decision.verdict == .approve) }
        if decision.isSigned { map["signed"] = .bool(true) }
        map["answer_sha256"] = .string(decision.sha256)
        return .map(map)
    }
}
