// What this is: the watchers at work: ops/watchers.yaml, a FolderWatch for each, the drops that come of what they see.
// Owns: the re-reading of the file; the order of ledger, decision and drop; the lines in the log and in spool/history/.
// Never: decides what a change is (FolderWatch does); runs a job.
// On failure: a file with errors changes nothing; a folder that is not there is waited for; a full disk is tried again.
import JobModel
import LinuxSystem
import SpoolQueue
import Triggers

final class WatcherDesk {
    private let core: RunnerCore
    private let drops: TriggerDrops
    private let ledgers: Directory
    private let history: HistoryFile
    private let traces: DropTraces
    private var watches: [String: FolderWatch] = [:]
    private var bytes: [UInt8]?
    private var queues: [QueuePolicy] = []
    private var isRead = false
    /// A file without errors was read in this life.
    private var hasRead = false
    private var restUntil: Int64 = 0
    private var told: [String: String] = [:]
    private var kept: [String: ValueMap] = [:]
    /// How many jobs there were before this life of a watcher.
    private var earlier: [String: Int] = [:]
    private static let rest = Span.seconds(1).nanoseconds

    init(_ core: RunnerCore, _ drops: TriggerDrops, ledgers: Directory) {
        self.core = core
        self.drops = drops
        self.ledgers = ledgers
        history = HistoryFile(core.site.spool, core.log)
        traces = DropTraces(core.site.spool)
    }

    // MARK: the file

    func reread() {
        do {
            let bytes = try WatcherFile.bytes(core.site)
            let queues = core.configuration.queues
            guard !isRead || bytes != self.bytes || queues != self.queues else { return }
            (self.bytes, self.queues, isRead) = (bytes, queues, true)
            try take(WatcherFile.read(bytes, queues: queues, site: core.site.path))
            hasRead = true
        } catch let problem as ConfigurationProblem {
            core.log.error(
                "watcher",
                "the new \(WatcherFile.path) is not used, \(hasRead ? "the watchers of before hold" : "nothing is watched until it is corrected"): \(problem.text)"
            )
        } catch {
            // Read again with the next look.
            isRead = false
            core.triggerTrouble(WatcherFile.path, error)
        }
    }

    private func take(_ file: WatcherFile) throws {
        let active = file.watchers.filter(\.isEnabled)
        for id in watches.keys where !active.contains(where: { $0.id == id }) { watches[id] = nil }
        for watcher in active where watches[watcher.id]?.watcher != watcher {
            // Its ledger is one file: the old one lets go of it first.
            watches[watcher.id] = nil
            let watch = try FolderWatch(watcher, ledgers: ledgers)
            try settle(watch)
            watches[watcher.id] = watch
            earlier[watcher.id] = drops.log.facts[WatcherDrop.key(watcher.id)]?["fires"]?.intValue ?? 0
            if let why = WatcherFile.trouble(watcher, core.site) {
                core.log.warn("watcher", "\(watcher.id): its job would be sent back: \(why)")
            }
        }
        core.log.info(
            "watcher", "\(WatcherFile.path): \(active.count) watcher\(active.count == 1 ? "" : "s")")
    }

    /// What a crash left between the ledger and the decision.
    private func settle(_ watch: FolderWatch) throws {
        if watch.ledger.damaged > 0 {
            core.log.warn(
                "watcher",
                "\(watch.watcher.id): \(watch.ledger.damaged) lines of its ledger could not be read")
        }
        let unsure = watch.ledger.unsureTickets
        guard !unsure.isEmpty else { return }
        let known = unsure.intersection(drops.log.open.keys).union(try traces.known(unsure))
        try watch.ledger.settle(known: known)
    }

    // MARK: at work

    var descriptors: [Int32] { watches.values.compactMap(\.fd) }
    var nextLook: Int64 { max(restUntil, watches.values.map(\.nextLook).min() ?? .max) }

    func takeHints() {
        let now = Clocks.monotonic
        for watch in watches.values { watch.takeHints(now: now) }
    }

