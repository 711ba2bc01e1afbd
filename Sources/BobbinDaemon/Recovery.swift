// What this is: what a starting runner does with what an earlier life left: its own, and that of runners that died.
// Owns: killing leftovers, putting files where the journal says they belong, adopting claims without a record, takeover.
// Never: starts a step; runs twice with another outcome (each part may be interrupted and done again).
// On failure: throws; the runner does not start, and says why.
import JobLanguage
import JobModel
import LinuxSystem
import RunJournal
import SpoolQueue

/// Journals read without touching them.
public enum Replays {
    public static func of(_ runner: String, _ spool: Spool) throws -> Replay {
        try Replay.read(spool.runners.directory("\(runner)/\(SpoolName.journal)"))
    }
    /// Every run in flight, of all runners. A journal that is being written may be read a little late, never wrongly.
    /// Who may not read them sees where the runs' files are.
    public static func live(_ spool: Spool) -> [RunRecord] {
        guard spool.isOwn else { return GuestRecords.live(spool) }
        var live: [RunID: RunRecord] = [:]
        for runner in (try? spool.runners.names()) ?? [] {  // no runners: nothing in flight
            guard let replay = try? of(runner, spool) else { continue }
            live.merge(replay.live) { first, _ in first }
        }
        return live.values.sorted { $0.id < $1.id }
    }
}

struct Recovery {
    let core: RunnerCore

    /// Ends processes that steps of the former life left running. Before anything is decided about their runs.
    func killLeftovers(_ records: [RunRecord]) {
        // The site as well: the runs of a copied site have the same ids, and are none of ours.
        // Between two steps as well: a detached program may be beside them.
        for record in records where record.startedAt != nil && record.finalState == nil {
            let marks = ["BOBBIN_RUN_ID=\(record.id)", "BOBBIN_SITE=\(core.site.path)"]
            let killed = Host.killAll(marked: marks, of: core.stepAccount(record.acceptance.submitter))
            if killed > 0 {
                core.log.warn(
                    "recovery", "ended \(killed) leftover process\(killed == 1 ? "" : "es")", run: record.id)
            }
        }
    }

    /// Brings every file to where its record says it is, and every run back to work.
    /// `adoptable`: claims that may lack a record; a live runner's own newest claims are not among them.
    func resume(_ records: [RunRecord], adoptable: Set<RunID>? = nil) throws {
        var places = try findFiles()
        for record in records.sorted(by: { $0.id < $1.id }) {
            try putRight(record, places.removeValue(forKey: record.id) ?? [])
            goOn(record)
        }
        let claims = places.compactMapValues { $0.first(where: \.isClaimed) }
        try adopt(
            claims.filter { (adoptable?.contains($0.key) ?? true) && core.journal.record($0.key) == nil })
    }

    /// Temporary files of processes that were killed while they wrote: they were never anything.
    func removeTemporaries() {
        let spool = core.site.spool
        let parked = Array(spool.parked.values)
        for directory in [
            spool.rejected, spool.control, spool.controlClosed, spool.state, spool.inbox, core.claimed,
            spool.requests, spool.responses, spool.approvalsClosed,
        ] + parked {
            // Unreadable now: the next leader looks again.
            for name in (try? directory.names()) ?? [] where name.hasPrefix(".") && name.hasSuffix(".tmp") {
                let maker = name.dropFirst().prefix { $0 != "-" }
                guard Int32(maker) != nil, !Host.exists("/proc/\(maker)") else { continue }
                do { try directory.removeIfPresent(name) } catch {
                    core.diskTrouble("removing \(name)", error)
                }
            }
        }
    }

    private struct Place {
        var directory: Directory
        var name: String
        var isClaimed: Bool
    }
    /// Every name of every run, the claimed one first.
    private func findFiles() throws -> [RunID: [Place]] {
        var places: [RunID: [Place]] = [:]
        let directories = [(core.claimed, true)] + core.site.spool.parked.values.map { ($0, false) }
        for (directory, isClaimed) in directories {
            for name in try directory.names() {
                guard let parsed = ClaimedName(name) else { continue }
                places[parsed.run, default: []].append(
                    Place(directory: directory, name: name, isClaimed: isClaimed))
            }
        }
        return places
    }

    /// One name of the run's file, where its record says. A cut in the middle of a rename can have left another one:
    /// the run's id in the name says that it is the same job, and it goes.
    private func putRight(_ record: RunRecord, _ places: [Place]) throws {
        let name = ClaimedName(record.acceptance)
        var target = core.claimed
        if case .waiting(let wait) = record.state { target = core.site.spool.parked[wait.reason] ?? target }
        var isThere = places.contains { $0.directory === target }
        for place in places where place.directory !== target {
            if isThere {
                try place.directory.removeIfPresent(place.name)
            } else {
                isThere = try Move(core.site.spool).putBack(
                    place.name, from: place.directory, to: target, name)
            }
        }
        if !isThere { try recreate(record, name.text, in: target) }
    }

