// What this is: backup create, ls, show, verify, restore: bundles, made and brought back.
// Owns: what is told about a bundle; the progress on a terminal.
// Never: brings anything back without having said where; asks questions: `--dry-run` answers them before.
// On failure: 65 for a bundle that is none or was changed; what it was about is in the sentence.
import AccessControl
import Archives
import ArgumentParser
import BobbinDaemon
import Bundles
import Glibc
import JobModel
import LinuxSystem
import SpoolQueue
import YamlText

struct BackupVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup",
        abstract: "Bundles of a site: make them while it works, prove them, bring them back.",
        discussion: """
              bobbin backup create                     everything, into ops/backups/
              bobbin backup restore FILE --to DIR      beside this site; without --to in its place
            """,
        subcommands: [
            Create.self, List.self, Show.self, Verify.self, RestoreVerb.self, Prune.self, Drill.self,
            Key.self,
        ])

    struct Create: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "create",
            abstract: "Make a bundle, read it back, and only then say that it is there.",
            discussion: """
                  bobbin backup create
                  bobbin backup create --increment
                  bobbin backup create --only config --only secrets --to /mnt/usb --encrypt-to recipients
                Runs go on meanwhile; those in flight are listed in it. Its name appears when every byte was read back and compared.
                """)
        @Option(help: ArgumentHelp("Only this class of files (again for more).", valueName: "class"))
        var only: [String] = []
        @Option(help: ArgumentHelp("Everything but this class: secrets, logs, reports.", valueName: "class"))
        var without: [String] = []
        @Option(
            help: ArgumentHelp("Directory; without it ops/backups.", valueName: "dir"), completion: .directory
        )
        var to: String?
        @Option(help: "zstd, gzip or none; without it as ops/backup.yaml says, else zstd.") var packing:
            Packing?
        @Option(
            help: ArgumentHelp(
                "Encrypt for this age1… key, or `recipients`: all of secrets/recipients.txt (again for more).",
                valueName: "key"))
        var encryptTo: [String] = []
        @Flag(help: "Only what the newest bundle that stands alone does not have.") var increment = false
        @Flag(help: "Make none where the newest bundle of these classes has the same files.")
        var unlessSame = false
        @OptionGroup var site: SiteOption
        @OptionGroup var json: JSONFlag

        private func classes() throws -> Set<BundleClass>? {
            guard only.isEmpty || without.isEmpty else {
                throw ValidationError("--only or --without, not both")
            }
            if !only.isEmpty { return try Set(only.map { try BackupText.read($0, Backup.alone, "--only") }) }
            guard !without.isEmpty else { return nil }
            return try Set(BundleClass.allCases)
                .subtracting(without.map { try BackupText.read($0, BackupFile.droppable, "--without") })
        }
        func validate() throws {
            _ = try classes()
            for word in encryptTo {
                if let trouble = BackupFile.trouble(recipient: word) {
                    throw ValidationError("--encrypt-to: \(trouble)")
                }
            }
        }

        func run() throws {
            let site = try site.openOwn()
            var options = Backup.Options(try BackupFile.read(site))
            options.classes = try classes() ?? options.classes
            options.packing = packing ?? options.packing
            if !encryptTo.isEmpty { options.encryptTo = encryptTo }
            options.isIncrement = increment
            options.unlessSame = unlessSame
            options.folder = try to.map { try BackupText.path($0) } ?? options.folder
            let line = ProgressLine("packed")
            let made = try Backup(site).create(options, progress: line.show) { line.begin("checked") }
            line.end()
            if json.json {
                var fields = BackupText.fields(made.manifest, made.path, made.size)
                fields["same"] = .bool(made.isSame)
                fields["trouble"] = made.trouble.map { .string($0.message) } ?? .null
                Terminal.print(json: .map(fields))
                return try complain(made)
            }
            let manifest = made.manifest
            if made.isSame {
                print("\(Terminal.escape(made.path)): nothing has changed since; none was made")
                return try complain(made)
            }
            print("\(Terminal.escape(made.path)): ok, verified")
            print("  \(BackupText.contents(manifest)), packed \(BackupText.size(made.size))")
            print("  \(BackupText.proof(manifest))")
            if let line = made.newKey {
                print("  that key is new; keep its line where you keep the recovery key: \(line)")
            }
            if increment, manifest.base == nil {
                print("  it stands alone: there was no young one to stand on")
            }
            if !manifest.inFlight.isEmpty || made.waiting > 0 {
                print("  in flight: \(manifest.inFlight.count) runs, \(made.waiting) drops wait")
            }
            for line in BackupText.leftOut(manifest) { Terminal.complain(line) }
            try complain(made)
        }
        private func complain(_ made: Backup.Made) throws {
            guard let trouble = made.trouble else { return }
            Terminal.complain(
                "the bundle is there, but \(trouble.message) [\(trouble.code)]"
            )
            throw ExitCode(Exit.failed)
        }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "ls", abstract: "The bundles there are, newest first.",
            discussion: "  bobbin backup ls --in /mnt/usb")
        @Option(
            name: .customLong("in"),
            help: ArgumentHelp("Directory; without it ops/backups.", valueName: "dir"), completion: .directory
        )
        var folder: String?
        @OptionGroup var keys: IdentityOption
        @OptionGroup var site: SiteOption
        @OptionGroup var json: JSONFlag
        func run() throws {
            let around = try BackupText.site(site)
            let bundles = try BackupList(
                BackupText.folder(folder, site), BackupKeys.looking(around, keys.given()))
            if json.json {
                return Terminal.print(
                    json: .list(
                        bundles.rows.map {
                            .map(BackupText.fields($0.manifest, $0.path, $0.size, files: false))
                        }))
            }
            for (name, why, _) in bundles.troubled { Terminal.complain("\(Terminal.escape(name)): \(why)") }
            if bundles.rows.isEmpty { return print("no bundles yet: bobbin backup create") }
            for row in bundles.rows {
                let age = Terminal.age(Terminal.now.since(row.manifest.takenAt))
                print(
                    "\(Terminal.escape(row.name))  \(age) ago  \(BackupText.size(row.size))  \(row.manifest.fileCount) files, \(row.manifest.inFlight.count) runs in flight\(BackupText.remark(row.manifest))\(row.lacksBase ? " WHICH IS NOT THERE" : "")"
                )
            }
        }
    }

    struct Drill: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "drill",
            abstract: "Bring a bundle back into a scratch site, run a job there, remove it.",
            discussion:
                "  bobbin backup drill\nThe newest bundle, or one that is named. What came of it is in the report and in the metrics."
        )
        @Argument(help: "The bundle.", completion: .file()) var file: String?
        @OptionGroup var site: SiteOption
        @OptionGroup var json: JSONFlag
        func run() throws {
            let found = try BackupDrill.perform(site.openOwn(), file.map { try SiteFinder.absolute($0) })
            if json.json {
                Terminal.print(
                    json: .map([
                        "bundle": .string(found.bundle), "files": .int(found.files),
                        "restore_seconds": .double(Double(found.restored.milliseconds) / 1000),
                        "recovery_seconds": .double(Double(found.recovered.milliseconds) / 1000),
                        "ok": .bool(found.trouble == nil),
                        "trouble": found.trouble.map(Value.string) ?? .null,
                    ]))
            } else if let trouble = found.trouble {
                Terminal.complain(
                    "\(Terminal.escape(found.bundle)): the drill failed: \(Terminal.escape(trouble))")
            } else {
                print(
                    "\(Terminal.escape(found.bundle)): ok, \(found.files) files back in \(ResultFile.brief(found.restored)), a job had run after \(ResultFile.brief(found.recovered))"
                )
            }
            if found.trouble != nil { throw ExitCode(Exit.failed) }
        }
    }

    struct Prune: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "prune",
            abstract: "Let old bundles go: those that `keep` of ops/backup.yaml does not keep.",
            discussion:
                "  bobbin backup prune --dry-run\nThe newest is always kept; bundles of other sites are left alone."
        )
        @Option(
            name: .customLong("in"),
            help: ArgumentHelp(
                "Directory; without it as ops/backup.yaml says, else ops/backups.", valueName: "dir"),
            completion: .directory)
        var folder: String?
        @Flag(name: .customLong("dry-run"), help: "Say which, and remove nothing.") var dryRun = false
        @OptionGroup var keys: IdentityOption
        @OptionGroup var site: SiteOption
        @OptionGroup var json: JSONFlag
        func run() throws {
            let site = try self.site.openOwn()
            let folder = try BackupText.folder(folder, self.site)
            let keys = try BackupKeys.looking(Directory.open(site.path), keys.given())
            let prune: BackupPrune, gone: [String]
            if dryRun {
                prune = try BackupPrune(
                    folder, keys, spool: site.spool.id, BackupFile.read(site).keep, now: Terminal.now)
                gone = prune.rows.filter { !$0.verdict.isKept }.map(\.bundle.name)
            } else {
                (prune, gone) = try BackupPrune.perform(site, folder, keys, patience: .seconds(30))
            }
            if json.json {
                return Terminal.print(
                    json: .list(
                        prune.rows.map {
                            .map([
                                "name": .string($0.bundle.name), "kept": .bool($0.verdict.isKept),
                                "why": .string($0.verdict.why),
                            ])
                        }))
            }
            for (name, why, _) in prune.troubled {
                Terminal.complain("\(Terminal.escape(name)) is left alone: \(why)")
            }
            for row in prune.rows {
                print(
                    "\(row.verdict.isKept ? "kept" : dryRun ? "goes" : "gone")  \(Terminal.escape(row.bundle.name))  \(row.verdict.why)"
                )
            }
            print("\(gone.count) \(dryRun ? "would go" : "went"), \(prune.rows.count - gone.count) kept")
        }
    }

    struct Key: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "key", abstract: "The key by which bundles of this site are known elsewhere.",
            discussion: """
                  bobbin backup key
                Keep the line with the recovery key: on a new machine, restore takes it as --trust. A line of another machine in
                ops/backup.pub makes this site take that one's bundles.
                """)
        @OptionGroup var site: SiteOption
        @OptionGroup var json: JSONFlag
        func run() throws {
            let line = try BackupKeys.signer(site.openOwn()).line
            if json.json { return Terminal.print(json: .map(["key": .string(line)])) }
            print(line)
        }
    }

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "show", abstract: "What a bundle says of itself: its manifest.",
            discussion:
                "  bobbin backup show FILE --files\nOnly the manifest is read; `verify` reads the rest.")
        @Argument(help: "The bundle.", completion: .file()) var file: String
        @Flag(help: "Each file: hash, class, size, path.") var files = false
        @OptionGroup var keys: IdentityOption
        @OptionGroup var site: SiteOption
        @OptionGroup var json: JSONFlag
        func run() throws {
            let around = try BackupText.site(site)
            let manifest = try Restore(file, BackupKeys.looking(around, keys.given())).manifest()
            if json.json {
                return Terminal.print(json: .map(BackupText.fields(manifest, file, nil, files: files)))
            }
            for line in BackupText.lines(manifest) { print(line) }
            guard files else { return }
            for row in manifest.rows {
                print(
                    "\(row.hash.text)  \(row.kind.rawValue)  \(row.size)  \(Terminal.escape(row.path))\(row.isInBase ? "  (in its base)" : "")"
                )
            }
        }
    }

    struct Verify: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "verify",
            abstract: "Read every byte of bundles and compare it with their manifests.",
            discussion: "  bobbin backup verify ops/backups/*.tar.zst")
        @Argument(help: "Bundles.", completion: .file()) var files: [String]
        @OptionGroup var keys: KeyOptions
        @OptionGroup var site: SiteOption
        func run() throws {
            var code = Exit.ok
            for file in files {
                let line = ProgressLine("checked")
                do {
                    let around = try BackupText.site(site)
                    let keys = try BackupKeys.of(around, keys.given())
                    let restore = try Restore(file, keys, progress: line.show)
                    line.total = try restore.head().byteCount
                    let manifest = try restore.verify()
                    line.end()
                    print(
                        "\(Terminal.escape(file)): ok, \(BackupText.contents(manifest)), taken at \(manifest.takenAt.rfc3339), \(BackupText.proof(manifest))"
                    )
                } catch {
                    line.end()
                    Terminal.complain("\(Terminal.escape(file)): \(error)")
                    code = Exit.malformed
                }
            }
            if code != Exit.ok { throw ExitCode(code) }
        }
    }

    struct RestoreVerb: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "restore", abstract: "Bring a bundle back: checked whole first, then in one step.",
            discussion: """
                  bobbin backup restore FILE --dry-run             what would change
                  bobbin backup restore FILE                       this site, which nobody may be working on
                  bobbin backup restore FILE --to /srv/other       a site of its own
                  bobbin backup restore FILE --only config         files, on a site that works
                  bobbin backup restore FILE --only templates/deploy.yaml
                Runs that were unfinished are held, and queues are paused: what waits may have run since. What was there
                before is kept in before-restore.TIME/.
                """)
        @Argument(help: "The bundle.", completion: .file()) var file: String?
        @Option(help: ArgumentHelp("A new directory for the site.", valueName: "dir"), completion: .directory)
        var to: String?
        @Option(help: ArgumentHelp("Only these classes or paths (again for more).", valueName: "class|path"))
        var only: [String] = []
        @Flag(name: .customLong("dry-run"), help: "Say what would change, and change nothing.") var dryRun =
            false
        @Flag(name: .customLong("continue"), help: "Go on where a restore was cut off behind its exchange.")
        var goesOn = false
        @OptionGroup var keys: KeyOptions
        @OptionGroup var site: SiteOption
        @OptionGroup var json: JSONFlag

        private func extent() throws -> Restore.Extent {
            guard !only.isEmpty else { return .everything }
            let classes = only.compactMap(BundleClass.init(rawValue:))
            for kind in classes where !Backup.alone.contains(kind) {
                throw ValidationError(
                    "\(kind.rawValue) comes back with everything else only: what is in flight means nothing alone"
                )
            }
            let paths = only.filter { BundleClass(rawValue: $0) == nil }
            for path in paths where !path.contains("/") {
                _ = try BackupText.read(path, Backup.alone, "--only")
            }
            return .only(Set(classes), paths)
        }
        func validate() throws {
            _ = try extent()
            if goesOn { return }
            if file == nil { throw ValidationError("which bundle? bobbin backup ls shows them") }
            if to != nil, !only.isEmpty || dryRun {
                throw ValidationError("--to makes a whole site: without --only and --dry-run")
            }
        }

        func run() throws {
            if goesOn { return try goOn() }
            guard let file else { return }
            let line = ProgressLine("read")
            // What is put into a site must be of a key that this one knows.
            let around = try to == nil ? place() : BackupText.site(site)
            let restore = try Restore(
                file, BackupKeys.of(around, keys.given()),
                progress: line.show)
            let done: Restore.Done
            do {
                line.total = try restore.head().byteCount
                if let to {
                    done = try restore.make(at: to)
                } else {
                    let site = try place()
                    if dryRun { return try tell(restore.preview(extent(), in: site), line) }
                    let extent = try extent()
                    done =
                        try extent == .everything ? restore.replace(site) : restore.putBack(extent, in: site)
                }
            } catch {
                line.end()
                throw error
            }
            line.end()
            tell(done, file)
        }
        private func place() throws -> Directory {
            let path = try SiteFinder.find(option: site.site)
            let directory = try Directory.open(path)
            guard try directory.status().uid == ProcessSetup.uid else {
                throw SpoolProblem(
                    "E-ACCESS", "this is the business of the site's own account",
                    whatToDo: "Ask whoever runs the site.")
            }
            return directory
        }
        private func goOn() throws {
            print(try Restore.goOn(place()) ? "the restore is finished" : "there is no restore to go on with")
        }
        private func tell(_ found: (BundleManifest, RestorePreview), _ line: ProgressLine) throws {
            line.end()
            let (manifest, preview) = found
            if json.json {
                let differences = preview.differences.map { difference -> Value in
                    .map(["kind": .string(difference.kind.rawValue), "path": .string(difference.path)])
                }
                return Terminal.print(
                    json: .map([
                        "bundle": .string(manifest.id), "taken_at": .string(manifest.takenAt.rfc3339),
                        "same": .int(preview.same), "in_flight": .int(manifest.inFlight.count),
                        "differences": .list(differences),
                    ]))
            }
            for difference in preview.differences {
                let word =
                    switch difference.kind {
                    case .new: "comes back"
                    case .changed: "is changed"
                    case .gone: "goes      "
                    case .lost: "lost run  "
                    }
                print("\(word)  \(Terminal.escape(difference.path))")
            }
            print(
                "\(preview.differences.count) differences, \(preview.same) files are the same; taken at \(manifest.takenAt.rfc3339)"
            )
            if only.isEmpty, !manifest.inFlight.isEmpty {
                print("\(manifest.inFlight.count) runs that were in flight would be held")
            }
            print("the bundle is whole; nothing was changed")
        }
        private func tell(_ done: Restore.Done, _ file: String) {
            let manifest = done.manifest
            let place = to ?? "this site"
            if json.json {
                var fields = BackupText.fields(manifest, file, nil, files: false)
                fields["restored_files"] = .int(done.files)
                fields["held"] = .int(done.spool?.held ?? 0)
                fields["paused"] = .list((done.spool?.paused ?? []).map { .string($0.text) })
                fields["kept"] = done.before.map(Value.string) ?? .null
                return Terminal.print(json: .map(fields))
            }
            print(
                "\(Terminal.escape(place)): restored \(done.files) files, as of \(manifest.takenAt.rfc3339)")
            if let spool = done.spool {
                if spool.held > 0 {
                    print(
                        "  \(spool.held) runs were unfinished and are held: they may have run since. bobbin status; bobbin release RUN or cancel RUN"
                    )
                }
                if spool.askedAnew > 0 {
                    print(
                        "  \(spool.askedAnew) questions are asked anew; answers to the old ones do not count")
                }
                let names = spool.paused.map(\.text).joined(separator: " ")
                print(
                    "  all queues are paused\(spool.waiting > 0 ? ", \(spool.waiting) drops wait and may have run" : ""). Look, then: bobbin resume \(names)"
                )
            }
            if let before = done.before {
                print("  what was there before: \(before)/ (remove it when all is well)")
            }
        }
    }
}

