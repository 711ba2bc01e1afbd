// What this is: the steps `notify` and `log_event`: telling people and logs that something happened.
// Owns: their table entries; the form in which a notifier gets its message.
// Never: knows how anybody is reached: the executables in ops/notify.d/ do.
// On failure: E-NOTIFY when there is no such notifier, or when it fails.
import JobModel
import LinuxSystem

struct NotifyStep: StepAction {
    static let folder = "ops/notify.d"
    static let table = StepType(
        "notify",
        "Tells somebody: runs the site's notifier of that name with the message on its standard input.",
        parameters: [
            Parameter("to", .texts, required: true, "names of executables in ops/notify.d/"),
            Parameter("message", .any, required: true, "what to say; a list or map is sent as JSON"),
            Parameter("title", .text, "a short headline"),
            Parameter(
                "level", .choice(["info", "warn", "error"]), default: .string("info"), "how urgent it is"),
            Parameter("details", .map, default: .map([:]), "more, by name"),
        ],
        retryClass: .atMostOnce, outputs: [("notified", "the names")],
        example: "notify: {to: ops, message: \"{{ steps.found.count }} files wait\"}", effect: .sendsData)
    var type: StepType { NotifyStep.table }

    func perform(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) -> ValueMap {
        let names = arguments.texts("to")
        guard !names.isEmpty else { throw .parameter("`to` names nobody") }
        // All are looked for first: nobody is told half of it.
        var programs: [(name: String, path: String)] = []
        for name in names { programs.append((name, try program(name, context))) }
        let message: ValueMap = [
            "run": .string(context.runID.text), "key": .string(context.idempotencyKey),
            "title": arguments["title"] ?? .null, "message": .string(arguments["message"]?.text ?? ""),
            "level": .string(arguments.text("level")), "details": arguments["details"] ?? .map([:]),
        ]
        for (name, path) in programs {
            var request = ProcessRequest([path])
            request.input = Array((JSONText.write(.map(message)) + "\n").utf8)
            request.workingDirectory = context.baseDirectory
            let ending = try context.run(request)
            guard ending.exit == .code(0) else {
                throw Failure(
                    "E-NOTIFY",
                    "the notifier `\(name)` failed\(ending.lastErrorLine.map { ": \($0)" } ?? "")",
                    whatToDo: "see the step's log; try it by hand: echo '{}' | \(path)", retry: .transient)
            }
        }
        return ["notified": .texts(names)]
    }

    private func program(_ name: String, _ context: any StepContext) throws(Failure) -> String {
        let isPlain =
            !name.isEmpty && !name.hasPrefix(".") && name.utf8.count <= 64
            && name.utf8.allSatisfy {
                (0x30...0x39).contains($0) || (0x61...0x7A).contains($0 | 0x20) || "._-".utf8.contains($0)
            }
        let path = "\(context.baseDirectory)/\(NotifyStep.folder)/\(name)"
        guard isPlain, Host.isExecutable(path) else {
            throw Failure(
                "E-NOTIFY", "there is no notifier `\(name.prefix(64))`",
                whatToDo:
                    "put an executable into \(NotifyStep.folder)/ that reads one line of JSON; see docs/STEPS.md",
                retry: .never)
        }
        return path
    }
}

struct LogEventStep: StepAction {
    static let table = StepType(
        "log_event", "Writes an event to the log of the run, as one line of JSON.",
        parameters: [
            Parameter("message", .any, required: true, "what happened"),
            Parameter(
                "level", .choice(["debug", "info", "warn", "warning", "error", "critical"]),
                default: .string("info"), "how grave it is"),
            Parameter("details", .any, "more, of any kind"),
        ],
        shorthand: "message", outputs: [("message", "the text"), ("level", "as given")],
        example: "log_event: {level: warn, message: disk nearly full, details: {used: 0.93}}"
    ).inside
    var type: StepType { LogEventStep.table }

    func perform(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) -> ValueMap {
        let message = arguments["message"]?.text ?? ""
        var event: ValueMap = [
            "time": .string(Timestamp(nanoseconds: Clocks.wall).rfc3339),
            "level": .string(arguments.text("level")), "message": .string(message),
        ]
        if let details = arguments["details"], !details.isNull { event["details"] = details }
        try context.log(JSONText.write(.map(event)))
        return ["message": .string(message), "level": .string(arguments.text("level"))]
    }
}
