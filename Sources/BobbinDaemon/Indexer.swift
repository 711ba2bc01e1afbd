// What this is: the feeder of the index: ended runs in batches and what other files say, off the hot path, by the leader alone.
// Owns: one thread; the comparison of result files with the index; the rebuild.
// Never: holds up a run; is asked for a decision: the index is a memory, the files are the truth.
// On failure: a damaged index is moved aside and rebuilt from the results; any other trouble is logged, and the
//   missing runs are found by the next comparison.
import AccessControl
import Bundles
import JobModel
import LinuxSystem
import RunHistory
import SpoolQueue

public enum IndexFiles {
    private static let rebuildPatience = Span.seconds(1800)
    public static func path(_ spool: Spool) -> String { "\(spool.state.path)/\(SpoolName.index)" }

    /// Reads results that the index lacks and adds them. Returns how many were added and which files were no results.
    public static func reconcile(_ history: RunHistory, _ spool: Spool, onlyDays: ((String) -> Bool)? = nil)
        throws -> (added: Int, unread: [String])
    {
        var added = 0
        var unread: [String] = []
        for root in spool.finalRoots() {
            for day in try root.names().sorted() where onlyDays?(day) ?? true {
                if PackedDay.day(of: day) != nil {
                    added += try reconcile(history, packed: day, root, &unread)
                    continue
                }
                guard PackedDay.isDay(day) else { continue }
                // A link, say: nobody follows it, and it must not keep the other days out.
                guard try root.statusIfPresent(day)?.kind == .directory else {
                    unread.append("\(root.path)/\(day)")
                    continue
                }
                let directory = try root.directory(day)
                let results = try directory.names().filter {
                    $0.hasSuffix(FinalName.resultEnding) && !$0.hasPrefix(".")
                }
                var byRun: [RunID: String] = [:]
                for name in results { if let run = RunID(name.prefix(RunID.length)) { byRun[run] = name } }
                for run in try history.missing(from: byRun.keys.sorted()).chunked(500) {
                    let records = try run.compactMap { id -> RunRecord? in
                        guard let name = byRun[id] else { return nil }
                        let record = ResultFile.read(
                            try directory.openForReading(name).read(upTo: ResultFile.largest))
                        if record == nil { unread.append("\(directory.path)/\(name)") }
                        return record
                    }
                    try history.add(records)
                    added += records.count
                }
            }
        }
        return (added, unread)
    }

    private static func reconcile(
        _ history: RunHistory, packed name: String, _ root: Directory, _ unread: inout [String]
    ) throws -> Int {
        do {
            let packed = try PackedDay(name, in: root)
            let runs = Set(try packed.rows().filter { $0.path.hasSuffix(FinalName.resultEnding) }.map(\.run))
            let missing = Set(try history.missing(from: runs.sorted()))
            guard !missing.isEmpty else { return 0 }
            var (records, added): ([RunRecord], Int) = ([], 0)
            try packed.forEach { file in
                guard file.name.hasSuffix(FinalName.resultEnding), let record = ResultFile.read(file.bytes)
                else { return }
                guard missing.contains(record.id) else { return }
                records.append(record)
                guard records.count == 500 else { return }
                try history.add(records)
                added += records.count
                records = []
            }
            try history.add(records)
            return added + records.count
        } catch is BundleProblem {
            unread.append("\(root.path)/\(name)")
            return 0
        }
    }

    /// A new index beside the old one's place, filled from the result files.
    public static func rebuild(_ spool: Spool) throws -> (added: Int, unread: [String]) {
        // What a prune lets go meanwhile would come in as rows without results.
        let lock = try Prune.lock(spool, patience: rebuildPatience)
        defer { withExtendedLifetime(lock) {} }
        for ending in ["", "-wal", "-shm"] { try spool.state.removeIfPresent(SpoolName.index + ending) }
        let history = try RunHistory(path: path(spool))
        let found = try reconcile(history, spool)
        _ = try FactFiles(spool).read(into: history)
        return found
    }
}

extension Array {
    func chunked(_ size: Int) -> [ArraySlice<Element>] {
        stride(from: 0, to: count, by: size).map { self[$0..<Swift.min($0 + size, count)] }
    }
}

final class Indexer: Sendable {
    private enum Task: Sendable { case add([RunRecord]), reconcile(today: Bool), reopen, facts }
    private struct State {
        var tasks: [Task] = []
        var isClosing = false
        /// The file that is open; a removed or replaced one takes writes without a word.
        var identity: FileIdentity?
        /// All results of the files are in it, but for the last moments'.
        var isWhole = false
    }
    private static let patience: Int64 = 50_000_000
    /// After a failure. What was to be added then comes with the comparison that follows.
    private static let rest: Int64 = 5_000_000_000
    private let state = Monitor(State())
    private let spool: Spool
    private let log: DaemonLog
    private let thread = Monitor<BlockingThread?>(nil)

