// What this is: the examination of a site and its machine: what is well, what will hurt, what is wrong, what to do.
// Owns: the rules and their sentences.
// Never: mends anything (opening a site makes directories that are missing, as with every verb); needs a runner, or a site
//   that is whole.
// On failure: what cannot be examined is a finding of its own; the other rules go on.
import AccessControl
import Bundles
import JobModel
import LinuxSystem
import RunHistory
import SecretStore
import SpoolQueue

public struct Doctor {
    public enum Grade: String, Sendable, CaseIterable { case well, warning, wrong }
    public struct Finding: Sendable {
        public var grade: Grade
        public var subject: String
        public var text: String
        public var whatToDo: String
    }
    public private(set) var findings: [Finding] = []
    private let path: String

    /// Examines the site at `path`.
    public init(site path: String) {
        self.path = path
        let site: Site
        do { site = try Site(path: path, mayFoundSpool: false) } catch let problem as SpoolProblem {
            add(.wrong, "site", "\(problem.code): \(problem.message)", problem.whatToDo)
            examineMachine(slots: 1, lanes: 1)
            return
        } catch {
            add(
                .wrong, "site", "it cannot be opened: \(error)",
                "See that its owner runs this, and that the disk is well.")
            examineMachine(slots: 1, lanes: 1)
            return
        }
        add(.well, "site", "\(path), spool \(site.spool.id)")
        let configuration = examineConfiguration(site)
        // Where nobody knows which kind of site it is, no mode is wrong.
        if let policy = examineAccess(site) { examineModes(site.spool, isShared: policy.isShared) }
        examineSecrets(site, configuration)
        examineDisk(site.spool)
        examineBundles(site)
        examineJournals(site.spool)
        examineIndex(site.spool)
        examineAudit(site)
        examineLanes(site.spool, configuration)
        examineRunners(site, configuration)
        examineWaiting(site)
        examineTriggers(site)
        examineMachine(
            slots: configuration.queues.reduce(0) { $0 + $1.maxConcurrent },
            lanes: configuration.queues.reduce(0) { $0 + $1.priorityLevels })
    }

    public var worst: Grade {
        findings.contains { $0.grade == .wrong }
            ? .wrong : findings.contains { $0.grade == .warning } ? .warning : .well
    }

    private mutating func add(_ grade: Grade, _ subject: String, _ text: String, _ whatToDo: String = "") {
        findings.append(Finding(grade: grade, subject: subject, text: text, whatToDo: whatToDo))
    }
    /// One rule; what it throws is a finding as well.
    private mutating func examine(_ subject: String, _ rule: (inout Doctor) throws -> Void) {
        do { try rule(&self) } catch {
            add(
                .wrong, subject, "it cannot be examined: \(error)",
                "See that the disk is well and the site is yours.")
        }
    }

    private mutating func examineConfiguration(_ site: Site) -> Configuration {
        do {
            let configuration = try site.configuration()
            let names = configuration.queues.map { "\($0.name) \($0.maxConcurrent)" }.joined(separator: ", ")
            add(.well, "configuration", "\(configuration.queues.count) queues (\(names))")
            return configuration
        } catch let problem as ConfigurationProblem {
            add(
                .wrong, "configuration", problem.text,
                "Correct \(SpoolName.configuration); a running Bobbin keeps the old one until then.")
        } catch {
            add(.wrong, "configuration", "\(SpoolName.configuration) cannot be read: \(error)")
        }
        return .standard
    }

