// What this is: what of a class of files there is, from the newest to the oldest, in units that stay or go together.
// Owns: where the files of each class lie and to which day they belong.
// Never: removes; lists what is in use: runs in flight, what is being written.
// On failure: SystemError; nothing was removed.
import Bundles
import JobModel
import LinuxSystem
import RunJournal
import SpoolQueue

struct RetentionUnit: Sendable {
    enum Content: Sendable {
        /// Files or directories in `folder`.
        case names([String])
        /// Every file of a run in it, and the directory itself where nothing else is in it.
        case folder(parent: Directory, name: String)
        case packed(PackedDay)
    }
    var folder: Directory
    /// Below the site: of the folder.
    var place: String
    var content: Content
    var size: RetentionRule.Size
    var files: Int
    /// Below the site, for people; a directory ends in `/`.
    var paths: [String] {
        switch content {
        case .names(let names): names.map { "\(place)/\($0)" }
        case .folder: ["\(place)/"]
        case .packed(let packed): ["\(place)/\(packed.name)"]
        }
    }
}

struct RetentionUnits {
    private let spool: Spool
    /// In flight when it was asked.
    private let live: Set<RunID>
    private let now: Timestamp
    /// What is no older is left alone whatever the rule: somebody may just wait for it.
    private static let youth = Span.seconds(3600)

    init(_ spool: Spool, live: Set<RunID>, now: Timestamp) {
        self.spool = spool
        self.live = live
        self.now = now
    }

    /// The newest first.
    func all(_ kind: RetentionClass) throws -> [RetentionUnit] {
        let units =
            switch kind {
            case .done: try days(spool.done, "spool/done")
            case .failed: try days(spool.failed, "spool/failed")
            case .runs: try runs()
            case .rejected: try bySequence(spool.rejected, "spool/\(SpoolName.rejected)")
            case .answered:
                try bySequence(spool.controlClosed, "spool/\(SpoolName.control)/\(SpoolName.closed)")
                    + bySequence(spool.approvalsClosed, "spool/approvals/\(SpoolName.closed)")
            case .events:
                try below(spool.root, "\(SpoolName.events)/\(SpoolName.closed)").map {
                    try days($0, "spool/\(SpoolName.events)/\(SpoolName.closed)")
                } ?? []
            case .reports:
                try below(spool.site, "\(SpoolName.reports)/sent").map {
                    try byTime($0, "\(SpoolName.reports)/sent")
                } ?? []
            case .history: try histories()
            case .log: try logs()
            }
        // A parent reads the result of its child when it goes on; a job that a payload dropped, that payload.
        let held = try held(kind)
        return units.filter { unit in held.map { unit.size.day < $0 } ?? true }.sorted {
            ($1.size.day, $1.order) < ($0.size.day, $0.order)
        }
    }
    /// From which day on files of a class are still wanted by runs in flight; nil: none are.
    private func held(_ kind: RetentionClass) throws -> String? {
        guard [.done, .failed, .rejected, .events].contains(kind) else { return nil }
        var oldest: Timestamp?
        for runner in try spool.runners.names() {
            let replay: Replay
            do { replay = try Replays.of(runner, spool) } catch let error as SystemError {
                // It goes just now: who takes its runs over is asked as well, and its claims are looked at before.
                guard error.isMissing else { throw error }
                continue
            }
            for record in replay.live.values where record.finalState == nil {
                guard kind == .events || !Parents.tickets(record).isEmpty else { continue }
                oldest = min(oldest ?? record.id.time, record.id.time)
            }
        }
        // A payload is a little older than its run.
        return oldest?.adding(.seconds(kind == .events ? -86_400 : 0)).utcDay
    }
    private func below(_ directory: Directory, _ path: String) throws -> Directory? {
        do { return try directory.directory(path) } catch {
            guard error.isMissing else { throw error }
            return nil
        }
    }
    /// On which something ended, or was written down.
    func activeDays() throws -> Set<String> {
        var days: Set<String> = []
        for root in spool.finalRoots() {
            for name in try root.names() {
                let day = PackedDay.day(of: name) ?? name
                if PackedDay.isDay(day) { days.insert(day) }
            }
        }
        for name in try spool.root.directory(SpoolName.history).names() {
            let day = String(name.prefix(10))
            if PackedDay.isDay(day) { days.insert(day) }
        }
        return days
    }
    private func isYoung(_ nanoseconds: Int64) -> Bool { RetentionUnits.isYoung(nanoseconds, now) }
    static func isYoung(_ nanoseconds: Int64, _ now: Timestamp) -> Bool {
        now.since(Timestamp(nanoseconds: nanoseconds)) < youth
    }

    // MARK: done/<day>/, failed/<day>/, events/closed/<day>/

