// What this is: the steps that hold others: steps, parallel, foreach, repeat, call.
// Owns: their table entries, and what of them is known when they begin: the items, the count, the names.
// Never: runs the steps inside; the engine does.
// On failure: E-ROUNDS for more rounds than the limit, E-STEP-PARAM for numbers out of their range.
import JobModel

struct GroupStep: StepAction {
    static let table = StepType(
        "steps", "Runs steps one after the other, as one step.",
        parameters: [Parameter("steps", .steps, required: true, "the steps")],
        shorthand: "steps", example: "steps: [{shell: make}, {shell: make check}]", control: .group
    ).inside
    var type: StepType { GroupStep.table }
    func perform(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) -> ValueMap { [:] }
}

struct ParallelStep: StepAction {
    static let table = StepType(
        "parallel", "Runs steps side by side, at most `max_parallel` of the job at one time.",
        parameters: [
            Parameter(
                "steps", .steps, required: true, "the branches; `- steps: […]` for one of several steps")
        ],
        shorthand: "steps", example: "parallel: [{shell: ./fetch a}, {shell: ./fetch b}]", control: .parallel
    ).inside
    var type: StepType { ParallelStep.table }
    func perform(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) -> ValueMap { [:] }
}

struct ForeachStep: StepAction {
    private static let standardLimit = 1000
    static let table = StepType(
        "foreach", "Runs its steps once for each item of a list.",
        parameters: [
            Parameter(
                "items", .items, required: true, "a list, or a map, whose entries have `key` and `value`"),
            Parameter("steps", .steps, required: true, "what is done with each"),
            Parameter("as", .text, default: .string("item"), "the name under which the steps see it"),
            Parameter(
                "concurrency", .integer, default: .int(1), range: 1...Limits.mostParallelSteps,
                "rounds at one time, 1 to \(Limits.mostParallelSteps)"),
            Parameter(
                "limit", .integer, default: .int(standardLimit), range: 1...Limits.rounds,
                "more items than this are a mistake; \(Limits.rounds) at most"),
            Parameter(
                "continue_on_error", .flag, default: .bool(false),
                "a round that fails leaves the others their turn; the step fails at the end"),
            Parameter("collect", .roundValue, "kept of each round, as it is at its end, in `results`"),
        ],
        outputs: [
            ("count", "items"), ("succeeded", "rounds that did"), ("failed", "rounds that did not"),
            ("results", "`collect` of each round, null for those that failed; only with `collect`"),
            ("failures", "round, item, code, message and step of the first 20 that failed"),
        ],
        example: "foreach: {items: [north, south], as: site, steps: [{log: \"{{ site }}\"}]}",
        control: .foreach
    ).inside
    var type: StepType { ForeachStep.table }

    func perform(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) -> ValueMap {
        let items =
            arguments["items"]?.listValue
            ?? (arguments["items"]?.mapValue?.entries ?? []).map {
                .map(["key": .string($0.key), "value": $0.value])
            }
        let limit = arguments["limit"]?.intValue ?? ForeachStep.standardLimit
        guard items.count <= limit else {
            throw Failure(
                "E-ROUNDS", "there are \(items.count) items, and the limit is \(limit)",
                whatToDo:
                    "Raise `limit:` if so many are meant (\(Limits.rounds) at most), or narrow the list.",
                retry: .never)
        }
        let concurrency = arguments["concurrency"]?.intValue ?? 1
        let plan: ValueMap = [
            "items": .list(items), "as": .string(try RoundName.checked(arguments.text("as"))),
            "concurrency": .int(concurrency),
            "continue_on_error": arguments["continue_on_error"] ?? .bool(false),
        ]
        return try plan.withinLimit(instead: "loop over names or numbers, and look the rest up inside")
    }
}

struct RepeatStep: StepAction {
    static let table = StepType(
        "repeat", "Runs its steps again and again, so many times or until a condition holds.",
        parameters: [
            Parameter(
                "count", .integer, range: 0...Limits.rounds,
                "rounds, or the most of them; without it \(Limits.rounds)"),
            Parameter("steps", .steps, required: true, "what is done in each round"),
            Parameter(
                "until", .roundCondition,
                "asked after each round; not to have held after the last is a failure"),
            Parameter("delay", .span, "between two rounds"),
            Parameter(
                "loop_index", .text, default: .string("loop_index"),
                "the name under which the steps see the number of their round, from 0"),
            Parameter("collect", .roundValue, "kept of each round, as it is at its end, in `results`"),
        ],
        outputs: [
            ("count", "rounds"), ("results", "`collect` of each round; only with `collect`"),
        ],
        example: "repeat: {count: 3, steps: [{log: \"round {{ loop.number }}\"}]}", control: .repeated
    ).inside
    var type: StepType { RepeatStep.table }

    func perform(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) -> ValueMap {
        let hasEnd = arguments["until"].map { !$0.isNull } ?? false
        guard let count = arguments["count"]?.intValue ?? (hasEnd ? Limits.rounds : nil) else {
            throw .parameter("`repeat` needs `count`, `until`, or both")
        }
        var plan: ValueMap = [
            "count": .int(count), "as": .string(try RoundName.checked(arguments.text("loop_index"))),
            "until": .bool(hasEnd),
        ]
        if let delay = arguments["delay"], !delay.isNull { plan["delay"] = delay }
        return plan
    }
}

struct CallStep: StepAction {
    static let table = StepType(
        "call", "Runs the steps of a template, in this run.",
        parameters: [
            Parameter("template", .text, required: true, "a file below templates/; a plain name"),
            Parameter("variables", .map, default: .map([:]), "what its parameters are to be"),
        ],
        shorthand: "template", outputs: [("<name>", "each of the template's `outputs`")],
        example: "call: {template: deploy.yaml, variables: {target: staging}}", control: .call
    ).inside
    var type: StepType { CallStep.table }
    func perform(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) -> ValueMap { [:] }
}

private enum RoundName {
    static func checked(_ name: String) throws(Failure) -> String {
        let isName =
            !name.isEmpty
            && name.utf8.enumerated().allSatisfy { index, byte in
                byte == 0x5F || (0x61...0x7A).contains(byte | 0x20)
                    || index > 0 && (0x30...0x39).contains(byte)
            }
        guard isName else {
            throw .parameter(
                "`\(name)` cannot be a name", whatToDo: "letters, digits and _, not a digit first")
        }
        return name
    }
}
