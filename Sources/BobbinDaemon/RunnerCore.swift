// What this is: what the threads of one runner share: site, journal, scheduler, publisher, settings, and the post box
// of the main loop.
// Owns: the ways in which a run leaves a worker: ended or parked.
// Never: decides when something starts.
// On failure: the journal's and publisher's fail-stop; disk trouble elsewhere is logged, once a minute for the same file.
import AccessControl
import Glibc
import JobLanguage
import JobModel
import LinuxSystem
import RunEngine
import RunJournal
import SpoolQueue

/// What workers tell the main loop.
enum Message: Sendable {
    case arriving(Candidate, LaneKey, why: String, lookAgainIn: Span)
    case parked(RunID)
    /// A step of it asks people, while others of it may still be at work.
    case asks(RunID)
    /// It has its concurrency key now.
    case called(RunID)
    case ended([RunRecord])
    case quiet
}

final class RunnerCore: Sendable {
    let site: Site
    let name: String
    let journal: Journal
    let scheduler: Scheduler
    let log: DaemonLog
    let claimed: Directory
    let aside: Aside
    let surroundings: RunSurroundings
    let remains: Remains
    let pressure: Pressure
    let waker: Waker
    let targets: Targets
    let gate: StartGate
    let audit: AuditLog
    /// Asks for the end of a run, or of what becomes of a ticket, whosever it is.
    let cancel: @Sendable (RunID) -> Void
    /// Whether the index has what the files have; who does not lead cannot know, and takes it as it is.
    let isIndexWhole = Monitor<@Sendable () -> Bool>({ true })
    private let publisher = Monitor<Publisher?>(nil)
    private let settings: Monitor<Settings>
    private let mail: Monitor<[Message]>
    /// Commands on drops that are not whole yet, by ticket: they hold from the moment the drop is accepted.
    private let expected = Monitor<[String: Expected]>([:])
    private struct Expected {
        var request: RunSignals.Request
        /// Whose command it is.
        var by: Submitter
        /// What the drop became.
        var run: RunID?
    }
    private let warned = Monitor<[String: Int64]>([:])

    struct Settings {
        var configuration: Configuration
        var access: AccessPolicy
        var lanes: [LaneKey: Directory] = [:]
    }

    init(
        site: Site, name: String, home: Directory, journal: Journal, log: DaemonLog, claimed: Directory,
        configuration: Configuration, access: AccessPolicy
    ) throws {
        self.site = site
        self.name = name
        self.journal = journal
        self.log = log
        self.claimed = claimed
        aside = Aside(journal: journal, spool: site.spool, claimed: claimed)
        let waker = try Waker()
        let mail = Monitor<[Message]>([])
        self.waker = waker
        self.mail = mail
        let control = site.spool
        cancel = { run in
            // The command of a person who wants the same; whose run it is, finds out who carries it out.
            let name = ControlFile.command(.cancel, subject: run.text).name
            do throws(SystemError) {
                try AtomicFile.write(Array("asked for by another run\n".utf8), to: name, in: control.control)
            } catch {
                // It stands there already, or cannot be written: then the run ends by itself.
                if !error.isExisting { log.warn("runner", "cannot ask for the end of \(run): \(error)") }
            }
        }
        gate = try StartGate(
            site.spool, journal,
            callUp: { run in
                mail.with { $0.append(.called(run)) }
                waker.wake()
            },
            cancel: cancel)
        scheduler = Scheduler { waker.wake() }
        remains = Remains()
        pressure = Pressure(root: site.spool.root, spool: site.spool.id, home: home)
        settings = Monitor(Settings(configuration: configuration, access: access))
        let (spool, settings) = (site.spool, settings)
        targets = Targets(
            book: try TargetBook(spool.state), policies: { settings.with { $0.configuration.targets } },
            log: log)
        targets.prune()
        audit = AuditLog(
            ops: try site.spool.site.directory("ops"), state: spool.state, origin: AuditOrigin.name(spool))
        surroundings = RunSurroundings(
            sitePath: site.path, runsPath: spool.runs.path,
            runDirectory: { try spool.runs.makeDirectory($0.text) },
            secrets: SecretLookup(
                site: site.path, audit: audit, settings: { settings.with { $0.configuration.secrets } }
            ).give,
            killGrace: configuration.killGrace, targets: targets,
            account: StepAccounts(access: { settings.with { $0.access } }).account,
            confinement: StepConfinement(site.path, access: { settings.with { $0.access } }).current)
    }

    // MARK: settings

    var configuration: Configuration { settings.with { $0.configuration } }
    var access: AccessPolicy { settings.with { $0.access } }
    func policy(_ queue: QueueName) -> QueuePolicy? { settings.with { $0.configuration.policy(queue) } }
    func lane(_ key: LaneKey) -> Directory? { settings.with { $0.lanes[key] } }
    func update(_ change: (inout Settings) -> Void) { settings.with { change(&$0) } }
    func setPublisher(_ publisher: Publisher) { self.publisher.with { $0 = publisher } }
    var isPublishing: Bool { publisher.with { $0.map { !$0.isIdle } ?? false } }

