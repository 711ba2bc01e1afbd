// What this is: the numbers as Prometheus reads them, for node_exporter's textfile collector.
// Owns: names, help texts, labels; the text format 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats).
// Never: puts a run, a user, a job or a message into a label: what has many values makes many series.
// On failure: cannot fail.
import JobModel

extension Metrics {
    public var prometheus: String {
        var text = PrometheusText()
        runTotals(&text)
        now(&text)
        host(&text)
        past(&text)
        return text.text
    }

    private func runTotals(_ text: inout PrometheusText) {
        let states = totals.filter { $0.measure == .state }
        text.family("bobbin_runs_total", "counter", "Runs that ended, by queue and state.")
        for row in states {
            text.value("bobbin_runs_total", ["queue": row.queue, "state": row.group], Double(row.number))
        }
        text.family("orchestrator_runs_total", "counter", "Runs that ended, by status.")
        for state in FinalState.allCases {
            let number = states.filter { $0.group == state.rawValue }.reduce(0) { $0 + $1.number }
            text.value("orchestrator_runs_total", ["status": state.rawValue], Double(number))
        }
        let queues = Set(totals.map(\.queue)).sorted()
        for (measure, name, help) in [
            (RunTotal.Measure.run, "bobbin_run_duration_seconds", "From a run's first step to its end."),
            (.wait, "bobbin_run_wait_seconds", "From a drop's arrival to its first step."),
        ] {
            text.family(name, "histogram", help)
            for queue in queues {
                histogram(
                    &text, name, ["queue": queue],
                    totals.filter { $0.measure == measure && $0.queue == queue })
            }
        }
        text.family(
            "orchestrator_run_duration_seconds", "histogram",
            "From a run's first step to its end, all queues.")
        histogram(&text, "orchestrator_run_duration_seconds", [:], totals.filter { $0.measure == .run })
    }

    private func histogram(
        _ text: inout PrometheusText, _ name: String, _ labels: KeyValuePairs<String, String>,
        _ rows: [RunTotal]
    ) {
        let labels = Array(labels.map { ($0.key, $0.value) })
        var below = 0
        for (index, bound) in DurationBuckets.bounds.enumerated() {
            below += rows.filter { $0.group == String(index) }.reduce(0) { $0 + $1.number }
            text.value(
                name + "_bucket", labels + [("le", PrometheusText.number(Double(bound) / 1000))],
                Double(below))
        }
        let all = rows.reduce(0) { $0 + $1.number }
        text.value(name + "_bucket", labels + [("le", "+Inf")], Double(all))
        text.value(name + "_sum", labels, Double(rows.reduce(0) { $0 + $1.sum }) / 1000)
        text.value(name + "_count", labels, Double(all))
    }

    private func now(_ text: inout PrometheusText) {
        func byQueue(_ name: String, _ help: String, _ value: (Queue) -> Double) {
            text.family(name, "gauge", help)
            for queue in queues { text.value(name, ["queue": queue.name], value(queue)) }
        }
        byQueue("bobbin_queue_waiting", "Drops that nobody has taken yet.") { Double($0.waiting) }
        byQueue("bobbin_queue_running", "Runs in work.") { Double($0.running) }
        byQueue("bobbin_queue_parked", "Runs that wait for something.") { Double($0.parked) }
        byQueue("bobbin_queue_oldest_seconds", "Age of the oldest waiting drop.") {
            $0.oldest.map { Double($0.milliseconds) / 1000 } ?? 0
        }
        byQueue("bobbin_queue_limit", "Runs that may be in work at one time.") { Double($0.limit) }
        text.family("bobbin_runs_parked", "gauge", "Runs that wait, by what they wait for.")
        for reason in Wait.Reason.allCases {
            text.value("bobbin_runs_parked", ["reason": reason.rawValue], Double(liveWaits[reason] ?? 0))
        }
        text.single("bobbin_runners", "Runner processes that are alive.", Double(runnersAlive))
        text.single("bobbin_disk_free_bytes", "Free space below the spool.", Double(diskFreeBytes))
        text.single(
            "bobbin_report_timestamp_seconds", "When these numbers were made.",
            Double(now.milliseconds) / 1000)
        if let took {
            text.single(
                "bobbin_report_duration_seconds", "How long it took to gather these numbers.",
                Double(took.milliseconds) / 1000)
        }
        for (name, help, key) in [
            (
                "bobbin_backup_age_seconds", "Since the newest bundle of the site was made.",
                "backup_age_seconds"
            ),
            ("bobbin_backup_bytes", "Size of the newest bundle.", "backup_bytes"),
            (
                "bobbin_backup_drill_age_seconds", "Since a bundle was last brought back as a drill.",
                "backup_drill_age_seconds"
            ),
            ("bobbin_backup_drill_failed", "Whether the last drill failed.", "backup_drill_failed"),
            (
                "bobbin_backup_recovery_seconds", "What the last drill took until a job had run.",
                "backup_recovery_seconds"
            ),
        ] {
            if let value = backupFields[key]?.doubleValue { text.single(name, help, value) }
        }
        text.family("bobbin_build_info", "gauge", "The version, as a label.")
        text.value("bobbin_build_info", ["version": version], 1)
        text.single("bobbin_schedules_enabled", "Schedules that are switched on.", Double(schedules.enabled))
        if let next = schedules.next {
            text.single(
                "bobbin_schedule_next_timestamp_seconds", "When the next schedule is due.",
                Double(next.at.milliseconds) / 1000)
        }
    }

