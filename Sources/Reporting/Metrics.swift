// What this is: the numbers of a site at an instant, from what its history, its files and its spool say.
// Owns: every metric's name and formula (docs/REPORTS.md has them in words; a test has each on a hand-made history).
// Never: asks anything: all it needs is given.
// On failure: cannot fail; a rate of nothing is null.
import JobModel

public struct Metrics: Sendable {
    /// What is so now, from the spool.
    public struct Queue: Sendable {
        public var name: String
        public var waiting: Int
        /// By priority, the most urgent first.
        public var byPriority: [Int]
        public var running: Int
        public var parked: Int
        public var oldest: Span?
        public var isPaused: Bool
        public var limit: Int
        /// Waiting drops by age: below each of `ageBounds`, and beyond the last.
        public var byAge: [Int] = []
        public static let ageBounds: [Span] = [60, 300, 900, 3600, 4 * 3600, 86_400].map { .seconds($0) }
        static let ageWords = ["1 min", "5 min", "15 min", "1 h", "4 h", "1 d", "more"]
        public init(
            name: String, byPriority: [Int], running: Int, parked: Int, oldest: Span?, isPaused: Bool,
            limit: Int
        ) {
            self.name = name
            self.byPriority = byPriority
            waiting = byPriority.reduce(0, +)
            self.running = running
            self.parked = parked
            self.oldest = oldest
            self.isPaused = isPaused
            self.limit = limit
        }
    }
    public struct Schedules: Sendable {
        public struct Row: Sendable {
            public var id: String
            public var name: String
            public var isEnabled: Bool
            public var next: Timestamp?
            /// What the last one became.
            public var last: String
            public init(id: String, name: String, isEnabled: Bool, next: Timestamp?, last: String) {
                self.id = id
                self.name = name
                self.isEnabled = isEnabled
                self.next = next
                self.last = last
            }
        }
        public var enabled = 0
        public var next: (id: String, at: Timestamp)?
        /// All of them, the next one first.
        public var rows: [Row] = []
        public init(enabled: Int = 0, next: (id: String, at: Timestamp)? = nil, rows: [Row] = []) {
            self.enabled = enabled
            self.next = next
            self.rows = rows
        }
    }

    /// The end of all windows.
    public var now: Timestamp
    /// How long `day` is: 24 hours, unless somebody asked for another stretch.
    public var stretch = Span.seconds(86_400)
    public var day: OutcomeTally
    public var week: OutcomeTally
    public var queues: [Queue] = []
    public var samples: [DepthSample] = []
    public var facts: [HistoryFact] = []
    public var clusters: [FailureCluster] = []
    public var totals: [RunTotal] = []
    public var factCounts: [(kind: String, group: String, number: Int)] = []
    public var waits: [Wait.Reason: Int] = [:]
    public var liveWaits: [Wait.Reason: Int] = [:]
    public var scheduled: [FinalState: Int] = [:]
    public var fromFolders: [FinalState: Int] = [:]
    public var fromEvents: [FinalState: Int] = [:]
    /// Sorted milliseconds.
    public var stepDurations: [Int] = []
    public var schedules = Schedules()
    public var runnersAlive = 0
    public var diskFreeBytes = 0
    /// Of the file system of the spool; nil where it does not count inodes.
    public var diskFreeRatio: Double?
    public var inodesFreeRatio: Double?
    public var memoryUsedRatio: Double?
    /// Of the last minute, divided by the processors.
    public var loadPerProcessor: Double?
    public var alerts: [Alert] = []
    /// Bundles that were made and drills, of a year.
    public var backups: [HistoryFact] = []
    /// The windows ended before now, and what is so now is left out.
    public var isPast = false
    /// How long it took the reporter to gather all this; nil where somebody else asked.
    public var took: Span?
    public var version = ""
    /// Pages beside the report, relative to reports/; empty where it is made to be shown alone.
    public var pages: Set<String> = []
    /// From the page to reports/.
    public var pagesFrom = ".."
    /// What waits for a person, besides clusters.
    public var attention: [Attention] = []

    public init(now: Timestamp, day: OutcomeTally, week: OutcomeTally) {
        self.now = now
        self.day = day
        self.week = week
    }

    // MARK: what is counted

