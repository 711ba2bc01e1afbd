// What this is: the making of a bundle of a site, from the refusal to the sentence "ok, verified".
// Owns: the name of a bundle, what its manifest says of the site, what a bundle with secrets needs first.
// Never: opens a secret; takes a lock of a runner.
// On failure: BundleProblem or SystemError; what was begun is removed, the bundles of before are as they were.
import Archives
import Bundles
import JobModel
import LinuxSystem
import SecretStore
import SpoolQueue

public struct Backup {
    public struct Options: Sendable {
        /// All of them: what is in flight as well.
        public var classes: Set<BundleClass>?
        public var packing = Packing.zstd
        /// A directory; nil: ops/backups.
        public var folder: String?
        /// What is done with the bundle: a program and its arguments.
        public var after: [String] = []
        /// `age1…`, or `recipients`.
        public var encryptTo: [String] = []
        /// Only what the newest whole bundle does not have, if that is no older than `fullEvery` days.
        public var isIncrement = false
        public var fullEvery: Int
        /// None is made where the newest of these classes has the same files.
        public var unlessSame = false
        var chosen: Set<BundleClass> { classes ?? Set(BundleClass.allCases) }

        /// By the site's own rules.
        public init(_ file: BackupFile) {
            packing = file.packing
            folder = file.folder
            after = file.after
            encryptTo = file.encryptTo
            fullEvery = file.fullEvery
            if !file.without.isEmpty { classes = Set(BundleClass.allCases).subtracting(file.without) }
        }
    }
    public struct Made: Sendable {
        public var path: String
        public var manifest: BundleManifest
        public var size: Int
        public var waiting: Int
        /// What did not work besides: the bundle is there.
        public var trouble: Failure?
        /// A site can be made of it.
        public var isWhole: Bool
        /// It was there before, and nothing has changed since.
        public var isSame = false
        /// The line of the key that signed it, if that was made just now.
        public var newKey: String?
        public var name: String { BundlePath.split(path).name }
    }
    /// What may be taken alone: what is in flight means nothing without the rest.
    public static let alone: [BundleClass] = [
        .config, .secrets, .results, .logs, .approvals, .audit, .history, .reports,
    ]
    private let site: Site
    public init(_ site: Site) { self.site = site }

    public func folder(_ named: String?) throws -> Directory {
        if let named { return try Directory.open(named) }
        let folder = try site.spool.site.directory("ops").makeDirectory(SpoolName.backups, mode: 0o700)
        // A bundle holds what only this account may read.
        if try folder.status().mode & 0o077 != 0 { try folder.setMode(0o700) }
        return folder
    }

    /// `progress`: files and bytes so far; `checking`: all is packed, and is now read back.
    public func create(
        _ options: Options, progress: @escaping BundleWriter.Progress = { _, _ in }, checking: () -> Void = {}
    ) throws -> Made {
        let lock = try Prune.lock(site.spool, patience: Backup.patience)
        defer { withExtendedLifetime(lock) {} }
        let classes = options.chosen
        if classes.contains(.secrets) { try checkSecrets() }
        let folder = try folder(options.folder)
        _ = try BundleWriter.removeLeftovers(in: folder)
        _ = try BundleWriter.removeLeftovers(in: site.spool.state)
        var form = BundleForm(options.packing)
        form.recipients = try BackupKeys.recipients(options.encryptTo, site)
        let signer = try BackupKeys.signer(site)
        form.signer = (signer.key, signer.name)
        // An instant of before the first look at a file: what is touched from now on is packed by the next increment.
        let now = Timestamp(nanoseconds: Clocks.wall)
        let keys = try BackupKeys.looking(site.spool.site)
        let recipients = form.recipients.compactMap(\.text).sorted()
        let base = try base(options, recipients, folder, keys, now)
        let writer = try BundleWriter(
            in: folder, form, on: base, threads: Host.processors, progress: progress)
        do {
            let cut = try BackupCut(site, writer, bundles: folder, classes: classes)
            try cut.take()
            var manifest = BundleManifest(
                id: Identities.fresh().text, takenAt: now, spool: site.spool.id, host: Host.name,
                epoch: Restored.read(site.spool.state)?.epoch ?? 0, program: Version.text)
            manifest.inFlight = cut.inFlight
            manifest.leftOut = cut.leftOut
            manifest.modes = cut.modes
            manifest.classes = classes
            if options.unlessSame,
                var same = try same(as: writer.manifest(manifest), options, folder, keys)
            {
                try writer.abandon()
                // It may be there, and a copy of it not yet.
                same.trouble = BundleDelivery(site, options.after).deliver(nil)
                return same
            }
            let name = try Backup.name(now, options, isIncrement: base != nil, form, in: folder)
            manifest = try writer.finish(manifest, as: name, checking: checking)
            let size = try folder.status(name).size
            var made = Made(
                path: "\(folder.path)/\(name)", manifest: manifest, size: size, waiting: cut.waiting,
                isWhole: classes.contains(.work))
            made.newKey = signer.isNew ? signer.line : nil
            let ended = Timestamp(nanoseconds: Clocks.wall)
            do throws(SystemError) {
                try BackupFacts.note(made, took: ended.since(now), site.spool, now: ended)
            } catch {
                made.trouble = Failure("E-BACKUP", "spool/\(SpoolName.history)/ has no line of it: \(error)")
            }
            if let failure = BundleDelivery(site, options.after).deliver(made.path) {
                made.trouble = failure
            }
            return made
        } catch {
            // The first error is the one to tell; what stays is removed by the next bundle.
            try? writer.abandon()
            guard let error = error as? SystemError, error.isFull else { throw error }
            throw BundleProblem(
                "E-BACKUP", "there is no room for the bundle in \(folder.path): \(error)",
                whatToDo:
                    "It needs room for itself twice while it is made. Make some (bobbin backup prune), or --to a directory elsewhere."
            )
        }
    }

