// What this is: the step `submit`: another job through the spool, with a run, a queue and limits of its own.
// Owns: its table entry, the ticket of a child, what a child's end means for the step.
// Never: drops a child twice, whatever crashed; holds a slot while it waits for it.
// On failure: E-CHILD when the child did not succeed, E-CHILD-JOB when it is no valid job, E-CHILD-DEPTH.
import JobModel
import LinuxSystem

struct SubmitStep: StepAction {
    let jobs: JobPorts
    static let table = StepType(
        "submit", "Drops another job, and may wait for its end without holding a slot.",
        parameters: [
            Parameter("template", .text, "a template of the site"),
            Parameter("job", .literal, "the job itself, in place of `template`; its {{ }} are its own"),
            Parameter("variables", .map, default: .map([:]), "its variables"),
            Parameter("queue", .text, "its queue; that of the job, else `default`"),
            Parameter("priority", .integer, range: 1...9, "1 (most urgent) to 9"),
            Parameter("name", .text, "its name"),
            Parameter(
                "wait", .flag, default: .bool(false), "wait for its end; this step then ends as it did"),
            Parameter("within", .span, "with wait: so long, then the step fails and the job goes on"),
            Parameter(
                "on_cancel", .choice(["cancel", "leave"]), default: .string("cancel"),
                "with wait: what becomes of it when this run is cancelled"),
        ],
        outputs: [
            ("ticket", "its ticket: show, log, wait and cancel take it"), ("path", "where it was dropped"),
            ("run", "with wait: its run"), ("state", "with wait: how it ended"),
            ("outputs", "with wait: its outputs"),
        ],
        example: "submit: {template: important_task.yaml, variables: {target: staging}, wait: true}",
        effect: .startsJob
    ).inside
    var type: StepType { SubmitStep.table }

    func perform(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) -> ValueMap {
        let ticket = Self.ticket(context)
        var outputs = context.before ?? [:]
        var found: JobFound?
        do throws(Failure) { found = try look(ticket, context) } catch {
            try callBack(ticket, nil, error, arguments, context)
            // Nobody can look just now: that is no end of what goes on.
            guard context.before != nil, error.retry == .transient else { throw error }
            context.suspend(.child, until: Timestamp(nanoseconds: Clocks.wall).adding(.seconds(5)))
            return outputs
        }
        do throws(Failure) { try context.checkpoint() } catch {
            try callBack(ticket, found, error, arguments, context)
            throw error
        }
        if found == nil {
            let drop = JobDrop(job: try job(arguments, context), ticket: ticket, stem: stem(arguments))
            outputs["path"] = .string(try jobs.drop(context.baseDirectory, drop))
            try context.log("dropped \(outputs.text("path"))")
        }
        outputs["ticket"] = .string(ticket)
        guard arguments.flag("wait") else { return outputs }
        outputs["run"] = found?.run.map(Value.string)
        outputs["on_cancel"] = nil
        switch found?.state ?? .waiting {
        case .waiting, .running:
            let end = try patience(arguments, ticket, context)
            // The run may end for another reason while it waits; whoever ends it finds here what is to become of this.
            outputs["on_cancel"] = arguments["on_cancel"]
            context.suspend(.child, until: end)
            return outputs
        case .ended(let state):
            outputs["state"] = .string(state.rawValue)
            outputs["outputs"] = .map(found?.outputs ?? [:])
            guard state.isGood else { throw ended(ticket, found, state.rawValue) }
            return try outputs.withinLimit(instead: "let the job write a file, and hand on its name")
        case .rejected: throw ended(ticket, found, "rejected")
        }
    }

    /// What was dropped ends with this step, where its time is over or the run is cancelled.
    private func callBack(
        _ ticket: String, _ found: JobFound?, _ error: Failure, _ arguments: ValueMap,
        _ context: any StepContext
    ) throws(Failure) {
        guard error.kind == .cancelled || error.kind == .timedOut, arguments.text("on_cancel") == "cancel",
            found?.isOpen ?? (context.before != nil)
        else { return }
        try jobs.cancel(context.baseDirectory, ticket)
    }

