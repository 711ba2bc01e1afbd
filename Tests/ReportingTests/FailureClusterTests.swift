// What this is: tests of failures in groups: rules first, then words; names that stay, marks, trends, masks.
// Owns: failures made by hand.
// Never: depends on a clock.
// On failure: shows the clusters.
import JobModel
import TestKit
import Testing

@testable import Reporting

private let now = Timestamp(rfc3339: "2026-11-28T12:00:00Z") ?? Timestamp(seconds: 0)
private let since = now.adding(.seconds(-86_400))
private func failure(
    _ minutes: Int, _ code: String, _ message: String, job: String = "a", state: FinalState = .failed
)
    -> RunOutcome
{
    let ended = now.adding(.seconds(Int64(-60 * minutes)))
    var maker = RunIDMaker()
    return RunOutcome(
        id: maker.next(now: ended, random: (UInt16(minutes % 1000), UInt64(minutes))), job: job,
        queue: "default",
        state: state, user: "u", isRequeued: false, ended: ended, waited: 0, ran: 1, attempts: 1,
        error: ErrorSummary(code: code, message: message, step: "2"), runner: "main")
}
private func clusters(
    _ failures: [RunOutcome], known: [KnownCluster] = [], rules: [FailureRule] = FailureRule.builtIn
)
    -> [FailureCluster]
{
    var clusters = FailureClusters(rules: rules, known: known, since: since)
    for failure in failures.sorted(by: { $0.ended < $1.ended }) { clusters.add(failure) }
    return clusters.clusters()
}

@Suite("failure clusters") struct FailureClusterTests {
    @Test(
        "the built-in rules know what they are for",
        arguments: [
            ("E-FILE-MISSING", "cannot read /x: No such file or directory", "NO_FILES_FOUND"),
            ("E-EXIT", "cp exited with 1: cannot open: Permission denied", "PERMISSION_BLOCKED"),
            ("E-HTTP-CONNECT", "nothing listens", "NETWORK_ERROR"),
            ("E-EXIT", "curl exited with 6: Could not resolve host: x.example", "NETWORK_ERROR"),
            ("E-PDF", "header missing", "PDF_PARSE_ERROR"),
            ("E-MAIL-ADDRESS", "bad", "MAIL_COMPOSITION_ERROR"),
            ("E-DISK", "full", "RESOURCE_EXHAUSTED"),
            ("E-EXIT", "tar: No space left on device", "RESOURCE_EXHAUSTED"),
            ("E-DENIED", "nobody said enough in time: 0 of 1 approvals within 1h", "HITL_TIMEOUT"),
            ("E-EXIT", "robot: No such element: #login", "WEB_ELEMENT_NOT_FOUND"), ("", " ", "UNKNOWN_ERROR"),
        ]) func builtIn(_ code: String, _ message: String, _ expected: String)
    {
        let state: FinalState = expected == "HITL_TIMEOUT" ? .denied : .failed
        #expect(clusters([failure(5, code, message, state: state)]).map(\.id) == [expected])
    }

    @Test("a denial is a person's decision and no failure") func denial() {
        #expect(clusters([failure(5, "E-DENIED", "boss denied it: too early", state: .denied)]).isEmpty)
    }

