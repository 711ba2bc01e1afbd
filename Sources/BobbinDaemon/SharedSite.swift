// What this is: a site for many people: which directories the members of its group may enter, read, and put files into.
// Owns: the modes, the intakes (one for each account, into which nobody else can put anything).
// Never: opens secrets, keys, journals or the audit log to anybody but the service; changes a private site.
// On failure: SpoolProblem or SystemError with the directory.
import AccessControl
import JobModel
import LinuxSystem
import SpoolQueue

public struct SharedSite: Sendable {
    private let site: Site
    private let group: UInt32

    /// May be entered and read by the group; what is made in them belongs to the group as well.
    private static let read: UInt32 = 0o2750
    /// And written by it, each his own files alone.
    private static let drop: UInt32 = 0o3770
    private static let closed: UInt32 = 0o700

    /// What must be before anything is made.
    @discardableResult
    public static func check(group name: String) throws -> UInt32 {
        guard let gid = Host.gid(named: name) else {
            throw SpoolProblem(
                "E-GROUP", "this host has no group `\(name)`",
                whatToDo: "sudo groupadd \(name), and add its people to it")
        }
        let uid = ProcessSetup.uid
        guard uid == 0 || Host.groups(of: uid).contains(gid) else {
            throw SpoolProblem(
                "E-GROUP",
                "\(Host.userName(uid)) is not in the group `\(name)`, and so cannot give directories to it",
                whatToDo: "sudo usermod -aG \(name) \(Host.userName(uid)), then log in anew.")
        }
        return gid
    }

    public init(_ site: Site, group name: String) throws {
        group = try SharedSite.check(group: name)
        self.site = site
    }

    /// Sets every mode; may be done again at any time.
    public func open() throws {
        let spool = site.spool
        try set(spool.site, 0o750)
        for name in ["templates", "reports", "ops", SpoolName.spool] {
            try set(spool.site.directory(name), SharedSite.read)
        }
        try set(spool.site.directory("secrets"), SharedSite.closed)
        try set(
            spool.site.directory("ops").makeDirectory(AuditLog.folder, mode: SharedSite.closed),
            SharedSite.closed)
        for name in try spool.root.names() where !name.hasPrefix(".") {
            guard try spool.root.status(name).kind == .directory else { continue }
            try set(spool.root.directory(name), SharedSite.read)
        }
        for (_, directory) in spool.parked { try set(directory, SharedSite.read) }
        for directory in [spool.requests, spool.approvalsClosed, spool.controlClosed] {
            try set(directory, SharedSite.read)
        }
        for directory in [spool.inbox, spool.responses, spool.control] { try set(directory, SharedSite.drop) }
        try set(spool.state, SharedSite.closed)
        // Should ops/access.yaml get lost, nobody must take the site for a private one.
        try AtomicFile.write([], to: SpoolName.shared, in: spool.state, mode: 0o600, existing: .replace)
        for policy in try site.configuration().queues {
            // They take the modes of inbox/.
            _ = try spool.dropDirectories(of: policy)
            try set(spool.root.directory(policy.name.text), SharedSite.read)
        }
        try set(spool.root.makeDirectory(SpoolName.intake), SharedSite.read)
    }

    private func set(_ directory: Directory, _ mode: UInt32) throws {
        let status = try directory.status()
        if status.gid != group { try directory.setGroup(group) }
        if status.mode != mode { try directory.setMode(mode) }
    }

    /// Intakes of everybody who may have jobs run, as far as the host can list them; gives their names.
    @discardableResult
    public static func makeIntakes(_ site: Site, _ policy: AccessPolicy) throws -> [String] {
        guard policy.isShared else { return [] }
        let root = try site.spool.root.makeDirectory(SpoolName.intake)
        var names = Set(policy.users.keys.filter { Host.uid(named: $0) != nil })
        for group in Array(policy.groups.keys) + [policy.group].compactMap({ $0 }) {
            names.formUnion(Host.members(of: group))
        }
        for name in names {
            guard let uid = Host.uid(named: name), uid != policy.service, DropName.escaped(name) == name
            else {
                continue
            }
            try makeIntake(name, of: uid, in: root, service: policy.service)
        }
        return try root.names().filter { !$0.hasPrefix(".") }.sorted()
    }

    /// Until its owner was let in nobody but the service can enter it.
    private static func makeIntake(_ name: String, of uid: UInt32, in root: Directory, service: UInt32) throws
    {
        let directory = try root.makeDirectory(name, mode: closed)
        guard try !directory.hasACL() else { return }
        // What is put into it belongs to our own group, so that we may read it.
        if let own = Host.account(service)?.group { try directory.setGroup(own) }
        try directory.setMode(0o2700)
        try directory.share(with: uid)
    }

    /// Our own intake on a site for many; nil where we need none: on a private site, and as the service itself.
    public static func intake(_ site: Site) throws -> Directory? {
        let policy = try site.access()
        guard policy.isShared, policy.service != ProcessSetup.uid else { return nil }
        let name = Host.userName(ProcessSetup.uid)
        do { return try site.spool.root.directory("\(SpoolName.intake)/\(name)") } catch {
            throw SpoolProblem(
                "E-INTAKE", "this site has no intake for \(name): \(error)",
                whatToDo:
                    "Whoever is in the group \(policy.group ?? "") or in ops/access.yaml gets one, within a minute, from a runner that works."
            )
        }
    }

    /// `<queue>~p5~<name>`: what `submit` decided, in the name of a drop in an intake.
    public static func intakeName(_ queue: QueueName, _ priority: Priority, _ name: String) -> String {
        "\(queue)~\(priority.directory)~\(name)"
    }
    static func read(intakeName name: String) -> (key: LaneKey, name: String)? {
        let parts = name.parts(at: "~", keepingEmpty: true)
        guard parts.count == 3, let queue = QueueName(parts[0]),
            let priority = Priority.all.first(where: { $0.directory == parts[1] }), !parts[2].isEmpty
        else { return nil }
        return (LaneKey(queue: queue, priority: priority), parts[2])
    }
}
