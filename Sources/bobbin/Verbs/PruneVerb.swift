// What this is: prune: old files go, old days become one file each, by ops/retention.yaml.
// Owns: what is told about it, before and after.
// Never: asks; `--dry-run` says the same and does nothing.
// On failure: 69 while a bundle is made; else what failed, and the next one does the rest.
import ArgumentParser
import BobbinDaemon
import JobModel
import SpoolQueue
import YamlText

struct PruneVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prune",
        abstract: "Let old files go and pack old days, by ops/retention.yaml.",
        discussion: """
              bobbin prune --dry-run                what these rules would do now
              bobbin prune --dry-run --files        the same, file by file
              bobbin prune --only rejected          one class of files; nothing is packed
            What is in flight is not touched. Packed runs are found by show, log and requeue as before.
            """)
    @Flag(name: .customLong("dry-run"), help: "Say what would go, and change nothing.") var dryRun = false
    @Option(
        help: ArgumentHelp(
            "Only this class: \(RetentionClass.allCases.map(\.rawValue).joined(separator: ", ")) (again for more).",
            valueName: "class")) var only: [String] = []
    @Flag(help: "Name each file.") var files = false
    @OptionGroup var site: SiteOption
    @OptionGroup var json: JSONFlag

    private func kinds() throws -> Set<RetentionClass> {
        guard !only.isEmpty else { return Set(RetentionClass.allCases) }
        return try Set(
            only.map { word in
                if let kind = RetentionClass(rawValue: word) { return kind }
                let known = RetentionClass.allCases.map(\.rawValue)
                let near = NearestName.find(word, in: known).map { "; did you mean \($0)?" } ?? ""
                throw ValidationError("--only \(word): one of \(known.joined(separator: ", "))\(near)")
            })
    }
    func validate() throws { _ = try kinds() }

    func run() throws {
        let site = try self.site.openOwn()
        let prune = try dryRun ? Prune(site, only: kinds()) : Prune.perform(site, only: kinds())
        if json.json { return Terminal.print(json: .map(fields(prune))) }
        for going in prune.retention.going {
            print(
                "\(dryRun ? "goes" : "went")  \(going.kind.rawValue): \(going.count) in \(going.files) files, \(BackupText.size(going.bytes)), \(going.why)"
            )
            if files { for path in going.paths { print("  \(Terminal.escape(path))") } }
        }
        if dryRun {
            for day in prune.packing.days {
                print("packs  \(Terminal.escape(day.place)): \(day.runs) runs of \(day.day)")
            }
        }
        for file in prune.packed.files { print("packed  \(Terminal.escape(file))") }
        if let log = prune.log { print("log  set aside as spool/\(SpoolName.log)/\(log)") }
        for trouble in prune.retention.troubled { Terminal.complain("left: \(Terminal.escape(trouble))") }
        let isIdle = dryRun ? prune.packing.days.isEmpty : prune.packed.files.isEmpty
        if prune.retention.going.isEmpty, isIdle, prune.log == nil, prune.retention.troubled.isEmpty {
            print("nothing to do: all is within \(RetentionFile.path)")
        }
    }
    private func fields(_ prune: Prune) -> ValueMap {
        var fields = prune.fields
        fields["dry_run"] = .bool(dryRun)
        fields["goes"] = .list(
            prune.retention.going.map {
                .map([
                    "class": .string($0.kind.rawValue), "why": .string($0.why), "count": .int($0.count),
                    "files": .int($0.files), "bytes": .int($0.bytes),
                    "paths": .list($0.paths.map(Value.string)),
                ])
            })
        fields["packs"] = .list(
            prune.packing.days.map {
                .map(["place": .string($0.place), "day": .string($0.day), "runs": .int($0.runs)])
            })
        fields["log"] = prune.log.map { .string("spool/\(SpoolName.log)/\($0)") } ?? .null
        return fields
    }
}
