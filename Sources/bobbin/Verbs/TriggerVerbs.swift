// What this is: triggers: the watchers and webhooks of a site, and what they have done.
// Owns: the layout of the table.
// Never: starts anything.
// On failure: 65 where a file has errors.
import ArgumentParser
import BobbinDaemon
import JobModel

struct TriggersVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "triggers", abstract: "List folder watchers and webhooks, and what they have seen.",
        discussion: "  bobbin triggers\nSchedules are listed by `bobbin schedule ls`.")
    @OptionGroup var site: SiteOption
    @OptionGroup var json: JSONFlag

    func run() throws {
        let view = try TriggerView(site.open())
        if json.json { return Terminal.print(json: .list(view.rows.map(TriggersVerb.value))) }
        if view.rows.isEmpty {
            print(
                "no watchers and no webhooks: write ops/watchers.yaml or ops/webhooks.yaml (docs/TRIGGERS.md)"
            )
        } else {
            print(
                Terminal.table(
                    [["kind", "id", "looks at", "files", "pending", "fires"]]
                        + view.rows.map(TriggersVerb.cells)))
        }
        for row in view.rows where row.isEnabled {
            if let why = row.trouble { Terminal.complain(Terminal.escape("\(row.id): \(why)")) }
        }
        for (source, count) in view.unclaimed.sorted(by: { $0.key < $1.key }) {
            Terminal.complain("\(count) payloads lie in spool/events/\(source)/, and no webhook takes them")
        }
        if view.isServed == false, view.rows.contains(where: \.isEnabled) {
            Terminal.complain("nobody serves them: start with `bobbin up`")
        }
    }

    private static func cells(_ row: TriggerView.Row) -> [String] {
        let pending = row.waiting.map(String.init) ?? row.noted["pending"]?.text ?? "·"
        return [
            row.kind.rawValue, row.id, Terminal.escape(row.place), row.noted["files"]?.text ?? "·",
            row.isEnabled ? pending : "disabled", row.noted["fires"]?.text ?? "·",
        ]
    }
    private static func value(_ row: TriggerView.Row) -> Value {
        .map([
            "kind": .string(row.kind.rawValue), "id": .string(row.id), "place": .string(row.place),
            "enabled": .bool(row.isEnabled), "template": .string(row.template), "noted": .map(row.noted),
            "waiting": row.waiting.map(Value.int) ?? .null, "trouble": row.trouble.map(Value.string) ?? .null,
        ])
    }
}