    @Test("what no rule knows is grouped by its words, apart by its code") func words() {
        let found = clusters(
            (1...5).map { failure($0, "E-EXIT", "tool exited with \($0): table t\($0) is locked") }
                + [failure(9, "E-SQL", "tool exited with 1: table t1 is locked")])
        #expect(found.map(\.count) == [5, 1])
        #expect(found[0].template == "tool exited with <*>: table <*> is locked" && found[0].code == "E-EXIT")
        #expect(
            found[0].samples.count == 3 && found[0].runs.count == 5
                && found[0].runs.first == failure(1, "", "").id)
        #expect(found[0].jobs.map(\.name) == ["a"] && found[0].steps.map(\.count) == [5])
        #expect(found[0].id.hasPrefix("T-") && found[0].id != found[1].id)
    }

    @Test("a name stays when the template grows, the order turns, and the first failure is long gone")
    func names() {
        let first = clusters([failure(600, "E-EXIT", "copy of anna to the archive was refused")])
        let id = first[0].id
        let known = [
            KnownCluster(id: id, code: "E-EXIT", template: first[0].template, firstSeen: first[0].firstSeen)
        ]
        let names = ["bert", "carla", "dora", "emil", "fritz"]
        let later = names.enumerated().map {
            failure($0.offset + 1, "E-EXIT", "copy of \($0.element) to the archive was refused")
        }
        for failures in [
            later, later.reversed(),
            later + [failure(600, "E-EXIT", "copy of anna to the archive was refused")],
        ] {
            let found = clusters(failures, known: known)
            #expect(found.map(\.id) == [id], "\(found)")
            #expect(found[0].template == "copy of <*> to the archive was refused")
            #expect(found[0].firstSeen == first[0].firstSeen && found[0].status == .new)
        }
        // And from its template as it is then.
        let grown = [
            KnownCluster(
                id: id, code: "E-EXIT", template: "copy of <*> to the archive was refused", firstSeen: since)
        ]
        #expect(clusters([later[0]], known: grown).map(\.id) == [id])
    }

    @Test("new, known, mended, back again") func status() {
        func status(_ failures: [RunOutcome], _ known: [KnownCluster] = []) -> [String] {
            clusters(failures, known: known).map { "\($0.id) \($0.status.rawValue) \($0.count)" }
        }
        let one = failure(60, "E-DISK", "full"), before = failure(60 * 30, "E-DISK", "full")
        func disk(_ first: Int, resolved: Int?) -> KnownCluster {
            KnownCluster(
                id: "RESOURCE_EXHAUSTED", code: "", template: "",
                firstSeen: now.adding(.seconds(Int64(-60 * first))),
                resolvedAt: resolved.map { now.adding(.seconds(Int64(-60 * $0))) })
        }
        #expect(status([one]) == ["RESOURCE_EXHAUSTED new 1"])
        #expect(status([one, before]) == ["RESOURCE_EXHAUSTED known 1"])
        #expect(status([one], [disk(60 * 100, resolved: nil)]) == ["RESOURCE_EXHAUSTED known 1"])
        #expect(status([one], [disk(60 * 100, resolved: 90)]) == ["RESOURCE_EXHAUSTED reappeared 1"])
        #expect(status([one], [disk(60 * 100, resolved: 30)]) == ["RESOURCE_EXHAUSTED resolved 1"])
        #expect(status([], [disk(60 * 100, resolved: 30)]) == ["RESOURCE_EXHAUSTED resolved 0"])
        #expect(status([before], []) == [])
    }

    @Test("a trend is more than chance") func trend() {
        func trend(_ count: Int, before: Int) -> FailureCluster.Trend? {
            let failures =
                (0..<count).map { failure($0 + 1, "E-DISK", "full") }
                + (0..<before).map { failure(1500 + $0, "E-DISK", "full") }
            return clusters(failures).first?.trend
        }
        #expect(trend(3, before: 0) == .rising && trend(1, before: 0) == .steady)
        #expect(trend(100, before: 90) == .steady && trend(100, before: 60) == .rising)
        #expect(trend(60, before: 100) == .falling)
    }

    @Test("a site's rule is asked first") func own() {
        let rule = FailureRule(
            id: "OURS", displayName: "Ours", recommendedActions: ["call"], severity: .critical,
            fits: { $0.contains("full") })
        #expect(
            clusters([failure(1, "E-DISK", "full")], rules: [rule] + FailureRule.builtIn).map(\.id) == [
                "OURS"
            ])
    }

    @Test("memory is bounded by the kinds, not by the failures; a run is counted once") func many() {
        var all = FailureClusters(rules: FailureRule.builtIn, known: [], since: since)
        for number in 0..<30_000 {
            all.add(
                failure(number % 1400, "E-EXIT", "tool exited with 3: item \(number) of \(number * 7) is odd")
            )
        }
        let found = all.clusters()
        #expect(found.map(\.count) == [30_000] && found[0].runs.count == FailureClusters.mostRuns)
        #expect(found[0].samples.count == 3)
    }

    @Test(
        "people's data are masked",
        arguments: [
            ("mail to anna.b+x@example.org failed", "mail to <mail> failed"),
            ("<anna@mail.example.org>: refused", "<<mail>>: refused"), ("user@host: no", "user@host: no"),
            ("open /home/anna/notes.txt", "open /home/<user>/notes.txt"),
            ("C:\\Users\\anna\\x", "C:\\Users\\<user>\\x"),
            ("in /homework/anna", "in /homework/anna"), ("call +49 30 1234567 now", "call <phone> now"),
            ("call (030) 123-45678.", "call (030) 123-45678."), ("fax 030/1234567 89", "fax <phone>"),
            ("took 0123 ms of 045", "took 0123 ms of 045"),
            ("at 2026-11-28 12:00:00", "at 2026-11-28 12:00:00"),
            ("id +12", "id +12"), ("größe von anna@example.org", "größe von <mail>"), ("", ""),
        ]) func masked(_ text: String, _ expected: String)
    {
        #expect(PersonalData.masked(text) == expected)
    }
}
