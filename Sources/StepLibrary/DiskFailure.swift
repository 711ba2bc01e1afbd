// What this is: what a failed file call means for a job.
// Owns: the codes E-FILE-… and E-DISK-FULL, and whether another try may help.
// Never: hides the kernel's sentence.
// On failure: it is the failure.
import JobModel
import LinuxSystem

/// Runs file calls; their SystemError becomes a Failure that says what was tried: `cannot read a.txt: …`.
func onDisk<Out>(_ doing: @autoclosure () -> String, _ body: () throws(SystemError) -> Out) throws(Failure)
    -> Out
{
    do { return try body() } catch { throw Failure(cannot: doing(), error) }
}

extension Failure {
    init(cannot doing: String, _ error: SystemError) {
        let kind = DiskTrouble(error)
        self.init(
            kind.code, "cannot \(doing): \(SystemError.sentence(error.errno))", whatToDo: kind.whatToDo,
            retry: kind.retry)
    }
}

private struct DiskTrouble {
    var code: String
    var whatToDo: String
    var retry: Failure.Retry

    init(_ error: SystemError) {
        switch error.fileTrouble {
        case .missing: self.init("E-FILE-MISSING", "check the path; relative paths are below the site")
        case .access: self.init("E-FILE-ACCESS", "give the account of the service the right to do this")
        case .readOnly: self.init("E-FILE-ACCESS", "the file system is mounted read-only")
        case .existing: self.init("E-FILE-EXISTS", "remove what is there or choose another name")
        case .kind:
            self.init("E-FILE-KIND", "a plain file or directory is needed here; links are not followed")
        case .name: self.init("E-FILE-NAME", "choose a shorter, plain name", .never)
        case .full: self.init("E-DISK-FULL", "make room on that file system", .transient)
        case .exhausted:
            self.init("E-SYSTEM-LIMIT", "the machine is out of descriptors or memory", .transient)
        case .other: self.init("E-FILE-IO", "look at the disk or the mount", .transient)
        }
    }
    private init(_ code: String, _ whatToDo: String, _ retry: Failure.Retry = .permanent) {
        self.code = code
        self.whatToDo = whatToDo
        self.retry = retry
    }
}
