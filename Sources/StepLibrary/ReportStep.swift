// What this is: the step `report`: the site's report of a stretch of time, as a file or as a text for later steps.
// Owns: its table entry; the writing of the file.
// Never: counts (the reporter does, through a port); tells somebody else's step what only the site's own account may read.
// On failure: E-REPORT where there is no history to report from; the old file stays.
import JobModel
import LinuxSystem

/// What a step asks of the reporter.
public struct ReportRequest: Sendable {
    public var site: String
    public var format: String
    public var since: Span
    /// nil: until now.
    public var until: Timestamp?
}

public struct ReportAnswer: Sendable {
    public var text: String
    /// The most asked for of its numbers, by name.
    public var numbers: ValueMap
    public init(text: String, numbers: ValueMap) {
        self.text = text
        self.numbers = numbers
    }
}

struct ReportStep: StepAction {
    static let table = StepType(
        "report", "Makes the site's report: what ran, what failed and why, what needs a person.",
        parameters: [
            Parameter("format", .choice(["md", "html", "json"]), default: .string("md"), "in which form"),
            Parameter("since", .span, default: .string("24h"), "of how long"),
            Parameter("until", .text, "the instant at which that ends; absent: now"),
            Parameter("to", .text, "the file to write; absent: only the outputs"),
            Parameter("create_dest", .flag, default: .bool(true), "make the directory where it is missing"),
        ],
        outputs: [
            ("text", "the report (`md` only)"), ("path", "the file, where one was written"),
            ("runs", "runs that ended"), ("failed", "of these, how many failed"),
            ("success_rate", "0 to 1; null where nothing ran"),
            ("needs", "how many things need a person"), ("alerts", "how many alerts fire"),
        ],
        example: "report: {since: 24h, to: reports/mine/yesterday.md}", effect: .writesFiles)
    var type: StepType { ReportStep.table }
    let report: @Sendable (ReportRequest) throws(Failure) -> ReportAnswer

    func perform(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) -> ValueMap {
        try context.checkIsSiteOwn("a report tells of everybody's runs")
        let format = arguments.text("format")
        let since = arguments.span("since")
        guard (Span.seconds(60)...Span.seconds(400 * 86_400)).contains(since) else {
            throw .parameter("`since` is from a minute to 400 days")
        }
        var request = ReportRequest(site: context.baseDirectory, format: format, since: since, until: nil)
        if let text = arguments.optionalText("until") {
            guard let instant = Timestamp(rfc3339: text) else {
                throw .parameter("`until` must be an instant such as 2026-11-28T06:00:00Z")
            }
            request.until = instant
        }
        let answer = try report(request)
        var outputs = answer.numbers
        if format == "md" { outputs["text"] = .string(answer.text) }
        guard let to = arguments.optionalText("to") else { return outputs }
        let path = try SitePath(to, context).named()
        let directories = try OpenDirectories(context)
        if arguments.flag("create_dest") { _ = try directories.made(path.parent) }
        let directory = try directories.writable(path)
        do throws(SystemError) {
            try AtomicFile.write(
                Array(answer.text.utf8), to: path.name, in: directory, existing: .replace, durable: true)
        } catch { throw Failure(cannot: "write \(path.absolute)", error) }
        outputs["path"] = .string(path.absolute)
        return outputs
    }
}
