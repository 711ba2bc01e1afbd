// What this is: which runs of a spool are on their way, and which other runner has one.
// Owns: the look at claims, parked files and journals of others.
// Never: touches them.
// On failure: what cannot be read is a runner that has gone: the run is not found there. `running` throws instead.
import JobModel
import LinuxSystem
import RunJournal
import SpoolQueue

struct Whereabouts {
    private let spool: Spool
    private let own: String

    init(_ spool: Spool, notOf own: String) {
        self.spool = spool
        self.own = own
    }

    /// The orders directory of the runner that has it.
    func owner(of run: RunID) -> Directory? {
        for runner in (try? spool.claimed.names()) ?? [] where runner != own {
            guard let names = try? spool.claimed.directory(runner).names(),
                names.contains(where: { $0.hasPrefix(run.text) })
            else { continue }
            return try? spool.runners.directory("\(runner)/\(SpoolName.orders)")
        }
        return ownerOfParked(run)
    }
    private func ownerOfParked(_ run: RunID) -> Directory? {
        let isParked = spool.parked.values.contains { directory in
            ((try? directory.names()) ?? []).contains { $0.hasPrefix(run.text) }
        }
        guard isParked else { return nil }
        for runner in (try? spool.runners.names()) ?? [] where runner != own {
            guard let replay = try? Replays.of(runner, spool), replay.live[run] != nil else { continue }
            return try? spool.runners.directory("\(runner)/\(SpoolName.orders)")
        }
        return nil
    }

    /// What a run was accepted on, wherever it is now; nil where nobody knows of it.
    static func acceptance(ofRun text: String, _ spool: Spool, _ journal: Journal) -> Acceptance? {
        guard let run = RunID(text) else { return nil }
        if let record = journal.record(run) { return record.acceptance }
        if let record = Replays.live(spool).first(where: { $0.id == run }) { return record.acceptance }
        let files = FinalFiles(spool)
        return files.find(run).flatMap { files.read($0)?.acceptance }
    }

    /// Every run that is claimed or parked, whoever's it is. One that moves meanwhile is seen at least once: it goes from
    /// parked to claimed or back, and parked is read before and after.
    static func running(in spool: Spool) throws(SystemError) -> Set<RunID> {
        var runs: Set<RunID> = []
        func take(_ directory: Directory) throws(SystemError) {
            for name in try directory.names() {
                if let run = ClaimedName(name)?.run { runs.insert(run) }
            }
        }
        let parked = Array(spool.parked.values)
        for directory in parked { try take(directory) }
        for runner in try spool.claimed.names() {
            do throws(SystemError) { try take(spool.claimed.directory(runner)) } catch {
                // A runner that has just been taken over: its claims are another's.
                guard error.isMissing else { throw error }
            }
        }
        for directory in parked { try take(directory) }
        return runs
    }
}