    init(_ spool: Spool, log: DaemonLog) throws {
        self.spool = spool
        self.log = log
        let started = try BlockingThread.start("index") { self.loop() }
        thread.with { $0 = started }
        state.signal { $0.tasks.append(.reconcile(today: false)) }
    }
    func add(_ records: [RunRecord]) { state.signal { $0.tasks.append(.add(records)) } }
    /// Finds what other runners finished.
    func lookForOthers() { state.signal { $0.tasks.append(.reconcile(today: true)) } }
    /// Whether the index is still the file that is open; if not, it is opened anew and filled.
    func lookAtFile() {
        guard let open = state.with({ $0.identity }) else { return }
        // Unreadable for a moment: the next look tells.
        do { if try fileIdentity() == open { return } } catch { return }
        state.signal { state in
            state.identity = nil
            state.isWhole = false
            state.tasks += [.reopen, .reconcile(today: false)]
        }
    }
    var isWhole: Bool { state.with { $0.isWhole } }
    /// Reads what the audit log and spool/history/ say by now.
    func lookForFacts() { state.signal { $0.tasks.append(.facts) } }
    func close() {
        // What was said until now is there when nobody works.
        state.broadcast { state in
            state.tasks.append(.facts)
            state.isClosing = true
        }
        thread.with { $0 }?.join()
    }

    private func fileIdentity() throws -> FileIdentity? {
        try spool.state.statusIfPresent(SpoolName.index)?.identity
    }

    private func loop() {
        var history: RunHistory?
        while let tasks = nextTasks() {
            do {
                for case .reopen in tasks {
                    log.warn("index", "the index was removed or replaced: made anew from the result files")
                    history = nil
                }
                if history == nil { history = try open() }
                if let history { try work(tasks, history) }
            } catch {
                log.error("index", "\(error); it is tried again")
                history = nil
                let isClosing = state.wait(until: Clocks.monotonic + Indexer.rest) {
                    $0.isClosing ? true : nil
                }
                // What is missing then is found by the next start.
                if isClosing == nil { state.with { $0.tasks.append(.reconcile(today: false)) } }
            }
        }
    }

    private func nextTasks() -> [Task]? {
        state.wait { state -> Void? in state.tasks.isEmpty && !state.isClosing ? nil : () }
        // A little patience makes batches: a transaction costs the same for one run as for fifty.
        _ = state.wait(until: Clocks.monotonic + Indexer.patience) { state -> Void? in
            state.tasks.count < 20 && !state.isClosing ? nil : ()
        }
        return state.with { state -> [Task]? in
            guard !state.tasks.isEmpty else { return nil }
            defer { state.tasks.removeAll() }
            return state.tasks
        }
    }

    /// Opens the index and remembers which file that was.
    private func openKnown() throws -> RunHistory {
        let before = try fileIdentity()
        if before == nil {
            // Companions of a file that is gone belong to nobody.
            for ending in ["-wal", "-shm"] { try spool.state.removeIfPresent(SpoolName.index + ending) }
        }
        let history = try RunHistory(path: IndexFiles.path(spool))
        let opened = try fileIdentity()
        guard let opened, before == nil || before == opened else {
            throw Failure("E-HISTORY", "the index was replaced while it was opened", retry: .transient)
        }
        state.with { $0.identity = opened }
        try history.verify()
        return history
    }

    private func open() throws -> RunHistory {
        do { return try openKnown() } catch is HistoryDamage {
            let aside = "\(SpoolName.index).damaged-\(Identities.fresh())"
            log.error(
                "index", "the index is damaged: moved to .bobbin/\(aside) and rebuilt from the result files")
            try spool.state.rename(SpoolName.index, to: spool.state, aside)
            let history = try openKnown()
            _ = try IndexFiles.reconcile(history, spool)
            return history
        }
    }

    private func work(_ tasks: [Task], _ history: RunHistory) throws {
        var records: [RunRecord] = []
        var scope: Bool?
        var wantsFacts = false
        for task in tasks {
            switch task {
            case .add(let more): records += more
            case .reconcile(let today): scope = (scope ?? true) && today
            case .facts: wantsFacts = true
            case .reopen: break
            }
        }
        for chunk in records.chunked(500) { try history.add(Array(chunk)) }
        if wantsFacts || scope == false { try readFacts(history) }
        guard let scope else { return }
        let today = Timestamp(nanoseconds: Clocks.wall).utcDay
        let found = try IndexFiles.reconcile(history, spool, onlyDays: scope ? { $0 == today } : nil)
        for name in found.unread { log.warn("index", "\(name) is no result of ours and is left out") }
        if !scope { state.with { $0.isWhole = true } }
    }

    private func readFacts(_ history: RunHistory) throws {
        let odd = try FactFiles(spool).read(into: history)
        if odd > 0 {
            log.warn(
                "index",
                "\(odd) lines of ops/\(AuditLog.folder) or spool/\(SpoolName.history) are unreadable and left out"
            )
        }
    }
}
