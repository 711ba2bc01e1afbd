// What this is: bringing a bundle back: staged, checked and made fit in a directory of its own, and only then put in place.
// Owns: the staging directory, the differences that a dry run tells, the one exchange, and what is put beside it afterwards.
// Never: writes below the site before every byte of the bundle was compared; works while a runner does.
// On failure: before the exchange the site is as it was and the staging directory is removed; behind it `--continue` goes on.
import Bundles
import JobModel
import LinuxSystem
import SpoolQueue

public struct Restore {
    /// What is brought back.
    public enum Extent: Hashable, Sendable {
        case everything
        /// Files of these classes or below these paths.
        case only(Set<BundleClass>, [String])

        public func has(_ row: BundleManifest.Row) -> Bool {
            switch self {
            case .everything: row.kind != .taken
            case .only(let classes, let paths):
                ![.taken, .work, .journal].contains(row.kind)
                    && (classes.contains(row.kind)
                        || paths.contains {
                            row.path == $0 || row.path.hasPrefix($0.hasSuffix("/") ? $0 : $0 + "/")
                        })
            }
        }
    }
    public struct Done: Sendable {
        public var manifest: BundleManifest
        public var files = 0
        public var spool: RestoredSpool?
        /// Where what was there before is now, relative to the site.
        public var before: String?
    }
    private static let inTheMaking = "in-the-making"
    private static let restInStage =
        "\(SpoolName.spool)/\(SpoolName.state)/\(SpoolName.restoreRest)"
    static let stagePrefix = "bobbin-restore.", keptPrefix = "before-restore."
    private let bundle: OpenFile
    private let folder: Directory
    private let name: String
    private let keys: BundleKeys
    private let progress: BundleWriter.Progress

    /// `path`: of the bundle.
    public init(_ path: String, _ keys: BundleKeys, progress: @escaping BundleWriter.Progress = { _, _ in })
        throws
    {
        self.keys = keys
        let (folder, name) = try Directory.holding(path)
        self.folder = folder
        do throws(SystemError) { bundle = try folder.openForReading(name) } catch {
            guard error.isMissing else { throw error }
            throw BundleProblem(
                "E-RESTORE", "there is no bundle \(path)", whatToDo: "bobbin backup ls shows them")
        }
        guard try bundle.status().kind == .regular else {
            throw BundleProblem("E-ARCH", "\(path) is a \(try bundle.status().kindName), not a bundle")
        }
        self.name = name
        self.progress = progress
    }
    public func manifest() throws -> BundleManifest { try reader.manifest() }
    /// What its first line says.
    public func head() throws -> BundleManifest { try reader.head() }
    public func isEncrypted() throws -> Bool { try reader.isEncrypted() }
    /// Reads every byte, also of the bundle on which it stands.
    public func verify() throws -> BundleManifest { try reader.verify(base: openBase) }
    private var reader: BundleReader {
        var reader = BundleReader(bundle, keys)
        reader.progress = progress
        return reader
    }
    /// The bundle on which this one stands lies beside it, perhaps by another name: it is known by its manifest.
    private func openBase(_ base: BundleManifest.Base) throws -> OpenFile {
        var keys = keys
        keys.takesUnproved = true
        var why = "which is not beside it"
        let names = try folder.names().sorted()
        for name in names.filter({ $0 == base.name }) + names.filter({ $0 != base.name }) {
            do {
                guard try folder.status(name).kind == .regular else { continue }
                let file = try folder.openForReading(name)
                if try BundleReader(file, keys).head().textHash == base.hash { return file }
                if name == base.name { why = "and what has that name beside it is another one" }
            } catch {
                // Whatever else lies there is none. What has its name is meant to be it.
                if name == base.name { why = "which cannot be read: \(Restore.sentence(error))" }
            }
        }
        throw BundleProblem(
            "E-RESTORE", "this bundle stands on another, \(BundleProblem.shown(base.name)), \(why)",
            whatToDo:
                "Put that one into the directory \(Host.realPath(folder.path) ?? folder.path). Or take a bundle that stands alone: bobbin backup ls"
        )
    }
    private static func sentence(_ error: any Error) -> String {
        (error as? BundleProblem).map { "\($0.message) [\($0.code)]" } ?? "\(error)"
    }
    /// Reads the whole bundle, compares it with the site, and changes nothing.
    public func preview(_ extent: Extent, in site: Directory) throws -> (BundleManifest, RestorePreview) {
        let manifest = try verify()
        try Restore.check(manifest, extent, room: .max)
        return (manifest, try RestorePreview(manifest, extent, in: site))
    }