    /// `announce` is told of a run before anybody can see it.
    func admission(announce: @escaping (RunID) -> Void = { _ in }) -> Admission {
        Admission(
            spool: site.spool, reader: site.reader(), journal: journal, claimed: claimed, runner: name,
            rejecter: Rejecter(spool: site.spool, log: log), remains: remains,
            pressure: pressure, environment: { [settings] in settings.with { $0.configuration.environment } },
            access: { [settings] in settings.with { $0.access } }, audit: audit,
            announce: announce)
    }

    /// The job of an accepted run, from its snapshot and the templates accepted with it.
    func spec(of record: RunRecord) -> JobSpec? { RunnerCore.spec(of: record, catalogue: site.catalogue) }
    static func spec(of record: RunRecord, catalogue: StepCatalogue) -> JobSpec? {
        let accepted = record.acceptance
        let reader = JobReader(catalogue: catalogue) { name in
            if name == accepted.templateName { return accepted.templateText }
            return accepted.calledTemplates.first { $0.name == name }?.bytes
        }
        let stem =
            record.acceptance.stem.split(separator: ".").first.map(String.init) ?? record.acceptance.stem
        return reader.read(
            record.acceptance.snapshot, name: record.acceptance.dropName, stem: stem, as: .accepted
        ).job
    }

    // MARK: commands on drops that are still arriving

    func expect(_ request: RunSignals.Request, ticket: String, by who: Submitter) {
        expected.with { $0[ticket] = Expected(request: request, by: who, run: $0[ticket]?.run) }
    }
    /// Commands that were taken away before their drop was whole hold no more.
    func keepExpected(_ tickets: Set<String>) {
        expected.with { $0 = $0.filter { tickets.contains($0.key) } }
    }
    func forgetExpected(ticket: String) { expected.with { _ = $0.removeValue(forKey: ticket) } }
    /// The run that a drop became to which an expected command applied.
    func obeyed(ticket: String) -> RunID? { expected.with { $0[ticket]?.run } }
    /// Raises what was asked of a drop before it became this run.
    func obeyExpected(_ record: RunRecord) {
        guard let ticket = record.acceptance.ticket else { return }
        let policy = access
        let request = expected.with { expected -> RunSignals.Request? in
            guard let command = expected[ticket],
                // A ticket is a name that anybody can give his file: whose drop it became is known only now.
                policy.denial(of: .stopRuns, to: command.by, onRunOf: record.acceptance.submitter) == nil
            else { return nil }
            expected[ticket]?.run = record.id
            return command.request
        }
        if let request { scheduler.signals(of: record.id).raise(request) }
    }
    /// Whether a drop of this ticket lies in a queue or is just being judged.
    func hasDrop(ticket: String) -> Bool {
        let isIt: (String) -> Bool = { DropName.ticket(in: $0) == ticket }
        if scheduler.isBeingJudged(where: isIt) { return true }
        // Unreadable: the next sweep looks again.
        return settings.with { Array($0.lanes.values) }.contains {
            ((try? $0.names()) ?? []).contains(where: isIt)
        }
    }

    /// As whom the steps of somebody act; nil: as we do, or as nobody.
    func stepAccount(_ who: Submitter) -> Account? {
        // Whatever has become of his role: his processes are to be ended.
        let policy = access
        return policy.isShared && who.uid != policy.service ? Account(who.uid) : nil
    }

    /// Whose a drop is that nobody claimed yet; nil where several have files of that name, or not all could be looked at:
    /// then it takes the right for other people's.
    func ownerOfDrop(ticket: String) -> Submitter? {
        var owners: Set<UInt32> = []
        do throws(SystemError) {
            for directory in settings.with({ Array($0.lanes.values) }) {
                for name in try directory.names() where DropName.ticket(in: name) == ticket {
                    // One that goes just now was claimed, or taken away by its owner.
                    if let uid = try directory.statusIfPresent(name)?.uid { owners.insert(uid) }
                }
            }
        } catch {
            diskTrouble("reading the queues for ticket \(ticket)", error)
            return nil
        }
        guard let uid = owners.first, owners.count == 1 else { return nil }
        return Submitter(uid: uid, name: Host.userName(uid))
    }

    // MARK: pressure

    /// Whether the host has room for new work. Where it has none, nothing begins until the main loop finds some.
    func mayBegin() -> Bool {
        guard let why = pressure.look() else {
            goSlowly(pressure.scarcity)
            return true
        }
        if scheduler.holdUp(true) {
            log.warn("pressure", "nothing new begins for now: \(why)")
            post(.quiet)
        }
        pressure.tell(why)
        return false
    }
    private func goSlowly(_ why: String?) {
        guard scheduler.slowDown(why != nil) else { return }
        if let why {
            log.warn("pressure", "runs go one at a time: \(why)")
        } else {
            log.info("pressure", "there is room again: runs go side by side")
        }
    }
    /// Looks whether what held the work up is over.
    func lookForRoom() {
        guard mayBegin(), scheduler.holdUp(false) else { return }
        pressure.tell("")
        log.info("pressure", "that is over: work goes on")
    }
    /// A call was refused for want of room, descriptors, memory or processes.
    func strike(_ error: any Error) {
        pressure.strike((error as? Failure)?.message ?? "\(error)")
        _ = mayBegin()
    }

