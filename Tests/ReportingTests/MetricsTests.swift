// What this is: tests of every metric on a history made by hand, small enough to be counted on fingers.
// Owns: that history.
// Never: takes an expected value from the code.
// On failure: names the metric.
import JobModel
import Testing

@testable import Reporting

private let now = Timestamp(rfc3339: "2026-11-28T12:00:00Z") ?? Timestamp(seconds: 0)
private func ago(_ minutes: Int64) -> Timestamp { now.adding(.seconds(-60 * minutes)) }
private func id(_ number: Int) -> RunID {
    var maker = RunIDMaker()
    return maker.next(now: ago(Int64(number)), random: (3, UInt64(number)))
}
private func outcome(
    _ number: Int, _ minutes: Int64, _ state: FinalState = .succeeded, job: String = "report",
    user: String = "alice",
    waited: Int = 1_000, ran: Int? = 10_000, attempts: Int = 1, isRequeued: Bool = false, code: String? = nil,
    message: String = "", step: String? = "1"
) -> RunOutcome {
    RunOutcome(
        id: id(number), job: job, queue: "default", state: state, user: user, isRequeued: isRequeued,
        ended: ago(minutes), waited: waited, ran: ran, attempts: attempts,
        error: code.map { ErrorSummary(code: $0, message: message, step: step) }, runner: "main")
}
private func fact(
    _ kind: String, _ minutes: Int64, subject: String = "s", user: String? = nil, outcome: String = ""
)
    -> HistoryFact
{
    HistoryFact(
        source: "x", place: Int(minutes), at: ago(minutes), kind: kind, subject: subject,
        user: user.map { Submitter(uid: 7, name: $0) }, outcome: outcome, detail: [:])
}

@Suite("metrics") struct MetricsTests {
    /// Ten runs of a day (one skipped, one cancelled) and two of the days before.
    private static let outcomes = [
        outcome(1, 10, ran: 1_000), outcome(2, 20, ran: 2_000), outcome(3, 30, ran: 3_000, attempts: 2),
        outcome(4, 90, ran: 4_000, isRequeued: true), outcome(5, 100, job: "other", user: "bob", ran: 50_000),
        outcome(6, 110, .failed, waited: 9_000, code: "E-EXIT", message: "status 3 of /bin/x"),
        outcome(7, 120, .failed, code: "E-EXIT", message: "status 4 of /bin/y"),
        outcome(8, 130, .timedOut, job: "other", code: "E-FILE-MISSING", message: "no such file"),
        outcome(9, 140, .cancelled, user: "carol", ran: nil),
        outcome(10, 150, .skipped, user: "dave", ran: nil),
        outcome(11, 3 * 1440, .failed, code: "E-EXIT", message: "status 9 of /bin/z"),
        outcome(12, 6 * 1440, ran: 7_000),
    ]
    private static let facts = [
        fact("access.denied", 5, user: "mallory"),
        fact("approval.decided", 6, user: "boss", outcome: "approve"),
        fact("approval.decided", 7, user: "boss", outcome: "deny"),
        fact("approval.decided", 8, outcome: "approve"),
        fact("approval.expired", 9, outcome: "deny"), fact("secret.read", 10), fact("secret.read", 11),
        fact("secret.missing", 12), fact("trigger.fired", 13, subject: "schedule/a"),
        fact("trigger.fired", 14, subject: "schedule/b"), fact("trigger.skipped", 15, subject: "schedule/a"),
        fact("trigger.fired", 16, subject: "watcher/w"), fact("trigger.fired", 17, subject: "event/e"),
        fact("trigger.refused", 18, subject: "event/e"),
    ]

