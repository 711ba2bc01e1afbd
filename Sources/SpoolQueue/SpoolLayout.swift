// What this is: the directories of a site: the only place that spells their names.
// Owns: making them with safe modes, holding them open, and the refusal of file systems that cannot carry a spool.
// Never: re-creates a missing claimed/, done/ or journal directory of a spool that already has its id.
// On failure: SpoolProblem says which directory and what to do.
import JobModel
import LinuxSystem

public struct SpoolProblem: Error, Hashable, Sendable, CustomStringConvertible {
    public var code: String
    public var message: String
    public var whatToDo: String
    public init(_ code: String, _ message: String, whatToDo: String = "") {
        self.code = code
        self.message = message
        self.whatToDo = whatToDo
    }
    public var description: String { "\(message) [\(code)]" + (whatToDo.isEmpty ? "" : "\n  \(whatToDo)") }
}

/// Names of directories and files below a site.
public enum SpoolName {
    public static let configuration = "ops/orchestrator.yaml"
    public static let spool = "spool"
    public static let templates = "templates"
    public static let secrets = "secrets"
    public static let audit = "audit"
    public static let backups = "backups"
    public static let auditKey = "audit.key"
    public static let bundleKey = "bundle.key"
    /// Bundles that `after` of ops/backup.yaml has not taken yet.
    public static let undelivered = "undelivered.json"
    /// Says of which bundle this spool was made.
    public static let restored = "restored.json"
    /// What a restore has still to put back beside the spool.
    public static let restoreRest = "restore-rest.json"
    public static let inbox = "inbox"
    public static let claimed = "claimed"
    public static let parked = "parked"
    public static let runs = "runs"
    public static let rejected = "rejected"
    public static let control = "control"
    public static let closed = "closed"
    public static let shared = "shared"
    public static let intake = "intake"
    public static let requests = "approvals/requests"
    public static let responses = "approvals/responses"
    public static let clock = "clock"
    public static let log = "log"
    public static let logFile = "bobbin.log"
    public static let state = ".bobbin"
    public static let lock = "lock"
    public static let recoveryLock = "recovery.lock"
    public static let spoolID = "spool.id"
    public static let format = "format"
    public static let index = "index.sqlite"
    public static let runners = "runners"
    public static let slots = "slots"
    public static let keys = "keys"
    public static let once = "once"
    public static let rates = "rates"
    public static let targets = "targets"
    public static let triggers = "triggers"
    public static let filesLock = "files.lock"
    public static let files = "files"
    public static let watchers = "watchers"
    public static let events = "events"
    public static let history = "history"
    public static let reports = "reports"
    public static let reporterLock = "reporter.lock"
    /// Held while old files are packed or removed, and while a bundle is made.
    public static let retentionLock = "retention.lock"
    public static let alerts = "alerts"
    public static let journal = "journal"
    public static let orders = "orders"
    public static let temporary = "tmp"
    public static let pressure = "pressure"
    public static let currentFormat = "1"
    /// Directories that a site has from its first day, with their modes.
    static let all: [(String, UInt32)] = [
        ("spool", 0o755), ("spool/inbox", 0o755), ("spool/claimed", 0o755), ("spool/parked", 0o755),
        ("spool/parked/approval", 0o755), ("spool/parked/retry", 0o755), ("spool/parked/held", 0o755),
        ("spool/parked/interrupted", 0o755), ("spool/parked/scheduled", 0o755), ("spool/parked/rate", 0o755),
        ("spool/parked/key", 0o755), ("spool/parked/child", 0o755), ("spool/parked/target", 0o755),
        ("spool/done", 0o755),
        ("spool/failed", 0o755),
        ("spool/rejected", 0o755),
        ("spool/runs", 0o755), ("spool/approvals", 0o755), ("spool/approvals/requests", 0o755),
        ("spool/approvals/responses", 0o755), ("spool/approvals/closed", 0o755), ("spool/events", 0o755),
        ("spool/control", 0o755), ("spool/control/closed", 0o755), ("spool/history", 0o755),
        ("spool/log", 0o755),
        ("spool/.bobbin", 0o700), ("spool/.bobbin/slots", 0o700), ("spool/.bobbin/slots/keys", 0o700),
        ("spool/.bobbin/once", 0o700), ("spool/.bobbin/rates", 0o700), ("spool/.bobbin/targets", 0o700),
        ("spool/.bobbin/triggers", 0o700),
        ("spool/.bobbin/runners", 0o700), ("templates", 0o755), ("secrets", 0o700), ("reports", 0o755),
        ("ops", 0o755),
    ]
    /// Where losing the directory means losing work: never made again behind the operator's back.
    static let irreplaceable = ["claimed", "parked", "done", "failed", ".bobbin/runners"]
}

