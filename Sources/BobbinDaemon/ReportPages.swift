// What this is: pages beside the report: one for each kind of failure, one for each run that the report speaks of.
// Owns: reports/runs/ and reports/clusters/: which runs get a page, and when a page goes.
// Never: makes the page of an ended run twice; reads more of a log than its end.
// On failure: a run whose files are gone has no page, and is named by its command instead; SystemError of the writing.
import JobModel
import LinuxSystem
import Reporting
import SpoolQueue

struct ReportPages {
    static let runs = "runs", clusters = "clusters"
    private static let mostClusters = 20, runsOfCluster = 5, mostLive = 50
    private static let endOfLog = 8 << 10, mostLogs = 20
    /// Days of reports/daily/ that link to a page go before the page does.
    private static let kept = Span.seconds(35 * 86_400)
    private let site: Site
    init(_ site: Site) { self.site = site }

    /// Writes what is missing. Returns the files there are, relative to reports/.
    func write(_ metrics: Metrics, live: [RunRecord], into reports: Directory) throws -> Set<String> {
        let failing = metrics.clusters.filter { $0.count > 0 && ReportPages.isFit($0.id) }
            .prefix(ReportPages.mostClusters)
        let runsDirectory = try reports.makeDirectory(ReportPages.runs)
        try removeOld(in: runsDirectory, metrics.now)
        var there = Set(try runsDirectory.names())
        let files = FinalFiles(site.spool)
        for run in failing.flatMap({ $0.runs.prefix(ReportPages.runsOfCluster) }) {
            let name = ReportPages.name(run)
            // A page made while the run waited for somebody is made anew after its end.
            guard try !there.contains(name) || isOpen(name, in: runsDirectory), let found = files.find(run),
                let record = files.read(found)
            else { continue }
            try put(RunPage.html(record, logs: logs(record), now: metrics.now), name, runsDirectory)
            there.insert(name)
        }
        let waiting = live.filter {
            if case .waiting(let wait) = $0.state {
                [.approval, .interrupted].contains(wait.reason)
            } else {
                false
            }
        }
        for record in waiting.prefix(ReportPages.mostLive) {
            let name = ReportPages.name(record.id)
            try put(RunPage.html(record, logs: logs(record), now: metrics.now), name, runsDirectory)
            there.insert(name)
        }
        try makeClusters(failing, metrics.now, there, reports)
        return Set(there.map { "\(ReportPages.runs)/\($0)" })
            .union(failing.map { "\(ReportPages.clusters)/\(ReportPages.name($0))" })
    }
    private func isOpen(_ name: String, in directory: Directory) throws -> Bool {
        // The style comes first, and is no longer than this.
        let bytes = try directory.openForReading(name).read(upTo: 16 << 10)
        return String(decoding: bytes, as: UTF8.self).contains(RunPage.openMark)
    }
    private static func name(_ run: RunID) -> String { "\(run).html" }
    private static func name(_ cluster: FailureCluster) -> String { cluster.id + ".html" }
    /// Ids are letters, digits, `_` and `-`; what a damaged line of the history says otherwise becomes no file.
    private static func isFit(_ id: String) -> Bool {
        (1...100).contains(id.utf8.count)
            && id.utf8.allSatisfy {
                (0x30...0x39).contains($0) || (0x61...0x7A).contains($0 | 0x20) || $0 == 0x5F || $0 == 0x2D
            }
    }

    private func makeClusters(
        _ failing: ArraySlice<FailureCluster>, _ now: Timestamp, _ there: Set<String>, _ reports: Directory
    ) throws {
        let directory = try reports.makeDirectory(ReportPages.clusters)
        for cluster in failing {
            let page = ClusterPage.html(cluster, now: now) { run in
                there.contains(ReportPages.name(run))
                    ? "../\(ReportPages.runs)/\(ReportPages.name(run))" : nil
            }
            try put(page, ReportPages.name(cluster), directory)
        }
        try removeOld(in: directory, now)
    }

    /// The ends of its logs, the latest steps first where there are many.
    private func logs(_ record: RunRecord) -> [RunPage.Log] {
        let said = record.steps.filter { $0.log != nil }.suffix(ReportPages.mostLogs)
        return said.compactMap { step in
            guard let path = step.log, let slash = path.lastIndex(of: "/") else { return nil }
            // A log that is gone (retention) is not shown.
            guard let directory = try? site.spool.root.directory(String(path[..<slash])),
                let file = try? directory.openForReading(String(path[path.index(after: slash)...])),
                let size = try? file.status().size,
                let bytes = try? file.read(
                    upTo: ReportPages.endOfLog, from: max(0, size - ReportPages.endOfLog))
            else { return nil }
            let isCut = size > ReportPages.endOfLog
            var text = String(decoding: bytes, as: UTF8.self)
            if isCut, let end = text.firstIndex(where: \.isNewline) {
                text = String(text[text.index(after: end)...])
            }
            // Lines that end as on other systems are lines all the same.
            text = text.split(separator: "\r\n", omittingEmptySubsequences: false).joined(separator: "\n")
            return RunPage.Log(step: "\(step.label) \(step.title)", text: text, isCut: isCut)
        }
    }

    private func removeOld(in directory: Directory, _ now: Timestamp) throws {
        for name in try directory.names() where name.hasSuffix(".html") {
            guard let status = try directory.statusIfPresent(name),
                now.since(Timestamp(nanoseconds: status.modified)) > ReportPages.kept
            else { continue }
            try directory.removeIfPresent(name)
        }
    }
    private func put(_ text: String, _ name: String, _ directory: Directory) throws(SystemError) {
        try AtomicFile.write(Array(text.utf8), to: name, in: directory, existing: .replace, durable: false)
    }
}
