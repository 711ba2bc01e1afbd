// What this is: the links between the steps and the rooms that serve them, which do not know each other.
// Owns: the translation of their words and errors.
// Never: opens a file or reads a value itself.
// On failure: Failure in the step's words.
import Archives
import Bundles
import Databases
import JobLanguage
import JobModel
import LinuxSystem
import StepLibrary

enum StepConnections {
    static let ports = StepPorts(
        zip: zip, extract: extract, query: query, render: render, instant: instant, jobs: ChildJobs.ports,
        report: report, backup: backup, drill: drill, prune: prune, checkup: checkup)

    @Sendable private static func instant(_ text: String) -> Timestamp? {
        Instant(text)?.resolved(
            from: Timestamp(nanoseconds: Clocks.wall), zoneOffset: { Clocks.zoneOffset(atSeconds: $0) })
    }

    @Sendable private static func report(_ request: ReportRequest) throws(Failure) -> ReportAnswer {
        let now = Timestamp(nanoseconds: Clocks.wall)
        do {
            let site = try Site(path: request.site)
            let report = try SiteReport(site, now: now, until: request.until, stretch: request.since)
            guard report.hasHistory else {
                throw Failure(
                    "E-REPORT", "there is no index (yet), and so nothing to report from",
                    whatToDo: "`bobbin up` makes one; so does `bobbin index rebuild`", retry: .transient)
            }
            let metrics = report.metrics
            let text =
                switch request.format {
                case "html": metrics.page
                case "json": JSONText.write(.map(metrics.fields)) + "\n"
                default: metrics.markdown
                }
            return ReportAnswer(text: text, numbers: metrics.summary)
        } catch let failure as Failure { throw failure } catch {
            throw Failure(
                "E-REPORT", "the report could not be made: \(Reporter.sentence(error))",
                whatToDo: "see `bobbin doctor`", retry: .transient)
        }
    }

    @Sendable private static func backup(_ request: BackupRequest) throws(Failure) -> ValueMap {
        try bundling { () throws in
            let site = try Site(path: request.site)
            let file = try BackupFile.read(site)
            var options = Backup.Options(file)
            if !request.only.isEmpty {
                let classes = request.only.compactMap(BundleClass.init(rawValue:)).filter(
                    Backup.alone.contains)
                guard classes.count == request.only.count else {
                    throw Failure(
                        "E-STEP-PARAM",
                        "`only` knows \(Backup.alone.map(\.rawValue).joined(separator: ", "))", retry: .never)
                }
                options.classes = Set(classes)
            }
            options.isIncrement = request.isIncrement
            options.unlessSame = request.unlessSame
            let backup = Backup(site)
            let made = try backup.create(options)
            if let trouble = made.trouble { throw trouble }
            var pruned: [String] = []
            if request.prune {
                pruned = try BackupPrune.perform(
                    site, backup.folder(options.folder), BackupKeys.looking(site.spool.site),
                    patience: .seconds(1800)
                ).gone
            }
            let manifest = made.manifest
            return [
                "path": .string(made.path), "id": .string(manifest.id), "files": .int(manifest.rows.count),
                "bytes": .int(manifest.bytes), "packed_bytes": .int(made.size),
                "in_flight": .int(manifest.inFlight.count),
                "left_out": .map(
                    manifest.leftOut.sorted { $0.key < $1.key }
                        .reduce(into: ValueMap()) { $0[$1.key] = .string($1.value) }),
                "pruned": .list(pruned.map(Value.string)),
                "base": manifest.base.map { .string($0.name) } ?? .null, "same": .bool(made.isSame),
            ]
        }
    }
    @Sendable private static func drill(_ path: String, _ named: String?) throws(Failure) -> ValueMap {
        try bundling { () throws in
            let site = try Site(path: path)
            let found = try BackupDrill.perform(site, named)
            if let trouble = found.trouble {
                throw Failure(
                    "E-BACKUP-DRILL", "\(found.bundle): \(trouble)",
                    whatToDo: "bobbin backup drill; bobbin backup create",
                    retry: .never)
            }
            return [
                "path": .string(found.bundle), "files": .int(found.files),
                "restore_seconds": .double(Double(found.restored.milliseconds) / 1000),
                "recovery_seconds": .double(Double(found.recovered.milliseconds) / 1000),
            ]
        }
    }
    @Sendable private static func checkup(_ path: String, _ list: String) throws(Failure) -> ValueMap {
        try bundling { () throws in
            let list = Checkup.List(rawValue: list) ?? .daily
            let checkup = Checkup(
                list, try Site(path: path), now: Timestamp(nanoseconds: Clocks.wall))
            return [
                "text": .string(checkup.markdown), "open": .int(checkup.open),
                "items": .int(checkup.sections.reduce(0) { $0 + $1.items.count }),
            ]
        }
    }
    @Sendable private static func prune(
        _ path: String, _ only: [String], _ checkpoint: () throws(Failure) -> Void
    ) throws(Failure) -> ValueMap {
        try bundling { () throws in
            let kinds = only.compactMap(RetentionClass.init(rawValue:))
            guard kinds.count == only.count else {
                throw Failure(
                    "E-STEP-PARAM",
                    "`only` knows \(RetentionClass.allCases.map(\.rawValue).joined(separator: ", "))",
                    retry: .never)
            }
            let done = try Prune.perform(
                Site(path: path), only: Set(kinds.isEmpty ? RetentionClass.allCases : kinds),
                // A job has time; a person at a terminal is told.
                patience: .seconds(1800), checkpoint: { try checkpoint() })
            return done.fields
        }
    }
    /// The words of bundles in those of steps.
    private static func bundling(_ body: () throws -> ValueMap) throws(Failure) -> ValueMap {
        do {
            return try body()
        } catch let failure as Failure { throw failure } catch let problem as BundleProblem {
            throw Failure(problem.code, problem.message, whatToDo: problem.whatToDo, retry: .transient)
        } catch let problem as ConfigurationProblem {
            throw Failure("E-CONFIG", problem.text, whatToDo: "mend it: bobbin doctor", retry: .never)
        } catch {
            throw Failure(
                "E-BACKUP", "it could not be done: \(error)", whatToDo: "see `bobbin doctor`",
                retry: .transient)
        }
    }

