// What this is: the step `backup`: a bundle of the site, made and proved, then those let go that the rules do not keep.
// Owns: its table entry.
// Never: packs (the roof does, through a port); makes a bundle for somebody else's step: it has everybody's files in it.
// On failure: E-BACKUP with the sentence of `bobbin backup create`; the bundles of before are there.
import JobModel
import LinuxSystem

public struct BackupRequest: Sendable {
    public var site: String
    /// Classes; empty: everything.
    public var only: [String]
    public var prune: Bool
}

struct BackupStep: StepAction {
    static let table = StepType(
        "backup",
        "Makes a bundle of the site as `bobbin backup create` does, by ops/backup.yaml, and lets old ones go.",
        parameters: [
            Parameter(
                "only", .texts, default: .list([]), "classes of files (docs/BACKUP.md); absent: everything"),
            Parameter(
                "prune", .flag, default: .bool(true),
                "let those go that `keep` of ops/backup.yaml does not keep"),
        ],
        outputs: [
            ("path", "the bundle"), ("id", "its id"), ("files", "how many are in it"), ("bytes", "unpacked"),
            ("packed_bytes", "the bundle's size"), ("in_flight", "runs that had not ended"),
            ("left_out", "files that are not in it, with the reason"),
            ("pruned", "names of bundles that went"),
        ],
        example: "backup: {prune: true}", effect: .writesFiles)
    var type: StepType { BackupStep.table }
    let make: @Sendable (BackupRequest) throws(Failure) -> ValueMap

    func perform(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) -> ValueMap {
        guard !context.actsForAnother else {
            throw Failure(
                "E-ACCESS", "a bundle has everybody's files in it, and this step acts for one of them",
                whatToDo: "let a schedule of the site drop this job", retry: .never)
        }
        try context.checkpoint()
        return try make(
            BackupRequest(
                site: context.baseDirectory, only: (arguments["only"]?.listValue ?? []).map(\.text),
                prune: arguments.flag("prune")))
    }
}
