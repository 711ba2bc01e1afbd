// What this is: the step `zip_folder`.
// Owns: its table entry and the order: pack, sync, read back, compare, name, and only then remove sources.
// Never: removes a file that changed since it was packed, or one whose bytes were not found in the archive.
// On failure: Failure; the archive does not get its name and every source is where it was.
import JobModel
import LinuxSystem

struct ZipFolderStep: StepAction {
    static let table = StepType(
        "zip_folder", "Packs a directory into a zip archive and checks the archive by reading it back.",
        parameters: [
            ArchiveCourse.folder,
            Parameter("out", .text, required: true, "the archive; .zip is added where it is missing"),
        ] + ArchiveCourse.choices,
        outputs: [
            ("zip", "the archive's absolute path")
        ] + ArchiveCourse.outputs,
        example: "zip_folder: {folder: out/2026-11, out: \"/srv/archive/2026-11.zip\"}", effect: .writesFiles)
    let zip: @Sendable (ZipRequest) throws(Failure) -> ZipOutcome
    var type: StepType { ZipFolderStep.table }

    func perform(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) -> ValueMap {
        let text = arguments.text("out")
        var outputs = try ArchiveCourse(zip: zip, form: .zip).perform(
            arguments, to: text.lowercased().hasSuffix(".zip") ? text : text + ".zip", context)
        outputs["zip"] = outputs["archive"]
        outputs["archive"] = nil
        return outputs
    }
}

/// The same for every form of an archive.
struct ArchiveCourse {
    let zip: @Sendable (ZipRequest) throws(Failure) -> ZipOutcome
    let form: ArchiveForm

    static let folder = Parameter(
        "folder", .text, required: true, "the directory; names in the archive are relative to it")
    static let choices = [
        Parameter("files", .texts, "only these, relative to the folder or absolute below it"),
        Parameter(
            "remove_sources", .flag, default: .bool(false),
            "remove what was packed; the folder itself stays"),
        Parameter(
            "verify", .flag, default: .bool(true), "compare every byte of the archive with the sources"),
        Parameter(
            "collision", .choice(["fail", "overwrite"]), default: .string("fail"),
            "when the archive exists already"),
    ]
    static let outputs = [
        ("files", "how many files it holds"), ("bytes", "its size"),
        ("sha256", "its checksum"), ("removed", "how many sources were removed"),
        ("skipped", "links and special files, which are not packed; the log names them"),
    ]

    func perform(_ arguments: ValueMap, to text: String, _ context: any StepContext) throws(Failure)
        -> ValueMap
    {
        guard arguments.flag("verify") || !arguments.flag("remove_sources") else {
            throw .parameter("`remove_sources` needs `verify: true`")
        }
        let out = try SitePath(text, context).named()
        let directories = try OpenDirectories(context)
        let removal = SourceRemoval(directories: directories, context: context)
        if let receipt = try ZipReceipt.earlier(context) {
            if try receipt.isFor(out, context) { return try finish(receipt, out, removal, arguments) }
            if arguments.flag("remove_sources") { try receipt.checkNothingIsLost(out) }
        }
        let selection = try ZipSelection.read(arguments, out, context)
        let receipt = try ZipMaking(
            zip: zip, form: form, out: out, directories: directories, context: context
        )
        .perform(
            selection, verify: arguments.flag("verify"),
            replace: arguments.text("collision") == "overwrite")
        return try finish(receipt, out, removal, arguments)
    }

    private func finish(
        _ receipt: ZipReceipt, _ out: SitePath, _ removal: SourceRemoval, _ arguments: ValueMap
    ) throws(Failure) -> ValueMap {
        let removed = arguments.flag("remove_sources") ? try removal.perform(receipt) : 0
        return [
            "archive": .string(out.absolute), "files": .int(receipt.files), "bytes": .int(receipt.bytes),
            "sha256": .string(receipt.sha256), "removed": .int(removed), "skipped": .int(receipt.skipped),
        ]
    }
}

/// Writes the archive under a dot name, checks it and gives it its name.
private struct ZipMaking {
    let zip: @Sendable (ZipRequest) throws(Failure) -> ZipOutcome
    let form: ArchiveForm
    let out: SitePath
    let directories: OpenDirectories
    let context: any StepContext

    func perform(_ selection: ZipSelection, verify: Bool, replace: Bool) throws(Failure) -> ZipReceipt {
        _ = try directories.made(out.parent)
        let directory = try directories.writable(out)
        let there = try onDisk("look at \(out.absolute)") { () throws(SystemError) in
            try directory.statusIfPresent(out.name)
        }
        guard there == nil || replace && there?.kind == .regular else { throw taken }
        let temporary = TemporaryName.of(out.name, context)
        try TemporaryName.clear(temporary, directory)
        do {
            let receipt = try pack(selection, temporary, directory, verify)
            try receipt.keep(context)
            try publish(temporary, directory, replace)
            return receipt
        } catch {
            // It failed and is reported; a leftover dot file is replaced by the next try.
            try? directory.remove(temporary)
            throw error
        }
    }

    private func pack(
        _ selection: ZipSelection, _ name: String, _ directory: Directory, _ verify: Bool
    ) throws(Failure) -> ZipReceipt {
        let path = directory.path + "/" + name
        let output = try onDisk("write \(path)") { () throws(SystemError) in try directory.create(name) }
        let comparison = ZipComparison(selection.entries, context)
        let request = ZipRequest(
            form: form, entries: selection.entries, output: output, readBack: verify,
            packed: comparison.packed,
            unpacked: comparison.unpacked)
        do {
            let outcome = try zip(request)
            try onDisk("write \(path)") { () throws(SystemError) in try output.sync() }
            if verify { try comparison.check(outcome) }
        } catch {
            throw comparison.stop ?? error
        }
        let written = try SourceFile(name, in: directory, path: path)
        return ZipReceipt(
            sha256: try written.sum(.sha256, context), bytes: written.status.size, skipped: selection.skipped,
            sources: selection.sources, folders: selection.folders)
    }

    private func publish(_ temporary: String, _ directory: Directory, _ replace: Bool) throws(Failure) {
        do {
            if replace {
                try directory.renameReplacing(temporary, to: directory, out.name)
            } else {
                try directory.rename(temporary, to: directory, out.name)
            }
            try directory.sync()
        } catch {
            throw error.isExisting ? taken : Failure(cannot: "write \(out.absolute)", error)
        }
    }

    private var taken: Failure {
        Failure(
            "E-FILE-EXISTS", "\(out.absolute) exists already",
            whatToDo: "remove it, choose another name, or set `collision: overwrite`")
    }
}
