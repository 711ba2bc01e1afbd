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
            ArchiveCourse.folder,
            Parameter(
                "out", .text, required: true,
                "the archive: \(ArchiveForm.allCases.map(\.rawValue).joined(separator: ", "))"),
        ] + ArchiveCourse.choices,
        outputs: [
            ("archive", "its absolute path")
        ] + ArchiveCourse.outputs,
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
