// What this is: the files of runs that have ended, found by run id, prefix or ticket, and dropped again.
// Owns: the search through done/ and failed/, newest day first; the requeue.
// Never: changes a result.
// On failure: nil where nothing is found; SystemError of the disk.
import JobModel
import LinuxSystem
import SpoolQueue

public struct FinalFiles: Sendable {
    public struct Found: Sendable {
        public var directory: Directory
        public var result: String
        public var jobFile: String?
        public var run: RunID
    }
    private let spool: Spool
    public init(_ spool: Spool) { self.spool = spool }

    public func find(_ run: RunID) -> Found? {
        // The day of the end is the day of the id or later; the near days are tried first.
        let start = run.time.utcDay
        return search(days: { $0 >= start }, newestFirst: false) { $0.hasPrefix(run.text) }.first
    }
    /// The ended run of a drop, by its ticket: it ended on the ticket's day or later.
    func find(ticket: RunID) -> Found? {
        let start = ticket.time.utcDay
        return search(days: { $0 >= start }, newestFirst: false) { $0.contains(".\(ticket).") }.first
    }
    /// The same where several may have it in their names.
    func all(ticket: RunID) -> [Found] {
        let start = ticket.time.utcDay
        return search(days: { $0 >= start }, newestFirst: true) { $0.contains(".\(ticket).") }
    }
    /// Every ended run whose id begins with the prefix, or whose ticket it is.
    public func find(prefix: String, limit: Int = 10) -> [Found] {
        let needle = prefix.uppercased()
        return Array(
            search(days: { _ in true }, newestFirst: true) {
                $0.hasPrefix(needle) || $0.contains(".\(needle).result")
            }.prefix(limit))
    }

    private func search(days matches: (String) -> Bool, newestFirst: Bool, where isWanted: (String) -> Bool)
        -> [Found]
    {
        var days: [(String, Directory)] = []
        for root in spool.finalRoots() {
            // An unreadable root has nothing to find.
            for day in ((try? root.names()) ?? []) where matches(day) {
                if let directory = try? root.directory(day) { days.append((day, directory)) }
            }
        }
        days.sort { newestFirst ? $0.0 > $1.0 : $0.0 < $1.0 }
        var all: [Found] = []
        for (_, directory) in days {
            let names = ((try? directory.names()) ?? []).filter { isWanted($0) }
            let found = names.filter { $0.hasSuffix(FinalName.resultEnding) }.compactMap { name in
                entry(name, names, directory)
            }
            all += found
            // A full id is in one place; a prefix may be in many.
            if all.count >= (newestFirst ? 20 : 1) { break }
        }
        return all
    }
    private func entry(_ result: String, _ names: [String], _ directory: Directory) -> Found? {
        guard let run = RunID(result.prefix(RunID.length)) else { return nil }
        let job =
            names.first {
                $0.hasPrefix(run.text) && !$0.hasSuffix(FinalName.resultEnding) && !$0.hasPrefix(".")
            }
            ?? (try? directory.names())?.first {
                $0.hasPrefix(run.text) && !$0.hasSuffix(FinalName.resultEnding)
            }
        return Found(directory: directory, result: result, jobFile: job, run: run)
    }

    public func read(_ found: Found) -> RunRecord? {
        // A result that cannot be read is shown as absent.
        guard let bytes = try? found.directory.openForReading(found.result).read(upTo: ResultFile.largest)
        else {
            return nil
        }
        return ResultFile.read(bytes)
    }
}

/// A new run of an ended one: its job file is copied back into its queue; the name keeps where it came from.
public struct Requeue: Sendable {
    private let spool: Spool
    public init(_ spool: Spool) { self.spool = spool }

    /// Returns the drop's path below the spool.
    public func perform(_ found: FinalFiles.Found, configuration: Configuration) throws -> String {
        guard let name = found.jobFile, let record = FinalFiles(spool).read(found) else {
            throw SpoolProblem(
                "E-REQUEUE", "the job file of run \(found.run) is not beside its result any more")
        }
        let a = record.acceptance
        guard let policy = configuration.policy(a.queue), a.priority.level <= policy.priorityLevels,
            let lane = try spool.dropDirectories(of: policy).first(where: { $0.0 == a.priority })
        else {
            throw SpoolProblem("E-REQUEUE", "queue \(a.queue) has no priority \(a.priority.level) any more")
        }
        let bytes = try found.directory.openForReading(name).read(upTo: Limits.dropBytes)
        let drop = "\(found.run)~\(DropName.escaped(a.dropName))"
        try AtomicFile.write(bytes, to: drop, in: lane.1)
        return "\(a.queue)/\(a.priority.directory)/\(drop)"
    }
}