/// The open directories of one site.
public final class Spool: Sendable {
    public let site: Directory
    public let root: Directory
    public let claimed: Directory
    public let parked: [Wait.Reason: Directory]
    public let log: Directory
    public let state: Directory
    public let runners: Directory
    public let slots: Directory
    public let id: String
    /// Whether this account may read what is the service's own: the journals above all.
    public let isOwn: Bool
    /// Directories that a person may empty, move away or replace while we run.
    private let replaceable: Monitor<[String: Directory]>
    private static let controlClosedPath = "\(SpoolName.control)/\(SpoolName.closed)"
    private static let approvalsClosedPath = "approvals/\(SpoolName.closed)"

    public var inbox: Directory { held(SpoolName.inbox) }
    public var done: Directory { held("done") }
    public var failed: Directory { held("failed") }
    public var rejected: Directory { held(SpoolName.rejected) }
    public var runs: Directory { held(SpoolName.runs) }
    public var control: Directory { held(SpoolName.control) }
    public var controlClosed: Directory { held(Spool.controlClosedPath) }
    public var requests: Directory { held(SpoolName.requests) }
    public var responses: Directory { held(SpoolName.responses) }
    public var approvalsClosed: Directory { held(Spool.approvalsClosedPath) }
    /// All of them are opened at the beginning, so there is always one.
    private func held(_ path: String) -> Directory { replaceable.with { $0[path] ?? root } }

    /// Opens a site's spool, making what is missing. Where there is none at all it is founded, if it `mayBeFounded`: who
    /// only looks must not put an empty spool where the real one was before it was moved or unmounted.
    public init(site path: String, mayBeFounded: Bool = true, newID: @autoclosure () -> String) throws {
        site = try Directory.open(path)
        isOwn = try Host.mayAct(as: site.status().uid)
        let known = try isOwn ? Spool.read(SpoolName.spoolID, below: site) : ""
        guard known != nil || mayBeFounded else {
            throw SpoolProblem(
                "E-SPOOL", "there is no spool at \(path)/\(SpoolName.spool) yet, or not any more",
                whatToDo:
                    "A new site: `bobbin up` (or `bobbin submit`) makes it. One that has worked before: its spool was moved or is not mounted; bring it back before anything is started."
            )
        }
        if isOwn {
            if known != nil {
                try Spool.checkNothingIsLost(site)
            } else {
                try Spool.checkNothingIsOrphaned(site)
            }
            if let state = try Spool.existingState(site) {
                try Spool.checkFormat(state, write: false)
                try Spool.checkNothingIsHalfRestored(state)
            }
            try Spool.makeDirectories(site)
        }
        root = try site.directory(SpoolName.spool)
        try Spool.checkFileSystem(root)
        // Who only uses a site for many makes nothing in it, and sees nothing of what is the service's own.
        state = try isOwn ? root.directory(SpoolName.state) : root.directoryToEnter(SpoolName.state)
        id = try known ?? Spool.found(state, id: newID())
        if isOwn { try Spool.checkFormat(state, write: true) }
        var replaceable: [String: Directory] = [:]
        for path in [
            SpoolName.inbox, "done", "failed", SpoolName.rejected, SpoolName.runs, SpoolName.control,
            Spool.controlClosedPath, SpoolName.requests, SpoolName.responses, Spool.approvalsClosedPath,
        ] {
            replaceable[path] = try root.directory(path)
        }
        self.replaceable = Monitor(replaceable)
        claimed = try root.directory(SpoolName.claimed)
        var parked: [Wait.Reason: Directory] = [:]
        for reason in Wait.Reason.allCases {
            parked[reason] = try root.directory("\(SpoolName.parked)/\(reason.rawValue)")
        }
        self.parked = parked
        log = try root.directory(SpoolName.log)
        runners = try isOwn ? state.directory(SpoolName.runners) : state
        slots = try isOwn ? state.directory(SpoolName.slots) : state
    }