    private func days(_ root: Directory, _ place: String) throws -> [RetentionUnit] {
        try root.names().compactMap { name in
            if PackedDay.day(of: name) != nil { return try packed(name, root, place) }
            // A day that somebody keeps elsewhere, by a link, is his.
            guard PackedDay.isDay(name), try root.statusIfPresent(name)?.kind == .directory,
                let folder = try below(root, name)
            else { return nil }
            let (count, files, bytes) = try measure(folder)
            return RetentionUnit(
                folder: folder, place: "\(place)/\(name)", content: .folder(parent: root, name: name),
                size: .init(day: name, count: count, bytes: bytes), files: files)
        }
    }
    private func packed(_ name: String, _ root: Directory, _ place: String) throws -> RetentionUnit? {
        // A damaged one is the doctor's to name; nobody removes it unseen.
        guard let packed = try? PackedDay(name, in: root) else { return nil }
        return RetentionUnit(
            folder: root, place: place, content: .packed(packed),
            size: .init(day: packed.day, count: packed.runCount, bytes: packed.size), files: 1)
    }
    /// What belongs together in a directory: names that begin with one id.
    private func groups(_ folder: Directory) throws -> [(id: String, names: [String])] {
        var groups: [(id: String, names: [String])] = []
        for name in try folder.names().sorted() {
            let id = String(name.prefix(RunID.length))
            // What is not ours by its name is not ours to remove.
            guard RunID(id) != nil else { continue }
            if groups.last?.id == id {
                groups[groups.count - 1].names.append(name)
            } else {
                groups.append((id, [name]))
            }
        }
        return groups
    }
    private func measure(_ folder: Directory) throws -> (count: Int, files: Int, bytes: Int) {
        var (count, files, bytes) = (0, 0, 0)
        for group in try groups(folder) {
            count += 1
            for name in group.names {
                files += 1
                // Gone since: somebody was faster.
                bytes += try folder.statusIfPresent(name)?.size ?? 0
            }
        }
        return (count, files, bytes)
    }
    /// The runs of a day that stays in part.
    func split(_ unit: RetentionUnit) throws -> [RetentionUnit] {
        guard case .folder = unit.content else { return [unit] }
        return try groups(unit.folder).compactMap { group in
            try one(group.names, unit.folder, unit.place, day: unit.size.day)
        }.reversed()
    }
    /// Nil: it is not to be touched.
    private func one(_ names: [String], _ folder: Directory, _ place: String, day: String) throws
        -> RetentionUnit?
    {
        var bytes = 0
        for name in names {
            guard let status = try folder.statusIfPresent(name) else { continue }
            if isYoung(status.changed) { return nil }
            bytes += status.size
        }
        return RetentionUnit(
            folder: folder, place: place, content: .names(names),
            size: .init(day: day, count: 1, bytes: bytes), files: names.count)
    }

    // MARK: by name

    /// `<seq>~…`: the sequence is a time.
    private func bySequence(_ folder: Directory, _ place: String) throws -> [RetentionUnit] {
        try groups(folder).compactMap { group in
            guard let id = RunID(group.id) else { return nil }
            return try one(group.names, folder, place, day: id.time.utcDay)
        }
    }
    private func byTime(_ folder: Directory, _ place: String) throws -> [RetentionUnit] {
        try folder.names().compactMap { name in
            guard !name.hasPrefix("."), let status = try folder.statusIfPresent(name),
                status.kind == .regular
            else { return nil }
            return try one(
                [name], folder, place, day: Timestamp(nanoseconds: status.modified).utcDay)
        }
    }
    private func histories() throws -> [RetentionUnit] {
        let folder = try spool.root.directory(SpoolName.history)
        let today = now.utcDay
        return try folder.names().compactMap { name in
            let day = String(name.prefix(10))
            guard PackedDay.isDay(day), name.hasSuffix(".jsonl"), day < today else { return nil }
            return try one([name], folder, "spool/\(SpoolName.history)", day: day)
        }
    }
    private func logs() throws -> [RetentionUnit] {
        try spool.log.names().compactMap { name in
            guard let day = LogRotation.day(of: name) else { return nil }
            return try one([name], spool.log, "spool/\(SpoolName.log)", day: day)
        }
    }

    /// `runs/<id>/`: its day is that of its latest step.
    private func runs() throws -> [RetentionUnit] {
        let place = "spool/\(SpoolName.runs)"
        return try spool.runs.names().compactMap { name in
            if PackedDay.day(of: name) != nil { return try packed(name, spool.runs, place) }
            guard let run = RunID(name), let end = try quietSince(run) else { return nil }
            let tree = try RetentionUnits.tree(spool.runs, name)
            return RetentionUnit(
                folder: spool.runs, place: place, content: .names([name]),
                size: .init(day: end.utcDay, count: 1, bytes: tree.bytes), files: tree.files)
        }
    }
    /// Since when nothing was written for a run that is over; nil: it may be at work, or is gone.
    func quietSince(_ run: RunID) throws -> Timestamp? {
        // Accepted since the claims were looked at.
        guard !live.contains(run), run.time < now, let status = try spool.runs.statusIfPresent(run.text),
            status.kind == .directory, !isYoung(status.changed)
        else { return nil }
        let newest = try RetentionUnits.newest(spool.runs, run.text)
        // A step that appends to its log changes nothing of the directory.
        guard !isYoung(newest) else { return nil }
        return max(run.time, Timestamp(nanoseconds: newest))
    }
    private static func newest(_ folder: Directory, _ name: String) throws -> Int64 {
        guard let status = try folder.statusIfPresent(name) else { return 0 }
        guard status.kind == .directory else { return status.modified }
        let inner = try folder.directory(name)
        return try inner.names().reduce(status.modified) { max($0, try newest(inner, $1)) }
    }
    private static func tree(_ folder: Directory, _ name: String) throws -> (files: Int, bytes: Int) {
        guard let status = try folder.statusIfPresent(name) else { return (0, 0) }
        guard status.kind == .directory else { return (1, status.size) }
        let inner = try folder.directory(name)
        return try inner.names().reduce(into: (1, 0)) { sum, entry in
            let more = try tree(inner, entry)
            sum = (sum.0 + more.files, sum.1 + more.bytes)
        }
    }
}

extension RetentionUnit {
    /// Within a day: by name, which begins with a time.
    fileprivate var order: String {
        switch content {
        case .names(let names): names.first ?? ""
        case .folder(_, let name): name
        case .packed(let packed): packed.name
        }
    }
}
