// What this is: one runner from start to end: `bobbin up` and `bobbin run`. The roof that introduces the rooms.
// Owns: the order of starting and stopping, the main loop, leadership, signals, the re-reading of the configuration.
// Never: runs a step or reads a job on its own thread.
// On failure: what cannot start says why and exits; a running one stops only for what it cannot promise any more.
import AccessControl
import Glibc
import JobModel
import LinuxSystem
import RunJournal
import SpoolQueue

public struct RunnerOptions: Sendable {
    public var name: String
    /// End when nothing is left to do.
    public var untilIdle: Bool
    /// Standard error shows warnings as well as the log.
    public var echo: Bool
    /// Serves schedules, watchers and events as well.
    public var servesTriggers: Bool
    public init(name: String, untilIdle: Bool, echo: Bool, servesTriggers: Bool = false) {
        self.name = name
        self.untilIdle = untilIdle
        self.echo = echo
        self.servesTriggers = servesTriggers
    }
    public static func isFit(name: String) -> Bool {
        (1...32).contains(name.utf8.count)
            && name.utf8.allSatisfy {
                $0 == 0x5F || $0 == 0x2D || ($0 | 0x20) >= 0x61 && ($0 | 0x20) <= 0x7A
                    || (0x30...0x39).contains($0)
            }
    }
}

public final class Runner {
    private let core: RunnerCore
    private let options: RunnerOptions
    private let lock: FileLock
    private let publisher: Publisher
    private let drops: DropWatch
    private let desk: ControlDesk
    private let inbox: Inbox
    private let notices: Notices
    private let orders: Directory
    private let signals: SignalInbox
    private var workers: [BlockingThread] = []
    private var leaderLock: FileLock?
    private var indexer: Indexer?
    private var parked: [RunID: Timestamp] = [:]
    private var configurationBytes: [UInt8] = []
    private var accessBytes: [UInt8]?
    private var watchedIntakes: [String] = []
    private var nextHousekeeping: Int64 = 0
    private var nextLeaderSweep: Int64 = 0
    private var stopAt: Int64?
    private var isDraining = false
    private var wasSignalled = false
    private var isStopped = false
    private static let controlTag = 1, ordersTag = 2, inboxTag = 3, responsesTag = 4, configurationTag = 5,
        intakeTag = 6
    private static let housekeepingEvery = Span.seconds(5).nanoseconds

    // MARK: start

    /// Opens the site and takes its place in it. Throws SpoolProblem when another runner has the name.
    public init(site: Site, options: RunnerOptions) throws {
        self.options = options
        ProcessSetup.prepare()
        try ProcessSetup.probe()
        ProcessSetup.becomeSubreaper()
        ProcessSetup.hideMemory()
        signals = try SignalInbox([SIGTERM, SIGINT, SIGHUP])
        let configuration = try site.configuration()
        let access = try site.access()
        try Runner.checkAccount(access, site)
        let spool = site.spool
        let log = DaemonLog(spool.log, echo: options.echo)
        let recoveryLock = try Runner.waitForRecoveryLock(spool)
        // Whoever had the lock may have been a restore: then ours is the spool of before.
        guard try spool.isInItsPlace() else {
            throw SpoolProblem(
                "E-RUNNING", "the spool was replaced while this runner waited for it",
                whatToDo: "Start it again.")
        }
        let (home, lock) = try Runner.takePlace(options.name, spool)
        self.lock = lock
        let journalDirectory = try home.makeDirectory(SpoolName.journal, mode: 0o700)
        orders = try home.makeDirectory(SpoolName.orders, mode: 0o700)
        let temporary = try home.makeDirectory(SpoolName.temporary, mode: 0o700)
        let claimed = try spool.claimed.makeDirectory(options.name)
        var replay: Replay
        do { replay = try Replay.read(journalDirectory) } catch let damage as JournalDamage {
            throw SpoolProblem(
                "E-JOURNAL", "\(damage)",
                whatToDo:
                    "Nothing was changed. `bobbin journal verify` reads all journals; bring the file back from a backup, or move the journal directory aside: its claims are then adopted as if they had not begun."
            )
        }
        if replay.tornBytes > 0 { log.info("journal", "cut 1 torn record (\(replay.tornBytes) bytes)") }
        replay.reviveRetired()
        let halt: @Sendable (any Error) -> Never = { RunnerCore.halt(log, $0) }
        let journal = try Journal(
            journalDirectory, replay: replay, salt: { Clocks.randomBits().1 },
            settle: { try spool.root.syncFileSystem() }, halt: halt)
        let recovered = Array(replay.live.values)
        let core = try RunnerCore(
            site: site, name: options.name, home: home, journal: journal, log: log, claimed: claimed,
            configuration: configuration, access: access)
        core.remains.add(recovered)
        self.core = core
        publisher = try Publisher(
            spool: spool, journal: journal, claimed: claimed, temporary: temporary, log: log,
            isBusy: { core.scheduler.isBusy }, settle: { try core.gate.settle($0) },
            told: { core.post(.ended($0)) }, halt: halt)
        core.setPublisher(publisher)
        drops = try DropWatch(core)
        desk = ControlDesk(core)
        inbox = Inbox(core)
        notices = Notices(site, log: log)
        // Runs that go on need their queues, also those that the configuration has dropped meanwhile.
        try core.scheduler.configure(configuration.queues, slots: spool.slots)
        for name in try temporary.names() { try temporary.removeIfPresent(name) }
        let recovery = Recovery(core: core)
        recovery.killLeftovers(recovered)
        core.gate.restore(recovered)
        Takeover(core: core).sweep()
        try recovery.resume(recovered)
        // Whatever an interrupted recovery moved or removed is durable before anything of it runs again.
        try spool.root.syncFileSystem()
        withExtendedLifetime(recoveryLock) {}
        // Those that had ended are only looked at once more.
        let goingOn = recovered.count { $0.finalState == nil }
        if goingOn > 0 {
            log.info("recovery", "\(goingOn) run\(goingOn == 1 ? "" : "s") of the former life go on")
        }
    }