    @Sendable private static func zip(_ request: ZipRequest) throws(Failure) -> ZipOutcome {
        let sources = request.entries.map { ZipArchive.Source(name: $0.name, path: $0.path) }
        do {
            let packing: Packing? =
                switch request.form {
                case .zip: nil
                case .tarGzip, .tgz: .gzip
                case .tarZstd: .zstd
                case .tar: Packing.none
                }
            try ZipArchive.write(sources, to: request.output, tar: packing, packed: request.packed)
            guard request.readBack else { return ZipOutcome(entries: []) }
            let entries =
                try packing == nil
                ? ZipArchive.read(request.output, piece: request.unpacked)
                : ZipArchive.read(tar: request.output, piece: request.unpacked)
            return ZipOutcome(entries: entries.map { ($0.name, $0.size) })
        } catch {
            throw Failure(
                "E-ARCHIVE", "the archive could not be written: \(error)",
                whatToDo: "Check the disk's free space.", retry: .transient)
        }
    }

    @Sendable private static func extract(_ request: ExtractRequest) throws(Failure) {
        var refusal: Failure?
        do {
            try ArchiveReader.read(request.archive) { entry in
                do throws(Failure) {
                    let kind: ExtractRequest.Kind =
                        switch entry.kind {
                        case .file: .file
                        case .directory: .directory
                        case .other(let name): .other(name)
                        }
                    try request.entry(
                        .init(name: entry.name, kind: kind, mode: entry.mode, modified: entry.modified))
                    return true
                } catch {
                    refusal = error
                    return false
                }
            } piece: { bytes in
                do throws(Failure) {
                    try request.piece(bytes)
                    return true
                } catch {
                    refusal = error
                    return false
                }
            }
        } catch {
            throw refusal
                ?? Failure(
                    "E-ARCHIVE", "the archive cannot be read: \(error)",
                    whatToDo: "it may be cut off, damaged, encrypted, or no archive")
        }
    }

    @Sendable private static func query(_ request: SQLiteQuery) throws(Failure) -> SQLiteAnswer {
        var refusal: Failure?
        let values: SQLiteFile.Values =
            switch request.values {
            case .list(let items): .list(items)
            case .map(let map): .map(map)
            }
        do {
            let found = try SQLiteFile(path: request.path, mayWrite: request.mayWrite).perform(
                request.sql, values, mostRows: request.mostRows
            ) {
                do throws(Failure) {
                    try request.checkpoint()
                    return true
                } catch {
                    refusal = error
                    return false
                }
            }
            return SQLiteAnswer(
                columns: found.columns, rows: found.rows, changes: found.changes, isCut: found.isCut)
        } catch {
            if let refusal { throw refusal }
            switch error.kind {
            case .readOnly:
                throw Failure(
                    "E-SQL", "the database is read-only: \(error)",
                    whatToDo: "a step that changes data says `write: true`", retry: .never)
            case .busy:
                throw Failure(
                    "E-SQL", "the database is in use: \(error)",
                    whatToDo: "find who holds it: fuser \(request.path)",
                    retry: .transient)
            case .sql, .stopped:
                throw Failure("E-SQL", error.description, whatToDo: "correct the query or its `params`")
            }
        }
    }

    @Sendable private static func render(_ text: String, _ name: String, _ values: ValueMap) throws(Failure)
        -> String
    {
        do throws(TemplateError) {
            let instant = Timestamp(nanoseconds: Clocks.wall)
            let local = instant.civil(
                offsetSeconds: Clocks.zoneOffset(atSeconds: instant.seconds), withMilliseconds: false)
            let scope = Scope(
                variables: values, now: instant, localDate: String(local.prefix(10)),
                zoneOffset: { Clocks.zoneOffset(atSeconds: $0) })
            return try Template.parse(text).render(scope).text
        } catch {
            let (line, column) = place(error.offset, in: text)
            throw Failure(
                error.code, "\(name):\(line):\(column): \(error.message)", whatToDo: error.hint, retry: .never
            )
        }
    }

    private static func place(_ offset: Int, in text: String) -> (line: Int, column: Int) {
        var (line, column) = (1, 1)
        for scalar in text.unicodeScalars.prefix(offset) {
            if scalar == "\n" { (line, column) = (line + 1, 1) } else { column += 1 }
        }
        return (line, column)
    }
}
