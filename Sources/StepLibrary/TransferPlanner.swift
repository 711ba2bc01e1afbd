// What this is: the checks before copy_to, move_to and rename, which end in a plan or in a refusal.
// Owns: collisions (`fail`, `suffix`, `overwrite`) and the question whether a source is a plain file.
// Never: touches a file.
// On failure: E-FILE-EXISTS, E-FILE-KIND, E-FILE-MISSING before anything was changed.
import JobModel
import LinuxSystem

enum Collision: String, CaseIterable {
    case fail, suffix, overwrite

    static let parameter = Parameter(
        "collision", .choice(allCases.map(\.rawValue)), default: .string("fail"),
        "when a name is taken: fail before any file is touched, add _1, _2 … or replace the file there")
    init(_ arguments: ValueMap) { self = Collision(rawValue: arguments.text("collision")) ?? .fail }
}

struct TransferPlanner {
    let step: String
    let collision: Collision
    let directories: OpenDirectories
    private var pairs: [TransferPair] = []
    private var sources: Set<Place> = []
    private var targets: Set<Place> = []

    /// A name in a directory, however the directory was spelled.
    private struct Place: Hashable {
        var directory: FileIdentity
        var name: String
    }

    init(_ step: String, _ collision: Collision, _ directories: OpenDirectories) {
        self.step = step
        self.collision = collision
        self.directories = directories
    }

    /// Adds one file; a file named twice counts once.
    mutating func add(_ source: SitePath, to wanted: SitePath) throws(Failure) {
        let from = try place(source)
        guard sources.insert(from).inserted else { return }
        let status = try self.status(source)
        // What is already where it should be stays; a copy onto itself is a collision like any other.
        let destination = try place(wanted)
        let stays = step != "copy_to" && destination == from
        let target = stays ? source : try free(wanted)
        if !stays { targets.insert(try place(target)) }
        pairs.append(
            TransferPair(source: source, target: target, size: status.size, modified: status.modified))
    }

    /// The plan, unless one file would be replaced by another before its own turn.
    func plan() throws(Failure) -> TransferPlan {
        guard let both = targets.intersection(sources).first else { return TransferPlan(pairs: pairs) }
        throw Failure(
            "E-FILE-EXISTS",
            "\(both.name) is both one of the files and the new name of another; no file was touched",
            whatToDo: "do it in two steps, or use `collision: suffix`", retry: .never)
    }

    private func place(_ path: SitePath) throws(Failure) -> Place {
        let directory = try directories.existing(path.parent)
        let identity = try onDisk("look at \(path.parent.absolute)") { () throws(SystemError) in
            try directory.status().identity
        }
        return Place(directory: identity, name: path.name)
    }

    private func status(_ source: SitePath) throws(Failure) -> FileStatus {
        let directory =
            try step == "copy_to" ? directories.existing(source.parent) : directories.writable(source)
        let status = try onDisk("\(step) \(source.absolute)") { () throws(SystemError) in
            try directory.status(source.name)
        }
        guard status.kind == .regular else {
            let advice =
                status.kind == .directory
                ? "\(step) takes files: pack a directory with zip_folder, or name the files with find_files"
                : "links are not followed; name the file itself"
            throw Failure("E-FILE-KIND", "\(source.absolute) is a \(status.kindName)", whatToDo: advice)
        }
        return status
    }

    /// `wanted`, or with `suffix` the next free name beside it.
    private func free(_ wanted: SitePath) throws(Failure) -> SitePath {
        let directory = try directories.writable(wanted)
        let isPromised = try targets.contains(place(wanted))
        if isPromised, collision != .suffix {
            throw Failure(
                "E-FILE-EXISTS", "two of the files would become \(wanted.absolute)",
                whatToDo: "use `collision: suffix`, or another destination for one of them", retry: .never)
        }
        let there = try present(wanted, directory)
        guard there != nil || isPromised else { return wanted }
        switch collision {
        case .fail:
            throw Failure(
                "E-FILE-EXISTS", "\(wanted.absolute) exists already; no file was touched",
                whatToDo: "remove it, or set `collision: suffix` or `overwrite`")
        case .overwrite:
            guard there?.kind == .regular else {
                throw Failure(
                    "E-FILE-KIND", "\(wanted.absolute) is a \(there?.kindName ?? "") and is not replaced")
            }
            return wanted
        case .suffix: return try numbered(wanted, directory)
        }
    }

    private func numbered(_ wanted: SitePath, _ directory: Directory) throws(Failure) -> SitePath {
        let name = FileName(wanted.name)
        for number in 1...9999 {
            let candidate = wanted.parent.appending(name.numbered(number))
            if try targets.contains(place(candidate)) { continue }
            if try present(candidate, directory) == nil { return candidate }
        }
        throw Failure(
            "E-FILE-EXISTS", "\(wanted.absolute) and 9999 numbered names are taken", whatToDo: "tidy up there"
        )
    }

    private func present(_ path: SitePath, _ directory: Directory) throws(Failure) -> FileStatus? {
        try onDisk("look at \(path.absolute)") { () throws(SystemError) in
            try directory.statusIfPresent(path.name)
        }
    }
}
