// What this is: a consistent cut of a site while it works: what is packed, in which order, and what is in flight.
// Owns: which file is of which class; the order of reading (docs/BACKUP.md, section 2), and what follows from it.
// Never: stops, slows or asks a runner; packs a key.
// On failure: SystemError or BundleProblem; what vanishes while it is looked at is looked for where it went.
import Bundles
import JobModel
import LinuxSystem
import RunJournal
import SpoolQueue

/// Work flows one way: a drop, a claim, the journal, a result. Whoever reads in that order sees everything at least once;
/// what is seen twice is counted where it was seen last. So: what remembers first (a drop too many is better than one too
/// few), then drops, claims, journals, and results at last.
final class BackupCut {
    private let site: Site
    private let writer: BundleWriter
    private(set) var leftOut: [String: String] = [:]
    private(set) var inFlight: [BundleManifest.Flight] = []
    /// Drops that wait, but for those of claims without a record.
    private(set) var waiting = 0

    private struct Drop {
        var row: Int
        var directory: Directory
        var name: String
        var identity: FileIdentity
        var birth: Int64
        /// When it was seen.
        var at: Int64
        /// Of a claim.
        var run: RunID?
    }
    private var drops: [Drop] = []
    /// Runs whose result is there, and whose job file is.
    private var ended: Set<RunID> = []
    private var jobFiles: Set<RunID> = []
    /// Where drops went: as the same file, or as a copy of somebody else's drop, which is known by name, content and time.
    private var moved: Set<FileIdentity> = []
    private var copied: [Copy: [Int64]] = [:]
    private struct Copy: Hashable {
        var name: String
        var hash: ContentHash
    }

    /// Of .bobbin/: what is made anew, what holds a lock, what is a key, and journals, which are packed as what they say.
    private static let notState: Set<String> = [
        SpoolName.index, SpoolName.index + "-wal", SpoolName.index + "-shm", SpoolName.lock,
        SpoolName.recoveryLock, SpoolName.reporterLock, SpoolName.slots, SpoolName.runners, SpoolName.clock,
        SpoolName.auditKey,
    ]

    private let bundles: FileIdentity
    private let classes: Set<BundleClass>

    /// `bundles`: the directory of bundles, wherever it is.
    init(_ site: Site, _ writer: BundleWriter, bundles: Directory, classes: Set<BundleClass>) throws {
        self.site = site
        self.writer = writer
        self.bundles = try bundles.status().identity
        self.classes = classes
    }

    func take() throws {
        if classes.contains(.work) { try packWork() }
        try packRest()
    }
    /// What is in flight, and the results without which nobody knows whether it is.
    private func packWork() throws {
        let spool = site.spool
        try walk(spool.state, "spool/\(SpoolName.state)", .journal, except: BackupCut.notState)
        try packDrops()
        let live = try packClaims()
        try walk(spool.rejected, "spool/\(SpoolName.rejected)", .results)
        for root in ["done", "failed"] { try packResults(root) }
        try packJournal(live.filter { !ended.contains($0.id) }, live)
        try packRequeued()
        try packLateJobFiles()
        settleDrops(live)
    }

    // MARK: drops

    private func packDrops() throws {
        let root = site.spool.root
        for name in try ([SpoolName.inbox] + root.names().sorted()) {
            if name == SpoolName.inbox {
                try packLane(root.directory(name), "spool/\(name)")
            } else if name == SpoolName.intake {
                let intakes = try root.directory(name)
                for account in try intakes.names().sorted() {
                    try packLane(intakes.directory(account), "spool/\(name)/\(account)")
                }
            } else {
                try forEachLane(name) { try packLane($0, $1) }
            }
        }
        try walk(
            root.directory(SpoolName.events), "spool/\(SpoolName.events)", .work, except: [SpoolName.closed])
        let control = site.spool.control
        for name in try control.names().sorted() {
            // Commands are for the runs of now; states hold on.
            switch ControlFile(name: name) {
            case .pause, .drain: try pack(control, name, "spool/\(SpoolName.control)/\(name)", .work)
            default: continue
            }
        }
    }
    private func forEachLane(_ queue: String, _ body: (Directory, String) throws -> Void) throws {
        guard QueueName(queue) != nil else { return }
        let root = site.spool.root
        guard try root.statusIfPresent(queue)?.kind == .directory else { return }
        let directory = try root.directory(queue)
        for priority in Priority.all {
            guard try directory.statusIfPresent(priority.directory)?.kind == .directory else { continue }
            try body(directory.directory(priority.directory), "spool/\(queue)/\(priority.directory)")
        }
    }
    private func packLane(_ lane: Directory, _ path: String, where isWanted: (String) -> Bool = { _ in true })
        throws
    {
        for name in try lane.names().sorted() where DropName.judge(name) != .ignored && isWanted(name) {
            try packDrop(lane, name, "\(path)/\(name)", run: nil)
        }
    }
    private func packDrop(_ lane: Directory, _ name: String, _ path: String, run: RunID?) throws {
        guard let file = try open(lane, name, path) else { return }
        let status = try file.status()
        guard status.kind == .regular else { return leaveOut(path, "a \(status.kindName)") }
        // Half a job could be read as a whole one.
        if run == nil, file.takeLease() == .some { return leaveOut(path, "somebody writes it") }
        file.dropLease()
        let row = try writer.add(path, .work, file)
        drops.append(
            Drop(
                row: row, directory: lane, name: name, identity: status.identity, birth: status.birth,
                at: Clocks.wall, run: run))
    }

