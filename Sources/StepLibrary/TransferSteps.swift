// What this is: the steps `copy_to`, `move_to` and `rename`.
// Owns: their table entries; plan first, then the transfer.
// Never: takes directories or follows links.
// On failure: before the plan nothing was touched; after it a rerun completes the plan.
import JobModel
import LinuxSystem

struct CopyToStep: StepAction {
    static let table = StepType(
        "copy_to", "Copies files into a directory, with their mode and time.",
        parameters: TransferStep.parameters,
        outputs: TransferStep.outputs,
        example: "copy_to: {files: \"{{ steps.found.files }}\", dest: /srv/archive, collision: suffix}",
        effect: .writesFiles)
    var type: StepType { CopyToStep.table }
    func perform(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) -> ValueMap {
        try TransferStep(type, keepsSource: true, arguments, context).perform()
    }
}

struct MoveToStep: StepAction {
    static let table = StepType(
        "move_to", "Moves files into a directory; the originals are gone afterwards.",
        parameters: TransferStep.parameters, outputs: TransferStep.outputs,
        example: "move_to: {files: \"{{ steps.found.files }}\", dest: \"/srv/archive/{{ date }}\"}",
        effect: .movesFiles)
    var type: StepType { MoveToStep.table }
    func perform(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) -> ValueMap {
        try TransferStep(type, keepsSource: false, arguments, context).perform()
    }
}

private struct TransferStep {
    static let parameters = [
        Parameter("files", .texts, required: true, "the files; an empty list is no error"),
        Parameter("dest", .text, required: true, "the directory they go to"),
        Collision.parameter,
        Parameter("create_dest", .flag, default: .bool(true), "make the directory where it is missing"),
    ]
    static let outputs: [(name: String, summary: String)] = [
        ("count", "how many files"), ("files", "their new paths, in the order given"),
        ("bytes", "their sizes together"),
    ]
    let type: StepType
    let keepsSource: Bool
    let arguments: ValueMap
    let context: any StepContext
    let directories: OpenDirectories
    let collision: Collision

    init(
        _ type: StepType, keepsSource: Bool, _ arguments: ValueMap, _ context: any StepContext
    ) throws(Failure) {
        self.type = type
        self.keepsSource = keepsSource
        self.arguments = arguments
        self.context = context
        directories = try OpenDirectories(context)
        collision = Collision(arguments)
    }

    func perform() throws(Failure) -> ValueMap {
        let earlier = try TransferPlan.earlier(type.name, context)
        let plan: TransferPlan
        if let earlier { plan = earlier } else { plan = try self.plan() }
        let bytes = plan.pairs.reduce(0) { $0 + $1.size }
        let outputs = try plan.outputs(["bytes": .int(bytes)])
        if earlier == nil { try plan.keep(type.name, context) }
        try FileTransfer(
            keepsSource: keepsSource, collision: collision, directories: directories, context: context
        ).perform(plan)
        return outputs
    }

    private func plan() throws(Failure) -> TransferPlan {
        let destination = try SitePath(arguments.text("dest"), context)
        let files = arguments.texts("files")
        guard !files.isEmpty else { return TransferPlan(pairs: []) }
        if arguments.flag("create_dest") { _ = try directories.made(destination) }
        var planner = TransferPlanner(type.name, collision, directories)
        for file in files {
            try context.checkpoint()
            let source = try SitePath(file, context).named()
            try planner.add(source, to: destination.appending(source.name))
        }
        return try planner.plan()
    }
}

struct RenameStep: StepAction {
    static let table = StepType(
        "rename", "Gives files new names in their directories, by a rule with placeholders in single braces.",
        parameters: [
            Parameter("files", .texts, required: true, "the files; an empty list is no error"),
            Parameter("rule", .text, required: true, RenameRule.summary),
            Collision.parameter,
        ],
        outputs: [
            ("count", "how many files"), ("files", "their paths afterwards, in the order given"),
            ("renamed", "list of {from, to} of those whose name changed"),
        ],
        example: "rename: {files: \"{{ steps.found.files }}\", rule: \"{date}_{index:3}_{basename}\"}",
        effect: .movesFiles)
    var type: StepType { RenameStep.table }

    func perform(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) -> ValueMap {
        let directories = try OpenDirectories(context)
        let collision = Collision(arguments)
        let earlier = try TransferPlan.earlier(type.name, context)
        let plan: TransferPlan
        if let earlier {
            plan = earlier
        } else {
            plan = try self.plan(arguments, collision, directories, context)
        }
        let renamed = plan.pairs.filter { $0.source != $0.target }.map { pair in
            Value.map(["from": .string(pair.source.absolute), "to": .string(pair.target.absolute)])
        }
        let outputs = try plan.outputs(["renamed": .list(renamed)])
        if earlier == nil { try plan.keep(type.name, context) }
        try FileTransfer(keepsSource: false, collision: collision, directories: directories, context: context)
            .perform(plan)
        return outputs
    }

    private func plan(
        _ arguments: ValueMap, _ collision: Collision, _ directories: OpenDirectories,
        _ context: any StepContext
    ) throws(Failure) -> TransferPlan {
        let now = Timestamp(nanoseconds: Clocks.wall)
        let date = now.civil(
            offsetSeconds: Clocks.zoneOffset(atSeconds: now.seconds), withMilliseconds: false
        ).prefix(10)
        let rule = try RenameRule(arguments.text("rule"), date: String(date))
        var planner = TransferPlanner(type.name, collision, directories)
        for (index, file) in arguments.texts("files").enumerated() {
            try context.checkpoint()
            let source = try SitePath(file, context).named()
            try planner.add(
                source, to: source.parent.appending(rule.name(for: source.name, index: index + 1)))
        }
        return try planner.plan()
    }
}

extension TransferPlan {
    /// What later steps see; asked before the first file is touched, since it may be too much.
    fileprivate func outputs(_ more: ValueMap) throws(Failure) -> ValueMap {
        var outputs: ValueMap = ["count": .int(pairs.count), "files": .texts(pairs.map(\.target.absolute))]
        outputs.merge(more)
        return try outputs.withinLimit(instead: "take fewer files at a time (`limit` of find_files)")
    }
}
