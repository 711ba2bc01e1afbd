// What this is: audit verify, tail, search: the log of decisions and refusals.
// Owns: the layout of its lines for people.
// Never: changes the log.
// On failure: `verify` exits 65 when something is wrong, and names the first thing.
import AccessControl
import ArgumentParser
import BobbinDaemon
import Glibc
import JobModel
import LinuxSystem

struct AuditVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit", abstract: "Who decided what, and what was refused.",
        subcommands: [AuditVerifyVerb.self, AuditTailVerb.self, AuditSearchVerb.self])
}

struct AuditVerifyVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Check every line, the chain and all signed checkpoints.",
        discussion:
            "  bobbin audit verify --checkpoint /mnt/other/checkpoint.txt\nWithout a checkpoint kept elsewhere nobody can tell that the end of the log was cut off."
    )
    @Option(
        help: "A checkpoint that was kept elsewhere (a copy of ops/audit/checkpoint.txt).",
        completion: .file()) var checkpoint: String?
    @OptionGroup var site: SiteOption
    @OptionGroup var json: JSONFlag

    func run() throws {
        let site = try site.openOwn()
        let outside = try checkpoint.map { path -> String in
            let (folder, name) = try Directory.holding(path)
            return String(decoding: try folder.openForReading(name).read(upTo: 4096), as: UTF8.self)
        }
        let found = try AuditVerification(
            ops: site.spool.site.directory("ops"), origin: AuditOrigin.name(site.spool), outside: outside)
        if json.json {
            Terminal.print(
                json: .map([
                    "records": .int(found.records), "checkpoints": .int(found.checkpoints),
                    "signed_up_to": .int(found.signedUpTo), "whole": .bool(found.isWhole),
                    "damage": found.damage.map(Value.string) ?? .null,
                ]))
        } else if let damage = found.damage {
            Terminal.complain("ops/audit/\(Terminal.escape(damage))")
        } else {
            print(
                "\(found.records) records, \(found.checkpoints) checkpoints, signed up to record \(found.signedUpTo): as they were written"
            )
            if outside == nil, found.records > 0 {
                print(
                    "that nothing was cut off at the end is known only up to a checkpoint that is kept elsewhere: --checkpoint FILE"
                )
            }
        }
        if !found.isWhole { throw ExitCode(Exit.malformed) }
    }
}

/// How records are shown.
private enum AuditText {
    static func show(_ records: [AuditRecord], json: Bool) {
        if json { return Terminal.print(json: .list(records.map { .map($0.fields) })) }
        for record in records {
            let entry = record.entry
            let who = entry.who.map { "\($0.name) (\($0.uid))" } ?? "-"
            let why = entry.why.split(separator: "\n").joined(separator: " | ")
            print(
                Terminal.escape(
                    "\(record.sequence)  \(record.at.rfc3339)  \(entry.severity == .high ? "HIGH  " : "")\(who)  \(entry.action)  \(entry.subject)  \(entry.outcome)\(why.isEmpty ? "" : ": \(why)")"
                ))
        }
    }
    static func all(_ site: SiteOption) throws -> [AuditRecord] {
        try AuditLog.records(ops: site.openOwn().spool.site.directory("ops"))
    }
}

struct AuditTailVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tail", abstract: "The latest records.", discussion: "  bobbin audit tail --count 50")
    @Option(help: "How many.") var count: Int = 20
    @OptionGroup var site: SiteOption
    @OptionGroup var json: JSONFlag
    func run() throws {
        guard count > 0 else {
            Terminal.complain("--count must be 1 or more")
            throw ExitCode(Exit.usage)
        }
        AuditText.show(try AuditText.all(site).suffix(count), json: json.json)
    }
}

struct AuditSearchVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "search", abstract: "Records that fit all that is given.",
        discussion: "  bobbin audit search --by anna --action approval.refused\n  bobbin audit search 01KAJ")
    @Argument(help: "A text anywhere in the subject, the outcome or the reason.") var text: String?
    @Option(help: "An account or uid.") var by: String?
    @Option(help: "The beginning of an action: approval, approval.refused.") var action: String?
    @Option(help: "From this instant on (2026-11-21T09:00:00Z) or day (2026-11-21).") var since: String?
    @Flag(help: "Only what is grave.") var high = false
    @OptionGroup var site: SiteOption
    @OptionGroup var json: JSONFlag

    func run() throws {
        var from: Timestamp?
        if let since {
            from = Timestamp(rfc3339: since) ?? Timestamp(rfc3339: since + "T00:00:00Z")
            guard from != nil else {
                Terminal.complain(
                    "--since \(Terminal.escape(since)): write 2026-11-21 or 2026-11-21T09:00:00Z")
                throw ExitCode(Exit.usage)
            }
        }
        let found = try AuditText.all(site).filter { record in
            let entry = record.entry
            if let text,
                ![entry.subject, entry.outcome, entry.why, entry.file ?? ""].contains(where: {
                    $0.contains(text)
                })
            {
                return false
            }
            if let by, entry.who?.name != by, entry.who.map({ String($0.uid) }) != by { return false }
            if let action, !entry.action.hasPrefix(action) { return false }
            if let from, record.at < from { return false }
            return !high || entry.severity == .high
        }
        AuditText.show(found, json: json.json)
    }
}
