// What this is: runs in flight as a member of a shared site can see them: by the names and places of their files.
// Owns: the reading of claimed/ and parked/.
// Never: knows a step, a time limit or an attempt: those are in the journals, which are the service's own.
// On failure: what cannot be read is not there.
import JobModel
import LinuxSystem
import SpoolQueue

enum GuestRecords {
    static func live(_ spool: Spool) -> [RunRecord] {
        // Both are read by name; a run that moves meanwhile may be missed once.
        let runners = ((try? spool.claimed.names()) ?? []).compactMap { try? spool.claimed.directory($0) }
        var found = runners.flatMap { records(in: $0, state: .running) }
        for (reason, directory) in spool.parked {
            let wait = { (since: Timestamp) in Wait(reason, since: since, nextAttempt: 1) }
            found += records(in: directory, state: nil, wait)
        }
        return found.sorted { $0.id < $1.id }
    }

    private static func records(
        in directory: Directory, state: RunState?,
        _ wait: (Timestamp) -> Wait = { Wait(.held, since: $0, nextAttempt: 1) }
    ) -> [RunRecord] {
        // Gone, or never made: nothing lies there. This is for showing alone; nobody decides by it.
        ((try? directory.names()) ?? []).compactMap { name in
            guard let claimed = ClaimedName(name), let status = try? directory.status(name) else {
                return nil
            }
            let stem = claimed.name.split(separator: ".").first.map(String.init) ?? claimed.name
            var record = RunRecord(
                Acceptance(
                    id: claimed.run, queue: claimed.queue, priority: claimed.priority, dropName: claimed.name,
                    jobName: stem, submitter: Submitter(uid: status.uid, name: Host.userName(status.uid)),
                    acceptedAt: claimed.run.time, arrivedAt: claimed.run.time,
                    identity: InodeIdentity(inode: status.inode, birthNanoseconds: status.birth),
                    snapshot: [],
                    sha256: "", ticket: DropName.ticket(in: claimed.name), runner: ""))
            record.state = state ?? .waiting(wait(Timestamp(nanoseconds: status.changed)))
            return record
        }
    }
}
