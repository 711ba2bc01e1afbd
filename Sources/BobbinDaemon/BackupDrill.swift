// What this is: the drill: a bundle brought back into a scratch site, and a job run there, so that somebody knows it can be done.
// Owns: the scratch site, which has nothing of the restored one at work; the probe; how long it took.
// Never: lets anything run that came out of the bundle; tells people of its questions.
// On failure: the outcome says what did not work; the scratch site is removed, now or by the next bundle.
import Bundles
import JobModel
import LinuxSystem
import RunJournal
import SpoolQueue
import YamlText

public struct BackupDrill: Sendable {
    public private(set) var bundle: String
    public private(set) var files = 0
    /// From the first byte read to the site in its place; and to the end of the probe job.
    public private(set) var restored = Span.zero
    public private(set) var recovered = Span.zero
    /// nil: all of it worked.
    public private(set) var trouble: String?

    private static let patience = 600

    /// Of the newest whole bundle, or of one that is named; written down whatever comes of it.
    public static func perform(_ site: Site, _ path: String?) throws -> BackupDrill {
        let folder = try Backup(site).folder(BackupFile.read(site).folder)
        // Of those that a restore would take.
        let keys = try BackupKeys.of(site.spool.site)
        let now = Timestamp(nanoseconds: Clocks.wall)
        let newest = try BackupList(folder, BackupKeys.looking(site.spool.site)).rows.first {
            $0.manifest.spool == site.spool.id && $0.isWhole && $0.manifest.proof.isKnown
                && $0.manifest.takenAt <= now
        }
        guard let path = path ?? newest?.path else {
            throw BundleProblem(
                "E-BACKUP-DRILL", "there is no bundle to try in \(folder.path)",
                whatToDo: "Make one: bobbin backup create")
        }
        // What is encrypted comes into the clear on the site's own disk, and nowhere else.
        let place = try Restore(path, keys).isEncrypted() ? site.spool.state : folder
        _ = try BundleWriter.removeLeftovers(in: place)
        let drill = try BackupDrill(path, keys, in: place)
        try BackupFacts.note(drill, site.spool, now: Timestamp(nanoseconds: Clocks.wall))
        return drill
    }

    /// `path`: the bundle. The scratch site is made in `folder`, and removed.
    public init(_ path: String, _ keys: BundleKeys, in folder: Directory) throws {
        bundle = path
        let name = BundleWriter.scratchName()
        let scratch = try folder.makeDirectory(name, mode: 0o700)
        defer {
            // What stays is hidden, named after us, and removed by whoever makes the next bundle.
            try? folder.removeTree(name)
        }
        let begin = Clocks.monotonic
        do {
            let place = "\(scratch.path)/site"
            let done = try Restore(path, keys).make(at: place)
            restored = Span(nanoseconds: Clocks.monotonic - begin)
            files = done.files
            try BackupDrill.quiet(Directory.open(place), done)
            try BackupDrill.probe(place)
        } catch { trouble = "\(error)" }
        recovered = Span(nanoseconds: Clocks.monotonic - begin)
    }

    /// The runs of the bundle can be read, and then they, and all drops, are put where no runner looks.
    private static func quiet(_ site: Directory, _ done: Restore.Done) throws {
        let root = try site.directory(SpoolName.spool)
        let runners = try root.directory("\(SpoolName.state)/\(SpoolName.runners)")
        if try runners.statusIfPresent(RestoredSpool.runner) != nil {
            let journal = try runners.directory("\(RestoredSpool.runner)/\(SpoolName.journal)")
            let found = try Replay.read(journal).live.count
            guard found == done.manifest.inFlight.count else {
                throw BundleProblem(
                    "E-RESTORE", "\(found) of \(done.manifest.inFlight.count) runs in flight came back")
            }
            try runners.removeTree(RestoredSpool.runner)
        }
        try site.removeTree(SpoolName.spool + "/" + SpoolName.control)
        for name in try root.names() {
            // Anything else has no such directory.
            let isQueue =
                QueueName(name) != nil
                && Priority.all.contains { (try? root.directory("\(name)/\($0.directory)")) != nil }
            guard
                isQueue
                    || [SpoolName.inbox, SpoolName.intake, SpoolName.parked, SpoolName.claimed].contains(name)
            else { continue }
            try root.removeTree(name)
        }
        try Spool.layOut(site)
        // Its people, its schedules and its rules of access are none of the probe's business.
        let ops = try site.directory("ops")
        for name in try ops.names() where name != "orchestrator.yaml" {
            if try ops.status(name).kind == .directory {
                try ops.removeTree(name)
            } else {
                try ops.remove(name)
            }
        }
        try root.directory(SpoolName.state).removeIfPresent(SpoolName.shared)
    }

    private static func probe(_ path: String) throws {
        let site = try Site(path: path)
        guard let policy = try site.configuration().queues.first,
            let lane = try site.spool.dropDirectories(of: policy).first
        else { throw BundleProblem("E-RESTORE", "the restored site has no queue") }
        let job =
            "dsl_version: \"1.1\"\nname: drill\nsteps:\n  - write_file: {path: reports/drill.txt, content: ok}\n...\n"
        try AtomicFile.write(Array(job.utf8), to: "drill.yaml", in: lane.1)
        guard let program = Host.realPath("/proc/self/exe"),
            let answer = try BriefProcess.ask(
                [program, "run", "--runner", "drill", "--until-idle", "--site", path], passing: ["HOME"],
                patience: patience)
        else { throw BundleProblem("E-RESTORE", "the probe's runner could not be started") }
        guard answer.isGood else {
            let said = String(decoding: answer.error.suffix(1_000), as: UTF8.self).trimmed
            throw BundleProblem(
                "E-RESTORE",
                answer.isLate
                    ? "the probe job did not end within \(patience) s" : "the probe's runner failed: \(said)")
        }
        let found = try site.spool.done.names().contains { day in
            // Packed days are older than this one.
            guard try site.spool.done.statusIfPresent(day)?.kind == .directory else { return false }
            return try site.spool.done.directory(day).names().contains {
                $0.hasSuffix("~drill\(FinalName.resultEnding)")
            }
        }
        guard found, Host.exists("\(path)/reports/drill.txt") else {
            throw BundleProblem("E-RESTORE", "the probe job did not succeed in the restored site")
        }
    }
}