    /// The claim's file did not survive, but what it said is in the journal.
    private func recreate(_ record: RunRecord, _ name: String, in directory: Directory) throws {
        guard record.finalState == nil else { return }
        core.log.warn("recovery", "the job's file was gone; written again from the journal", run: record.id)
        try AtomicFile.write(record.acceptance.snapshot, to: name, in: directory, existing: .replace)
    }

    private func goOn(_ record: RunRecord) {
        switch record.state {
        case .ended: core.publish(record.id, 0)
        case .waiting: core.post(.parked(record.id))
        case .queued, .running:
            core.makeReady(record)
        }
    }

    /// The claim was cut off in its rename: the name in the queue is the same file, and would count as a second one.
    private func removeRemainder(of place: Place, _ name: ClaimedName) throws {
        guard let policy = core.policy(name.queue),
            let claim = try place.directory.statusIfPresent(place.name)
        else { return }
        for (priority, lane) in try core.site.spool.dropDirectories(of: policy)
        where priority == name.priority {
            guard try lane.statusIfPresent(name.name)?.identity == claim.identity else { continue }
            try lane.remove(name.name)
            core.log.warn(
                "recovery", "removed what the cut claim left of \(name.name) in its queue", run: name.run)
        }
    }

    /// A claim's bytes; a file that is no job by its inode is rejected and stops nobody.
    private func readClaim(_ place: Place) throws -> ([UInt8], FileStatus)? {
        let gate = ArrivalGate(requireEnd: false, now: Timestamp(nanoseconds: Clocks.wall))
        switch gate.examine(place.name, in: place.directory, evidence: .movedIn) {
        case .complete(let drop):
            drop.file.dropLease()
            return (drop.bytes, drop.status)
        case .refused(let failure):
            try Rejecter(spool: core.site.spool, log: core.log).reject(
                place.name, from: place.directory, Rejection(failure))
        case .arriving(let why, _): core.log.warn("recovery", "\(place.name) cannot be adopted now: \(why)")
        case .hostTrouble(let error): throw error
        case .directory, .gone: break
        }
        return nil
    }

    /// Claims that never reached the journal: the name says what they are; the file is read again.
    private func adopt(_ places: [RunID: Place]) throws {
        guard !places.isEmpty else { return }
        let reader = core.site.reader()
        for (run, place) in places.sorted(by: { $0.key < $1.key }) {
            guard let name = ClaimedName(place.name) else { continue }
            try removeRemainder(of: place, name)
            guard let (bytes, status) = try readClaim(place) else { continue }
            let stem = name.name.split(separator: ".").first.map(String.init) ?? name.name
            let reading = reader.read(bytes, name: name.name, stem: stem)
            guard let job = reading.job else {
                try Rejecter(spool: core.site.spool, log: core.log).reject(
                    place.name, from: core.claimed, Rejection(reading.findings, queueName: name.queue.text))
                continue
            }
            let now = Timestamp(nanoseconds: Clocks.wall)
            let identity = InodeIdentity(inode: status.inode, birthNanoseconds: status.birth)
            let owner = Submitter(uid: status.uid, name: Host.userName(status.uid))
            let rights = DropRights(
                spool: core.site.spool, journal: core.journal, policy: core.access, audit: core.audit)
            var origin: DropRights.Origin?
            // Nobody had judged it, or nobody wrote down that he had.
            var refusal: Failure?
            switch try rights.origin(owner, identity, job, requeueOf: nil, isAdopted: true) {
            case .failure(let failure): refusal = failure
            case .success(let known):
                origin = known
                refusal = try rights.denial(
                    name.name, bytes, job, known, queue: name.queue,
                    template: reading.template?.name)
            }
            var terms = Terms()
            do throws(Failure) {
                if let refusal { throw refusal }
                terms = try JobTerms.agreed(job, LaneKey(queue: name.queue, priority: name.priority), at: now)
                if let misfit = JobTerms.misfit(terms, site: core.configuration.environment) { throw misfit }
                terms.isMeant = core.access.isShared && origin?.isMeant ?? false
            } catch {
                try Rejecter(spool: core.site.spool, log: core.log).reject(
                    place.name, from: core.claimed, Rejection(error))
                continue
            }
            var acceptance = Acceptance(
                id: run, queue: name.queue, priority: name.priority, dropName: name.name, jobName: job.name,
                submitter: origin?.who ?? owner, acceptedAt: now, arrivedAt: run.time, identity: identity,
                snapshot: bytes,
                sha256: Digest.sha256(bytes), templateName: reading.template?.name,
                templateText: reading.template?.bytes ?? [], ticket: DropName.ticket(in: name.name),
                runner: core.name)
            acceptance.calledTemplates = reading.called
            acceptance.terms = terms
            core.journal.append(.accepted(acceptance), of: run)
            // A cut in the middle of the claim may have left the drop's name as well.
            core.remains.add([RunRecord(acceptance)])
            core.log.info("recovery", "adopted a claim without a record", run: run)
            goOn(RunRecord(acceptance))
        }
    }
}

