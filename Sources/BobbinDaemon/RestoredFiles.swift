// What this is: the files beside the spool that a restore puts back behind its exchange, and single files on a site that works.
// Owns: the list of what is left to do, in the restored spool until it is done; the second names of what was there before.
// Never: takes the only name of a file; puts an older audit log over a newer one.
// On failure: SystemError; done again, it goes on where it was.
import Bundles
import JobModel
import LinuxSystem
import SpoolQueue

struct RestoredFiles {
    private static let name = SpoolName.restoreRest
    /// The directory with what was staged, and what it is called once all is done; both in the site.
    var stage: String
    var kept: String
    var files: [String]

    func write(_ state: Directory) throws {
        let text = JSONText.write(
            .map(["stage": .string(stage), "kept": .string(kept), "files": .list(files.map(Value.string))]))
        try state.create(RestoredFiles.name, mode: 0o600).append(Array((text + "\n").utf8))
    }
    /// Each file once more where it was cut off: what is moved already is not there any more.
    @discardableResult
    static func finish(_ site: Directory) throws -> Bool {
        let state = try site.directory("\(SpoolName.spool)/\(SpoolName.state)")
        guard try state.statusIfPresent(name) != nil else { return false }
        let bytes = try state.openForReading(name).readToEnd(limit: 1 << 30)
        guard let map = (try? JSONReader.read(bytes))?.mapValue, let stage = map["stage"]?.stringValue,
            let kept = map["kept"]?.stringValue, let files = map["files"]?.listValue
        else {
            throw BundleProblem(
                "E-RESTORE", "\(state.path)/\(name) cannot be read",
                whatToDo:
                    "The spool is the restored one. Put the files of ops/, templates/ and secrets/ back by hand from \(Restore.stagePrefix)… or \(Restore.keptPrefix)… beside it, then remove it."
            )
        }
        // From here on it has what was there before, and a name that says so.
        if try site.statusIfPresent(stage) != nil { try site.rename(stage, to: site, kept) }
        if try site.statusIfPresent(kept) != nil {
            let stage = try site.directory(kept)
            for file in files {
                try put(file.text, from: stage, to: site)
            }
            try site.syncFileSystem()
        }
        try state.remove(name)
        try state.sync()
        try tidy(kept, in: site, hasOldSpool: true)
        return true
    }
    /// What stands in the way of these files; better known before anything is changed.
    static func check(_ paths: [String], in site: Directory) throws {
        var folders: Set<String> = []
        for path in paths {
            let (folder, name) = BundlePath.split(path)
            if folders.insert(folder).inserted { try checkFolder(folder, in: site) }
            guard let status = try site.statusIfPresent(path), status.kind != .regular else { continue }
            throw inTheWay("\(folder)/\(name)", status.kindName)
        }
    }
    private static func checkFolder(_ path: String, in site: Directory) throws {
        var directory = site, sofar = ""
        for part in path.split(separator: "/").map(String.init) {
            sofar += (sofar.isEmpty ? "" : "/") + part
            guard let status = try directory.statusIfPresent(part) else { break }
            guard status.kind == .directory else { throw inTheWay(sofar, status.kindName) }
            directory = try directory.directory(part)
        }
        guard directory.isWritable else {
            throw BundleProblem(
                "E-RESTORE", "\(directory.path) may not be written by this account",
                whatToDo: "Nothing was changed.")
        }
    }
    private static func inTheWay(_ path: String, _ kind: String) -> BundleProblem {
        BundleProblem(
            "E-RESTORE",
            "\(BundleProblem.shown(path)) of the site is a \(kind), and the bundle has something else there",
            whatToDo: "Move it away, or leave it out (--only). Nothing was changed.")
    }
    /// Puts one file in its place at once; what was there has a second name by then. Done again, it changes nothing: what was
    /// put is not in the stage any more.
    static func put(_ path: String, from stage: Directory, to site: Directory) throws {
        let (folder, name) = BundlePath.split(path)
        let source = try make(folder, in: stage)
        guard try source.statusIfPresent(name) != nil else { return }
        let target = try make(folder, in: site, as: stage)
        guard let old = try target.statusIfPresent(name) else {
            return try source.rename(name, to: target, name)
        }
        // What is only appended to knows more where it is, and may be held open by somebody who writes on.
        guard !BundlePlan.isGrowing(path), old.kind == .regular else { return }
        let kept = try make("\(was)/\(folder)", in: stage)
        if try kept.statusIfPresent(name) == nil { try target.link(name, to: kept, name) }
        try source.renameReplacing(name, to: target, name)
    }
    /// In the end there is only what was there before, under its own names. Cut off here, it is only less tidy.
    /// `hasOldSpool`: `spool` there is the one of before, however damaged, and not what was staged.
    static func tidy(_ kept: String, in site: Directory, hasOldSpool: Bool) throws {
        guard try site.statusIfPresent(kept) != nil else { return }
        let folder = try site.directory(kept)
        for name in try folder.names() where name != was && !(name == SpoolName.spool && hasOldSpool) {
            try folder.removeTree(name)
        }
        guard try folder.statusIfPresent(was) != nil else { return }
        let before = try folder.directory(was)
        for name in try before.names() { try before.rename(name, to: folder, name) }
        try folder.removeDirectory(was)
    }
    /// What files beside the spool were before.
    private static let was = "was"
    /// `model`: where a directory of that path has the mode that a new one gets.
    private static func make(_ path: String, in root: Directory, as model: Directory? = nil) throws
        -> Directory
    {
        var directory = root, sofar = ""
        for part in path.split(separator: "/") {
            sofar += (sofar.isEmpty ? "" : "/") + part
            let mode = try model?.statusIfPresent(sofar)?.mode ?? (part == SpoolName.secrets ? 0o700 : 0o755)
            directory = try directory.makeDirectory(String(part), mode: mode & 0o777)
        }
        return directory
    }
}
