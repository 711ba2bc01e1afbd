// What this is: a file that a program of a step writes: under a name of its own until it is whole.
// Owns: the temporary name, the sync, the final rename.
// Never: shows a part under the final name; writes where ProtectedPaths refuses.
// On failure: Failure with the path; the final name keeps what it had.
import JobModel
import LinuxSystem

struct PartFile {
    let final: SitePath
    let part: SitePath
    private let directory: Directory
    private let replaces: Bool

    /// Makes the directory of `path` where it is missing, and clears what an earlier start of this step left.
    init(
        _ path: SitePath, replaces: Bool = true, _ context: any StepContext
    ) throws(Failure) {
        final = try path.named()
        self.replaces = replaces
        let directories = try OpenDirectories(context)
        _ = try directories.made(final.parent)
        directory = try directories.writable(final)
        part = final.parent.appending(TemporaryName.of(final.name, context))
        try TemporaryName.clear(part.name, directory)
        guard !replaces, !context.isRerun else { return }
        let there = try onDisk("look at \(final.absolute)") { () throws(SystemError) in
            try directory.statusIfPresent(final.name)
        }
        if there != nil { throw taken }
    }

    private var taken: Failure {
        Failure(
            "E-FILE-EXISTS", "\(final.absolute) exists already",
            whatToDo: "remove it, choose another name, or set `collision: overwrite`")
    }

    /// How much has been written; 0 where nothing was.
    func size() throws(Failure) -> Int {
        try onDisk("look at \(part.absolute)") { () throws(SystemError) in
            try directory.statusIfPresent(part.name)?.size ?? 0
        }
    }

    /// Gives the whole file its name, durably; an empty one where the program wrote none.
    func commit() throws(Failure) {
        do {
            if try directory.statusIfPresent(part.name) == nil { _ = try directory.create(part.name) }
            try directory.openForReading(part.name).sync()
            if replaces {
                try directory.renameReplacing(part.name, to: directory, final.name)
            } else {
                try directory.rename(part.name, to: directory, final.name)
            }
            try directory.sync()
        } catch {
            throw error.isExisting ? taken : Failure(cannot: "write \(final.absolute)", error)
        }
    }

    func discard() {
        // What is already gone, or cannot be removed, is no reason to fail otherwise.
        try? directory.remove(part.name)
    }
}
