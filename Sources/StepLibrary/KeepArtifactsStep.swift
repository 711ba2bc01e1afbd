// What this is: the step `keep_artifacts`, which `artifacts:` of a job is: copies of files that stay with the run.
// Owns: its table entry, the names in the run's artifacts/, the limits.
// Never: follows a link at the end of a path; changes the files themselves.
// On failure: E-FILE-MISSING where a file is not there (unless `missing: skip`), E-ARTIFACT-SIZE.
import JobModel
import LinuxSystem

struct KeepArtifactsStep: StepAction {
    static let folder = "artifacts"
    static let table = StepType(
        "keep_artifacts", "Keeps copies of files with the run, and lists them in its result.",
        parameters: [
            Parameter("paths", .texts, required: true, "files; the last part may be a pattern (*.pdf)"),
            Parameter(
                "missing", .choice(["fail", "skip"]), default: .string("fail"),
                "a file, or a match of a pattern, that is not there"),
            Parameter("max_bytes", .size, default: .string("256MiB"), "all together may not be larger"),
        ],
        shorthand: "paths",
        outputs: [
            ("files", "for each: name, path of the copy, file (in the run's directory), bytes, sha256"),
            ("count", "how many"),
            ("bytes", "their size"), ("missing", "what was not there"),
        ],
        example: "keep_artifacts: [out/*.pdf, out/summary.txt]", effect: .writesFiles)
    var type: StepType { KeepArtifactsStep.table }

    func perform(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) -> ValueMap {
        var (files, missing): ([Value], [String]) = ([], [])
        var total = 0
        var names: Set<String> = []
        let limit = arguments.bytes("max_bytes")
        for text in arguments.texts("paths") {
            let found = try matches(SitePath(text, context).named())
            if found.isEmpty {
                guard arguments.text("missing") == "skip" else {
                    throw Failure(
                        "E-FILE-MISSING", "there is no \(text) to keep",
                        whatToDo: "look at the step that should have made it, or set `missing: skip`")
                }
                try context.log("not there: \(text)")
                missing.append(text)
            }
            for path in found {
                try context.checkpoint()
                let source = try SourceFile(path.name, in: try opened(path.parent), path: path.absolute)
                total += source.status.size
                guard total <= limit, files.count < 1000 else {
                    throw Failure(
                        "E-ARTIFACT-SIZE",
                        "the artifacts are more than \(limit) bytes, or more than 1000 files",
                        whatToDo: "keep fewer, or raise `max_bytes`", retry: .never)
                }
                files.append(.map(try keep(source, as: KeepArtifactsStep.free(path.name, &names), context)))
            }
        }
        let outputs: ValueMap = [
            "files": .list(files), "count": .int(files.count), "bytes": .int(total),
            "missing": .texts(missing),
        ]
        return try outputs.withinLimit(instead: "keep an archive of them (zip_folder)")
    }

    private func opened(_ path: SitePath) throws(Failure) -> Directory {
        try onDisk("open \(path.absolute)") { () throws(SystemError) in try Directory.open(path.absolute) }
    }

    private func matches(_ path: SitePath) throws(Failure) -> [SitePath] {
        guard path.name.contains(where: { $0 == "*" || $0 == "?" }) else {
            let isThere = (try? FileStatus.of(path.absolute)) != nil  // Unreadable is told when it is opened.
            return isThere ? [path] : []
        }
        let directory: Directory
        do throws(SystemError) { directory = try Directory.open(path.parent.absolute) } catch {
            if error.isMissing { return [] }
            throw Failure(cannot: "open \(path.parent.absolute)", error)
        }
        let pattern = NamePattern(path.name)
        let names = try onDisk("read \(path.parent.absolute)") { () throws(SystemError) in
            try directory.names().filter { !$0.hasPrefix(".") && pattern.matches($0) }
        }
        // What cannot be looked at is told when it is opened.
        return names.filter { (try? directory.status($0).kind) ?? .regular == .regular }.sorted().map(
            path.parent.appending)
    }

    /// Two files of one name keep both.
    private static func free(_ name: String, _ names: inout Set<String>) -> String {
        var (free, number) = (name, 2)
        while !names.insert(free).inserted {
            free = FileName(name).numbered(number)
            number += 1
        }
        return free
    }

    private func keep(_ source: SourceFile, as name: String, _ context: any StepContext) throws(Failure)
        -> ValueMap
    {
        // A folder for each step: two steps may keep files of one name, and a rerun finds its own.
        let own = RunFile.label(context).dropFirst("step-".count)
        let path = try SitePath(context.runFile("\(KeepArtifactsStep.folder)/\(own)"), context)
        let part = TemporaryName.of(name, context)
        let directory = try onDisk("make \(path.absolute)") { () throws(SystemError) in
            try Directory.open(path.parent.parent.absolute).makeDirectory(KeepArtifactsStep.folder)
                .makeDirectory(path.name)
        }
        try TemporaryName.clear(part, directory)
        let copy = try onDisk("write \(path.absolute)/\(name)") { () throws(SystemError) in
            try directory.create(part)
        }
        var sum = RunningSum()
        let bytes = try source.forEachPiece(context) { (piece) throws(Failure) in
            sum.add(piece)
            try onDisk("write \(path.absolute)/\(name)") { () throws(SystemError) in
                try copy.append(Array(piece))
            }
        }
        try onDisk("write \(path.absolute)/\(name)") { () throws(SystemError) in
            try copy.sync()
            try directory.renameReplacing(part, to: directory, name)
            try directory.sync()
        }
        return [
            "name": .string(name), "path": .string("\(path.absolute)/\(name)"),
            "file": .string("\(KeepArtifactsStep.folder)/\(own)/\(name)"), "bytes": .int(bytes),
            "sha256": .string(sum.hex),
        ]
    }
}
