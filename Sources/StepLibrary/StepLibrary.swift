// What this is: all step types of this house in one list.
// Owns: the list, and the ports through which other rooms serve steps.
// Never: imports another room; the roof connects the ports.
// On failure: nothing here fails.
import JobModel
import LinuxSystem

public enum StepLibrary {
    /// Every step type with its action, in the order of the manual.
    public static func actions(ports: StepPorts) -> [any StepAction] {
        [
            RunStep(), ShellStep(), MakeRequestStep(),
            FindFilesStep(), CopyToStep(), MoveToStep(), RenameStep(), ZipFolderStep(zip: ports.zip),
            ArchiveStep(zip: ports.zip),
            ExtractStep(extract: ports.extract),
            ReadFileStep(), WriteFileStep(), RenderStep(render: ports.render), ChecksumStep(),
            AssertFileExistsStep(), AssertTextStep(), WaitForFileStep(),
            PdfMergeStep(), PdfExtractPagesStep(), AssertPdfPagesStep(),
            ComposeMailStep(), AttachFilesStep(), SaveDraftStep(), SendEmailStep(),
            SqlStep(query: ports.query), SshStep(), NotifyStep(),
            HumanConfirmStep(), AssertStep(), FailStep(), SetStep(), LogStep(), LogEventStep(), SleepStep(),
            WaitUntilStep(instant: ports.instant), KeepArtifactsStep(), SubmitStep(jobs: ports.jobs),
            ReportStep(report: ports.report), BackupStep(make: ports.backup),
            BackupDrillStep(drill: ports.drill), PruneStep(prune: ports.prune),
            CheckupStep(look: ports.checkup),
            ProgramStep(),
            GroupStep(), ParallelStep(), ForeachStep(), RepeatStep(), CallStep(),
        ]
    }
}

/// What other rooms give to steps.
public struct StepPorts: Sendable {
    /// Writes an archive and reads it back. After one of the request's closures returned false it may throw
    /// anything: the step knows the reason and reports its own.
    public var zip: @Sendable (ZipRequest) throws(Failure) -> ZipOutcome
    /// Reads an archive from its beginning; what the request's closures throw, it throws.
    public var extract: @Sendable (ExtractRequest) throws(Failure) -> Void
    /// Asks or changes an SQLite file.
    public var query: @Sendable (SQLiteQuery) throws(Failure) -> SQLiteAnswer
    /// Renders a text whose expressions see these values and nothing of the run.
    public var render:
        @Sendable (_ text: String, _ name: String, _ values: ValueMap) throws(Failure) -> String

    /// The instant that a text means in the site's zone; nil where it means none.
    public var instant: @Sendable (String) -> Timestamp?
    public var jobs: JobPorts
    /// The site's report of a stretch of time.
    public var report: @Sendable (ReportRequest) throws(Failure) -> ReportAnswer
    /// Makes a bundle of the site; the outputs of the step.
    public var backup: @Sendable (BackupRequest) throws(Failure) -> ValueMap
    /// Brings a bundle back into a scratch site; the outputs of the step.
    public var drill: @Sendable (_ site: String, _ path: String?) throws(Failure) -> ValueMap
    /// Lets old files of the site go; asks the last between two files whether to go on. The outputs of the step.
    public var prune:
        @Sendable (_ site: String, _ only: [String], _ checkpoint: () throws(Failure) -> Void) throws(Failure)
            -> ValueMap
    /// Looks the site through; the outputs of the step.
    public var checkup: @Sendable (_ site: String, _ list: String) throws(Failure) -> ValueMap

    public init(
        zip: @escaping @Sendable (ZipRequest) throws(Failure) -> ZipOutcome,
        extract: @escaping @Sendable (ExtractRequest) throws(Failure) -> Void,
        query: @escaping @Sendable (SQLiteQuery) throws(Failure) -> SQLiteAnswer,
        render:
            @escaping @Sendable (_ text: String, _ name: String, _ values: ValueMap) throws(Failure) ->
            String,
        instant: @escaping @Sendable (String) -> Timestamp?, jobs: JobPorts,
        report: @escaping @Sendable (ReportRequest) throws(Failure) -> ReportAnswer,
        backup: @escaping @Sendable (BackupRequest) throws(Failure) -> ValueMap,
        drill: @escaping @Sendable (_ site: String, _ path: String?) throws(Failure) -> ValueMap,
        prune:
            @escaping @Sendable (_ site: String, _ only: [String], _ checkpoint: () throws(Failure) -> Void)
            throws(Failure) -> ValueMap,
        checkup: @escaping @Sendable (_ site: String, _ list: String) throws(Failure) -> ValueMap
    ) {
        self.zip = zip
        self.extract = extract
        self.query = query
        self.render = render
        self.instant = instant
        self.jobs = jobs
        self.report = report
        self.backup = backup
        self.drill = drill
        self.prune = prune
        self.checkup = checkup
    }
}

