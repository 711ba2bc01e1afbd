// FactTests: tags, totals, facts and samples: what comes back, what is counted once.
// Owns: a history of its own.
// Never: reads files (BobbinDaemon's FactFiles does).
// On failure: shows the rows.

import JobModel
import RunHistory
import Testing

@Suite struct FactTests {
    let file: HistoryFile
    let history: RunHistory

    init() throws {
        file = try HistoryFile()
        history = try RunHistory(path: file.path)
    }

    private func tagged(_ number: Int, _ tags: [String], _ state: FinalState = .succeeded) -> RunRecord {
        var run = sampleRun(number, state)
        run.acceptance.terms.tags = tags
        return run
    }
    private func number(_ measure: RunTotal.Measure, _ group: String) throws -> Int {
        try history.totals().filter { $0.measure == measure && $0.group == group }.reduce(0) {
            $0 + $1.number
        }
    }

    @Test func runsAreFoundByTheirTags() throws {
        try history.add([
            tagged(1, ["schedule:a", "x"]), tagged(2, ["schedule:b", "x", "x"]), tagged(3, []),
        ])
        #expect(try history.runs(RunFilter(tag: "x")).map(\.id) == [sampleID(2), sampleID(1)])
        #expect(try history.runs(RunFilter(tag: "schedule:a")).map(\.id) == [sampleID(1)])
        #expect(try history.runs(RunFilter(tag: "sched")).isEmpty)
        #expect(
            try history.outcomes(tagged: "schedule:", since: epoch, until: instant(10_000)) == [.succeeded: 2]
        )
        #expect(
            try history.outcomes(tagged: "schedule:", since: instant(1500), until: instant(10_000)) == [
                .succeeded: 1
            ])
        try history.add([tagged(1, ["y"])])
        #expect(try history.runs(RunFilter(tag: "x")).map(\.id) == [sampleID(2)])
    }

    @Test func totalsAreThoseOfTheRunsHoweverTheyCame() throws {
        let runs = (1...30).map {
            sampleRun($0, $0 % 3 == 0 ? .failed : .succeeded, queue: $0 < 20 ? "default" : "other")
        }
        try history.add(runs)
        #expect(try number(.state, "failed") == 10 && number(.state, "succeeded") == 20)
        // A run in the samples waits 20 ms and takes 80: the classes up to 50 and up to 100 ms.
        #expect(try number(.wait, "0") == 30 && number(.run, "1") == 30)
        let sums = try history.totals().filter { $0.measure == .run }.map(\.sum).reduce(0, +)
        #expect(sums == 30 * 80)
        let first = try history.totals()
        // Again, alone and twice in one batch, and as something else and back.
        try history.add([runs[4]])
        try history.add([runs[5], runs[5]])
        try history.add([sampleRun(7, .cancelled)])
        #expect(try number(.state, "cancelled") == 1 && number(.state, "succeeded") == 19)
        try history.add([runs[6]])
        #expect(try history.totals() == first)
    }

    @Test func aLineCountsOnceAndOnlyItsFileSaysHowFar() throws {
        func fact(_ place: Int, _ kind: String, _ milliseconds: Int64) -> HistoryFact {
            HistoryFact(
                source: "audit/1.jsonl", place: place, at: instant(milliseconds), kind: kind, subject: "s",
                user: place % 2 == 0 ? nil : Submitter(uid: 7, name: "eve"), outcome: "deny",
                detail: ["why": "no"])
        }
        let facts = [
            fact(0, "approval.decided", 10), fact(91, "access.denied", 20), fact(201, "approval.expired", 5),
        ]
        let sample = DepthSample(
            at: instant(0), queue: "default", waiting: 4, running: 1, parked: 0, oldest: .milliseconds(1500))
        try history.add(facts, [sample], from: "audit/1.jsonl", readTo: 300)
        try history.add(facts, [sample], from: "audit/1.jsonl", readTo: 310)
        #expect(try history.sources() == ["audit/1.jsonl": 310])
        func places(_ kinds: [String], _ until: Int64 = 1000) throws -> [Int] {
            try history.facts(kinds, since: epoch, until: instant(until)).map(\.place)
        }
        #expect(try places(["approval.*"]) == [201, 0])
        #expect(try places(["approval.*", "access.denied"], 20) == [201, 0])
        #expect(try places(["access.denied"]) == [91])
        let back = try history.facts(["access.denied"], since: epoch, until: instant(1000))
        #expect(back.first?.user == Submitter(uid: 7, name: "eve") && back.first?.detail == ["why": "no"])
        let samples = try history.samples(since: epoch.adding(.seconds(-1)), until: instant(1))
        #expect(samples.count == 1 && samples[0].waiting == 4 && samples[0].oldest == .milliseconds(1500))
    }

    @Test func outcomesComeInTheOrderOfTheirEnds() throws {
        try history.add(
            [3, 1, 2, 9].map { sampleRun($0, failure: Failure("E-EXIT", "status 3", step: "2")) })
        var seen: [RunID] = []
        try history.forEachOutcome(since: instant(1000), until: instant(9000)) { outcome in
            seen.append(outcome.id)
            #expect(outcome.waited == 20 && outcome.ran == 80 && outcome.error?.code == "E-EXIT")
        }
        #expect(seen == [1, 2, 3].map(sampleID))
    }
}
