// What this is: every rename of a spool file: claim, park, unpark, retire, reject, re-file. A state is a directory.
// Owns: which directory a transition leads to, and that nothing is ever replaced.
// Never: renames a directory; deletes a job.
// On failure: SystemError; a lost race (the source is gone) is `false`, not an error.
import JobModel
import LinuxSystem

public struct Move: Sendable {
    let spool: Spool
    public init(_ spool: Spool) { self.spool = spool }

    /// The claim: this rename decides whose the drop is. False: somebody else was first.
    public func claim(_ drop: String, from queue: Directory, as name: ClaimedName, to claimed: Directory)
        throws(SystemError) -> Bool
    {
        try transfer(drop, queue, to: claimed, name.text)
    }
    /// A claim that turned out to be another file than the one that was judged goes back, to be judged itself.
    public func unclaim(_ name: ClaimedName, from claimed: Directory, to queue: Directory, _ drop: String)
        throws(SystemError)
    {
        do { _ = try transfer(name.text, claimed, to: queue, drop) } catch {
            guard error.isExisting else { throw error }
            // A third file has the name by now; the run id makes this one's its own.
            let ending = drop.hasSuffix(".json") ? ".json" : ".yaml"
            _ = try transfer(name.text, claimed, to: queue, "\(drop.prefix(100)).\(name.run)\(ending)")
        }
    }
    public func park(_ name: ClaimedName, from claimed: Directory, _ reason: Wait.Reason) throws(SystemError)
    {
        guard let directory = spool.parked[reason] else { return }
        _ = try transfer(name.text, claimed, to: directory, name.text)
    }
    /// False when the file is not there: a person moved it, and the journal's snapshot is used instead.
    public func unpark(_ name: ClaimedName, from reason: Wait.Reason, to claimed: Directory)
        throws(SystemError) -> Bool
    {
        guard let directory = spool.parked[reason] else { return false }
        return try transfer(name.text, directory, to: claimed, name.text)
    }
    /// The job file's last move, beside its result.
    public func retire(_ acceptance: Acceptance, from directory: Directory, to final: Directory)
        throws(SystemError) -> Bool
    {
        try transfer(ClaimedName(acceptance).text, directory, to: final, FinalName.job(acceptance))
    }
    /// Takes a file out of a directory because it is no job: `rejected/<seq>~<name>`.
    public func reject(_ name: String, from directory: Directory, sequence: RunID) throws(SystemError)
        -> String?
    {
        let target = "\(sequence)~\(DropName.escaped(name, limit: Limits.nameBytes))"
        return try transfer(name, directory, to: spool.rejected, target) ? target : nil
    }
    /// From inbox/ into the queue that the job names.
    public func refile(_ name: String, from inbox: Directory, to queue: Directory, as newName: String)
        throws(SystemError) -> Bool
    {
        try transfer(name, inbox, to: queue, newName)
    }
    /// To where the record of a recovered run says that its file is.
    public func putBack(
        _ name: String, from directory: Directory, to target: Directory, _ claimed: ClaimedName
    )
        throws(SystemError) -> Bool
    {
        try transfer(name, directory, to: target, claimed.text)
    }
    /// From a dead runner's claims to ours.
    public func takeOver(_ name: String, from dead: Directory, to claimed: Directory) throws(SystemError)
        -> Bool
    {
        try transfer(name, dead, to: claimed, name)
    }
    /// An answered command, out of control/.
    public func close(command name: String, from control: Directory, as closed: String) throws(SystemError)
        -> Bool
    {
        try transfer(name, control, to: spool.controlClosed, closed)
    }
    /// A request that is decided, or an answer that was judged.
    public func close(approvalFile name: String, from directory: Directory, as closed: String)
        throws(SystemError) -> Bool
    {
        try transfer(name, directory, to: spool.approvalsClosed, closed)
    }
    /// A payload of events/, out of the way and back, within its directory.
    public func set(event name: String, in source: Directory, aside: String) throws(SystemError) -> Bool {
        try transfer(name, source, to: source, aside)
    }
    /// A command for a run of another runner.
    public func forward(command name: String, to orders: Directory) throws(SystemError) -> Bool {
        try transfer(name, spool.control, to: orders, name)
    }

    /// A command that its runner did not live to take goes back to control/.
    public func returnOrder(_ name: String, from orders: Directory) throws(SystemError) -> Bool {
        try transfer(name, orders, to: spool.control, name)
    }

    /// The rename. False: the source is gone. A target that is the same inode is the half of a rename that a power cut
    /// left in both directories: the source name goes, and the move is done.
    private func transfer(_ name: String, _ from: Directory, to target: Directory, _ newName: String)
        throws(SystemError) -> Bool
    {
        do {
            try from.rename(name, to: target, newName)
            return true
        } catch {
            if error.isMissing {
                // Only the source's absence is a lost race; a target directory that has vanished is trouble.
                guard try from.statusIfPresent(name) == nil else { throw error }
                return false
            }
            guard error.isExisting, let source = try from.statusIfPresent(name),
                let there = try target.statusIfPresent(newName), source.inode == there.inode,
                source.device == there.device
            else { throw error }
            try from.remove(name)
            return true
        }
    }
}