    private static func metrics() -> Metrics {
        let until = now.adding(.milliseconds(1))
        var day = OutcomeTally(since: ago(1440), until: until, measuresDepth: true)
        var week = OutcomeTally(since: ago(7 * 1440), until: until)
        var clusters = FailureClusters(rules: FailureRule.builtIn, known: [], since: ago(1440))
        for outcome in outcomes.sorted(by: { $0.ended < $1.ended }) {
            day.add(outcome)
            week.add(outcome)
            clusters.add(outcome)
        }
        day.finish()
        week.finish()
        var metrics = Metrics(now: now, day: day, week: week)
        metrics.facts = facts
        metrics.clusters = clusters.clusters()
        metrics.samples = [
            DepthSample(at: ago(50), queue: "default", waiting: 30, running: 1, parked: 0, oldest: nil),
            DepthSample(at: ago(50), queue: "other", waiting: 12, running: 1, parked: 0, oldest: nil),
            DepthSample(at: ago(40), queue: "default", waiting: 41, running: 1, parked: 0, oldest: nil),
        ]
        metrics.queues = [
            Metrics.Queue(
                name: "default", byPriority: [1, 0, 2], running: 1, parked: 2, oldest: .seconds(61),
                isPaused: false, limit: 3)
        ]
        metrics.queues[0].byAge = [2, 1, 0, 0, 0, 0, 0]
        metrics.diskFreeRatio = 0.25
        metrics.waits = [.approval: 2, .held: 1, .retry: 4]
        metrics.liveWaits = [.approval: 1, .interrupted: 1, .retry: 3]
        metrics.scheduled = [.succeeded: 3, .failed: 1, .skipped: 5]
        metrics.stepDurations = Array(1...100)
        metrics.schedules = Metrics.Schedules(enabled: 2, next: ("a", now.adding(.seconds(60))))
        metrics.totals = [
            RunTotal(queue: "default", measure: .state, group: "succeeded", number: 6, sum: 0),
            RunTotal(queue: "default", measure: .state, group: "failed", number: 2, sum: 0),
            RunTotal(queue: "default", measure: .run, group: "4", number: 3, sum: 2_400),
            RunTotal(queue: "default", measure: .run, group: "15", number: 1, sum: 90_000_000),
            RunTotal(queue: "other", measure: .state, group: "failed", number: 1, sum: 0),
        ]
        metrics.version = "1"
        return metrics
    }

