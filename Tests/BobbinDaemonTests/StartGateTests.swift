// What this is: tests of who may begin: the moments between a decision and what the spool shows of it.
// Owns: a gate with a journal in a fresh site, and runs that nobody works on.
// Never: has threads: the test itself stands between two steps of a worker.
// On failure: shows whose end was asked for.
import JobModel
import LinuxSystem
import RunJournal
import SpoolQueue
import TestKit
import Testing

@testable import BobbinDaemon

@Suite struct StartGateTests {
    private let site: TestKit.Folder
    private let journal: Journal
    private let gate: StartGate
    private let cancelled = Monitor<[RunID]>([])

    init() throws {
        site = try TestKit.Folder()
        let spool = try Spool(site: site.path, newID: "0123456789abcdef")
        let folder = try site.folder("journal")
        journal = try Journal(
            folder, replay: Replay.read(folder), salt: { 1 }, settle: {}, halt: { fatalError("\($0)") })
        gate = try StartGate(
            spool, journal, callUp: { _ in }, cancel: { [cancelled] run in cancelled.with { $0.append(run) } }
        )
    }

    private func accept(_ events: inout RandomEvents, _ maker: inout RunIDMaker, _ whenBusy: BusyKey) throws
        -> RunRecord
    {
        let id = maker.next(now: Timestamp(seconds: 1_800_000_000), random: (1, 1))
        var acceptance = events.acceptance(id)
        acceptance.terms = Terms()
        acceptance.terms.concurrencyKey = "k"
        acceptance.terms.whenBusy = whenBusy
        journal.append(.accepted(acceptance), of: id)
        return try #require(journal.record(id))
    }

    @Test("replace finds one whose wait was decided and is not told yet") func replace() throws {
        var events = RandomEvents(seed: 1), maker = RunIDMaker()
        let first = try accept(&events, &maker, .queue)
        guard case .go = try gate.decide(first) else { Issue.record("the first did not go"); return }
        let waits = try accept(&events, &maker, .queue)
        guard case .wait(let wait) = try gate.decide(waits) else { Issue.record("it did not wait"); return }
        // The worker has written it down, and the main loop has not read its mail.
        journal.append(.parked(wait), of: waits.id)
        let new = try accept(&events, &maker, .replace)
        guard case .wait = try gate.decide(new) else { Issue.record("it did not wait"); return }
        #expect(cancelled.with { $0 } == [waits.id, first.id])
    }
}
