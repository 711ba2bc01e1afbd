// What this is: the clean-up as an operator knows it: looked at, done, killed; runs of packed days found as before.
// Owns: a clock that is put on (BOBBIN_CLOCK_OFFSET); trees before and after.
// Never: waits for a day.
// On failure: shows what the program said, and the paths that differ.
import Bundles
import Glibc
import LinuxSystem
import Testing
import YamlText

@Suite("prune", .onSites) struct PruneTests {
    private func ahead(_ days: Int) -> [String: String] {
        ["BOBBIN_CLOCK_OFFSET": "\(days * 86_400 + 7_200)"]
    }
    private func prune(_ site: TestSite, days: Int, _ options: String..., fault: String? = nil) throws
        -> Outcome
    {
        var environment = ahead(days)
        environment["BOBBIN_FAULT"] = fault
        return try Program.call(["prune", "--site", site.path] + options, environment: environment)
    }
    private func rules(_ site: TestSite, _ text: String) throws {
        try Disk.write(text, to: "\(site.path)/ops/retention.yaml")
    }
    private func json(_ outcome: Outcome) throws -> YamlNode {
        try #require(outcome.code == 0, "\(outcome.both)")
        return try Papers.parse(outcome.out)
    }
    private func list(_ site: TestSite) throws -> String {
        let rows = try site.bobbin("runs", "--json")
        return try json(rows).items?.map { "\($0.text("run") ?? "?") \($0.text("state") ?? "?")" }.joined(
            separator: "\n") ?? ""
    }
    /// Every file of the spool but its state and logs.
    private func files(_ site: TestSite) -> Set<String> {
        var found: Set<String> = []
        func walk(_ path: String) {
            let names = Disk.names("\(site.path)/\(path)")
            for name in names where path != "spool" || ![".bobbin", "log", "history"].contains(name) {
                let inner = "\(path)/\(name)"
                if Disk.bytes("\(site.path)/\(inner)") == nil { walk(inner) } else { found.insert(inner) }
            }
        }
        walk("spool")
        return found
    }
    /// Brings packed days back, as tar would, for the checks that every test ends with.
    private func unpack(_ site: TestSite) throws {
        for root in ["done", "failed", "runs"] {
            let folder = try Directory.open("\(site.spool)/\(root)")
            for name in try folder.names() where PackedDay.day(of: name) != nil {
                try PackedDay(name, in: folder).forEach { file in
                    var place = site.spool
                    for part in file.name.split(separator: "/").dropLast() {
                        place += "/\(part)"
                        if !Disk.exists(place) { try Disk.makeDirectory(place) }
                    }
                    try Disk.write(file.bytes, to: "\(site.spool)/\(file.name)", mode: mode_t(file.mode))
                }
                try folder.remove(name)
            }
        }
    }
    /// Some of everything; the one that asks waits on.
    private func furnish(_ site: TestSite) throws -> (runs: [String], asked: String, ticket: String) {
        try site.up()
        try site.drop("good.yaml", job(["run: [\"echo\", \"said by good\"]", "set: {n: 7}"]))
        try site.drop("bad.yaml", job(["run: [\"echo\", \"said by bad\"]", "fail: no"]))
        let ticket = try site.submit("sub.yaml", job(["log: x"]))
        try site.drop("nonsense.yaml", "steps: 7\n")
        try site.drop("ask.yaml", job(["run: [\"echo\", \"asks\"]", "human_confirm: {message: really?}"]))
        let runs = try ["good.yaml", "bad.yaml", ticket.name].map { try site.result(of: $0).run }
        try site.reason(of: "nonsense.yaml")
        let asked = try site.parked("ask.yaml", "approval").id
        try site.stop()
        return (runs, asked, ticket.ticket)
    }