    private static func makeDirectories(_ site: Directory) throws {
        for (path, mode) in SpoolName.all {
            let parts = path.split(separator: "/").map(String.init)
            let parent = parts.count == 1 ? site : try site.directory(parts.dropLast().joined(separator: "/"))
            guard let name = parts.last else { continue }
            _ = try parent.makeDirectory(name, mode: mode)
        }
    }

    /// The directories of a site that is just being made, all of them empty or without what they should have.
    public static func layOut(_ site: Directory) throws { try makeDirectories(site) }

    private static func checkNothingIsHalfRestored(_ state: Directory) throws {
        guard try state.statusIfPresent(SpoolName.restoreRest) != nil else { return }
        throw SpoolProblem(
            "E-RESTORE",
            "a restore was cut off: the spool is the restored one, the files beside it are not all back",
            whatToDo: "bobbin backup restore --continue")
    }

    private static func checkNothingIsLost(_ site: Directory) throws {
        let root = try site.directory(SpoolName.spool)
        for name in SpoolName.irreplaceable where try root.statusIfPresent(name) == nil {
            throw SpoolProblem(
                "E-STATE", "\(root.path)/\(name) is gone, and with it perhaps work in flight",
                whatToDo:
                    "Bring it back (a backup, or the mount that is missing); if it was empty: mkdir \(root.path)/\(name)"
            )
        }
    }

    private static func checkFileSystem(_ root: Directory) throws {
        let facts = try root.fileSystem()
        guard facts.localName == nil else { return }
        throw SpoolProblem(
            "E-FILESYSTEM",
            "\(root.path) is on \(facts.name); a spool needs a local file system (ext4, xfs, btrfs, tmpfs …)",
            whatToDo:
                "Locks, owners and renames of network and FUSE file systems cannot be trusted; put the site on a local disk."
        )
    }

    private static func existingState(_ site: Directory) throws -> Directory? {
        guard try site.statusIfPresent(SpoolName.spool) != nil else { return nil }
        let root = try site.directory(SpoolName.spool)
        return try root.statusIfPresent(SpoolName.state) == nil ? nil : root.directory(SpoolName.state)
    }

    /// Claims without the journals that know of them: to begin anew would run their steps again.
    private static func checkNothingIsOrphaned(_ site: Directory) throws {
        guard try site.statusIfPresent(SpoolName.spool) != nil else { return }
        let root = try site.directory(SpoolName.spool)
        for parent in [SpoolName.claimed, SpoolName.parked] where try root.statusIfPresent(parent) != nil {
            let directory = try root.directory(parent)
            for name in try directory.names()
            where try directory.directory(name).names().contains(where: { ClaimedName($0) != nil }) {
                throw SpoolProblem(
                    "E-STATE",
                    "\(directory.path)/\(name) holds runs, but \(root.path)/\(SpoolName.state), which knows of them, is gone",
                    whatToDo: "Bring it back; or, if these jobs may run again, move them into a queue.")
            }
        }
    }

    private static func checkFormat(_ state: Directory, write: Bool) throws {
        let found = try read(SpoolName.format, in: state)
        guard let found else {
            guard write else { return }
            do throws(SystemError) {
                return try AtomicFile.write(
                    Array("\(SpoolName.currentFormat)\n".utf8), to: SpoolName.format, in: state)
            } catch {
                // Another founder was first: what he wrote is judged like any other.
                guard error.isExisting else { throw error }
                return try checkFormat(state, write: false)
            }
        }
        guard found == SpoolName.currentFormat else {
            throw SpoolProblem(
                "E-FORMAT",
                "this spool has format \(found), this program knows format \(SpoolName.currentFormat)",
                whatToDo: "Use the version of bobbin that wrote it, or a newer one.")
        }
    }

    private static func found(_ state: Directory, id: String) throws -> String {
        do throws(SystemError) {
            try AtomicFile.write(Array("\(id)\n".utf8), to: SpoolName.spoolID, in: state, mode: 0o600)
            return id
        } catch {
            guard error.isExisting else { throw error }
            // Another runner founded the spool in the same moment: its id counts.
            return try read(SpoolName.spoolID, in: state) ?? id
        }
    }