    // MARK: into a new place

    /// Makes a site at `path`, which must not be there, or be an empty directory.
    public func make(at path: String) throws -> Done {
        let (parent, name) = try Directory.holding(
            path.hasSuffix("/") && path.utf8.count > 1 ? String(path.dropLast()) : path)
        var mode: UInt32 = 0o755
        if let status = try parent.statusIfPresent(name) {
            mode = status.mode & 0o777
            guard status.kind == .directory, try parent.directory(name).names().isEmpty else {
                throw BundleProblem(
                    "E-RESTORE", "\(path) is there and not empty",
                    whatToDo:
                        "Name a directory that does not exist; or restore into the site itself, without --to."
                )
            }
        }
        var done = try staged(in: parent, .everything) { stage, _, manifest in
            let spool = try RestoredSpool(preparing: stage, manifest, name: self.name, now: now)
            try stage.setMode(mode)
            try stage.syncFileSystem()
            return spool
        } commit: { stageName in
            // An empty directory is replaced, nothing else is.
            do { try parent.renameReplacing(stageName, to: parent, name) } catch {
                // A mount point, say. What stays after a second failure is named by `status`.
                try? Restore.discard(stageName, in: parent)
                throw error
            }
            try Restore.isMade(parent.directory(name))
            try parent.sync()
        }
        done.before = nil
        return done
    }

    // MARK: into a site

    /// Exchanges the spool of a site on which nobody works, then puts the files beside it back.
    public func replace(_ site: Directory) throws -> Done {
        let locks = try Restore.lock(site)
        defer { withExtendedLifetime(locks) {} }
        let kept = try keptName(site)
        try Restore.checkNothingIsUnfinished(site)
        // An exchange needs something to exchange with.
        _ = try site.makeDirectory(SpoolName.spool)
        var done = try staged(in: site, .everything) { stage, stageName, manifest in
            let spool = try RestoredSpool(preparing: stage, manifest, name: self.name, now: now)
            try Restore.keepKeys(site, stage)
            let rest = RestoredFiles(
                stage: stageName, kept: kept, files: manifest.rows.filter(Restore.isBeside).map(\.path))
            try RestoredFiles.check(rest.files, in: site)
            try rest.write(stage.directory("\(SpoolName.spool)/\(SpoolName.state)"))
            try stage.syncFileSystem()
            return spool
        } commit: { stageName in
            // From here to the exchange the list of the rest says that it has not come: it is in the stage still.
            try Restore.isMade(site.directory(stageName))
            // Here, and nowhere else, the site changes.
            try site.exchange(SpoolName.spool, with: site.directory(stageName), SpoolName.spool)
            try site.sync()
            do { try RestoredFiles.finish(site) } catch {
                throw BundleProblem(
                    "E-RESTORE",
                    "the spool is the restored one, but not all files beside it are back: \(error)",
                    whatToDo: "Mend that, then: bobbin backup restore --continue")
            }
        }
        done.before = kept
        return done
    }
    /// Goes on where a restore was cut off behind its exchange. False: there is nothing to go on with.
    public static func goOn(_ site: Directory) throws -> Bool {
        let locks = try lock(site)
        defer { withExtendedLifetime(locks) {} }
        return try RestoredFiles.finish(site)
    }

    /// Puts single files back, each at once, on a site that may be working; what they replace is kept.
    public func putBack(_ extent: Extent, in site: Directory) throws -> Done {
        let kept = try keptName(site)
        try Restore.checkNothingIsUnfinished(site)
        var wanted: [BundleManifest.Row] = []
        var done = try staged(in: site, extent) { _, _, manifest in
            wanted = manifest.rows.filter(extent.has)
            try RestoredFiles.check(wanted.map(\.path), in: site)
            return nil
        } commit: { stageName in
            let stage = try site.directory(stageName)
            let paths = wanted.map(\.path)
            try site.rename(stageName, to: site, kept)
            try Restore.isMade(stage)
            try site.sync()
            for path in paths { try RestoredFiles.put(path, from: stage, to: site) }
            try site.syncFileSystem()
            try RestoredFiles.tidy(kept, in: site, hasOldSpool: false)
        }
        done.before = kept
        return done
    }

