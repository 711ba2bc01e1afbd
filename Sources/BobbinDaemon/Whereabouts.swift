// What this is: which other runner of a spool has a run.
// Owns: the look at claims, parked files and journals of others.
// Never: touches them.
// On failure: what cannot be read is a runner that has gone: the run is not found there.
import JobModel
import LinuxSystem
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
}