    private static func read(_ name: String, in directory: Directory) throws -> String? {
        guard try directory.statusIfPresent(name) != nil else { return nil }
        let bytes = try directory.openForReading(name).read(upTo: 256)
        return String(decoding: bytes, as: UTF8.self).trimmed
    }
    private static func read(_ name: String, below site: Directory) throws -> String? {
        guard try site.statusIfPresent(SpoolName.spool) != nil else { return nil }
        let root = try site.directory(SpoolName.spool)
        guard try root.statusIfPresent(SpoolName.state) != nil else { return nil }
        return try read(name, in: root.directory(SpoolName.state))
    }

    /// The drop directories of a queue, made if missing: `p1` … up to its levels. Where something else has the place of
    /// one (a link, a file), it is left out: `misplaced` names it.
    public func dropDirectories(of policy: QueuePolicy) throws -> [(Priority, Directory)] {
        try lanes(of: policy).open
    }
    /// What the opening of a drop directory says where something else stands: a link, a file, another file system (a claim
    /// is a rename, which does not reach over there), or a directory that is closed to us.
    public static func isMisplaced(_ error: SystemError) -> Bool {
        [.kind, .access].contains(error.fileTrouble) || error.isCrossDevice
    }
    /// What stands in the place of a drop directory and is none: nothing is taken from there.
    public func misplaced(of policy: QueuePolicy) throws -> [SystemError] { try lanes(of: policy).trouble }

    private func lanes(of policy: QueuePolicy) throws -> (
        open: [(Priority, Directory)], trouble: [SystemError]
    ) {
        var open: [(Priority, Directory)] = [], trouble: [SystemError] = []
        do throws(SystemError) {
            let queue = try root.makeDirectory(policy.name.text)
            for priority in Priority.all.prefix(policy.priorityLevels) {
                do throws(SystemError) {
                    open.append((priority, try dropDirectory(priority.directory, in: queue)))
                } catch {
                    guard Spool.isMisplaced(error) else { throw error }
                    trouble.append(error)
                }
            }
        } catch {
            guard Spool.isMisplaced(error) else { throw error }
            trouble.append(error)
        }
        return (open, trouble)
    }
    /// Where people drop files is as open to them as inbox/ is.
    private func dropDirectory(_ name: String, in queue: Directory) throws(SystemError) -> Directory {
        let directory = try queue.makeDirectory(name)
        let model = try inbox.status(), status = try directory.status()
        if model.mode & 0o1000 != 0, status.uid == model.uid,
            status.mode != model.mode || status.gid != model.gid
        {
            if status.gid != model.gid { try directory.setGroup(model.gid) }
            try directory.setMode(model.mode)
        }
        return directory
    }
    /// `done/<day>` or `failed/<day>`.
    public func finalDirectory(_ state: FinalState, day: String) throws -> Directory {
        try (state.isGood ? done : failed).makeDirectory(day)
    }
    /// Opens, and makes where it is missing, what a person has replaced or removed since; returns their paths below
    /// the spool.
    public func reopenReplaced() throws -> [String] {
        var changed: [String] = []
        for path in replaceable.with({ $0.keys.sorted() }) {
            let known = try held(path).status()
            do throws(SystemError) {
                if try root.directory(path).status().identity == known.identity { continue }
            } catch {
                // Out of descriptors, say: that tells nothing of the directory.
                guard error.isMissing else { throw error }
            }
            let parts = path.split(separator: "/").map(String.init)
            let parent = parts.count == 1 ? root : try root.directory(parts.dropLast().joined(separator: "/"))
            let fresh = try parent.makeDirectory(parts.last ?? path)
            // Results will be promised in it: its own name must survive as well.
            try parent.sync()
            replaceable.with { $0[path] = fresh }
            changed.append(path)
        }
        return changed
    }
    /// Whether the name leads to the directory that is held.
    public func isInItsPlace() throws(SystemError) -> Bool {
        try site.statusIfPresent(SpoolName.spool)?.identity == root.status().identity
    }
    public func finalRoots() -> [Directory] { [done, failed] }
}
