// What this is: the step `step_program`: an executable of the site as a step type (templates/steps/<name>).
// Owns: the conversation: one JSON object in, lines of progress and one JSON object of outputs out.
// Never: is written by hand: a manifest `program:` makes it.
// On failure: what the program says in `error`, else its exit code as for `run`.
import JobModel
import LinuxSystem

struct ProgramStep: StepAction {
    static let folder = "templates/steps"
    static let table = StepType(
        "step_program",
        "Runs an executable of templates/steps/ that speaks JSON; a manifest's `program:` stands for it.",
        parameters: [
            Parameter("program", .text, required: true, "its name in templates/steps/"),
            Parameter("input", .map, default: .map([:]), "what it gets as `params`").takingSecrets,
        ],
        retryClass: .atMostOnce, outputs: [("<name>", "each value of the object it prints")],
        example: "step_program: {program: thumbnail, input: {path: in/a.png}}", effect: .runsProgram)
    var type: StepType { ProgramStep.table }

    func perform(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) -> ValueMap {
        let name = arguments.text("program")
        let isPlain = !name.isEmpty && !name.begins(with: ".") && !name.has("/") && !name.utf8.contains(0)
        let path = "\(context.baseDirectory)/\(ProgramStep.folder)/\(name)"
        guard isPlain, Host.isExecutable(path) else {
            throw Failure(
                "E-EXEC", "\(ProgramStep.folder)/\(name.prefix(80)) is no executable",
                whatToDo: "put the program there, and: chmod +x", retry: .never)
        }
        var request = ProcessRequest([path], captureLimit: Limits.outputBytes)
        request.workingDirectory = context.baseDirectory
        let message: ValueMap = [
            "params": arguments["input"] ?? .map([:]), "run": .string(context.runID.text),
            "key": .string(context.idempotencyKey), "attempt": .int(context.attempt),
            "rerun": .bool(context.isRerun), "site": .string(context.baseDirectory),
        ]
        request.input = Array((JSONText.write(.map(message)) + "\n").utf8)
        let ending = try context.run(request)
        let answer = ProgramStep.answer(ending)
        if let told = answer { try ProgramStep.refuse(told, ending) }
        guard ending.exit == .code(0) else { throw ProgramStep.exited(name, ending) }
        guard !ending.isCut, let outputs = answer else {
            throw Failure(
                "E-PROGRAM", "\(name) printed no JSON object as its last line",
                whatToDo: "print its outputs as one line of JSON at the end; {} where there are none",
                retry: .never)
        }
        return try outputs.withinLimit(instead: "let the program write a file")
    }

    /// Throws what the program says went wrong.
    private static func refuse(_ answer: ValueMap, _ ending: ProcessEnding) throws(Failure) {
        guard let error = answer["error"] else { return }
        var told = ValueMap()
        if let map = error.mapValue { told = map } else { told["message"] = .string(error.text) }
        var failure = Failure(
            "E-PROGRAM", "the program failed", whatToDo: "see the step's log", retry: .transient)
        if let code = told["code"]?.stringValue { failure.code = code }
        if let message = told["message"]?.text { failure.message = message }
        if let advice = told["what_to_do"]?.text { failure.whatToDo = advice }
        if let retry = told["retry"]?.stringValue.flatMap(Failure.Retry.init) { failure.retry = retry }
        failure.exitCode = code(ending)
        throw failure
    }
    private static func exited(_ name: String, _ ending: ProcessEnding) -> Failure {
        let last = ending.lastErrorLine.map { ": \($0)" } ?? ""
        let number = code(ending)
        return Failure(
            "E-EXIT", "\(name) exited with \(number.map(String.init) ?? "a signal")\(last)",
            whatToDo: "see the step's log", retry: .transient, exitCode: number)
    }

    private static func code(_ ending: ProcessEnding) -> Int? {
        if case .code(let code) = ending.exit { code } else { nil }
    }

    /// The last line that is an object and no progress; all lines are in the log.
    private static func answer(_ ending: ProcessEnding) -> ValueMap? {
        for line in TextLines.split(ending.stdoutText).reversed() where !line.trimmed.isEmpty {
            // What is no JSON was meant for people.
            guard let map = try? JSONReader.read(Array(line.utf8)).mapValue else { return nil }
            if map["progress"] == nil { return map }
        }
        return nil
    }
}
