// What this is: the thread that keeps reports/ up to date, every minute: the numbers and the report in its forms.
// Owns: its lock (one reporter of a site writes), the samples of the queues' depth, the names of new clusters.
// Never: is in the way of a run; leaves half a file: each is written beside and renamed.
// On failure: what cannot be read or written is logged once until it works again; the files of before stay.
import Glibc
import JobModel
import LinuxSystem
import Reporting
import SpoolQueue

public final class Reporter: Sendable {
    static let interval = Span.seconds(60).nanoseconds
    /// Until the index is there.
    static let patience = Span.milliseconds(500).nanoseconds
    private struct State {
        var isClosing = false
        var isAsked = false
        var trouble: String?
        var ruleTrouble: String?
    }
    private let site: Site
    private let log: DaemonLog
    private let history: HistoryFile
    private let notices: Notices
    /// While the index is being filled, its numbers are not those of the site.
    private let isIndexWhole: @Sendable () -> Bool
    private let state = Monitor(State())
    private let thread = Monitor<BlockingThread?>(nil)

    init(
        _ site: Site, log: DaemonLog, notices: Notices, isIndexWhole: @escaping @Sendable () -> Bool
    ) throws {
        self.isIndexWhole = isIndexWhole
        self.notices = notices
        self.site = site
        self.log = log
        history = HistoryFile(site.spool, log)
        let started = try BlockingThread.start("reporter") { self.loop() }
        thread.with { $0 = started }
    }

    /// A reporter without a runner, until SIGTERM or Ctrl-C; SIGHUP: now. The index is whatever the leader makes of it.
    public static func work(_ site: Site, echo: Bool) throws {
        ProcessSetup.prepare()
        let signals = try SignalInbox([SIGTERM, SIGINT, SIGHUP])
        let log = DaemonLog(site.spool.log, echo: echo)
        let notices = Notices(site, log: log)
        let reporter = try Reporter(site, log: log, notices: notices) { true }
        while true {
            guard try Waker.sleep([signals.fd], until: nil).contains(true), let signal = signals.next() else {
                continue
            }
            guard signal == SIGHUP else { break }
            reporter.reportNow()
        }
        reporter.close()
        notices.close()
    }

    /// Without waiting for the minute.
    func reportNow() { state.broadcast { $0.isAsked = true } }
    func close() {
        state.broadcast { $0.isClosing = true }
        thread.with { $0 }?.join()
    }

    private func loop() {
        var lock: FileLock?
        var desk: AlertDesk?
        var isSecond = false
        let memory = EndMemory()
        while true {
            var pause = Reporter.interval
            do {
                if lock == nil { lock = try FileLock.take(SpoolName.reporterLock, in: site.spool.state) }
                if lock != nil, desk == nil { desk = try AlertDesk(site, log: log, notices: notices) }
                if lock == nil, !isSecond {
                    isSecond = true
                    log.warn("reporter", "another process of this site reports; this one waits for its end")
                }
                // Without it another process reports.
                let isDone = try desk.map { isIndexWhole() ? try report($0, memory) : false } ?? true
                if !isDone { pause = Reporter.patience }
                tell(nil)
            } catch {
                tell(Reporter.sentence(error))
            }
            let isClosing = state.wait(until: Clocks.monotonic + pause) { state -> Bool? in
                defer { state.isAsked = false }
                return state.isClosing ? true : state.isAsked ? false : nil
            }
            if isClosing == true { break }
        }
        desk?.close()
        withExtendedLifetime(lock) {}
    }
    /// An error in words, without the marks of the language that it was made in.
    static func sentence(_ error: any Error) -> String {
        switch error {
        case let failure as Failure:
            "\(failure.message) [\(failure.code)]" + (failure.whatToDo.isEmpty ? "" : "; \(failure.whatToDo)")
        case let problem as ConfigurationProblem: problem.text
        default: "\(error)"
        }
    }
    private func tell(_ trouble: String?) {
        let before = state.with { state in
            defer { state.trouble = trouble }
            return state.trouble
        }
        guard trouble != before else { return }
        if let trouble {
            log.error("reporter", "reports/ is not up to date: \(trouble)")
        } else {
            log.info("reporter", "reports/ is up to date again")
        }
    }

