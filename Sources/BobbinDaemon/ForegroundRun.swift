// What this is: `bobbin run JOB`: one job, here and now, without daemon, queue or journal.
// Owns: the run's temporary directory, the progress lines, the waiting out of retries, the asking of who is there.
// Never: touches the spool: what is run this way is answered on the terminal, not in done/. Secrets that it gives are on the
//   record of the site all the same (ops/audit).
// On failure: the record of the run says it; the caller turns it into an exit code.
import AccessControl
import JobLanguage
import JobModel
import LinuxSystem
import RunEngine

public final class ForegroundRun: Sendable {
    /// Tells about each step as it starts and ends.
    public typealias Progress = @Sendable (StepRecord) -> Void
    /// Asks whoever is there; nil: nobody is, or he does not answer.
    public typealias Ask = @Sendable (RunRecord, RunRecord.Gate) -> Decision?

    private final class Recorder: RunRecorder {
        let record: Monitor<RunRecord>
        let progress: Progress
        init(_ record: RunRecord, _ progress: @escaping Progress) {
            self.record = Monitor(record)
            self.progress = progress
        }
        func record(_ event: RunEvent, of run: RunID, durable: Bool) {
            record.with { $0.apply(event) }
            switch event {
            case .stepStarted(let step), .stepEnded(let step): progress(step)
            default: break
            }
        }
    }

    /// Runs a checked job to its end. `site`: whose secrets it may have; nil: none. `directory` is what relative paths are below; `runs` gets the logs.
    public static func perform(
        _ spec: JobSpec, bytes: [UInt8], name: String, directory: String, runs: Directory,
        signals: RunSignals,
        progress: @escaping Progress, ask: @escaping Ask = { _, _ in nil }, site: Site? = nil
    ) -> RunRecord {
        let queue = QueuePolicy(name: spec.queue ?? .standard)
        let now = Timestamp(nanoseconds: Clocks.wall)
        let uid = ProcessSetup.uid
        var acceptance = Acceptance(
            id: Identities.fresh(), queue: queue.name, priority: spec.priority ?? .normal, dropName: name,
            jobName: spec.name,
            submitter: Submitter(uid: uid, name: Host.userName(uid)), acceptedAt: now, arrivedAt: now,
            identity: InodeIdentity(inode: 0, birthNanoseconds: 0), snapshot: bytes,
            sha256: Digest.sha256(bytes),
            runner: "foreground")
        acceptance.terms.parent = spec.terms.parent
        let first = RunRecord(acceptance)
        let recorder = Recorder(first, progress)
        let actions = Dictionary(
            Site.allActions.map { ($0.type.name, $0) }, uniquingKeysWith: { first, _ in first })
        var surroundings = RunSurroundings(
            sitePath: directory, runsPath: runs.path, runDirectory: { try runs.makeDirectory($0.text) })
        if let site { surroundings.secrets = secrets(of: site) }
        while true {
            let record = recorder.record.with { $0 }
            let driver = RunDriver(
                record: record, spec: spec, actions: actions, recorder: recorder, surroundings: surroundings,
                signals: signals, queue: queue)
            let ending = driver.drive()
            if let final = finish(ending, recorder, signals, ask) { return final }
        }
    }

    /// A site that cannot be read gives none, and says why.
    private static func secrets(of site: Site) -> RunSurroundings.SecretSource {
        { (needs, run) throws(Failure) in
            let lookup: SecretLookup
            do {
                let settings = try site.configuration().secrets
                lookup = SecretLookup(
                    site: site.path,
                    audit: AuditLog(
                        ops: try site.spool.site.directory("ops"), state: site.spool.state,
                        origin: AuditOrigin.name(site.spool)), settings: { settings })
            } catch {
                throw Failure("E-SECRET", "this site's secrets are not to be had: \(error)", retry: .never)
            }
            return try lookup.give(needs, run)
        }
    }

    /// Nil after a wait: the run is driven again.
    private static func finish(
        _ ending: RunEnding, _ recorder: Recorder, _ signals: RunSignals, _ ask: Ask
    ) -> RunRecord? {
        let run = recorder.record.with { $0.id }
        let now = Timestamp(nanoseconds: Clocks.wall)
        switch ending {
        case .ended(let state, let failure, let outputs):
            recorder.record(
                .ended(state, at: now, failure: failure, outputs: outputs, result: []), of: run,
                durable: false)
            return recorder.record.with { $0 }
        case .suspended(let wait) where wait.reason.endsByItself, .starved(let wait, _):
            recorder.record(.parked(wait), of: run, durable: false)
            // A submitted job: nobody tells here when it has ended.
            let due = wait.until.map { $0.since(now).nanoseconds } ?? 1_000_000_000
            signals.pause(until: Clocks.monotonic + max(0, due))
            recorder.record(.resumed(at: Timestamp(nanoseconds: Clocks.wall)), of: run, durable: false)
            return nil
        case .suspended(let wait) where wait.reason == .approval:
            recorder.record(.parked(wait), of: run, durable: false)
            answer(recorder, ask)
            recorder.record(.resumed(at: Timestamp(nanoseconds: Clocks.wall)), of: run, durable: false)
            return nil
        case .suspended, .stopped:
            let failure = Failure("E-STOPPED", "the run was stopped", kind: .cancelled, retry: .never)
            recorder.record(
                .ended(.cancelled, at: now, failure: failure, outputs: [:], result: []), of: run,
                durable: false)
            return recorder.record.with { $0 }
        }
    }

    /// Without an answer the time of a question is over at once, and counts as the question says.
    private static func answer(_ recorder: Recorder, _ ask: Ask) {
        let record = recorder.record.with { $0 }
        for gate in record.gates where gate.approval.outcome(gate.question).isOpen {
            let note = { (event: ApprovalEvent) in
                recorder.record(
                    .approval(gate.step.place, nonce: gate.question.nonce, event), of: record.id,
                    durable: false)
            }
            let now = Timestamp(nanoseconds: Clocks.wall)
            note(.asked(at: now, until: now.adding(gate.question.timeout)))
            guard let decision = ask(record, gate) else {
                note(.expired(at: Timestamp(nanoseconds: Clocks.wall)))
                continue
            }
            note(.decided(decision))
        }
    }
}
