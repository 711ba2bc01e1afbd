// What this is: from a candidate file to an accepted run: gate, check, claim, the first record.
// Owns: the order of these four, and what becomes of a file that fails one of them.
// Never: reads the submitter's file after the claim; accepts what the checker refuses.
// On failure: bad input is a rejection; an error of the disk is thrown to the worker, which lets the file be.
import AccessControl
import JobLanguage
import JobModel
import LinuxSystem
import RunJournal
import SpoolQueue
import YamlText

enum AdmissionOutcome {
    case accepted(RunRecord, JobSpec)
    case arriving(why: String, lookAgainIn: Span)
    /// Rejected, taken by somebody else, or no business of ours.
    case settled
    case directory
}

/// One worker's way of admitting; not shared between threads.
final class Admission {
    private let spool: Spool
    private let reader: JobReader
    private let journal: Journal
    private let claimed: Directory
    private let runner: String
    private let rejecter: Rejecter
    private let remains: Remains
    private let pressure: Pressure
    private let announce: (RunID) -> Void
    private let environment: () -> String?
    private let access: () -> AccessPolicy
    private let audit: AuditLog
    /// The job read last: a script that drops the same job a thousand times is checked once.
    private var last: (bytes: [UInt8], reading: JobReader.Reading)?
    private var userName: (uid: UInt32, name: String)?

    init(
        spool: Spool, reader: JobReader, journal: Journal, claimed: Directory, runner: String,
        rejecter: Rejecter,
        remains: Remains, pressure: Pressure, environment: @escaping () -> String?,
        access: @escaping () -> AccessPolicy, audit: AuditLog,
        announce: @escaping (RunID) -> Void
    ) {
        self.environment = environment
        self.access = access
        self.audit = audit
        self.spool = spool
        self.reader = reader
        self.journal = journal
        self.claimed = claimed
        self.runner = runner
        self.rejecter = rejecter
        self.remains = remains
        self.pressure = pressure
        self.announce = announce
    }

    func admit(_ candidate: Candidate, _ key: LaneKey, from directory: Directory, policy: QueuePolicy) throws
        -> AdmissionOutcome
    {
        switch Admission.judge(candidate.name) {
        case .ignored: return .settled
        case .unfit(let why):
            return try refuse(
                candidate.name, directory,
                Failure(
                    "E-NAME", "the file's name is not fit for a job: \(why)",
                    whatToDo: "Use letters, digits and . _ + @ = - (up to \(Limits.nameBytes) bytes)."))
        case .notAJob:
            return try refuse(
                candidate.name, directory,
                Failure(
                    "E-NOT-A-JOB", "this is a result or reason file, not a job",
                    whatToDo: "To run a job again: bobbin requeue RUN, or move the job file itself."))
        case .unknownEnding:
            return .arriving(why: "its name does not end in .yaml, .yml or .json", lookAgainIn: .seconds(10))
        case .job: break
        }
        // Before it is judged: by now the file may well be counted to have two names.
        if try removeRemainder(candidate.name, from: directory) { return .settled }
        let gate = ArrivalGate(
            requireEnd: policy.requireEnd, full: candidate.evidence == .movedIn ? [] : pressure.full,
            now: Timestamp(nanoseconds: Clocks.wall))
        switch gate.examine(candidate.name, in: directory, evidence: candidate.evidence) {
        case .gone: return .settled
        case .directory: return .directory
        case .hostTrouble(let error): throw error
        case .arriving(let why, let span): return .arriving(why: why, lookAgainIn: span)
        case .refused(let failure): return try refuse(candidate.name, directory, failure)
        case .complete(let drop):
            defer { drop.file.dropLease() }
            return try judge(drop, candidate, key, directory)
        }
    }

    /// What stands behind a run's prefix is the name that the new run will have.
    private static func judge(_ name: String) -> DropName.Verdict {
        let verdict = DropName.judge(name)
        guard verdict == .job else { return verdict }
        let plain = DropName.withoutRunPrefix(name).name
        let inner = DropName.judge(plain)
        return inner == .job ? .job : .unfit(why: "behind the run's prefix it is no name of a job")
    }