    /// Claims come before journals: what has no record yet was a drop a moment ago, and is one again.
    private func packClaims() throws -> [RunRecord] {
        let known = Set(drops.map(\.identity))
        let claimed = site.spool.claimed
        for runner in try claimed.names().sorted() {
            // A runner that was taken over meanwhile has none any more.
            guard try claimed.statusIfPresent(runner) != nil else { continue }
            let directory = try claimed.directory(runner)
            for name in try directory.names().sorted() {
                guard let parsed = ClaimedName(name),
                    let identity = try directory.statusIfPresent(name)?.identity, !known.contains(identity)
                else { continue }
                try packDrop(directory, name, dropPath(parsed), run: parsed.run)
            }
        }
        return try readJournals()
    }
    /// As it was dropped; beside another of that name the run's id makes it its own.
    private func dropPath(_ claim: ClaimedName) -> String {
        let lane = "spool/\(claim.queue)/\(claim.priority.directory)"
        let path = "\(lane)/\(claim.name)"
        guard drops.contains(where: { writer.rows[$0.row].path == path }) else { return path }
        return
            "\(lane)/\(claim.name.prefix(100)).\(claim.run)\(claim.name.hasSuffix(".json") ? ".json" : ".yaml")"
    }
    private func readJournals() throws -> [RunRecord] {
        for _ in 0..<20 {
            if let records = try readJournalsOnce() { return records }
        }
        throw BundleProblem(
            "E-BACKUP", "the journals change faster than they can be read",
            whatToDo: "Runners come and go all the time; say it again when that has calmed down.")
    }
    /// Nil: a runner's journal went while it was read; another runner has its runs by now, perhaps one that was read before.
    private func readJournalsOnce() throws -> [RunRecord]? {
        let spool = site.spool
        let names = try spool.runners.names().sorted()
        var live: [RunID: RunRecord] = [:]
        for name in names {
            let replay: Replay
            do {
                let home = try spool.runners.directory(name)
                guard try home.statusIfPresent(SpoolName.journal) != nil else { continue }
                replay = try Replay.read(home.directory(SpoolName.journal))
            } catch let error as SystemError {
                guard error.isMissing else { throw error }
                return nil
            }
            for (run, record) in replay.live {
                // Both have a run while one takes it over from the other; who has it now knows at least as much.
                if let other = live[run], other.progress >= record.progress { continue }
                live[run] = record
            }
        }
        guard try spool.runners.names().sorted() == names else { return nil }
        return live.values.sorted { $0.id < $1.id }
    }

    // MARK: results

    private func packResults(_ root: String) throws {
        let directory = try site.spool.root.directory(root)
        for day in try directory.names().sorted() where !day.hasPrefix(".") {
            guard try directory.statusIfPresent(day)?.kind == .directory else { continue }
            let folder = try directory.directory(day)
            for name in try folder.names().sorted() where !name.hasPrefix(".") {
                let path = "spool/\(root)/\(day)/\(name)"
                guard let row = try pack(folder, name, path, .results),
                    let run = RunID(name.prefix(RunID.length))
                else { continue }
                if name.hasSuffix(FinalName.resultEnding) {
                    ended.insert(run)
                } else {
                    jobFiles.insert(run)
                    try noteMoved(folder, name, row)
                }
            }
        }
    }
    /// `name`: `<id>~<escaped name of the drop>`.
    private func noteMoved(_ folder: Directory, _ name: String, _ row: Int) throws {
        let packed = writer.rows[row]
        // Gone by now: then it is not in the way of anything.
        guard !drops.isEmpty, let status = try folder.statusIfPresent(name) else { return }
        moved.insert(status.identity)
        guard let start = name.firstIndex(of: "~") else { return }
        copied[Copy(name: String(name[name.index(after: start)...]), hash: packed.hash), default: []].append(
            status.modified)
    }