/// What the leader does for runners that died.
struct Takeover {
    let core: RunnerCore

    /// Held while anybody recovers: a runner that starts knows of every dead runner's runs before it claims a file
    /// that may be the remains of one (ops/model: without it a step runs twice).
    static func recoveryLock(_ spool: Spool) throws -> FileLock? {
        try FileLock.take(SpoolName.recoveryLock, in: spool.state)
    }

    /// For the leader, now and then; another recovery going on is reason enough to look again later.
    func sweepIfFree() {
        // Unlockable is as good as taken: the next sweep tries again.
        guard let lock = try? Takeover.recoveryLock(core.site.spool) else { return }
        sweep()
        withExtendedLifetime(lock) {}
    }

    /// Looks for runners whose lock is free and takes their runs over. The caller holds the recovery lock.
    func sweep() {
        let spool = core.site.spool
        // Unreadable now: the next sweep looks again.
        for runner in (try? spool.runners.names()) ?? [] where runner != core.name {
            do { try take(runner) } catch {
                core.log.error(
                    "takeover", "runner \(runner) is dead, but its journal cannot be taken over: \(error)")
            }
        }
    }

    private func take(_ runner: String) throws {
        let spool = core.site.spool
        let home = try spool.runners.directory(runner)
        guard let lock = try FileLock.take(SpoolName.lock, in: home) else { return }
        // Held until its journal is gone: whoever else looks meanwhile finds it taken.
        defer { withExtendedLifetime(lock) {} }
        let journal = try home.makeDirectory(SpoolName.journal, mode: 0o700)
        var replay = try Replay.read(journal)
        replay.reviveRetired()
        let records = Array(replay.live.values)
        let recovery = Recovery(core: core)
        recovery.killLeftovers(records)
        var last: Journal.Sequence = 0
        for record in records where core.journal.record(record.id) == nil {
            last = core.journal.append(.carried(record), of: record.id)
        }
        core.journal.waitUntilDurable(last)
        let moved = try moveClaims(of: runner)
        for name in replay.segments { try journal.removeIfPresent(name) }
        try journal.sync()
        do { try remove(runner, home, journal) } catch {
            // An empty shell harms nobody; its runs are ours already.
            core.diskTrouble("removing dead runner \(runner)", error)
        }
        try spool.runners.sync()
        core.remains.add(records)
        core.gate.restore(records)
        try recovery.resume(records, adoptable: moved)
        if !records.isEmpty {
            core.log.info(
                "takeover",
                "took over \(records.count) run\(records.count == 1 ? "" : "s") of dead runner \(runner)")
        }
    }

    private func moveClaims(of runner: String) throws -> Set<RunID> {
        let spool = core.site.spool
        guard try spool.claimed.statusIfPresent(runner) != nil else { return [] }
        let claims = try spool.claimed.directory(runner)
        let names = try claims.names()
        for name in names { _ = try Move(spool).takeOver(name, from: claims, to: core.claimed) }
        try core.claimed.sync()
        try claims.sync()
        try spool.claimed.removeDirectory(runner)
        return Set(names.compactMap { ClaimedName($0)?.run })
    }

    /// The empty shell of the dead runner; what cannot be removed is left, an empty journal harms nobody.
    private func remove(_ runner: String, _ home: Directory, _ journal: Directory) throws {
        for name in try journal.names() { try journal.removeIfPresent(name) }
        for folder in [SpoolName.orders, SpoolName.temporary] where try home.statusIfPresent(folder) != nil {
            let inner = try home.directory(folder)
            for name in try inner.names() {
                if folder == SpoolName.orders {
                    _ = try Move(core.site.spool).returnOrder(name, from: inner)
                } else {
                    try inner.removeIfPresent(name)
                }
            }
            try home.removeDirectory(folder)
        }
        try home.removeDirectory(SpoolName.journal)
        try home.removeIfPresent(SpoolName.pressure)
        try home.removeIfPresent(SpoolName.lock)
        try core.site.spool.runners.removeDirectory(runner)
    }
}