    /// On a site for many, who owns the site's files decides who is trusted with what: the service must be that account.
    private static func checkAccount(_ access: AccessPolicy, _ site: Site) throws {
        guard access.isShared else { return }
        guard try site.spool.state.statusIfPresent(SpoolName.shared) != nil else {
            throw SpoolProblem(
                "E-SHARED",
                "\(AccessFile.path) says `shared: true`, and the directories are not set for that",
                whatToDo: "bobbin init \(site.path) --shared \(access.group ?? "GROUP")")
        }
        guard access.service != ProcessSetup.uid else { return }
        throw SpoolProblem(
            "E-ACCOUNT",
            "this shared site runs as \(Host.userName(access.service)), not as \(Host.userName(ProcessSetup.uid))",
            whatToDo: "Start it as that account (User= in its unit), or chown the site.")
    }

    private static func waitForRecoveryLock(_ spool: Spool) throws -> FileLock {
        // A recovery lasts as long as a journal is read; a minute means that something is very wrong.
        for _ in 0..<3_000 {
            if let lock = try Takeover.recoveryLock(spool) { return lock }
            _ = try Waker.sleep([], until: Clocks.monotonic + 20_000_000)
        }
        throw SpoolProblem(
            "E-RUNNING", "another runner has been recovering this spool for a minute",
            whatToDo: "Look at spool/log/bobbin.log, then try again.")
    }

    private static func takePlace(_ name: String, _ spool: Spool) throws -> (Directory, FileLock) {
        // A leader that takes a dead runner's place over may remove the directory under us: then begin anew.
        for _ in 0..<250 {
            let home = try spool.runners.makeDirectory(name, mode: 0o700)
            guard let lock = try FileLock.take(SpoolName.lock, in: home) else {
                guard Runner.isHeldByLeftover(home) else { break }
                _ = try Waker.sleep([], until: Clocks.monotonic + 20_000_000)
                continue
            }
            guard try home.statusIfPresent(SpoolName.lock) != nil else { continue }
            let text = "pid \(ProcessSetup.pid) since \(Timestamp(nanoseconds: Clocks.wall).rfc3339)\n"
            try lock.file.truncate(to: 0)
            try lock.file.write(Array(text.utf8), at: 0)
            return (home, lock)
        }
        // Unreadable: the sentence is shown without it.
        let holder =
            (try? spool.runners.directory(name).openForReading(SpoolName.lock).read(upTo: 200))
            .map { String(decoding: $0, as: UTF8.self).trimmed } ?? ""
        throw SpoolProblem(
            "E-RUNNING", "runner `\(name)` is already running here\(holder.isEmpty ? "" : " (\(holder))")",
            whatToDo: "A second runner on this spool needs a name of its own: bobbin run --runner NAME")
    }

