// What this is: what the reporter needs, gathered: history, spool, schedules, rules.
// Owns: the windows (24 hours or another stretch, the same before it, 7 days), and which part of the site each number comes from.
// Never: counts; writes.
// On failure: without an index there is no past and everything of it is 0; rules with mistakes leave the built-in ones, and
//   `ruleTrouble` says so.
import JobModel
import LinuxSystem
import Reporting
import RunHistory
import SpoolQueue

public struct SiteReport: Sendable {
    public var metrics: Metrics
    /// Clusters that have a name already.
    public var known: [KnownCluster] = []
    /// Why the site's own failure rules do not hold.
    public var ruleTrouble: String?
    /// Why the site's own alerts do not hold.
    public var alertTrouble: String?
    /// Runs that have not ended.
    var live: [RunRecord] = []
    var acknowledgements: [String: AlertAcknowledgement] = [:]
    /// Without an index everything of the past is 0.
    public let hasHistory: Bool

    public static let day = Span.seconds(86_400), week = Span.seconds(7 * 86_400)

    /// `until`: nil is now, and then what is so now belongs to it; `stretch`: of how long.
    public init(
        _ site: Site, now: Timestamp, until end: Timestamp? = nil, stretch: Span = SiteReport.day
    ) throws {
        try self.init(site, now: now, until: end, stretch: stretch, memory: EndMemory())
    }
    /// `memory`: of the report before, where one follows the other.
    init(_ site: Site, now: Timestamp, until end: Timestamp? = nil, stretch: Span = day, memory: EndMemory)
        throws
    {
        let spool = site.spool
        let isNow = end.map { $0 >= now } ?? true, end = min(end ?? now, now)
        func before(_ moment: Timestamp, _ span: Span) -> Timestamp {
            moment.adding(Span(nanoseconds: -span.nanoseconds))
        }
        // A run that ends in this very millisecond is there.
        let until = end.adding(.milliseconds(1))
        let since = before(end, stretch), weekStart = before(end, SiteReport.week)
        var day = OutcomeTally(since: since, until: until, measuresDepth: true)
        let history = try RunHistory.reader(path: IndexFiles.path(spool))
        hasHistory = history != nil
        if let history { known = try ClusterMemory.known(history, until: until) }
        var clusters = try SiteReport.clusters(
            site, known, since: since, hour: before(end, .seconds(3600)), &ruleTrouble)
        if let history { acknowledgements = try AlertView.acknowledgements(history, now: now) }
        let week =
            try history.map { try memory.tally($0, spool, since: weekStart, until: until) }
            ?? OutcomeTally(since: weekStart, until: until)
        try history?.forEachOutcome(since: before(since, stretch), until: until) { outcome in
            day.add(outcome)
            clusters.add(outcome)
        }
        day.finish()
        metrics = Metrics(now: end, day: day, week: week)
        metrics.stretch = stretch
        metrics.clusters = clusters.clusters()
        metrics.version = Version.text
        if let history { try metrics.takePast(history, since, until) }
        if ruleTrouble != nil {
            metrics.attention.append(
                Attention(.trouble, "ops/failure-rules.yaml has mistakes", command: "bobbin clusters"))
        }
        // What waits, fires and lives now is no part of what was.
        metrics.isPast = !isNow
        guard isNow else { return }
        live = Replays.live(spool).filter { $0.finalState == nil }
        try metrics.takePresent(site, live)
        metrics.attention.insert(contentsOf: SiteReport.attention(live, now), at: 0)
        do { metrics.alerts = try AlertView.alerts(site, metrics, history) } catch {
            alertTrouble = Reporter.sentence(error)
            metrics.attention.append(
                Attention(.trouble, "\(AlertFile.path) has mistakes", command: "bobbin alerts"))
        }
    }