    @Test(
        "days that are over become one file; show, log, ls, requeue and the index find their runs as before")
    func packed() throws {
        try TestSite.use { site in
            let (runs, asked, ticket) = try furnish(site)
            let before = try runs.flatMap {
                [try site.bobbin("show", $0).out, try site.bobbin("log", $0).out]
            }
            #expect(before[1].contains("said by good"))
            let listed = try list(site)
            let was = files(site)
            let look = try prune(site, days: 8, "--dry-run")
            #expect(look.code == 0 && look.out.contains("packs  spool/done/"), "\(look.both)")
            #expect(look.out.contains("2 runs of") && files(site) == was)
            let done = try prune(site, days: 8)
            #expect(done.code == 0 && done.out.contains("packed  spool/failed/"), "\(done.both)")
            let now = files(site)
            #expect(now.count { $0.hasSuffix(".tar.zst") } == 3, "\(now)")
            #expect(!now.contains { $0.hasSuffix(".result.yaml") })
            #expect(now.contains { $0.hasPrefix("spool/runs/\(asked)/") }, "its run is not over")

            let after = try runs.flatMap {
                [try site.bobbin("show", $0).out, try site.bobbin("log", $0).out]
            }
            #expect(after == before)
            #expect(try site.bobbin("show", String(runs[1].prefix(25))).out == before[2])
            #expect(try site.bobbin("show", ticket).out == before[4])
            #expect(try list(site) == listed)
            #expect(try site.bobbin("index", "rebuild").code == 0)
            #expect(try list(site) == listed)
            // A second time there is nothing to do.
            #expect(try prune(site, days: 8).out.contains("nothing to do"))

            let bundle = String(
                try Program.call(["backup", "create", "--site", site.path]).out.prefix(while: { $0 != ":" }))
            let beside = TestSite.freshPath()
            let made = try Program.call(["backup", "restore", bundle, "--to", beside, "--site", site.path])
            #expect(made.code == 0, "\(made.both)")
            #expect(try Program.call(["show", runs[0], "--site", beside]).out == before[0])
            #expect(try Program.call(["log", runs[1], "--site", beside]).out == before[3])
            Disk.removeTree(beside)

            try site.up()
            site.expect("good.yaml")
            #expect(try site.bobbin("requeue", runs[0]).code == 0)
            #expect(try site.result(of: "good.yaml")["drop.requeue_of"] == runs[0])
            try unpack(site)
            #expect(try site.bobbin("cancel", asked).code == 0)
            try site.result(of: "ask.yaml")
        }
    }

