// What this is: what a watcher drops: the job file and its name.
// Owns: what `{{ trigger… }}` is in such a job.
// Never: writes it.
// On failure: nothing here fails.
import JobModel
import LinuxSystem
import SpoolQueue
import Triggers

enum WatcherDrop {
    static func key(_ id: String) -> String { "watcher/\(id)" }

    static func text(_ watcher: Watcher, _ events: [FileEvent], at now: Timestamp) -> String {
        TriggerCall.text(
            template: watcher.template, rendering: watcher.variables, tag: "watcher:\(watcher.id)",
            trigger: trigger(watcher, events, at: now), at: .now)
    }
    static func trigger(_ watcher: Watcher, _ events: [FileEvent], at now: Timestamp) -> ValueMap {
        let files = events.map { fact($0, watcher, now) }
        var trigger: ValueMap = [
            "kind": "watcher", "id": .string(watcher.id), "at": .string(now.rfc3339),
            "count": .int(files.count),
        ]
        if let first = files.first { trigger.merge(first) }
        // One job for several files: all of them; else the one is enough.
        if watcher.batch != nil { trigger["files"] = .list(files.map(Value.map)) }
        return trigger
    }

    private static func fact(_ event: FileEvent, _ watcher: Watcher, _ now: Timestamp) -> ValueMap {
        let path = "\(watcher.path)/\(event.path)"
        let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) ?? path.utf8.startIndex
        return [
            "path": .string(path), "name": .string(String(path[path.utf8.index(after: slash)...])),
            "dir": .string(String(path[..<slash])), "event": .string(event.event.rawValue),
            "time": .string((event.modified ?? now).rfc3339), "size": event.size.map(Value.int) ?? .null,
            "sha256": event.sha256.map(Value.string) ?? .null,
            "old_path": event.oldPath.map { .string("\(watcher.path)/\($0)") } ?? .null,
        ]
    }

    static func fire(_ watcher: Watcher, _ events: [FileEvent], ticket: String, at now: Timestamp) -> Fire {
        Fire(
            trigger: key(watcher.id), ticket: ticket, queue: watcher.queue, priority: watcher.priority,
            name: "\(DropName.escaped(watcher.id, limit: 100)).\(ticket).yaml",
            text: text(watcher, events, at: now))
    }
}
