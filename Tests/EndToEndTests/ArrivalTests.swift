// What this is: the delivery contract from outside: every way in which a whole file comes into a queue.
// Owns: the table of ways.
// Never: uses a way that people's programs do not use.
// On failure: names the way.
import Glibc
import Testing

/// A way to bring a file into a directory.
struct Way: Sendable, CustomTestStringConvertible {
    var name: String
    /// Whether the act itself completes the drop, so that no timer may stand in the way.
    var isInstant = true
    var file = "a.yaml"
    var text = job(["log: here"])
    var act: @Sendable (_ text: String, _ outside: String, _ target: String) throws -> Void
    var testDescription: String { name }

    private static func shell(_ script: String, _ text: String, _ outside: String, _ target: String) throws {
        try Disk.write(text, to: outside)
        let done = try Program.call(["-c", script, outside, target], path: "/bin/sh")
        if done.code != 0 { throw Trouble("\(script): \(done.both)") }
    }

    static let all: [Way] = [
        Way(name: "mv") { try shell("mv \"$0\" \"$1\"", $0, $1, $2) },
        Way(name: "cp") { try shell("cp \"$0\" \"$1\"", $0, $1, $2) },
        Way(name: "cp -p") { try shell("cp -p \"$0\" \"$1\"", $0, $1, $2) },
        // It sets the mode by name after it closed the file, and may complain that the drop was taken already.
        Way(name: "install") { try shell("install -m 644 \"$0\" \"$1\" || true", $0, $1, $2) },
        Way(name: "redirection of a shell") { try shell("cat \"$0\" > \"$1\"", $0, $1, $2) },
        Way(name: "tee") { try shell("tee \"$1\" < \"$0\" >/dev/null", $0, $1, $2) },
        Way(name: "a temporary name beside it, then mv") {
            try shell("cp \"$0\" \"$1.tmp\" && mv \"$1.tmp\" \"$1\"", $0, $1, $2)
        },
        Way(name: "a dot name beside it, then mv") {
            try shell("d=$(dirname \"$1\"); cp \"$0\" \"$d/.x\" && mv \"$d/.x\" \"$1\"", $0, $1, $2)
        },
        Way(name: "ln, then unlink of the first name") { text, outside, target in
            try Disk.write(text, to: outside)
            try Disk.check("link", target, link(outside, target))
            Disk.remove(outside)
        },
        Way(name: "ln, and the first name goes a second later", isInstant: false) { text, outside, target in
            try Disk.write(text, to: outside)
            try Disk.check("link", target, link(outside, target))
            _ = Signals.poll([], until: Moment.after(milliseconds: 1000))
            Disk.remove(outside)
        },
        // The close behind the link has no name to be seen by: who looks in between waits for the settle time.
        Way(name: "O_TMPFILE and linkat", isInstant: false) { text, _, target in
            let directory = String(target.dropLast("/a.yaml".count))
            let fd = try Disk.check(
                "open", directory, open(directory, 0o20000000 | O_DIRECTORY | O_WRONLY | O_CLOEXEC, 0o644))
            defer { close(fd) }
            try Disk.write(Array(text.utf8), to: fd)
            try Disk.check(
                "linkat", target, linkat(AT_FDCWD, "/proc/self/fd/\(fd)", AT_FDCWD, target, AT_SYMLINK_FOLLOW)
            )
        },
        Way(name: "mv of a file without a newline at its end", text: String(job(["log: here"]).dropLast())) {
            try shell("mv \"$0\" \"$1\"", $0, $1, $2)
        },
        Way(name: "cp with a last line ...", text: job(["log: here"], tail: "...\n")) {
            try shell("cp \"$0\" \"$1\"", $0, $1, $2)
        },
        Way(
            name: "cp of JSON without a newline", file: "a.json",
            text: #"{"dsl_version": "1.1", "steps": [{"log": "here"}]}"#
        ) {
            try shell("cp \"$0\" \"$1\"", $0, $1, $2)
        },
        Way(
            name: "mv of JSON", file: "a.json",
            text: #"{"dsl_version": "1.1", "steps": [{"log": "here"}]}"# + "\n"
        ) {
            try shell("mv \"$0\" \"$1\"", $0, $1, $2)
        },
        Way(name: "rsync's way", text: job(["log: here"])) {
            try shell(
                "d=$(dirname \"$1\"); cp \"$0\" \"$d/.a.yaml.Xq12\"; touch \"$d/.a.yaml.Xq12\"; mv \"$d/.a.yaml.Xq12\" \"$1\"",
                $0, $1, $2)
        },
    ]
}