    /// What a crash left of a claim in its queue belongs to a run that goes on, or whose job lies beside its result. Where it
    /// does not lie there, a person has moved it back here, and it is a new job: its inode and its name are the same.
    private func removeRemainder(_ name: String, from directory: Directory) throws -> Bool {
        guard let (found, identity) = try remains.match(name, in: directory) else { return false }
        if journal.record(found.run) == nil {
            // Perhaps as a copy: of another user's drop, or written again because the claim's name did not survive.
            let isThere = try spool.finalRoots().contains { root in
                // What somebody put beside the days is none of ours; a day that cannot be read is no answer.
                try root.names().contains {
                    try root.statusIfPresent($0)?.kind == .directory
                        && root.directory($0).statusIfPresent(found.finalName) != nil
                }
            }
            guard isThere || FinalFiles(spool).find(found.run)?.jobFile != nil else {
                remains.forget(name, identity)
                return false
            }
        }
        try directory.remove(name)
        rejecter.log.warn("claim", "removed what a cut rename left of it as \(name)", run: found.run)
        return true
    }

    private func refuse(_ name: String, _ directory: Directory, _ failure: Failure) throws -> AdmissionOutcome
    {
        try rejecter.reject(name, from: directory, Rejection(failure))
        return .settled
    }

    private func judge(_ drop: Drop, _ candidate: Candidate, _ key: LaneKey, _ directory: Directory) throws
        -> AdmissionOutcome
    {
        let reading = read(drop)
        guard let job = reading.job else {
            if drop.isTentative { return .arriving(why: "JSON that is not whole", lookAgainIn: .seconds(5)) }
            try rejecter.reject(
                drop.name, from: directory, Rejection(reading.findings, queueName: key.queue.text),
                sha256: Digest.sha256(drop.bytes))
            return .settled
        }
        let now = Timestamp(nanoseconds: Clocks.wall)
        var terms = Terms()
        let rights = DropRights(spool: spool, journal: journal, policy: access(), audit: audit)
        var failure = Admission.misplacement(job, key)
        var origin = DropRights.Origin(who: submitter(drop.status.uid), isMeant: false)
        switch try rights.origin(
            origin.who, drop.identity, job, requeueOf: DropName.withoutRunPrefix(drop.name).run)
        {
        case .failure(let unknown): failure = unknown
        case .success(let known):
            origin = known
            failure =
                try rights.denial(
                    drop.name, drop.bytes, job, known, queue: key.queue,
                    template: reading.template?.name) ?? failure
        }
        do throws(Failure) {
            terms = try JobTerms.agreed(job, key, at: now)
            failure = failure ?? JobTerms.misfit(terms, site: environment())
            terms.isMeant = origin.isMeant && rights.policy.isShared
        } catch { failure = failure ?? error }
        if let failure {
            try rejecter.reject(
                drop.name, from: directory, Rejection(failure), sha256: Digest.sha256(drop.bytes))
            return .settled
        }
        return try claim(drop, job, origin.who, terms, at: now, reading, candidate, key, directory)
    }

    private func read(_ drop: Drop) -> JobReader.Reading {
        if let last, last.bytes == drop.bytes { return last.reading }
        let stem =
            DropName.withoutRunPrefix(drop.name).name.split(separator: ".").first.map(String.init)
            ?? drop.name
        let reading = reader.read(drop.bytes, name: drop.name, stem: stem)
        // A job that takes its name from its file, or a template that may change, is read anew each time.
        if let job = reading.job, reading.template == nil, reading.called.isEmpty, job.name != stem {
            last = (drop.bytes, reading)
        }
        return reading
    }

