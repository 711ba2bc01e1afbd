// What this is: a site as a person asks for it: what waits, runs, went wrong, and whether anybody works on it.
// Owns: the counting, from directories, locks and journals; it needs no daemon and no index.
// Never: writes, waits, or holds a lock (to learn who writes a file it takes a read lease for a moment).
// On failure: what cannot be read counts as nothing there; the spool itself missing is thrown.
import JobModel
import LinuxSystem
import RunHistory
import RunJournal
import SpoolQueue

public struct SiteView: Sendable {
    public struct QueueRow: Sendable {
        public var policy: QueuePolicy
        public var isPaused: Bool
        public var waiting: [Int]
        public var running: Int
        public var parked: [Wait.Reason: Int]
        /// When the oldest of the waiting drops was last changed; nil when none waits.
        public var oldest: Timestamp?
    }
    /// A file in a queue that is no complete drop yet.
    public struct ArrivingRow: Sendable {
        /// Below the spool.
        public var file: String
        public var why: String
        public var changed: Timestamp
    }
    public struct RunnerRow: Sendable {
        public var name: String
        public var isAlive: Bool
        public var isLeader: Bool
        public var detail: String
        /// Why it begins nothing new just now.
        public var stopped: String?
        /// That it gives no sign of life, though its lock says that it lives.
        public var silent: String?
    }
    public var queues: [QueueRow] = []
    public var arriving: [ArrivingRow] = []
    public var runners: [RunnerRow] = []
    /// They are the service's own business.
    public var seesRunners = true
    public var live: [RunRecord] = []
    /// Services outside of which something is known.
    public var targets: [(target: String, state: TargetState)] = []
    public var inbox = 0
    public var doneToday = 0
    public var failedToday = 0
    public var rejected = 0
    public var isDraining = false
    public var isDiskFull = false
    /// Why runs go one at a time; nil while there is plenty of room.
    public var scarcity: String?
    public var freeBytes: UInt64 = 0
    /// Schedules that are switched on, the nearest first; empty where their file has errors.
    public var schedules: [ScheduleView.Row] = []
    /// Files of triggers whose errors keep what they say from holding; the sentences as they are shown.
    public var troubledFiles: [String] = []
    /// What keeps watchers and webhooks from their work, one sentence each.
    public var triggerTroubles: [String] = []
    /// Nobody serves the schedules, though there are some.
    public var isUnserved = false
    /// Directories of restores that were killed.
    public var leftovers: [String] = []

    /// How many waiting files are asked for their age in each directory.
    private static let agesAsked = 200

    public init(_ site: Site) throws {
        let spool = site.spool
        ProcessSetup.outliveBrokenLeases()
        live = Replays.live(spool)
        let control = try spool.control.names().map { ControlFile(name: $0) }
        isDraining = control.contains(.drain)
        for policy in try site.configuration().queues {
            let row = try SiteView.row(policy, spool, live, isPaused: control.contains(.pause(policy.name)))
            queues.append(row)
            arriving += try SiteView.arriving(row, spool)
        }
        inbox = try spool.inbox.names().count { DropName.judge($0) != .ignored }
        seesRunners = spool.isOwn
        if seesRunners {
            runners = SiteView.runners(spool)
            targets = try TargetBook.all(spool.state)
            leftovers = try Restore.leftovers(in: spool.site)
        }
        let today = Timestamp(nanoseconds: Clocks.wall).utcDay
        doneToday = SiteView.results(spool.done, today)
        failedToday = SiteView.results(spool.failed, today)
        rejected = try spool.rejected.names().count {
            !$0.hasPrefix(".") && !$0.hasSuffix(FinalName.reasonEnding)
        }
        let disk = try spool.root.fileSystem()
        isDiskFull = disk.isFull
        var gauge = DiskGauge()
        gauge.read(disk, at: Clocks.wall)
        scarcity = gauge.shortage == nil ? gauge.scarcity : nil
        takeTriggers(site)
        freeBytes = disk.freeBytes
    }

    /// The queues alone, for who asks every minute: no file is opened and no lease taken.
    static func queues(_ site: Site, _ live: [RunRecord]) throws -> [QueueRow] {
        let control = try site.spool.control.names().map { ControlFile(name: $0) }
        return try site.configuration().queues.map {
            try row($0, site.spool, live, isPaused: control.contains(.pause($0.name)))
        }
    }
    static func liveRunners(_ spool: Spool) -> Int { runners(spool).count(where: \.isAlive) }

