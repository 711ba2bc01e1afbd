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
            ReadFileStep(), WriteFileStep(), ChecksumStep(), AssertFileExistsStep(),
            AssertStep(), FailStep(), SetStep(), LogStep(), SleepStep(),
            GroupStep(), ParallelStep(), ForeachStep(), RepeatStep(), CallStep(),
        ]
    }
}

/// What other rooms give to steps.
public struct StepPorts: Sendable {
    /// Writes an archive and reads it back. After one of the request's closures returned false it may throw
    /// anything: the step knows the reason and reports its own.
    public var zip: @Sendable (ZipRequest) throws(Failure) -> ZipOutcome

    public init(zip: @escaping @Sendable (ZipRequest) throws(Failure) -> ZipOutcome) { self.zip = zip }
}

public struct ZipRequest {
    public struct Entry: Hashable, Sendable {
        /// Relative; ends with `/` for an empty directory.
        public var name: String
        /// Where its bytes are.
        public var path: String
    }
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
