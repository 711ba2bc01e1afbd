// What this is: the eyes of a runner: inotify as a hint, scans as the truth, for every drop directory.
// Owns: the watches, the table of arriving files, when which directory is scanned again.
// Never: judges a file (Admission does) or believes an event.
// On failure: a directory that is gone is made again and watched; an error is logged and the next scan tries again.
import JobModel
import LinuxSystem
import SpoolQueue

/// A file that is not whole yet.
struct Arriving: Sendable {
    var candidate: Candidate
    var firstSeen: Int64
    var lookAgain: Int64
    var why: String
    /// Its patience does not run while somebody writes it or nothing may begin.
    var patience: Int64
    /// When it was last given to a worker to judge.
    var offeredAt: Int64 = 0
}

final class DropWatch {
    private struct Lane {
        var key: LaneKey
        var directory: Directory
        var inode: UInt64
        /// Others than its owner may drop here.
        var isShared: Bool
        var lastModified: Int64 = 0
        var lastScan: Int64 = 0
    }
    private let core: RunnerCore
    let watch: DirectoryWatch
    private var lanes: [Int: Lane] = [:]
    private var tags: [LaneKey: Int] = [:]
    private var nextTag = 16
    /// The spool and its queues, watched for directories that go.
    static let parentTag = 5
    private(set) var arriving: [LaneKey: [String: Arriving]] = [:]
    private var nextCheck: Int64 = 0
    private var nextRescan: Int64 = 0
    private var nextFullScan: Int64 = 0
    private static let checkEvery = Span.seconds(5).nanoseconds
    private static let rescanEvery: Int64 = {
        #if DEBUG
            if let span = Host.environment("BOBBIN_RESCAN").flatMap({ Span($0) }) { return span.nanoseconds }
        #endif
        return Span.seconds(30).nanoseconds
    }()
    /// How long a file may stay incomplete; tests of the debug build shorten it.
    static let patience: Int64 = {
        #if DEBUG
            if let span = Host.environment("BOBBIN_ARRIVAL_PATIENCE").flatMap({ Span($0) }) {
                return span.nanoseconds
            }
        #endif
        return Limits.arrivalPatience.nanoseconds
    }()
    private static let fullScanEvery = Span.seconds(3600).nanoseconds

    init(_ core: RunnerCore) throws {
        self.core = core
        watch = try DirectoryWatch()
        let now = Clocks.monotonic
        nextCheck = now + DropWatch.checkEvery
        nextRescan = now + DropWatch.rescanEvery
        nextFullScan = now + DropWatch.fullScanEvery
    }

    /// Watches, then scans, every lane of the configuration that is not watched yet.
    func configure(_ configuration: Configuration) throws {
        try core.scheduler.configure(configuration.queues, slots: core.site.spool.slots)
        try watchParents(configuration)
        for policy in configuration.queues {
            for (priority, directory) in try core.site.spool.dropDirectories(of: policy) {
                let key = LaneKey(queue: policy.name, priority: priority)
                if tags[key] == nil { try open(key, directory) }
            }
        }
        try warnOfMisplaced(configuration)
    }

    private func warnOfMisplaced(_ configuration: Configuration) throws {
        for policy in configuration.queues {
            for trouble in try core.site.spool.misplaced(of: policy) {
                core.warnOnce("no drop directory, so nothing is taken from there: \(trouble)")
            }
        }
    }

    /// That a directory was removed while we hold it open is told by the one above it alone.
    private func watchParents(_ configuration: Configuration) throws {
        watch.remove(tag: DropWatch.parentTag)
        try watch.add(core.site.spool.root, tag: DropWatch.parentTag, removals: true)
        for policy in configuration.queues {
            do throws(SystemError) {
                let queue = try core.site.spool.root.makeDirectory(policy.name.text)
                try watch.add(queue, tag: DropWatch.parentTag, removals: true)
            } catch {
                // What stands in its place is warned of, and looked at again.
                guard Spool.isMisplaced(error) else { throw error }
            }
        }
    }
    /// Opens anew the drop directories that a person removed or replaced.
    func reopenReplaced() throws {
        // Of a queue that is no longer configured nothing is made again.
        let replaced = lanes.filter { core.policy($0.value.key.queue) != nil && isReplaced($0.value) }.keys
        for tag in replaced.sorted() { reopen(tag) }
        // Also those in whose place something else has stood since the start.
        if !replaced.isEmpty || lacksLanes { try configure(core.configuration) }
    }