    private mutating func examineTriggers(_ site: Site) {
        let problems = RuleFiles.problems(site)
        for problem in problems {
            add(
                .wrong, "triggers", problem,
                "Correct the file; a running Bobbin keeps what held before until then, one that is started has nothing of it."
            )
        }
        guard problems.isEmpty else { return }
        examine("triggers") { doctor in
            let view = try TriggerView(site)
            for row in view.rows where row.isEnabled {
                guard let trouble = row.trouble else { continue }
                doctor.add(.wrong, "\(row.kind) \(row.id)", trouble, "See docs/TRIGGERS.md.")
            }
            for (source, count) in view.unclaimed.sorted(by: { $0.key < $1.key }) {
                doctor.add(
                    .warning, "events",
                    "\(count) payloads lie in spool/events/\(source)/, and no webhook takes them",
                    "Name the source in \(WebhookFile.path), or take them away.")
            }
        }
        examine("alerts") { doctor in
            let file = try AlertFile.read(site)
            for rule in file.rules where rule.isEnabled {
                guard let why = AlertFile.trouble(rule, file, site) else { continue }
                doctor.add(
                    .wrong, "alert \(rule.id)", why, "Correct \(AlertFile.path), or put there what it names.")
            }
        }
        examine("schedules") { doctor in
            let view = try ScheduleView(site)
            guard !view.rows.isEmpty else { return }
            let active = view.rows.count(where: \.schedule.isEnabled)
            doctor.add(.well, "schedules", "\(view.rows.count), \(active) of them switched on")
            for row in view.rows where row.schedule.isEnabled {
                guard let why = row.trouble else { continue }
                doctor.add(
                    .wrong, "schedule \(row.schedule.id)", "its job would be sent back: \(why)",
                    "Correct the schedule or templates/\(row.schedule.template).")
            }
            if view.isServed == false, active > 0 {
                doctor.add(
                    .warning, "schedules", "nobody serves them", "`bobbin up` does; `bobbin run` does not.")
            }
        }
    }

    /// Nil where ops/access.yaml cannot be read.
    private mutating func examineAccess(_ site: Site) -> AccessPolicy? {
        do {
            let policy = try site.access()
            guard policy.isShared else {
                if policy.isEnforced {
                    add(
                        .well, "access",
                        "\(AccessFile.path): \(policy.users.count) accounts, \(policy.groups.count) groups")
                }
                return policy
            }
            add(
                .well, "access",
                "shared with the group \(policy.group ?? ""); \(policy.users.count) accounts and \(policy.groups.count) groups have roles"
            )
            for name in policy.users.keys.sorted() where Host.uid(named: name) == nil && UInt32(name) == nil {
                add(
                    .warning, "access", "\(AccessFile.path) names `\(name)`, who is no account of this host",
                    "Take it out, or correct it.")
            }
            for line in AccessFile.unknown(policy, site) {
                add(
                    .warning, "access", "\(AccessFile.path): \(line)",
                    "A rule that fits nothing protects nothing: correct it.")
            }
            if ProcessSetup.uid == policy.service, !Account.maySwitch {
                add(
                    .warning, "steps of others",
                    "this account cannot act as others; if the service has no more rights than you here, their steps are E-LAUNCH",
                    "AmbientCapabilities=CAP_SETUID CAP_SETGID CAP_KILL in the unit, or run it as root.")
            }
            if !Confinement.isAvailable {
                add(
                    .warning, "confinement",
                    "this kernel has no Landlock of version 2: programs of steps may change in ops/ and spool/ what their account may",
                    "Linux 5.19 or newer, with `landlock` among the lsm= of its start.")
            }
            return policy
        } catch let problem as ConfigurationProblem {
            add(
                .wrong, "access", problem.text,
                "Correct \(AccessFile.path); a running Bobbin keeps the old one until then.")
        } catch { add(.wrong, "access", "\(AccessFile.path) cannot be read: \(error)") }
        return nil
    }

    /// Only where there is a secret: nearly every site begins without.
    private mutating func examineSecrets(_ site: Site, _ configuration: Configuration) {
        examine("secrets") { doctor in
            let files = SecretFiles(try site.spool.site.directory("secrets"))
            let count = try files.rows().count
            guard count > 0 else { return }
            for source in try SecretLookup.sources(site: site.path, configuration.secrets).active()
            where !source.isThere && source.source == .files {
                return doctor.add(
                    .wrong, "secrets", source.why, "Without it no job gets any of the \(count) secrets.")
            }
            for line in try SecretMetrics.read(site, now: Timestamp(nanoseconds: Clocks.wall)).unusual {
                doctor.add(
                    .warning, "secrets", line,
                    "Ask who it is about; bobbin audit search --action secret has every look-up.")
            }
            doctor.add(
                .well, "secrets", "\(count), and an identity to open them (bobbin secrets check tries each)")
        }
    }

