// What this is: `bobbin journal dump` as text and as JSON.
// Owns: one line a record: place, sequence, run, what happened.
// Never: reads anything; prints what a job printed.
// On failure: nothing here fails.
import JobModel
import RunJournal

enum JournalText {
    static func text(_ runner: String, _ segments: [SegmentDump]) -> String {
        var lines: [String] = []
        for segment in segments {
            let carried = segment.carried.map { ", \($0) carried" } ?? ""
            let trouble = segment.trouble.map { ": \(Terminal.escape($0))" } ?? ""
            lines.append(
                "\(runner)/\(segment.name)  \(segment.records.count) records to byte \(segment.end) of \(segment.bytes)\(carried)\(trouble)"
            )
            lines += segment.records.map {
                "  \($0.offset)  #\($0.sequence)  synced to #\($0.durable)  \($0.run)  \(Terminal.escape(words($0.event)))"
            }
        }
        return lines.joined(separator: "\n")
    }

    static func value(_ runner: String, _ segments: [SegmentDump]) -> Value {
        .list(
            segments.map { segment in
                .map([
                    "runner": .string(runner), "segment": .string(segment.name), "bytes": .int(segment.bytes),
                    "carried": segment.carried.map { .int(Int(clamping: $0)) } ?? .null,
                    "end": .int(segment.end), "trouble": segment.trouble.map(Value.string) ?? .null,
                    "records": .list(
                        segment.records.map {
                            .map([
                                "offset": .int($0.offset), "sequence": .int(Int(clamping: $0.sequence)),
                                "synced_to": .int(Int(clamping: $0.durable)), "run": .string($0.run.text),
                                "event": .string(words($0.event)),
                            ])
                        }),
                ])
            })
    }

    private static func words(_ event: ApprovalEvent) -> String {
        switch event {
        case .asked(_, let until): "asked, until \(until.rfc3339)"
        case .decided(let decision): "\(decision.verdict.rawValue) by \(decision.by.name)"
        case .expired: "time is over"
        case .reminded: "reminded"
        case .escalated: "escalated"
        }
    }

    private static func words(_ event: RunEvent) -> String {
        switch event {
        case .accepted(let acceptance):
            "accepted \(acceptance.dropName) in \(acceptance.queue)/\(acceptance.priority.directory), \(acceptance.snapshot.count) bytes"
        case .stepStarted(let step): "step \(step.label) started, attempt \(step.attempt) (\(step.type))"
        case .approval(let place, _, let event): "step \(place.text): \(words(event))"
        case .mainEnded(let failure): "steps over\(failure.map { " [\($0.code)]" } ?? "")"
        case .stepEnded(let step):
            "step \(step.label) \(step.state.rawValue)\(step.failure.map { " [\($0.code)]" } ?? "")"
        case .parked(let wait):
            "parked: \(wait.reason.rawValue)\(wait.until.map { " until \($0.rfc3339)" } ?? "")"
        case .resumed: "resumed"
        case .resolved(let answer, _): "resolved: \(answer.rawValue)"
        case .ended(let state, _, let failure, _, let result):
            "ended \(state.rawValue)\(failure.map { " [\($0.code)]" } ?? ""), result of \(result.count) bytes"
        case .retired: "retired"
        case .carried(let record): "carried over: \(record.state.text), \(record.steps.count) step records"
        }
    }
}
