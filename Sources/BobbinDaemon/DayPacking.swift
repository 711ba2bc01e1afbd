// What this is: the making of one file out of the runs of a day that is over, in done/, failed/ and runs/.
// Owns: which days; the order: read, packed, proved, renamed, synced, and only then the files themselves go.
// Never: packs what is in flight, what is no plain file, or a run with more than 8 MiB: those stay as they are.
// On failure: the files are there; a packed day that has its name holds them as well, and the next time removes them.
import Bundles
import JobModel
import LinuxSystem
import SpoolQueue

public struct DayPacking: Sendable {
    public struct Day: Sendable {
        /// Below the site: `spool/done/2026-11-20`, or `spool/runs` for its part of a day.
        public var place: String
        public var day: String
        public var runs: Int
        fileprivate var root: Directory
        fileprivate var source: Source
    }
    fileprivate enum Source: Sendable { case folder(Directory), runs([RunID]) }
    public struct Outcome: Sendable {
        /// Below the site.
        public var files: [String] = []
        public var runs = 0
    }
    /// The oldest first.
    public private(set) var days: [Day] = []
    private let spool: Spool
    private let live: Set<RunID>
    private let now: Timestamp
    /// More runs than these make a second file of the same day.
    private static let most = 100_000

    /// `leaving`: places that go whole, and are not packed before.
    init(_ spool: Spool, after: Int?, live: Set<RunID>, now: Timestamp, leaving: Set<String>) throws {
        self.spool = spool
        self.live = live
        self.now = now
        guard let after, let last = RetentionRule.day(now.utcDay, minus: after) else { return }
        for (root, name) in [(spool.done, "done"), (spool.failed, "failed")] {
            for day in try root.names() where PackedDay.isDay(day) && day < last {
                let place = "spool/\(name)/\(day)"
                guard !leaving.contains(place + "/"), try root.statusIfPresent(day)?.kind == .directory
                else { continue }
                let folder = try root.directory(day)
                let runs = Set(try folder.names().compactMap { RunID($0.prefix(RunID.length)) })
                days.append(
                    Day(place: place, day: day, runs: runs.count, root: root, source: .folder(folder)))
            }
        }
        try planRuns(before: last, leaving)
        days.sort { ($0.day, $0.place) < ($1.day, $1.place) }
    }
    private mutating func planRuns(before last: String, _ leaving: Set<String>) throws {
        let units = RetentionUnits(spool, live: live, now: now)
        let place = "spool/\(SpoolName.runs)"
        var byDay: [String: [RunID]] = [:]
        for name in try spool.runs.names() {
            guard let run = RunID(name), !leaving.contains("\(place)/\(name)"),
                let day = try units.quietSince(run)?.utcDay, day < last
            else { continue }
            byDay[day, default: []].append(run)
        }
        for (day, runs) in byDay {
            days.append(
                Day(place: place, day: day, runs: runs.count, root: spool.runs, source: .runs(runs.sorted())))
        }
    }

    func perform(_ checkpoint: Retention.Checkpoint) throws -> Outcome {
        var outcome = Outcome()
        for root in [spool.done, spool.failed, spool.runs] {
            for name in try root.names() where PackedDayWriter.isLeftover(name) {
                try root.removeIfPresent(name)
            }
        }
        for day in days { try pack(day, &outcome, checkpoint) }
        return outcome
    }

    // MARK: one day

    /// The files of one run, as they lie there.
    private struct Loose {
        /// Nil where they are to stay.
        var run: RunID?
        var files: [PackedDay.File] = []
        var remove: () throws -> Void
    }

    private func pack(_ day: Day, _ outcome: inout Outcome, _ checkpoint: Retention.Checkpoint) throws {
        let known = try earlier(day)
        switch day.source {
        case .folder(let folder):
            let names = try folder.names().sorted().filter { !$0.hasPrefix(".") }
            var index = 0
            try pack(day, known, &outcome, checkpoint) {
                guard index < names.count else { return nil }
                let first = index
                let id = names[first].prefix(RunID.length)
                while index < names.count, names[index].hasPrefix(id) { index += 1 }
                let own = Array(names[first..<index])
                guard let run = RunID(id), !live.contains(run), let files = try read(own, folder, day.place)
                else { return Loose(remove: {}) }
                return Loose(
                    run: run, files: files,
                    remove: { for name in own { try DayPacking.remove(name, folder, as: files) } })
            }
            try Retention.removeEmpty(day.day, in: day.root)
        case .runs(let runs):
            var index = 0
            try pack(day, known, &outcome, checkpoint) {
                guard index < runs.count else { return nil }
                defer { index += 1 }
                let run = runs[index]
                guard let files = try readTree(run) else { return Loose(remove: {}) }
                return Loose(
                    run: run, files: files,
                    remove: { try DayPacking.removeTree(run.text, day.root, as: files) })
            }
        }
    }

