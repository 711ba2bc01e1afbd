// What this is: watchers and webhooks as a person asks for them.
// Owns: the joining of the files with what their thread last noted.
// Never: writes; needs a thread that works.
// On failure: ConfigurationProblem where a file has errors; what was noted may be missing or some seconds old.
import JobModel
import LinuxSystem
import SpoolQueue
import Triggers

public struct TriggerView: Sendable {
    public struct Row: Sendable {
        public enum Kind: String, Sendable { case watcher, webhook }
        public var kind: Kind
        public var id: String
        /// The folder, or the directory of spool/events/.
        public var place: String
        public var isEnabled: Bool
        public var template: String
        /// What its thread noted: `files`, `pending`, `fires` and the like.
        public var noted: ValueMap
        /// Why it does nothing, or what it drops would be sent back.
        public var trouble: String?
        /// Payloads that wait.
        public var waiting: Int?
    }
    public var rows: [Row]
    /// Payloads by source that no webhook is for.
    public var unclaimed: [String: Int] = [:]
    public var isServed: Bool?

    public init(_ site: Site) throws {
        var facts: [String: ValueMap] = [:]
        if site.spool.isOwn {
            let home = try site.spool.state.directory(SpoolName.triggers)
            isServed = try FileLock.isHeld(SpoolName.filesLock, in: home)
            if try home.statusIfPresent(SpoolName.files) != nil {
                facts = try FireLog.facts(in: home.directory(SpoolName.files))
            }
        }
        let served = isServed ?? false
        rows = try WatcherFile.read(site).watchers.map { watcher in
            let noted = facts[WatcherDrop.key(watcher.id)] ?? [:]
            let now = served ? noted["trouble"]?.stringValue : nil
            return Row(
                kind: .watcher, id: watcher.id, place: watcher.path, isEnabled: watcher.isEnabled,
                template: watcher.template, noted: noted, trouble: WatcherFile.trouble(watcher, site) ?? now)
        }
        let counts = TriggerView.payloads(site.spool)
        let webhooks = try WebhookFile.read(site).webhooks
        rows += webhooks.map { webhook in
            Row(
                kind: .webhook, id: webhook.id, place: "spool/\(SpoolName.events)/\(webhook.source)",
                isEnabled: webhook.isEnabled, template: webhook.template,
                noted: facts[WebhookFile.key(webhook.id)] ?? [:],
                trouble: WebhookFile.trouble(webhook, site),
                waiting: counts[webhook.source] ?? 0)
        }
        for (source, count) in counts where !webhooks.contains(where: { $0.source == source }) && count > 0 {
            unclaimed[source] = count
        }
    }

    private static func payloads(_ spool: Spool) -> [String: Int] {
        var counts: [String: Int] = [:]
        // A directory that cannot be read is one of somebody else: it counts as empty.
        guard let root = try? spool.root.directory(SpoolName.events) else { return [:] }
        // Gone since a moment ago: nothing lies there.
        for name in (try? root.names()) ?? []
        where name != SpoolName.closed && DropName.judge(name) != .ignored {
            // A file that lies beside the sources is in none of them.
            guard let names = try? root.directory(name).names() else {
                counts[name] = 1
                continue
            }
            counts[name] = names.count { DropName.judge($0) != .ignored && !$0.hasSuffix(".sig") }
        }
        return counts
    }
}