    /// In a priority directory the directory decides.
    private static func misplacement(_ job: JobSpec, _ key: LaneKey) -> Failure? {
        let queue = job.queue ?? key.queue, priority = job.priority ?? key.priority
        guard queue != key.queue || priority != key.priority else { return nil }
        return Failure(
            "E-QUEUE",
            "the job says queue \(queue), priority \(priority.level), but was dropped in \(key.queue)/\(key.priority.directory)",
            whatToDo:
                "Drop it in spool/\(queue)/\(priority.directory), or in spool/inbox, where the job's own words decide."
        )
    }

    private func claim(
        _ drop: Drop, _ job: JobSpec, _ who: Submitter, _ terms: Terms, at now: Timestamp,
        _ reading: JobReader.Reading,
        _ candidate: Candidate, _ key: LaneKey, _ directory: Directory
    ) throws -> AdmissionOutcome {
        let (plainName, requeueOf) = DropName.withoutRunPrefix(drop.name)
        let id = Identities.fresh()
        let name = ClaimedName(run: id, queue: key.queue, priority: key.priority, name: plainName)
        guard try Move(spool).claim(drop.name, from: directory, as: name, to: claimed) else {
            return .settled
        }
        // The name may have changed hands since it was judged: what was claimed must be what was read.
        guard try claimed.statusIfPresent(name.text)?.inode == drop.status.inode else {
            try Move(spool).unclaim(name, from: claimed, to: directory, drop.name)
            return .settled
        }
        var acceptance = Acceptance(
            id: id, queue: key.queue, priority: key.priority, dropName: plainName, jobName: job.name,
            submitter: who, acceptedAt: now,
            arrivedAt: Timestamp(nanoseconds: min(candidate.seenAt, now.nanoseconds)),
            identity: drop.identity,
            snapshot: drop.bytes, sha256: Digest.sha256(drop.bytes), templateName: reading.template?.name,
            templateText: reading.template?.bytes ?? [], ticket: DropName.ticket(in: plainName),
            requeueOf: requeueOf?.text, runner: runner)
        acceptance.calledTemplates = reading.called
        acceptance.terms = terms
        announce(id)
        journal.append(.accepted(acceptance), of: id)
        return .accepted(RunRecord(acceptance), job)
    }

    private func submitter(_ uid: UInt32) -> Submitter {
        if let userName, userName.uid == uid { return Submitter(uid: uid, name: userName.name) }
        let name = Host.userName(uid)
        userName = (uid, name)
        return Submitter(uid: uid, name: name)
    }
}

/// What a crash in the middle of a claiming rename can leave: the drop's old name beside the claimed one.
final class Remains: Sendable {
    /// The inode and the name it was dropped under: by inode alone, a job moved back from failed/ would be taken for
    /// its own remainder (ops/model shows the loss).
    private struct Sign: Hashable {
        var identity: InodeIdentity
        var name: String
        var requeueOf: String?
    }
    struct Known {
        var run: RunID
        /// Of its job file, once it has ended.
        var finalName: String
    }
    private let known = Monitor<[Sign: Known]>([:])

    /// Runs that an earlier life, or a runner that died, had in flight.
    func add(_ recovered: [RunRecord]) {
        known.with { known in
            for a in recovered.map(\.acceptance) {
                known[Sign(identity: a.identity, name: a.dropName, requeueOf: a.requeueOf)] = Known(
                    run: a.id, finalName: FinalName.job(a))
            }
        }
    }

    /// The run whose file this name may be a second name of.
    func match(_ found: String, in directory: Directory) throws -> (Known, InodeIdentity)? {
        guard known.with({ !$0.isEmpty }), let status = try directory.statusIfPresent(found) else {
            return nil
        }
        let identity = InodeIdentity(inode: status.inode, birthNanoseconds: status.birth)
        return known.with { $0[Remains.sign(found, identity)] }.map { ($0, identity) }
    }
    func forget(_ found: String, _ identity: InodeIdentity) {
        known.with { $0[Remains.sign(found, identity)] = nil }
    }
    private static func sign(_ found: String, _ identity: InodeIdentity) -> Sign {
        let (name, run) = DropName.withoutRunPrefix(found)
        return Sign(identity: identity, name: name, requeueOf: run?.text)
    }
}
