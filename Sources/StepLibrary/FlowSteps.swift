// What this is: the steps that touch nothing outside: assert, fail, set, log, sleep.
// Owns: their table entries, E-ASSERT and E-FAIL.
// Never: reads or writes a file.
// On failure: the message the job gave.
import JobModel

struct AssertStep: StepAction {
    static let table = StepType(
        "assert", "Fails unless the condition holds.",
        parameters: [
            Parameter("condition", .condition, required: true, "an expression, without braces"),
            Parameter("message", .text, "what to say when it does not hold"),
        ],
        shorthand: "condition", example: "assert: steps.found.count > 0"
    ).inside
    var type: StepType { AssertStep.table }

    func perform(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) -> ValueMap {
        guard let holds = arguments["condition"]?.boolValue else {
            throw .parameter("the condition of `assert` gave no true or false")
        }
        if holds { return [:] }
        throw Failure(
            "E-ASSERT", arguments.optionalText("message") ?? "the condition does not hold",
            whatToDo: "look at the values the condition names")
    }
}

struct FailStep: StepAction {
    static let table = StepType(
        "fail", "Ends the run as failed; never retried.",
        parameters: [Parameter("message", .text, required: true, "why")],
        shorthand: "message", example: "fail: \"the ledger does not balance\""
    ).inside
    var type: StepType { FailStep.table }

    func perform(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) -> ValueMap {
        throw Failure(
            "E-FAIL", arguments.text("message"), whatToDo: "the job itself decided to fail", retry: .never)
    }
}

struct SetStep: StepAction {
    static let table = StepType(
        "set", "Keeps values under names for later steps.",
        parameters: [Parameter("values", .map, required: true, "names and their values")],
        shorthand: "values", outputs: [("<name>", "each value under its name")],
        example: "set: {values: {total: \"{{ steps.found.count }}\"}}"
    ).inside
    var type: StepType { SetStep.table }

    func perform(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) -> ValueMap {
        let values = arguments["values"]?.mapValue ?? [:]
        for name in values.keys where !SetStep.isName(name) {
            throw .parameter(
                "`\(name)` cannot be a name", whatToDo: "use letters, digits and _, not a digit first")
        }
        return try values.withinLimit(instead: "write large values to a file (write_file)")
    }
    private static func isName(_ name: String) -> Bool {
        guard let first = name.utf8.first, !(0x30...0x39).contains(first) else { return false }
        return name.utf8.allSatisfy {
            (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0)
                || $0 == 0x5F
        }
    }
}

struct LogStep: StepAction {
    static let table = StepType(
        "log", "Writes a line to the log of the run.",
        parameters: [
            Parameter("message", .any, required: true, "what to write; a list or map is shown as JSON"),
            Parameter(
                "level", .choice(["info", "warn", "error"]), default: .string("info"), "shown before the line"
            ),
            Parameter("details", .any, "written below it, as one line of JSON"),
        ],
        shorthand: "message", outputs: [("message", "the text")],
        example: "log: \"{{ steps.found.count }} files\""
    ).inside
    var type: StepType { LogStep.table }

    func perform(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) -> ValueMap {
        let text = arguments["message"]?.text ?? ""
        let level = arguments.text("level")
        for line in text.isEmpty ? [""] : TextLines.split(text) {
            try context.log(level == "info" ? line : "\(level): \(line)")
        }
        if let details = arguments["details"], !details.isNull { try context.log(JSONText.write(details)) }
        return ["message": .string(text)]
    }
}

struct SleepStep: StepAction {
    static let table = StepType(
        "sleep", "Waits.",
        parameters: [Parameter("duration", .span, required: true, "how long")],
        shorthand: "duration", outputs: [("seconds", "how long it waited")], example: "sleep: 2s"
    ).inside
    var type: StepType { SleepStep.table }

    func perform(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) -> ValueMap {
        let span = arguments.span("duration")
        try context.pause(span)
        return ["seconds": .double(span.inSeconds)]
    }
}
