// What this is: what must hold of every site at every rest, whatever happened to it.
// Owns: the list: each drop in exactly one place, whole results, nothing half, nothing twice, nothing raw.
// Never: depends on the test that made the site.
// On failure: one issue a violation, at the line of the test.
import LinuxSystem
import Testing
import YamlText

struct Invariants {
    private let site: TestSite
    init(_ site: TestSite) { self.site = site }

    func check(_ location: SourceLocation) throws {
        let bad = try violations()
        for text in bad { Issue.record("\(text)", sourceLocation: location) }
        if !bad.isEmpty { print("\(bad.joined(separator: "\n"))\n\(site.story)") }
    }

    func violations() throws -> [String] {
        let verified = try site.bobbin("journal", "verify")
        var bad = verified.code == 0 ? [] : ["journal verify: \(verified.code) \(verified.both)"]
        let index = Index(site)
        bad += places(index)
        for place in [Place.done, .failed] { for day in days(place) { bad += finals(day, place) } }
        bad += rejections() + leftovers() + effects() + (try approvals())
        let raw = (Disk.bytes(site.log) ?? []).contains { $0 < 0x20 && $0 != 0x0A || $0 == 0x7F }
        return bad + (raw ? ["the log holds raw control characters"] : [])
    }

    /// Every name below the spool's state directories, listed once; dot files are no drops.
    private struct Index {
        var places: [String: [String]] = [:]
        init(_ site: TestSite) {
            func note(_ directory: String, _ place: Place) {
                let names = Set(Disk.names(directory))
                for name in names
                where !name.hasPrefix(".")
                    && (place == .rejected
                        ? !Invariants.isReason(name, names) : !name.hasSuffix(".result.yaml"))
                {
                    places[Papers.unprefixed(name) ?? Papers.escaped(name), default: []].append(
                        "\(place)/\(name)")
                }
            }
            for lane in site.lanes { note(lane, .queue) }
            note("\(site.spool)/inbox", .inbox)
            note("\(site.spool)/rejected", .rejected)
            for place in [Place.claimed, .parked, .done, .failed] {
                for inner in Disk.names("\(site.spool)/\(place)") {
                    note("\(site.spool)/\(place)/\(inner)", place)
                }
            }
        }
    }
    private func places(_ index: Index) -> [String] {
        let owed = site.book
        var bad = owed.compactMap { name, count -> String? in
            let found = index.places[name] ?? []
            return found.count == count ? nil : "\(name) was dropped \(count) x and is in \(found)"
        }
        // Files that a test left in a queue on purpose are no jobs; runs of what nobody dropped are wrong.
        for (name, found) in index.places
        where owed[name] == nil && !found.allSatisfy({ $0.hasPrefix("queue") || $0.hasPrefix("inbox") }) {
            // A job that a run submitted: once.
            if site.mayHaveChildren, found.count == 1,
                name.split(separator: ".").dropLast().last?.utf8.count == 26
            {
                continue
            }
            bad.append("nobody dropped \(name): \(found)")
        }
        return bad
    }

    private func days(_ place: Place) -> [String] {
        Disk.names("\(site.spool)/\(place)").map { "\(site.spool)/\(place)/\($0)" }
    }