    /// Takes runs, in the order of their ids, until `next` has no more, and packs them in as many files as it takes.
    private func pack(
        _ day: Day, _ known: [PackedDay], _ outcome: inout Outcome,
        _ checkpoint: Retention.Checkpoint, next: () throws -> Loose?
    ) throws {
        var isOver = false
        while !isOver {
            let writer = try PackedDayWriter(day.day, in: day.root, nonce: Clocks.nonce())
            var packed: [() throws -> Void] = []
            do {
                while packed.count < DayPacking.most {
                    try checkpoint()
                    guard let loose = try next() else {
                        isOver = true
                        break
                    }
                    guard let run = loose.run, !loose.files.isEmpty else { continue }
                    // A run that was packed before, by one that did not live to remove it.
                    if DayPacking.has(known, run, loose.files) {
                        try loose.remove()
                        continue
                    }
                    try writer.add(run, loose.files)
                    packed.append(loose.remove)
                }
                if packed.isEmpty {
                    try writer.abandon()
                    continue
                }
                let made = try writer.finish(modified: now.nanoseconds)
                outcome.files.append("spool/\(made.path)")
                // What its steps said is packed apart, and is no second run.
                if case .folder = day.source { outcome.runs += packed.count }
            } catch {
                // The first error is the one to tell; what stays is removed by the next packing.
                try? writer.abandon()
                throw error
            }
            for remove in packed {
                try checkpoint()
                try remove()
            }
        }
    }
    /// A file that is as it was packed; one that was written since stays.
    private static func remove(_ name: String, _ folder: Directory, as files: [PackedDay.File]) throws {
        guard let status = try folder.statusIfPresent(name) else { return }
        let isThis = files.contains { file in
            BundlePath.split(file.name).name == name && file.bytes.count == status.size
                && file.modified == status.modified
        }
        if isThis { try folder.removeIfPresent(name) }
    }
    private static func removeTree(_ name: String, _ folder: Directory, as files: [PackedDay.File]) throws {
        let inner = try folder.directory(name)
        for entry in try inner.names() {
            if try inner.statusIfPresent(entry)?.kind == .directory {
                try removeTree(entry, inner, as: files)
            } else {
                try remove(entry, inner, as: files)
            }
        }
        try Retention.removeEmpty(name, in: folder)
    }
    /// The packed files that there are of that day. One that is damaged holds nothing.
    private func earlier(_ day: Day) throws -> [PackedDay] {
        try day.root.names().filter { PackedDay.day(of: $0) == day.day }.compactMap { name in
            do { return try PackedDay(name, in: day.root) } catch is BundleProblem { return nil }
        }
    }
    /// Whether one of them gives back these very bytes: nothing else is a reason to let files go.
    private static func has(_ known: [PackedDay], _ run: RunID, _ files: [PackedDay.File]) -> Bool {
        known.contains { packed in
            // What cannot be read is not there.
            let there = (try? packed.files(of: run)) ?? []
            return files.allSatisfy { file in
                there.contains { Array($0.name.utf8) == Array(file.name.utf8) && $0.bytes == file.bytes }
            }
        }
    }

    // MARK: reading

    /// Nil where one of them is not what a packed day takes.
    private func read(_ names: [String], _ folder: Directory, _ place: String) throws -> [PackedDay.File]? {
        var files: [PackedDay.File] = []
        var left = PackedDay.largestRun
        let below = place.dropFirst("\(SpoolName.spool)/".count)
        for name in names {
            guard let file = try one(name, folder, "\(below)/\(name)", &left) else { return nil }
            files.append(file)
        }
        return files
    }
    private func one(_ name: String, _ folder: Directory, _ path: String, _ left: inout Int) throws
        -> PackedDay.File?
    {
        guard BundlePath.trouble(path) == nil, !path.contains("\\"),
            let status = try folder.statusIfPresent(name), status.kind == .regular, status.size <= left
        else { return nil }
        let bytes = try folder.openForReading(name).read(upTo: left + 1)
        guard bytes.count == status.size else { return nil }
        left -= bytes.count
        return PackedDay.File(path, bytes, mode: status.mode & 0o777, modified: status.modified)
    }
    private func readTree(_ run: RunID) throws -> [PackedDay.File]? {
        var files: [PackedDay.File] = []
        var left = PackedDay.largestRun
        func walk(_ folder: Directory, _ path: String) throws -> Bool {
            for name in try folder.names().sorted() {
                guard let status = try folder.statusIfPresent(name) else { return false }
                if status.kind == .directory {
                    guard try walk(folder.directory(name), "\(path)/\(name)") else { return false }
                } else {
                    guard let file = try one(name, folder, "\(path)/\(name)", &left) else { return false }
                    files.append(file)
                }
            }
            return true
        }
        guard let status = try spool.runs.statusIfPresent(run.text), status.kind == .directory,
            try walk(spool.runs.directory(run.text), "\(SpoolName.runs)/\(run)")
        else { return nil }
        return files
    }
}
