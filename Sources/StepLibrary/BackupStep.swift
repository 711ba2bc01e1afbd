// What this is: the steps `backup` (a bundle of the site, made and proved; old ones go) and `backup_drill` (the newest, tried).
// Owns: their table entries.
// Never: packs (the roof does, through a port); makes a bundle for somebody else's step: it has everybody's files in it.
// On failure: E-BACKUP with the sentence of `bobbin backup create`; the bundles of before are there.
import JobModel
import LinuxSystem

public struct BackupRequest: Sendable {
    public var site: String
    /// Classes; empty: everything.
    public var only: [String]
    public var prune: Bool
    public var isIncrement: Bool
    public var unlessSame: Bool
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
            Parameter(
                "increment", .flag, default: .bool(false),
                "only what the newest bundle of these classes that stands alone does not have, if it is young enough (`full_every`)"
            ),
            Parameter(
                "unless_same", .flag, default: .bool(false),
                "make none where the newest bundle of these classes has the same files"),
        ],
        outputs: [
            ("path", "the bundle"), ("id", "its id"), ("files", "how many are in it"), ("bytes", "unpacked"),
            ("packed_bytes", "the bundle's size"), ("in_flight", "runs that had not ended"),
            ("left_out", "files that are not in it, with the reason"),
            ("pruned", "names of bundles that went"),
            ("base", "the bundle on which it stands; null: it stands alone"),
            ("same", "whether it was there before, and has the same files"),
        ],
        example: "backup: {prune: true}", effect: .writesFiles)
    var type: StepType { BackupStep.table }
    let make: @Sendable (BackupRequest) throws(Failure) -> ValueMap

    func perform(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) -> ValueMap {
        try context.checkIsSiteOwn("a bundle has everybody's files in it")
        try context.checkpoint()
        return try make(
            BackupRequest(
                site: context.baseDirectory, only: (arguments["only"]?.listValue ?? []).map(\.text),
                prune: arguments.flag("prune"), isIncrement: arguments.flag("increment"),
                unlessSame: arguments.flag("unless_same")))
    }
}

struct BackupDrillStep: StepAction {
    static let table = StepType(
        "backup_drill",
        "Brings the newest bundle back into a scratch site, runs a job there, and removes it, as `bobbin backup drill` does.",
        parameters: [Parameter("path", .text, "the bundle; absent: the newest of the site")],
        outputs: [
            ("path", "the bundle"), ("files", "how many came back"),
            ("restore_seconds", "until the site was in its place"),
            ("recovery_seconds", "until the job had run"),
        ],
        example: "backup_drill: {}", effect: .writesFiles)
    var type: StepType { BackupDrillStep.table }
    let drill: @Sendable (_ site: String, _ path: String?) throws(Failure) -> ValueMap

    func perform(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) -> ValueMap {
        try context.checkIsSiteOwn("a bundle has everybody's files in it")
        try context.checkpoint()
        return try drill(context.baseDirectory, arguments.optionalText("path"))
    }
}
