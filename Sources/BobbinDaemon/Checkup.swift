// What this is: the daily, weekly and monthly check of a site: what the guides let an operator look through, looked through.
// Owns: the lists, and what counts as needing somebody.
// Never: mends anything; ticks off what only a person can see.
// On failure: what cannot be looked at is an open item with the reason.
import JobModel
import LinuxSystem
import Reporting
import RunHistory
import SecretStore
import SpoolQueue

public struct Checkup: Sendable {
    public enum List: String, CaseIterable, Sendable { case daily, weekly, monthly }
    public struct Item: Sendable {
        public var isDone: Bool
        public var text: String
        public var whatToDo: String
    }
    public let list: List
    public private(set) var sections: [(title: String, items: [Item])] = []
    private let now: Timestamp
    public var open: Int { sections.reduce(0) { $0 + $1.items.count { !$0.isDone } } }

    /// A bundle each night, and a little patience; a drill each week; a clean-up each night.
    private static let bundleAge = Span.seconds(26 * 3600), drillAge = Span.seconds(8 * 86_400)
    private static let pruneAge = Span.seconds(2 * 86_400), secretAge = Span.seconds(90 * 86_400)
    private static let leastFree = 0.1

    public init(_ list: List, _ site: Site, now: Timestamp) {
        self.list = list
        self.now = now
        section("Health") { $0.health(site) }
        do {
            let report = try SiteReport(
                site, now: now, stretch: list == .daily ? SiteReport.day : SiteReport.week)
            look(report, site)
        } catch { section("Runs") { $0.item(false, "they cannot be counted: \(error)", "bobbin doctor") } }
        if list == .monthly { section("Secrets") { $0.secrets(site) } }
        if list == .monthly { section("By hand") { $0.byHand() } }
    }
    private mutating func section(_ title: String, _ fill: (inout Checkup) -> Void) {
        sections.append((title, []))
        fill(&self)
    }
    private mutating func item(_ isDone: Bool, _ text: String, _ whatToDo: String = "") {
        sections[sections.count - 1].items.append(Item(isDone: isDone, text: text, whatToDo: whatToDo))
    }

    private mutating func health(_ site: Site) {
        let doctor = Doctor(site: site.path)
        let odd = doctor.findings.filter { $0.grade != .well }
        item(
            !odd.contains { $0.grade == .wrong },
            "\(doctor.findings.count) looks of the doctor: \(odd.count { $0.grade == .wrong }) wrong, \(odd.count { $0.grade == .warning }) to be looked at",
            "bobbin doctor")
        for finding in odd { item(false, "\(finding.subject): \(finding.text)", finding.whatToDo) }
    }

