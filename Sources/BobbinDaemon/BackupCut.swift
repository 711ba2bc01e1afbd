// What this is: a consistent cut of a site while it works: what is packed, in which order, and what is in flight.
// Owns: the order of reading (docs/BACKUP.md, section 2), and what follows from it; which file is of which class BundlePlan says.
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
    private(set) var modes: [String: UInt32] = [:]
    private(set) var inFlight: [BundleManifest.Flight] = []
    /// Drops that wait, but for those of claims without a record.
    private(set) var waiting = 0

    /// Drops that were looked at, wherever they were.
    private var seen: Set<Seen> = []
    private struct Seen: Hashable {
        var identity: FileIdentity
        var path: String
        init(_ identity: FileIdentity, _ path: String) {
            self.identity = identity
            self.path = path
        }
    }
    /// What the journals know.
    private var accepted: Set<Accepted> = []
    private var inJournal: Set<RunID> = []

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
        try walk(spool.state, "spool/\(SpoolName.state)", .journal, except: BundlePlan.notState)
        try packDrops()
        try packClaims()
        let live = try readJournals()
        inJournal = Set(live.map(\.id))
        accepted = Set(
            live.map {
                Accepted(inode: $0.acceptance.identity.inode, birth: $0.acceptance.identity.birthNanoseconds)
            })
        try packRejected()
        for root in ["done", "failed"] { try packResults(root) }
        try packJournal(live.filter { !ended.contains($0.id) }, live)
        try lookAgain()
        try packLateJobFiles()
        settleDrops(live)
    }

    // MARK: drops

    /// All of them but those that were seen before.
    private func packLanes() throws {
        let root = site.spool.root
        // Upstream first: what is re-filed meanwhile goes from these into the queues.
        if try root.statusIfPresent(SpoolName.intake) != nil {
            let intakes = try root.directory(SpoolName.intake)
            for account in try intakes.names().sorted() {
                let path = "spool/\(SpoolName.intake)/\(account)"
                if let intake = try enter(intakes, account, path) { try packLane(intake, path) }
            }
        }
        try packLane(root.directory(SpoolName.inbox), "spool/\(SpoolName.inbox)")
        for name in try root.names().sorted() { try forEachLane(name) { try packLane($0, $1) } }
    }
    private func packDrops() throws {
        let root = site.spool.root
        try packLanes()
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
    private func packLane(_ lane: Directory, _ path: String) throws {
        for name in try lane.names().sorted() where DropName.judge(name) != .ignored {
            try packDrop(lane, name, "\(path)/\(name)", run: nil)
        }
    }
    private func packDrop(_ lane: Directory, _ name: String, _ path: String, run: RunID?) throws {
        guard let file = try open(lane, name, path) else { return }
        let status = try file.status()
        guard status.kind == .regular else { return leaveOut(path, "a \(status.kindName)") }
        // The second look sees most of it again; and what has a record is a run.
        guard !accepted.contains(Accepted(inode: status.inode, birth: status.birth)),
            seen.insert(Seen(status.identity, path)).inserted
        else { return }
        // Another file by the same name.
        let path = writer.has(path) ? freshPath(path) : path
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
    private func packClaims() throws {
        let known = Set(drops.map(\.identity))
        let claimed = site.spool.claimed
        for runner in try claimed.names().sorted() {
            guard let directory = try enter(claimed, runner, "spool/\(SpoolName.claimed)/\(runner)") else {
                continue
            }
            for name in try directory.names().sorted() {
                guard let parsed = ClaimedName(name),
                    let identity = try directory.statusIfPresent(name)?.identity, !known.contains(identity)
                else { continue }
                // Its run is in the bundle already.
                if ended.contains(parsed.run) || inJournal.contains(parsed.run) { continue }
                let path = "spool/\(parsed.queue)/\(parsed.priority.directory)/\(parsed.name)"
                try packDrop(directory, name, path, run: parsed.run)
            }
        }
    }
    /// Beside another file of that name it gets one of its own.
    private func freshPath(_ path: String) -> String {
        let (folder, name) = BundlePath.split(path)
        let ending = name.hasSuffix(".json") ? ".json" : ".yaml"
        return "\(folder)/\(name.prefix(100)).\(Identities.fresh())\(ending)"
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
            if PackedDay.day(of: day) != nil {
                _ = try pack(directory, day, "spool/\(root)/\(day)", .results, isSettled: true)
                continue
            }
            guard let status = try directory.statusIfPresent(day), status.kind == .directory,
                let folder = try enter(directory, day, "spool/\(root)/\(day)")
            else { continue }
            for name in try folder.names().sorted() where !name.hasPrefix(".") {
                let path = "spool/\(root)/\(day)/\(name)"
                guard
                    let row = try pack(
                        folder, name, path, .results, isSettled: writer.isSettled(status)),
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
        // On the site's own disk: where bundles lie nothing of it may ever be in the clear.
        let scratch = BundleWriter.scratchName()
        let work = try site.spool.state.makeDirectory(scratch, mode: 0o700)
        do {
            try JournalCopy.write(inFlight, to: work, salt: Clocks.randomBits().1)
            for name in try work.names() {
                try pack(work, name, "\(BundlePlan.journalPath)/\(name)", .journal)
            }
        } catch {
            // The first error is the one to tell; what stays goes with the first bundle after this process.
            try? site.spool.state.removeTree(scratch)
            throw error
        }
        try site.spool.state.removeTree(scratch)
        self.inFlight = inFlight.map {
            .init(run: $0.id.text, job: $0.acceptance.jobName, state: $0.state.text)
        }
        for record in live where ended.contains(record.id) && !jobFiles.contains(record.id) {
            guard let directory = FinalFiles(site.spool).find(record.id)?.directory else { continue }
            let place = directory.path.split(separator: "/").suffix(2).joined(separator: "/")
            _ = try writer.add(
                "spool/\(place)/\(FinalName.job(record.acceptance))", .results,
                bytes: record.acceptance.snapshot,
                mode: 0o440, modified: record.acceptance.acceptedAt.nanoseconds)
            jobFiles.insert(record.id)
        }
    }
    /// What went against the stream (back from failed/ into a queue, from one queue into another) may have been missed; what
    /// a run in flight has submitted meanwhile belongs to it.
    private func lookAgain() throws {
        try packLanes()
        try packClaims()
    }
    private func packRejected() throws {
        for name in try site.spool.rejected.names().sorted() where !name.hasPrefix(".") {
            let path = "spool/\(SpoolName.rejected)/\(name)"
            guard let row = try pack(site.spool.rejected, name, path, .results) else { continue }
            if !name.hasSuffix(FinalName.reasonEnding) { try noteMoved(site.spool.rejected, name, row) }
        }
    }

    /// A result comes before its job file, which may have followed since.
    private func packLateJobFiles() throws {
        for run in ended.subtracting(jobFiles).sorted() {
            guard let found = FinalFiles(site.spool).find(run), let directory = found.directory else {
                continue
            }
            let place = directory.path.split(separator: "/").suffix(2).joined(separator: "/")
            if let name = found.jobFile {
                if let row = try pack(directory, name, "spool/\(place)/\(name)", .results) {
                    try noteMoved(directory, name, row)
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
            try packRejected()
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
        for name in [SpoolName.spool, "ops", SpoolName.templates, SpoolName.secrets, SpoolName.reports] {
            try noteMode(name, top.status(name))
        }
        for name in try root.names() {
            guard let status = try root.statusIfPresent(name), status.kind == .directory else { continue }
            noteMode("\(SpoolName.spool)/\(name)", status)
            try forEachLane(name) { lane, path in noteMode(path, try lane.status()) }
        }
        try walk(ops, "ops", .config, except: [SpoolName.audit])
        try walk(top.directory(SpoolName.templates), SpoolName.templates, .config)
        try walk(top.directory(SpoolName.secrets), SpoolName.secrets, .secrets)
        try walk(top.directory(SpoolName.reports), SpoolName.reports, .reports)
    }

    /// `except`: names in this directory, not below it. `isSettled`: so are the directories above; the first one is the
    /// site's own, and always there.
    private func walk(
        _ directory: Directory, _ path: String, _ kind: BundleClass, except: Set<String> = [],
        isSettled: Bool = true
    ) throws {
        guard classes.contains(kind) else { return }
        let entries = try directory.entries().sorted { $0.name < $1.name }
        for (name, isFile) in entries where !except.contains(name) {
            let inner = "\(path)/\(name)"
            if isFile {
                try pack(directory, name, inner, kind, isSettled: isSettled)
                continue
            }
            // Gone since it was listed.
            guard let status = try directory.statusIfPresent(name) else { continue }
            switch status.kind {
            case .directory:
                noteMode(inner, status)
                // Bundles of bundles would grow without end.
                if status.identity == bundles || inner == "ops/\(SpoolName.backups)" { continue }
                if name.hasPrefix("."), name.hasSuffix(".tmp") { continue }
                guard let folder = try enter(directory, name, inner) else { continue }
                try walk(folder, inner, kind, isSettled: isSettled && writer.isSettled(status))
            case .regular: try pack(directory, name, inner, kind, isSettled: isSettled)
            default: leaveOut(inner, "a \(status.kindName)")
            }
        }
    }

    /// What is not for everybody must not become so by a restore.
    private func noteMode(_ path: String, _ status: FileStatus) {
        guard status.mode & 0o777 != 0o755, BundlePath.trouble(path) == nil else { return }
        modes[path] = status.mode & 0o777
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
    private func pack(
        _ directory: Directory, _ name: String, _ path: String, _ kind: BundleClass, isSettled: Bool = false
    ) throws -> Int? {
        // Half written, or held by whoever is alive.
        if name.hasPrefix("."), name.hasSuffix(".tmp") { return nil }
        if kind == .journal, name == SpoolName.lock || name.hasSuffix(".lock") { return nil }
        if kind == .secrets, !name.hasSuffix(".age"), name != "recipients.txt", name != "README.md" {
            leaveOut(path, "no age file: a bundle has no secrets in the clear")
            return nil
        }
        guard let file = try open(directory, name, path) else { return nil }
        let status = try file.status()
        guard status.kind == .regular else {
            leaveOut(path, "a \(status.kindName)")
            return nil
        }
        guard BundlePlan.kind(path) == kind else {
            leaveOut(path, "it has no place in a bundle")
            return nil
        }
        if kind == .config || kind == .secrets, try holdsKey(file) {
            leaveOut(path, "it holds a private key")
            return nil
        }
        let isLog = [".jsonl", ".log", ".ledger"].contains { name.hasSuffix($0) }
        return try writer.add(
            path, kind, file, status, isSettled: isSettled,
            wholeLines: isLog && [.history, .audit, .journal].contains(kind))
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
        try BackupCut.holdsKey(file.read(upTo: 1 << 20))
    }
    private static let ageKey = Array("AGE-SECRET-KEY-1".utf8), pemBegin = Array("-----BEGIN ".utf8)
    private static let pemEnd = Array("PRIVATE KEY-----".utf8)
    /// Of age, or `-----BEGIN … PRIVATE KEY-----` with capital letters and spaces between.
    static func holdsKey(_ bytes: [UInt8]) -> Bool {
        let (ageKey, pemBegin, pemEnd) = (ageKey, pemBegin, pemEnd)
        return bytes.withUnsafeBufferPointer { bytes in
            func stands(_ word: [UInt8], _ at: Int) -> Bool {
                at + word.count <= bytes.count && bytes[at..<(at + word.count)].elementsEqual(word)
            }
            for index in bytes.indices {
                if bytes[index] == ageKey[0], stands(ageKey, index) { return true }
                guard bytes[index] == pemBegin[0], stands(pemBegin, index) else { continue }
                var at = index + pemBegin.count
                while at < bytes.count, bytes[at] == 0x20 || (0x41...0x5A).contains(bytes[at]) {
                    if stands(pemEnd, at) { return true }
                    at += 1
                }
            }
            return false
        }
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