@Suite("arrival", .onSites) struct ArrivalTests {
    @Test("every way a file arrives", arguments: Way.all) func arrives(_ way: Way) throws {
        try TestSite.use { site in
            try site.up()
            site.expect(way.file)
            try way.act(way.text, site.outside(way.file), "\(site.lane())/\(way.file)")
            let result = try site.result(of: way.file)
            #expect(result.state == "succeeded")
            // Well below the rescan (30 s) and the patience (60 s): an event brought it. How fast is the benchmark's matter:
            // another test's child may hold a copy of the writer's descriptor for a moment, a link may be seen twice.
            if way.isInstant {
                #expect(
                    Double(result["waited_seconds"] ?? "") ?? 99 < 9,
                    "a timer stood in the way of: \(way.name)")
            }
        }
    }

    @Test("what waited while nobody worked is found at the start") func backlog() throws {
        try TestSite.use { site in
            for number in 1...5 { try site.drop("b\(number).yaml", job(["log: here"])) }
            try site.up()
            for number in 1...5 { #expect(try site.result(of: "b\(number).yaml").state == "succeeded") }
        }
    }

    @Test("the same name twice is two runs") func twice() throws {
        try TestSite.use { site in
            try site.up()
            for round in 1...3 {
                try site.drop("twin.yaml", job([site.effect("twin\(round)")]))
                #expect(try site.result(of: "twin.yaml", run: round).state == "succeeded")
            }
            for round in 1...3 { #expect(site.count("twin\(round)", "once") == 1) }
        }
    }

    @Test("a slow writer is left alone until it is done") func slowWriter() throws {
        try TestSite.use { site in
            try site.up()
            let path = "\(site.lane())/slow.yaml"
            let fd = try Disk.check("open", path, open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o644))
            site.expect("slow.yaml")
            // Valid as it stands: only who has it open tells that it is not whole.
            try Disk.write(Array(job([site.effect("slow", "once1")]).utf8), to: fd)
            try site.fence("f1.yaml", "default")
            #expect(site.find("slow.yaml").map(\.place) == [.queue])
            let status = try site.bobbin("status", "--json")
            let shown = try Papers.parse(status.out)
            #expect(shown.at("arriving.0.file")?.scalar?.text == "default/p5/slow.yaml", "\(status.out)")
            #expect(shown.at("arriving.0.why")?.scalar?.text == "open for writing")
            #expect(try site.bobbin("status").out.contains("slow.yaml  open for writing"))
            try Disk.write(Array("  - \(site.effect("slow", "once2"))\n".utf8), to: fd)
            try site.fence("f2.yaml", "default")
            #expect(site.find("slow.yaml").map(\.place) == [.queue])
            close(fd)
            #expect(try site.result(of: "slow.yaml").state == "succeeded")
            #expect(site.count("slow", "once1") == 1 && site.count("slow", "once2") == 1)
        }
    }

    @Test("cp of a file without a newline waits, then is sent back") func noNewline() throws {
        try TestSite.use(environment: ["BOBBIN_ARRIVAL_PATIENCE": "1s"]) { site in
            try site.up()
            try Disk.write(String(job([site.effect("cut")]).dropLast()), to: "\(site.lane())/cut.yaml")
            site.expect("cut.yaml")
            try site.fence("f.yaml", "default")
            #expect(site.find("cut.yaml").map(\.place) == [.queue])
            let reason = try site.reason(of: "cut.yaml", seconds: 20)
            #expect(reason.code == "E-ARR-INCOMPLETE")
            #expect(
                reason["what_to_do"]?.contains("mv") == true
                    && reason["what_to_do"]?.contains("newline") == true, "both ways")
            #expect(site.count("cut", "once") == 0)
        }
    }

    @Test("a whole file that waits long for a slot, or in a paused queue, is never called incomplete")
    func waitsForASlot() throws {
        let short = ["BOBBIN_ARRIVAL_PATIENCE": "300ms", "BOBBIN_RESCAN": "100ms"]
        try TestSite.use(environment: short) { site in
            try site.up()
            try site.drop("busy.yaml", job([site.gate("busy")]), "background")
            try site.waitForEffect("busy", "gate")
            try Disk.write("", to: "\(site.spool)/control/pause-high_priority")
            for queue in ["background", "high_priority"] {
                // Seen while it is written, as every file is that `cp` brings.
                let path = "\(site.lane(queue))/\(queue).yaml"
                let fd = try Disk.check("open", path, open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o644))
                site.expect("\(queue).yaml")
                try Disk.write(Array(job([site.effect(queue)]).utf8), to: fd)
                try site.fence("f-\(queue).yaml", "default")
                close(fd)
            }
            // Three times as long as the patience, and each end is an occasion to look.
            for number in 1...5 {
                try site.drop("tick\(number).yaml", job(["sleep: 200ms"]))
                try site.result(of: "tick\(number).yaml")
            }
            #expect(site.find("background.yaml").map(\.place) == [.queue])
            #expect(site.find("high_priority.yaml").map(\.place) == [.queue])
            try site.open(gate: "busy")
            Disk.remove("\(site.spool)/control/pause-high_priority")
            for queue in ["background", "high_priority"] { try site.waitForEffect(queue, "once") }
            try site.settle()
        }
    }

    @Test("a cut file that is finished later runs") func finishedLater() throws {
        try TestSite.use { site in
            try site.up()
            try Disk.write(String(job(["log: here"]).dropLast()), to: "\(site.lane())/late.yaml")
            site.expect("late.yaml")
            try site.fence("f.yaml", "default")
            try Disk.write("\n", to: "\(site.lane())/late.yaml", append: true)
            #expect(try site.result(of: "late.yaml").state == "succeeded")
        }
    }

    @Test("a drop under its submitter's lease holds nobody up, and runs when the lease is gone") func leased()
        throws
    {
        try TestSite.use { site in
            // The kernel tells the holder of a lease that somebody waits for it. 1024 is F_SETLEASE, which Glibc hides.
            signal(SIGIO, SIG_IGN)
            try site.up()
            try Disk.write(job([site.effect("leased")]), to: site.outside("leased"))
            let fd = try Disk.check("open", "leased", open(site.outside("leased"), O_RDWR | O_CLOEXEC))
            try Disk.check("lease", "leased", fcntl(fd, 1024, Int32(F_WRLCK)))
            site.expect("leased.yaml")
            try Disk.move(site.outside("leased"), to: "\(site.lane())/leased.yaml")
            try site.fence("beside.yaml", "default")
            #expect(site.count("leased", "once") == 0)
            close(fd)
            #expect(try site.result(of: "leased.yaml").state == "succeeded")
        }
    }
}
