// What this is: a folder and, where it is wanted, all below it, watched: a watch for each directory, none for a file.
// Owns: which directories are watched and how each looked; going through them.
// Never: believes an event: what it says is looked up. Follows a symbolic link or leaves the file system below the folder.
// On failure: a folder that is not there is waited for; where the kernel gives no more watches, looks by the clock serve.
import JobModel
import LinuxSystem

final class WatchedTree {
    struct Sight {
        var path: String
        /// Nil: gone.
        var status: FileStatus?
        /// It was renamed or linked in, or closed after writing.
        var isWhole: Bool
        /// A file of this name went, whatever is there now.
        var hasGone = false
    }
    /// One directory as it was found: the files in it that are wanted. Nil: it is there no more, nor what was below it.
    typealias Visit = (_ folder: String, _ files: ByteMap<FileStatus>?) -> Void
    private struct Folder {
        var path: String
        var inode: UInt64
        var modified: Int64
        var isWatched = false
    }
    private let watcher: Watcher
    private var watch: DirectoryWatch?
    private var root: Directory?
    private var rootInode: UInt64 = 0
    private var folders: [Int: Folder] = [:]
    private var tags = ByteMap<Int>()
    private var nextTag = 1
    /// Why not all directories are watched.
    private(set) var isShortOf: String?
    /// Why the folder cannot be read.
    private(set) var trouble: String?

    init(_ watcher: Watcher) { self.watcher = watcher }

    var fd: Int32? { watch?.fd }
    var isThere: Bool { root != nil }
    var inode: UInt64 { rootInode }
    var folderCount: Int { folders.count }

    /// Opens the folder, or finds that it is another one by now. True: all of it is to be looked at.
    func open() -> Bool {
        do throws(SystemError) {
            let directory = try Directory.open(RealPath.of(watcher.path))
            let status = try directory.status()
            // Every file system's own top may have the same number.
            let inode = status.inode ^ UInt64(bitPattern: status.birth)
            if root != nil, inode == rootInode { return false }
            close(nil)
            watch = startWatch()
            root = directory
            rootInode = inode
            return true
        } catch {
            close(WatchedTree.why(error, watcher.path))
            return false
        }
    }
    private static func why(_ error: SystemError, _ path: String) -> String {
        if error.isMissing {
            // What a shell does for people, nobody does here.
            let odd = path.contains("~") || path.contains("*") || path.contains("$")
            return "it is not there" + (odd ? " (`~`, `*` and `$` mean nothing in a path)" : "")
        }
        if error.fileTrouble == .access { return "this account may not enter it" }
        return "\(error)"
    }
    private func close(_ why: String?) {
        root = nil
        watch = nil
        folders = [:]
        tags.removeAll()
        trouble = why
    }
    private func startWatch() -> DirectoryWatch? {
        do throws(SystemError) { return try DirectoryWatch() } catch {
            isShortOf = "\(error) (fs.inotify.max_user_instances)"
            return nil
        }
    }

    // MARK: events

    /// What the events say was touched; nil: some were lost, and all of it is to be looked at.
    func drain(_ visit: Visit) -> [Sight]? {
        guard let watch else { return [] }
        let report: DirectoryWatch.Report
        do throws(SystemError) { report = try watch.drain() } catch { return nil }
        if report.overflowed { return nil }
        var sights: [Sight] = []
        for (tag, hint) in report.hints {
            guard let folder = folders[tag] else { continue }
            switch hint {
            case .movedIn(let name), .closed(let name):
                if let sight = look(folder, name, isWhole: true, visit) { sights.append(sight) }
            case .removed(let name):
                guard var sight = look(folder, name, isWhole: true, visit) else { continue }
                sight.hasGone = true
                // Another may be there by now, which nobody has closed yet.
                sight.isWhole = sight.status == nil
                sights.append(sight)
            case .appeared(let name):
                if let sight = look(folder, name, isWhole: false, visit) { sights.append(sight) }
            case .gone:
                // The watched folder itself is looked at by the clock: it may be a disk that is not mounted just now.
                if folder.path.isEmpty { continue }
                leave(folder.path)
                // Its inode may be the old one's, used again: the watch has ended all the same.
                do throws(SystemError) {
                    if let now = try status(folder.path), now.kind == .directory, watcher.enters(folder.path)
                    {
                        scan(folder.path, visit)
                    } else {
                        visit(folder.path, nil)
                    }
                } catch { trouble = "\(folder.path): \(error)" }
            }
        }
        return sights
    }

