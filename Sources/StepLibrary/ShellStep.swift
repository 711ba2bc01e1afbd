// What this is: the step `shell`: a script for sh or bash.
// Owns: its table entry; the passing of interpolated values as environment variables.
// Never: pastes a value into the script (JobLanguage put `"$BOBBIN_VALUE_1"` where it stood).
// On failure: E-EXIT, E-SIGNAL; the exit code is that of the last command, as `set -e` is not implied.
import JobModel

struct ShellStep: StepAction {
    static let table = StepType(
        "shell",
        "Runs a shell script. Interpolated values are data, never code. `set -e` is not implied: begin "
            + "with it where each command must succeed.",
        parameters: [
            Parameter("script", .script, required: true, "the script"),
            Parameter(
                "interpreter", .choice(["sh", "bash"]), default: .string("sh"), "the shell that reads it"),
        ] + ProgramParameters.list,
        shorthand: "script", retryClass: .atMostOnce, outputs: ProgramParameters.outputs,
        example: "shell: |\n  set -e\n  sort input.txt | uniq -c > counts.txt", effect: .runsProgram)
    var type: StepType { ShellStep.table }
    /// The kernel takes no longer text in an environment (MAX_ARG_STRLEN).
    private static let longestValue = (128 << 10) - 256

    func perform(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) -> ValueMap {
        let given = arguments["script"]?.mapValue
        let script = given?.text("script") ?? arguments.text("script")
        let values = given?["values"]?.mapValue ?? [:]
        try ShellStep.check(values)
        let shell = arguments.text("interpreter") == "bash" ? "bash" : "/bin/sh"
        return try ProgramCall("the script", [shell, "-c", script], environment: values, arguments, context)
            .perform(context)
    }

    private static func check(_ values: ValueMap) throws(Failure) {
        for entry in values.entries {
            let bytes = entry.value.text.utf8
            guard bytes.count < longestValue else {
                throw .parameter(
                    "a value in the script has \(bytes.count) bytes; a shell takes at most \(longestValue)",
                    whatToDo: "pass it through `stdin`, or write a file first (write_file)")
            }
            guard !bytes.contains(0) else {
                throw .parameter(
                    "a value in the script holds a NUL byte", whatToDo: "pass it through `stdin`")
            }
        }
    }
}