extension Packing: ExpressibleByArgument {}

/// Bundles as people see them.
enum BackupText {
    static func path(_ named: String) throws -> String {
        guard let path = Host.realPath(named) else {
            throw BundleProblem(
                "E-BACKUP", "there is no directory \(Terminal.escape(named))",
                whatToDo: "Make it first: mkdir")
        }
        return path
    }
    static func folder(_ named: String?, _ site: SiteOption) throws -> Directory {
        if let named { return try Directory.open(path(named)) }
        let site = try site.openOwn()
        return try Backup(site).folder(BackupFile.read(site).folder)
    }
    /// Whose keys a bundle is held against: those of the site that is named, or around here. Never of one that lies around the
    /// bundle: whoever brings the one can bring the other.
    static func site(_ option: SiteOption) throws -> Directory? {
        try option.pathIfAny().map { try Directory.open($0) }
    }
    static func read(_ word: String, _ known: [BundleClass], _ option: String) throws -> BundleClass {
        if let kind = BundleClass(rawValue: word), known.contains(kind) { return kind }
        let words = known.map(\.rawValue)
        let near = NearestName.find(word, in: words).map { "; did you mean \($0)?" } ?? ""
        throw ValidationError("\(option) \(word): one of \(words.joined(separator: ", "))\(near)")
    }
    /// In the units of `ls -h`.
    static func size(_ bytes: Int) -> String {
        var value = Double(bytes), unit = 0
        let units = ["B", "KiB", "MiB", "GiB", "TiB"]
        while value >= 1024, unit < units.count - 1 {
            value /= 1024
            unit += 1
        }
        let tenths = (value * 10).rounded()
        return unit == 0 ? "\(bytes) B" : "\(Int(tenths) / 10).\(Int(tenths) % 10) \(units[unit])"
    }
    static func fields(_ manifest: BundleManifest, _ path: String, _ size: Int?, files: Bool = false)
        -> ValueMap
    {
        var fields = manifest.header
        fields["path"] = .string(path)
        fields["signed_by"] = manifest.proof.signer.map { .string($0.text) } ?? .null
        fields["signer_known"] = .bool(manifest.proof.isKnown)
        fields["encrypted"] = .bool(manifest.isEncrypted)
        if let size { fields["packed_bytes"] = .int(size) }
        if files {
            fields["rows"] = .list(
                manifest.rows.map {
                    .map([
                        "path": .string($0.path), "class": .string($0.kind.rawValue), "bytes": .int($0.size),
                        "sha256": .string($0.hash.text), "mode": .string(String($0.mode, radix: 8)),
                        "in_base": .bool($0.isInBase),
                    ])
                })
        }
        return fields
    }
    static func contents(_ manifest: BundleManifest) -> String {
        guard manifest.base != nil else { return "\(manifest.rows.count) files, \(size(manifest.bytes))" }
        let own = manifest.own
        return
            "\(own.count) files, \(size(own.reduce(0) { $0 + $1.size })), and \(manifest.rows.count - own.count) of the bundle on which it stands"
    }
    /// Whose it is, and for whom.
    static func proof(_ manifest: BundleManifest) -> String {
        let signed =
            switch manifest.proof {
            case .unsigned: "NOT SIGNED"
            case .unknown(let key): "signed by a key that is NOT KNOWN here: \(key.text)"
            case .known(let key): "signed by \(key.shown)"
            }
        return signed + (manifest.isEncrypted ? ", encrypted" : "")
    }
    /// Of one that is not as the others.
    static func remark(_ manifest: BundleManifest) -> String {
        (manifest.base.map { ", stands on \(Terminal.escape($0.name))" } ?? "")
            + (manifest.proof.isKnown
                ? "" : manifest.proof == .unsigned ? ", NOT SIGNED" : ", of an unknown key")
    }
    static func lines(_ manifest: BundleManifest) -> [String] {
        var lines = [
            "bundle \(Terminal.escape(manifest.id)), taken at \(manifest.takenAt.rfc3339) on \(Terminal.escape(manifest.host)) by bobbin \(Terminal.escape(manifest.program))",
            "spool \(Terminal.escape(manifest.spool)), restored \(manifest.epoch) times before",
            contents(manifest), proof(manifest),
        ]
        if let base = manifest.base {
            lines.append("stands on \(Terminal.escape(base.name)), taken at \(base.takenAt.rfc3339)")
        }
        for kind in BundleClass.allCases {
            let rows = manifest.rows.filter { $0.kind == kind }
            if !rows.isEmpty {
                lines.append("  \(kind.rawValue): \(rows.count), \(size(rows.reduce(0) { $0 + $1.size }))")
            }
        }
        if !manifest.inFlight.isEmpty { lines.append("in flight:") }
        for run in manifest.inFlight {
            lines.append(
                "  \(Terminal.escape(run.run))  \(Terminal.escape(run.job))  \(Terminal.escape(run.state))")
        }
        return lines + leftOut(manifest)
    }
    static func leftOut(_ manifest: BundleManifest) -> [String] {
        manifest.leftOut.sorted { $0.key < $1.key }.map {
            "left out: \(Terminal.escape($0.key)): \(Terminal.escape($0.value))"
        }
    }
}