    /// A program that a killed runner was just starting holds a copy of its lock until it is itself: a moment.
    private static func isHeldByLeftover(_ home: Directory) -> Bool {
        // Unreadable: then it is taken for a runner.
        guard let bytes = try? home.openForReading(SpoolName.lock).read(upTo: 200) else { return false }
        let words = String(decoding: bytes, as: UTF8.self).split(separator: " ")
        guard words.count > 1, words[0] == "pid", let pid = Int32(words[1]) else { return false }
        return !Host.isRunning(pid)
    }

    /// Works until told to stop, or until nothing is left where that was asked. Returns the exit code.
    public func run() throws -> Int32 {
        try watchOwnDirectories()
        try drops.configure(core.configuration)
        try becomeLeaderIfFree()
        // A drain without anybody left to drain has ended, even if nobody could take its file away.
        if leaderLock != nil && !othersWork { desk.endDrain() }
        desk.sweep(isLeader: leaderLock != nil)
        let approvals = try ApprovalDesk(core, notices: notices) { [unowned self] run in
            resume(run, where: Runner.mayWakeForPeople)
        }
        self.approvals = approvals
        approvals.begin(isLeader: leaderLock != nil)
        approvals.sweep(isLeader: leaderLock != nil)
        try startWorkers()
        if options.servesTriggers {
            triggers = try TriggerDesk(core)
            reporter = try Reporter(core.site, log: core.log, notices: notices) { [core] in
                core.isIndexWhole.with { $0() }
            }
        }
        core.log.info(
            "runner",
            "\(core.name) began (pid \(ProcessSetup.pid), \(leaderLock == nil ? "not leading" : "leading"), spool \(core.site.spool.id))"
        )
        while !isStopped { try turn() }
        return stop()
    }

    private func watchOwnDirectories() throws {
        try watchPublicDirectories()
        try drops.watch.add(orders, tag: Runner.ordersTag)
        let ops = try core.site.spool.site.directory("ops")
        try drops.watch.add(ops, tag: Runner.configurationTag)
        configurationBytes = try ops.openForReading("orchestrator.yaml").read(upTo: 1 << 20)
        accessBytes = try core.site.accessBytes()
    }

    private func watchPublicDirectories() throws {
        // What holds while its file is there ends when the file goes.
        try drops.watch.add(core.site.spool.control, tag: Runner.controlTag, removals: true)
        try drops.watch.add(core.site.spool.inbox, tag: Runner.inboxTag)
        try drops.watch.add(core.site.spool.responses, tag: Runner.responsesTag)
        try watchIntakes()
    }

    /// Those of people who came since are made by whoever leads, and watched by all who may come to lead.
    private func watchIntakes() throws {
        guard core.access.isShared else { return }
        let names = try SharedSite.makeIntakes(core.site, core.access)
        guard names != watchedIntakes else { return }
        drops.watch.remove(tag: Runner.intakeTag)
        let root = try core.site.spool.root.directory(SpoolName.intake)
        for name in names { try drops.watch.add(root.directory(name), tag: Runner.intakeTag) }
        watchedIntakes = names
    }

    /// A person may have emptied, moved or replaced a directory that we hold open.
    private func reopenReplaced() throws {
        publisher.forgetDays()
        let replaced = try core.site.spool.reopenReplaced()
        guard !replaced.isEmpty else { return }
        core.log.warn(
            "watch",
            "replaced or removed, opened anew: \(replaced.map { "spool/" + $0 }.joined(separator: ", "))")
        drops.watch.remove(tag: Runner.controlTag)
        drops.watch.remove(tag: Runner.inboxTag)
        drops.watch.remove(tag: Runner.responsesTag)
        try watchPublicDirectories()
        desk.sweep(isLeader: leaderLock != nil)
        if leaderLock != nil { inbox.sweep() }
        approvals?.publishAgain()
        approvals?.sweep(isLeader: leaderLock != nil)
    }

    private func startWorkers() throws {
        let wanted = core.configuration.queues.reduce(0) { $0 + $1.maxConcurrent }
        // One more than there are slots: it ends cancelled runs while every slot is busy.
        while workers.count < min(wanted + 1, 1024) {
            let worker = Worker(core)
            workers.append(try BlockingThread.start("worker-\(workers.count + 1)") { worker.loop() })
        }
    }

    // MARK: the main loop

