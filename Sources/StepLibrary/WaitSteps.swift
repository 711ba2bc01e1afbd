// What this is: the steps `wait_for_file` and `wait_until`.
// Owns: their table entries, E-WAIT-FILE, what counts as a whole file.
// Never: opens the file; keeps the processor busy, or a slot through a long wait for a time.
// On failure: E-WAIT-FILE when `within` is over.
import JobModel
import LinuxSystem

struct WaitForFileStep: StepAction {
    static let table = StepType(
        "wait_for_file", "Waits until a file is there and whole, or gone.",
        parameters: [
            Parameter("path", .text, required: true, "the file"),
            Parameter(
                "state", .choice(["present", "absent"]), default: .string("present"), "what to wait for"),
            Parameter("min_bytes", .size, default: .int(0), "the least size of a file that is there"),
            Parameter(
                "stable_for", .span, default: .string("2s"),
                "so long its size and time must stay as they are; 0s: take it at once"),
            Parameter("within", .span, default: .string("10m"), "then it fails"),
            Parameter("every", .span, default: .string("1s"), "how often it looks"),
        ],
        shorthand: "path",
        outputs: [("path", "the absolute path"), ("bytes", "its size"), ("seconds", "how long it waited")]
            + Verification.outputs,
        example: "wait_for_file: {path: in/ledger.csv, within: 2h}")
    var type: StepType { WaitForFileStep.table }

    func perform(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) -> ValueMap {
        let path = try SitePath(arguments.text("path"), context)
        let began = Clocks.monotonic
        let end = began + arguments.span("within").nanoseconds
        let every = max(arguments.span("every").nanoseconds, 10_000_000)
        var seen: (size: Int, modified: Int64, since: Int64)?
        while true {
            let status = try look(path)
            let now = Clocks.monotonic
            if arguments.text("state") == "absent" {
                if status == nil { return answer("\(path.absolute) is gone", path, nil, began) }
            } else if let status, status.kind == .directory || status.size >= arguments.bytes("min_bytes") {
                if seen?.size != status.size || seen?.modified != status.modified {
                    seen = (status.size, status.modified, now)
                }
                if let seen, now - seen.since >= arguments.span("stable_for").nanoseconds {
                    return answer("\(path.absolute) is there", path, status.size, began)
                }
            } else {
                seen = nil
            }
            guard now < end else { throw late(path, status, arguments) }
            try context.pause(Span(nanoseconds: min(every, end - now)))
        }
    }

    private func look(_ path: SitePath) throws(Failure) -> FileStatus? {
        do { return try FileStatus.following(path.absolute) } catch {
            if error.isMissing { return nil }
            throw Failure(cannot: "look at \(path.absolute)", error)
        }
    }

    private func late(_ path: SitePath, _ status: FileStatus?, _ arguments: ValueMap) -> Failure {
        let span = arguments.span("within").text
        let what =
            arguments.text("state") == "absent"
            ? "is still there" : status == nil ? "did not come" : "is there, but is not whole"
        return Failure(
            "E-WAIT-FILE", "\(path.absolute) \(what) after \(span)",
            whatToDo: "find out who should have seen to it, or raise `within`")
    }

    private func answer(_ message: String, _ path: SitePath, _ bytes: Int?, _ began: Int64) -> ValueMap {
        Verification.answer(
            (
                message,
                [
                    "path": .string(path.absolute), "bytes": bytes.map(Value.int) ?? .null,
                    "seconds": .double(Double(Clocks.monotonic - began) / 1e9),
                ]
            ))
    }
}

struct WaitUntilStep: StepAction {
    let instant: @Sendable (String) -> Timestamp?
    static let table = StepType(
        "wait_until", "Waits until an instant; a long wait holds no slot and outlives a restart.",
        parameters: [
            Parameter(
                "time", .text, required: true,
                "2026-11-21T09:00:00Z, or in the site's zone 2026-11-21 09:00 or 09:00 (the next one)")
        ],
        shorthand: "time", outputs: [("time", "the instant"), ("seconds", "how long it waited")],
        example: "wait_until: \"06:00\""
    ).inside
    var type: StepType { WaitUntilStep.table }
    /// A shorter wait is not worth a park.
    private static let short = Span.seconds(5)

    func perform(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) -> ValueMap {
        try context.checkpoint()
        let text = arguments.text("time")
        // Decided once: the next nine o'clock is another one after it.
        let known = context.before?.optionalText("time").flatMap(Timestamp.init(rfc3339:))
        guard let due = known ?? instant(text) else {
            throw .parameter(
                "`\(text.prefix(80))` is no instant",
                whatToDo: "write 2026-11-21T09:00:00Z, 2026-11-21 09:00 or 09:00")
        }
        let now = Timestamp(nanoseconds: Clocks.wall)
        let left = due.since(now)
        if left > WaitUntilStep.short {
            context.suspend(.scheduled, until: due)
        } else if left > .zero {
            try context.pause(left)
        }
        let waited = Timestamp(nanoseconds: Clocks.wall).since(context.began)
        return ["time": .string(due.rfc3339), "seconds": .double(max(0, waited.inSeconds))]
    }
}