    /// Questions and interrupted runs, the oldest first; what is more than fifty is a number.
    private static func attention(_ live: [RunRecord], _ now: Timestamp) -> [Attention] {
        let waiting = live.compactMap { record -> (since: Timestamp, need: Attention)? in
            guard case .waiting(let wait) = record.state else { return nil }
            let age = ResultFile.brief(now.since(wait.since)), job = record.acceptance.jobName
            switch wait.reason {
            case .approval:
                return (
                    wait.since,
                    Attention(
                        .approval, "\(job) has waited \(age) for an answer", command: "bobbin approvals",
                        page: "runs/\(record.id).html")
                )
            case .interrupted:
                return (
                    wait.since,
                    Attention(
                        .interrupted,
                        "\(job) was interrupted \(age) ago: nobody knows what became of its step",
                        command: "bobbin resolve \(record.id) --retry|--skip|--fail",
                        page: "runs/\(record.id).html")
                )
            default: return nil
            }
        }.sorted { $0.since < $1.since }.map(\.need)
        guard waiting.count > 50 else { return waiting }
        return waiting.prefix(50)
            + [
                Attention(
                    .trouble, "and \(waiting.count - 50) more wait for somebody", command: "bobbin status")
            ]
    }

    private static func clusters(
        _ site: Site, _ known: [KnownCluster], since: Timestamp, hour: Timestamp? = nil,
        _ trouble: inout String?
    ) throws -> FailureClusters {
        var rules = FailureRule.builtIn
        do { rules = try FailureRuleFile.rules(site) } catch let error as ConfigurationProblem {
            trouble = error.text
        }
        return FailureClusters(rules: rules, known: known, since: since, hour: hour)
    }

    /// Writes down that the causes of these clusters are mended.
    public static func resolve(_ clusters: [FailureCluster], _ site: Site, now: Timestamp) throws {
        try note(clusters.map { ClusterMemory.line($0, ClusterMemory.resolved) }, site, now: now)
    }
    /// Into spool/history/, and from there into the index where nobody else would bring it there.
    static func note(_ lines: [ValueMap], _ site: Site, now: Timestamp) throws {
        try HistoryFile.write(lines, site.spool, at: now)
        // A leader reads it within seconds; where nobody works, nobody else would.
        guard let lock = try FileLock.take(SpoolName.lock, in: site.spool.state) else { return }
        _ = try FactFiles(site.spool).read(into: RunHistory(path: IndexFiles.path(site.spool)))
        withExtendedLifetime(lock) {}
    }

    /// Those of these runs that were requeued: by a drop that waits, a run in flight, or one that ended.
    public static func requeued(_ runs: [RunID], _ site: Site) throws -> Set<RunID> {
        var found = try RunHistory.reader(path: IndexFiles.path(site.spool))?.repeated(among: runs) ?? []
        for record in Replays.live(site.spool) {
            if let text = record.acceptance.requeueOf, let id = RunID(text) { found.insert(id) }
        }
        for queue in try site.configuration().queues {
            for priority in Priority.all.prefix(queue.priorityLevels) {
                // A queue whose directories were not made yet has nothing waiting.
                guard let lane = try? site.spool.root.directory("\(queue.name)/\(priority.directory)") else {
                    continue
                }
                for name in try lane.names() {
                    if let id = RunID(name.prefix(RunID.length)) { found.insert(id) }
                }
            }
        }
        return found.intersection(runs)
    }

    /// The clusters of another stretch of time, each measured against the stretch before.
    public static func clusters(_ site: Site, since: Timestamp, now: Timestamp) throws -> FoundClusters {
        var found = FoundClusters()
        let history = try RunHistory.reader(path: IndexFiles.path(site.spool))
        let until = now.adding(.milliseconds(1))
        found.hasHistory = history != nil
        let known = try history.map { try ClusterMemory.known($0, until: until) } ?? []
        var clusters = try clusters(site, known, since: since, &found.trouble)
        let before = since.adding(Span(nanoseconds: -now.since(since).nanoseconds))
        try history?.forEachOutcome(since: before, until: until) { clusters.add($0) }
        found.clusters = clusters.clusters()
        for cluster in known { found.current[cluster.id] = clusters.current(cluster.id) }
        return found
    }
}