    private func count(_ kind: String) -> Int { facts.count { $0.kind == kind } }
    private func fires(_ sort: String) -> Int {
        facts.count { $0.kind == "trigger.fired" && $0.subject.hasPrefix(sort + "/") }
    }
    /// The most drops that waited at one time, over all queues: of those that ended since then it is known to the millisecond,
    /// of those that still wait by the samples.
    public var depthPeak: Int {
        var byInstant: [Timestamp: Int] = [:]
        for sample in samples { byInstant[sample.at, default: 0] += sample.waiting }
        return max(day.depthPeak, byInstant.values.max() ?? 0, queues.reduce(0) { $0 + $1.waiting })
    }
    /// Shannon's entropy of the failures over their clusters, in bits: 0 when all are of one.
    public var entropy: Double {
        let counts = clusters.map { Double($0.count) }.filter { $0 > 0 }
        let all = counts.reduce(0, +)
        guard all > 0 else { return 0 }
        let bits = counts.reduce(0) { $0 - $1 / all * Metrics.logarithm2($1 / all) }
        return (bits * 1000).rounded() / 1000
    }
    /// By halves, and a series for the rest (Abramowitz and Stegun 4.1.27); the toolchain's own is of the C library.
    static func logarithm2(_ value: Double) -> Double {
        guard value > 0 else { return 0 }
        let z = (value.significand - 1) / (value.significand + 1)
        var term = z, sum = 0.0, power = 1.0
        while abs(term) > 1e-18 {
            sum += term / power
            term *= z * z
            power += 2
        }
        return Double(value.exponent) + 2 * sum / 0.693_147_180_559_945_309
    }
    /// People who dropped, answered or commanded something.
    public var activeUsers: Set<String> {
        day.users.union(facts.compactMap { $0.kind == "access.denied" ? nil : $0.user?.name })
    }
    private struct Answers { var approved = 0, denied = 0, timedOut = 0 }
    private var answers: Answers {
        var answers = Answers()
        for fact in facts {
            switch (fact.kind, fact.outcome) {
            case ("approval.decided", "deny"): answers.denied += 1
            case ("approval.decided", _): answers.approved += 1
            case ("approval.expired", _): answers.timedOut += 1
            default: break
            }
        }
        return answers
    }
    /// Of the runs that all queues together may have at one time, the share that the days' runs kept busy.
    var busyByDay: [Double?] {
        let slots = queues.reduce(0) { $0 + $1.limit }
        return week.busyDays.map { OutcomeTally.share($0 / 1000, slots * 86_400) }
    }
    private static func rate(_ counts: [FinalState: Int]) -> Double? {
        let all = counts.reduce(0) { $0 + ([.skipped, .cancelled].contains($1.key) ? 0 : $1.value) }
        return OutcomeTally.share(counts[.succeeded] ?? 0, all)
    }
    private static func sum(_ counts: [FinalState: Int]) -> Int { counts.values.reduce(0, +) }

    private static func number(_ value: Double?) -> Value { value.map(Value.double) ?? .null }
    private static func whole(_ value: Int?) -> Value { value.map(Value.int) ?? .null }

    private var schedulerFields: ValueMap {
        let failed = [FinalState.failed, .timedOut, .denied].reduce(0) { $0 + (scheduled[$1] ?? 0) }
        let skipped = facts.count { $0.kind == "trigger.skipped" && $0.subject.hasPrefix("schedule/") }
        var map = ValueMap()
        map["schedules_enabled"] = .int(schedules.enabled)
        map["next_schedule"] = schedules.next.map { .string($0.id) } ?? .null
        map["next_run"] = schedules.next.map { .string($0.at.rfc3339) } ?? .null
        map["scheduled_runs_24h"] = .int(fires("schedule"))
        map["schedule_skipped_24h"] = .int(skipped)
        map["schedule_failures_24h"] = .int(failed)
        map["schedule_success_rate_24h"] = Metrics.number(Metrics.rate(scheduled))
        map["folder_triggers_24h"] = .int(fires("watcher"))
        map["folder_success_rate_24h"] = Metrics.number(Metrics.rate(fromFolders))
        map["webhook_triggers_24h"] = .int(fires("event"))
        map["webhook_success_rate_24h"] = Metrics.number(Metrics.rate(fromEvents))
        map["webhook_refused_24h"] = .int(count("trigger.refused"))
        return map
    }
    private var slowest: [ValueMap] {
        slowestJobs.map { name, job in
            var map: ValueMap = ["job": .string(name), "runs": .int(job.runs), "failed": .int(job.failed)]
            map["longest_ms"] = .int(job.longest)
            map["mean_ms"] = .int(job.total / max(1, job.runs))
            return map
        }
    }

    // MARK: reports/metrics.json

