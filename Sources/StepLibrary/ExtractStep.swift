// What this is: the step `extract`: an archive into a new directory.
// Owns: its table entry, what an entry may be called, the limits against archives that blow up.
// Never: writes outside of the new directory, makes links or devices; shows a half directory under the final name.
// On failure: E-ARCHIVE-…; nothing stays of what was unpacked.
import JobModel
import LinuxSystem

struct ExtractStep: StepAction {
    let extract: @Sendable (ExtractRequest) throws(Failure) -> Void
    static let table = StepType(
        "extract", "Unpacks an archive (zip, tar, tar.gz, .bz2, .xz, .zst) into a new directory.",
        parameters: [
            Parameter("archive", .text, required: true, "the file"),
            Parameter(
                "dest", .text, required: true, "the directory to make; one that is empty is taken, too"),
            Parameter("max_bytes", .size, default: .string("1GiB"), "what comes out may not be larger"),
            Parameter("max_files", .integer, default: .int(10_000), range: 1...1_000_000, "nor more"),
            Parameter(
                "links", .choice(["fail", "skip"]), default: .string("fail"),
                "links and devices in the archive: an error, or left out"),
        ],
        outputs: [
            ("path", "the absolute path of the directory"), ("count", "how many files"),
            ("bytes", "their size"), ("files", "the absolute paths, in the order of the archive"),
            ("skipped", "how many links were left out"),
        ],
        example: "extract: {archive: in/delivery.zip, dest: work/delivery}", effect: .writesFiles)
    var type: StepType { ExtractStep.table }

    func perform(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) -> ValueMap {
        let archive = try SourceFile(reading: SitePath(arguments.text("archive"), context))
        let dest = try SitePath(arguments.text("dest"), context).named()
        let directories = try OpenDirectories(context)
        _ = try directories.made(dest.parent)
        let parent = try directories.writable(dest)
        let part = TemporaryName.of(dest.name, context)
        let receipt = "\(RunFile.label(context)).extracted"
        if context.isRerun, let known = try RunFile.read(receipt, context),
            let outputs = try? JSONReader.read(Array(known.utf8)).mapValue,
            try ExtractStep.identity(dest.name, in: parent) == outputs["identity"]?.text
        {
            return try ExtractStep.answer(outputs, dest).withinLimit(instead: "unpack fewer files at once")
        }
        try ExtractStep.makeRoom(dest, in: parent)
        try ExtractStep.clear(part, in: parent)
        var whole = false
        defer {
            // The failure that brought us here is what counts.
            if !whole { try? ExtractStep.clear(part, in: parent) }
        }
        let root = try onDisk("make \(dest.absolute)") { () throws(SystemError) in
            try parent.makeDirectory(part)
        }
        let unpacking = Unpacking(root, arguments, context)
        try extract(
            ExtractRequest(
                archive: archive.file,
                entry: { (entry) throws(Failure) in try unpacking.begin(entry) },
                piece: { (piece) throws(Failure) in try unpacking.take(piece) }))
        try unpacking.finish()
        var outputs = unpacking.outputs
        outputs["identity"] = .string(try ExtractStep.identity(part, in: parent) ?? "")
        try RunFile.write(receipt, JSONText.write(.map(outputs)), context)
        try onDisk("make \(dest.absolute)") { () throws(SystemError) in
            try root.syncFileSystem()
            do throws(SystemError) { try parent.removeDirectory(dest.name) } catch  where error.isMissing {}
            try parent.rename(part, to: parent, dest.name)
            try parent.sync()
        }
        whole = true
        return try ExtractStep.answer(outputs, dest).withinLimit(instead: "unpack fewer files at once")
    }

    private static func answer(_ known: ValueMap, _ dest: SitePath) -> ValueMap {
        [
            "path": .string(dest.absolute), "count": known["count"] ?? .int(0),
            "bytes": known["bytes"] ?? .int(0),
            "files": .texts(known.texts("names").map { dest.appending($0).absolute }),
            "skipped": known["skipped"] ?? .int(0),
        ]
    }
    private static func identity(_ name: String, in parent: Directory) throws(Failure) -> String? {
        try onDisk("look at \(name)") { () throws(SystemError) in
            try parent.statusIfPresent(name).map { "\($0.inode)-\($0.birth)" }
        }
    }

    private static func makeRoom(_ dest: SitePath, in parent: Directory) throws(Failure) {
        let isFree = try onDisk("look at \(dest.absolute)") { () throws(SystemError) -> Bool in
            guard let status = try parent.statusIfPresent(dest.name) else { return true }
            return status.kind == .directory ? try parent.directory(dest.name).names().isEmpty : false
        }
        guard isFree else {
            throw Failure(
                "E-FILE-EXISTS", "\(dest.absolute) exists already, and is no empty directory",
                whatToDo: "remove it or choose another `dest`")
        }
    }

