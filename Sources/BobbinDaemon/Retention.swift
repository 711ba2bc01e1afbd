// What this is: what goes by the rules of ops/retention.yaml, as a plan that can be looked at, and its carrying out.
// Owns: the plan; the order: the rows of the index that tell of a file first, then the file.
// Never: removes what the plan does not name; follows a link; touches what is in flight or in use.
// On failure: SystemError; what is gone is gone, the next time goes on with the rest.
import Bundles
import JobModel
import LinuxSystem
import RunHistory
import SpoolQueue

public struct Retention: Sendable {
    public struct Going: Sendable {
        public var kind: RetentionClass
        public var why: String
        /// Files, bytes and what they are about, all together.
        public var count = 0
        public var files = 0
        public var bytes = 0
        var units: [RetentionUnit] = []
        /// Below the site; a directory, which goes with all files of runs that are in it, ends in `/`.
        public var paths: [String] { units.flatMap(\.paths) }
    }
    /// One for each class and reason.
    public private(set) var going: [Going] = []
    /// What could not be done, and was left.
    public private(set) var troubled: [String] = []
    private let site: Site
    private let now: Timestamp
    /// Asks between two files whether to go on.
    public typealias Checkpoint = () throws -> Void
    /// Runs whose rows go in one transaction.
    private static let batch = 1_000

    init(_ site: Site, _ file: RetentionFile, live: Set<RunID>, now: Timestamp, _ kinds: Set<RetentionClass>)
        throws
    {
        self.site = site
        self.now = now
        let units = RetentionUnits(site.spool, live: live, now: now)
        let doubt = RetentionRule.doubt(try units.activeDays(), today: now.utcDay)
        if let doubt {
            troubled.append(
                "nothing was done here from \(doubt.from) to \(doubt.to): in case a clock is wrong, nothing goes by its age for 14 days"
            )
        }
        for kind in RetentionClass.allCases where kinds.contains(kind) {
            guard var rule = file.rules[kind], rule != RetentionRule() else { continue }
            if doubt != nil { rule.days = nil }
            try plan(kind, rule, units)
        }
    }

    private mutating func plan(_ kind: RetentionClass, _ rule: RetentionRule, _ units: RetentionUnits) throws
    {
        var all = try units.all(kind)[...]
        var kept = (count: 0, bytes: 0)
        while let cut = rule.cut(all.map(\.size), after: kept, today: now.utcDay) {
            let index = all.startIndex + cut.index
            for unit in all[..<index] {
                kept.count += unit.size.count
                kept.bytes += unit.size.bytes
            }
            // Of the day in which a number is passed the newest stay; the days before it go whole.
            if !cut.isAge, case .folder = all[index].content {
                all = try units.split(all[index])[...] + all[(index + 1)...]
                continue
            }
            note(Array(all[index...]), kind, cut.why)
            return
        }
    }
    private mutating func note(_ units: [RetentionUnit], _ kind: RetentionClass, _ why: String) {
        guard !units.isEmpty else { return }
        var going = Going(kind: kind, why: why)
        for unit in units {
            going.count += unit.size.count
            going.files += unit.files
            going.bytes += unit.size.bytes
        }
        going.units = units
        self.going.append(going)
    }

    // MARK: carrying it out

    mutating func perform(_ checkpoint: Checkpoint) throws {
        // Results alone have rows.
        let rows = Rows(site.spool)
        for going in going {
            let rows = [.done, .failed].contains(going.kind) ? rows : nil
            for unit in going.units { try remove(unit, rows, checkpoint) }
        }
        rows.tidy()
        if let why = rows.trouble {
            troubled.append(
                "the index, which may still name what went: \(why); bobbin index rebuild makes it anew")
        }
    }
    private mutating func remove(_ unit: RetentionUnit, _ rows: Rows?, _ checkpoint: Checkpoint) throws {
        switch unit.content {
        case .names(let names): try Retention.remove(names, unit.folder, rows, checkpoint)
        case .folder(let parent, let name):
            let names = try unit.folder.names().sorted().filter { name in
                // Files of runs, and the list of a packed day that somebody unpacked. What else lies there is not ours.
                guard RunID(name.prefix(RunID.length)) != nil || name == PackedDay.listName,
                    let status = try unit.folder.statusIfPresent(name), status.kind == .regular
                else { return false }
                // Just brought back by somebody, from a bundle say.
                return !RetentionUnits.isYoung(status.changed, now)
            }
            try Retention.remove(names, unit.folder, rows, checkpoint)
            try Retention.removeEmpty(name, in: parent)
        case .packed(let packed):
            try checkpoint()
            let runs: [RunID]
            do { runs = rows == nil ? [] : try packed.rows().map(\.run) } catch let problem as BundleProblem {
                // Nobody removes unseen what he cannot read; the rest goes all the same.
                return troubled.append(problem.message)
            }
            rows?.forget(runs)
            try unit.folder.removeIfPresent(packed.name)
        }
    }
    /// The rows first: what a kill leaves between them is a result without a row, and the index finds it again.
    private static func remove(
        _ names: [String], _ folder: Directory, _ rows: Rows?, _ checkpoint: Checkpoint
    ) throws {
        for chunk in names.chunked(batch) {
            rows?.forget(chunk.compactMap { RunID($0.prefix(RunID.length)) })
            for name in chunk {
                try checkpoint()
                // Gone already: a person was faster.
                guard let status = try folder.statusIfPresent(name) else { continue }
                if status.kind == .directory {
                    try folder.removeTree(name)
                } else {
                    try folder.removeIfPresent(name)
                }
            }
        }
    }
    /// A result may just have come to a day that is over: then it stays.
    static func removeEmpty(_ name: String, in parent: Directory) throws {
        do { try parent.removeDirectory(name) } catch {
            guard error.isMissing || error.isNotEmpty else { throw error }
        }
    }

    /// The rows of the index that tell of what goes. The index is only the memory: one that is damaged, or has no room on a full
    /// disk, keeps no file from going.
    private final class Rows {
        private let spool: Spool
        private var history: RunHistory?
        private(set) var trouble: String?
        init(_ spool: Spool) { self.spool = spool }
        func forget(_ runs: [RunID]) {
            guard !runs.isEmpty else { return }
            attempt { history in
                for part in Set(runs).sorted().chunked(batch) { try history.forget(Array(part)) }
            }
        }
        func tidy() { attempt { _ = try $0.tidy() } }
        private func attempt(_ body: (RunHistory) throws -> Void) {
            guard trouble == nil else { return }
            do {
                if history == nil, try spool.state.statusIfPresent(SpoolName.index) != nil {
                    history = try RunHistory.pruner(path: IndexFiles.path(spool))
                }
                if let history { try body(history) }
            } catch {
                trouble = (error as? Failure)?.message ?? "\(error)"
                history = nil
            }
        }
    }
}