    // MARK: endings

    func end(_ run: RunID, _ state: FinalState, _ failure: Failure?, outputs: ValueMap) {
        guard var record = journal.record(run), record.finalState == nil else { return }
        let now = Timestamp(nanoseconds: Clocks.wall)
        for event in Parents.giveUp(record, at: now) {
            record.apply(event)
            journal.append(event, of: run)
        }
        Parents.children(leftBy: record).forEach(cancel)
        record.apply(.ended(state, at: now, failure: failure, outputs: outputs, result: []))
        let result = ResultFile.render(record)
        let sequence = journal.append(
            .ended(state, at: now, failure: failure, outputs: outputs, result: result), of: run)
        scheduler.forget(run)
        publish(run, sequence)
        gate.ended(record)
        targets.release(record)
    }
    func publish(_ run: RunID, _ sequence: Journal.Sequence) { publisher.with { $0?.add(run, sequence) } }

    /// Puts a run aside without slot or thread. `again`: one that waits already, for something else.
    /// False: it does not wait any more.
    @discardableResult
    func park(_ run: RunID, _ wait: Wait, again: Bool = false) -> Bool {
        do { guard try aside.park(run, wait, again: again) else { return false } } catch {
            // The journal says where the run is; its file follows at the next start.
            diskTrouble("parking \(run)", error)
        }
        let pending = scheduler.forget(run)
        if obey(pending, run, wait) { return true }
        log.info(
            "runner", "waits (\(wait.reason.rawValue))\(wait.until.map { " until \($0.rfc3339)" } ?? "")",
            run: run)
        post(.parked(run))
        return true
    }

    /// A hold or cancel that came while the run was on its way aside. True: the run is elsewhere now.
    private func obey(_ pending: RunSignals.Request, _ run: RunID, _ wait: Wait) -> Bool {
        let now = Timestamp(nanoseconds: Clocks.wall)
        switch pending {
        case .hold where wait.reason.endsByItself || wait.reason == .approval:
            // Called up meanwhile: it is held before its next step.
            scheduler.signals(of: run).raise(.hold)
            park(run, Wait(.held, since: now, nextAttempt: wait.nextAttempt), again: true)
            return true
        case .cancel:
            scheduler.signals(of: run).raise(.cancel)
            do { _ = try aside.unpark(run, where: { _ in true }, with: .resumed(at: now)) } catch {
                diskTrouble("resuming \(run)", error)
                return false
            }
            scheduler.urgent(run)
            return true
        default: return false
        }
    }

    /// Queues a run that goes on.
    func makeReady(_ record: RunRecord) {
        let key = LaneKey(queue: record.acceptance.queue, priority: record.acceptance.priority)
        do { try scheduler.ready(record.id, key, slots: site.spool.slots) } catch {
            // The journal keeps it; the next start tries again.
            diskTrouble("the slots of queue \(key.queue)", error)
        }
    }

    // MARK: telling

    func post(_ message: Message) {
        mail.with { $0.append(message) }
        waker.wake()
    }
    var hasMail: Bool { mail.with { !$0.isEmpty } }
    func takeMail() -> [Message] {
        mail.with { mail in
            defer { mail.removeAll(keepingCapacity: true) }
            return mail
        }
    }
    func diskTrouble(_ what: String, _ error: any Error) { warnOnce("\(what): \(error)") }
    /// Of those who decide and make drops by the clock or by files: after a failed sync nobody knows what is on the disk.
    func triggerTrouble(_ what: String, _ error: any Error) {
        if let error = error as? SystemError, ["fdatasync", "fsync", "syncfs"].contains("\(error.call)") {
            RunnerCore.halt(log, error)
        }
        diskTrouble(what, error)
    }
    /// The same sentence at most once an hour.
    func warnOnce(_ text: String) {
        let now = Clocks.monotonic
        let isNew = warned.with { warned -> Bool in
            if let last = warned[text], now - last < 3_600_000_000_000 { return false }
            if warned.count > 10_000 { warned.removeAll() }
            warned[text] = now
            return true
        }
        if isNew { log.warn("runner", text) }
    }

    /// After a failed sync nothing more may be promised: say so and stop (reliability.md E8).
    static func halt(_ log: DaemonLog, _ error: any Error) -> Never {
        log.error(
            "journal",
            "stopped, because a write could not be made durable: \(error). Restart to replay the journal.")
        StandardError.write("bobbin: stopped, because a write could not be made durable: \(error)\n")
        _exit(74)
    }
}