public struct FoundClusters: Sendable {
    public var clusters: [FailureCluster] = []
    /// Why the site's own rules do not hold.
    public var trouble: String?
    public var hasHistory = false
    /// Of each id that a cluster ever had the one that it has now.
    public var current: [String: String] = [:]

    /// By its id, or one that it had before it grew together with another.
    public func find(_ id: String) -> FailureCluster? {
        clusters.first { $0.id == id } ?? current[id].flatMap { now in clusters.first { $0.id == now } }
    }
}

extension Metrics {
    fileprivate mutating func takePast(_ history: RunHistory, _ since: Timestamp, _ until: Timestamp) throws {
        samples = try history.samples(since: since, until: until)
        facts = try history.facts(
            ["access.denied", "approval.*", "trigger.*", "secret.*", "control.*", "alert.*"], since: since,
            until: until)
        let year = until.adding(.seconds(-366 * 86_400))
        backups = try history.facts([BackupFacts.made, BackupFacts.drill], since: year, until: until)
        totals = try history.totals()
        factCounts = try history.factCounts()
        waits = try history.waits(since: since, until: until)
        scheduled = try history.outcomes(tagged: "schedule:", since: since, until: until)
        fromFolders = try history.outcomes(tagged: "watcher:", since: since, until: until)
        fromEvents = try history.outcomes(tagged: "event:", since: since, until: until)
        stepDurations = try history.stepDurations(since: since, until: until)
    }

    fileprivate mutating func takePresent(_ site: Site, _ live: [RunRecord]) throws {
        queues = try SiteView.queues(site, live).map { row in
            var queue = Queue(
                name: row.policy.name.text, byPriority: row.waiting, running: row.running,
                parked: row.parked.values.reduce(0, +), oldest: row.oldest.map { now.since($0) },
                isPaused: row.isPaused, limit: row.policy.maxConcurrent)
            queue.byAge = try QueueAges.count(row.policy, site.spool, now: now)
            return queue
        }
        for record in live {
            if case .waiting(let wait) = record.state { liveWaits[wait.reason, default: 0] += 1 }
        }
        runnersAlive = SiteView.liveRunners(site.spool)
        let disk = try site.spool.root.fileSystem()
        diskFreeBytes = Int(clamping: disk.freeBytes)
        func share(_ free: UInt64, _ all: UInt64) -> Double? {
            all == 0 ? nil : (Double(free) / Double(all) * 10_000).rounded() / 10_000
        }
        diskFreeRatio = share(disk.freeBytes, disk.totalBytes)
        inodesFreeRatio = share(disk.freeInodes, disk.totalInodes)
        memoryUsedRatio = HostFacts.memory.flatMap { share($0.total - min($0.available, $0.total), $0.total) }
        loadPerProcessor = HostFacts.load.map { ($0 / Double(Host.processors) * 1000).rounded() / 1000 }
        // A file with errors is told of by `status`; here its schedules are none.
        guard let view = try? ScheduleView(site) else { return }
        let due = view.rows.compactMap { row in
            row.next.map { (id: row.schedule.id, at: Timestamp(seconds: $0.instant)) }
        }
        schedules = Schedules(
            enabled: view.rows.count { $0.schedule.isEnabled }, next: due.min { $0.at < $1.at },
            rows: view.rows.map { row in
                Schedules.Row(
                    id: row.schedule.id, name: row.schedule.name, isEnabled: row.schedule.isEnabled,
                    next: row.next.map { Timestamp(seconds: $0.instant) },
                    last: row.trouble == nil ? row.isLive ? "runs" : row.outcome ?? "" : "would be sent back")
            }.sorted { ($0.next ?? .latest, $0.id) < ($1.next ?? .latest, $1.id) })
    }

    /// What is kept of this instant.
    var depthSamples: [DepthSample] {
        queues.map {
            DepthSample(
                at: now, queue: $0.name, waiting: $0.waiting, running: $0.running, parked: $0.parked,
                oldest: $0.oldest)
        }
    }
}

extension Timestamp {
    fileprivate static let latest = Timestamp(nanoseconds: .max)
}