    private func turn() throws {
        let ready = try Waker.sleep([drops.watch.fd, core.waker.fd, signals.fd], until: deadline)
        if ready[0] { try takeHints() }
        if ready[1] { takeMail() }
        if ready[2] { while let number = signals.next() { obey(signal: number) } }
        let now = Clocks.monotonic
        resumeDue()
        drops.tick()
        if core.scheduler.isContended { contendedUntil = now + 50_000_000 }
        if let instant = contendedUntil, now >= instant {
            contendedUntil = nil
            core.scheduler.wakeAll()
        }
        if core.scheduler.isHeldUp, now >= nextLookForRoom {
            nextLookForRoom = now + Span.seconds(1).nanoseconds
            core.lookForRoom()
        }
        if core.gate.hasLinesElsewhere, now >= nextLookAtKeys {
            nextLookAtKeys = now + Span.milliseconds(500).nanoseconds
            core.gate.lookAgain()
        }
        for key in core.scheduler.takeWantedScans() { drops.rescan(key) }
        if now >= inbox.lookAgain { inbox.sweep() }
        approvals?.tick(isLeader: leaderLock != nil)
        if now >= desk.lookAgain { desk.sweep(isLeader: leaderLock != nil) }
        if now >= nextHousekeeping { try keepHouse() }
        if let instant = stopAt, now >= instant { core.scheduler.raiseAll(.stop) }
        try considerStopping()
    }
    private var contendedUntil: Int64?
    private var nextLookForRoom: Int64 = 0
    private var nextLookAtKeys: Int64 = 0
    private var approvals: ApprovalDesk?
    private var triggers: TriggerDesk?
    private var reporter: Reporter?
    /// While another of its steps waits for something else, a run may go on for the sake of one that people were asked about.
    private static func mayWakeForPeople(_ reason: Wait.Reason) -> Bool {
        [.approval, .child, .retry, .scheduled, .target, .interrupted].contains(reason)
    }
    private lazy var parents = Parents(core) { [unowned self] run in resume(run, where: Parents.mayWake) }

    private var deadline: Int64 {
        var nearest = min(drops.deadline, nextHousekeeping, inbox.lookAgain, desk.lookAgain)
        if let stopAt { nearest = min(nearest, stopAt) }
        if let approvals { nearest = min(nearest, approvals.deadline) }
        if core.scheduler.isHeldUp { nearest = min(nearest, nextLookForRoom) }
        if let contendedUntil { nearest = min(nearest, contendedUntil) }
        if core.gate.hasLinesElsewhere { nearest = min(nearest, nextLookAtKeys) }
        if let due = parked.values.min() {
            nearest = min(nearest, Clocks.monotonic + max(0, due.nanoseconds - Clocks.wall))
        }
        return nearest
    }

    private static func tellsOfReplacement(_ entry: (tag: Int, hint: DirectoryWatch.Hint)) -> Bool {
        switch entry.hint {
        case .gone: entry.tag <= Runner.responsesTag || entry.tag == DropWatch.parentTag
        case .removed: entry.tag == DropWatch.parentTag
        case .movedIn, .closed, .appeared: false
        }
    }

    /// Looks at what the watch has queued; gives how many hints there were.
    @discardableResult
    private func takeHints() throws -> Int {
        let report = try drops.watch.drain()
        let tags = Set(report.hints.map(\.tag))
        if report.hints.contains(where: Runner.tellsOfReplacement) {
            do {
                try reopenReplaced()
                try drops.reopenReplaced()
            } catch {
                core.diskTrouble("a directory of the spool", error)
            }
        }
        if tags.contains(Runner.controlTag) || report.overflowed { desk.sweep(isLeader: leaderLock != nil) }
        if tags.contains(Runner.ordersTag) || report.overflowed { desk.sweepOrders(orders) }
        if tags.contains(Runner.responsesTag) || report.overflowed {
            approvals?.sweep(isLeader: leaderLock != nil)
        }
        if tags.contains(Runner.configurationTag) { rereadConfiguration() }
        if leaderLock != nil {
            for (tag, hint) in report.hints where tag == Runner.inboxTag { inbox.take(hint) }
            if report.overflowed || tags.contains(Runner.intakeTag) { inbox.sweep() }
        }
        try drops.take(report)
        if desk.isDraining { beginDraining("control/drain") }
        return report.hints.count + (report.overflowed ? 1 : 0)
    }