    // MARK: staging

    private var now: Timestamp { Timestamp(nanoseconds: Clocks.wall) }
    private func keptName(_ site: Directory) throws -> String {
        let digits = now.rfc3339.prefix(19).filter { $0.isNumber }
        let stem = "\(Restore.keptPrefix)\(digits.prefix(8))_\(digits.suffix(6))"
        for number in 1...100 {
            let name = number == 1 ? stem : "\(stem)_\(number)"
            if try site.statusIfPresent(name) == nil { return name }
        }
        throw BundleProblem("E-RESTORE", "a hundred restores in one second")
    }

    private func staged(
        in parent: Directory, _ extent: Extent,
        prepare: (Directory, String, BundleManifest) throws -> RestoredSpool?, commit: (String) throws -> Void
    ) throws -> Done {
        try Restore.removeLeftovers(in: parent)
        let stageName = "\(Restore.stagePrefix)\(Host.processID).\(Clocks.nonce())"
        let stage = try parent.makeDirectory(stageName, mode: 0o700)
        // While it has this, nobody misses it.
        try stage.create(Restore.inTheMaking).sync()
        var isCommitting = false
        do {
            if extent == .everything { try Spool.layOut(stage) }
            let room = try parent.fileSystem().freeBytes
            let taker = BundleStage(stage, wanted: extent.has) { manifest in
                try Restore.check(manifest, extent, room: room)
            }
            let manifest = try reader.read(base: openBase, to: taker)
            try Restore.setModes(manifest, in: stage)
            let spool = try prepare(stage, stageName, manifest)
            isCommitting = true
            try commit(stageName)
            return Done(manifest: manifest, files: manifest.rows.count(where: extent.has), spool: spool)
        } catch {
            // The first error is the one to tell; what stays is removed by the next restore. Behind the beginning of the
            // commit the directory has another name, or is what has to be put back by hand.
            if !isCommitting { try? Restore.discard(stageName, in: parent) }
            throw error
        }
    }
    /// Takes the mark away.
    private static func isMade(_ stage: Directory) throws {
        try stage.remove(inTheMaking)
        try stage.sync()
    }
    private static func setModes(_ manifest: BundleManifest, in stage: Directory) throws {
        for (path, mode) in manifest.modes {
            // One without files is not there.
            guard try stage.statusIfPresent(path)?.kind == .directory else { continue }
            try stage.directory(path).setMode(mode & 0o755 | 0o700)
        }
    }
    /// Before anything is written: fits it, and is it one of ours.
    private static func check(_ manifest: BundleManifest, _ extent: Extent, room: UInt64) throws {
        for row in manifest.rows {
            let kind = BundlePlan.kind(row.path)
            guard kind == row.kind || row.kind == .taken && kind == .work else {
                throw BundleProblem(
                    "E-ARCH",
                    "\(BundleProblem.shown(row.path)): \(kind == nil ? "it has no place in a bundle" : "it is no file of the class \(row.kind.rawValue)")",
                    whatToDo: "Nothing of it was used. Take another bundle: bobbin backup ls")
            }
        }
        guard manifest.rows.contains(where: extent.has) || extent == .everything else {
            throw BundleProblem(
                "E-RESTORE", "the bundle has nothing of that",
                whatToDo: "bobbin backup show FILE --files lists what it has")
        }
        // Each file costs a block more than its bytes.
        let needed = manifest.rows.reduce(0) { extent.has($1) ? $0 + UInt64($1.size) + 4096 : $0 }
        guard needed < room else {
            throw BundleProblem(
                "E-RESTORE", "the bundle needs \(needed >> 20) MiB, and there are \(room >> 20) free",
                whatToDo: "Make room, or restore elsewhere: --to DIR on another disk.")
        }
        guard extent == .everything else { return }
        guard isWhole(manifest) else {
            throw BundleProblem(
                "E-RESTORE", "this bundle has only some classes of files, not a whole site",
                whatToDo:
                    "Bring those back: --only \(Set(manifest.rows.map(\.kind.rawValue)).sorted().joined(separator: " --only "))"
            )
        }
    }
    static func isWhole(_ manifest: BundleManifest) -> Bool {
        let id = "\(SpoolName.spool)/\(SpoolName.state)/\(SpoolName.spoolID)"
        return manifest.rows.contains { $0.path == id }
    }
    private static func removeLeftovers(in parent: Directory) throws {
        for name in try leftovers(in: parent) { try discard(name, in: parent) }
    }
    /// The mark goes last: cut off in the middle, what stays is still known as what it is.
    private static func discard(_ name: String, in parent: Directory) throws {
        let stage = try parent.directory(name)
        if try stage.statusIfPresent(inTheMaking) == nil { _ = try stage.create(inTheMaking) }
        for inner in try stage.names() where inner != inTheMaking {
            if try stage.status(inner).kind == .directory {
                try stage.removeTree(inner)
            } else {
                try stage.remove(inner)
            }
        }
        try parent.removeTree(name)
    }
    /// Staging directories of ours whose makers have died.
    static func leftovers(in parent: Directory) throws -> [String] {
        try parent.names().filter { name in
            let parts = name.dropFirst(stagePrefix.count).split(separator: ".")
            guard name.hasPrefix(stagePrefix), parts.count == 2, let maker = Int32(parts[0]),
                parts[1].utf8.count == 32,
                !Host.exists("/proc/\(maker)"), let status = try parent.statusIfPresent(name)
            else { return false }
            guard status.kind == .directory, status.uid == ProcessSetup.uid else { return false }
            // Behind the exchange it is the only copy of what was there before; the list of the rest went with the new spool.
            return try parent.statusIfPresent("\(name)/\(inTheMaking)") != nil
                || parent.statusIfPresent("\(name)/\(restInStage)") != nil
                // Killed before it had the mark.
                || parent.directory(name).names().isEmpty
        }
    }
    /// Of a restore that was cut off behind its exchange the staging directory has the only copy of what was there before.
    private static func checkNothingIsUnfinished(_ site: Directory) throws {
        let path = "\(SpoolName.spool)/\(SpoolName.state)"
        guard try site.statusIfPresent(path) != nil,
            try site.directory(path).statusIfPresent(SpoolName.restoreRest) != nil
        else { return }
        throw BundleProblem(
            "E-RESTORE", "a restore of this site was cut off and is not finished",
            whatToDo: "First: bobbin backup restore --continue")
    }

