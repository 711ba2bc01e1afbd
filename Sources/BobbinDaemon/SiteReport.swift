// What this is: what the reporter needs, gathered: history, spool, schedules, rules.
// Owns: the windows (24 hours, the 24 before them, 7 days), and which part of the site each number comes from.
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

    static let day = Span.seconds(86_400), week = Span.seconds(7 * 86_400)

    public init(_ site: Site, now: Timestamp) throws {
        let spool = site.spool
        // A run that ends in this very millisecond is there.
        let until = now.adding(.milliseconds(1))
        let dayStart = now.adding(Span(nanoseconds: -SiteReport.day.nanoseconds))
        let weekStart = now.adding(Span(nanoseconds: -SiteReport.week.nanoseconds))
        var day = OutcomeTally(since: dayStart, until: until, measuresDepth: true)
        var week = OutcomeTally(since: weekStart, until: until)
        let history = try RunHistory.reader(path: IndexFiles.path(spool))
        if let history { known = try ClusterMemory.known(history, until: until) }
        var clusters = try SiteReport.clusters(site, known, since: dayStart, &ruleTrouble)
        let before = dayStart.adding(Span(nanoseconds: -SiteReport.day.nanoseconds))
        try history?.forEachEnd(since: weekStart, until: until) { week.add($0) }
        try history?.forEachOutcome(since: before, until: until) { outcome in
            day.add(outcome)
            clusters.add(outcome)
        }
        day.finish()
        week.finish()
        metrics = Metrics(now: now, day: day, week: week)
        metrics.clusters = clusters.clusters()
        if let history { try metrics.takePast(history, dayStart, until) }
        let live = Replays.live(spool).filter { $0.finalState == nil }
        try metrics.takePresent(site, live)
        metrics.version = Version.text
        metrics.attention = SiteReport.attention(live, now)
        if ruleTrouble != nil {
            metrics.attention.append(
                Attention(.trouble, "ops/failure-rules.yaml has mistakes", command: "bobbin clusters"))
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
                        .approval, "\(job) has waited \(age) for an answer", command: "bobbin approvals")
                )
            case .interrupted:
                return (
                    wait.since,
                    Attention(
                        .interrupted,
                        "\(job) was interrupted \(age) ago: nobody knows what became of its step",
                        command: "bobbin resolve \(record.id) --retry|--skip|--fail")
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
        _ site: Site, _ known: [KnownCluster], since: Timestamp, _ trouble: inout String?
    ) throws -> FailureClusters {
        var rules = FailureRule.builtIn
        do { rules = try FailureRuleFile.rules(site) } catch let error as ConfigurationProblem {
            trouble = error.text
        }
        return FailureClusters(rules: rules, known: known, since: since)
    }

    /// Writes down that the causes of these clusters are mended.
    public static func resolve(_ clusters: [FailureCluster], _ site: Site, now: Timestamp) throws {
        let lines: [ValueMap] = clusters.map { cluster in
            [
                "kind": .string(ClusterMemory.resolved), "subject": .string(cluster.id),
                "code": .string(cluster.code),
                "template": .string(cluster.template), "first_seen": .string(cluster.firstSeen.rfc3339),
            ]
        }
        try HistoryFile.write(lines, site.spool, at: now)
        // A leader reads it within seconds; where nobody works, nobody else would.
        guard let lock = try FileLock.take(SpoolName.lock, in: site.spool.state) else { return }
        _ = try FactFiles(site.spool).read(into: RunHistory(path: IndexFiles.path(site.spool)))
        withExtendedLifetime(lock) {}
    }

    /// Whether an ended run, or one in flight, is the repetition of this one.
    public static func wasRequeued(_ run: RunID, _ site: Site) throws -> Bool {
        if Replays.live(site.spool).contains(where: { $0.acceptance.requeueOf == run.text }) { return true }
        return try RunHistory.reader(path: IndexFiles.path(site.spool))?.hasRepetition(of: run) ?? false
    }

    /// The clusters of another stretch of time, each measured against the stretch before.
    public static func clusters(_ site: Site, since: Timestamp, now: Timestamp) throws -> (
        clusters: [FailureCluster], trouble: String?
    ) {
        guard let history = try RunHistory.reader(path: IndexFiles.path(site.spool)) else { return ([], nil) }
        let until = now.adding(.milliseconds(1))
        var trouble: String?
        var clusters = try clusters(site, ClusterMemory.known(history, until: until), since: since, &trouble)
        let before = since.adding(Span(nanoseconds: -now.since(since).nanoseconds))
        try history.forEachOutcome(since: before, until: until) { clusters.add($0) }
        return (clusters.clusters(), trouble)
    }
}

extension Metrics {
    fileprivate mutating func takePast(_ history: RunHistory, _ since: Timestamp, _ until: Timestamp) throws {
        samples = try history.samples(since: since, until: until)
        facts = try history.facts(
            ["access.denied", "approval.*", "trigger.*", "secret.*", "control.*"], since: since, until: until)
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
            Queue(
                name: row.policy.name.text, byPriority: row.waiting, running: row.running,
                parked: row.parked.values.reduce(0, +), oldest: row.oldest.map { now.since($0) },
                isPaused: row.isPaused, limit: row.policy.maxConcurrent)
        }
        for record in live {
            if case .waiting(let wait) = record.state { liveWaits[wait.reason, default: 0] += 1 }
        }
        runnersAlive = SiteView.liveRunners(site.spool)
        diskFreeBytes = Int(clamping: try site.spool.root.fileSystem().freeBytes)
        // A file with errors is told of by `status`; here its schedules are none.
        guard let view = try? ScheduleView(site) else { return }
        let due = view.rows.compactMap { row in
            row.next.map { (id: row.schedule.id, at: Timestamp(seconds: $0.instant)) }
        }
        schedules = Schedules(
            enabled: view.rows.count { $0.schedule.isEnabled }, next: due.min { $0.at < $1.at })
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
