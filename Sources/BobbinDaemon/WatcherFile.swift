// What this is: ops/watchers.yaml as watchers.
// Owns: its keys and defaults (docs/TRIGGERS.md lists them); folders that may not be watched.
// Never: half-applies: a file with an error gives no watchers at all.
// On failure: findings with file, line and column; what holds already goes on.
import JobLanguage
import JobModel
import LinuxSystem
import SpoolQueue
import Triggers
import YamlText

public struct WatcherFile: Sendable {
    public static let name = "watchers.yaml", path = "ops/watchers.yaml"
    public var watchers: [Watcher]

    static let topKeys = ["watchers"]
    static let keys = [
        "id", "name", "description", "watch_path", "template", "patterns", "ignore_patterns", "events",
        "debounce_ms", "debounce", "settle", "queue", "priority", "recursive", "hidden", "enabled",
        "variables", "once", "existing", "batch", "remember", "checksum",
    ]

    /// `bytes`: nil where there is no such file; `site`: its directory.
    public static func read(_ bytes: [UInt8]?, queues: [QueuePolicy], site: String)
        throws(ConfigurationProblem) -> WatcherFile
    {
        guard let bytes, let (sheet, tree) = try TriggerSheet.open(bytes, path) else {
            return WatcherFile(watchers: [])
        }
        let watchers = WatcherSheet(sheet: sheet, queues: queues, site: site).read(tree)
        try TriggerSheet.finish(sheet)
        return WatcherFile(watchers: watchers)
    }
    public static func read(_ site: Site) throws -> WatcherFile {
        try read(bytes(site), queues: site.configuration().queues, site: site.path)
    }
    public static func bytes(_ site: Site) throws -> [UInt8]? { try site.opsBytes(name) }

    /// Why what a watcher drops would be sent back now; nil: it would be taken.
    public static func trouble(_ watcher: Watcher, _ site: Site) -> String? {
        var event = FileEvent(event: .created, path: "example.dat", size: 0, modified: Timestamp(seconds: 0))
        event.sha256 = String(repeating: "0", count: 64)
        do throws(Failure) {
            _ = try TriggerCall.rendered(
                watcher.variables, WatcherDrop.trigger(watcher, [event], at: Timestamp(seconds: 0)),
                at: .now)
        } catch { return error.message }
        return TriggerSheet.trouble(WatcherDrop.text(watcher, [event], at: Timestamp(seconds: 0)), site, path)
    }
}

private struct WatcherSheet {
    let sheet: ConfigurationSheet
    let queues: [QueuePolicy]
    let site: String

    func read(_ tree: YamlNode) -> [Watcher] {
        guard sheet.pairs(tree, "the file", WatcherFile.topKeys) != nil else { return [] }
        return TriggerSheet.entries(sheet, tree, "watchers", id: \.id, watcher)
    }

    private func watcher(_ node: YamlNode) -> Watcher? {
        guard sheet.pairs(node, "a watcher", WatcherFile.keys) != nil,
            let id = sheet.identifier(node, "a watcher")
        else { return nil }
        let what = "watcher `\(id)`"
        let template = sheet.word(node, "template", of: what)
        let recursive = sheet.flag(node, "recursive") ?? false
        guard let path = path(node, what, recursive), let template,
            let (queue, priority) = sheet.place(node, queues)
        else { return nil }
        var watcher = Watcher(
            id: id, name: sheet.text(node, "name") ?? id, path: path, template: template, queue: queue,
            priority: priority)
        watcher.isRecursive = recursive
        _ = sheet.text(node, "description")
        watcher.patterns = sheet.texts(of: node, "patterns")
        watcher.ignorePatterns = sheet.texts(of: node, "ignore_patterns")
        watcher.takesHidden = sheet.flag(node, "hidden") ?? false
        watcher.isEnabled = sheet.flag(node, "enabled") ?? true
        watcher.variables = sheet.variables(node)
        watcher.once = sheet.choice(node, "once", Watcher.Once.self) ?? .version
        watcher.existing = sheet.choice(node, "existing", Watcher.Existing.self) ?? .process
        watcher.takesChecksum = sheet.flag(node, "checksum") ?? true
        watcher.settle = sheet.span(node, "settle") ?? watcher.settle
        watcher.remember = sheet.span(node, "remember") ?? watcher.remember
        if let number = sheet.integer(node, "debounce_ms", 0...86_400_000) {
            watcher.debounce = .milliseconds(Int64(number))
        }
        if node["debounce_ms"] != nil, let field = node["debounce"] {
            sheet.problem("`debounce` and `debounce_ms` say the same thing: leave one out", field.start)
        }
        watcher.debounce = sheet.span(node, "debounce") ?? watcher.debounce
        if let events = events(node) { watcher.events = events }
        watcher.batch = batch(node)
        if !watcher.takesChecksum, watcher.once == .content, let field = node["checksum"] {
            sheet.problem("`once: content` cannot do without a checksum", field.start)
        }
        return watcher
    }

    private func path(_ node: YamlNode, _ what: String, _ recursive: Bool) -> String? {
        guard let text = sheet.word(node, "watch_path", of: what), let field = node["watch_path"] else {
            return nil
        }
        var path = text.hasPrefix("/") ? text : "\(site)/\(text)"
        while path.utf8.count > 1, path.hasSuffix("/") { path.removeLast() }
        // A link that leads into the spool is the spool.
        let real = Host.realPath(path) ?? path
        let spool = "\(site)/\(SpoolName.spool)"
        if real == spool || real.hasPrefix(spool + "/") {
            sheet.problem(
                "`watch_path` is in the spool, where files are moved about by Bobbin itself", field.start,
                hint: "for payloads from outside there is spool/events/ (ops/webhooks.yaml)")
            return nil
        }
        if recursive, real == "/" || spool.hasPrefix(real + "/") {
            sheet.problem(
                "`watch_path` holds the spool, so what a job leaves there would start the next", field.start,
                hint: "watch a folder beside it, or leave `recursive` out")
            return nil
        }
        return path
    }

    private func events(_ node: YamlNode) -> Set<Watcher.Event>? {
        guard let field = node["events"] else { return nil }
        let known = Watcher.Event.allCases.map(\.rawValue)
        var events: Set<Watcher.Event> = []
        for item in field.items ?? [field] {
            let text = item.scalar?.text ?? ""
            if let event = Watcher.Event(rawValue: text) {
                events.insert(event)
            } else {
                sheet.problem(
                    "`\(text)` is no event: \(known.joined(separator: ", "))", item.start,
                    hint: NearestName.find(text, in: known).map { "did you mean `\($0)`?" } ?? "")
            }
        }
        if field.items?.isEmpty == true { sheet.problem("`events` is empty", field.start) }
        return events
    }

    private func batch(_ node: YamlNode) -> Watcher.Batch? {
        guard let field = node["batch"], sheet.pairs(field, "`batch`", ["max_files", "max_wait"]) != nil
        else {
            return nil
        }
        return Watcher.Batch(
            maxFiles: sheet.integer(field, "max_files", 1...10_000) ?? 100,
            maxWait: sheet.span(field, "max_wait") ?? .seconds(10))
    }
}