    @Test(
        "each metric of metrics.json",
        arguments: [
            ("queue_depth_current", "3"), ("queue_depth_peak_24h", "42"), ("runs_24h", "9"),
            ("runs_per_hour_24h", "0.375"), ("success_rate_24h", "0.625"), ("retry_rate_24h", "0.2222"),
            // Of 1 2 3 4 10 10 10 50 seconds: the fourth and the eighth of eight.
            ("median_duration_ms_24h", "4000"), ("p95_duration_ms_24h", "50000"),
            ("p99_duration_ms_24h", "50000"),
            ("median_wait_ms_24h", "1000"), ("p95_wait_ms_24h", "9000"), ("p95_step_latency_ms_24h", "95"),
            ("failure_cluster_diversity", "2"), ("failure_cluster_entropy", "0.918"),
            ("user_active_sessions", "5"), ("rbac_denied_24h", "1"), ("approvals_required_24h", "5"),
            ("approvals_granted_24h", "2"), ("hitl_interventions_24h", "3"), ("hitl_approved_24h", "2"),
            ("hitl_denied_24h", "1"), ("hitl_timeouts_24h", "1"), ("hitl_approval_rate_24h", "0.5"),
            ("hitl_pauses_24h", "3"), ("manual_pauses_24h", "1"), ("error_pauses_24h", "1"),
            ("resumes_24h", "3"),
            ("paused_runs_current", "2"), ("scheduled_runs_24h", "2"), ("folder_triggers_24h", "1"),
            ("webhook_triggers_24h", "1"), ("secrets_lookups_24h", "2"), ("secrets_errors_24h", "1"),
            ("scheduler_metrics.schedules_enabled", "2"), ("scheduler_metrics.next_schedule", "\"a\""),
            ("scheduler_metrics.schedule_success_rate_24h", "0.75"),
            ("scheduler_metrics.schedule_failures_24h", "1"),
            ("scheduler_metrics.schedule_skipped_24h", "1"), ("scheduler_metrics.webhook_refused_24h", "1"),
            ("rolling_7d.runs", "11"), ("rolling_7d.success_rate", "0.6"),
            ("rolling_7d.median_duration_ms", "7000"),
            ("rolling_7d.failed_by_day", "[0,0,0,1,0,0,3]"),
            ("queues.default.oldest_seconds", "61.0"), ("queues.default.waiting_by_priority", "[1,0,2]"),
            ("top_errors_24h", #"[{"code":"E-EXIT","count":2},{"code":"E-FILE-MISSING","count":1}]"#),
            ("runs_by_state_24h.skipped", "1"),
            // Three of the eight that nobody cancelled; of the last hour none of three.
            ("failure_rate_24h", "0.375"), ("runs_1h", "3"), ("failure_rate_1h", "0.0"),
            ("connection_failures_1h", "0"), ("interrupted_runs_current", "1"),
            // 90 seconds in runs, of three slots for a day; the days before had 10 and 7.
            ("rolling_7d.busy_ratio_by_day", "[0.0,0.0,0.0,0.0,0.0,0.0,0.0003]"),
            (
                "queues.default.waiting_by_age",
                #"{"1 min":2,"5 min":1,"15 min":0,"1 h":0,"4 h":0,"1 d":0,"more":0}"#
            ),
            ("disk_free_ratio", "0.25"), ("inodes_free_ratio", "null"), ("alerts", "[]"),
            ("alerts_firing", "0"),
        ]) func metric(_ path: String, _ expected: String)
    {
        var value = Value.map(MetricsTests.metrics().fields)
        for key in path.split(separator: ".") { value = value.mapValue?[String(key)] ?? .null }
        #expect(JSONText.write(value) == expected, "\(path)")
    }

    @Test("the guide's names are all there") func guideNames() {
        let fields = MetricsTests.metrics().fields
        for name in [
            "queue_depth_peak_24h", "runs_per_hour_24h", "retry_rate_24h", "rbac_denied_24h",
            "user_active_sessions",
            "top_failure_clusters_24h", "failure_cluster_diversity", "success_rate_24h", "scheduler_metrics",
        ] { #expect(fields[name] != nil, "\(name)") }
        #expect(fields["trend_runs_24h"]?.listValue?.count == 24)
        // The last three hours: 10 20 30, 90 100 110, 120 130 140 minutes ago; the skipped one counts nowhere.
        #expect(fields["trend_runs_24h"]?.listValue?.suffix(3) == [.int(3), .int(3), .int(3)])
        #expect(fields["trend_failed_24h"]?.listValue?.suffix(3) == [.int(2), .int(1), .int(0)])
    }

    @Test("of nothing every rate is null, and nothing else fails") func nothing() {
        let until = now.adding(.milliseconds(1))
        let fields = Metrics(
            now: now, day: OutcomeTally(since: ago(1440), until: until),
            week: OutcomeTally(since: ago(10080), until: until)
        ).fields
        #expect(fields["success_rate_24h"] == .null && fields["median_duration_ms_24h"] == .null)
        #expect(fields["failure_cluster_entropy"] == .double(0) && fields["queue_depth_peak_24h"] == .int(0))
    }

    @Test("the depth of a burst that no sample saw: who had arrived and not begun") func depth() {
        var day = OutcomeTally(since: ago(1440), until: now, measuresDepth: true)
        // All five arrive at one time and begin a second after each other; the first at once.
        for number in 0..<5 {
            let start = ago(60).adding(.seconds(Int64(number)))
            var run = outcome(number, 0, waited: number * 1000, ran: 500)
            run.ended = start.adding(.milliseconds(500))
            day.add(run)
        }
        day.finish()
        #expect(day.depthPeak == 4)
    }

    @Test("the entropy is that of the definition") func entropy() {
        for value in [1.0, 2, 3, 0.1, 1024, 0.75] {
            let ours = Metrics.logarithm2(value)
            // 2 to the power of it, by halving: the inverse, computed another way.
            var power = 1.0, rest = ours
            while rest >= 1 { power *= 2; rest -= 1 }
            while rest < 0 { power /= 2; rest += 1 }
            var low = 1.0, high = 2.0
            var bit = 0.5, root = 2.0.squareRoot(), at = 0.0
            while bit > 1e-15 {
                if at + bit <= rest { low *= root; at += bit }
                root = root.squareRoot()
                bit /= 2
            }
            high = power * low
            #expect(abs(high - value) < value * 1e-9, "\(value)")
        }
    }

    @Test("Prometheus' text: families once, cumulative buckets, both guides' names") func prometheus() {
        let text = MetricsTests.metrics().prometheus
        let lines = text.split(separator: "\n").map(String.init)
        let families = lines.filter { $0.hasPrefix("# TYPE") }.map { $0.split(separator: " ")[2] }
        #expect(Set(families).count == families.count)
        #expect(lines.contains(#"bobbin_runs_total{queue="default",state="succeeded"} 6"#))
        #expect(lines.contains(#"orchestrator_runs_total{status="failed"} 3"#))
        #expect(lines.contains(#"bobbin_run_duration_seconds_bucket{queue="default",le="0.5"} 0"#))
        #expect(lines.contains(#"bobbin_run_duration_seconds_bucket{queue="default",le="1"} 3"#))
        #expect(lines.contains(#"bobbin_run_duration_seconds_bucket{queue="default",le="86400"} 3"#))
        #expect(lines.contains(#"bobbin_run_duration_seconds_bucket{queue="default",le="+Inf"} 4"#))
        #expect(lines.contains(#"bobbin_run_duration_seconds_sum{queue="default"} 90002.4"#))
        #expect(lines.contains(#"orchestrator_run_duration_seconds_count 4"#))
        #expect(lines.contains(#"bobbin_queue_waiting{queue="default"} 3"#))
        #expect(text.hasSuffix("\n") && !text.contains("nan"))
    }
}
