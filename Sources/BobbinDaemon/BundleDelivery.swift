// What this is: `after` of ops/backup.yaml: what is done with a new bundle, a copy elsewhere as a rule.
// Owns: the call of the program; the list of bundles that it has not taken yet (`.bobbin/undelivered.json`).
// Never: forgets one because a later one was taken, or because nothing new was made since; undoes a bundle.
// On failure: that of the program, with how many bundles wait for it, or of the list; the bundles are there.
import JobModel
import LinuxSystem
import RunEngine
import SpoolQueue

struct BundleDelivery {
    private let site: Site
    private let after: [String]
    /// Of a program that has been failing for months the latest so many: newest first.
    private static let most = 100

    init(_ site: Site, _ after: [String]) {
        self.site = site
        self.after = after
    }

    /// Gives the program `new`, then what it has not taken yet. Once it refuses it is asked for no other: what it copies to is
    /// away, and each try may take hours.
    func deliver(_ new: String?) -> Failure? {
        guard !after.isEmpty else { return nil }
        do throws(SystemError) {
            let known = try waiting()
            var left = (known ?? []).filter { $0 != new && Host.exists($0) }
            if let new { left.insert(new, at: 0) }
            var failure: Failure?
            while let path = left.first, failure == nil {
                failure = hand(path)
                if failure == nil { left.removeFirst() }
            }
            try remember(left, instead: known)
            if let failure {
                return Failure(
                    failure.code,
                    "`after` of \(BackupFile.path) failed: \(failure.message); \(left.count) bundles wait for it, and go with the next",
                    whatToDo: failure.whatToDo)
            }
            return known == nil
                ? trouble("the list of bundles that it had not taken was damaged, and begins anew") : nil
        } catch { return trouble("\(error)") }
    }
    private func trouble(_ why: String) -> Failure {
        Failure(
            "E-BACKUP", "what `after` of \(BackupFile.path) has taken is not known: \(why)",
            whatToDo: "Look which bundles are where it copies them to.")
    }

    /// Nil: the list is damaged.
    private func waiting() throws(SystemError) -> [String]? {
        guard try site.spool.state.statusIfPresent(SpoolName.undelivered) != nil else { return [] }
        let bytes = try site.spool.state.openForReading(SpoolName.undelivered).read(upTo: 1 << 20)
        // Whatever is wrong with it: nil says so.
        return (try? JSONReader.read(bytes))?.listValue?.compactMap(\.stringValue)
    }
    private func remember(_ left: [String], instead known: [String]?) throws(SystemError) {
        let left = Array(left.prefix(BundleDelivery.most))
        guard left != known else { return }
        guard !left.isEmpty else { return try site.spool.state.removeIfPresent(SpoolName.undelivered) }
        try AtomicFile.write(
            JSONText.bytes(.list(left.map(Value.string))), to: SpoolName.undelivered, in: site.spool.state,
            mode: 0o600, existing: .replace)
    }

    /// As a step of a job of its own.
    private func hand(_ path: String) -> Failure? {
        let text =
            "dsl_version: \"1.1\"\nname: backup-after\ntimeout: 6h\nvariables: {arguments: []}\nsteps:\n  - run: {argv: \"{{ arguments }}\"}\n"
        guard var spec = site.reader().read(Array(text.utf8), name: "after.yaml", stem: "after").job else {
            return Failure("E-BACKUP", "the call of `after` could not be made a job: a mistake in Bobbin")
        }
        let arguments = after.map {
            $0.replacing("{{ bundle }}", with: path).replacing("{{bundle}}", with: path)
        }
        spec.variables["arguments"] = .list(arguments.map(Value.string))
        return ForegroundRun.perform(
            spec, bytes: Array(text.utf8), name: "after.yaml", directory: site.path, runs: site.spool.runs,
            signals: RunSignals(), progress: { _ in }
        ).failure
    }
}
