// What this is: the files of runs that have ended, found by run id, prefix or ticket, and dropped again.
// Owns: the search through done/ and failed/, days that were packed into one file included; the requeue.
// Never: changes a result.
// On failure: nil where nothing is found; SystemError of the disk.
import Bundles
import JobModel
import LinuxSystem
import SpoolQueue

public struct FinalFiles: Sendable {
    public struct Found: Sendable {
        public var run: RunID
        /// Names of files.
        public var result: String
        public var jobFile: String?
        fileprivate var place: Place
        /// Nil where its day was packed.
        public var directory: Directory? {
            if case .day(let directory) = place { directory } else { nil }
        }
        /// For people.
        public var jobPath: String {
            switch place {
            case .day(let directory): "\(directory.path)/\(jobFile ?? "")"
            case .packed(let packed): "\(jobFile ?? "") in spool/\(packed.path)"
            }
        }
    }
    fileprivate enum Place: Sendable { case day(Directory), packed(PackedDay) }
    private enum Wanted {
        case run(RunID), ticket(RunID), prefix(String)
        func fits(_ name: String) -> Bool {
            switch self {
            case .run(let run): name.hasPrefix(run.text)
            case .ticket(let ticket): name.contains(".\(ticket).")
            case .prefix(let text): name.hasPrefix(text)
            }
        }
    }
    private let spool: Spool
    public init(_ spool: Spool) { self.spool = spool }

    public func find(_ run: RunID) -> Found? {
        // The day of the end is the day of the id or later; the near days are tried first.
        let start = run.time.utcDay
        return search(days: { $0 >= start }, newestFirst: false, .run(run)).first
    }
    /// The ended run of a drop, by its ticket: it ended on the ticket's day or later.
    func find(ticket: RunID) -> Found? {
        let start = ticket.time.utcDay
        return search(days: { $0 >= start }, newestFirst: false, .ticket(ticket)).first
    }
    /// The same where several may have it in their names.
    func all(ticket: RunID) -> [Found] {
        let start = ticket.time.utcDay
        return search(days: { $0 >= start }, newestFirst: true, .ticket(ticket))
    }
    /// Every ended run whose id begins with the prefix, or whose ticket it is.
    public func find(prefix: String, limit: Int = 10) -> [Found] {
        let needle = prefix.uppercased()
        guard let id = RunID(needle) else {
            return Array(
                search(days: { _ in true }, newestFirst: true, .prefix(needle), enough: max(20, limit))
                    .prefix(limit))
        }
        return find(id).map { [$0] } ?? Array(all(ticket: id).prefix(limit))
    }

    private func search(
        days matches: (String) -> Bool, newestFirst: Bool, _ wanted: Wanted, enough: Int = 20
    ) -> [Found] {
        var days: [(day: String, root: Directory, name: String)] = []
        for root in spool.finalRoots() {
            // An unreadable root has nothing to find.
            for name in (try? root.names()) ?? [] {
                let day = PackedDay.day(of: name) ?? name
                if matches(day) { days.append((day, root, name)) }
            }
        }
        days.sort { newestFirst ? $0.day > $1.day : $0.day < $1.day }
        var all: [Found] = []
        var known: Set<RunID> = []
        for (day, root, name) in days {
            // A run that is just being packed is in both.
            for found in look(in: root, name, isPacked: day != name, wanted, enough)
            where known.insert(found.run).inserted { all.append(found) }
            // A full id is in one place; a prefix may be in many.
            if all.count >= (newestFirst ? enough : 1) { break }
        }
        return all
    }

    private func look(
        in root: Directory, _ name: String, isPacked: Bool, _ wanted: Wanted, _ enough: Int
    ) -> [Found] {
        if !isPacked {
            guard let directory = try? root.directory(name) else { return [] }
            // It was there a moment ago; what is gone since is not found.
            return found(in: (try? directory.names()) ?? [], .day(directory), wanted)
        }
        // A damaged one is named by the doctor; a look for a run finds nothing in it.
        guard let packed = try? PackedDay(name, in: root) else { return [] }
        let paths: [String]
        switch wanted {
        case .run(let run): paths = ((try? packed.files(of: run)) ?? []).map(\.name)
        case .ticket(let ticket): paths = (try? packed.paths(with: ".\(ticket).")) ?? []
        case .prefix(let prefix): paths = (try? packed.paths(ofRunsFrom: prefix, most: enough)) ?? []
        }
        return found(in: paths.map { BundlePath.split($0).name }, .packed(packed), wanted)
    }
    private func found(in names: [String], _ place: Place, _ wanted: Wanted) -> [Found] {
        let fitting = names.filter { wanted.fits($0) && !$0.hasPrefix(".") }
        var jobs: [Substring: String] = [:]
        let results = fitting.filter { $0.hasSuffix(FinalName.resultEnding) }
        guard !results.isEmpty else { return [] }
        for name in names where !name.hasSuffix(FinalName.resultEnding) && !name.hasPrefix(".") {
            jobs[name.prefix(RunID.length)] = name
        }
        return results.compactMap { name in
            RunID(name.prefix(RunID.length)).map {
                Found(run: $0, result: name, jobFile: jobs[name.prefix(RunID.length)], place: place)
            }
        }
    }

    public func read(_ found: Found) -> RunRecord? {
        // A result that cannot be read is shown as absent.
        guard let bytes = try? bytes(found.result, found, limit: ResultFile.largest) else { return nil }
        return ResultFile.read(bytes)
    }
    /// The job as it was accepted; nil where it is not beside the result any more.
    func job(_ found: Found) throws -> [UInt8]? {
        try found.jobFile.flatMap { try bytes($0, found, limit: Limits.dropBytes) }
    }
    private func bytes(_ name: String, _ found: Found, limit: Int) throws -> [UInt8]? {
        switch found.place {
        case .day(let directory): try directory.openForReading(name).read(upTo: limit)
        case .packed(let packed):
            try packed.files(of: found.run).first { BundlePath.split($0.name).name == name }?.bytes
        }
    }
}

/// A new run of an ended one: its job file is copied back into its queue; the name keeps where it came from.
public struct Requeue: Sendable {
    private let spool: Spool
    public init(_ spool: Spool) { self.spool = spool }

    /// Returns the drop's path below the spool.
    public func perform(_ found: FinalFiles.Found, configuration: Configuration) throws -> String {
        let files = FinalFiles(spool)
        guard let bytes = try files.job(found), let record = files.read(found) else {
            throw SpoolProblem(
                "E-REQUEUE", "the job file of run \(found.run) is not beside its result any more")
        }
        let a = record.acceptance
        guard let policy = configuration.policy(a.queue), a.priority.level <= policy.priorityLevels,
            let lane = try spool.dropDirectories(of: policy).first(where: { $0.0 == a.priority })
        else {
            throw SpoolProblem("E-REQUEUE", "queue \(a.queue) has no priority \(a.priority.level) any more")
        }
        let drop = "\(found.run)~\(DropName.escaped(a.dropName))"
        try AtomicFile.hand(bytes, to: drop, in: lane.1)
        return "\(a.queue)/\(a.priority.directory)/\(drop)"
    }
}