    @Test("what a rule does not keep goes, the dry run names exactly that, and what is in flight stays")
    func rules() throws {
        try TestSite.use { site in
            let (runs, asked, _) = try furnish(site)
            try rules(
                site,
                "pack_after: never\nkeep: {failed: forever, done: {days: 20}, runs: {days: 20}, rejected: {days: 20}}\n"
            )
            // What is not ours, in a day and as one.
            let day = try #require(Disk.names("\(site.spool)/done").first)
            let foreign = ["\(site.spool)/done/\(day)/notes.txt", "\(site.path)/outside/kept"]
            for path in foreign { try Disk.write("mine\n", to: path) }
            #expect(symlink("\(site.path)/outside/kept", "\(site.spool)/done/\(day)/link") == 0)
            #expect(symlink("\(site.path)/outside", "\(site.spool)/done/2026-01-01") == 0)
            defer {
                for path in foreign { #expect(Disk.text(path) == "mine\n") }
                for path in [foreign[0], "\(site.spool)/done/\(day)/link", "\(site.spool)/done/2026-01-01"] {
                    Disk.remove(path)
                }
            }
            let was = files(site)
            #expect(try !prune(site, days: 19, "--dry-run").out.contains("goes "))
            let look = try Papers.parse(prune(site, days: 22, "--dry-run", "--json").out)
            let named = (look["goes"]?.items ?? []).flatMap {
                ($0["paths"]?.items ?? []).compactMap(\.scalar?.text)
            }
            #expect(files(site) == was)
            let done = try prune(site, days: 22)
            #expect(done.code == 0, "\(done.both)")
            let gone = was.subtracting(files(site))
            #expect(
                gone
                    == was.filter { path in
                        path != "spool/done/\(day)/notes.txt" && path != "spool/done/\(day)/link"
                            && named.contains {
                                path == $0 || path.hasPrefix($0.hasSuffix("/") ? $0 : "\($0)/")
                            }
                    })
            for path in named where path != "spool/done/\(day)/" {
                #expect(!Disk.exists("\(site.path)/\(path)"), "\(path)")
            }
            #expect(!gone.contains { $0.contains(asked) || $0.hasPrefix("spool/failed/") }, "\(gone)")
            #expect(
                gone.count { $0.hasPrefix("spool/done/") } == 4
                    && gone.count { $0.hasPrefix("spool/rejected/") } == 2)
            // The index has no row of what is gone, now and when it is made anew.
            for _ in 1...2 {
                let rows = try list(site)
                #expect(rows.contains(runs[1]) && !rows.contains(runs[0]), "\(rows)")
                #expect(try site.bobbin("index", "rebuild").code == 0)
            }
            #expect(try site.bobbin("show", runs[0]).code != 0)
            site.book["good.yaml"] = nil
            site.book["nonsense.yaml"] = nil
            site.book = site.book.filter { !$0.key.hasPrefix("sub") }
            try site.up()
            #expect(try site.bobbin("cancel", asked).code == 0)
            try site.result(of: "ask.yaml")
        }
    }

    @Test("a number: the newest of a day stay; a packed day goes whole") func numbers() throws {
        try TestSite.use { site in
            try site.up()
            for number in 1...7 { try site.drop("n\(number).yaml", job(["set: {n: 1}"])) }
            let runs = try (1...7).map { try site.result(of: "n\($0).yaml").run }.sorted()
            try site.stop()
            try rules(site, "keep: {done: {count: 3}}\n")
            // Just now: somebody may wait for it.
            #expect(try Program.call(["prune", "--site", site.path]).code == 0)
            #expect(files(site).count { $0.hasSuffix(".result.yaml") } == 7)
            #expect(try prune(site, days: 0).out.contains("went  done: 4 in 8 files"))
            for run in runs {
                #expect(try (site.bobbin("show", run).code == 0) == runs.suffix(3).contains(run))
            }
            #expect(try prune(site, days: 8).code == 0)
            #expect(files(site).count { $0.hasSuffix(".tar.zst") } == 1)
            let name = try #require(Disk.names("\(site.spool)/done").first)
            let whole = try #require(Disk.bytes("\(site.spool)/done/\(name)"))
            Disk.remove("\(site.spool)/done/\(name)")
            try Disk.write(Array(whole.dropLast(20)), to: "\(site.spool)/done/\(name)")
            #expect(try site.bobbin("doctor").out.contains("spool/done/\(name): its end is missing"))
            // Nobody removes one that he cannot read, and the rest is done all the same.
            try rules(site, "keep: {done: {days: 1}}\n")
            #expect(try prune(site, days: 8).code == 0)
            #expect(Disk.exists("\(site.spool)/done/\(name)"))
            Disk.remove("\(site.spool)/done/\(name)")
            try Disk.write(whole, to: "\(site.spool)/done/\(name)")
            try rules(site, "keep: {done: {bytes: 1KiB}}\n")
            #expect(try prune(site, days: 8).code == 0)
            #expect(files(site).isEmpty)
            site.book = [:]
        }
    }

    @Test("killed at any call, every run is there, once; the next one finishes") func killed() throws {
        try TestSite.use { site in
            let (runs, asked, _) = try furnish(site)
            let kept = TestSite.freshPath()
            defer { Disk.removeTree(kept) }
            func copy(_ from: String, _ to: String) throws {
                #expect(try BriefProcess.ask(["cp", "-a", from, to])?.isGood == true)
            }
            func shown() throws -> [String] { try runs.map { try site.bobbin("show", $0).out } }
            try copy(site.spool, kept)
            let before = try shown()
            var (point, reached) = (1, true)
            while reached {
                Disk.removeTree(site.spool)
                try copy(kept, site.spool)
                reached = try prune(site, days: 8, fault: "any:\(point):kill").code != 0
                #expect(try shown() == before, "call \(point)")
                let next = try prune(site, days: 8)
                #expect(next.code == 0, "call \(point): \(next.both)")
                let now = files(site)
                #expect(now.count { $0.hasSuffix(".tar.zst") } == 3, "call \(point): \(now)")
                #expect(
                    !now.contains { $0.hasSuffix(".result.yaml") || $0.hasSuffix(".tmp") }, "call \(point)")
                #expect(try shown() == before, "call \(point)")
                #expect(try site.bobbin("index", "rebuild").out.contains("3 runs"), "call \(point)")
                point += 7
            }
            #expect(point > 100)
            try unpack(site)
            try site.up()
            #expect(try site.bobbin("cancel", asked).code == 0)
            try site.result(of: "ask.yaml")
        }
    }

    @Test("a packed day that was damaged is no reason to let the files go that were brought back")
    func damaged() throws {
        try TestSite.use { site in
            let (runs, asked, _) = try furnish(site)
            let before = try runs.map { try site.bobbin("show", $0).out }
            let bundle = String(
                try Program.call(["backup", "create", "--site", site.path]).out.prefix(while: { $0 != ":" }))
            #expect(try prune(site, days: 8).code == 0)
            let name = try #require(Disk.names("\(site.spool)/done").first)
            var bytes = try #require(Disk.bytes("\(site.spool)/done/\(name)"))
            bytes[40] ^= 1
            Disk.remove("\(site.spool)/done/\(name)")
            try Disk.write(bytes, to: "\(site.spool)/done/\(name)")
            #expect(try site.bobbin("backup", "restore", bundle, "--only", "results").code == 0)
            #expect(try prune(site, days: 8).code == 0)
            #expect(Disk.names("\(site.spool)/done").count == 2)
            #expect(try runs.map { try site.bobbin("show", $0).out } == before)
            // A bundle with packed days can be tried.
            #expect(try site.bobbin("backup", "create").code == 0)
            let drill = try site.bobbin("backup", "drill")
            #expect(drill.code == 0, "\(drill.both)")
            Disk.remove("\(site.spool)/done/\(name)")
            try unpack(site)
            try site.up()
            #expect(try site.bobbin("cancel", asked).code == 0)
            try site.result(of: "ask.yaml")
        }
    }

    @Test("a child's result stays while its parent waits, and the parent goes on in its time") func family()
        throws
    {
        try TestSite.use { site in
            site.mayHaveChildren = true
            try rules(site, "pack_after: never\nkeep: {done: {count: 1}}\n")
            try site.up()
            try site.drop(
                "parent.yaml",
                job([
                    "parallel: [{id: child, submit: {job: {steps: [{log: x}]}, wait: true}}, {human_confirm: {message: well?}}]"
                ]))
            let parent = try site.parked("parent.yaml", "approval")
            try site.wait("the child", in: ["\(site.spool)/done/*"]) {
                Disk.names("\(site.spool)/done").flatMap { Disk.names("\(site.spool)/done/\($0)") }
                    .contains { $0.hasSuffix(".result.yaml") } ? () : nil
            }
            try site.fence("later.yaml")
            let done = try prune(site, days: 0)
            #expect(done.code == 0 && !done.out.contains("went  done"), "\(done.both)")
            #expect(try site.bobbin("approve", parent.id).code == 0)
            let result = try site.result(of: "parent.yaml")
            #expect(result.state == "succeeded", "\(result)")
        }
    }

    @Test("a clock that jumped: what seems old stays for two weeks, and that is told") func jump() throws {
        try TestSite.use { site in
            try site.up()
            try site.fence("one.yaml")
            try site.stop()
            try rules(site, "pack_after: never\nkeep: {done: {days: 90}}\n")
            let first = try prune(site, days: 400)
            #expect(first.code == 0 && first.err.contains("in case a clock is wrong"), "\(first.both)")
            #expect(files(site).contains { $0.hasSuffix(".result.yaml") })
            // By then it is what the site has lived with. An index that cannot be used keeps no file from going.
            let index = "\(site.spool)/.bobbin/index.sqlite"
            for ending in ["", "-wal", "-shm"] { Disk.remove(index + ending) }
            try Disk.write(String(repeating: "no database. ", count: 1_000), to: index)
            let second = try prune(site, days: 415)
            #expect(second.code == 0 && second.out.contains("went  done: 1"), "\(second.both)")
            #expect(second.err.contains("bobbin index rebuild makes it anew"), "\(second.both)")
            let broken = try site.bobbin("runs")
            #expect(broken.code != 0 && !broken.err.contains("Failure("), "\(broken.both)")
            #expect(try site.bobbin("index", "rebuild").code == 0)
            site.book = [:]
        }
    }

    @Test("the daemon's log is set aside daily, packed a day later, and writers follow") func log() throws {
        try TestSite.use { site in
            try site.up()
            try site.fence("one.yaml")
            let done = try prune(site, days: 1)
            #expect(done.code == 0, "\(done.both)")
            // A writer looks once a second where its log is.
            var number = 2
            while Disk.text(site.log)?.contains(" j\(number - 1) succeeded") != true {
                try site.drop("j\(number).yaml", job(["log: x"]))
                try site.result(of: "j\(number).yaml")
                number += 1
            }
            let first = try #require(Disk.names("\(site.spool)/log").first { $0.hasPrefix("bobbin-") })
            let text = try #require(Disk.text("\(site.spool)/log/\(first)"))
            #expect(
                text.contains(" one succeeded") && !(Disk.text(site.log) ?? "").contains(" one succeeded"))
            #expect(try prune(site, days: 2).code == 0)
            #expect(
                Disk.exists("\(site.spool)/log/\(first).gz") && !Disk.exists("\(site.spool)/log/\(first)"))
            let answer = try #require(
                try BriefProcess.ask(["gzip", "-dc", "\(site.spool)/log/\(first).gz"], limit: 8 << 20))
            #expect(answer.isGood && String(decoding: answer.output, as: UTF8.self) == text)
            #expect(try prune(site, days: 30, "--only", "log").out.contains("went  log: 2"))
        }
    }

    @Test("not while a bundle is made; mistakes in the rules are named; the shipped template works")
    func odds() throws {
        try TestSite.use { site in
            try site.up()
            try site.fence("one.yaml")
            let slow = try RunnerProcess(
                "backup", ["backup", "create", "--site", site.path], site: site.path,
                environment: ["BOBBIN_FAULT": "renameat2@bobbin_:1:late"])
            let state = try Directory.open("\(site.spool)/.bobbin")
            try site.wait("the backup to begin", in: ["\(site.spool)/.bobbin"]) {
                try FileLock.isHeld("retention.lock", in: state) ? () : nil
            }
            let busy = try site.bobbin("prune")
            #expect(busy.code == 69 && busy.err.contains("E-BUSY"), "\(busy.both)")
            #expect(try slow.end() == 0)
            try rules(site, "keep: {dome: {days: 3}}\n")
            let wrong = try site.bobbin("prune")
            #expect(wrong.code == 65 && wrong.err.contains("ops/retention.yaml:1:"), "\(wrong.both)")
            #expect(try site.bobbin("doctor").out.contains("ops/retention.yaml"))
            try rules(site, "keep: {done: {days: 0}}\n")
            #expect(try site.bobbin("prune", "--dry-run").code == 65)
            try rules(site, "keep: {done: {count: 1000000}}\n")
            let tree = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
            try Disk.write(
                try #require(Disk.text("/\(tree)/templates/prune.yaml")),
                to: "\(site.path)/templates/prune.yaml")
            try Disk.write(
                try #require(Disk.text("/\(tree)/ops/retention.yaml")), to: "\(site.path)/ops/retention.yaml")
            try site.drop("clean.yaml", "template: prune.yaml\n")
            #expect(try site.result(of: "clean.yaml")["outputs.files"] == "0")
        }
    }
}
