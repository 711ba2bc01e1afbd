// What this is: a walk through a directory tree.
// Owns: the order (names sorted, a directory's content after it) and the count of what could not be read.
// Never: follows a symbolic link (so it cannot run in circles), goes deeper than 200 levels.
// On failure: what cannot be read below the root is skipped with a log line; the root must be readable.
import JobModel
import LinuxSystem

final class FileWalk {
    struct Found {
        var name: String
        /// The directories between the root and this.
        var folders: [String]
        var path: SitePath
        var status: FileStatus
    }

    private let context: any StepContext
    private let isRecursive: Bool
    private let takesHidden: Bool
    private(set) var skipped = 0
    private static let deepest = 200
    /// More lines than this say nothing new.
    private static let mostLines = 20

    init(_ context: any StepContext, recursive: Bool, hidden: Bool) {
        self.context = context
        isRecursive = recursive
        takesHidden = hidden
    }

    /// Calls `body` for all below `root`, directories before their content, with the directory it is in.
    func visit(_ root: SitePath, _ body: (Found, Directory) throws(Failure) -> Void) throws(Failure) {
        let directory = try onDisk("search \(root.absolute)") { () throws(SystemError) in
            try Directory.open(root.absolute)
        }
        let names = try onDisk("search \(root.absolute)") { () throws(SystemError) in try directory.names() }
        try visit(directory, names, root, [], body)
    }

    private func visit(
        _ directory: Directory, _ names: [String], _ path: SitePath, _ folders: [String],
        _ body: (Found, Directory) throws(Failure) -> Void
    ) throws(Failure) {
        try context.checkpoint()
        for name in names.sorted() where takesHidden || !name.hasPrefix(".") {
            let own = path.appending(name)
            // Its name could be carried, but neither a result nor a zip could say it to anybody else.
            guard !RawName.isOdd(name) else {
                try skip(path.appending(RawName.shown(name)), "the name is not UTF-8")
                continue
            }
            guard let status = try status(directory, name, own) else { continue }
            try body(Found(name: name, folders: folders, path: own, status: status), directory)
            guard isRecursive, status.kind == .directory else { continue }
            guard let (child, inside) = try open(directory, name, own, folders.count) else { continue }
            try visit(child, inside, own, folders + [name], body)
        }
    }

    private func status(_ directory: Directory, _ name: String, _ path: SitePath) throws(Failure)
        -> FileStatus?
    {
        do { return try directory.status(name) } catch {
            // Gone since the listing is no event.
            if !error.isMissing { try skip(path, SystemError.sentence(error.errno)) }
            return nil
        }
    }

    private func open(
        _ directory: Directory, _ name: String, _ path: SitePath, _ depth: Int
    ) throws(Failure) -> (Directory, [String])? {
        guard depth < FileWalk.deepest else {
            try skip(path, "deeper than \(FileWalk.deepest) levels")
            return nil
        }
        do {
            let child = try directory.child(name)
            return (child, try child.names())
        } catch {
            try skip(path, SystemError.sentence(error.errno))
            return nil
        }
    }

    private func skip(_ path: SitePath, _ reason: String) throws(Failure) {
        skipped += 1
        if skipped <= FileWalk.mostLines { try context.log("skipped \(path.absolute): \(reason)") }
        if skipped == FileWalk.mostLines { try context.log("further skipped places are only counted") }
    }
}