    private func takeMail() {
        core.waker.clear()
        for message in core.takeMail() {
            switch message {
            case .arriving(let candidate, let key, let why, let span):
                drops.stillArriving(candidate, key, why: why, lookAgainIn: span)
            case .parked(let run):
                // The message may be older than what has become of the run.
                parked[run] = nil
                if let record = core.journal.record(run), case .waiting(let wait) = record.state {
                    // A step that asks people may have a time of its own.
                    if wait.reason.endsByItself || wait.reason == .approval { parked[run] = wait.until }
                    if wait.reason == .key { core.gate.enqueue(record) }
                    if wait.reason == .held { giveUpKey(of: record) }
                    // Its child may have ended while it went aside.
                    if wait.reason == .child { parents.look(for: [run]) }
                }
                approvals?.look(run)
            case .asks(let run): approvals?.look(run)
            case .called(let run):
                resume(run, where: { $0 == .key })
                if let record = core.journal.record(run), case .waiting(let wait) = record.state,
                    wait.reason == .held
                {
                    giveUpKey(of: record)
                }
            case .ended(let records):
                if records.isEmpty { break }
                indexer?.add(records)
                triggers?.poke()
                for record in records {
                    parents.ended(record)
                    approvals?.ended(record.id)
                }
                core.log.write(
                    records.map { record in
                        let failure = record.failure.map { ": \($0.message) [\($0.code)]" } ?? ""
                        return core.log.line(
                            .info, "runner",
                            "\(record.acceptance.jobName) \(record.finalState?.rawValue ?? "")\(failure)",
                            record.id)
                    })
            case .quiet: break
            }
        }
        if drops.hasArriving { drops.tidyArriving() }
    }

    private func resumeDue() {
        guard !parked.isEmpty else { return }
        let now = Timestamp(nanoseconds: Clocks.wall)
        for (run, due) in parked where due <= now {
            // Whatever it waits for by now has an instant of its own, or none.
            parked[run] = nil
            resume(run, where: { $0.endsByItself || $0 == .approval })
        }
    }

    /// Held before its first step, with a key that had just come to it: others go on.
    private func giveUpKey(of record: RunRecord) {
        if record.startedAt == nil { core.gate.release(record) }
    }

    /// Ends a wait that is over. A run that waits for something else by now stays where it is.
    @discardableResult
    private func resume(_ run: RunID, where fits: (Wait.Reason) -> Bool) -> Bool {
        let now = Timestamp(nanoseconds: Clocks.wall)
        do {
            let resumed = try core.aside.unpark(run, where: fits, with: .resumed(at: now))
            guard resumed else { return false }
            parked[run] = nil
            if let record = core.journal.record(run) { core.makeReady(record) }
            return true
        } catch {
            core.diskTrouble("resuming \(run)", error)
            parked[run] = now.adding(.seconds(5))
            return false
        }
    }

    private func keepHouse() throws {
        nextHousekeeping = Clocks.monotonic + Runner.housekeepingEvery
        core.gate.lookAgain()
        Orphans.reap()
        // The heart's beat, for `bobbin status`: a full disk does not stop it. Without it the runner only looks silent.
        do { try lock.file.setModified(Clocks.wall) } catch { core.diskTrouble("the heartbeat", error) }
        // Also while nothing comes: since when the disk had no room matters for what comes then.
        if core.mayBegin(), !core.scheduler.isHeldUp { core.pressure.tell("") }
        parents.look()
        approvals?.keepHouse(isLeader: leaderLock != nil)
        if let problem = core.scheduler.slotProblem { core.diskTrouble("slots", problem) }
        do { try reopenReplaced() } catch { core.diskTrouble("a directory of the spool", error) }
        desk.sweep(isLeader: leaderLock != nil)
        rereadConfiguration()
        do { try watchIntakes() } catch { core.diskTrouble("spool/\(SpoolName.intake)", error) }
        // Short of descriptors, say: somebody else leads until the next look.
        do { try becomeLeaderIfFree() } catch { core.diskTrouble("taking the lead", error) }
        guard leaderLock != nil else { return }
        indexer?.lookAtFile()
        indexer?.lookForFacts()
        inbox.sweep()
        Takeover(core: core).sweepIfFree()
        // Unreadable: nobody else's results are known of until the next look.
        if ((try? core.site.spool.runners.names().count) ?? 1) > 1 { indexer?.lookForOthers() }
    }

    /// Whether another runner of this spool is alive.
    private var othersWork: Bool {
        // Unreadable while it comes or goes: the next start tidies up.
        let names = (try? core.site.spool.runners.names()) ?? []
        return names.contains { name in
            guard name != core.name, let home = try? core.site.spool.runners.directory(name) else {
                return false
            }
            return (try? FileLock.isHeld(SpoolName.lock, in: home)) ?? false
        }
    }