    private mutating func examineModes(_ spool: Spool, isShared: Bool) {
        examine("modes") { doctor in
            var open: [String] = []
            for name in [".", SpoolName.claimed, "done", "failed", SpoolName.control, SpoolName.state] {
                let status = try name == "." ? spool.root.status() : spool.root.directory(name).status()
                // There each may change his own files alone, and what is in them is judged by its owner.
                if isShared, name == SpoolName.control, status.mode == 0o3770 { continue }
                if status.mode & 0o022 != 0 { open.append(name == "." ? "spool" : "spool/\(name)") }
            }
            guard !open.isEmpty else { return doctor.add(.well, "modes", "nobody else may write the spool") }
            doctor.add(
                .warning, "modes", "others may write \(open.joined(separator: ", ")), and so act as you",
                "chmod go-w \(open.map { "\(doctor.path)/\($0)" }.joined(separator: " "))")
        }
    }

    private mutating func examineDisk(_ spool: Spool) {
        examine("disk") { doctor in
            let facts = try spool.root.fileSystem()
            var gauge = DiskGauge()
            gauge.read(facts, at: Clocks.wall)
            if let shortage = gauge.shortage {
                return doctor.add(
                    .wrong, "disk", "\(shortage): nothing new begins",
                    "Make room on the file system of \(doctor.path)/spool; work then goes on by itself.")
            }
            let share = facts.totalBytes == 0 ? 100 : facts.freeBytes * 100 / facts.totalBytes
            let text = "\(facts.name), \(facts.freeBytes >> 20) MiB free (\(share) %)"
            if share < 5 {
                doctor.add(.warning, "disk", text, "Make room before the work stops.")
            } else {
                doctor.add(.well, "disk", text)
            }
        }
    }

    private mutating func examineBundles(_ site: Site) {
        examine("bundles") { doctor in
            let file = try BackupFile.read(site)
            let folder = try Backup(site).folder(file.folder)
            let list = try BackupList(folder, BackupKeys.looking(site.spool.site))
            let now = Timestamp(nanoseconds: Clocks.wall)
            for (name, why, isLocked) in list.troubled {
                doctor.add(
                    .warning, "bundles", "\(BundleProblem.shown(name)): \(why)",
                    isLocked
                        ? "The key opens it for which it was encrypted: keep it as long as bundles of its age are kept."
                        : "Remove it, if nobody can mend it.")
            }
            for row in list.rows where row.manifest.spool == site.spool.id {
                let name = BundleProblem.shown(row.name)
                if row.lacksBase {
                    doctor.add(
                        .warning, "bundles",
                        "\(name) brings nothing back: what it stands on is not beside it",
                        "Bring \(BundleProblem.shown(row.manifest.base?.name ?? "")) back, or remove it; then: bobbin backup create"
                    )
                } else if !row.manifest.proof.isKnown || row.manifest.takenAt > now {
                    doctor.add(
                        .warning, "bundles",
                        "\(name) does not count: \(row.manifest.proof.isKnown ? "it is of a time that has not come" : "nobody known signed it")",
                        "bobbin backup show \(name)")
                }
            }
            let newest = list.rows.first {
                $0.isWhole && $0.manifest.spool == site.spool.id && $0.manifest.proof.isKnown && !$0.lacksBase
                    && $0.manifest.takenAt <= now
            }
            if let newest {
                let hours = now.since(newest.manifest.takenAt).milliseconds / 3_600_000
                doctor.add(
                    hours > 48 ? .warning : .well, "bundles", "the newest, \(newest.name), is \(hours) h old",
                    hours > 48 ? "bobbin backup create; bobbin schedule explain nightly_backup" : "")
            } else {
                doctor.add(
                    .warning, "bundles", "there is none of this site in \(folder.path)",
                    "bobbin backup create; ops/schedules.yaml can do it every night (docs/BACKUP.md).")
            }
            if try site.spool.state.statusIfPresent(SpoolName.bundleKey) != nil {
                do { _ = try SigningKey(SpoolName.bundleKey, in: site.spool.state) } catch {
                    doctor.add(
                        .wrong, "bundles", "the key that signs them cannot be read: \(error)",
                        "Move it away: a new one is made, and its line is told. Bundles of before count as long as their line is in \(BackupKeys.path)."
                    )
                }
            }
            for root in site.spool.finalRoots() + [site.spool.runs] {
                for name in try root.names() where PackedDay.day(of: name) != nil {
                    // Its table only: to read all of every day would take minutes.
                    do { _ = try PackedDay(name, in: root) } catch let problem as BundleProblem {
                        doctor.add(.wrong, "bundles", problem.message, problem.whatToDo)
                    }
                }
            }
            for name in try Restore.leftovers(in: site.spool.site) {
                doctor.add(
                    .warning, "bundles", "\(name)/ was left by a restore that was killed",
                    "The next restore removes it.")
            }
            for name in try site.spool.site.names() where name.hasPrefix(Restore.keptPrefix) {
                doctor.add(
                    .well, "bundles", "\(name)/ has what was there before a restore",
                    "Remove it when all is well.")
            }
        }
    }
    private mutating func examineJournals(_ spool: Spool) {
        examine("journals") { doctor in
            for runner in try spool.runners.names().sorted() {
                do {
                    let replay = try Replays.of(runner, spool)
                    doctor.add(
                        .well, "journal", "of runner \(runner): whole, \(replay.live.count) runs in flight")
                } catch {
                    doctor.add(
                        .wrong, "journal", "of runner \(runner): \(error)",
                        "Nothing was changed. Look with `bobbin journal dump --runner \(runner)`; bring the file back from a backup, or move that journal directory aside: its claims are then adopted as if they had not begun."
                    )
                }
            }
        }
    }