    private func host(_ text: inout PrometheusText) {
        func share(_ name: String, _ help: String, _ value: Double?) {
            if let value { text.single(name, help, value) }
        }
        share("bobbin_disk_free_ratio", "Share of the spool's file system that is free.", diskFreeRatio)
        share("bobbin_inodes_free_ratio", "Share of its inodes that are free.", inodesFreeRatio)
        share("bobbin_host_memory_used_ratio", "Share of the machine's memory in use.", memoryUsedRatio)
        share("bobbin_host_load_per_cpu", "Load of a minute for each processor.", loadPerProcessor)
        text.family("bobbin_alerts_firing", "gauge", "Alerts of ops/alerts.yaml that fire, by severity.")
        for level in AlertLevel.allCases {
            let number = alerts.count { $0.state.level == level }
            text.value("bobbin_alerts_firing", ["severity": level.rawValue], Double(number))
        }
    }

    private func past(_ text: inout PrometheusText) {
        if let rate = day.successRate {
            text.single("bobbin_success_ratio", "Share of the runs of 24 hours that succeeded.", rate)
        }
        if let hour = day.hours.last, let rate = OutcomeTally.share(hour.failed, hour.runs) {
            text.single("bobbin_failure_ratio_1h", "Share of the runs of the last hour that failed.", rate)
        }
        if let rate = day.retryRate {
            text.single("bobbin_retry_ratio", "Share of the runs of 24 hours that were tried again.", rate)
        }
        text.single("bobbin_active_users", "People who did something in 24 hours.", Double(activeUsers.count))
        text.single(
            "bobbin_failure_clusters", "Kinds of failures in 24 hours.",
            Double(clusters.count { $0.count > 0 }))
        text.family("bobbin_failures", "gauge", "Failures of 24 hours, by the severity of their cluster.")
        for severity in Severity.allCases {
            let number = clusters.filter { $0.severity == severity }.reduce(0) { $0 + $1.count }
            text.value("bobbin_failures", ["severity": severity.rawValue], Double(number))
        }
        func counted(_ name: String, _ help: String, _ kind: String, _ label: String?, _ groups: [String]) {
            text.family(name, "counter", help)
            for group in groups {
                let number = factCounts.filter { $0.kind == kind && (label == nil || $0.group == group) }
                    .reduce(0) { $0 + $1.number }
                text.value(name, label.map { [($0, group)] } ?? [], Double(number))
            }
        }
        counted(
            "bobbin_access_denied_total", "What was refused for want of a right.", "access.denied", nil, [""])
        counted("bobbin_secret_lookups_total", "Secrets that were given to steps.", "secret.read", nil, [""])
        counted(
            "bobbin_trigger_fires_total", "Jobs that triggers dropped.", "trigger.fired", "type",
            ["schedule", "watcher", "event"])
        counted(
            "bobbin_approvals_total", "Questions that people answered.", "approval.decided", "outcome",
            ["approve", "deny"])
        counted(
            "bobbin_approvals_expired_total", "Questions that nobody answered in time.", "approval.expired",
            nil, [""])
    }
}

struct PrometheusText {
    private(set) var text = ""

    mutating func family(_ name: String, _ type: String, _ help: String) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
    }
    mutating func single(_ name: String, _ help: String, _ value: Double) {
        family(name, "gauge", help)
        self.value(name, [(String, String)](), value)
    }
    mutating func value(_ name: String, _ labels: KeyValuePairs<String, String>, _ value: Double) {
        self.value(name, labels.map { ($0.key, $0.value) }, value)
    }
    mutating func value(_ name: String, _ labels: [(String, String)], _ value: Double) {
        let inside = labels.map { "\($0.0)=\"\(PrometheusText.escaped($0.1))\"" }.joined(separator: ",")
        text += name + (inside.isEmpty ? "" : "{\(inside)}") + " \(PrometheusText.number(value))\n"
    }
    static func number(_ value: Double) -> String {
        value == value.rounded() && abs(value) < 1e15 ? String(Int64(value)) : String(value)
    }
    private static func escaped(_ text: String) -> String {
        text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
    }
}
