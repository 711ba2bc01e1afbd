// What this is: arrival where the place is special: inbox, replaced and late directories, editors, bursts, lost events.
// Owns: these scenes.
// Never: waits for a scan's hour.
// On failure: shows the log and the files.
import Glibc
import LinuxSystem
import Testing

@Suite("places", .onSites) struct PlaceTests {
    @Test("the inbox files a job where its own words say") func inbox() throws {
        try TestSite.use { site in
            try site.up()
            let rows = [
                ("plain", "", "default", "5"),
                ("urgent", "queue: high_priority\npriority: 1\n", "high_priority", "1"),
                ("low", "priority: 9\n", "default", "9"),
            ]
            for (name, head, _, _) in rows {
                site.expect("\(name).yaml")
                try Disk.write(job(["log: here"], head: head), to: site.outside(name))
                try Disk.move(site.outside(name), to: "\(site.spool)/inbox/\(name).yaml")
            }
            for (name, _, queue, priority) in rows {
                let result = try site.result(of: "\(name).yaml")
                #expect(
                    result["queue"] == queue && result["priority"] == priority && result.state == "succeeded")
            }
        }
    }

    @Test("what lay in the inbox while nobody worked is filed") func inboxBacklog() throws {
        try TestSite.use { site in
            site.expect("old.yaml")
            try Disk.write(job([site.effect("old")]), to: "\(site.spool)/inbox/old.yaml")
            // Older than the settle time when the runner starts.
            _ = Signals.poll([], until: Moment.after(milliseconds: 1100))
            try site.up()
            #expect(try site.result(of: "old.yaml").state == "succeeded")
        }
    }

    @Test(
        "the inbox keeps the delivery contract: a file moved in is whole as it is, and no timer is in its way"
    )
    func inboxMoved() throws {
        try TestSite.use { site in
            try site.up()
            site.expect("a.yaml")
            try Disk.write(String(job(["log: here"]).dropLast()), to: site.outside("a"))
            let began = Clocks.monotonic
            try Disk.move(site.outside("a"), to: "\(site.spool)/inbox/a.yaml")
            try site.result(of: "a.yaml")
            let took = (Clocks.monotonic - began) / 1_000_000
            #expect(took < 900, "\(took) ms")
        }
    }

    @Test("the inbox sends back what never becomes whole, and what is no job") func inboxPatience() throws {
        try TestSite.use(environment: ["BOBBIN_ARRIVAL_PATIENCE": "1s"]) { site in
            try site.up()
            for name in ["cut.yaml", "notes.txt"] {
                site.expect(name)
                try Disk.write(String(job(["log: here"]).dropLast()), to: "\(site.spool)/inbox/\(name)")
            }
            let done: Void? = try? site.wait(
                "both to be dealt with", in: ["\(site.spool)/inbox"], seconds: 12
            ) {
                Disk.names("\(site.spool)/inbox").isEmpty ? () : nil
            }
            #expect(done != nil, "left: \(Disk.names("\(site.spool)/inbox").sorted())")
        }
    }

    @Test("a drop directory that is replaced is watched again") func replaced() throws {
        try TestSite.use { site in
            try site.up()
            for round in 1...3 {
                Disk.removeTree(site.lane())
                _ = mkdir(site.lane(), 0o755)
                try site.wait("the directory", in: ["\(site.spool)/default"]) {
                    Disk.exists(site.lane()) ? () : nil
                }
                try site.drop("r\(round).yaml", job(["log: here"]))
                #expect(try site.result(of: "r\(round).yaml").state == "succeeded")
            }
        }
    }

    @Test(
        "a link in the place of a drop directory stops nobody; it is told of, and a directory there is taken up"
    )
    func misplaced() throws {
        try TestSite.use { site in
            let outside = site.outside("elsewhere")
            try Disk.makeDirectory(outside)
            try Disk.write(job([site.effect("trap")]), to: "\(outside)/trap.yaml")
            rmdir(site.lane("default", 4))
            try Disk.check("symlink", outside, symlink(outside, site.lane("default", 4)))
            try site.up()
            try site.waitForLog("no drop directory")
            #expect(try site.bobbin("doctor").out.contains("no drop directory"))
            // While it works as well.
            // One is just being written there.
            let text = Array(job([site.effect("half")]).utf8)
            site.expect("half.yaml")
            let half = try Disk.check(
                "open", "half",
                open("\(site.lane("default", 6))/half.yaml", O_WRONLY | O_CREAT | O_CLOEXEC, 0o644))
            try Disk.write(Array(text[..<20]), to: half)
            try Signals.wait("half.yaml to be seen arriving", in: [site.spool], pace: 50) {
                try site.bobbin("status").out.contains("half.yaml") ? () : nil
            }
            let runner = try #require(site.runners.first)
            runner.signal(SIGSTOP)
            try Disk.move(site.lane("default", 6), to: site.outside("away"))
            try Disk.check("symlink", outside, symlink(outside, site.lane("default", 6)))
            runner.signal(SIGCONT)
            try site.waitForLog("p6 was replaced or removed")
            try site.drop("beside.yaml", job(["log: here"]))
            #expect(try site.result(of: "beside.yaml").state == "succeeded")
            for priority in [4, 6] {
                Disk.remove(site.lane("default", priority))
                // The runner may be quicker, and make one.
                if priority == 6 { rmdir(site.lane("default", 6)) }
                if priority == 6, rename(site.outside("away"), site.lane("default", 6)) == 0 {
                    try Disk.write(Array(text[20...]), to: half)
                    close(half)
                    #expect(try site.result(of: "half.yaml").state == "succeeded")
                } else {
                    #expect(priority == 4, "p6 could not be put back")
                    _ = mkdir(site.lane("default", priority), 0o755)
                }
                try site.drop("after\(priority).yaml", job(["log: here"]), "default", priority)
                #expect(try site.result(of: "after\(priority).yaml").state == "succeeded")
            }
            #expect(site.count("trap", "once") == 0)
        }
    }

    @Test("a spool that is not where it was: nothing begins until it is back, and the log says so")
    func away()
        throws
    {
        try TestSite.use { site in
            try site.up()
            try site.fence("before.yaml")
            let away = site.outside("spool")
            try Disk.move(site.spool, to: away)
            try Disk.makeDirectory(site.spool)
            site.expect("meanwhile.yaml")
            try Disk.write(job([site.effect("meanwhile")]), to: site.outside("m"))
            try Disk.move(site.outside("m"), to: "\(away)/default/p5/meanwhile.yaml")
            try Signals.wait("the pressure in the log", in: ["\(away)/log"]) {
                Disk.lines("\(away)/log/bobbin.log").contains { $0.contains("is not mounted there any more") }
                    ? () : nil
            }
            #expect(site.count("meanwhile", "once") == 0 && Disk.exists("\(away)/default/p5/meanwhile.yaml"))
            // Who only looks does not put an empty spool there.
            let status = try site.bobbin("status")
            #expect(
                status.code == 69 && status.err.contains("E-SPOOL") && Disk.names(site.spool).isEmpty,
                "\(status.both)")
            rmdir(site.spool)
            try Disk.move(away, to: site.spool)
            #expect(try site.result(of: "meanwhile.yaml").state == "succeeded")
        }
    }

    @Test("a directory full of jobs moved into a queue's place is found") func movedDirectory() throws {
        try TestSite.use { site in
            try site.up()
            try Disk.makeDirectory(site.outside("new"))
            for number in 1...5 {
                site.expect("m\(number).yaml")
                try Disk.write(job(["log: here"]), to: site.outside("new/m\(number).yaml"))
            }
            // Replaces the empty p5; where the runner has made a new one meanwhile, that one is empty too.
            try Disk.check("rmdir", site.lane(), rmdir(site.lane()))
            try Disk.move(site.outside("new"), to: site.lane())
            for number in 1...5 { #expect(try site.result(of: "m\(number).yaml").state == "succeeded") }
        }
    }

    @Test("a whole queue that is removed while nobody works is made again") func late() throws {
        try TestSite.use { site in
            Disk.removeTree("\(site.spool)/background")
            try site.up()
            try site.drop("late.yaml", job(["log: here"]), "background", 3)
            #expect(try site.result(of: "late.yaml")["queue"] == "background")
        }
    }

    @Test("vim saves over a waiting job: the last text runs, once") func vim() throws {
        try TestSite.use { site in
            try site.up()
            #expect(try site.bobbin("pause", "background").code == 0)
            try site.waitForLog("queue background is paused")
            let lane = site.lane("background"), file = "\(lane)/e.yaml"
            try site.drop("e.yaml", job([site.effect("e", "once-old")]), "background")
            // What vim does with its defaults: a probe, a swap file, the old text under a backup name, the new text.
            try Disk.write("", to: "\(lane)/4913")
            Disk.remove("\(lane)/4913")
            try Disk.write("b0VIM 9.0", to: "\(lane)/.e.yaml.swp")
            try Disk.move(file, to: file + "~")
            try Disk.write(job([site.effect("e", "once-new")]), to: file)
            Disk.remove("\(lane)/.e.yaml.swp")
            #expect(try site.bobbin("resume", "background").code == 0)
            #expect(try site.result(of: "e.yaml").state == "succeeded")
            #expect(site.count("e", "once-old") == 0 && site.count("e", "once-new") == 1)
            #expect(Disk.exists(file + "~"), "the backup is not ours")
            Disk.remove(file + "~")
        }
    }

    @Test("an editor that writes a new file and renames it over the old one") func renameOver() throws {
        try TestSite.use { site in
            #expect(try site.bobbin("pause", "background").code == 0)
            try site.up()
            let lane = site.lane("background")
            try site.drop("e.yaml", job([site.effect("e", "once-old")]), "background")
            try Disk.write(job([site.effect("e", "once-new")]), to: "\(lane)/.e.yaml.kate-swp")
            try Disk.move("\(lane)/.e.yaml.kate-swp", to: "\(lane)/e.yaml")
            #expect(try site.bobbin("resume", "background").code == 0)
            #expect(try site.result(of: "e.yaml").state == "succeeded")
            #expect(site.count("e", "once-old") == 0 && site.count("e", "once-new") == 1)
        }
    }

    @Test("a burst of 2,000 files") func burst() throws {
        try TestSite.use { site in
            try site.up()
            let names = (1...2_000).map { "burst-\($0).yaml" }
            for name in names {
                try Disk.write(job(["log: here"]), to: site.outside(name))
                site.expect(name)
            }
            for name in names {
                try Disk.move(site.outside(name), to: "\(site.lane("high_priority"))/\(name)")
            }
            try site.waitForDone(2_000)
        }
    }

    @Test("events that were lost cost nothing but a scan") func overflow() throws {
        let limit = Int(Disk.lines("/proc/sys/fs/inotify/max_queued_events").first ?? "") ?? 16_384
        try TestSite.use { site in
            let runner = try site.up()
            runner.signal(SIGSTOP)
            // Each ignored file is two events; the queue must run over before the drops come.
            for number in 0...limit / 2 {
                let path = "\(site.lane())/.noise"
                try Disk.write(number % 2 == 0 ? "x" : "", to: path)
                if number % 500 == 0 { Disk.remove(path) }
                _ = link(path, "\(site.lane())/.link\(number)")
                Disk.remove("\(site.lane())/.link\(number)")
            }
            Disk.remove("\(site.lane())/.noise")
            for number in 1...30 { try site.drop("o\(number).yaml", job([site.effect("o\(number)")])) }
            runner.signal(SIGCONT)
            for number in 1...30 { #expect(try site.result(of: "o\(number).yaml").state == "succeeded") }
            try site.waitForLog("more events than the queue holds")
            for number in 1...30 { #expect(site.count("o\(number)", "once") == 1) }
        }
    }
}
