// What this is: `bobbin status` as text and as JSON.
// Owns: what comes first: is anybody working, is anything wrong, then the numbers.
// Never: reads anything.
// On failure: nothing here fails.
import BobbinDaemon
import JobModel

enum StatusText {
    static func text(_ view: SiteView) -> String {
        var lines = view.runners.map { runner in
            runner.isAlive
                ? "runner \(runner.name): working\(runner.isLeader ? ", leading" : "") (\(Terminal.escape(runner.detail)))"
                : Terminal.paint("runner \(runner.name): stopped", .dim)
        }
        for case (let name, let why?) in view.runners.map({ ($0.name, $0.stopped) }) {
            lines.append(
                Terminal.paint(
                    "runner \(name) begins nothing new: \(Terminal.escape(why)); it goes on by itself when that is over",
                    .red))
        }
        for case (let name, let why?) in view.runners.map({ ($0.name, $0.silent) }) {
            lines.append(Terminal.paint("runner \(name) gives no sign of life: \(why)", .red))
        }
        if !view.isAnyoneWorking {
            lines.append(Terminal.paint("nobody is working: start with `bobbin up`", .yellow))
        }
        if view.isDraining { lines.append(Terminal.paint("draining: nothing new starts", .yellow)) }
        if view.isDiskFull, !view.runners.contains(where: { $0.stopped != nil }) {
            lines.append(
                Terminal.paint("the disk is full: drops stay where they are until there is room", .red))
        }
        if let why = view.scarcity {
            lines.append(
                Terminal.paint(
                    "\(why): runs go one at a time. Make room: bobbin prune; bobbin backup prune", .yellow))
        }
        for name in view.leftovers {
            lines.append(
                Terminal.paint(
                    "\(name)/ was left by a restore that was killed: nothing uses it, and the next restore removes it",
                    .yellow))
        }
        for problem in view.troubledFiles {
            lines.append(
                Terminal.paint(
                    "errors in a file: until they are mended, what held before holds for who runs already, and nothing of it for who starts anew:",
                    .red))
            lines += problem.split(separator: "\n").map { Terminal.escape(String($0)) }
        }
        if view.isUnserved, view.isAnyoneWorking {
            lines.append(Terminal.paint("nobody serves the schedules: that does `bobbin up`", .yellow))
        }
        lines += ["", queues(view), "", today(view)]
        if !view.triggerTroubles.isEmpty {
            lines += ["", "triggers in trouble:"] + view.triggerTroubles.map { "  " + Terminal.escape($0) }
        }
        if !view.schedules.isEmpty { lines += ["", "next by the clock:", schedules(view.schedules)] }
        let running = view.live.filter { if case .waiting = $0.state { false } else { $0.finalState == nil } }
        if !running.isEmpty { lines += ["", "running:", runs(running)] }
        let waiting = view.live.filter { if case .waiting = $0.state { true } else { false } }
        if !waiting.isEmpty { lines += ["", "waiting:", runs(waiting)] }
        let down = view.targets.filter { $0.state.failures > 0 || $0.state.openUntil != nil }
        if !down.isEmpty { lines += ["", "services in trouble:", targets(down, most: 20)] }
        if !view.arriving.isEmpty { lines += ["", "arriving, not whole yet:", arriving(view.arriving)] }
        return lines.joined(separator: "\n")
    }

    private static func schedules(_ rows: [ScheduleView.Row]) -> String {
        Terminal.table(
            rows.prefix(5).map { row in
                [
                    row.schedule.id, ScheduleText.next(row),
                    row.trouble.map { "its job would be sent back: \(Terminal.escape($0))" } ?? "",
                ]
            }, indent: "  ") + (rows.count > 5 ? "\n  … and \(rows.count - 5) more: bobbin schedule ls" : "")
    }
    private static func arriving(_ rows: [SiteView.ArrivingRow]) -> String {
        Terminal.table(
            rows.prefix(20).map {
                [Terminal.escape($0.file), $0.why, "for \(Terminal.age(Terminal.now.since($0.changed)))"]
            }, indent: "  ") + (rows.count > 20 ? "\n  … and \(rows.count - 20) more" : "")
    }

    private static func queues(_ view: SiteView) -> String {
        let levels = 9
        var rows = [["queue"] + (1...levels).map { "p\($0)" } + ["running", "parked", "oldest"]]
        for row in view.queues {
            var cells = [row.policy.name.text + (row.isPaused ? " (paused)" : "")]
            for level in 0..<levels {
                let count = row.waiting.indices.contains(level) ? row.waiting[level] : -1
                cells.append(count < 0 ? "" : count == 0 ? "·" : String(count))
            }
            cells.append("\(row.running)/\(row.policy.maxConcurrent)")
            let parked = Wait.Reason.allCases.compactMap { reason in
                row.parked[reason].map { "\($0) \(reason.rawValue)" }
            }
            cells.append(parked.isEmpty ? "·" : parked.joined(separator: ", "))
            cells.append(row.oldest.map { Terminal.age(Terminal.now.since($0)) } ?? "·")
            rows.append(cells)
        }
        return Terminal.table(rows)
    }

