// FilterTests: each part of a filter, prefixes and tickets, pages, counts.
// Owns: a history of twelve runs in which every filter fits some and not others.
// Never: changes that history.
// On failure: the numbers of the runs that were listed are shown.
// Runs are told by their number: run 12 is the newest.

import JobModel
import RunHistory
import Testing

@Suite struct FilterTests {
    let file: HistoryFile
    let history: RunHistory

    /// 1...12: every third failed, every fourth in `slow`, evens by bob, jobs a/b/nightly-x.
    init() throws {
        file = try HistoryFile()
        history = try RunHistory(path: file.path)
        try history.add(
            (1...12).map { number in
                let failure = Failure("E-EXIT", "Disk is 100% full_\(number)", step: "1")
                return sampleRun(
                    number, number % 3 == 0 ? .failed : .succeeded,
                    job: number == 5 ? "a[b]?" : number % 2 == 0 ? "nightly-\(number)" : "daily",
                    queue: number % 4 == 0 ? "slow" : "default", user: number % 2 == 0 ? "bob" : "alice",
                    ticket: number == 7 ? "K7" : nil, failure: number % 3 == 0 ? failure : nil)
            })
    }

    static let cases: [(RunFilter, [Int])] = [
        (RunFilter(), Array((1...12).reversed())),
        (RunFilter(states: [.failed]), [12, 9, 6, 3]),
        (RunFilter(states: [.failed, .denied]), [12, 9, 6, 3]),
        (RunFilter(states: [.denied]), []),
        (RunFilter(queue: "slow"), [12, 8, 4]),
        (RunFilter(states: [.failed], queue: "slow"), [12]),
        (RunFilter(states: [.failed, .succeeded], queue: "slow"), [12, 8, 4]),
        (RunFilter(job: "daily"), [11, 9, 7, 3, 1]),
        (RunFilter(job: "nightly-1*"), [12, 10]),
        (RunFilter(job: "*l*-?"), []),
        (RunFilter(job: "a[b]?"), [5]),
        (RunFilter(job: "a[*?"), [5]),
        (RunFilter(user: "alice"), [11, 9, 7, 5, 3, 1]),
        (RunFilter(since: instant(10_000)), [12, 11, 10]),
        (RunFilter(until: instant(3000)), [2, 1]),
        (RunFilter(since: instant(4000), until: instant(6000)), [5, 4]),
        (RunFilter(text: "NIGHTLY-1"), [12, 10]),
        (RunFilter(text: "100% full_3"), [3]),
        (RunFilter(text: "e-exit"), [12, 9, 6, 3]),
        (RunFilter(text: "it's \" not there"), []),
        (RunFilter(limit: 2), [12, 11]),
        (RunFilter(limit: 0), []),
        (RunFilter(states: [.failed], user: "bob", since: instant(2000), text: "disk", limit: 5), [12, 6]),
        (RunFilter(before: sampleID(3)), [2, 1]),
    ]

    @Test(arguments: cases)
    func lists(filter: RunFilter, expected: [Int]) throws {
        #expect(numbers(try history.runs(filter)) == expected)
    }

    @Test func pagesHoldEachRunOnceWhileOthersArrive() throws {
        var seen: [Int] = []
        var filter = RunFilter(limit: 5)
        repeat {
            let page = try history.runs(filter)
            seen += numbers(page)
            filter.before = page.last?.id
            try history.add([sampleRun(100 + seen.count)])
            if page.count < filter.limit { break }
        } while true
        #expect(seen == Array((1...12).reversed()))
    }

    @Test func aRunIsFoundByTheBeginningOfItsIDOrItsTicket() throws {
        let id = sampleID(7)
        #expect(numbers(try history.run(idPrefix: id.text)) == [7])
        #expect(numbers(try history.run(idPrefix: id.text.lowercased())) == [7])
        #expect(numbers(try history.run(idPrefix: "K7")) == [7])
        #expect(try history.run(idPrefix: String(id.text.prefix(4))).count == 12)
        #expect(try history.run(idPrefix: String(id.text.prefix(4)), limit: 3).count == 3)
        for stranger in ["", "%", "*", "Z", "u", "k7'"] {
            #expect(try history.run(idPrefix: stranger).isEmpty, "\(stranger)")
        }
    }

    @Test func countsByState() throws {
        let counts = try history.counts(since: instant(4000))
        #expect(counts == [.succeeded: 6, .failed: 3, .denied: 0, .timedOut: 0, .cancelled: 0, .skipped: 0])
    }

    private func numbers(_ runs: [RunSummary]) -> [Int] {
        runs.map { run in (1...200).first { sampleID($0) == run.id } ?? 0 }
    }
}