/// What opens bundles that are encrypted.
struct IdentityOption: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The key file that opens encrypted bundles; without it that of the site.", valueName: "file"),
        completion: .file())
    var identity: String?
    func given() -> GivenKeys {
        var given = GivenKeys()
        given.identity = identity
        return given
    }
}
/// The same, and whose bundles count beside those that a site knows.
struct KeyOptions: ParsableArguments {
    @OptionGroup var identity: IdentityOption
    @Option(
        help: ArgumentHelp(
            "Take bundles of this key as well: a line of `bobbin backup key` of the machine that made them.",
            valueName: "key"))
    var trust: [String] = []
    @Flag(help: "Take also what nobody signed, and what a key signed that nobody knows.") var unsigned = false

    func validate() throws { _ = try given() }
    func given() throws -> GivenKeys {
        var given = identity.given()
        given.takesUnproved = unsigned
        given.trusted = try trust.map {
            guard let key = NoteVerifier($0) else {
                throw ValidationError("--trust: `\($0.prefix(40))` is no key of bundles (name+id+key)")
            }
            return key
        }
        return given
    }
}

/// How far it is, on a terminal; nothing where nobody looks.
private final class ProgressLine {
    /// Bytes that there will be, where that is known.
    var total: Int?
    private var word: String
    private let isShown = isatty(2) == 1
    private var last: Int64 = 0, begin = Clocks.monotonic, seen = 0
    init(_ word: String) { self.word = word }
    /// What was packed is now read back: so much is known to come.
    func begin(_ word: String) {
        self.word = word
        total = seen
        begin = Clocks.monotonic
    }
    func show(_ files: Int, _ bytes: Int) {
        seen = bytes
        let now = Clocks.monotonic
        guard isShown, now - last > 200_000_000 else { return }
        last = now
        let rate = Double(bytes) / max(0.001, Double(now - begin) / 1e9)
        var left = ""
        if let total, total > bytes, rate > 0 {
            let seconds = Int64(Double(total - bytes) / rate) + 1
            left = ", \(bytes * 100 / total) %, \(ResultFile.brief(.seconds(seconds))) left"
        }
        write(
            "\r\u{1B}[K\(word) \(files) files, \(BackupText.size(bytes)), \(BackupText.size(Int(rate)))/s\(left)"
        )
    }
    func end() { if isShown, last > 0 { write("\r\u{1B}[K") } }
    private func write(_ text: String) { StandardError.write(text) }
}