    /// Removes what an earlier start left, and all below it.
    static func clear(_ name: String, in parent: Directory) throws(Failure) {
        try onDisk("remove \(parent.path)/\(name)") { () throws(SystemError) in try empty(name, in: parent) }
    }
    private static func empty(_ name: String, in parent: Directory) throws(SystemError) {
        guard let status = try parent.statusIfPresent(name) else { return }
        guard status.kind == .directory else { return try parent.remove(name) }
        let directory = try parent.directory(name)
        for inner in try directory.names() { try empty(inner, in: directory) }
        try parent.removeDirectory(name)
    }
}

/// The files of one archive on their way into a directory of their own.
private final class Unpacking {
    private let root: Directory
    private let mostBytes: Int
    private let mostFiles: Int
    private let skipsLinks: Bool
    private let context: any StepContext
    private var folders: [String: Directory] = [:]
    private var open: (file: OpenFile, name: String, modified: Int64)?
    private var names: [String] = []
    private var bytes = 0
    private var skipped = 0
    private var entries = 0

    init(_ root: Directory, _ arguments: ValueMap, _ context: any StepContext) {
        self.root = root
        self.context = context
        mostBytes = arguments.bytes("max_bytes")
        mostFiles = arguments.integer("max_files")
        skipsLinks = arguments.text("links") == "skip"
    }

    var outputs: ValueMap {
        [
            "count": .int(names.count), "bytes": .int(bytes), "names": .texts(names),
            "skipped": .int(skipped),
        ]
    }

    func begin(_ entry: ExtractRequest.Entry) throws(Failure) {
        try finish()
        try context.checkpoint()
        entries += 1
        guard entries <= mostFiles else {
            throw Failure(
                "E-ARCHIVE-SIZE", "the archive has more than \(mostFiles) entries",
                whatToDo: "raise `max_files` if it is meant to", retry: .never)
        }
        let parts = try Unpacking.parts(entry.name)
        switch entry.kind {
        case .directory: _ = try folder(parts)
        case .file: try make(parts, entry)
        case .other(let kind):
            guard skipsLinks else {
                throw Failure(
                    "E-ARCHIVE-ENTRY", "`\(entry.name.prefix(200))` in the archive is a \(kind)",
                    whatToDo: "leave such entries out with `links: skip`", retry: .never)
            }
            try context.log("left out: \(entry.name) (\(kind))")
            skipped += 1
        }
    }

    private func make(_ parts: [String], _ entry: ExtractRequest.Entry) throws(Failure) {
        guard let last = parts.last else { throw Unpacking.refusal(entry.name) }
        let folder = try folder(parts.dropLast())
        let name = parts.joined(separator: "/")
        do {
            // No set-uid, nothing that others may write.
            let file = try folder.create(last, mode: entry.mode & 0o100 != 0 ? 0o755 : 0o644)
            open = (file, name, entry.modified)
        } catch {
            guard error.isExisting else { throw Failure(cannot: "write \(name)", error) }
            throw Failure(
                "E-ARCHIVE-ENTRY", "the archive has two entries named `\(name.prefix(200))`", retry: .never)
        }
        names.append(name)
    }

    private func folder(_ parts: [String]) throws(Failure) -> Directory {
        var (directory, path) = (root, "")
        for part in parts {
            path += "/" + part
            if let known = folders[path] {
                directory = known
                continue
            }
            directory = try onDisk("make \(path.dropFirst())") { [directory] () throws(SystemError) in
                try directory.makeDirectory(part)
            }
            if folders.count > 200 { folders.removeAll() }
            folders[path] = directory
        }
        return directory
    }

    func take(_ piece: UnsafeRawBufferPointer) throws(Failure) {
        guard let open else { return }
        bytes += piece.count
        guard bytes <= mostBytes else {
            throw Failure(
                "E-ARCHIVE-SIZE", "what is in the archive has more than \(mostBytes) bytes",
                whatToDo: "raise `max_bytes` if it is meant to", retry: .never)
        }
        try onDisk("write \(open.name)") { () throws(SystemError) in try open.file.append(Array(piece)) }
        try context.checkpoint()
    }

    /// The entry in hand has all its bytes.
    func finish() throws(Failure) {
        guard let open else { return }
        if open.modified > 0 {
            try onDisk("write \(open.name)") { () throws(SystemError) in
                try open.file.setModified(open.modified)
            }
        }
        self.open = nil
    }

    /// Relative, without `..`, each part a name that this system has.
    private static func parts(_ name: String) throws(Failure) -> [String] {
        var parts = name.parts(at: "/", keepingEmpty: true)
        if parts.last == "" { parts.removeLast() }
        parts.removeAll { $0 == "." }
        let isLegal = parts.allSatisfy {
            !$0.isEmpty && $0 != ".." && $0.utf8.count <= 255 && !$0.has("\\") && !$0.utf8.contains(0)
        }
        guard isLegal, !parts.isEmpty || name == "./" || name == ".", parts.count <= 64 else {
            throw refusal(name)
        }
        return parts
    }
    private static func refusal(_ name: String) -> Failure {
        Failure(
            "E-ARCHIVE-ENTRY", "`\(name.prefix(200))` in the archive would lie outside of its directory",
            whatToDo: "such an archive was made by mistake, or to do harm", retry: .never)
    }
}