    private mutating func examineIndex(_ spool: Spool) {
        do {
            guard let history = try RunHistory.reader(path: IndexFiles.path(spool)) else {
                return add(.well, "index", "none yet; the first runner makes it")
            }
            try history.verify()
            add(.well, "index", "whole")
        } catch {
            add(
                .warning, "index", "\(error)",
                "bobbin index rebuild; nothing is lost, it is made from the results.")
        }
    }

    private mutating func examineAudit(_ site: Site) {
        examine("audit log") { doctor in
            let found = try AuditVerification(
                ops: site.spool.site.directory("ops"), origin: AuditOrigin.name(site.spool))
            guard let damage = found.damage else {
                return doctor.add(.well, "audit log", "\(found.records) records, as they were written")
            }
            doctor.add(
                .wrong, "audit log", "ops/audit/\(damage)",
                "Somebody or something changed it: compare it with a backup. Where its last line cannot be read, no answer is recorded until it is mended or moved away."
            )
        }
    }

    private mutating func examineLanes(_ spool: Spool, _ configuration: Configuration) {
        examine("drop directories") { doctor in
            for policy in configuration.queues {
                for trouble in try spool.misplaced(of: policy) {
                    doctor.add(
                        .wrong, "queue \(policy.name)",
                        "no drop directory, so nothing is taken from there: \(trouble)",
                        "Move away what stands there, and make a directory (links are never followed).")
                }
            }
        }
    }

    private mutating func examineRunners(_ site: Site, _ configuration: Configuration) {
        examine("runners") { doctor in
            let view = try SiteView(site)
            guard view.isAnyoneWorking else {
                return doctor.add(
                    .warning, "runners", "nobody is working",
                    "bobbin up (a service of systemd: see docs/OPERATING.md)")
            }
            let lanes = try configuration.queues.flatMap { policy in
                try site.spool.dropDirectories(of: policy).map { try $0.1.status().inode }
            }
            for runner in view.runners where runner.isAlive {
                if let why = runner.silent {
                    doctor.add(
                        .wrong, "runner \(runner.name)", "gives no sign of life: \(why)",
                        "Look at what it does (ps, spool/log/bobbin.log): a long start or a long stop is silent, too. Its claims stay its own as long as it lives."
                    )
                }
                if let why = runner.stopped {
                    doctor.add(
                        .wrong, "runner \(runner.name)", "begins nothing new: \(why)",
                        "Give it what it is short of.")
                }
                doctor.examineWatches(runner, lanes)
            }
            if view.isDraining {
                doctor.add(
                    .warning, "runners", "a drain is going on: nothing new starts",
                    "rm spool/control/drain if that was not meant")
            }
        }
    }

