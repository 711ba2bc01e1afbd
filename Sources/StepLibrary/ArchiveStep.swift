// What this is: the step `archive`: a directory as a tar or a zip, by the ending of its name.
// Owns: its table entry and which ending is which form.
// Never: packs otherwise than zip_folder does (ArchiveCourse is the way of both).
// On failure: Failure; the archive does not get its name and every source is where it was.
import JobModel

struct ArchiveStep: StepAction {
    static let table = StepType(
        "archive",
        "Packs a directory into a tar or a zip, as zip_folder does: read back and compared before it has its name.",
        parameters: [
            Parameter(
                "folder", .text, required: true, "the directory; names in the archive are relative to it"),
            Parameter(
                "out", .text, required: true,
                "the archive: \(ArchiveForm.allCases.map(\.rawValue).joined(separator: ", "))"),
            Parameter("files", .texts, "only these, relative to the folder or absolute below it"),
            Parameter(
                "remove_sources", .flag, default: .bool(false),
                "remove what was packed; the folder itself stays"),
            Parameter(
                "verify", .flag, default: .bool(true), "compare every byte of the archive with the sources"),
            Parameter(
                "collision", .choice(["fail", "overwrite"]), default: .string("fail"),
                "when the archive exists already"),
        ],
        outputs: [
            ("archive", "its absolute path"), ("files", "how many files it holds"), ("bytes", "its size"),
            ("sha256", "its checksum"), ("removed", "how many sources were removed"),
            ("skipped", "links and special files, which are not packed; the log names them"),
        ],
        example: "archive: {folder: out/2026-11, out: \"/srv/archive/2026-11.tar.zst\"}", effect: .writesFiles
    )
    let zip: @Sendable (ZipRequest) throws(Failure) -> ZipOutcome
    var type: StepType { ArchiveStep.table }

    func perform(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) -> ValueMap {
        let text = arguments.text("out"), name = text.lowercased()
        guard let form = ArchiveForm.allCases.first(where: { name.hasSuffix($0.rawValue) }) else {
            throw .parameter(
                "`out` ends in none of \(ArchiveForm.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        return try ArchiveCourse(zip: zip, form: form).perform(arguments, to: text, context)
    }
}