    private static func today(_ view: SiteView) -> String {
        var parts = ["today: \(view.doneToday) succeeded", "\(view.failedToday) not"]
        if view.rejected > 0 { parts.append("\(view.rejected) in rejected/") }
        if view.inbox > 0 { parts.append("\(view.inbox) in inbox/") }
        return parts.joined(separator: ", ")
    }

    private static func runs(_ records: [RunRecord]) -> String {
        Terminal.table(
            records.prefix(20).map { run in
                let open = run.openSteps
                let others = open.count > 1 ? ", and \(open.count - 1) beside it" : ""
                var what =
                    open.first.map {
                        "step \($0.label) \(Terminal.escape($0.title)), \(Terminal.age(Terminal.now.since($0.startedAt)))\(others)"
                    } ?? run.state.text
                if case .waiting(let wait) = run.state {
                    what =
                        wait.until.map {
                            "\(wait.reason.rawValue), due in \(Terminal.age($0.since(Terminal.now)))"
                        } ?? wait.reason.rawValue
                }
                return [
                    run.id.text, run.acceptance.queue.text, Terminal.escape(run.acceptance.jobName), what,
                ]
            }, indent: "  ") + (records.count > 20 ? "\n  … and \(records.count - 20) more" : "")
    }

    static func targets(_ rows: [(target: String, state: TargetState)], most: Int = .max) -> String {
        Terminal.table(
            rows.prefix(most).map { row in
                let state = row.state
                var what =
                    state.failures > 0
                    ? "\(state.failures) failed in a row [\(state.lastFailure)]" : "answers"
                if let open = state.openUntil {
                    what +=
                        open > Terminal.now
                        ? ", not called before \(open.rfc3339)" : ", one call at a time until one is answered"
                }
                let ahead = state.turns.ahead(of: Terminal.now)
                if ahead > 0 { what += ", \(ahead) wait for their turn" }
                return [Terminal.escape(row.target), what]
            }, indent: "  ")
            + (rows.count > most ? "\n  … and \(rows.count - most) more: bobbin targets" : "")
    }
    static func value(_ target: String, _ state: TargetState) -> Value {
        .map([
            "target": .string(target), "failures": .int(state.failures),
            "last_failure": state.lastFailure.isEmpty ? .null : .string(state.lastFailure),
            "open_until": state.openUntil.map { .string($0.rfc3339) } ?? .null,
            "turns_ahead": .int(state.turns.ahead(of: Terminal.now)),
        ])
    }

    static func value(_ view: SiteView) -> Value {
        .map([
            "working": .bool(view.isAnyoneWorking), "draining": .bool(view.isDraining),
            "disk_full": .bool(view.isDiskFull),
            "free_bytes": .int(Int(clamping: view.freeBytes)),
            "targets": .list(view.targets.map { value($0.target, $0.state) }),
            "runners": .list(
                view.runners.map {
                    .map([
                        "name": .string($0.name), "working": .bool($0.isAlive), "leading": .bool($0.isLeader),
                        "stopped_because": $0.stopped.map { .string(Terminal.escape($0)) } ?? .null,
                        "silent_because": $0.silent.map { .string($0) } ?? .null,
                    ])
                }),
            "queues": .list(
                view.queues.map { row in
                    .map([
                        "name": .string(row.policy.name.text), "paused": .bool(row.isPaused),
                        "max_concurrent": .int(row.policy.maxConcurrent),
                        "waiting": .list(row.waiting.map(Value.int)), "running": .int(row.running),
                        "parked": .map(
                            ValueMap(
                                distinct: Wait.Reason.allCases.map {
                                    ($0.rawValue, .int(row.parked[$0] ?? 0))
                                })),
                        "oldest_seconds": row.oldest.map {
                            .int(Int(max(0, Terminal.now.since($0).nanoseconds / 1_000_000_000)))
                        } ?? .null,
                    ])
                }),
            "leftovers": .list(view.leftovers.map(Value.string)),
            "arriving": .list(
                view.arriving.map {
                    .map([
                        "file": .string(Terminal.escape($0.file)), "why": .string($0.why),
                        "changed": .string($0.changed.rfc3339),
                    ])
                }),
            "today": .map(["succeeded": .int(view.doneToday), "not_succeeded": .int(view.failedToday)]),
            "rejected": .int(view.rejected), "inbox": .int(view.inbox),
            "schedules": .list(view.schedules.prefix(20).map(ScheduleText.value)),
            "trigger_troubles": .list(view.triggerTroubles.map(Value.string)),
            "troubled_files": .list(view.troubledFiles.map(Value.string)),
        ])
    }
}