    private mutating func look(_ report: SiteReport, _ site: Site) {
        let metrics = report.metrics
        let stretch = list == .daily ? "24 hours" : "7 days"
        section("Runs") { checkup in
            let failures = metrics.clusters.filter { $0.count > 0 }
            let failed = failures.reduce(0) { $0 + $1.count }
            checkup.item(
                failed == 0, "\(metrics.day.runs) runs in \(stretch), \(failed) failed", "bobbin clusters")
            for cluster in failures.prefix(10) {
                checkup.item(
                    cluster.status == .known, "\(cluster.count) × \(cluster.displayName)",
                    cluster.recommendedActions.first ?? "bobbin cluster \(cluster.id)")
            }
            let waiting = metrics.queues.reduce(0) { $0 + $1.waiting }
            let oldest = metrics.queues.compactMap(\.oldest).max()
            checkup.item(
                (oldest ?? .zero) < SiteReport.day,
                "\(waiting) drops wait" + (oldest.map { ", the oldest for \($0.text)" } ?? ""),
                "bobbin status")
            checkup.schedules(metrics, stretch)
        }
        section("Room") { checkup in
            checkup.room("space", metrics.diskFreeRatio)
            checkup.room("inodes", metrics.inodesFreeRatio)
            if checkup.list != .daily { checkup.trend(metrics) }
        }
        section("Bundles") { checkup in
            checkup.bundles(metrics)
            checkup.cleanUp(site)
        }
    }
    private mutating func schedules(_ metrics: Metrics, _ stretch: String) {
        let fired = metrics.facts.count { $0.kind == "trigger.fired" && $0.subject.hasPrefix("schedule/") }
        item(
            fired > 0 || metrics.schedules.enabled == 0,
            "\(fired) times a schedule fired in \(stretch); \(metrics.schedules.enabled) are switched on",
            "bobbin schedule ls")
        for row in metrics.schedules.rows where row.isEnabled {
            let isWell = !["failed", "timed_out", "denied", "sent back"].contains(row.last)
            if !isWell {
                item(
                    false, "schedule \(row.id): the last one \(row.last)", "bobbin schedule explain \(row.id)"
                )
            }
        }
    }
    private mutating func room(_ what: String, _ share: Double?) {
        guard let share else { return }
        item(
            share >= Checkup.leastFree, "\(Int(share * 100)) % of the disk's \(what) is free",
            "bobbin prune --dry-run")
    }
    private mutating func trend(_ metrics: Metrics) {
        let days = metrics.week.days.suffix(7).map { String($0.runs) }
        item(true, "runs of the last days: \(days.joined(separator: ", "))")
    }
    private mutating func bundles(_ metrics: Metrics) {
        func latest(_ kind: String) -> HistoryFact? {
            metrics.backups.filter { $0.kind == kind }.max { $0.at < $1.at }
        }
        if let made = latest(BackupFacts.made) {
            let age = now.since(made.at)
            item(
                age < Checkup.bundleAge,
                "the newest bundle, \(made.subject), was verified \(age.hours) h ago",
                "bobbin backup create")
        } else {
            item(false, "there is no bundle of the whole site", "bobbin backup create")
        }
        guard list != .daily else { return }
        guard let drill = latest(BackupFacts.drill) else {
            return item(false, "nobody has tried to bring a bundle back", "bobbin backup drill")
        }
        let age = now.since(drill.at)
        item(
            drill.outcome == "ok" && age < Checkup.drillAge,
            "the last restore drill, \(age.hours) h ago, \(drill.outcome == "ok" ? "went well" : "failed")",
            "bobbin backup drill")
    }
    private mutating func cleanUp(_ site: Site) {
        guard list != .daily else { return }
        do {
            let history = try RunHistory.reader(path: IndexFiles.path(site.spool))
            let last = try history?.facts(
                [Prune.fact], since: now.adding(.seconds(-366 * 86_400)), until: now.adding(.seconds(1))
            ).last
            guard let last else { return item(false, "old files were never cleaned up", "bobbin prune") }
            let age = now.since(last.at)
            item(
                age < Checkup.pruneAge,
                "old files were cleaned up \(age.hours) h ago: \(last.detail["files"]?.text ?? "?") went, \(last.detail["packed_runs"]?.text ?? "?") runs were packed",
                "bobbin prune")
        } catch { item(false, "nobody knows when old files were cleaned up: \(error)", "bobbin doctor") }
    }
    private mutating func secrets(_ site: Site) {
        do {
            let files = try SecretFiles(site.spool.site.directory(SpoolName.secrets))
            let old = try files.rows().filter { now.since($0.changed) > Checkup.secretAge }
            item(
                old.isEmpty, "\(old.count) secrets were last set more than 90 days ago",
                "set them anew: bobbin secrets set NAME")
            for row in old {
                item(
                    false, "\(row.name.text), of \(row.changed.utcDay)", "bobbin secrets set \(row.name.text)"
                )
            }
        } catch { item(false, "they cannot be looked at: \(error)", "bobbin doctor") }
    }
    /// What no program of ours sees.
    private mutating func byHand() {
        item(
            false, "security updates of the machine, and of the programs that steps call",
            "apt list --upgradable")
        item(
            false, "passwords, tokens and certificates of services outside that end soon", "ask their owners")
        item(false, "the pace beside last month's", "bobbin report")
        item(false, "who may do what", "bobbin access report")
    }

    public var markdown: String {
        var lines = [
            "# Bobbin, \(list.rawValue) check, \(now.utcDay)", "",
            open == 0 ? "All is well." : "\(open) of these need somebody.",
        ]
        for section in sections {
            lines += ["", "## \(section.title)", ""]
            for item in section.items {
                let text = item.text.split(separator: "\n").joined(separator: " ")
                let hint = item.isDone || item.whatToDo.isEmpty ? "" : ". To do: \(item.whatToDo)"
                lines.append("- [\(item.isDone ? "x" : " ")] \(text)\(hint)")
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }
}

extension Span {
    fileprivate var hours: Int64 { milliseconds / 3_600_000 }
}
