// What this is: the step `run`: one program with exactly these arguments, no shell.
// Owns: its table entry and the list of arguments.
// Never: splits, expands or interprets a text.
// On failure: E-EXIT, E-SIGNAL; what cannot be started is the context's E-EXEC.
import JobModel

struct RunStep: StepAction {
    static let table = StepType(
        "run", "Runs a program without a shell; every item of the list is one argument.",
        parameters: [Parameter("argv", .texts, required: true, "the program and its arguments")]
            + ProgramParameters.list,
        shorthand: "argv", retryClass: .atMostOnce, outputs: ProgramParameters.outputs,
        example: "run: [rsync, -a, /srv/in/, /srv/out/]", effect: .runsProgram)
    var type: StepType { RunStep.table }

    func perform(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) -> ValueMap {
        let argv = arguments.texts("argv")
        guard let program = argv.first, !program.isEmpty else {
            throw .parameter("`run` names no program", whatToDo: "write run: [program, argument, …]")
        }
        return try ProgramCall(program, argv, arguments, context).perform(context)
    }
}