    private var lacksLanes: Bool {
        core.configuration.queues.contains { policy in
            Priority.all.prefix(policy.priorityLevels).contains {
                tags[LaneKey(queue: policy.name, priority: $0)] == nil
            }
        }
    }

    private func open(_ key: LaneKey, _ directory: Directory) throws {
        let tag = tags[key] ?? nextTag
        if tags[key] == nil { nextTag += 1 }
        tags[key] = tag
        let status = try directory.status()
        lanes[tag] = Lane(
            key: key, directory: directory, inode: status.inode, isShared: status.mode & 0o022 != 0)
        core.update { $0.lanes[key] = directory }
        // Watch before scan: what comes between the two is seen twice, never missed.
        try watch.add(directory, tag: tag)
        try scan(tag)
    }

    /// The next instant at which `tick` has something to do.
    var deadline: Int64 {
        let look = arriving.values.flatMap(\.values).map(\.lookAgain).min() ?? .max
        return min(nextCheck, nextRescan, nextFullScan, look)
    }

    // MARK: hints

    /// What one round of hints says about each name.
    private struct Round {
        var best: [Int: [String: Evidence]] = [:]
        var order: [(tag: Int, name: String)] = []
        var appeared: [(tag: Int, name: String)] = []

        mutating func note(_ name: String, _ evidence: Evidence, _ tag: Int) {
            let known = best[tag]?[name]
            if known == nil { order.append((tag, name)) }
            best[tag, default: [:]][name] = max(known ?? .seen, evidence)
        }
    }

    /// Takes hints of drop directories; the caller has drained the descriptor.
    func take(_ report: DirectoryWatch.Report) throws {
        var round = Round()
        collect(report, into: &round)
        try settleAppeared(&round)
        var groups: [Int: [Candidate]] = [:]
        let now = Clocks.wall
        for (tag, name) in round.order {
            guard let evidence = round.best[tag]?[name] else { continue }
            groups[tag, default: []].append(
                Candidate(name: name, evidence: evidence, seenAt: now, user: user(of: name, tag)))
        }
        for (tag, candidates) in groups { offer(candidates, tag) }
    }

    private func collect(_ report: DirectoryWatch.Report, into round: inout Round) {
        if report.overflowed {
            core.log.info("watch", "more events than the queue holds: scanning every directory")
            scanAll()
        }
        for (tag, hint) in report.hints where lanes[tag] != nil {
            switch hint {
            case .movedIn(let name): round.note(name, .movedIn, tag)
            case .closed(let name): round.note(name, .closed, tag)
            case .appeared(let name): round.appeared.append((tag, name))
            case .removed: break
            case .gone: reopen(tag)
            }
        }
    }

    /// A name appeared and no close was seen with it: it is being written, or it was linked in. When nobody writes it
    /// any more, the close event, if there was one, is already queued (the kernel queues it before it lets the writer
    /// go); so one more look at the queue tells the two apart.
    private func settleAppeared(_ round: inout Round) throws {
        while true {
            let open = round.appeared.filter {
                round.best[$0.tag]?[$0.name] == nil && DropName.judge($0.name) != .ignored
            }
            round.appeared = []
            guard !open.isEmpty else { return }
            let writers = open.map { entry in lanes[entry.tag].map { writersOf(entry.name, in: $0) } }
            collect(try watch.drain(), into: &round)
            for ((tag, name), writers) in zip(open, writers) where round.best[tag]?[name] == nil {
                guard let lane = lanes[tag] else { continue }
                switch writers {
                case .none?: round.note(name, .movedIn, tag)
                case .some?:
                    wait(
                        for: Candidate(
                            name: name, evidence: .seen, seenAt: Clocks.wall, user: user(of: name, tag)),
                        lane.key,
                        why: ArrivalGate.open, span: ArrivalGate.settle)
                default: round.note(name, .seen, tag)
                }
            }
        }
    }
    private func writersOf(_ name: String, in lane: Lane) -> OpenFile.Writers {
        // A file that cannot be opened is judged by the gate.
        guard let file = try? lane.directory.openForReading(name) else { return .unknown }
        defer { file.dropLease() }
        return file.takeLease()
    }

