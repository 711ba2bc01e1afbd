// What this is: one watcher at work: what its tree shows against what its ledger knows, until a file is whole and counts.
// Owns: the quiet period of each path, the moment in which a file is complete, what kind of change it is, batches.
// Never: makes a drop; reads a clock (both clocks are given).
// On failure: what cannot be looked at is looked at again; a ledger that cannot be written decides nothing.
import Crypto
import JobModel
import LinuxSystem

public final class FolderWatch {
    /// What starts one job.
    public struct Group {
        public var events: [FileEvent]
        var changes: [FileLedger.Change]
        var paths: [String]
    }
    private struct Pending {
        var isWhole: Bool
        /// As it was at the last look; nil: gone.
        var known: FileLedger.Known?
        /// Since when it has looked like that, monotonic.
        var since: Int64
    }
    private struct Ready {
        var event: FileEvent
        var changes: [FileLedger.Change]
        var since: Int64
    }

    public let watcher: Watcher
    private let tree: WatchedTree
    public let ledger: FileLedger
    private var pending: [String: Pending] = [:]
    /// Where an inode has just been seen: what went may have gone there. An entry holds as long as that path is pending.
    private var arrivals: [UInt64: String] = [:]
    private var agenda = Agenda()
    private var ready: [Ready] = []
    private var nextRootLook: Int64 = 0
    private var nextSweep: Int64 = 0
    private var nextWhole: Int64 = 0
    private var nextForget: Int64 = 0
    /// Since when (seconds since 1970) another folder stands in the place of the one that the ledger knows.
    private var strangerSince: Int64?
    public private(set) var counts = (events: 0, fires: 0)

    static let rootLookEvery = Span.seconds(5).nanoseconds
    static let sweepEvery = Span.seconds(30).nanoseconds
    static let wholeEvery = Span.seconds(3600).nanoseconds
    /// Where not everything is watched, the looks are what is left.
    static let wholeEveryUnwatched = Span.seconds(30).nanoseconds
    /// So long (in seconds) another folder may stand in the place of the one that was known before it is taken for good.
    static let adoptAfter: Int64 = 86_400
    static let busyLook = Span.seconds(1).nanoseconds
    /// Where nobody can say whether a file is being written.
    static let unknownWriters = Span.seconds(2).nanoseconds
    /// So many are decided at one time.
    public static let most = 1000

    public init(_ watcher: Watcher, ledgers: Directory) throws(SystemError) {
        self.watcher = watcher
        tree = WatchedTree(watcher)
        ledger = try FileLedger(
            "\(watcher.id).ledger", in: ledgers, tracksMoves: watcher.events.contains(.moved))
    }

    public var fd: Int32? { tree.fd }
    /// What a person should know: the folder is not there, not everything is watched.
    public var trouble: String? {
        if !tree.isThere { return "\(watcher.path): \(tree.trouble ?? "not looked at yet")" }
        return tree.isShortOf.map { "not every directory is watched, it is looked through every 30 s: \($0)" }
    }
    public var status: ValueMap {
        [
            "path": .string(watcher.path), "files": .int(ledger.count), "folders": .int(tree.folderCount),
            "pending": .int(pending.count + ready.count), "trouble": trouble.map(Value.string) ?? .null,
        ]
    }

    // MARK: looking

    /// Reads what the kernel has queued.
    public func takeHints(now: Int64) {
        guard let sights = tree.drain({ compare($0, $1, now) }) else { return lookAtAll(now) }
        for sight in sights { note(sight, now) }
    }

