// What this is: tests of a report's forms: whole, escaped, small, from nothing to a great deal.
// Owns: metrics with hostile names.
// Never: looks at colours; a browser does that (ops/test --full).
// On failure: shows the tag or the line.
import JobModel
import Testing

@testable import Reporting

@Suite("report forms") struct ReportPageTests {
    private static let now = Timestamp(rfc3339: "2026-11-28T12:00:00Z") ?? Timestamp(seconds: 0)
    private static let evil = "<script>alert('x')</script>&\"`|_*\u{202E}\u{1B}[31m"

    private static func metrics(runs: Int) -> Metrics {
        let until = now.adding(.milliseconds(1)), since = now.adding(.seconds(-86_400))
        var day = OutcomeTally(since: since, until: until, measuresDepth: true)
        var week = OutcomeTally(since: now.adding(.seconds(-7 * 86_400)), until: until)
        var clusters = FailureClusters(rules: FailureRule.builtIn, known: [], since: since)
        var maker = RunIDMaker()
        for number in 0..<runs {
            let ended = now.adding(.seconds(-Int64(number % 86_000)))
            let outcome = RunOutcome(
                id: maker.next(now: ended, random: (1, UInt64(number))), job: evil + "\(number % 40)",
                queue: "default",
                state: number % 2 == 0 ? .failed : .succeeded, user: evil, isRequeued: false, ended: ended,
                waited: number,
                ran: number, attempts: 1,
                error: number % 2 == 0
                    ? ErrorSummary(
                        code: "E-\(number % 60)", message: evil + " anna@example.org said no", step: "1")
                    : nil,
                runner: "main")
            day.add(outcome)
            week.add(outcome)
            clusters.add(outcome)
        }
        day.finish()
        week.finish()
        var metrics = Metrics(now: now, day: day, week: week)
        metrics.clusters = clusters.clusters()
        metrics.attention = (0..<min(runs, 50)).map { Attention(.approval, evil + "\($0)", command: evil) }
        metrics.samples = (0..<min(runs, 1440)).map {
            DepthSample(
                at: now.adding(.seconds(-60 * Int64($0))), queue: evil, waiting: $0 * 1_000_003, running: 0,
                parked: 0, oldest: nil)
        }
        metrics.queues = [
            Metrics.Queue(
                name: evil, byPriority: Array(repeating: runs, count: 9), running: 0, parked: 0,
                oldest: .seconds(90_000),
                isPaused: true, limit: 1)
        ]
        metrics.version = evil
        return metrics
    }

    @Test("a run's and a cluster's page: escaped, masked, every tag closed") func pages() throws {
        let metrics = ReportPageTests.metrics(runs: 40)
        let cluster = try #require(metrics.clusters.first)
        let clusterPage = ClusterPage.html(cluster, now: metrics.now) { "../runs/\($0).html" }
        let id = try #require(cluster.runs.first)
        let acceptance = Acceptance(
            id: id, queue: .standard, priority: .normal, dropName: ReportPageTests.evil,
            jobName: ReportPageTests.evil,
            submitter: Submitter(uid: 1, name: ReportPageTests.evil), acceptedAt: metrics.now,
            arrivedAt: metrics.now,
            identity: InodeIdentity(inode: 1, birthNanoseconds: 1), snapshot: [], sha256: "",
            templateName: nil,
            templateText: [], ticket: nil, requeueOf: nil, runner: "main")
        var run = RunRecord(acceptance)
        run.startedAt = metrics.now
        let place = StepPlace(.main, [1])
        run.steps = (0..<300).map { number in
            StepRecord(
                place: place, title: ReportPageTests.evil, id: nil, type: "run", runAttempt: 1, attempt: 1,
                state: .failed, startedAt: metrics.now.adding(.seconds(Int64(number))))
        }
        run.failure = Failure("E-X", ReportPageTests.evil + " anna@example.org", retry: .never)
        run.outputs = ["a": .string(ReportPageTests.evil)]
        let log = RunPage.Log(step: "1", text: "</pre><script>anna@example.org", isCut: true)
        for page in [clusterPage, RunPage.html(run, logs: [log], now: metrics.now.adding(.seconds(400)))] {
            #expect(!page.contains("<script") && !page.contains("anna@example") && !page.contains("\u{1B}"))
            check(page)
        }
    }

    @Test("every tag is closed, every id is there once, nothing is fetched", arguments: [0, 1, 5000])
    func page(_ runs: Int) throws {
        #expect(check(ReportPageTests.metrics(runs: runs).page) >= 6)
    }

    /// Returns how many headings of the second order there are.
    @discardableResult
    private func check(_ page: String) -> Int {
        #expect(page.utf8.count < 300_000)
        for banned in [
            "<script", "http:", "https:", "src=", "@import", "url(", "onload", "\u{202E}", "\u{1B}",
        ] {
            #expect(!page.contains(banned), "\(banned)")
        }
        var open: [Substring] = [], ids: Set<Substring> = [], headings = 0
        var rest = page[...]
        while let start = rest.firstIndex(of: "<"), let end = rest[start...].firstIndex(of: ">") {
            let tag = rest[rest.index(after: start)..<end]
            rest = rest[rest.index(after: end)...]
            let name = tag.prefix { $0 != " " && $0 != "/" || tag.hasPrefix("/") && $0 == "/" }
            if let range = tag.firstRange(of: " id=\"") {
                #expect(ids.insert(tag[range.upperBound...].prefix { $0 != "\"" }).inserted, "\(tag)")
            }
            if name == "h2" { headings += 1 }
            if name.hasPrefix("!") || ["meta", "link"].contains(name) || tag.hasSuffix("/") { continue }
            if name.hasPrefix("/") {
                #expect(open.popLast() == name.dropFirst(), "\(tag)")
            } else {
                open.append(name)
            }
        }

        #expect(open.isEmpty, "\(open)")
        return headings
    }

    @Test("what a person reads in Markdown is what was said, and its marks are no marks") func markdown() {
        let text = ReportPageTests.metrics(runs: 200).markdown
        #expect(text.contains("## Needs a person") && text.contains("| Runs | 200 | 200 |"))
        // Outside of code nothing is a tag or a code; inside nothing ends it.
        for line in text.split(separator: "\n") {
            let outside = line.replacing("\\`", with: "").split(
                separator: "`", omittingEmptySubsequences: false
            ).enumerated()
                .filter { $0.offset % 2 == 0 }.map(\.element).joined()
            #expect(!outside.replacing("\\<", with: "").contains("<"), "\(line)")
        }
        #expect(text.contains("\\<script\\>") && !text.contains("\u{202E}") && !text.contains("\u{1B}"))
        #expect(!text.contains("anna@example.org") && text.contains("mail"))
        #expect(ReportPageTests.metrics(runs: 0).markdown.contains("Nothing."))
    }

    @Test(
        "numbers as people say them",
        arguments: [
            (ReportWords.percent(0.903), "90.3 %"), (ReportWords.percent(1), "100 %"),
            (ReportWords.percent(nil), "–"),
            (ReportWords.time(999), "999 ms"), (ReportWords.time(61_500), "1 min 1 s"),
            (ReportWords.time(12_345), "12.3 s"),
            (ReportWords.time(90_000_000), "1 d 1 h"),
            (ReportWords.amount(1_234_567), "1\u{202F}234\u{202F}567"),
            (ReportWords.bytes(999), "999 B"), (ReportWords.bytes(82_600_000_000), "82.6 GB"),
        ]) func words(_ said: String, _ expected: String)
    {
        #expect(said == expected)
    }
}