    private mutating func takeTriggers(_ site: Site) {
        troubledFiles = RuleFiles.problems(site)
        // A file with errors is told of above; one that has just gone is told by the next look.
        let triggers = try? TriggerView(site)
        triggerTroubles = (triggers?.rows ?? []).compactMap { row in
            row.isEnabled ? row.trouble.map { "\(row.kind.rawValue) \(row.id): \($0)" } : nil
        }
        // The same.
        guard let view = try? ScheduleView(site) else { return }
        schedules = view.rows.filter { $0.next != nil }
        schedules.sort { ($0.next?.instant ?? .max) < ($1.next?.instant ?? .max) }
        isUnserved = view.isServed == false && !schedules.isEmpty
    }

    private static func row(_ policy: QueuePolicy, _ spool: Spool, _ live: [RunRecord], isPaused: Bool) throws
        -> QueueRow
    {
        var row = QueueRow(
            policy: policy, isPaused: isPaused, waiting: [], running: 0, parked: [:], oldest: nil)
        for priority in Priority.all.prefix(policy.priorityLevels) {
            // A queue whose directories were not made yet has nothing waiting.
            guard let lane = try? spool.root.directory("\(policy.name)/\(priority.directory)") else {
                row.waiting.append(0)
                continue
            }
            let names = try lane.names().filter { DropName.judge($0) != .ignored }
            row.waiting.append(names.count)
            for name in names.sorted().prefix(agesAsked) {
                guard let status = try lane.statusIfPresent(name) else { continue }
                row.oldest = min(
                    row.oldest ?? Timestamp(nanoseconds: .max), Timestamp(nanoseconds: status.changed))
            }
        }
        for record in live where record.acceptance.queue == policy.name {
            if case .waiting(let wait) = record.state {
                row.parked[wait.reason, default: 0] += 1
            } else {
                row.running += 1
            }
        }
        return row
    }

    /// Asks the gate about the first files of each directory, as a runner would. Where slots are free a file that a
    /// runner could take would be gone; where they are not, only what is wrong in any case counts.
    private static func arriving(_ row: QueueRow, _ spool: Spool) throws -> [ArrivingRow] {
        let now = Timestamp(nanoseconds: Clocks.wall)
        let gate = ArrivalGate(requireEnd: row.policy.requireEnd, now: now)
        let evidence: Evidence = row.running < row.policy.maxConcurrent && !row.isPaused ? .closed : .movedIn
        var found: [ArrivingRow] = []
        for (index, count) in row.waiting.enumerated() where count > 0 {
            // Gone since it was counted: nothing arrives there.
            guard let priority = Priority(index + 1),
                let lane = try? spool.root.directory("\(row.policy.name)/\(priority.directory)")
            else { continue }
            let names = try lane.names().filter { DropName.judge($0) != .ignored }.sorted()
            for name in names.prefix(agesAsked) {
                guard let why = whyArriving(name, in: lane, gate, evidence),
                    let status = try lane.statusIfPresent(name)
                else { continue }
                found.append(
                    ArrivingRow(
                        file: "\(row.policy.name)/\(priority.directory)/\(name)", why: why,
                        changed: Timestamp(nanoseconds: status.changed)))
            }
        }
        return found
    }
    private static func whyArriving(
        _ name: String, in lane: Directory, _ gate: ArrivalGate, _ evidence: Evidence
    ) -> String? {
        if DropName.judge(name) == .unknownEnding { return "its name does not end in .yaml, .yml or .json" }
        switch gate.examine(name, in: lane, evidence: evidence) {
        case .arriving(let why, _): return why
        case .complete(let drop):
            drop.file.dropLease()
            return nil
        case .refused, .directory, .gone, .hostTrouble: return nil
        }
    }