    /// What is to be done by the clock: the folder's own state, sweeps, whole looks.
    public func look(now: Int64, wall: Timestamp) throws(SystemError) {
        if now >= nextRootLook {
            nextRootLook = now + FolderWatch.rootLookEvery
            if tree.open() { try begin(now, wall) }
        }
        guard tree.isThere else { return }
        if now >= nextWhole {
            lookAtAll(now)
        } else if now >= nextSweep {
            nextSweep = now + FolderWatch.sweepEvery
            tree.scanChanged { compare($0, $1, now) }
        }
        if now >= nextForget {
            nextForget = now + FolderWatch.wholeEvery
            arrivals = arrivals.filter { pending[$0.value]?.known?.inode == $0.key }
            try ledger.forget(before: wall.seconds - watcher.remember.nanoseconds / 1_000_000_000)
            if let since = strangerSince, wall.seconds - since > FolderWatch.adoptAfter {
                strangerSince = nil
                try ledger.set(folder: tree.inode, at: wall.seconds)
            }
        }
    }
    private func begin(_ now: Int64, _ wall: Timestamp) throws(SystemError) {
        // A new watcher may be told to leave alone what was there before it.
        if ledger.isNew, watcher.existing == .ignore {
            var known: [(FileLedger.Change, ticket: String?)] = []
            tree.scanAll { folder, files in
                for (name, status) in files ?? [:] {
                    known.append((.file(FolderWatch.join(folder, name), FileLedger.Known(status)), nil))
                }
            }
            try ledger.record(known)
            nextWhole = now + whole
        } else {
            lookAtAll(now)
        }
        nextSweep = now + FolderWatch.sweepEvery
        strangerSince = ledger.folder.inode == 0 || ledger.folder.inode == tree.inode ? nil : wall.seconds
        if ledger.folder.inode == 0 { try ledger.set(folder: tree.inode, at: wall.seconds) }
        try ledger.founded()
    }
    private var whole: Int64 {
        tree.isShortOf == nil ? FolderWatch.wholeEvery : FolderWatch.wholeEveryUnwatched
    }
    private static func join(_ folder: String, _ name: String) -> String {
        folder.isEmpty ? name : "\(folder)/\(name)"
    }
    private func lookAtAll(_ now: Int64) {
        nextWhole = now + whole
        nextSweep = now + FolderWatch.sweepEvery
        tree.scanAll { compare($0, $1, now) }
        for folder in ledger.folders(below: "") where !tree.isKnown(folder) { isGone(folder, now) }
    }
    /// What is known as it is needs no second look; `files` nil: the directory is there no more.
    private func compare(_ folder: String, _ files: [String: FileStatus]?, _ now: Int64) {
        guard let files else {
            for inner in ledger.folders(below: folder) { isGone(inner, now) }
            return
        }
        for (name, status) in files {
            let path = FolderWatch.join(folder, name), seen = FileLedger.Known(status)
            if ledger.known(path) == seen || pending[path]?.known == seen { continue }
            note(WatchedTree.Sight(path: path, status: status, isWhole: false), now)
        }
        for name in ledger.names(in: folder) where files[name] == nil {
            isGone(FolderWatch.join(folder, name), now)
        }
    }
    private func isGone(_ folderOrFile: String, _ now: Int64) {
        // Where another folder stands in the place of the one that was known (a disk that is not mounted, say), nothing of the
        // old one is gone.
        guard ledger.folder.inode == tree.inode else { return }
        let names = ledger.names(in: folderOrFile)
        let paths = names.isEmpty ? [folderOrFile] : names.map { FolderWatch.join(folderOrFile, $0) }
        for path in paths {
            guard let known = ledger.known(path), known.goneAt == nil, pending[path] == nil else { continue }
            note(WatchedTree.Sight(path: path, status: nil, isWhole: true), now)
        }
    }

    private func note(_ sight: WatchedTree.Sight, _ now: Int64) {
        wait(
            sight.path,
            Pending(isWhole: sight.isWhole, known: sight.status.map { FileLedger.Known($0) }, since: now), now
        )
    }
    private func wait(_ path: String, _ new: Pending, _ now: Int64) {
        pending[path] = new
        if let inode = new.known?.inode, watcher.events.contains(.moved) { arrivals[inode] = path }
        let quiet = new.isWhole ? watcher.debounce : max(watcher.debounce, watcher.settle)
        agenda.set(path, now + quiet.nanoseconds)
    }

    // MARK: deciding

    /// When `take` has something to do; monotonic.
    public var nextLook: Int64 {
        var nearest = min(nextRootLook, agenda.next ?? .max)
        if tree.isThere { nearest = min(nearest, nextWhole, nextSweep) }
        if let first = ready.first {
            let isFull = ready.count >= (watcher.batch?.maxFiles ?? 1)
            nearest = min(nearest, isFull ? 0 : first.since + (watcher.batch?.maxWait.nanoseconds ?? 0))
        }
        return nearest
    }

    /// What is to start something now; `record` takes it, or `giveBack`.
    public func take(now: Int64, wall: Timestamp) throws(SystemError) -> [Group] {
        var silent: [(FileLedger.Change, ticket: String?)] = []
        var looked = 0
        var gone: [String] = []
        while looked < FolderWatch.most, ready.count < FolderWatch.most, let path = agenda.pop(now: now) {
            looked += 1
            // What is there first: it may be what has gone elsewhere.
            if pending[path]?.known == nil { gone.append(path) } else { judge(path, now, wall, &silent) }
        }
        for path in gone { judge(path, now, wall, &silent) }
        do throws(SystemError) { try ledger.record(silent) } catch {
            // The next whole look finds them.
            nextWhole = min(nextWhole, now + FolderWatch.rootLookEvery)
            throw error
        }
        return groups(now)
    }

    private func groups(_ now: Int64) -> [Group] {
        guard let batch = watcher.batch else {
            defer { ready = [] }
            return ready.map { Group(events: [$0.event], changes: $0.changes, paths: [$0.event.path]) }
        }
        var groups: [Group] = []
        while let first = ready.first,
            ready.count >= batch.maxFiles || now >= first.since + batch.maxWait.nanoseconds
        {
            let part = ready.prefix(batch.maxFiles)
            groups.append(
                Group(
                    events: part.map(\.event), changes: part.flatMap(\.changes), paths: part.map(\.event.path)
                ))
            ready.removeFirst(part.count)
        }
        return groups
    }