    private mutating func examineWatches(_ runner: SiteView.RunnerRow, _ lanes: [UInt64]) {
        let words = runner.detail.split(separator: " ")
        guard words.count > 1, let pid = Int32(words[1]), let watched = HostFacts.watchedInodes(of: pid)
        else {
            return add(
                .well, "runner \(runner.name)",
                "working; its watches are not for us to see (another user's process)")
        }
        let deaf = lanes.count { !watched.contains($0) }
        if deaf == 0 {
            add(
                .well, "runner \(runner.name)",
                "working (pid \(pid)), watching \(lanes.count) priority directories")
        } else {
            add(
                .warning, "runner \(runner.name)",
                "does not watch \(deaf) of \(lanes.count) priority directories just now",
                "It looks every 5 s by itself; if this stays, see fs.inotify.max_user_watches and spool/log/bobbin.log."
            )
        }
    }

    private mutating func examineWaiting(_ site: Site) {
        examine("waiting") { doctor in
            let view = try SiteView(site)
            for row in view.queues where row.isPaused {
                doctor.add(
                    .warning, "queue \(row.policy.name)",
                    "paused; \(row.waiting.reduce(0, +)) files wait in it",
                    "bobbin resume \(row.policy.name)")
            }
            let interrupted = view.queues.reduce(0) { $0 + ($1.parked[.interrupted] ?? 0) }
            if interrupted > 0 {
                doctor.add(
                    .warning, "runs", "\(interrupted) interrupted: a step may or may not have had its effect",
                    "bobbin runs --state interrupted, look at each, then bobbin resolve RUN --retry|--skip|--fail"
                )
            }
            let held = view.queues.reduce(0) { $0 + ($1.parked[.held] ?? 0) }
            if held > 0 {
                doctor.add(.warning, "runs", "\(held) held", "bobbin release RUN when they may go on")
            }
            if view.rejected > 0 {
                doctor.add(
                    .warning, "drops", "\(view.rejected) in spool/rejected, each with its reason beside it",
                    "Correct and drop again, or remove them.")
            }
            if !view.arriving.isEmpty {
                doctor.add(
                    .warning, "drops",
                    "\(view.arriving.count) not whole: \(view.arriving[0].file) \(view.arriving[0].why)",
                    "bobbin status lists them.")
            }
        }
    }

    private mutating func examineMachine(slots: Int, lanes: Int) {
        // Pipes, logs and directories of one running step, and what a runner holds itself.
        let wanted = UInt64(200 + 16 * slots)
        let files = HostFacts.openFiles
        if files.soft < wanted {
            add(
                .warning, "descriptors", "\(files.soft) allowed; \(slots) slots may need \(wanted)",
                files.hard >= wanted
                    ? "ulimit -n \(wanted) where the runner is started"
                    : "raise the hard limit (LimitNOFILE= of systemd), it is \(files.hard)")
        } else {
            add(.well, "descriptors", "\(files.soft) allowed")
        }
        if let watches = HostFacts.inotifyLimit("max_user_watches"), watches < lanes + 64 {
            add(
                .warning, "inotify", "\(watches) watches for each user; this site wants \(lanes + 8)",
                "sysctl fs.inotify.max_user_watches=\(max(8192, 2 * lanes))")
        } else {
            add(
                .well, "inotify",
                "\(HostFacts.inotifyLimit("max_user_watches") ?? 0) watches, a queue of \(HostFacts.inotifyLimit("max_queued_events") ?? 0) events"
            )
        }
        if Host.program("curl", path: Host.environment("PATH") ?? "/usr/bin:/bin") == nil {
            add(.warning, "curl", "not found: steps of type make_request fail", "apt install curl")
        }
        let clock = "\(Timestamp(nanoseconds: Clocks.wall).rfc3339)"
        if HostFacts.isClockKept {
            add(.well, "clock", "\(clock), kept in step")
        } else {
            add(
                .warning, "clock", "\(clock), but nothing says that it is kept in step with others",
                "Where times matter: apt install systemd-timesyncd (or chrony). Order and retries here do not depend on it."
            )
        }
        add(.well, "kernel", HostFacts.kernel)
    }
}
