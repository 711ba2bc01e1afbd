// What this is: bundles as an operator knows them: made while jobs run, proved, brought back in place, beside, in part; killed.
// Owns: the check of a cut: each job in exactly one place; canary trees.
// Never: looks into a bundle by other means than `show --json` and tar.
// On failure: shows the places of the job, or the call at which it was killed.
import Glibc
import LinuxSystem
import Testing
import YamlText

@Suite("backup", .onSites) struct BackupTests {
    /// How many calls are passed over between two kills; none where somebody has the time (ops/torture --bundles).
    private static func step(_ usual: Int) -> Int { getenv("BOBBIN_EVERY_CALL") == nil ? usual : 1 }

    private func create(_ site: TestSite, _ options: String..., location: SourceLocation = #_sourceLocation)
        throws -> String
    {
        let made = try Program.call(["backup", "create", "--site", site.path] + options)
        try #require(
            made.code == 0 && made.out.contains(": ok, verified\n"), "\(made.both)", sourceLocation: location)
        return String(made.out.prefix(while: { $0 != ":" }))
    }
    private func json(_ outcome: Outcome) throws -> YamlNode {
        try #require(outcome.code == 0, "\(outcome.both)")
        return try Papers.parse(outcome.out)
    }
    /// Every file below, by path; what runners make anew each time is left out.
    private func tree(_ root: String, without: (String) -> Bool = { _ in false }) -> [String: [UInt8]] {
        var found: [String: [UInt8]] = [:]
        func walk(_ path: String) {
            for name in Disk.names(path.isEmpty ? root : "\(root)/\(path)") {
                let inner = path.isEmpty ? name : "\(path)/\(name)"
                if without(inner) { continue }
                if let bytes = Disk.bytes("\(root)/\(inner)") { found[inner] = bytes } else { walk(inner) }
            }
        }
        walk("")
        return found
    }

    @Test("the life of a bundle: made beside running jobs, listed, proved, brought back beside and in place")
    func life() throws {
        try TestSite.use { site in
            try Disk.write("a: template\n", to: "\(site.path)/templates/kept.yaml")
            try site.up()
            try site.drop("good.yaml", job(["log: x"]))
            try site.drop("bad.yaml", job(["fail: x"]))
            for name in ["good", "bad"] { try site.result(of: "\(name).yaml") }
            try site.drop("ask.yaml", job(["human_confirm: {message: really?}"]))
            let asked = try site.parked("ask.yaml", "approval")
            try site.drop("run.yaml", job([site.gate("g"), "log: done"]))
            try site.waitForEffect("g", "gate")
            #expect(try site.bobbin("pause", "background").code == 0)
            _ = try site.waitForLog("queue background is paused")
            try site.drop("wait.yaml", job(["log: x"]), "background")
            let bundle = try create(site)
            let shown = try json(Program.call(["backup", "show", bundle, "--files", "--json"]))
            #expect(shown["in_flight"]?.items?.count == 2 && shown.text("epoch") == "0")
            #expect(try site.bobbin("backup", "ls").out.contains("2 runs in flight"))
            #expect(
                try Program.call(["backup", "verify", bundle, "--site", site.path]).out.contains(": ok, "))
            // In use: nothing of it is touched.
            let busy = try site.bobbin("backup", "restore", bundle)
            #expect(busy.code == 69 && busy.err.contains("the site is in use"))

            // Beside it, while it works on.
            let beside = TestSite.freshPath()
            let made = try Program.call(["backup", "restore", bundle, "--to", beside, "--site", site.path])
            #expect(
                made.code == 0 && made.out.contains("2 runs were unfinished and are held"), "\(made.both)")
            let other = try TestSite(
                adopting: beside,
                book: ["good.yaml": 1, "bad.yaml": 1, "ask.yaml": 1, "run.yaml": 1, "wait.yaml": 1])
            try TestSite.use(other) { other in try lookAround(other, asked.id, site) }

