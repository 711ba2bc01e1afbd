// What this is: `after` of ops/backup.yaml: what is done with a new bundle, a copy elsewhere as a rule.
// Owns: the call of the program; the list of bundles that it has not taken yet (`.bobbin/undelivered.json`).
// Never: forgets one because a later one was taken, or because nothing new was made since.
// On failure: that of the program, with how many bundles wait for it; the bundles are there.
import JobModel
import LinuxSystem
import RunEngine
import SpoolQueue

struct BundleDelivery {
    private let site: Site
    private let after: [String]
    /// Of a program that has been failing for months the latest count.
    private static let most = 100

    init(_ site: Site, _ after: [String]) {
        self.site = site
        self.after = after
    }

    /// Gives the program what it has not taken yet, and `new`.
    func deliver(_ new: String?) throws(SystemError) -> Failure? {
        guard !after.isEmpty else { return nil }
        let before = try waiting()
        var left: [String] = [], failure: Failure?
        for path in before.filter({ $0 != new && Host.exists($0) }) + (new.map { [$0] } ?? []) {
            guard let trouble = hand(path) else { continue }
            failure = trouble
            left.append(path)
        }
        left = Array(left.suffix(BundleDelivery.most))
        if left.isEmpty {
            try site.spool.state.removeIfPresent(SpoolName.undelivered)
        } else if left != before {
            try AtomicFile.write(
                JSONText.bytes(.list(left.map(Value.string))), to: SpoolName.undelivered,
                in: site.spool.state,
                mode: 0o600, existing: .replace)
        }
        return failure.map {
            Failure(
                $0.code,
                "`after` of \(BackupFile.path) failed: \($0.message); \(left.count) bundles wait for it, and go with the next",
                whatToDo: $0.whatToDo)
        }
    }
    private func waiting() throws(SystemError) -> [String] {
        guard try site.spool.state.statusIfPresent(SpoolName.undelivered) != nil else { return [] }
        let bytes = try site.spool.state.openForReading(SpoolName.undelivered).read(upTo: 1 << 20)
        // A damaged list is begun anew: the bundles themselves are where they are.
        return ((try? JSONReader.read(bytes))?.listValue ?? []).compactMap(\.stringValue)
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