    /// The guide's `jq '.top_failure_clusters_24h'` works on it. Of another stretch `_24h` in the names is `_window`.
    public var fields: ValueMap {
        var fields = fieldsOfDay
        if isPast {
            fields = ValueMap(
                distinct: fields.entries.filter { !Metrics.ofNow.contains($0.key) }.map { ($0.key, $0.value) }
            )
        }
        guard stretch != .seconds(86_400) || isPast else { return fields }
        let rest = Metrics.renamed(fields)
        var map: ValueMap = [
            "window": .map(["since": .string(day.since.rfc3339), "until": .string(now.rfc3339)])
        ]
        map.merge(rest)
        return map
    }
    private static let ofNow: Set<String> = [
        "queue_depth_current", "paused_runs_current", "interrupted_runs_current", "queues", "runners_alive",
        "disk_free_bytes", "disk_free_ratio", "inodes_free_ratio", "host_memory_used_ratio",
        "host_load_per_cpu", "alerts", "alerts_firing", "report_duration_seconds",
        "backup_age_seconds", "backup_bytes", "backup_drill_age_seconds", "backup_drill_failed",
        "backup_recovery_seconds",
    ]
    private static func renamed(_ map: ValueMap) -> ValueMap {
        ValueMap(
            distinct: map.entries.map { entry in
                let key = entry.key.replacing("_24h", with: "_window")
                return (key, entry.value.mapValue.map { .map(renamed($0)) } ?? entry.value)
            })
    }
    /// The few that a job wants to know.
    public var summary: ValueMap {
        let failed = day.byState.reduce(0) { $0 + ($1.key.isFailure ? $1.value : 0) }
        return [
            "runs": .int(day.runs), "failed": .int(failed), "success_rate": Metrics.number(day.successRate),
            "needs": isPast ? .null : .int(needs.count),
            "alerts": isPast ? .null : .int(alerts.count { $0.state.level != nil }),
        ]
    }
    private var fieldsOfDay: ValueMap {
        let number = Metrics.number, whole = Metrics.whole
        let answers = answers
        let people: Set<Wait.Reason> = [.approval, .held, .interrupted]
        var map: ValueMap = [
            "generated_at": .string(now.rfc3339), "version": .string(version),
            "queue_depth_current": .int(queues.reduce(0) { $0 + $1.waiting }),
            "queue_depth_peak_24h": .int(depthPeak),
            "runs_24h": .int(day.runs),
            "runs_per_hour_24h": .double(
                (Double(day.runs) / (Double(stretch.milliseconds) / 3_600_000) * 1000).rounded() / 1000),
            "trend_runs_24h": .list(day.hours.map { .int($0.runs) }),
            "trend_failed_24h": .list(day.hours.map { .int($0.failed) }),
            "success_rate_24h": number(day.successRate), "retry_rate_24h": number(day.retryRate),
        ]
        let hour = day.hours.last ?? (0, 0)
        map["runs_1h"] = .int(hour.runs)
        map["failure_rate_1h"] = number(OutcomeTally.share(hour.failed, hour.runs))
        map["failure_rate_24h"] = number(day.failureRate)
        map["runs_by_state_24h"] = .map(
            ValueMap(distinct: FinalState.allCases.map { ($0.rawValue, .int(day.byState[$0] ?? 0)) }))
        map["median_duration_ms_24h"] = whole(day.duration(0.5))
        map["p95_duration_ms_24h"] = whole(day.duration(0.95))
        map["p99_duration_ms_24h"] = whole(day.duration(0.99))
        map["median_wait_ms_24h"] = whole(day.wait(0.5))
        map["p95_wait_ms_24h"] = whole(day.wait(0.95))
        map["p99_wait_ms_24h"] = whole(day.wait(0.99))
        map["p95_step_latency_ms_24h"] = whole(OutcomeTally.percentile(stepDurations, 0.95))
        map["top_errors_24h"] = .list(
            FailureClusters.sorted(day.errors).prefix(10).map {
                .map(["code": .string($0.name), "count": .int($0.count)])
            })
        map["top_failure_clusters_24h"] = .list(
            clusters.filter { $0.count > 0 }.prefix(10).map { .map($0.fields) })
        map["failure_cluster_diversity"] = .int(clusters.count { $0.count > 0 })
        map["failure_cluster_entropy"] = .double(entropy)
        map["connection_failures_1h"] = .int(
            clusters.first { $0.id == "NETWORK_ERROR" }?.countOfHour ?? 0)
        map["rolling_7d"] = .map([
            "runs": .int(week.runs), "success_rate": number(week.successRate),
            "retry_rate": number(week.retryRate), "median_duration_ms": whole(week.duration(0.5)),
            "p95_duration_ms": whole(week.duration(0.95)),
            "runs_by_day": .list(week.days.map { .int($0.runs) }),
            "failed_by_day": .list(week.days.map { .int($0.failed) }),
            "busy_ratio_by_day": .list(busyByDay.map(number)),
        ])
        map["user_active_sessions"] = .int(activeUsers.count)
        map["rbac_denied_24h"] = .int(count("access.denied"))
        map["approvals_required_24h"] = .int(
            answers.approved + answers.denied + answers.timedOut + (liveWaits[.approval] ?? 0))
        map["approvals_granted_24h"] = .int(answers.approved)
        map["hitl_interventions_24h"] = .int(answers.approved + answers.denied)
        map["hitl_approved_24h"] = .int(answers.approved)
        map["hitl_denied_24h"] = .int(answers.denied)
        map["hitl_timeouts_24h"] = .int(answers.timedOut)
        map["hitl_approval_rate_24h"] = number(
            OutcomeTally.share(answers.approved, answers.approved + answers.denied + answers.timedOut))
        map["hitl_pauses_24h"] = .int((waits[.approval] ?? 0) + (liveWaits[.approval] ?? 0))
        map["manual_pauses_24h"] = .int((waits[.held] ?? 0) + (liveWaits[.held] ?? 0))
        map["error_pauses_24h"] = .int((waits[.interrupted] ?? 0) + (liveWaits[.interrupted] ?? 0))
        map["resumes_24h"] = .int(waits.reduce(0) { $0 + (people.contains($1.key) ? $1.value : 0) })
        map["paused_runs_current"] = .int(
            liveWaits.reduce(0) { $0 + (people.contains($1.key) ? $1.value : 0) })
        map["interrupted_runs_current"] = .int(liveWaits[.interrupted] ?? 0)
        map["scheduled_runs_24h"] = .int(fires("schedule"))
        map["folder_triggers_24h"] = .int(fires("watcher"))
        map["webhook_triggers_24h"] = .int(fires("event"))
        map["secrets_lookups_24h"] = .int(count("secret.read"))
        map["secrets_errors_24h"] = .int(count("secret.missing"))
        map["scheduler_metrics"] = .map(schedulerFields)
        map["queues"] = .map(ValueMap(distinct: queues.map { ($0.name, .map($0.fields)) }))
        map["slowest_jobs_24h"] = .list(slowest.map { .map($0) })
        map["runners_alive"] = .int(runnersAlive)
        map["disk_free_bytes"] = .int(diskFreeBytes)
        map["disk_free_ratio"] = number(diskFreeRatio)
        map["inodes_free_ratio"] = number(inodesFreeRatio)
        map["host_memory_used_ratio"] = number(memoryUsedRatio)
        map["host_load_per_cpu"] = number(loadPerProcessor)
        map.merge(backupFields)
        map["alerts"] = .list(alerts.map { .map($0.fields) })
        map["report_duration_seconds"] = took.map { .double(Double($0.milliseconds) / 1000) } ?? .null
        map["alerts_firing"] = .int(alerts.count { $0.state.level != nil })
        return map
    }
}

