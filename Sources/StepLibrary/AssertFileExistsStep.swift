// What this is: the step `assert_file_exists`.
// Owns: its table entry and E-ASSERT-FILE.
// Never: opens the file; a link counts as what it leads to.
// On failure: E-ASSERT-FILE says what is there instead; only the job's own `retry:` asks again.
import JobModel
import LinuxSystem

struct AssertFileExistsStep: StepAction {
    static let table = StepType(
        "assert_file_exists", "Fails unless the file is there.",
        parameters: [
            Parameter("path", .text, required: true, "the file or directory"),
            Parameter(
                "kind", .choice(["file", "directory", "any"]), default: .string("file"), "what it must be"),
            Parameter("min_bytes", .size, default: .int(0), "the least size of a file"),
        ],
        shorthand: "path",
        outputs: [("path", "the absolute path"), ("bytes", "its size"), ("kind", "file or directory")]
            + Verification.outputs,
        example: "assert_file_exists: {path: out/report.pdf, min_bytes: 1KiB}")
    var type: StepType { AssertFileExistsStep.table }

    func perform(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) -> ValueMap {
        // One look: what should be there by now and is not is for the job's own `retry:`.
        try Verification.perform(retryAfter: .zero, context) { () throws(Failure) in
            try look(arguments, context)
        }
    }

    private func look(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) -> (
        message: String, outputs: ValueMap
    ) {
        let path = try SitePath(arguments.text("path"), context)
        let status: FileStatus
        do { status = try FileStatus.following(path.absolute) } catch {
            guard error.isMissing else { throw Failure(cannot: "look at \(path.absolute)", error) }
            throw refusal("\(path.absolute) is not there")
        }
        let wanted = arguments.text("kind")
        guard wanted == "any" || wanted == status.kindName else {
            throw refusal("\(path.absolute) is a \(status.kindName), not a \(wanted)")
        }
        let least = arguments.bytes("min_bytes")
        guard status.kind != .regular || status.size >= least else {
            throw refusal("\(path.absolute) has \(status.size) bytes; at least \(least) were expected")
        }
        return (
            "\(path.absolute) is there",
            ["path": .string(path.absolute), "bytes": .int(status.size), "kind": .string(status.kindName)]
        )
    }

    private func refusal(_ message: String) -> Failure {
        Failure("E-ASSERT-FILE", message, whatToDo: "look at the step that should have made it")
    }
}
