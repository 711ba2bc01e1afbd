// What this is: doctor, index and journal: a look at, and the mending of, what Bobbin keeps for itself.
// Owns: their options and lines.
// Never: needs a runner; changes a journal.
// On failure: exit 65 for a damaged journal, 1 where the doctor finds something wrong; a sentence for the rest.
import ArgumentParser
import BobbinDaemon
import JobModel
import LinuxSystem
import RunJournal
import SpoolQueue

struct DoctorVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor", abstract: "Examine the site and the machine; say what to do.",
        discussion:
            "  bobbin doctor\nExit 1 when something is wrong; warnings alone are 0. Nothing is changed.")
    @OptionGroup var site: SiteOption
    @OptionGroup var json: JSONFlag

    func run() throws {
        let doctor = Doctor(site: try SiteFinder.find(option: site.site))
        if json.json {
            Terminal.print(
                json: .list(
                    doctor.findings.map {
                        .map([
                            "grade": .string($0.grade.rawValue),
                            "subject": .string(Terminal.escape($0.subject)),
                            "text": .string(Terminal.escape($0.text)),
                            "what_to_do": .string(Terminal.escape($0.whatToDo)),
                        ])
                    }))
        } else {
            for finding in doctor.findings { print(DoctorVerb.text(finding)) }
        }
        if doctor.worst == .wrong { throw ExitCode(Exit.failed) }
    }

    private static func text(_ finding: Doctor.Finding) -> String {
        let color: [Doctor.Grade: Terminal.Color] = [.well: .green, .warning: .yellow, .wrong: .red]
        let grade = Terminal.paint(
            finding.grade.rawValue.padding(8), color[finding.grade] ?? .bold)
        let text = finding.text.split(separator: "\n").map { Terminal.escape(String($0)) }
            .joined(separator: "\n         ")
        let advice =
            finding.whatToDo.isEmpty ? "" : "\n         what to do: \(Terminal.escape(finding.whatToDo))"
        return "\(grade) \(Terminal.escape(finding.subject)): \(text)\(advice)"
    }
}

extension String {
    fileprivate func padding(_ width: Int) -> String {
        self + String(repeating: " ", count: max(0, width - count))
    }
}

struct IndexVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "index", abstract: "The index of ended runs.", subcommands: [Rebuild.self])
    struct Rebuild: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make the index anew from the result files.",
            discussion:
                "  bobbin index rebuild\nUnder a working runner the index is removed, and that runner makes it anew within seconds."
        )
        @OptionGroup var site: SiteOption
        func run() throws {
            let site = try site.openOwn()
            guard let lock = try FileLock.take(SpoolName.lock, in: site.spool.state) else {
                guard try SiteView(site).runners.contains(where: \.isLeader) else {
                    throw SpoolProblem(
                        "E-RUNNING", "somebody else is rebuilding this index, or a runner is just beginning",
                        whatToDo: "Try again in a moment.")
                }
                // Only the leader writes the index: it sees that the file is gone and fills a new one.
                try site.spool.state.removeIfPresent(SpoolName.index)
                return print(
                    "removed; the working runner makes it anew within seconds (see spool/log/bobbin.log)")
            }
            try lock.file.truncate(to: 0)
            try lock.file.write(Array("rebuild of the index, pid \(ProcessSetup.pid)\n".utf8), at: 0)
            let (added, unread) = try IndexFiles.rebuild(site.spool)
            withExtendedLifetime(lock) {}
            for name in unread { Terminal.complain("left out, no result of ours: \(Terminal.escape(name))") }
            print("\(added) run\(added == 1 ? "" : "s") indexed")
        }
    }
}

struct JournalVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "journal", abstract: "The journals of runs in flight.",
        subcommands: [Verify.self, Dump.self])
    struct Verify: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Read every journal and say whether it is whole.",
            discussion: "  bobbin journal verify\nExit 65 when one is damaged.")
        @OptionGroup var site: SiteOption
        func run() throws {
            let site = try site.openOwn()
            var isWhole = true
            for runner in try site.spool.runners.names().sorted() {
                do {
                    let replay = try Replays.of(runner, site.spool)
                    let torn =
                        replay.tornBytes > 0
                        ? ", a torn last record of \(replay.tornBytes) bytes (harmless)" : ""
                    print(
                        "\(runner): whole, \(replay.segments.count) segments, \(replay.records) records, \(replay.live.count) runs in flight\(torn)"
                    )
                } catch {
                    isWhole = false
                    Terminal.complain("\(runner): \(error)")
                }
            }
            if !isWhole { throw ExitCode(Exit.malformed) }
        }
    }
    struct Dump: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print every record of the journals, as it lies on the disk.",
            discussion:
                "  bobbin journal dump | grep 01M7\nFor people who look into a crash; `bobbin show RUN` says what it all means."
        )
        @Option(help: "One runner's journal alone.") var runner: String?
        @OptionGroup var site: SiteOption
        @OptionGroup var json: JSONFlag
        func run() throws {
            let site = try site.openOwn()
            var all: [Value] = []
            for name in try site.spool.runners.names().sorted() where runner == nil || runner == name {
                let segments = try SegmentDump.read(
                    site.spool.runners.directory("\(name)/\(SpoolName.journal)"))
                if json.json {
                    all += JournalText.value(name, segments).listValue ?? []
                } else {
                    print(JournalText.text(name, segments))
                }
            }
            if json.json { Terminal.print(json: .list(all)) }
        }
    }
}
