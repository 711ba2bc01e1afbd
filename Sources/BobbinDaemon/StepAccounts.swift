// What this is: as whom the steps of a run act, and what the programs they start may not change.
// Owns: the rule: on a site for many as who submitted the run; E-LAUNCH where the service cannot; the protected directories.
// Never: lets a step act as the service for somebody else.
// On failure: the step fails; it does not run with other rights than it should.
import AccessControl
import JobModel
import LinuxSystem
import SpoolQueue
import StepLibrary

struct StepAccounts: Sendable {
    let access: @Sendable () -> AccessPolicy

    func account(_ who: Submitter) throws(Failure) -> Account? {
        let policy = access()
        guard policy.isShared, who.uid != policy.service else { return nil }
        guard policy.role(of: who) != nil else {
            throw Failure(
                "E-ACCESS", "\(who.name) has no role here any more, so nothing runs for him",
                whatToDo: "See ops/access.yaml.", retry: .never)
        }
        guard Account.maySwitch else {
            throw Failure(
                "E-LAUNCH",
                "this service may not act as \(who.name), so no step that reaches files or programs can run for him",
                whatToDo:
                    "Run it as root, or give its unit CAP_SETUID, CAP_SETGID and CAP_KILL (docs/OPERATING.md).",
                retry: .never)
        }
        guard who.uid != 0, who.uid >= policy.leastUID, let account = Account(who.uid) else {
            throw Failure(
                "E-LAUNCH", "\(who.name) (uid \(who.uid)) is no account of a person, so nothing runs as it",
                whatToDo: "ops/access.yaml has `least_uid` \(policy.leastUID).", retry: .never)
        }
        return account
    }
}

/// The rules of Landlock, made anew when a directory has changed on the way to what they protect.
final class StepConfinement: Sendable {
    /// Below a site: what Bobbin's own file steps refuse by path, and what no account of a member could change anyway.
    private static let protected = ProtectedPaths.names + ["spool/done", "spool/failed"]
    private struct Made: Sendable {
        var rules: Confinement
        var seen: [Int64]
    }
    private let site: String
    private let access: @Sendable () -> AccessPolicy
    private let made = Monitor<Made?>(nil)

    init(_ site: String, access: @escaping @Sendable () -> AccessPolicy) {
        self.site = site
        self.access = access
    }

    /// Nil on a private site, and where the kernel has no Landlock: doctor says so.
    func current() throws(SystemError) -> Confinement? {
        guard access().isShared, Confinement.isAvailable else { return nil }
        let seen = ways.map { path -> Int64 in
            // One that cannot be looked at has changed.
            (try? FileStatus.following(path).changed) ?? Clocks.monotonic
        }
        if let known = made.with({ $0 }), known.seen == seen { return known.rules }
        let rules = try Confinement(protecting: StepConfinement.protected.map { "\(site)/\($0)" })
        made.with { $0 = Made(rules: rules, seen: seen) }
        return rules
    }
    /// The directories whose entries the rules list.
    private var ways: [String] {
        var ways = ["/"], path = ""
        for part in site.parts(at: "/") {
            path += "/" + part
            ways.append(path)
        }
        return ways + ["\(site)/spool"]
    }
}
