// What this is: what goes into an archive, and what each file looked like before it was packed.
// Owns: the order (by name within each directory); what becomes of empty directories, links, special files.
// Never: packs half a directory: a place that cannot be read is a failure.
// On failure: E-ZIP-EMPTY, E-ZIP-UNREADABLE, E-PATH.
import JobModel
import LinuxSystem

/// A packed file as it was, to tell later whether somebody changed it.
struct SourceMark: Hashable {
    var path: SitePath
    var size: Int
    var modified: Int64
    var changed: Int64
    var inode: UInt64

    init(_ path: SitePath, _ status: FileStatus) {
        self.path = path
        (size, modified, changed, inode) = (status.size, status.modified, status.changed, status.inode)
    }
    func isStill(_ status: FileStatus) -> Bool { SourceMark(path, status) == self }
}

struct ZipSelection {
    var entries: [ZipRequest.Entry] = []
    var sources: [SourceMark] = []
    /// Directories that may be removed once they are empty, parents first.
    var folders: [SitePath] = []
    var skipped = 0
    private var names: Set<[UInt8]> = []

    static func read(_ arguments: ValueMap, _ out: SitePath, _ context: any StepContext) throws(Failure)
        -> ZipSelection
    {
        let folder = try SitePath(arguments.text("folder"), context)
        var selection = ZipSelection()
        if let files = arguments["files"]?.listValue {
            for file in files { try selection.add(file.text, in: folder, context) }
        } else {
            try selection.addAll(in: folder, out, context)
        }
        guard !selection.entries.isEmpty else {
            throw Failure(
                "E-ZIP-EMPTY", "there is nothing to pack in \(folder.absolute)",
                whatToDo: "guard the step with `when:` where that is normal")
        }
        return selection
    }

    private mutating func add(_ text: String, in folder: SitePath, _ context: any StepContext) throws(Failure)
    {
        let path =
            try text.begins(with: "/")
            ? SitePath(text, context) : SitePath(folder.absolute + "/" + text, context)
        let above = folder.absolute.parts(at: "/"), own = path.absolute.parts(at: "/")
        guard own.count > above.count, own.starts(with: above), !own[above.count...].contains("..") else {
            throw Failure("E-PATH", "\(text) is not below \(folder.absolute)", retry: .never)
        }
        let status = try onDisk("pack \(path.absolute)") { () throws(SystemError) in
            try FileStatus.of(path.absolute)
        }
        guard status.kind == .regular else {
            throw Failure(
                "E-FILE-KIND", "\(path.absolute) is a \(status.kindName)",
                whatToDo: "`files` takes plain files; without `files` the whole folder is packed")
        }
        let name = own[above.count...].joined(separator: "/")
        guard names.insert(Array(name.utf8)).inserted else { return }
        entries.append(.init(name: name, path: path.absolute))
        sources.append(SourceMark(path, status))
    }

    private mutating func addAll(in folder: SitePath, _ out: SitePath, _ context: any StepContext)
        throws(Failure)
    {
        let walk = FileWalk(context, recursive: true, hidden: true)
        var found: [FileWalk.Found] = []
        let marks = [out.name, TemporaryName.of(out.name, context)]
        // The archive may lie in the folder it packs; its older version and our leftover stay outside.
        let home = try? FileStatus.following(out.parent.absolute).identity  // nil: publishing will report it
        try walk.visit(folder) { (file, directory) throws(Failure) in
            let place = try onDisk("pack \(file.path.absolute)") { () throws(SystemError) in
                try directory.status().identity
            }
            if !(marks.contains(file.name) && place == home) { found.append(file) }
        }
        guard walk.skipped == 0 else {
            throw Failure(
                "E-ZIP-UNREADABLE",
                "\(walk.skipped) places in \(folder.absolute) cannot be read; see the log",
                whatToDo: "give the account of the service the right to read them")
        }
        try take(found, context)
    }

    private mutating func take(_ found: [FileWalk.Found], _ context: any StepContext) throws(Failure) {
        let occupied = Set(found.map(\.folders))
        for file in found {
            let name = (file.folders + [file.name]).joined(separator: "/")
            switch file.status.kind {
            case .regular:
                entries.append(.init(name: name, path: file.path.absolute))
                sources.append(SourceMark(file.path, file.status))
            case .directory:
                folders.append(file.path)
                guard !occupied.contains(file.folders + [file.name]) else { continue }
                entries.append(.init(name: name + "/", path: file.path.absolute))
            default:
                skipped += 1
                try context.log("not packed: \(file.path.absolute) is a \(file.status.kindName)")
            }
        }
    }
}