    private func finals(_ directory: String, _ place: Place) -> [String] {
        let names = Disk.names(directory)
        let results = names.filter { $0.hasSuffix(".result.yaml") }
        let jobs = Set(
            names.filter { !$0.hasSuffix(".result.yaml") && !$0.hasPrefix(".") }.map { String($0.prefix(26)) }
        )
        var bad = names.filter { $0.hasPrefix(".") || $0.hasSuffix(".tmp") }.map {
            "left behind: \(directory)/\($0)"
        }
        bad += results.filter { !jobs.contains(String($0.prefix(26))) }.map {
            "result without job file: \($0)"
        }
        bad += jobs.subtracting(results.map { String($0.prefix(26)) }).map {
            "job file without result: \($0)"
        }
        return bad + results.compactMap { torn("\(directory)/\($0)", place) }
    }
    private func torn(_ path: String, _ place: Place) -> String? {
        guard let paper = try? Papers.read(path) else {
            return "not whole: \(path): \(Disk.text(path) ?? "unreadable")"
        }
        let isComplete =
            paper["run"]?.utf8.count == 26 && paper["drop.sha256"] != nil && paper["ended_at"] != nil
        guard isComplete, Disk.bytes(path)?.last == 0x0A else { return "not whole: \(path)" }
        return ["succeeded", "skipped"].contains(paper.state) == (place == .done)
            ? nil : "\(paper.state) in \(place): \(path)"
    }

    private func rejections() -> [String] {
        let directory = "\(site.spool)/rejected"
        let names = Set(Disk.names(directory))
        return names.sorted().flatMap { name -> [String] in
            if name.hasPrefix(".") { return ["left behind: rejected/\(name)"] }
            guard Invariants.isReason(name, names) else {
                return names.contains(name + ".reason.yaml") ? [] : ["no reason for \(name)"]
            }
            guard let paper = try? Papers.read("\(directory)/\(name)") else {
                return ["not whole: rejected/\(name)"]
            }
            return ["code", "message", "what_to_do", "file"].filter { (paper[$0] ?? "").isEmpty }.map {
                "\(name) has no \($0)"
            }
        }
    }

    /// A file that is itself called `*.reason.yaml` may have been rejected.
    private static func isReason(_ name: String, _ names: Set<String>) -> Bool {
        name.hasSuffix(".reason.yaml") && names.contains(String(name.dropLast(".reason.yaml".count)))
    }

    private func leftovers() -> [String] {
        let inner = ["claimed", "parked"].flatMap { place in
            Disk.names("\(site.spool)/\(place)").map { "\(site.spool)/\(place)/\($0)" }
        }
        let directories =
            inner
            + [
                "control", "control/closed", "approvals/requests", "approvals/responses", "approvals/closed",
            ].map { "\(site.spool)/\($0)" }
        return directories.flatMap { directory in
            Disk.names(directory).filter { $0.hasPrefix(".") }.map { "left behind: \(directory)/\($0)" }
        }
    }

    /// The audit log is whole; what is asked has its request, and nothing else has one.
    private func approvals() throws -> [String] {
        let audit = try site.bobbin("audit", "verify")
        var bad = audit.code == 0 ? [] : ["audit verify: \(audit.code) \(audit.both)"]
        let rows = try Papers.parse(site.bobbin("approvals", "--json").out).items ?? []
        let open = Set(rows.filter { $0.text("published") == "true" }.compactMap { $0.text("request") })
        let files = Set(
            Disk.names("\(site.spool)/approvals/requests").filter { !$0.hasPrefix(".") }.map {
                $0.replacing(".yaml", with: "")
            })
        if open != files { bad.append("open: \(open.sorted()), requests: \(files.sorted())") }
        return bad
    }

    /// A step called `once` is at most once, and an idempotency key belongs to one step of one run.
    private func effects() -> [String] {
        let lines = Disk.lines(site.effects).map { $0.split(separator: " ").map(String.init) }
        let once = Dictionary(
            grouping: lines.filter { $0.count == 3 && $0[1].hasPrefix("once") },
            by: { $0.joined(separator: " ") })
        let keys = Dictionary(grouping: lines.filter { $0.count == 3 }, by: { $0[2] }).mapValues {
            Set($0.map { "\($0[0]) \($0[1])" })
        }
        return once.filter { $0.value.count > 1 }.map { "ran \($0.value.count) x: \($0.key)" }
            + keys.filter { $0.value.count > 1 }.map { "one key for \($0.value.sorted())" }
            + lines.filter { $0.count != 3 }.map { "a torn effect: \($0)" }
    }
}