extension Metrics.Queue {
    public var fields: ValueMap {
        var map: ValueMap = ["waiting": .int(waiting), "running": .int(running), "parked": .int(parked)]
        map["oldest_seconds"] = oldest.map { .double(Double($0.milliseconds) / 1000) } ?? .null
        map["waiting_by_priority"] = .list(byPriority.map(Value.int))
        if !byAge.isEmpty {
            map["waiting_by_age"] = .map(
                ValueMap(distinct: zip(Metrics.Queue.ageWords, byAge).map { ($0, .int($1)) }))
        }
        map["max_concurrent"] = .int(limit)
        map["paused"] = .bool(isPaused)
        return map
    }
}

extension OutcomeTally {
    /// Milliseconds that the runs of each day took, counted where they ended.
    public var busyDays: [Int] {
        stride(from: busy.count % 24, to: busy.count, by: 24).map { start in
            busy[start..<min(start + 24, busy.count)].reduce(0, +)
        }
    }
    /// Whole days back from `until`, the last one ending there.
    public var days: [(runs: Int, failed: Int)] {
        stride(from: hours.count % 24, to: hours.count, by: 24).map { start in
            let day = hours[start..<min(start + 24, hours.count)]
            return (day.reduce(0) { $0 + $1.runs }, day.reduce(0) { $0 + $1.failed })
        }
    }
}