    /// False: there is nothing to report from yet; the files of before stay.
    private func report(_ desk: AlertDesk, _ memory: EndMemory) throws -> Bool {
        let now = Timestamp(nanoseconds: Clocks.wall), begin = Clocks.monotonic
        var report = try SiteReport(site, now: now, memory: memory)
        guard report.hasHistory else { return false }
        // A disk that is full keeps alerts from moving, not the numbers from being written where there is room again.
        var areAlertsKnown = false
        do { areAlertsKnown = try desk.look(&report.metrics, report.acknowledgements) } catch {
            log.error("alerts", "no look at the alerts this time: \(Reporter.sentence(error))")
        }
        history.append(
            [FactFiles.sampleLine(report.metrics.depthSamples)]
                + ClusterMemory.lines(report.metrics.clusters.filter { $0.count > 0 }, besides: report.known),
            at: now)
        report.metrics.took = Span(nanoseconds: Clocks.monotonic - begin)
        try ReportFiles(site).write(report.metrics, live: report.live, areAlertsKnown: areAlertsKnown)
        tellRules(report.ruleTrouble)
        return true
    }
    private func tellRules(_ trouble: String?) {
        let before = state.with { state in
            defer { state.ruleTrouble = trouble }
            return state.ruleTrouble
        }
        if let trouble, trouble != before {
            log.warn("reporter", "the site's own failure rules do not hold: \(trouble)")
        }
    }
}

/// The files of reports/: the numbers, and the report in its three forms with its pages, as it is now and as the last of each day.
public struct ReportFiles {
    public static let json = "metrics.json", prometheus = "metrics.prom"
    public static let latest = "latest", daily = "daily"
    private static let alertEnding = ".json"
    private let site: Site
    public init(_ site: Site) { self.site = site }

    func write(_ metrics: Metrics, live: [RunRecord], areAlertsKnown: Bool) throws {
        var metrics = metrics
        let reports = try site.spool.site.makeDirectory(SpoolName.reports)
        // First what the report links to.
        metrics.pages = try ReportPages(site).write(metrics, live: live, into: reports)
        let numbers = JSONText.write(.map(metrics.fields)) + "\n"
        let latest = try reports.makeDirectory(ReportFiles.latest)
        let today = try reports.makeDirectory(ReportFiles.daily).makeDirectory(metrics.now.utcDay)
        for (directory, up) in [(latest, ".."), (today, "../..")] {
            metrics.pagesFrom = up
            try put(metrics.page, "index.html", directory)
            try put(metrics.markdown, "report.md", directory)
            try put(numbers, "report.json", directory)
        }
        // Something odd in the way of one of these files does not keep the numbers back.
        var trouble: (any Error)?
        if areAlertsKnown { do { try putAlerts(metrics.alerts, reports) } catch { trouble = error } }
        try put(metrics.prometheus, ReportFiles.prometheus, reports)
        // The last one: who sees it has all the others of the same instant.
        try put(numbers, ReportFiles.json, reports)
        if let trouble { throw trouble }
    }
    /// One file for each alert that fires or is about to; of the others there is none, so that `ls` tells.
    private func putAlerts(_ alerts: [Alert], _ reports: Directory) throws(SystemError) {
        let directory = try reports.makeDirectory(SpoolName.alerts)
        var names: Set<String> = []
        for alert in alerts where alert.state.level != nil || alert.state.pending != nil {
            let name = AlertView.fileName(alert)
            names.insert(name)
            try put(JSONText.write(.map(alert.fields), pretty: true) + "\n", name, directory)
        }
        for name in try directory.names()
        where name.hasSuffix(ReportFiles.alertEnding) && !names.contains(name) {
            try directory.removeIfPresent(name)
        }
    }
    private func put(_ text: String, _ name: String, _ directory: Directory) throws(SystemError) {
        try AtomicFile.write(Array(text.utf8), to: name, in: directory, existing: .replace, durable: false)
    }
}