    /// What lies beside the spool, and so does not come with it.
    private static func isBeside(_ row: BundleManifest.Row) -> Bool {
        row.kind != .taken && !row.path.hasPrefix(SpoolName.spool + "/")
    }
    /// The keys that sign checkpoints of the audit log and bundles are in no bundle; where the site has them, they stay.
    private static func keepKeys(_ site: Directory, _ stage: Directory) throws {
        let path = "\(SpoolName.spool)/\(SpoolName.state)"
        guard try site.statusIfPresent(SpoolName.spool) != nil,
            try site.directory(SpoolName.spool).statusIfPresent(SpoolName.state) != nil
        else { return }
        let state = try site.directory(path)
        for key in [SpoolName.auditKey, SpoolName.bundleKey] where try state.statusIfPresent(key) != nil {
            let bytes = try state.openForReading(key).read(upTo: 64)
            try stage.directory(path).create(key, mode: 0o600).append(bytes)
        }
    }

    /// Nobody else begins to work meanwhile; whoever works already has them.
    private static func lock(_ site: Directory) throws -> [FileLock] {
        guard try site.statusIfPresent(SpoolName.spool) != nil else { return [] }
        let root = try site.directory(SpoolName.spool)
        guard try root.statusIfPresent(SpoolName.state) != nil else { return [] }
        let state = try root.directory(SpoolName.state)
        var locks: [FileLock] = []
        // In the order of a start; with the recovery lock no runner comes up.
        for name in [SpoolName.recoveryLock, SpoolName.lock, SpoolName.reporterLock] {
            guard let lock = try FileLock.take(name, in: state) else { throw busy("somebody works on it") }
            locks.append(lock)
        }
        guard try state.statusIfPresent(SpoolName.runners) != nil else { return locks }
        let runners = try state.directory(SpoolName.runners)
        for runner in try runners.names() {
            let home = try runners.directory(runner)
            guard try !FileLock.isHeld(SpoolName.lock, in: home) else {
                throw busy("runner \(runner) works on it")
            }
        }
        return locks
    }
    private static func busy(_ why: String) -> BundleProblem {
        BundleProblem(
            "E-RESTORE", "the site is in use: \(why)",
            whatToDo:
                "Stop it (bobbin drain), then say it again; or restore beside it: --to DIR; or only files: --only config."
        )
    }
}
