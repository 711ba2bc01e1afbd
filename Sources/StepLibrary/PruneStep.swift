// What this is: the step `prune`: the site's own clean-up, by ops/retention.yaml.
// Owns: its table entry.
// Never: removes (the roof does, through a port); cleans up for somebody else's step: it is everybody's files.
// On failure: E-BUSY while a bundle is made; what is gone is gone, the next one does the rest.
import JobModel

struct PruneStep: StepAction {
    static let table = StepType(
        "prune",
        "Lets old files of the site go and packs old days, by ops/retention.yaml, as `bobbin prune` does.",
        parameters: [
            Parameter(
                "only", .texts, default: .list([]), "classes of files (docs/RETENTION.md); absent: everything"
            )
        ],
        outputs: [
            ("files", "how many went"), ("bytes", "how much they had"),
            ("went", "of each class, how many runs, drops or files"),
            ("packed_runs", "how many runs were packed"), ("packed", "the files they are in now"),
            ("left", "what could not be done, each with its reason"),
        ],
        example: "prune: {only: [rejected, answered]}", effect: .writesFiles)
    var type: StepType { PruneStep.table }
    let prune:
        @Sendable (_ site: String, _ only: [String], _ checkpoint: () throws(Failure) -> Void) throws(Failure)
            -> ValueMap

    func perform(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) -> ValueMap {
        try context.checkIsSiteOwn("these are everybody's files")
        return try prune(
            context.baseDirectory, (arguments["only"]?.listValue ?? []).map(\.text)
        ) { () throws(Failure) in try context.checkpoint() }
    }
}
