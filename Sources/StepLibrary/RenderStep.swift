// What this is: the step `render`: a text template to a file.
// Owns: its table entry.
// Never: lets the template see more than `values`; runs it as anything but text.
// On failure: the code of the expression that failed, with template, line and column; the old file is still there.
import JobModel
import LinuxSystem

struct RenderStep: StepAction {
    let render: @Sendable (_ text: String, _ name: String, _ values: ValueMap) throws(Failure) -> String
    static let table = StepType(
        "render", "Fills a text template and writes it to a file.",
        parameters: [
            Parameter("template", .text, required: true, "a text file with {{ expressions }}"),
            Parameter("dest", .text, required: true, "the file to write"),
            Parameter("values", .map, default: .map([:]), "what the expressions see, by name"),
            Parameter("mode", .text, default: .string("0644"), "permissions of a new file, octal"),
            Parameter(
                "collision", .choice(["overwrite", "fail"]), default: .string("overwrite"),
                "when `dest` exists already"),
        ],
        outputs: [
            ("path", "the absolute path"), ("bytes", "how much was written"),
            ("sha256", "the checksum of what was written"),
        ],
        example: "render: {template: templates/texts/letter.txt, dest: out/letter.txt, values: {name: Ada}}",
        effect: .writesFiles)
    var type: StepType { RenderStep.table }

    func perform(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) -> ValueMap {
        let path = try SitePath(arguments.text("template"), context)
        let text = try ReadFileStep.text(
            of: path, limit: 1 << 20, advice: "a template has at most 1 MiB; let a program fill a larger one",
            context)
        let whole = try render(text, path.absolute, arguments["values"]?.mapValue ?? [:])
        var writing = arguments
        writing["path"] = .string(arguments.text("dest"))
        writing["content"] = .string(whole)
        return try WriteFileStep().perform(WriteFileStep.table.bind(writing), context)
    }
}
