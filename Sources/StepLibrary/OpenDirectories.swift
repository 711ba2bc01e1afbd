// What this is: the directories a step works in, each opened and checked once.
// Owns: the open handles and `mkdir -p`.
// Never: hands out a directory for writing that ProtectedPaths refuses.
// On failure: Failure with the path.
import JobModel
import LinuxSystem

final class OpenDirectories {
    private let protected: ProtectedPaths
    private var open: [String: Directory] = [:]
    private var changed: Set<String> = []
    /// Well below the 1,024 descriptors a process usually has.
    private static let most = 64

    init(_ context: any StepContext) throws(Failure) { protected = try ProtectedPaths(context) }

    /// The directory of a file that is about to be written, renamed or removed.
    func writable(_ file: SitePath) throws(Failure) -> Directory {
        let directory = try existing(file.parent)
        try protected.check(directory, file.name)
        return directory
    }

    /// The same, or nil where the directory is gone.
    func writableIfPresent(_ file: SitePath) throws(Failure) -> Directory? {
        do { _ = try FileStatus.of(file.parent.absolute) } catch  where error.isMissing { return nil } catch {
            throw Failure(cannot: "look at \(file.parent.absolute)", error)
        }
        return try writable(file)
    }

    func existing(_ path: SitePath) throws(Failure) -> Directory {
        if let known = open[path.absolute] { return known }
        let directory = try onDisk("open \(path.absolute)") { () throws(SystemError) in
            try Directory.open(path.absolute)
        }
        return try keep(directory, path)
    }

    /// The directory with every missing part made.
    func made(_ path: SitePath) throws(Failure) -> Directory {
        if let known = open[path.absolute] { return known }
        let found: Directory?
        do { found = try Directory.open(path.absolute) } catch {
            guard error.isMissing, !path.name.isEmpty else {
                throw Failure(cannot: "open \(path.absolute)", error)
            }
            found = nil
        }
        if let found { return try keep(found, path) }
        return try keep(make(path, in: made(path.parent)), path)
    }

    private func make(_ path: SitePath, in parent: Directory) throws(Failure) -> Directory {
        if path.name != ".." { try protected.check(parent, path.name) }
        return try onDisk("make \(path.absolute)") { () throws(SystemError) in
            guard path.name != ".." else { return try parent.enter("..") }
            let made = try parent.makeDirectory(path.name)
            try parent.sync()
            return made
        }
    }

    private func keep(_ directory: Directory, _ path: SitePath) throws(Failure) -> Directory {
        if open.count >= OpenDirectories.most {
            try syncChanged()
            open = [:]
        }
        open[path.absolute] = directory
        return directory
    }

    /// Remembers that a name in the file's directory came or went.
    func noteChange(of file: SitePath) { changed.insert(file.parent.absolute) }

    /// Makes the changes of names durable.
    func syncChanged() throws(Failure) {
        for path in changed.sorted() {
            guard let directory = open[path] else { continue }
            try onDisk("sync \(path)") { () throws(SystemError) in try directory.sync() }
        }
        changed = []
    }
}