    private func becomeLeaderIfFree() throws {
        guard leaderLock == nil, let lock = try FileLock.take(SpoolName.lock, in: core.site.spool.state)
        else { return }
        try lock.file.truncate(to: 0)
        try lock.file.write(Array("runner \(core.name), pid \(ProcessSetup.pid)\n".utf8), at: 0)
        Recovery(core: core).removeTemporaries()
        try Rejecter(spool: core.site.spool, log: core.log).explainOrphans(core.site.reader())
        let indexer = try Indexer(core.site.spool, log: core.log)
        self.indexer = indexer
        core.isIndexWhole.with { $0 = { indexer.isWhole } }
        // Last: a lead that could not be taken whole is let go with the lock.
        leaderLock = lock
        inbox.sweep()
    }

    // MARK: configuration

    private func rereadAccess() {
        do {
            let bytes = try core.site.accessBytes()
            guard bytes != accessBytes else { return }
            accessBytes = bytes
            let access = try AccessFile.read(bytes, service: core.access.service)
            // Modes and accounts were judged at the start.
            guard access.isShared == core.access.isShared else {
                return core.log.error(
                    "config",
                    "\(AccessFile.path): `shared` cannot change while a runner works; the old rules stay until it is started anew"
                )
            }
            core.update { $0.access = access }
            core.log.info("config", "\(AccessFile.path) was read anew")
            for line in AccessFile.unknown(access, core.site) {
                core.log.warn("config", "\(AccessFile.path): \(line)")
            }
            try watchIntakes()
        } catch let problem as ConfigurationProblem {
            core.log.error(
                "config", "the old rules stay, because \(AccessFile.path) has errors:\n\(problem.text)")
        } catch {
            core.diskTrouble(AccessFile.path, error)
        }
    }

    private func rereadConfiguration() {
        rereadAccess()
        do {
            let bytes = try core.site.spool.site.directory("ops").openForReading("orchestrator.yaml").read(
                upTo: 1 << 20)
            guard bytes != configurationBytes else { return }
            configurationBytes = bytes
            let configuration = try Configuration.read(bytes, name: SpoolName.configuration)
            core.update { $0.configuration = configuration }
            try drops.configure(configuration)
            try startWorkers()
            core.log.info(
                "config",
                "\(SpoolName.configuration) was read again: \(configuration.queues.map(\.name.text).joined(separator: ", "))"
            )
        } catch let problem as ConfigurationProblem {
            core.log.error(
                "config", "the new \(SpoolName.configuration) is not used, the old one holds: \(problem.text)"
            )
        } catch {
            core.diskTrouble(SpoolName.configuration, error)
        }
    }

    // MARK: stopping

    private func obey(signal: Int32) {
        if signal == SIGHUP {
            core.log.reopen()
            return rereadConfiguration()
        }
        if wasSignalled {
            core.log.warn("runner", "told to stop a second time: ending now")
            stopAt = 0
            return core.scheduler.raiseAll(.stop)
        }
        wasSignalled = true
        beginDraining("a signal")
        stopAt = Clocks.monotonic + core.configuration.shutdownGrace.nanoseconds
    }

    private func beginDraining(_ why: String) {
        guard !isDraining else { return }
        isDraining = true
        core.scheduler.drain()
        triggers?.drain()
        core.log.info("runner", "draining (\(why)): what runs goes on to its end, nothing new starts")
    }

    private func considerStopping() throws {
        if isDraining {
            isStopped = core.scheduler.isQuiet && (!core.isPublishing || publisher.isStuck)
        } else if options.untilIdle {
            // Idle first: a worker posts what it found before it falls idle.
            guard core.scheduler.isIdle, !core.hasMail, parked.isEmpty, !drops.hasArriving, !inbox.hasWaiting
            else { return }
            // What a thread of ours has just moved into a queue is known to the watch alone.
            guard try takeHints() == 0 else { return }
            // A child that was sent back has no end that anybody is told of.
            parents.look()
            guard core.scheduler.isIdle, !core.hasMail else { return }
            isStopped =
                !core.isPublishing && !core.hasMail
                && core.journal.liveRecords.allSatisfy { if case .waiting = $0.state { true } else { false } }
        }
    }

    private func stop() -> Int32 {
        triggers?.close()
        reporter?.close()
        core.scheduler.exit()
        for worker in workers { worker.join() }
        notices.close()
        publisher.close()
        takeMail()
        core.journal.close()
        indexer?.close()
        if desk.isDraining && !othersWork { desk.endDrain() }
        core.log.info("runner", "\(core.name) ended")
        return 0
    }
}
