// What this is: whose a drop is, whether he meant it, and whether he may have it run: asked at admission, and again where a crash
//   left a claim without a record.
// Owns: the rules of origin on a site for many; the record of each refusal.
// Never: takes a file of the service for the service's own wish where it may be somebody else's text.
// On failure: a Failure: the drop is sent back.
import AccessControl
import JobModel
import LinuxSystem
import RunJournal
import SpoolQueue

struct DropRights {
    let spool: Spool
    let journal: Journal
    let policy: AccessPolicy
    let audit: AuditLog

    struct Origin {
        var who: Submitter
        /// That he himself dropped it is certain.
        var isMeant: Bool
    }

    /// `requeueOf`: the run whose job file this is once more; `isAdopted`: nobody knows under what name it was dropped.
    func origin(
        _ owner: Submitter, _ identity: InodeIdentity, _ job: JobSpec, requeueOf: RunID?,
        isAdopted: Bool = false
    ) throws -> Result<Origin, Failure> {
        guard policy.isShared else { return .success(Origin(who: owner, isMeant: true)) }
        guard owner.uid == policy.service else {
            // Only the step `submit` writes it, as the service.
            if job.terms.parent != nil {
                return .failure(
                    Failure(
                        "E-PARENT", "this job says that a run submitted it, but \(owner.name) made the file",
                        whatToDo: "Leave `parent:` out.", retry: .never))
            }
            return .success(Origin(who: owner, isMeant: try Intents(spool).has(identity)))
        }
        if let parent = job.terms.parent {
            // What its run may do, and no more.
            guard let accepted = Whereabouts.acceptance(ofRun: parent.run, spool, journal) else {
                return .failure(unknown("the run \(parent.run) that submitted it is not to be found"))
            }
            return .success(Origin(who: accepted.submitter, isMeant: accepted.terms.isMeant))
        }
        if let requeueOf {
            // A copy of what was accepted, written by the service: the text is that of who dropped it.
            guard let accepted = Whereabouts.acceptance(ofRun: requeueOf.text, spool, journal) else {
                return .failure(unknown("the run \(requeueOf) whose job it is is not to be found"))
            }
            return .success(Origin(who: accepted.submitter, isMeant: false))
        }
        if isAdopted { return .failure(unknown("a crash came between its claim and its record")) }
        return .success(Origin(who: owner, isMeant: true))
    }
    private func unknown(_ why: String) -> Failure {
        Failure(
            "E-ORIGIN", "the file belongs to the service, and nobody knows for whom: \(why)",
            whatToDo: "Whoever wants it submits it himself: bobbin submit FILE.", retry: .never)
    }

    /// What the roles say; a no is on record before the file goes.
    func denial(
        _ name: String, _ bytes: [UInt8], _ job: JobSpec, _ origin: Origin, queue: QueueName,
        template: String?
    )
        throws -> Failure?
    {
        guard policy.isEnforced else { return nil }
        let demand = JobDemand(job, queue: queue, template: template)
        guard let failure = policy.denial(of: demand, by: origin.who, hasIntent: origin.isMeant) else {
            return nil
        }
        try audit.append(
            [
                AuditEntry(
                    AccessLog.denied, DropName.escaped(name), by: origin.who, file: Digest.sha256(bytes),
                    outcome: failure.code,
                    why: "\(failure.message). \(failure.whatToDo)", severity: .notice)
            ], at: Timestamp(nanoseconds: Clocks.wall))
        return failure
    }
}