    /// Durable: these groups are decided with these tickets.
    public func record(_ groups: [(Group, ticket: String)]) throws(SystemError) {
        try ledger.record(
            groups.flatMap { group, ticket in group.changes.map { ($0, ticket: Optional(ticket)) } })
        counts.fires += groups.count
        counts.events += groups.reduce(0) { $0 + $1.0.events.count }
    }
    /// What could not be recorded or decided is looked at again in a while.
    public func giveBack(_ groups: [Group], now: Int64) {
        for path in groups.flatMap(\.paths) {
            pending[path] = Pending(
                isWhole: false, known: tree.status(path).map { FileLedger.Known($0) }, since: now)
            agenda.set(path, now + FolderWatch.busyLook)
        }
    }

    private func judge(
        _ path: String, _ now: Int64, _ wall: Timestamp,
        _ silent: inout [(FileLedger.Change, ticket: String?)]
    ) {
        guard let waiting = pending[path] else { return }
        let status = tree.status(path).flatMap { $0.kind == .regular ? $0 : nil }
        let seen = status.map { FileLedger.Known($0) }
        guard seen == waiting.known else {
            // It changed without an event that we heard of.
            return wait(path, Pending(isWhole: seen == nil, known: seen, since: now), now)
        }
        let old = ledger.known(path)
        guard let seen else { return judgeGone(path, old, now, wall, &silent) }
        if old == seen {
            pending[path] = nil
            return
        }
        var opened: OpenFile?
        do throws(SystemError) { opened = try tree.file(path) } catch {
            if error.isMissing { return wait(path, Pending(isWhole: true, known: nil, since: now), now) }
        }
        guard isComplete(opened, waiting, path, now) else { return }
        var event = FileEvent(
            event: old == nil || old?.goneAt != nil ? .created : .modified, path: path, size: seen.size,
            modified: Timestamp(nanoseconds: seen.modified))
        var changes: [FileLedger.Change] = [.file(path, seen)]
        if watcher.takesChecksum || watcher.once == .content, let opened {
            do throws(SystemError) { event.sha256 = try FolderWatch.sha256(opened) } catch {
                agenda.set(path, now + FolderWatch.busyLook)
                return
            }
            // Written to while it was read: another version by now.
            let after = try? opened.status()
            guard let after, FileLedger.Known(after) == seen else {
                return wait(
                    path, Pending(isWhole: false, known: after.map { FileLedger.Known($0) }, since: now), now)
            }
        }
        if watcher.events.contains(.moved), event.event == .created,
            let from = ledger.path(inode: seen.inode), from != path,
            // The number of an inode is soon another file's.
            ledger.known(from) == seen, tree.status(from)?.inode != seen.inode
        {
            event.event = .moved
            event.oldPath = from
            changes.append(.file(from, nil))
            pending[from] = nil
            agenda.remove(from)
        }
        pending[path] = nil
        let content = event.sha256.flatMap { FileLedger.Content(hex: $0) }
        var counts = watcher.events.contains(event.event)
        switch watcher.once {
        case .version: break
        // A name that was known in any version has been processed, or was there before the watcher.
        case .name: counts = counts && old == nil
        case .content:
            if let content {
                counts =
                    counts && !ledger.has(content)
                    && !ready.contains { $0.changes.contains(.content(content, wall.seconds)) }
                changes.append(.content(content, wall.seconds))
            }
        }
        guard counts else { return silent += changes.map { ($0, ticket: nil) } }
        ready.append(Ready(event: event, changes: changes, since: now))
    }

    private func judgeGone(
        _ path: String, _ old: FileLedger.Known?, _ now: Int64, _ wall: Timestamp,
        _ silent: inout [(FileLedger.Change, ticket: String?)]
    ) {
        if let old, let arrival = arrivals[old.inode], pending[arrival]?.known == old {
            return agenda.set(path, now + FolderWatch.busyLook)
        }
        pending[path] = nil
        guard var old, old.goneAt == nil else { return }
        old.goneAt = wall.seconds
        let change = FileLedger.Change.file(path, watcher.once == .name ? old : nil)
        guard watcher.events.contains(.deleted) else { return silent.append((change, nil)) }
        ready.append(Ready(event: FileEvent(event: .deleted, path: path), changes: [change], since: now))
    }

    /// Whether nobody writes it any more; if not, it is looked at again.
    private func isComplete(_ file: OpenFile?, _ waiting: Pending, _ path: String, _ now: Int64) -> Bool {
        var writers = OpenFile.Writers.unknown
        if let file {
            writers = file.takeLease()
            if case .none = writers { file.dropLease() }
        }
        switch writers {
        case .none: return true
        case .some:
            agenda.set(path, now + FolderWatch.busyLook)
            return false
        case .unknown:
            let left = waiting.since + FolderWatch.unknownWriters - now
            if left > 0 { agenda.set(path, now + left) }
            return left <= 0
        }
    }

    private static func sha256(_ file: OpenFile) throws(SystemError) -> String {
        var hash = SHA256()
        var place = 0
        while true {
            let bytes = try file.read(upTo: 1 << 20, from: place)
            if bytes.isEmpty { break }
            hash.update(data: bytes)
            place += bytes.count
        }
        return hash.finalize().map { String(UInt16($0) + 0x100, radix: 16).dropFirst() }.joined()
    }
}