/// What a step may ask of the spool that its run is in.
public struct JobPorts: Sendable {
    /// Checks a job and drops it under its ticket; says where it lies. A job that is no good is a Failure.
    public var drop: @Sendable (_ site: String, JobDrop) throws(Failure) -> String
    /// What became of the drop with this ticket; nil where there was none. `isKnown`: it was dropped, so an answer that is a
    /// moment old will do.
    /// `parent`: the run that dropped it; others may give their files any name.
    public var find:
        @Sendable (_ site: String, _ ticket: String, _ parent: RunID, _ isKnown: Bool) throws(Failure) ->
            JobFound?
    public var cancel: @Sendable (_ site: String, _ ticket: String) throws(Failure) -> Void

    public init(
        drop: @escaping @Sendable (_ site: String, JobDrop) throws(Failure) -> String,
        find:
            @escaping @Sendable (_ site: String, _ ticket: String, _ parent: RunID, _ isKnown: Bool)
            throws(Failure) -> JobFound?,
        cancel: @escaping @Sendable (_ site: String, _ ticket: String) throws(Failure) -> Void
    ) {
        self.drop = drop
        self.find = find
        self.cancel = cancel
    }
}

public struct JobDrop: Sendable {
    /// As it is to stand in the file; queue and priority decide the directory.
    public var job: ValueMap
    public var ticket: String
    public var stem: String
}

public struct JobFound: Sendable {
    public enum State: Sendable { case waiting, running, ended(FinalState), rejected }
    public var state: State
    public var run: String?
    public var outputs: ValueMap
    /// Why it did not succeed.
    public var failure: Failure?
    public init(state: State, run: String? = nil, outputs: ValueMap = [:], failure: Failure? = nil) {
        self.state = state
        self.run = run
        self.outputs = outputs
        self.failure = failure
    }
}

public struct ExtractRequest {
    public enum Kind: Sendable { case file, directory, other(String) }
    public struct Entry: Sendable {
        /// As the archive says it.
        public var name: String
        public var kind: Kind
        public var mode: UInt32
        /// Nanoseconds since 1970.
        public var modified: Int64
        public init(name: String, kind: Kind, mode: UInt32, modified: Int64) {
            self.name = name
            self.kind = kind
            self.mode = mode
            self.modified = modified
        }
    }
    public var archive: OpenFile
    /// A new entry begins.
    public var entry: (Entry) throws(Failure) -> Void
    /// The next bytes of that entry.
    public var piece: (UnsafeRawBufferPointer) throws(Failure) -> Void
}

public struct SQLiteQuery {
    public enum Values: Sendable { case list([Value]), map(ValueMap) }
    public var path: String
    public var sql: String
    public var values: Values
    public var mayWrite: Bool
    /// Whether the file is made where it is missing.
    public var mayCreate: Bool
    public var mostRows: Int
    /// Called again and again while a statement runs; what it throws ends the statement.
    public var checkpoint: () throws(Failure) -> Void
}

public struct SQLiteAnswer: Sendable {
    public var columns: [String]
    public var rows: [ValueMap]
    /// Rows that were changed.
    public var changes: Int
    /// Whether there were more rows than wanted.
    public var isCut: Bool

    public init(columns: [String], rows: [ValueMap], changes: Int, isCut: Bool) {
        self.columns = columns
        self.rows = rows
        self.changes = changes
        self.isCut = isCut
    }
}

/// What an archive is, by its ending.
public enum ArchiveForm: String, Sendable, CaseIterable {
    case zip = ".zip"
    case tarGzip = ".tar.gz"
    case tgz = ".tgz"
    case tarZstd = ".tar.zst"
    case tar = ".tar"
}

public struct ZipRequest {
    public struct Entry: Hashable, Sendable {
        /// Relative; ends with `/` for an empty directory.
        public var name: String
        /// Where its bytes are.
        public var path: String
    }
    public var form: ArchiveForm
    /// To be packed in this order.
    public var entries: [Entry]
    /// Open for reading and writing, empty; the step made it and gives it its name.
    public var output: OpenFile
    /// Whether to read the archive back once it is written.
    public var readBack: Bool
    /// Sees each piece that was packed, by the index of its entry; false stops.
    public var packed: (Int, UnsafeRawBufferPointer) -> Bool
    /// Sees each piece that was read back, by the name of its entry; false stops.
    public var unpacked: (String, UnsafeRawBufferPointer) -> Bool
}

public struct ZipOutcome: Sendable {
    /// What the archive turned out to hold; empty when it was not read back.
    public var entries: [(name: String, size: Int)]

    public init(entries: [(name: String, size: Int)]) { self.entries = entries }
}