    func tick(isDraining: Bool) {
        guard Clocks.monotonic >= restUntil else { return }
        for watch in watches.values {
            do {
                try watch.look(now: Clocks.monotonic, wall: Timestamp(nanoseconds: Clocks.wall))
                if !isDraining { try serve(watch) }
            } catch {
                restUntil = Clocks.monotonic + WatcherDesk.rest
                core.triggerTrouble("watcher \(watch.watcher.id)", error)
            }
            tell(watch)
        }
    }

    private func serve(_ watch: FolderWatch) throws {
        let wall = Timestamp(nanoseconds: Clocks.wall)
        let taken = try watch.take(now: Clocks.monotonic, wall: wall)
        guard !taken.isEmpty else { return }
        var decided: [(FolderWatch.Group, ticket: String)] = []
        var fires: [Fire] = []
        for group in taken { WatcherDesk.fit(group, watch.watcher, wall, &decided, &fires) }
        do {
            try watch.record(decided)
            do { try drops.make(fires) } catch {
                // Nothing of it was decided.
                try watch.ledger.settle(known: [])
                throw error
            }
        } catch {
            watch.giveBack(taken, now: Clocks.monotonic)
            throw error
        }
        try watch.confirm(decided)
        let groups = decided.map(\.0)
        core.log.write(
            zip(fires, groups).map { fire, group in
                let first = group.events.first.map { "\($0.event.rawValue) \($0.path)" } ?? ""
                let more = group.events.count > 1 ? " and \(group.events.count - 1) more" : ""
                return core.log.line(
                    .info, "watcher",
                    "\(watch.watcher.id): \(first)\(more): dropped \(fire.lane)/\(fire.name)", nil)
            })
        history.append(
            zip(fires, groups).map { fire, group in
                [
                    "kind": "trigger.fired", "trigger": .string(fire.trigger), "ticket": .string(fire.ticket),
                    "files": .int(group.events.count), "path": .string(group.events.first?.path ?? ""),
                    "event": .string(group.events.first?.event.rawValue ?? ""),
                    "drop": .string("\(fire.lane)/\(fire.name)"),
                ]
            }, at: wall)
    }

    /// A job has its largest size: a batch that would make a larger one is two.
    private static func fit(
        _ group: FolderWatch.Group, _ watcher: Watcher, _ wall: Timestamp,
        _ decided: inout [(FolderWatch.Group, ticket: String)], _ fires: inout [Fire]
    ) {
        let ticket = Identities.fresh().text
        let fire = WatcherDrop.fire(watcher, group.events, ticket: ticket, at: wall)
        guard fire.text.utf8.count <= Limits.dropBytes || group.events.count == 1 else {
            for half in group.halves { fit(half, watcher, wall, &decided, &fires) }
            return
        }
        decided.append((group, ticket))
        fires.append(fire)
    }

    /// Trouble that comes and goes is told once each time.
    private func tell(_ watch: FolderWatch) {
        let id = watch.watcher.id
        guard told[id] != watch.trouble else { return }
        if let trouble = watch.trouble {
            core.log.warn("watcher", "\(id): \(trouble)")
        } else if told[id] != nil {
            core.log.info("watcher", "\(id): that is over")
        }
        told[id] = watch.trouble
    }

    /// For `bobbin triggers`.
    func keepStatus() {
        var facts: [String: ValueMap?] = [:]
        for (id, watch) in watches {
            var fact = watch.status
            fact["fires"] = .int((earlier[id] ?? 0) + watch.counts.fires)
            if kept[id] != fact { facts[WatcherDrop.key(id)] = fact }
            kept[id] = fact
        }
        for id in kept.keys where watches[id] == nil {
            facts[WatcherDrop.key(id)] = .some(nil)
            kept[id] = nil
        }
        guard !facts.isEmpty else { return }
        do throws(SystemError) { try drops.log.made([], facts: facts) } catch {
            core.triggerTrouble("spool/.bobbin/\(SpoolName.triggers)", error)
        }
    }
}