    private func offer(_ candidates: [Candidate], _ tag: Int) {
        guard let lane = lanes[tag] else { return }
        let wanted = candidates.filter { DropName.judge($0.name) != .ignored }
        for candidate in wanted where arriving[lane.key]?[candidate.name] != nil {
            // It moved on: judge it now, with what is known of it now.
            arriving[lane.key]?[candidate.name]?.candidate.evidence = candidate.evidence
            arriving[lane.key]?[candidate.name]?.lookAgain = 0
        }
        let fresh = wanted.filter { arriving[lane.key]?[$0.name] == nil }
        if !fresh.isEmpty { core.scheduler.offer(fresh, lane.key) }
        lookAgainAtArriving()
    }

    // MARK: arriving files

    /// A worker found the file not whole yet.
    func stillArriving(_ candidate: Candidate, _ key: LaneKey, why: String, lookAgainIn span: Span) {
        // Its directory was taken away meanwhile: a scan finds the file when there is one again.
        guard core.lane(key) != nil else { return core.scheduler.forgetName(candidate.name, key) }
        wait(for: candidate, key, why: why, span: span)
        // Judged now, and not whole: only here, since a file that waits for a slot may be whole for hours.
        if let entry = arriving[key]?[candidate.name], Clocks.monotonic >= entry.patience {
            refuse(candidate.name, key, why)
        }
    }

    private func wait(for candidate: Candidate, _ key: LaneKey, why: String, span: Span) {
        let now = Clocks.monotonic
        var entry =
            arriving[key]?[candidate.name]
            ?? Arriving(
                candidate: candidate, firstSeen: now, lookAgain: 0, why: why,
                patience: now + DropWatch.patience)
        // The settle time must end before a look by rule 3 makes sense.
        entry.lookAgain = now + max(span.nanoseconds, 1_000_000)
        entry.why = why
        entry.candidate = candidate
        if ArrivalGate.isBeingWritten(why) { entry.patience = now + DropWatch.patience }
        arriving[key, default: [:]][candidate.name] = entry
    }

    private func lookAgainAtArriving() {
        let now = Clocks.monotonic
        guard !core.scheduler.isHeldUp else { return waitOn(now) }
        for (key, entries) in arriving {
            for (name, entry) in entries where entry.lookAgain <= now {
                arriving[key]?[name]?.lookAgain = .max
                arriving[key]?[name]?.offeredAt = now
                core.scheduler.offerAgain(entry.candidate, key)
            }
        }
    }

    /// Nothing may begin: nobody looks at arriving files, and their patience does not run.
    private func waitOn(_ now: Int64) {
        for (key, entries) in arriving {
            for (name, entry) in entries {
                arriving[key]?[name]?.patience = now + DropWatch.patience
                if entry.lookAgain <= now { arriving[key]?[name]?.lookAgain = now + 1_000_000_000 }
            }
        }
    }

    private func refuse(_ name: String, _ key: LaneKey, _ why: String) {
        guard let directory = core.lane(key) else { return }
        let requireEnd = core.policy(key.queue)?.requireEnd ?? false
        let failure =
            why.hasPrefix("its name does not end")
            ? Failure("E-NOT-A-JOB", why, whatToDo: "Rename it to end in .yaml and drop it again.")
            : ArrivalGate.incomplete(requireEnd: requireEnd, why: why)
        do {
            try Rejecter(spool: core.site.spool, log: core.log).reject(
                name, from: directory, Rejection(failure))
            gone(name, key)
        } catch {
            core.diskTrouble("rejecting \(directory.path)/\(name)", error)
            arriving[key]?[name]?.lookAgain = Clocks.monotonic + 1_000_000_000
        }
    }

    /// The file is no longer arriving: admitted, rejected or taken away.
    private func gone(_ name: String, _ key: LaneKey) {
        arriving[key]?[name] = nil
        core.scheduler.forgetName(name, key)
    }