            // In its place: what happened since then is gone, and kept aside.
            try site.open(gate: "g")
            #expect(try site.result(of: "run.yaml").state == "succeeded")
            try site.stop()
            try Disk.write("b: changed\n", to: "\(site.path)/templates/kept.yaml")
            let preview = try site.bobbin("backup", "restore", bundle, "--dry-run")
            #expect(preview.out.contains("is changed  templates/kept.yaml"), "\(preview.both)")
            #expect(preview.out.contains("goes        spool/done/"))
            let before = tree("\(site.path)/spool/done")
            let back = try site.bobbin("backup", "restore", bundle)
            #expect(back.code == 0, "\(back.both)")
            #expect(Disk.text("\(site.path)/templates/kept.yaml") == "a: template\n")
            let kept = try #require(Disk.names(site.path).first { $0.hasPrefix("before-restore.") })
            #expect(tree("\(site.path)/\(kept)/spool/done") == before)
            #expect(Disk.text("\(site.path)/\(kept)/templates/kept.yaml") == "b: changed\n")
            // As it was: the same restore would change nothing any more.
            let again = try site.bobbin("backup", "restore", bundle, "--dry-run")
            #expect(again.out.hasPrefix("0 differences"), "\(again.both)")
            let mark = try Papers.parse(Disk.text("\(site.spool)/.bobbin/restored.json") ?? "")
            #expect(
                mark.text("epoch") == "1"
                    && mark.text("bundle") == bundle.split(separator: "/").last.map(String.init))
            try site.up()
            for name in ["ask", "run"] {
                let run = try site.parked("\(name).yaml", "held")
                #expect(try site.bobbin("cancel", run.id).code == 0)
                try site.result(of: "\(name).yaml")
            }
            // Nothing begins before somebody says so, not even what is dropped now.
            #expect(Disk.names("\(site.spool)/control").count { $0.hasPrefix("pause-") } == 3)
            #expect(try site.bobbin("resume", "background").code == 0)
            #expect(try site.result(of: "wait.yaml").state == "succeeded")
            try site.stop()
            #expect(try json(site.bobbin("runs", "--json")).items?.count == 5)
            #expect(try json(Program.call(["backup", "show", create(site), "--json"])).text("epoch") == "1")
        }
    }

    /// Nothing goes on by itself; what people were asked is asked anew.
    private func lookAround(_ other: TestSite, _ asked: String, _ origin: TestSite) throws {
        let form = try #require(Disk.text("\(origin.spool)/approvals/requests/\(asked).1.yaml"))
        try other.up()
        let request = "\(other.spool)/approvals/requests/\(asked).1.yaml"
        try other.wait("the question, asked anew", in: ["\(other.spool)/approvals/requests"]) {
            Disk.exists(request) ? () : nil
        }
        // An answer to the question of before counts for nothing.
        try Disk.write(
            form.replacing("decision:", with: "decision: approve"), to: other.outside("answer.yaml"))
        try Disk.move(
            other.outside("answer.yaml"), to: "\(other.spool)/approvals/responses/\(asked).1.yaml")
        try other.wait("the old answer to be refused", in: ["\(other.spool)/approvals/closed"]) {
            Disk.names("\(other.spool)/approvals/closed").contains { $0.hasSuffix(".verdict.yaml") }
                ? () : nil
        }
        #expect(try other.bobbin("show", asked).out.contains("held"))
        #expect(try other.bobbin("approve", "\(asked).1").code == 0)
        #expect(try other.bobbin("resume", "default", "high_priority").code == 0)
        let run = try other.parked("run.yaml", "held")
        for id in [asked, run.id] { #expect(try other.bobbin("release", id).code == 0) }
        #expect(try other.result(of: "ask.yaml").state == "succeeded")
        // Its first step had begun, and nobody knows how it ended.
        let unknown = try other.parked("run.yaml", "interrupted")
        #expect(try other.bobbin("resolve", unknown.id, "--skip").code == 0)
        #expect(try other.result(of: "run.yaml").state == "succeeded")
        #expect(Disk.names(other.lane("background", 5)) == ["wait.yaml"])
        #expect(try other.bobbin("resume", "background").code == 0)
        #expect(try other.result(of: "wait.yaml").state == "succeeded")
    }

    @Test("a bundle made under load has each job exactly once") func underLoad() throws {
        try TestSite.use { site in
            try site.up()
            try site.runner("second")
            // One waits for somebody, one runs, whatever the rest does.
            #expect(try site.bobbin("pause", "background").code == 0)
            _ = try site.waitForLog("queue background is paused")
            try site.drop("l9001.yaml", job(["log: x"]), "background")
            try site.drop("l9002.yaml", job([site.gate("g")]))
            try site.waitForEffect("g", "gate")
            let count = 600
            var bundles: [(path: String, before: Int, after: Int)] = []
            var dropped = 0
            func drop(_ number: Int) throws {
                for _ in 0..<number where dropped < count {
                    dropped += 1
                    let steps = dropped % 3 == 0 ? ["log: x", "log: y"] : [site.effect("l\(dropped)")]
                    try site.drop(
                        "l\(dropped).yaml", job(steps), ["default", "high_priority"][dropped % 2],
                        dropped % 9 + 1)
                }
            }
            // Drops go on while each bundle is made: the child works, and so do we.
            for _ in 0..<4 {
                try drop(100)
                let before = dropped
                let path = site.outside("bundles")
                if !Disk.exists("\(path)/x") { mkdir(path, 0o755) }
                let maker = try site.launch(
                    "backup", ["backup", "create", "--packing", "none", "--to", path])
                while maker.isRunning, dropped < count { try drop(5) }
                #expect(try maker.end() == 0, "\(maker.said)")
                let name = try #require(Disk.names(path).sorted().last)
                bundles.append(("\(path)/\(name)", before, dropped))
            }
            try drop(count)
            for number in 1...count { try site.result(of: "l\(number).yaml") }
            var held = 0, waiting = 0, done = 0
            for (bundle, before, after) in bundles {
                let beside = TestSite.freshPath()
                defer { Disk.removeTree(beside) }
                let made = try Program.call([
                    "backup", "restore", bundle, "--to", beside, "--site", site.path,
                ])
                try #require(made.code == 0, "\(made.both)")
                var places: [Int: [String]] = [:]
                func note(_ name: String, _ place: String) {
                    guard
                        let number = name.split(whereSeparator: { "~.".contains($0) }).compactMap({ word in
                            word.hasPrefix("l") ? Int(word.dropFirst()) : nil
                        }).first
                    else { return }
                    places[number, default: []].append("\(place)/\(name)")
                }
                for (path, _) in tree("\(beside)/spool") where !path.hasPrefix(".bobbin") {
                    let parts = path.split(separator: "/").map(String.init)
                    let name = parts.last ?? ""
                    switch parts[0] {
                    case "done", "failed":
                        if name.hasSuffix(".result.yaml") {
                            note(name, path)
                            done += 1
                            // Its job lies beside it.
                            let stem = name.dropLast(".result.yaml".count)
                            #expect(
                                Disk.exists("\(beside)/spool/\(parts[0])/\(parts[1])/\(stem).yaml"), "\(path)"
                            )
                        }
                    case "parked":
                        note(name, path)
                        held += 1
                    case "claimed":
                        // It has ended, and its result is in the journal: the next start writes it.
                        note(name, path)
                        done += 1
                    case "rejected": Issue.record("\(path)")
                    case "runs", "log", "history", "approvals", "control", "events": continue
                    default:
                        note(name, path)
                        waiting += 1
                    }
                }
                #expect(places[9001]?.count == 1 && places[9001]?[0].hasPrefix("background/p5/") == true)
                #expect(places[9002]?.count == 1 && places[9002]?[0].hasPrefix("parked/held/") == true)
                for number in 1...after {
                    let found = places[number] ?? []
                    let wanted = number <= before ? found.count == 1 : found.count <= 1
                    #expect(wanted, "l\(number) of \(before)/\(after) in \(bundle): \(found)")
                }
            }
            print("bundles under load: \(done) done, \(held) held, \(waiting) waiting in \(bundles.count)")
            #expect(held > 0 && waiting > 0 && done > 0)
            try site.open(gate: "g")
            #expect(try site.bobbin("resume", "background").code == 0)
            for number in [9001, 9002] { try site.result(of: "l\(number).yaml") }
        }
    }

    @Test("killed at any call of making a bundle: the bundles of before are there, the next is whole")
    func killedMaking() throws {
        try TestSite.use { site in
            try site.up()
            try site.drop("a.yaml", job(["log: x"]))
            try site.result(of: "a.yaml")
            let first = try create(site)
            let folder = "\(site.path)/ops/backups"
            let content = Disk.bytes(first)
            var killed = 0
            for call in stride(from: 1, through: 4_000, by: BackupTests.step(23)) {
                let outcome = try Program.call(
                    ["backup", "create", "--site", site.path],
                    environment: ["BOBBIN_FAULT": "any:\(call):kill"])
                for name in Disk.names(folder) where !name.hasPrefix(".") {
                    #expect(
                        try Program.call(["backup", "verify", "\(folder)/\(name)", "--site", site.path]).code
                            == 0,
                        "call \(call): \(name)")
                }
                #expect(Disk.bytes(first) == content)
                if outcome.code == 0 { break }
                killed += 1
            }
            #expect(killed > 10)
            _ = try create(site)
            #expect(Disk.names(folder).allSatisfy { !$0.hasPrefix(".") }, "\(Disk.names(folder))")
        }
    }

    @Test(
        "killed at any call of a restore: the site is the one of before, or the restored one and finished by --continue"
    )
    func killedRestoring() throws {
        try TestSite.use { site in
            try site.up()
            try site.drop("a.yaml", job(["log: x"]))
            try site.result(of: "a.yaml")
            try Disk.write("one\n", to: "\(site.path)/templates/t.yaml")
            let bundle = try create(site, "--to", site.outside(""))
            try site.drop("later.yaml", job(["log: x"]))
            try site.result(of: "later.yaml")
            try site.stop()
            try Disk.write("two\n", to: "\(site.path)/templates/t.yaml")
            func canary() -> [String: [UInt8]] {
                tree(site.path) {
                    $0.hasPrefix("bobbin-restore.") || $0.hasPrefix("before-restore.")
                        || $0.hasPrefix("outside")
                }
            }
            let before = canary()
            var untouched = 0, exchanged = 0
            var call = 1, step = BackupTests.step(17)
            while call < 4_000 {
                defer { call += step }
                let outcome = try Program.call(
                    ["backup", "restore", bundle, "--site", site.path],
                    environment: ["BOBBIN_FAULT": "any:\(call):kill"])
                if Disk.exists("\(site.spool)/.bobbin/restored.json") {
                    exchanged += 1
                    // From the exchange on each call, and those before it that were left out.
                    if step > 1 { (call, step) = (max(0, call - step), 1) }
                    // Nobody works on half of it.
                    if Disk.exists("\(site.spool)/.bobbin/restore-rest.json") {
                        let refused = try site.bobbin("run", "--until-idle")
                        #expect(refused.code == 69 && refused.err.contains("--continue"), "\(refused.both)")
                    }
                    if exchanged == 1 {
                        // What was there before is nobody's left-over.
                        let copy = try site.bobbin("backup", "restore", bundle, "--to", "\(site.path)/copy")
                        #expect(copy.code == 0, "\(copy.both)")
                        Disk.removeTree("\(site.path)/copy")
                    }
                    #expect(try site.bobbin("backup", "restore", "--continue").code == 0)
                    #expect(Disk.text("\(site.path)/templates/t.yaml") == "one\n")
                    #expect(
                        try site.bobbin("backup", "restore", bundle, "--dry-run").out.hasPrefix(
                            "0 differences"))
                    // Back to where it was.
                    let kept = try #require(Disk.names(site.path).first { $0.hasPrefix("before-restore.") })
                    Disk.removeTree(site.spool)
                    try Disk.move("\(site.path)/\(kept)/spool", to: site.spool)
                    try Disk.write("two\n", to: "\(site.path)/templates/t.yaml")
                    Disk.removeTree("\(site.path)/\(kept)")
                } else {
                    untouched += 1
                    // Whatever is left over is named by who looks.
                    let left = Disk.names(site.path).filter { $0.hasPrefix("bobbin-restore.") }
                    let status = try site.bobbin("status").out
                    for name in left {
                        #expect(status.contains("\(name)/ was left by a restore"), "call \(call)")
                    }
                }
                let now = canary()
                #expect(now == before, "call \(call): \(Set(now.keys).symmetricDifference(before.keys))")
                if outcome.code == 0 { break }
            }
            print("killed restores: \(untouched) untouched, \(exchanged) exchanged")
            #expect(untouched > 10 && exchanged > 10)
        }
    }

    @Test("single files and classes come back on a site that works") func only() throws {
        try TestSite.use { site in
            try Disk.write("one\n", to: "\(site.path)/templates/t.yaml")
            try Disk.write("one\n", to: "\(site.path)/templates/u.yaml")
            try site.up()
            try site.drop("a.yaml", job(["log: x"]))
            let result = try site.result(of: "a.yaml").path
            let bundle = try create(site)
            for name in ["t", "u"] { try Disk.write("two\n", to: "\(site.path)/templates/\(name).yaml") }
            let whole = try #require(Disk.text(result))
            Disk.remove(result)
            let preview = try site.bobbin(
                "backup", "restore", bundle, "--only", "templates/t.yaml", "--dry-run")
            #expect(
                preview.out.hasPrefix("is changed  templates/t.yaml\n1 differences, 0 files are the same"),
                "\(preview.both)")
            #expect(try site.bobbin("backup", "restore", bundle, "--only", "templates/t.yaml").code == 0)
            #expect(Disk.text("\(site.path)/templates/t.yaml") == "one\n")
            #expect(Disk.text("\(site.path)/templates/u.yaml") == "two\n")
            #expect(try site.bobbin("backup", "restore", bundle, "--only", "results").code == 0)
            #expect(Disk.text(result) == whole)
            #expect(try site.bobbin("backup", "restore", bundle, "--only", "work").code == 2)
            #expect(
                try site.bobbin("backup", "restore", bundle, "--only", "confg").err.contains(
                    "did you mean config?"))
            let part = try create(site, "--only", "config", "--to", site.outside(""))
            #expect(part.hasSuffix("_config.tar.zst"))
            let whole2 = try site.bobbin("backup", "restore", part, "--to", TestSite.freshPath())
            #expect(whole2.code == 69 && whole2.err.contains("--only config"))
        }
    }

    @Test("secrets go into a bundle as age files, when somebody else can open them; keys never")
    func secrets() throws {
        try TestSite.use { site in
            let key = TestSite.freshPath(), spare = TestSite.freshPath()
            defer { for file in [key, spare] { Disk.remove(file) } }
            let made = try Program.call(["secrets", "keygen", "--output", key, "--site", site.path])
            try #require(made.code == 0, "\(made.both)")
            let environment = ["BOBBIN_IDENTITY": key]
            let set = try Program.call(
                ["secrets", "set", "erp/key", "--site", site.path], environment: environment,
                input: "hunter2-hunter2\n")
            try #require(set.code == 0, "\(set.both)")
            func make(_ options: String...) throws -> Outcome {
                try Program.call(
                    ["backup", "create", "--site", site.path] + options, environment: environment)
            }
            let refused = try make()
            #expect(
                refused.code == 69 && refused.err.contains("[E-BACKUP-RECOVERY]")
                    && refused.err.contains("recipients.txt"))
            #expect(Disk.names("\(site.path)/ops/backups") == [])
            #expect(try make("--without", "secrets").code == 0)
            let second = try Program.call(["secrets", "keygen", "--output", spare, "--site", site.path])
            try #require(second.code == 0, "\(second.both)")
            let old = try make()
            #expect(old.code == 69 && old.err.contains("secrets rotate"), "\(old.both)")
            #expect(
                try Program.call(["secrets", "rotate", "--site", site.path], environment: environment).code
                    == 0)
            // Keys that lie about are left out, and told.
            try Disk.write(Disk.text(spare) ?? "", to: "\(site.path)/secrets/spare.txt")
            try Disk.write(Disk.text(spare) ?? "", to: "\(site.path)/ops/note.txt")
            let all = try make("--packing", "none")
            #expect(
                all.code == 0 && all.err.contains("left out: ops/note.txt: it holds a private key"),
                "\(all.both)")
            #expect(all.err.contains("left out: secrets/spare.txt"))
            let bundle = String(all.out.prefix { $0 != ":" })
            let bytes = String(decoding: Disk.bytes(bundle) ?? [], as: UTF8.self)
            #expect(
                bytes.contains("secrets/erp/key.age") && !bytes.contains("AGE-SECRET-KEY")
                    && !bytes.contains("hunter2"))
            let beside = TestSite.freshPath()
            defer { Disk.removeTree(beside) }
            #expect(
                try Program.call(["backup", "restore", bundle, "--to", beside, "--site", site.path]).code == 0
            )
            let opened = try Program.call(
                ["secrets", "check", "--site", beside], environment: ["BOBBIN_IDENTITY": spare])
            #expect(opened.code == 0, "\(opened.both)")
        }
    }

    /// The clock is put on: what was touched in the second before a bundle begins counts as touched behind it.
    private func create(_ site: TestSite, hours: Int, _ options: String...) throws -> Outcome {
        try Program.call(
            ["backup", "create", "--site", site.path] + options,
            environment: ["BOBBIN_CLOCK_OFFSET": "\(hours * 3600)"])
    }

    @Test("an increment has what is new, and is brought back with what it stands on") func increments() throws
    {
        try TestSite.use { site in
            for name in ["kept", "changed", "gone"] {
                try Disk.write("\(name): one\n", to: "\(site.path)/templates/\(name).yaml")
            }
            try site.up()
            try site.drop("a.yaml", job(["log: x"]))
            try site.result(of: "a.yaml")
            try site.stop()
            // None to stand on: it stands alone.
            let first = try create(site, hours: 1, "--increment")
            try #require(first.code == 0 && first.out.contains("it stands alone"), "\(first.both)")
            let full = String(first.out.prefix { $0 != ":" })
            try Disk.write("changed: two\n", to: "\(site.path)/templates/changed.yaml")
            Disk.remove("\(site.path)/templates/gone.yaml")
            try Disk.write("more: one\n", to: "\(site.path)/templates/more.yaml")
            try site.up()
            try site.drop("b.yaml", job(["log: x"]))
            try site.result(of: "b.yaml")
            try site.stop()
            let second = try create(site, hours: 2, "--increment")
            try #require(second.code == 0 && second.out.contains(" of the bundle on which it stands"))
            let bundle = String(second.out.prefix { $0 != ":" })
            #expect(bundle.hasSuffix("_increment.tar.zst"))
            let shown = try json(Program.call(["backup", "show", bundle, "--files", "--json"]))
            #expect(full.hasSuffix(try #require(shown["base"]?.text("name"))))
            let rows = try #require(shown["rows"]?.items)
            func isInBase(_ ending: String) -> String? {
                rows.first { $0.text("path")?.hasSuffix(ending) == true }?.text("in_base")
            }
            #expect(isInBase("kept.yaml") == "true" && isInBase("changed.yaml") == "false")
            #expect(isInBase("~a.yaml") == "true" && isInBase("~b.yaml") == "false")
            #expect(isInBase("more.yaml") == "false" && isInBase("gone.yaml") == nil)

            let beside = TestSite.freshPath(), elsewhere = site.outside("moved")
            defer { Disk.removeTree(beside) }
            let made = try Program.call(["backup", "restore", bundle, "--to", beside, "--site", site.path])
            #expect(made.code == 0, "\(made.both)")
            for part in ["templates", "spool/done", "spool/runs"] {
                #expect(tree("\(beside)/\(part)") == tree("\(site.path)/\(part)"), "\(part)")
            }
            // What it stands on is not there, is there by another name, is another one.
            try Disk.move(full, to: elsewhere)
            for verb in [["verify", bundle], ["restore", bundle, "--to", TestSite.freshPath()]] {
                let alone = try Program.call(["backup"] + verb + ["--site", site.path])
                #expect(alone.code != 0 && alone.err.contains("which is not beside it"), "\(alone.both)")
            }
            let content = try #require(Disk.bytes(elsewhere))
            for (bytes, why) in [
                (Array(content.prefix(content.count / 3)), "which cannot be read"),
                (try #require(Disk.bytes(bundle)), "is another one"),
            ] {
                try Disk.write(bytes, to: full)
                let alone = try site.bobbin("backup", "verify", bundle)
                #expect(alone.code == 65 && alone.err.contains(why), "\(alone.both)")
                Disk.remove(full)
            }
            try Disk.move(elsewhere, to: "\(site.path)/ops/backups/sunday")
            #expect(try Program.call(["backup", "verify", bundle, "--site", site.path]).code == 0)
            try Disk.move("\(site.path)/ops/backups/sunday", to: full)
            // The rules keep one; what it stands on stays.
            try Disk.write("keep: {last: 1, days: 0, monthly: 0}\n", to: "\(site.path)/ops/backup.yaml")
            let third = try create(site, hours: 3, "--increment")
            try #require(third.code == 0, "\(third.both)")
            let told = try Program.call(
                ["backup", "prune", "--site", site.path],
                environment: ["BOBBIN_CLOCK_OFFSET": "\(4 * 3600)"])
            #expect(told.out.contains("stands on it") && told.out.contains("1 went, 2 kept"), "\(told.both)")
            #expect(Disk.exists(full) && !Disk.exists(bundle))
            #expect(try site.bobbin("backup", "ls").out.contains(", stands on bobbin_"))
            // Too old to stand on.
            let late = try create(site, hours: 24 * 9, "--increment")
            #expect(late.code == 0 && late.out.contains("it stands alone"), "\(late.both)")
            let drill = try Program.call(
                ["backup", "drill", "--site", site.path],
                environment: ["BOBBIN_CLOCK_OFFSET": "\(24 * 9 * 3600 + 600)"])
            #expect(drill.code == 0, "\(drill.both)")
        }
    }

    /// Two files of one size and one time, in two directories.
    private func twins(_ folder: String) throws {
        for (name, text) in [("a", "AAAA"), ("b", "BBBB")] {
            try Disk.makeDirectory("\(folder)/\(name)")
            try Disk.write(text, to: "\(folder)/\(name)/x")
            var times = [
                timespec(tv_sec: 1_700_000_000, tv_nsec: 0), timespec(tv_sec: 1_700_000_000, tv_nsec: 0),
            ]
            utimensat(AT_FDCWD, "\(folder)/\(name)/x", &times, 0)
        }
    }
    private func swapTwins(_ folder: String) throws {
        try Disk.move("\(folder)/a", to: "\(folder)/c")
        try Disk.move("\(folder)/b", to: "\(folder)/a")
        try Disk.move("\(folder)/c", to: "\(folder)/b")
    }
    @Test("directories that change places are seen, whatever the times of their files say") func twins()
        throws
    {
        try TestSite.use { site in
            try site.up()
            try site.drop("a.yaml", job(["log: x"]))
            let run = try site.result(of: "a.yaml").run
            try site.stop()
            let day = try #require(Disk.names("\(site.spool)/runs").first)
            let places = ["\(site.path)/reports", "\(site.spool)/runs/\(day)"]
            #expect(day == run || Disk.exists("\(site.spool)/runs/\(day)/\(run)"))
            for place in places { try twins(place) }
            func make(_ seconds: Int, _ options: String...) throws -> Outcome {
                try Program.call(
                    ["backup", "create", "--site", site.path] + options,
                    environment: ["BOBBIN_CLOCK_OFFSET": "\(seconds)"])
            }
            // With the second that counts as before it, begun just now: behind the twins, and before they change places.
            #expect(try make(1).code == 0)
            for place in places { try swapTwins(place) }
            let second = try make(2, "--increment")
            try #require(second.code == 0 && second.out.contains("on which it stands"), "\(second.both)")
            let beside = TestSite.freshPath()
            defer { Disk.removeTree(beside) }
            let bundle = String(second.out.prefix { $0 != ":" })
            #expect(try site.bobbin("backup", "restore", bundle, "--to", beside).code == 0)
            for part in ["reports", "spool/runs/\(day)"] {
                #expect(
                    Disk.text("\(beside)/\(part)/a/x") == "BBBB"
                        && Disk.text("\(beside)/\(part)/b/x") == "AAAA")
            }
        }
    }

    @Test("an increment that lost its base stands for nothing: not for its day, not for what has not changed")
    func lostBase() throws {
        try TestSite.use { site in
            try Disk.write("keep: {last: 1, days: 0, monthly: 0}\n", to: "\(site.path)/ops/backup.yaml")
            func path(_ made: Outcome) -> String { String(made.out.prefix { $0 != ":" }) }
            let first = path(try create(site, hours: 1)), second = path(try create(site, hours: 2))
            let third = path(try create(site, hours: 3, "--increment"))
            try Disk.move(second, to: site.outside("elsewhere"))
            let later = ["BOBBIN_CLOCK_OFFSET": "\(4 * 3600)"]
            let told = try Program.call(["backup", "prune", "--site", site.path], environment: later)
            #expect(told.out.contains("what it stands on is missing") && told.out.contains("0 went, 2 kept"))
            #expect(Disk.exists(first) && Disk.exists(third))
            #expect(try site.bobbin("backup", "ls").out.contains("WHICH IS NOT THERE"))
            #expect(
                try Program.call(["doctor", "--site", site.path], environment: later).out.contains(
                    "brings nothing back: what it stands on is not beside it"))
            // Damaged: nothing may stand on it any more.
            let bytes = try #require(Disk.bytes(first))
            try Disk.write(Array(bytes.dropLast(200)), to: first)
            let broken = try create(site, hours: 4, "--increment")
            #expect(broken.code == 65 && broken.err.contains("on which this one stands"), "\(broken.both)")
            // The only one of the configuration cannot be brought back: so one is made.
            let config = ["--only", "config", "--increment", "--unless-same"]
            func make(_ hours: Int) throws -> Outcome {
                try Program.call(
                    ["backup", "create", "--site", site.path] + config,
                    environment: ["BOBBIN_CLOCK_OFFSET": "\(hours * 3600)"])
            }
            let base = path(try make(5))
            try Disk.write("a: 1\n", to: "\(site.path)/templates/a.yaml")
            #expect(try make(6).out.contains("on which it stands"))
            #expect(try make(7).out.contains("nothing has changed"))
            Disk.remove(base)
            #expect(try make(8).out.contains("ok, verified"))
        }
    }

    @Test("a copy elsewhere that failed is made up for, also when nothing has changed since")
    func undelivered()
        throws
    {
        try TestSite.use { site in
            let copies = site.outside("copies"), folder = "\(site.path)/ops/backups"
            try Disk.write("after: [cp, \"{{ bundle }}\", \(copies)/]\n", to: "\(site.path)/ops/backup.yaml")
            func make(_ options: String...) throws -> Outcome {
                try Program.call(
                    ["backup", "create", "--only", "config", "--unless-same", "--site", site.path] + options)
            }
            // The list cannot be written: the bundle is there all the same, and that is what is said.
            let state = "\(site.spool)/.bobbin"
            let blocked = try Program.call(
                ["backup", "create", "--only", "reports", "--site", site.path],
                environment: ["BOBBIN_FAULT": "renameat2@undelivered.json:1:28"])
            #expect(
                blocked.code == 1 && blocked.out.contains("ok, verified")
                    && blocked.err.contains("the bundle is there, but"), "\(blocked.both)")
            try Disk.write("nonsense", to: "\(state)/undelivered.json")
            #expect(try site.bobbin("backup", "create", "--only", "audit").code == 1)
            Disk.remove("\(state)/undelivered.json")
            for name in Disk.names(folder) { Disk.remove("\(folder)/\(name)") }
            for _ in 1...2 {
                let failed = try make()
                #expect(failed.code == 1 && failed.err.contains("1 bundles wait for it"), "\(failed.both)")
            }
            let told = try make("--json")
            #expect(told.code == 1 && told.out.contains("`after` of ops/backup.yaml failed"), "\(told.both)")
            try Disk.makeDirectory(copies)
            let same = try make()
            #expect(same.code == 0 && same.out.contains("nothing has changed"), "\(same.both)")
            #expect(Disk.names(copies) == Disk.names(folder) && Disk.names(copies).count == 1)
            Disk.removeTree(copies)
            #expect(try site.bobbin("backup", "create", "--only", "reports").code == 1)
            #expect(try site.bobbin("backup", "create", "--only", "audit").err.contains("2 bundles wait"))
            try Disk.makeDirectory(copies)
            #expect(try make().code == 0)
            #expect(Disk.names(copies).count == 2 && !Disk.exists("\(site.spool)/.bobbin/undelivered.json"))
        }
    }

    @Test(
        "a bundle that somebody puts beside the others steers nothing; a key that is damaged, or taken out, says so"
    )
    func planted() throws {
        try TestSite.use { site in
            try Disk.write("keep: {last: 1, days: 0, monthly: 0}\n", to: "\(site.path)/ops/backup.yaml")
            let genuine = try create(site), folder = "\(site.path)/ops/backups"
            // The same spool, another key, and a time that has not come.
            let other = TestSite.freshPath()
            defer { Disk.removeTree(other) }
            #expect(try site.bobbin("backup", "restore", genuine, "--to", other).code == 0)
            let forged = try Program.call(
                ["backup", "create", "--site", other], environment: ["BOBBIN_CLOCK_OFFSET": "8640000"])
            try #require(forged.code == 0, "\(forged.both)")
            let name = try #require(Disk.names("\(other)/ops/backups").first)
            try Disk.move("\(other)/ops/backups/\(name)", to: "\(folder)/\(name)")
            let drill = try site.bobbin("backup", "drill")
            #expect(drill.code == 0 && drill.out.hasPrefix(genuine), "\(drill.both)")
            let doctor = try site.bobbin("doctor").out
            #expect(doctor.contains("\(name) does not count: nobody known signed it"), "\(doctor)")
            #expect(doctor.contains("the newest, \(genuine.split(separator: "/").last ?? ""), is 0 h old"))
            let prune = try site.bobbin("backup", "prune")
            #expect(prune.out.contains("0 went, 2 kept") && prune.out.contains("nobody known signed it"))
            #expect(
                try site.bobbin("backup", "create", "--increment").out.contains("on which it stands"))

            // A key that was taken out does not come back with an old bundle.
            let pub = "\(site.path)/ops/backup.pub", own = try #require(Disk.text(pub))
            let line = try Program.call(["backup", "key", "--site", other]).out
            try Disk.write(own + line, to: pub)
            let old = try create(site)
            try Disk.write(own, to: pub)
            #expect(try site.bobbin("backup", "restore", old, "--only", "config").code == 0)
            #expect(Disk.text(pub) == own)
            // Lost, it is written again; damaged, somebody has to look.
            Disk.remove(pub)
            #expect(try site.bobbin("backup", "verify", old).code == 65)
            #expect(own.hasSuffix(try site.bobbin("backup", "key").out))
            #expect(try site.bobbin("backup", "verify", old).code == 0)
            try Disk.write("short", to: "\(site.spool)/.bobbin/bundle.key")
            let damaged = try site.bobbin("backup", "create")
            #expect(damaged.code == 69 && damaged.err.contains("move it away"), "\(damaged.both)")
            #expect(try site.bobbin("doctor").out.contains("the key that signs them cannot be read"))
            Disk.remove("\(site.spool)/.bobbin/bundle.key")
            let anew = try site.bobbin("backup", "create")
            #expect(anew.code == 0 && anew.out.contains("that key is new; keep its line"), "\(anew.both)")
            #expect(try site.bobbin("backup", "verify", old).code == 0)
        }
    }

    @Test(
        "what is encrypted is at no time in the clear where bundles lie, killed at any call, and in no drill")
    func neverInTheClear() throws {
        try TestSite.use { site in
            let key = TestSite.freshPath(), spare = TestSite.freshPath(), folder = site.outside("stick")
            defer { for path in [key, spare] { Disk.remove(path) } }
            for file in [key, spare] {
                #expect(
                    try Program.call(["secrets", "keygen", "--output", file, "--site", site.path]).code == 0)
            }
            try Disk.makeDirectory(folder)
            try Disk.write(
                "folder: \(folder)\nencrypt_to: [recipients]\n", to: "\(site.path)/ops/backup.yaml")
            try Disk.write("word: GEHEIMNIS\n", to: "\(site.path)/templates/a.yaml")
            try site.up()
            try site.drop("ask.yaml", job(["human_confirm: {message: GEHEIMNIS}"]))
            let asked = try site.parked("ask.yaml", "approval")
            func look(_ when: String) {
                for (path, bytes) in tree(folder) {
                    #expect(
                        !bytes.indices.contains { bytes[$0...].starts(with: "GEHEIMNIS".utf8) },
                        "\(when): \(path)")
                }
            }
            for call in stride(from: 1, through: 4_000, by: BackupTests.step(5)) {
                let outcome = try Program.call(
                    ["backup", "create", "--site", site.path],
                    environment: ["BOBBIN_IDENTITY": key, "BOBBIN_FAULT": "any:\(call):kill"])
                look("call \(call)")
                if outcome.code == 0 { break }
            }
            #expect(Disk.names(folder).contains { $0.hasSuffix(".age") })
            for call in stride(from: 100, through: 1_500, by: 100) {
                _ = try Program.call(
                    ["backup", "drill", "--site", site.path],
                    environment: ["BOBBIN_IDENTITY": key, "BOBBIN_FAULT": "any:\(call):kill"])
                look("drill, call \(call)")
            }
            let drill = try Program.call(
                ["backup", "drill", "--site", site.path], environment: ["BOBBIN_IDENTITY": key])
            #expect(drill.code == 0, "\(drill.both)")
            look("drill")
            // What the killed ones left has gone with the next.
            #expect(
                Disk.names("\(site.spool)/.bobbin").allSatisfy { !$0.hasSuffix(".tmp") || $0.utf8.count < 36 }
            )
            #expect(try site.bobbin("cancel", asked.id).code == 0)
            try site.result(of: "ask.yaml")
        }
    }

    @Test("a bundle of the configuration is made when it has changed, and not else") func unlessSame() throws
    {
        try TestSite.use { site in
            func make() throws -> Outcome {
                try site.bobbin("backup", "create", "--only", "config", "--unless-same")
            }
            let folder = "\(site.path)/ops/backups"
            #expect(try make().out.contains("ok, verified"))
            // The line of its own key came into ops/backup.pub before the first was begun.
            #expect(try make().out.contains("nothing has changed since"))
            #expect(Disk.names(folder).count == 1)
            try Disk.write("a: 1\n", to: "\(site.path)/templates/a.yaml")
            #expect(try make().out.contains("ok, verified"))
            #expect(try make().out.contains("nothing has changed since"))
            chmod("\(site.path)/templates/a.yaml", 0o600)
            #expect(try make().out.contains("ok, verified"))
            Disk.remove("\(site.path)/templates/a.yaml")
            #expect(try make().out.contains("ok, verified"))
            #expect(try make().out.contains("nothing has changed since"))
            #expect(Disk.names(folder).count == 4)
            // Another selection is another row of bundles.
            #expect(try site.bobbin("backup", "create", "--only", "reports").code == 0)
            #expect(try make().out.contains("nothing has changed since"))
        }
    }

    @Test("encrypted and signed: on a new machine it takes the recovery key, and the word whose bundle it is")
    func anotherMachine() throws {
        try TestSite.use { site in
            let key = TestSite.freshPath(), spare = TestSite.freshPath(), beside = TestSite.freshPath()
            defer { for path in [key, spare, beside] { Disk.removeTree(path) } }
            let here = ["BOBBIN_IDENTITY": key], nowhere = ["HOME": site.outside("home")]
            func call(_ words: [String], _ environment: [String: String]) throws -> Outcome {
                try Program.call(words, environment: environment)
            }
            let create = [
                "backup", "create", "--site", site.path, "--to", site.outside(""), "--encrypt-to",
                "recipients",
            ]
            let none = try call(create, nowhere)
            #expect(none.code == 69 && none.err.contains("bobbin secrets keygen"), "\(none.both)")
            for file in [key, spare] {
                let alone = try call(create, here)
                #expect(alone.code == 69 && alone.err.contains("[E-BACKUP-RECOVERY]"), "\(alone.both)")
                #expect(
                    try call(["secrets", "keygen", "--output", file, "--site", site.path], [:]).code == 0)
            }
            try Disk.write("a: 1\n", to: "\(site.path)/templates/a.yaml")
            let made = try call(create, here)
            try #require(made.code == 0 && made.out.contains(", encrypted\n"), "\(made.both)")
            let bundle = String(made.out.prefix { $0 != ":" })
            #expect(bundle.hasSuffix(".tar.zst.age"))
            #expect(try call(["backup", "verify", bundle, "--site", site.path], here).code == 0)
            let line = try #require(
                site.bobbin("backup", "key").out.split(separator: "\n").first.map(String.init))

            // The other machine: neither the site nor its identity.
            let restore = ["backup", "restore", bundle, "--to", beside]
            let locked = try call(restore, nowhere)
            #expect(locked.code == 69 && locked.err.contains("--identity FILE"), "\(locked.both)")
            let unknown = try call(restore + ["--identity", spare], nowhere)
            #expect(unknown.code == 69 && unknown.err.contains(line) && unknown.err.contains("--trust KEY"))
            #expect(!Disk.exists(beside))
            let wrong = try call(restore + ["--identity", spare, "--trust", "me+00000000+AAAA"], nowhere)
            #expect(wrong.code == 2 && wrong.err.contains("no key of bundles"), "\(wrong.both)")
            let back = try call(restore + ["--identity", spare, "--trust", line], nowhere)
            #expect(back.code == 0, "\(back.both)")
            #expect(Disk.text("\(beside)/templates/a.yaml") == "a: 1\n")
            // The key that signs did not come with it; whose bundles count did.
            #expect(!Disk.exists("\(beside)/spool/.bobbin/bundle.key"))
            let own = try call(["backup", "create", "--site", beside], nowhere)
            #expect(own.code == 0, "\(own.both)")
            #expect(Disk.lines("\(beside)/ops/backup.pub").count == 3)
            #expect(
                try call(["backup", "verify", bundle, "--identity", spare, "--site", beside], nowhere).code
                    == 0)
            let foreign = String(own.out.prefix { $0 != ":" })
            // A spool that is lost: to look makes none, and what counts is known without it.
            let copy = TestSite.freshPath()
            defer { Disk.removeTree(copy) }
            #expect(
                try call(restore.dropLast() + [copy, "--identity", spare, "--trust", line], nowhere).code == 0
            )
            Disk.removeTree("\(copy)/spool")
            let known = ["--identity", spare, "--site", copy]
            for verb in ["show", "verify"] {
                #expect(try call(["backup", verb, bundle] + known, nowhere).code == 0)
                #expect(!Disk.exists("\(copy)/spool"), "\(verb)")
            }
            #expect(try call(["backup", "restore", bundle] + known, nowhere).code == 0)
            #expect(Disk.exists("\(copy)/spool/.bobbin/spool.id"))
            let refused = try site.bobbin("backup", "restore", foreign, "--only", "config")
            #expect(refused.code == 69 && refused.err.contains("[E-SIGNED]"), "\(refused.both)")
            #expect(try site.bobbin("backup", "restore", foreign, "--only", "config", "--unsigned").code == 0)
            // A site that lies around a bundle is no witness for it.
            let around = try call(["backup", "verify", foreign], nowhere)
            #expect(around.code == 65 && around.err.contains("[E-SIGNED]"), "\(around.both)")
            // For another recipient: neither the same, nor to stand on.
            let config = [
                "backup", "create", "--site", site.path, "--only", "config", "--unless-same", "--increment",
            ]
            #expect(try call(config, here).out.contains("ok, verified"))
            #expect(try call(config, here).out.contains("nothing has changed"))
            for _ in 1...2 {
                let locked = try call(config + ["--encrypt-to", "recipients"], here)
                #expect(locked.code == 0 && !locked.out.contains("on which it stands"), "\(locked.both)")
            }
            #expect(Disk.names("\(site.path)/ops/backups").count { $0.hasSuffix(".age") } == 1)
            // Changed on its way: whatever is trusted.
            var bytes = try #require(Disk.bytes(foreign))
            bytes[bytes.count / 2] ^= 1
            try Disk.write(bytes, to: foreign)
            let changed = try site.bobbin("backup", "restore", foreign, "--only", "config", "--unsigned")
            #expect(changed.code == 65 && changed.err.contains("[E-ARCH]"), "\(changed.both)")
            try Disk.write("nonsense\n", to: "\(site.path)/ops/backup.pub")
            let pub = try site.bobbin("backup", "create", "--only", "config")
            #expect(pub.code == 69 && pub.err.contains("ops/backup.pub:1"), "\(pub.both)")
        }
    }

    @Test("what is no bundle is refused, and says so") func noBundle() throws {
        try TestSite.use { site in
            let bundle = try create(site)
            let bytes = try #require(Disk.bytes(bundle))
            let broken = site.outside("broken.tar.zst")
            func isElse(_ path: String) -> Bool { path.hasPrefix("outside") || path.hasSuffix("lock") }
            let canary = tree(site.path, without: isElse)
            for length in [0, 1, 100, bytes.count / 2, bytes.count - 40] {
                try Disk.write(Array(bytes.prefix(length)), to: broken)
                for verb in [
                    ["verify", broken, "--site", site.path], ["restore", broken, "--site", site.path],
                    ["restore", broken, "--to", TestSite.freshPath(), "--site", site.path],
                ] {
                    let outcome = try Program.call(["backup"] + verb)
                    #expect(
                        outcome.code == 65 && outcome.err.contains("[E-ARCH]"),
                        "\(length) \(verb[0]): \(outcome.both)")
                }
            }
            // Somebody else's archive.
            let tar = try Program.call(["-cf", broken, "-C", site.path, "ops"], path: "/bin/tar")
            try #require(tar.code == 0, "\(tar.both)")
            let foreign = try site.bobbin("backup", "restore", broken)
            #expect(
                foreign.code == 65 && foreign.err.contains("this is no bundle of bobbin"), "\(foreign.both)")
            let now = tree(site.path, without: isElse)
            #expect(now == canary, "\(now.filter { canary[$0.key] != $0.value }.keys)")
            let there = try site.bobbin("backup", "restore", bundle, "--to", site.path)
            #expect(there.code == 69 && there.err.contains("not empty"))
        }
    }

    @Test("ops/backup.yaml: which are kept, what is done with a new one; the shipped template does it all")
    func rules() throws {
        try TestSite.use { site in
            let tree = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
            try Disk.write(
                try #require(Disk.text("/\(tree)/templates/backup.yaml")),
                to: "\(site.path)/templates/backup.yaml")
            let rules = "keep: {last: 2, days: 0, monthly: 0}\n", copies = site.outside("copies")
            try Disk.makeDirectory(copies)
            try Disk.write(
                rules + "packing: none\nafter: [cp, \"{{ bundle }}\", \(copies)/]\n",
                to: "\(site.path)/ops/backup.yaml")
            try site.up()
            for number in 1...3 {
                try site.drop("b\(number).yaml", "template: backup.yaml\n")
                let result = try site.result(of: "b\(number).yaml")
                #expect(result.state == "succeeded", "\(result)")
                #expect(result["outputs.path"]?.hasSuffix(".tar") == true)
            }
            let folder = "\(site.path)/ops/backups"
            #expect(Disk.names(folder).count == 2 && Disk.names(copies).count == 3)
            // Somebody else's is left alone; so is what is none.
            let other = try TestSite()
            defer { other.remove() }
            let foreign = try create(other)
            try Disk.move(foreign, to: "\(folder)/bobbin_20010101_000000.tar.zst")
            try Disk.write("x", to: "\(folder)/bobbin_junk.tar")
            for _ in 1...2 { _ = try create(site) }
            let told = try site.bobbin("backup", "prune", "--dry-run")
            let going = told.out.split(separator: "\n").filter { $0.hasPrefix("goes") }.compactMap {
                $0.split(separator: " ").dropFirst().first.map(String.init)
            }
            let before = Set(Disk.names(folder))
            #expect(going.count == 2 && told.err.contains("bobbin_junk.tar is left alone"), "\(told.both)")
            #expect(try site.bobbin("backup", "prune").code == 0)
            #expect(before.subtracting(Disk.names(folder)) == Set(going))
            // The bundle is there, and that nobody has a copy is told.
            try Disk.write(rules + "after: [\"false\"]\n", to: "\(site.path)/ops/backup.yaml")
            let alone = try site.bobbin("backup", "create")
            #expect(
                alone.code == 1 && alone.out.contains("ok, verified")
                    && alone.err.contains("`after` of ops/backup.yaml failed"))
            try Disk.write("keep: {dayly: 3}\n", to: "\(site.path)/ops/backup.yaml")
            let wrong = try site.bobbin("backup", "create")
            #expect(
                wrong.code == 65 && wrong.err.contains("ops/backup.yaml:1:")
                    && wrong.err.contains("did you mean `daily`?"))
            #expect(try site.bobbin("doctor").out.contains("ops/backup.yaml"))
        }
    }

    @Test("a drill brings the newest bundle back, runs a job there, and nothing of it goes on") func drill()
        throws
    {
        try TestSite.use { site in
            let tree = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
            try Disk.write(
                try #require(Disk.text("/\(tree)/templates/backup_drill.yaml")),
                to: "\(site.path)/templates/backup_drill.yaml")
            let none = try site.bobbin("backup", "drill")
            #expect(none.code == 69 && none.err.contains("there is no bundle to try"))
            #expect(try site.bobbin("doctor").out.contains("there is none of this site"))
            let told = site.outside("told")
            try Disk.makeDirectory("\(site.path)/ops/notify.d")
            try Disk.write("#!/bin/sh\ncat >>'\(told)'\n", to: "\(site.path)/ops/notify.d/ops", mode: 0o755)
            try site.up()
            try site.drop("ask.yaml", job(["human_confirm: {message: really?, notify: [ops]}"]))
            let asked = try site.parked("ask.yaml", "approval")
            try site.wait("somebody to be told", in: [site.outside("")]) { Disk.exists(told) ? () : nil }
            #expect(try site.bobbin("pause", "background").code == 0)
            _ = try site.waitForLog("queue background is paused")
            try site.drop("wait.yaml", job([site.effect("wait")]), "background")
            let bundle = try create(site)
            _ = try create(site, "--only", "config")
            try site.drop("d.yaml", "template: backup_drill.yaml\n")
            let result = try site.result(of: "d.yaml")
            #expect(result.state == "succeeded" && result["outputs.path"] == bundle, "\(result)")
            // Neither its jobs nor its questions went on there.
            #expect(site.count("wait", "once") == 0 && Disk.lines(told).count == 1)
            #expect(Disk.names("\(site.path)/ops/backups").allSatisfy { !$0.hasPrefix(".") })
            let size = try #require(Disk.bytes(bundle))
            try Disk.write(Array(size.dropLast(size.count / 3)), to: bundle)
            let broken = try site.bobbin("backup", "drill", bundle)
            #expect(
                broken.code == 1 && broken.err.contains("the drill failed")
                    && broken.err.contains("[E-ARCH]"), "\(broken.both)")
            #expect(try site.bobbin("cancel", asked.id).code == 0)
            try site.result(of: "ask.yaml")
            #expect(try site.bobbin("resume", "background").code == 0)
            try site.result(of: "wait.yaml")
            try site.stop()
            #expect(try site.bobbin("index", "rebuild").code == 0)
            let metrics = try json(site.bobbin("metrics", "--json"))
            #expect(
                metrics.text("backup_drill_failed") == "1" && metrics.text("backup_bytes") == "\(size.count)")
            #expect(try site.bobbin("metrics", "--prom").out.contains("bobbin_backup_age_seconds "))
            for format in ["md", "html"] {
                let page = try site.bobbin("report", "--format", format).out
                #expect(page.contains("The newest bundle is ") && page.contains("ago failed: "), "\(page)")
            }
        }
    }

    @Test(
        "what moves while a bundle is made is in it: between queues, sent back, submitted by a run in flight")
    func moving() throws {
        try TestSite.use { site in
            try site.up()
            for queue in ["default", "high_priority", "background"] {
                #expect(try site.bobbin("pause", queue).code == 0)
                _ = try site.waitForLog("queue \(queue) is paused")
            }
            let count = 60
            for number in 1...count {
                try site.drop("m\(number).yaml", job(["log: \(number)"]), "high_priority", 5)
            }
            let folder = site.outside("b")
            try Disk.makeDirectory(folder)
            let maker = try site.launch("backup", ["backup", "create", "--packing", "none", "--to", folder])
            // It has begun, and reads while they move.
            try site.wait("the maker to begin", in: [folder]) { Disk.names(folder).isEmpty ? nil : () }
            for number in 1...count {
                try Disk.move(
                    "\(site.lane("high_priority", 5))/m\(number).yaml",
                    to: "\(site.lane("background", 5))/m\(number).yaml")
            }
            #expect(try maker.end() == 0, "\(maker.said)")
            let beside = TestSite.freshPath()
            defer { Disk.removeTree(beside) }
            let bundle = "\(folder)/\(Disk.names(folder)[0])"
            let made = try Program.call(["backup", "restore", bundle, "--to", beside, "--site", site.path])
            try #require(made.code == 0, "\(made.both)")
            let there = ["high_priority", "background"].flatMap { Disk.names("\(beside)/spool/\($0)/p5") }
            #expect(there.sorted() == (1...count).map { "m\($0).yaml" }.sorted())
            for queue in ["default", "high_priority", "background"] {
                #expect(try site.bobbin("resume", queue).code == 0)
            }
            for number in 1...count { try site.result(of: "m\(number).yaml") }
            try site.stop()
            // A site on which nobody works: inbox/ has something.
            try Disk.write(job(["log: x"]), to: site.outside("in.yaml"))
            site.expect("in.yaml")
            try Disk.move(site.outside("in.yaml"), to: "\(site.spool)/inbox/in.yaml")
            try Disk.makeDirectory("\(site.spool)/done/2001-01-01")
            try Disk.makeDirectory("\(site.spool)/done/2001-01-01/mine")
            let odd = try site.bobbin("backup", "create")
            #expect(odd.code == 0 && odd.err.contains("2001-01-01/mine: a directory"), "\(odd.both)")
            rmdir("\(site.spool)/done/2001-01-01/mine")
            try site.up()
            try site.result(of: "in.yaml")
        }
    }

    @Test(
        "what stands in the way is told before anything is changed; what only grows is not put back over itself"
    ) func inTheWay() throws {
        try TestSite.use { site in
            try Disk.makeDirectory("\(site.path)/templates/sub")
            try Disk.write("one\n", to: "\(site.path)/templates/sub/t.yaml")
            chmod("\(site.path)/templates/sub", 0o750)
            chmod(site.spool, 0o700)
            try Disk.makeDirectory("\(site.path)/ops/audit")
            try Disk.write("{}\n", to: "\(site.path)/ops/audit/x.jsonl")
            let bundle = try create(site, "--to", site.outside(""))
            Disk.removeTree("\(site.path)/templates/sub")
            symlink(site.outside(""), "\(site.path)/templates/sub")
            let canary = tree(site.path) { $0.hasSuffix("lock") }
            for options in [[], ["--dry-run"], ["--only", "config"]] {
                let refused = try Program.call(["backup", "restore", bundle, "--site", site.path] + options)
                #expect(
                    refused.code == 69
                        && refused.err.contains("templates/sub of the site is a symbolic link"),
                    "\(options): \(refused.both)")
                #expect(tree(site.path) { $0.hasSuffix("lock") } == canary, "\(options)")
            }
            Disk.remove("\(site.path)/templates/sub")
            try Disk.write("{}\n{}\n", to: "\(site.path)/ops/audit/x.jsonl")
            for options in [["--only", "audit"], []] {
                #expect(
                    try Program.call(["backup", "restore", bundle, "--site", site.path] + options).code == 0)
                #expect(Disk.text("\(site.path)/ops/audit/x.jsonl") == "{}\n{}\n")
            }
            #expect(Disk.text("\(site.path)/templates/sub/t.yaml") == "one\n")
            // What was not for everybody is not.
            let beside = TestSite.freshPath()
            defer { Disk.removeTree(beside) }
            #expect(
                try Program.call(["backup", "restore", bundle, "--to", beside, "--site", site.path]).code == 0
            )
            for root in [site.path, beside] {
                for (path, mode) in [
                    ("templates/sub", 0o750), ("spool", 0o700), ("secrets", 0o700), ("ops", 0o755),
                ] {
                    var status = stat()
                    stat("\(root)/\(path)", &status)
                    #expect(status.st_mode & 0o777 == mode_t(mode), "\(root)/\(path)")
                }
            }
            // A spool that has lost its memory is kept like any other.
            try Disk.makeDirectory("\(site.spool)/done/2001-01-01")
            try Disk.write("mine\n", to: "\(site.spool)/done/2001-01-01/mine.yaml")
            Disk.removeTree("\(site.spool)/.bobbin")
            let lost = try Program.call(["backup", "restore", bundle, "--site", site.path, "--json"])
            let aside = try #require(json(lost).text("kept"))
            #expect(Disk.text("\(site.path)/\(aside)/spool/done/2001-01-01/mine.yaml") == "mine\n")
            let nothing = try site.bobbin("backup", "restore", bundle, "--only", "templates/none.yaml")
            #expect(nothing.code == 69 && nothing.err.contains("the bundle has nothing of that"))
            Disk.remove("\(site.path)/ops/audit/x.jsonl")
        }
    }

    @Test("a file is of the class that its path says, whatever the manifest says") func classes() throws {
        try TestSite.use { site in
            try Disk.write("evil\n", to: "\(site.path)/reports/evil.yaml")
            let bundle = try create(site, "--packing", "none", "--to", site.outside(""))
            var bytes = try #require(Disk.bytes(bundle))
            // The same length, so that every number still fits: a report becomes a drop, a lock, a journal.
            for path in ["spool/d/p1/e.yaml", "spool/.bobbin/loc", "ops/backups/abcde"] {
                var forged = bytes
                for index in forged.indices.dropLast(17)
                where forged[index..<(index + 17)].spells("reports/evil.yaml") {
                    forged.replaceSubrange(index..<(index + 17), with: Array((path + "xxxx").utf8.prefix(17)))
                }
                let broken = site.outside("forged.tar")
                try Disk.write(Sums.repaired(forged), to: broken)
                for options in [["--only", "reports"], []] {
                    let refused = try Program.call(
                        ["backup", "restore", broken, "--site", site.path] + options)
                    #expect(refused.code == 65, "\(path) \(options): \(refused.both)")
                }
            }
            bytes = []
        }
    }
    @Test("a key that was taken when the bundle was made is what its run became") func keys() throws {
        try TestSite.use { site in
            try site.up()
            try site.drop("good.yaml", job(["log: x"], head: "idempotency_key: good\n"))
            let good = try site.result(of: "good.yaml")
            try site.drop("bad.yaml", job(["fail: x"]))
            let bad = try site.result(of: "bad.yaml")
            try site.stop()
            let once = "\(site.spool)/.bobbin/once"
            let folder = try #require(Disk.names(once).first { $0.utf8.count == 2 }),
                file = "\(once)/\(folder)"
            let name = try #require(Disk.names(file).first),
                whole = try #require(Disk.text("\(file)/\(name)"))
            #expect(whole.split(separator: " ").count == 3 && whole.hasPrefix(good.run))
            // As it would have been read a moment earlier; and one of a run that has failed since.
            let words = whole.split(separator: " ")
            try Disk.write("\(words[0]) \(words[1])\n", to: "\(file)/\(name)")
            let other = String(name.reversed())
            try Disk.write("\(bad.run) \(words[1])\n", to: "\(file)/\(other)")
            let bundle = try create(site, "--to", site.outside(""))
            let beside = TestSite.freshPath()
            defer { Disk.removeTree(beside) }
            #expect(
                try Program.call(["backup", "restore", bundle, "--to", beside, "--site", site.path]).code == 0
            )
            let there = "\(beside)/spool/.bobbin/once/\(folder)"
            #expect(Disk.text("\(there)/\(name)")?.split(separator: " ").count == 3)
            #expect(Disk.text("\(there)/\(name)")?.hasPrefix("\(words[0]) \(words[1]) ") == true)
            #expect(!Disk.exists("\(there)/\(other)"))
        }
    }

    /// Checksums of tar headers, made right again.
    private enum Sums {
        static func repaired(_ bytes: [UInt8]) -> [UInt8] {
            var out = bytes
            for start in stride(from: 0, to: bytes.count - 511, by: 512)
            where out[(start + 257)..<(start + 262)].spells("ustar") {
                for index in 148..<156 { out[start + index] = 0x20 }
                let sum = out[start..<(start + 512)].reduce(0) { $0 + Int($1) }
                let text = String(sum, radix: 8)
                out.replaceSubrange(
                    (start + 148)..<(start + 156),
                    with: Array((String(repeating: "0", count: 6 - text.count) + text + "\0 ").utf8))
            }
            return out
        }
    }
}
extension ArraySlice<UInt8> {
    fileprivate func spells(_ text: String) -> Bool { elementsEqual(text.utf8) }
}