    /// Runs whose result is there have ended, whatever their journal still says; their job file may not have followed yet.
    private func packJournal(_ inFlight: [RunRecord], _ live: [RunRecord]) throws {
        let work = try writer.workDirectory.makeDirectory(SpoolName.journal, mode: 0o700)
        try JournalCopy.write(inFlight, to: work, salt: Clocks.randomBits().1)
        for name in try work.names() {
            try pack(work, name, "\(BackupCut.journalPath)/\(name)", .journal)
            try work.remove(name)
        }
        try writer.workDirectory.removeDirectory(SpoolName.journal)
        self.inFlight = inFlight.map {
            .init(run: $0.id.text, job: $0.acceptance.jobName, state: $0.state.text)
        }
        for record in live where ended.contains(record.id) && !jobFiles.contains(record.id) {
            guard let found = FinalFiles(site.spool).find(record.id) else { continue }
            let place = found.directory.path.split(separator: "/").suffix(2).joined(separator: "/")
            _ = try writer.add(
                "spool/\(place)/\(FinalName.job(record.acceptance))", .results,
                bytes: record.acceptance.snapshot,
                mode: 0o440, modified: record.acceptance.acceptedAt.nanoseconds)
            jobFiles.insert(record.id)
        }
    }
    /// Where a bundle has the runs in flight, as the journal of a runner that is none.
    static let runner = "bundle"
    static let journalPath = "spool/\(SpoolName.state)/\(SpoolName.runners)/\(runner)/\(SpoolName.journal)"

    /// A job that was moved back from failed/ into a queue went against the stream, and may have been missed in both.
    private func packRequeued() throws {
        let known = Set(drops.map { "\($0.directory.path)/\($0.name)" })
        for queue in try site.spool.root.names().sorted() {
            try forEachLane(queue) { lane, path in
                try packLane(lane, path) { name in
                    RunID(name.prefix(RunID.length)) != nil && !known.contains("\(lane.path)/\(name)")
                }
            }
        }
    }

    /// A result comes before its job file, which may have followed since.
    private func packLateJobFiles() throws {
        for run in ended.subtracting(jobFiles).sorted() {
            guard let found = FinalFiles(site.spool).find(run) else { continue }
            let place = found.directory.path.split(separator: "/").suffix(2).joined(separator: "/")
            if let name = found.jobFile {
                if let row = try pack(found.directory, name, "spool/\(place)/\(name)", .results) {
                    try noteMoved(found.directory, name, row)
                }
                continue
            }
            // Still where it was claimed; it needs no more than its rename to be the one beside the result.
            let claimed = site.spool.claimed
            for runner in try claimed.names() {
                guard let folder = try enter(claimed, runner, "spool/\(SpoolName.claimed)/\(runner)"),
                    let name = try folder.names().first(where: { $0.hasPrefix(run.text) }),
                    let claim = ClaimedName(name)
                else { continue }
                let path = "spool/\(place)/\(run)~\(DropName.escaped(claim.name))"
                if let row = try pack(folder, name, path, .results) { try noteMoved(folder, name, row) }
            }
        }
    }

    /// What was seen as a drop and as something later is the later.
    private func settleDrops(_ live: [RunRecord]) {
        let accepted = Set(
            live.map {
                Accepted(inode: $0.acceptance.identity.inode, birth: $0.acceptance.identity.birthNanoseconds)
            })
        let runs = Set(live.map(\.id)).union(ended)
        var refiled: [FileIdentity: Int] = [:]
        for drop in drops {
            // Seen in inbox/ and then in its queue.
            if let before = refiled.updateValue(drop.row, forKey: drop.identity) {
                writer.mark(before, as: .taken)
            }
            if let run = drop.run, runs.contains(run) { writer.mark(drop.row, as: .taken); continue }
            if accepted.contains(Accepted(inode: drop.identity.inode, birth: drop.birth)) {
                writer.mark(drop.row, as: .taken)
                continue
            }
            // Cannot be asked: then it counts as there, and a job too many is looked at by whoever restores.
            let isThere = (try? drop.directory.statusIfPresent(drop.name))?.identity == drop.identity
            if !isThere, moved.contains(drop.identity) || wasCopied(drop) {
                writer.mark(drop.row, as: .taken)
            }
        }
        waiting = drops.count { writer.rows[$0.row].kind == .work }
    }
    private func wasCopied(_ drop: Drop) -> Bool {
        let key = Copy(name: DropName.escaped(drop.name), hash: writer.rows[drop.row].hash)
        // A copy is made at the end of its run, and so behind the moment at which the drop was seen waiting.
        guard let index = copied[key]?.firstIndex(where: { $0 >= drop.at - 10_000_000 }) else { return false }
        copied[key]?.remove(at: index)
        return true
    }
    private struct Accepted: Hashable {
        var inode: UInt64
        var birth: Int64
    }

    // MARK: the rest