    private static func runners(_ spool: Spool) -> [RunnerRow] {
        // Each failure here means that the runner is just coming or going.
        let leader = text(spool.state, SpoolName.lock)
        let isLed = (try? FileLock.isHeld(SpoolName.lock, in: spool.state)) ?? false
        return ((try? spool.runners.names()) ?? []).sorted().compactMap { name in
            guard let home = try? spool.runners.directory(name) else { return nil }
            let alive = (try? FileLock.isHeld(SpoolName.lock, in: home)) ?? false
            let note = alive ? text(home, SpoolName.pressure) : ""
            let detail = text(home, SpoolName.lock)
            return RunnerRow(
                name: name, isAlive: alive, isLeader: alive && isLed && leader.hasPrefix("runner \(name),"),
                detail: detail, stopped: note.isEmpty ? nil : note,
                silent: alive ? silence(home, pid(in: detail)) : nil)
        }
    }
    /// A runner touches its lock every few seconds (Runner.keepHouse).
    private static let silenceAllowed = Span.seconds(60).nanoseconds
    private static func silence(_ home: Directory, _ pid: Int32?) -> String? {
        if let pid, Host.isHeld(pid) {
            return "its process is held (SIGSTOP): kill -CONT \(pid)"
        }
        // It is just going.
        guard let beat = try? home.status(SpoolName.lock).modified else { return nil }
        let silent = Clocks.wall - beat
        guard silent > silenceAllowed else { return nil }
        return
            "silent for \(silent / 1_000_000_000) s\(pid.map { ": look at `ps -L -p \($0)`, then at spool/log/bobbin.log" } ?? "")"
    }
    /// From `pid N since …`, which is what a lock says.
    private static func pid(in detail: String) -> Int32? {
        let words = detail.split(separator: " ")
        return words.count > 1 ? Int32(words[1]) : nil
    }
    private static func text(_ directory: Directory, _ name: String) -> String {
        let bytes = (try? directory.openForReading(name).read(upTo: 512)) ?? []  // no file, no text
        return String(decoding: bytes, as: UTF8.self).trimmed
    }
    private static func results(_ root: Directory, _ day: String) -> Int {
        // No directory for today: nothing ended today.
        guard let names = try? root.directory(day).names() else { return 0 }
        return names.count { $0.hasSuffix(FinalName.resultEnding) }
    }

    /// Who may not look at the runners must take it that one works.
    public var isAnyoneWorking: Bool { !seesRunners || runners.contains(where: \.isAlive) }
}

/// What a person may mean by a run id, a prefix of one, a ticket, or the path of a drop.
public struct RunLookup {
    public enum Found {
        case live(RunRecord)
        case ended(RunRecord)
        case drop(path: String, ticket: String?)
    }
    private let site: Site
    public init(_ site: Site) { self.site = site }

    /// Every match, live runs first. A full id gives one at most.
    public func find(_ text: String) throws -> [Found] {
        if text.contains("/") || text.hasSuffix(".yaml") { return try byPath(text) }
        guard RunID.isPrefix(text) else { return [] }
        let needle = text.uppercased()
        // In the order in which a job moves on, so that one that moves while we look is seen at least once.
        let drops = try waiting { DropName.ticket(in: $0)?.hasPrefix(needle) ?? false }
        let live = Replays.live(site.spool).filter { matches($0, needle) }
        let known = Set(live.map(\.id))
        let ended = ended(needle, besides: known)
        let tickets = Set(
            live.compactMap(\.acceptance.ticket)
                + ended.compactMap {
                    if case .ended(let record) = $0 { record.acceptance.ticket } else { nil }
                })
        let stillThere = drops.filter {
            if case .drop(_, let ticket?) = $0 { !tickets.contains(ticket) } else { true }
        }
        return live.filter { $0.finalState == nil }.map(Found.live)
            + live.filter { $0.finalState != nil }.map(Found.ended)
            + ended + stillThere
    }
    private func ended(_ needle: String, besides known: Set<RunID>) -> [Found] {
        FinalFiles(site.spool).find(prefix: needle).filter { !known.contains($0.run) }
            .compactMap { FinalFiles(site.spool).read($0) }.map(Found.ended)
    }
    private func matches(_ record: RunRecord, _ needle: String) -> Bool {
        record.id.text.hasPrefix(needle) || record.acceptance.ticket?.hasPrefix(needle) ?? false
    }

    private func byPath(_ path: String) throws -> [Found] {
        let name = path.split(separator: "/").last.map(String.init) ?? path
        let (plain, run) = DropName.withoutRunPrefix(name)
        if let run { return try find(run.text) }
        if let ticket = DropName.ticket(in: plain) { return try find(ticket) }
        let live = Replays.live(site.spool).filter { $0.acceptance.dropName == plain }.map(Found.live)
        return try live + waiting { $0 == name }
    }

    private func waiting(_ isWanted: (String) -> Bool) throws -> [Found] {
        var found: [Found] = []
        for policy in try site.configuration().queues {
            for (priority, lane) in try site.spool.dropDirectories(of: policy) {
                for name in try lane.names() where isWanted(name) {
                    found.append(
                        .drop(
                            path: "spool/\(policy.name)/\(priority.directory)/\(name)",
                            ticket: DropName.ticket(in: name)))
                }
            }
        }
        return found
    }
}
