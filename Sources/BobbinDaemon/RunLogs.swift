// What this is: what the steps of a run said, wherever it lies: spool/runs/<id>/, or the file of its day.
// Owns: the search for it.
// Never: prints.
// On failure: empty where nothing is found; SystemError of the disk.
import Bundles
import JobModel
import LinuxSystem
import SpoolQueue

public struct RunLogs: Sendable {
    private let spool: Spool
    public init(_ spool: Spool) { self.spool = spool }
    static let ending = ".log"

    /// Its directory, while it has one.
    public func folder(_ run: RunID) throws -> Directory? {
        try spool.runs.statusIfPresent(run.text) == nil ? nil : spool.runs.directory(run.text)
    }
    /// Name and bytes of each log of a run that was packed.
    public func packed(_ run: RunID) throws -> [(name: String, bytes: [UInt8])] {
        let start = run.time.utcDay
        var damage: BundleProblem?
        for name in try spool.runs.names().sorted() {
            guard let day = PackedDay.day(of: name), day >= start else { continue }
            let files: [PackedDay.File]
            do { files = try PackedDay(name, in: spool.runs).files(of: run) } catch let problem
                as BundleProblem
            {
                // Another file may have it; where none has, this is why.
                damage = problem
                continue
            }
            guard !files.isEmpty else { continue }
            return files.compactMap { file in
                let parts = file.name.split(separator: "/")
                guard parts.count == 3, parts[2].hasSuffix(RunLogs.ending) else { return nil }
                return (String(parts[2]), file.bytes)
            }
        }
        if let damage { throw damage }
        return []
    }
}