    private func packRest() throws {
        let root = site.spool.root
        if !classes.contains(.work), classes.contains(.results) {
            try walk(site.spool.rejected, "spool/\(SpoolName.rejected)", .results)
            for root in ["done", "failed"] { try packResults(root) }
        }
        try walk(site.spool.approvalsClosed, "spool/approvals/\(SpoolName.closed)", .approvals)
        try walk(site.spool.controlClosed, "spool/\(SpoolName.control)/\(SpoolName.closed)", .audit)
        try walk(root.directory(SpoolName.history), "spool/\(SpoolName.history)", .history)
        if try root.directory(SpoolName.events).statusIfPresent(SpoolName.closed) != nil {
            try walk(
                root.directory("\(SpoolName.events)/\(SpoolName.closed)"),
                "spool/\(SpoolName.events)/\(SpoolName.closed)", .history)
        }
        try walk(site.spool.runs, "spool/\(SpoolName.runs)", .logs)
        try walk(site.spool.log, "spool/\(SpoolName.log)", .logs)
        let top = site.spool.site
        let ops = try top.directory("ops")
        if try ops.statusIfPresent(SpoolName.audit)?.kind == .directory {
            try walk(ops.directory(SpoolName.audit), "ops/\(SpoolName.audit)", .audit)
        }
        try walk(ops, "ops", .config, except: [SpoolName.audit])
        try walk(top.directory(SpoolName.templates), SpoolName.templates, .config)
        try walk(top.directory(SpoolName.secrets), SpoolName.secrets, .secrets)
        try walk(top.directory(SpoolName.reports), SpoolName.reports, .reports)
    }

    /// `except`: names in this directory, not below it.
    private func walk(
        _ directory: Directory, _ path: String, _ kind: BundleClass, except: Set<String> = []
    ) throws {
        guard classes.contains(kind) else { return }
        for name in try directory.names().sorted() where !except.contains(name) {
            let inner = "\(path)/\(name)"
            // Gone since it was listed.
            guard let status = try directory.statusIfPresent(name) else { continue }
            switch status.kind {
            case .directory:
                // Bundles of bundles would grow without end.
                if status.identity == bundles { continue }
                if let folder = try enter(directory, name, inner) { try walk(folder, inner, kind) }
            case .regular: try pack(directory, name, inner, kind)
            default: leaveOut(inner, "a \(status.kindName)")
            }
        }
    }

    private func enter(_ directory: Directory, _ name: String, _ path: String) throws -> Directory? {
        do throws(SystemError) { return try directory.directory(name) } catch {
            if error.isMissing { return nil }
            guard [.kind, .access].contains(error.fileTrouble) || error.isCrossDevice else { throw error }
            leaveOut(path, "it cannot be entered: \(error)")
            return nil
        }
    }
    /// Nil: it is gone, or left out.
    @discardableResult
    private func pack(_ directory: Directory, _ name: String, _ path: String, _ kind: BundleClass) throws
        -> Int?
    {
        // Half written, or held by whoever is alive.
        if name.hasPrefix("."), name.hasSuffix(".tmp") { return nil }
        if kind == .journal, name == SpoolName.lock || name.hasSuffix(".lock") { return nil }
        if kind == .secrets, !name.hasSuffix(".age"), name != "recipients.txt", name != "README.md" {
            leaveOut(path, "no age file: a bundle has no secrets in the clear")
            return nil
        }
        guard let file = try open(directory, name, path) else { return nil }
        if kind == .config || kind == .secrets, try holdsKey(file) {
            leaveOut(path, "it holds a private key")
            return nil
        }
        let isLog = [".jsonl", ".log", ".ledger"].contains { name.hasSuffix($0) }
        return try writer.add(
            path, kind, file, wholeLines: isLog && [.history, .audit, .journal].contains(kind))
    }
    private func open(_ directory: Directory, _ name: String, _ path: String) throws -> OpenFile? {
        if let trouble = BundlePath.trouble(path) {
            leaveOut(RawName.shown(path), trouble)
            return nil
        }
        do throws(SystemError) { return try directory.openForReading(name) } catch {
            if error.isMissing { return nil }
            guard [.kind, .access].contains(error.fileTrouble) else { throw error }
            leaveOut(path, "\(error)")
            return nil
        }
    }
    private func holdsKey(_ file: OpenFile) throws -> Bool {
        let bytes = try file.read(upTo: 64 << 10)
        return String(decoding: bytes, as: UTF8.self).contains("AGE-SECRET-KEY-1")
    }
    private func leaveOut(_ path: String, _ why: String) { leftOut[path] = why }
}

extension RunRecord {
    /// Grows with everything that is known of it.
    fileprivate var progress: Int {
        steps.count + steps.count { $0.endedAt != nil } + 2 * waits.count + waits.count { $0.endedAt != nil }
            + approvals.count + (finalState == nil ? 0 : 1_000_000)
    }
}