    /// The child as it is; nil where it has still to be dropped.
    private func look(_ ticket: String, _ context: any StepContext) throws(Failure) -> JobFound? {
        let wasDropped = context.before != nil
        for _ in 0..<3 {
            if let found = try jobs.find(context.baseDirectory, ticket, context.runID, wasDropped) {
                return found
            }
            guard wasDropped else { return nil }
            // It is between two directories just now, or was taken away.
            try context.pause(.milliseconds(300))
        }
        throw Failure(
            "E-CHILD", "job \(ticket) is nowhere in the spool any more",
            whatToDo: "somebody removed or renamed it; drop it again by hand, or retry this run")
    }

    private func patience(_ arguments: ValueMap, _ ticket: String, _ context: any StepContext) throws(Failure)
        -> Timestamp?
    {
        guard arguments["within"]?.isNull == false else { return nil }
        let end = context.began.adding(arguments.span("within"))
        guard end > Timestamp(nanoseconds: Clocks.wall) else {
            throw Failure(
                "E-TIMEOUT", "job \(ticket) had not ended after \(arguments.span("within").text)",
                whatToDo: "bobbin show \(ticket); it goes on by itself", kind: .timedOut, retry: .permanent)
        }
        return end
    }

    private func ended(_ ticket: String, _ found: JobFound?, _ state: String) -> Failure {
        let why = found?.failure.map { ": \($0.message) [\($0.code)]" } ?? ""
        return Failure(
            "E-CHILD", "job \(found?.run ?? ticket) ended \(state)\(why)",
            whatToDo: "bobbin show \(found?.run ?? ticket)",
            // It had the retries of its own queue.
            retry: .permanent)
    }

    /// The same for every start of this try of the step, so that no crash makes two jobs of one.
    static func ticket(_ context: any StepContext) -> String {
        let digest = RunningSum.sha256(Array("\(context.idempotencyKey) child \(context.effort)".utf8))
        let bits = UInt64(digest.prefix(16), radix: 16) ?? 0
        let high = UInt16(digest.dropFirst(16).prefix(4), radix: 16) ?? 0
        var maker = RunIDMaker()
        return maker.next(now: context.runID.time, random: (high, bits)).text
    }

    private func stem(_ arguments: ValueMap) -> String {
        let text = arguments.optionalText("name") ?? arguments.optionalText("template") ?? "job"
        let last = text.parts(at: "/").last ?? text
        return String((last.parts(at: ".").first ?? "job").prefix(80))
    }

    private func job(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) -> ValueMap {
        var job: ValueMap = ["dsl_version": "1.1"]
        switch (arguments.optionalText("template"), arguments["job"]?.mapValue) {
        case (let template?, nil): job["template"] = .string(template)
        case (nil, let given?): job.merge(given)
        default: throw .parameter("`submit` needs `template` or `job`, one of them")
        }
        let depth = (context.terms.parent?.depth ?? 0) + 1
        guard depth <= Limits.submitDepth else {
            throw Failure(
                "E-CHILD-DEPTH", "jobs submit each other more than \(Limits.submitDepth) deep",
                whatToDo: "look for a job that submits itself", retry: .never)
        }
        let variables = arguments["variables"]?.mapValue ?? [:]
        if !variables.isEmpty {
            var all = job["variables"]?.mapValue ?? [:]
            all.merge(variables)
            job["variables"] = .map(all)
        }
        for key in ["queue", "priority", "name"] {
            if let value = arguments[key], !value.isNull { job[key] = value }
        }
        job["parent"] = .map([
            "run": .string(context.runID.text),
            "step": .string(RunFile.label(context).replacing("step-", with: "")),
            "depth": .int(depth), "waits": .bool(arguments.flag("wait")),
        ])
        return job
    }
}

extension JobFound {
    fileprivate var isOpen: Bool {
        switch state {
        case .waiting, .running: true
        case .ended, .rejected: false
        }
    }
}