    /// `bobbin_20261129_020000.tar.zst`: the stamp of the guides, UTC.
    static func name(
        _ now: Timestamp, _ options: Options, isIncrement: Bool, _ form: BundleForm, in folder: Directory
    ) throws -> String {
        let digits = now.rfc3339.prefix(19).filter { $0.isNumber }
        let what = selection(options).isEmpty ? "" : "_" + selection(options)
        let stem =
            "\(Backup.prefix)\(digits.prefix(8))_\(digits.suffix(6))\(what)\(isIncrement ? "_" + increment : "")"
        let ending = form.ending
        for number in 1...1_000 {
            let name = number == 1 ? stem + ending : "\(stem)_\(number)\(ending)"
            if try folder.statusIfPresent(name) == nil { return name }
        }
        throw BundleProblem("E-BACKUP", "there are a thousand bundles of this second")
    }
    static let prefix = "bobbin_", increment = "increment"
    private static func selection(_ options: Options) -> String {
        options.classes.map { $0.map(\.rawValue).sorted().joined(separator: "-") } ?? ""
    }

    // MARK: what is there already

    /// The newest bundle that stands alone, of the same classes and for the same people, and surely ours: what it says of a
    /// file is believed.
    private func base(
        _ options: Options, _ recipients: [String], _ folder: Directory, _ keys: BundleKeys, _ now: Timestamp
    ) throws -> BundleBase? {
        guard options.isIncrement else { return nil }
        let oldest = now.adding(.seconds(-Int64(options.fullEvery) * 86_400))
        let found = try BackupList(folder, keys, named: Backup.selection(options)).rows.first {
            isOurs($0, options, recipients) && $0.manifest.base == nil && $0.manifest.takenAt >= oldest
                && $0.manifest.takenAt <= now
        }
        guard let found else { return nil }
        let file = try folder.openForReading(found.name)
        return try BundleBase(Backup.files(of: found, in: file, keys), name: found.name, file, keys)
    }
    /// The whole manifest of a bundle of which the first line was read before, and which was judged by it.
    private static func files(of row: BackupList.Row, in file: OpenFile, _ keys: BundleKeys) throws
        -> BundleManifest
    {
        let manifest = try BundleReader(file, keys).manifest()
        guard manifest.textHash == row.manifest.textHash else {
            throw BundleProblem("E-BACKUP", "\(BundleProblem.shown(row.name)) changed while it was looked at")
        }
        return manifest
    }
    private func isOurs(_ row: BackupList.Row, _ options: Options, _ recipients: [String]) -> Bool {
        row.manifest.spool == site.spool.id && row.manifest.classes == options.chosen
            && row.manifest.proof.isKnown && row.manifest.recipients == recipients
    }
    /// The newest bundle of the same classes, if it has the same files and can be brought back.
    private func same(
        as manifest: BundleManifest, _ options: Options, _ folder: Directory, _ keys: BundleKeys
    ) throws -> Made? {
        let newest = try BackupList(folder, keys, named: Backup.selection(options)).rows.first {
            isOurs($0, options, manifest.recipients) && !$0.lacksBase
                && $0.manifest.takenAt <= manifest.takenAt
        }
        guard let newest else { return nil }
        let known = try Backup.files(of: newest, in: folder.openForReading(newest.name), keys)
        struct File: Hashable {
            var path: [UInt8]
            var mode: UInt32
            var hash: ContentHash
            init(_ row: BundleManifest.Row) {
                (path, mode, hash) = (Array(row.path.utf8), row.mode, row.hash)
            }
        }
        guard Set(known.rows.map(File.init)) == Set(manifest.rows.map(File.init)),
            known.modes == manifest.modes, known.leftOut == manifest.leftOut
        else { return nil }
        return Made(
            path: newest.path, manifest: known, size: newest.size, waiting: 0, isWhole: newest.isWhole,
            isSame: true)
    }
    /// A clean-up, or another bundle, may be at work; what it moves would be missed.
    private static let patience = Span.seconds(1800)

    /// Secrets are age files, and their key is in no bundle: with a lost machine both would be lost, unless somebody else
    /// can open them.
    private func checkSecrets() throws {
        let directory = try site.spool.site.directory(SpoolName.secrets)
        let files = SecretFiles(directory)
        let rows = try files.rows()
        guard !rows.isEmpty else { return }
        let recipients = try files.recipients().compactMap(\.text)
        let settings = try site.configuration().secrets
        // Without an identity of its own none of the recipients is this site's.
        let own =
            (try? IdentityFile.read(
                IdentityFile.path(configured: settings.identity), outside: nil, isPrivate: false)) ?? []
        let others = Set(recipients).subtracting(own.compactMap { $0.recipient?.text })
        guard !others.isEmpty else {
            throw BundleProblem(
                "E-BACKUP-RECOVERY",
                "the secrets of this site can be opened on this machine only: with it they would be lost, bundle or not",
                whatToDo:
                    "Make a second key and keep it elsewhere: bobbin secrets keygen --output FILE (it is added to secrets/recipients.txt), then bobbin secrets rotate. Or leave them out: --without secrets."
            )
        }
        for row in rows {
            guard let bytes = try files.bytes(row.name), AgeFile.recipientCount(bytes) < recipients.count
            else { continue }
            throw BundleProblem(
                "E-BACKUP-RECOVERY",
                "secrets/\(row.name.text).age was written before secrets/recipients.txt had all its \(recipients.count) recipients",
                whatToDo:
                    "bobbin secrets rotate writes all of them anew, for those of now. Or: --without secrets.")
        }
    }
}