    /// Drops entries whose file has gone on its way; called after workers judged something.
    func tidyArriving() {
        for (key, entries) in arriving {
            guard let directory = core.lane(key) else { continue }
            for (name, entry) in entries where entry.lookAgain == .max {
                // It waits for a slot, or a worker has it in hand.
                if core.scheduler.isWaiting(name, key) { continue }
                // An error here means that the next look decides.
                if (try? directory.statusIfPresent(name)) != nil {
                    // A new file of the same name whose hint was lost is not left out for ever.
                    if Clocks.monotonic - entry.offeredAt > DropWatch.rescanEvery {
                        arriving[key]?[name]?.lookAgain = 0
                    }
                    continue
                }
                gone(name, key)
            }
        }
    }
    var hasArriving: Bool { arriving.values.contains { !$0.isEmpty } }

    // MARK: scans

    func tick() {
        let now = Clocks.monotonic
        lookAgainAtArriving()
        if now >= nextCheck {
            nextCheck = now + DropWatch.checkEvery
            do { try reopenReplaced() } catch { core.diskTrouble("a directory of a queue", error) }
            tidyArriving()
        }
        if now >= nextFullScan {
            nextFullScan = now + DropWatch.fullScanEvery
            nextRescan = now + DropWatch.rescanEvery
            scanAll()
        } else if now >= nextRescan {
            nextRescan = now + DropWatch.rescanEvery
            for (tag, lane) in lanes where hasChanged(lane) { scanLogging(tag) }
        }
    }

    private func isReplaced(_ lane: Lane) -> Bool {
        do throws(SystemError) {
            return try core.site.spool.root.directory(
                "\(lane.key.queue)/\(lane.key.priority.directory)"
            ).status().inode != lane.inode
        } catch {
            // Out of descriptors, say: that tells nothing of the directory.
            return error.isMissing || Spool.isMisplaced(error)
        }
    }
    private func hasChanged(_ lane: Lane) -> Bool {
        // An unreadable status is a reason to look.
        (try? lane.directory.status().modified) != lane.lastModified
    }

    private func reopen(_ tag: Int) {
        guard let lane = lanes[tag], let policy = core.policy(lane.key.queue), isReplaced(lane) else {
            return
        }
        core.log.warn("watch", "\(lane.directory.path) was replaced or removed: watching it anew")
        do {
            let found = try core.site.spool.dropDirectories(of: policy).first { $0.0 == lane.key.priority }
            watch.remove(tag: tag)
            if let found { return try open(lane.key, found.1) }
            // Something else stands there: until that goes, there is no such lane.
            lanes[tag] = nil
            tags[lane.key] = nil
            for name in (arriving[lane.key] ?? [:]).keys { gone(name, lane.key) }
            arriving[lane.key] = nil
            core.update { $0.lanes[lane.key] = nil }
        } catch {
            core.diskTrouble("watching \(lane.directory.path)", error)
        }
    }

    func scanAll() { for tag in lanes.keys.sorted() { scanLogging(tag) } }
    private func scanLogging(_ tag: Int) {
        do { try scan(tag) } catch { core.diskTrouble("scanning \(lanes[tag]?.directory.path ?? "")", error) }
    }

    private func scan(_ tag: Int) throws {
        guard let lane = lanes[tag] else { return }
        let status = try lane.directory.status()
        lanes[tag]?.isShared = status.mode & 0o022 != 0
        lanes[tag]?.lastScan = Clocks.monotonic
        let now = Clocks.wall
        let known = arriving[lane.key] ?? [:]
        let names = try lane.directory.names().filter { known[$0] == nil && DropName.judge($0) != .ignored }
            .sorted()
        // As it was before the names were read: a change since then is looked at again.
        lanes[tag]?.lastModified = status.modified
        core.scheduler.offer(
            names.map { Candidate(name: $0, evidence: .seen, seenAt: now, user: user(of: $0, tag)) }, lane.key
        )
    }
    /// Looks again at a directory that held more files than a runner keeps in mind.
    func rescan(_ key: LaneKey) {
        guard let tag = tags[key] else { return }
        do { try scan(tag) } catch {
            core.diskTrouble("scanning \(lanes[tag]?.directory.path ?? "")", error)
            // A scan that was missed is made up for by the next round.
            lanes[tag]?.lastModified = 0
        }
    }

    /// Whose file it is, where others may drop as well; users take turns then.
    private func user(of name: String, _ tag: Int) -> UInt32 {
        guard let lane = lanes[tag], lane.isShared else { return 0 }
        // Gone or unreadable: the gate will say which.
        return (try? lane.directory.statusIfPresent(name))?.uid ?? 0
    }
}
