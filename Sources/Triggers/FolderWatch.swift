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
        public let events: [FileEvent]
        let changes: [FileLedger.Change]
        fileprivate let parts: [Ready]

        fileprivate init(_ parts: some Collection<Ready>) {
            self.parts = Array(parts)
            events = parts.map(\.event)
            changes = parts.flatMap(\.changes)
        }
        /// Two of half the size, for a job that would be too large.
        public var halves: [Group] {
            let middle = parts.count / 2
            return [Group(parts[..<middle]), Group(parts[middle...])]
        }
    }
    private struct Pending {
        var isWhole: Bool
        /// As it was at the last look; nil: gone.
        var known: FileLedger.Known?
        /// Since when it has looked like that, monotonic.
        var since: Int64
        /// Between what the ledger knows and this there was nothing of this name.
        var hasGone = false
    }
    /// A checksum that is being made, a slice at a time: nobody else waits for a great file.
    private struct Sum {
        var known: FileLedger.Known
        var hash = SHA256()
        var place = 0
    }
    fileprivate struct Ready {
        var event: FileEvent
        var changes: [FileLedger.Change]
        var since: Int64
        /// The version that is to be processed; nil: it went.
        var known: FileLedger.Known?
        var content: FileLedger.Content?
    }

    public let watcher: Watcher
    private let tree: WatchedTree
    public let ledger: FileLedger
    private var pending = ByteMap<Pending>()
    /// Where an inode has just been seen: what went may have gone there. An entry holds as long as that path is pending.
    private var arrivals: [UInt64: String] = [:]
    private var agenda = Agenda()
    private var ready: [Ready] = []
    /// What is in `ready`, by path: a batch may be filled for long.
    private var readyVersions = ByteMap<FileLedger.Known?>()
    private var readyContents: Set<FileLedger.Content> = []
    /// Bytes that were read for checksums in this turn.
    private var hashed = 0
    private static let slice = 32 << 20
    /// Files that cannot be opened, and why.
    private var unreadable = ByteMap<String>()
    private var sums = ByteMap<Sum>()
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
        if let shortage = tree.isShortOf {
            return "not every directory is watched, it is looked through every 30 s: \(shortage)"
        }
        if let first = unreadable.keys.min(), let why = unreadable[first] {
            let more = unreadable.count > 1 ? ", and \(unreadable.count - 1) more" : ""
            return "\(first) cannot be read\(more): \(why)"
        }
        return tree.trouble
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
            sums = pending.isEmpty ? ByteMap() : sums
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
                files?.forEach { name, status in
                    known.append((.file(FolderWatch.join(folder, name), FileLedger.Known(status)), nil))
                }
            }
            for start in stride(from: 0, to: known.count, by: 10_000) {
                try ledger.record(Array(known[start..<min(start + 10_000, known.count)]))
            }
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
        nextSweep = now + FolderWatch.sweepEvery
        tree.scanAll { compare($0, $1, now) }
        // Only now is it known whether everything is watched.
        nextWhole = now + whole
        for folder in ledger.folders(below: "") where !tree.isKnown(folder) { isGone(folder, now) }
    }
    /// What is known as it is needs no second look; `files` nil: the directory is there no more.
    private func compare(_ folder: String, _ files: ByteMap<FileStatus>?, _ now: Int64) {
        guard let files else {
            for inner in ledger.folders(below: folder) { isGone(inner, now) }
            return
        }
        files.forEach { name, status in
            let path = FolderWatch.join(folder, name), seen = FileLedger.Known(status)
            if ledger.known(path) == seen || pending[path]?.known == seen || readyVersions[path] == seen {
                return
            }
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
            // That it went waits for its batch already.
            if case .some(.none) = readyVersions[path] { continue }
            note(WatchedTree.Sight(path: path, status: nil, isWhole: true), now)
        }
    }

    private func note(_ sight: WatchedTree.Sight, _ now: Int64) {
        wait(
            sight.path,
            Pending(
                isWhole: sight.isWhole, known: sight.status.map { FileLedger.Known($0) }, since: now,
                hasGone: sight.hasGone), now)
    }
    private func wait(_ path: String, _ new: Pending, _ now: Int64) {
        var new = new
        if let before = pending[path], before.hasGone || before.known == nil { new.hasGone = true }
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
        // A batch may be larger than what is looked at in one go.
        let room = max(FolderWatch.most, watcher.batch?.maxFiles ?? 0)
        hashed = 0
        while looked < FolderWatch.most, ready.count < room, hashed < FolderWatch.slice,
            let path = agenda.pop(now: now)
        {
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
            defer { drop(ready.count) }
            return ready.map { Group([$0]) }
        }
        var groups: [Group] = []
        while let first = ready.first,
            ready.count >= batch.maxFiles || now >= first.since + batch.maxWait.nanoseconds
        {
            let part = ready.prefix(batch.maxFiles)
            groups.append(Group(part))
            drop(part.count)
        }
        return groups
    }
    private func drop(_ count: Int) {
        for one in ready.prefix(count) { readyVersions.removeValue(one.event.path) }
        ready.removeFirst(count)
        readyContents = Set(ready.compactMap(\.content))
    }
    private func add(_ one: Ready) {
        ready.append(one)
        readyVersions[one.event.path] = .some(one.known)
        if let content = one.content { readyContents.insert(content) }
    }
    /// A version that is not to be processed any more: another has come, or none is left.
    private func withdraw(_ path: String) {
        guard readyVersions.removeValue(path) != nil else { return }
        ready.removeAll { $0.event.path.hasBytes(of: path) }
        readyContents = Set(ready.compactMap(\.content))
    }

    /// Durable: these groups are decided with these tickets.
    public func record(_ groups: [(Group, ticket: String)]) throws(SystemError) {
        try ledger.record(
            groups.flatMap { group, ticket in group.changes.map { ($0, ticket: Optional(ticket)) } })
    }
    /// They are decided in the log of fires, too.
    public func confirm(_ groups: [(Group, ticket: String)]) throws(SystemError) {
        counts.fires += groups.count
        counts.events += groups.reduce(0) { $0 + $1.0.events.count }
        try ledger.confirm(Set(groups.map(\.ticket)))
    }
    /// What could not be recorded or decided is looked at again in a while.
    public func giveBack(_ groups: [Group], now: Int64) {
        for path in groups.flatMap(\.events).map(\.path) {
            // What cannot be looked at now is looked at when its turn comes.
            let known = (try? tree.status(path))?.map { FileLedger.Known($0) }
            pending[path] = Pending(isWhole: false, known: known, since: now)
            agenda.set(path, now + FolderWatch.busyLook)
        }
    }

    private func judge(
        _ path: String, _ now: Int64, _ wall: Timestamp,
        _ silent: inout [(FileLedger.Change, ticket: String?)]
    ) {
        guard let waiting = pending[path] else { return }
        guard watcher.wants(path) else { return forget(path, &silent) }
        let seen: FileLedger.Known?
        do throws(SystemError) {
            seen = try tree.status(path).flatMap { $0.kind == .regular ? FileLedger.Known($0) : nil }
        } catch {
            unreadable[path] = "\(error)"
            return agenda.set(path, now + FolderWatch.sweepEvery)
        }
        guard seen == waiting.known else {
            // It changed without an event that we heard of.
            return wait(path, Pending(isWhole: seen == nil, known: seen, since: now), now)
        }
        let old = ledger.known(path)
        guard let seen else { return judgeGone(path, old, now, wall, &silent) }
        let isQueued = readyVersions[path] != nil
        if readyVersions[path] == .some(seen) || old == seen && !isQueued {
            pending.removeValue(path)
            return
        }
        guard let content = content(path, seen, waiting, now) else { return }
        pending.removeValue(path)
        decide(path, seen, old, waiting, content, now, wall, &silent)
    }
    /// The patterns of its watcher do not want it any more.
    private func forget(_ path: String, _ silent: inout [(FileLedger.Change, ticket: String?)]) {
        pending.removeValue(path)
        withdraw(path)
        if ledger.known(path) != nil { silent.append((.file(path, nil), nil)) }
    }

    private struct Content {
        var sha256: String?
    }
    /// What is in it, where that is asked for. Nil: it is not whole, or cannot be read; then it is looked at again.
    private func content(_ path: String, _ seen: FileLedger.Known, _ waiting: Pending, _ now: Int64)
        -> Content?
    {
        let isAsked = watcher.takesChecksum || watcher.once == .content
        let file: OpenFile
        do throws(SystemError) { file = try tree.file(path) } catch {
            if error.isMissing {
                wait(path, Pending(isWhole: true, known: nil, since: now), now)
                return nil
            }
            // Nobody knows what is in it, nor whether somebody writes it.
            guard isAsked || !isComplete(nil, waiting, path, now) else { return Content() }
            if isAsked {
                unreadable[path] = "\(error)"
                agenda.set(path, now + FolderWatch.sweepEvery)
            }
            return nil
        }
        unreadable.removeValue(path)
        guard isComplete(file, waiting, path, now) else { return nil }
        guard isAsked else { return Content() }
        do throws(SystemError) {
            guard let sum = try sha256(path, file, seen) else {
                agenda.set(path, now)
                return nil
            }
            let after = try file.status()
            if FileLedger.Known(after) == seen { return Content(sha256: sum) }
            // Written to while it was read: another version by now.
            wait(path, Pending(isWhole: false, known: FileLedger.Known(after), since: now), now)
        } catch {
            sums.removeValue(path)
            unreadable[path] = "\(error)"
            agenda.set(path, now + FolderWatch.sweepEvery)
        }
        return nil
    }

    private func decide(
        _ path: String, _ seen: FileLedger.Known, _ old: FileLedger.Known?, _ waiting: Pending,
        _ content: Content,
        _ now: Int64, _ wall: Timestamp, _ silent: inout [(FileLedger.Change, ticket: String?)]
    ) {
        var event = FileEvent(
            event: kind(seen, old, waiting), path: path, size: seen.size,
            modified: Timestamp(nanoseconds: seen.modified))
        event.sha256 = content.sha256
        var changes: [FileLedger.Change] = [.file(path, seen)]
        if event.event == .created, let from = origin(of: seen, at: path) {
            event.event = .moved
            event.oldPath = from
            changes.append(.file(from, nil))
            pending.removeValue(from)
            agenda.remove(from)
        }
        withdraw(path)
        let digest = content.sha256.flatMap { FileLedger.Content(hex: $0) }
        var counts = watcher.events.contains(event.event)
        switch watcher.once {
        case .version: break
        // A name that was known in any version has been processed, or was there before the watcher.
        case .name: counts = counts && old == nil
        case .content:
            if let digest {
                counts = counts && !ledger.has(digest) && !readyContents.contains(digest)
                changes.append(.content(digest, wall.seconds))
            }
        }
        guard counts else { return silent += changes.map { ($0, ticket: nil) } }
        add(Ready(event: event, changes: changes, since: now, known: seen, content: digest))
    }
    private func kind(_ seen: FileLedger.Known, _ old: FileLedger.Known?, _ waiting: Pending) -> Watcher.Event
    {
        guard let old, old.goneAt == nil else { return .created }
        guard old.inode != seen.inode else { return .modified }
        // Another file in an old name: it came after the other had gone, or nobody asks for changes of the old one.
        let onlyNew = watcher.events.contains(.created) && !watcher.events.contains(.modified)
        return waiting.hasGone || onlyNew ? .created : .modified
    }
    /// Where a file was before it came here; nil: it is new.
    private func origin(of seen: FileLedger.Known, at path: String) -> String? {
        guard watcher.events.contains(.moved), let from = ledger.path(inode: seen.inode),
            !from.hasBytes(of: path),
            // The number of an inode is soon another file's.
            ledger.known(from) == seen
        else { return nil }
        do throws(SystemError) { return try tree.status(from)?.inode == seen.inode ? nil : from } catch {
            // Nobody knows whether it is still there: then it is a file of its own.
            return nil
        }
    }

    private func judgeGone(
        _ path: String, _ old: FileLedger.Known?, _ now: Int64, _ wall: Timestamp,
        _ silent: inout [(FileLedger.Change, ticket: String?)]
    ) {
        if let old, let arrival = arrivals[old.inode], pending[arrival]?.known == old {
            return agenda.set(path, now + FolderWatch.busyLook)
        }
        pending.removeValue(path)
        unreadable.removeValue(path)
        withdraw(path)
        guard var old, old.goneAt == nil else { return }
        old.goneAt = wall.seconds
        let change = FileLedger.Change.file(path, watcher.once == .name ? old : nil)
        guard watcher.events.contains(.deleted) else { return silent.append((change, nil)) }
        add(Ready(event: FileEvent(event: .deleted, path: path), changes: [change], since: now))
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

    /// Nil: not to its end yet.
    private func sha256(_ path: String, _ file: OpenFile, _ seen: FileLedger.Known) throws(SystemError)
        -> String?
    {
        var sum = sums[path] ?? Sum(known: seen)
        if sum.known != seen { sum = Sum(known: seen) }
        while hashed < FolderWatch.slice {
            let bytes = try file.read(upTo: 1 << 20, from: sum.place)
            sum.hash.update(data: bytes)
            sum.place += bytes.count
            hashed += bytes.count
            if bytes.count < 1 << 20 {
                sums.removeValue(path)
                return sum.hash.finalize().hexadecimal
            }
        }
        sums[path] = sum
        return nil
    }
}