    private func look(_ folder: Folder, _ name: String, isWhole: Bool, _ visit: Visit) -> Sight? {
        let path = folder.path.isEmpty ? name : "\(folder.path)/\(name)"
        let status: FileStatus?
        do throws(SystemError) { status = try self.status(path) } catch {
            // Nothing can be said of it now; the next look will.
            trouble = "\(path): \(error)"
            return nil
        }
        if let tag = tags[path], status?.kind != .directory || folders[tag]?.inode != status?.inode {
            // It may be another one than the one of this name before.
            leave(path)
            visit(path, nil)
        }
        if let status, status.kind == .directory {
            if watcher.enters(path), tags[path] == nil { scan(path, visit) }
            return nil
        }
        guard watcher.wants(path) else { return nil }
        // A name that stands for something else than a file now is no file of ours any more.
        return Sight(path: path, status: status.flatMap { $0.kind == .regular ? $0 : nil }, isWhole: isWhole)
    }

    /// As it is now; nil: there is none. What cannot be looked at is not gone.
    func status(_ path: String) throws(SystemError) -> FileStatus? {
        let (folder, name) = FileLedger.split(path)
        do throws(SystemError) {
            guard let root else { throw SystemError("open", watcher.path, errno: 5) }
            return try (folder.isEmpty ? root : root.directory(folder)).statusIfPresent(name)
        } catch {
            // A directory on the way is no more, or is none any more.
            if error.isMissing || error.errno == 20 { return nil }
            throw error
        }
    }
    func file(_ path: String) throws(SystemError) -> OpenFile {
        let (folder, name) = FileLedger.split(path)
        guard let root else { throw SystemError("open", path, errno: 2) }
        return try (folder.isEmpty ? root : root.directory(folder)).openForReading(name)
    }

    // MARK: looking

    /// Every directory; afterwards each is watched.
    func scanAll(_ visit: Visit) {
        (trouble, isShortOf) = (nil, watch == nil ? isShortOf : nil)
        scan("", visit)
    }

    /// Directories that changed though no event said so, and those that stand where another stood.
    func scanChanged(_ visit: Visit) {
        for (tag, folder) in folders {
            // One above it may have gone in this same loop.
            guard folders[tag] != nil else { continue }
            do throws(SystemError) {
                let now = folder.path.isEmpty ? try root?.status() : try status(folder.path)
                if now?.kind != .directory {
                    if folder.path.isEmpty { continue }
                    leave(folder.path)
                    visit(folder.path, nil)
                } else if now?.inode != folder.inode {
                    leave(folder.path)
                    scan(folder.path, visit)
                } else if now?.modified != folder.modified {
                    scan(folder.path, visit)
                }
            } catch { trouble = "\(folder.path): \(error)" }
        }
    }
    func isKnown(_ folder: String) -> Bool { tags[folder] != nil }

    private func scan(_ path: String, _ visit: Visit) {
        var waiting = [path]
        while let path = waiting.popLast() {
            do throws(SystemError) {
                guard let root else { return }
                let directory = path.isEmpty ? root : try root.directory(path)
                // Before its names are read: a change since then is looked at again.
                let status = try directory.status()
                add(path, directory, status)
                var files = ByteMap<FileStatus>()
                for name in try directory.names() {
                    let inner = path.isEmpty ? name : "\(path)/\(name)"
                    let isWanted = watcher.wants(inner)
                    guard isWanted || watcher.isRecursive, let status = try directory.statusIfPresent(name)
                    else {
                        continue
                    }
                    if status.kind == .directory {
                        if watcher.enters(inner) { waiting.append(inner) }
                    } else if isWanted, status.kind == .regular {
                        files[name] = status
                    }
                }
                visit(path, files)
            } catch {
                // Gone meanwhile, or closed to us: nothing is said of what is in it.
                if !error.isMissing { trouble = "\(path): \(error)" }
            }
        }
    }

    private func add(_ path: String, _ directory: Directory, _ status: FileStatus) {
        let tag = tags[path] ?? nextTag
        if tags[path] == nil { nextTag += 1 }
        let known = folders[tag]
        var folder = Folder(path: path, inode: status.inode, modified: status.modified)
        folder.isWatched = known?.inode == status.inode && known?.isWatched == true
        defer { folders[tag] = folder }
        tags[path] = tag
        guard !folder.isWatched, let watch else { return }
        do throws(SystemError) {
            try watch.add(directory, tag: tag, removals: true)
            folder.isWatched = true
        } catch {
            isShortOf = "\(error) (fs.inotify.max_user_watches)"
        }
    }

    /// A directory and all below it are watched no more.
    private func leave(_ path: String) {
        for inner in tags.keys where inner.isInside(path) || inner.hasBytes(of: path) {
            guard let tag = tags.removeValue(inner) else { continue }
            watch?.remove(tag: tag)
            folders[tag] = nil
        }
    }
}
