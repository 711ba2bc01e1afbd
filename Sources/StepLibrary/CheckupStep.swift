// What this is: the step `checkup`: the site's daily, weekly or monthly check, as a text.
// Owns: its table entry.
// Never: looks (the roof does, through a port); tells somebody else's step what only the site's own account may read.
// On failure: what cannot be looked at is an open item of the list.
import JobModel

struct CheckupStep: StepAction {
    static let table = StepType(
        "checkup",
        "Looks the site through: health, failed runs, schedules, room, bundles; weekly the drill and the trend, monthly secrets and what is done by hand.",
        parameters: [
            Parameter(
                "list", .choice(["daily", "weekly", "monthly"]), default: .string("daily"), "how much of it")
        ],
        outputs: [
            ("text", "the list, as Markdown"), ("open", "how many items need somebody"),
            ("items", "how many there are"),
        ],
        example: "checkup: {list: weekly}", effect: .none)
    var type: StepType { CheckupStep.table }
    let look: @Sendable (_ site: String, _ list: String) throws(Failure) -> ValueMap

    func perform(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) -> ValueMap {
        try context.checkIsSiteOwn("the check tells of everybody's runs")
        try context.checkpoint()
        return try look(context.baseDirectory, arguments.text("list"))
    }
}
