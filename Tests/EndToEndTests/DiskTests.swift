// What this is: a disk that is full, and writes that fail: nothing is lost, nothing half is shown, work goes on.
// Owns: a small tmpfs where we may mount one, and the faults that the debug program injects.
// Never: fills the disk that the suite itself is on.
// On failure: shows the log and the files.
import Glibc
import LinuxSystem
import Testing

/// A tmpfs of one megabyte over a priority directory's queue, so that only drops are short of room.
private struct SmallDisk {
    let path: String
    init(_ path: String, bytes: String = "1m") throws {
        self.path = path
        try Disk.check("mount", path, mount("tmpfs", path, "tmpfs", 0, "size=\(bytes)"))
    }
    func unmount() { _ = umount2(path, Int32(MNT_DETACH)) }

    /// Whether this process may mount at all: root, and a kernel that lets it.
    static let isPossible: Bool = {
        let path = TestSite.freshPath()
        guard mkdir(path, 0o755) == 0 else { return false }
        defer { rmdir(path) }
        guard let disk = try? SmallDisk(path) else { return false }
        disk.unmount()
        return true
    }()
}

@Suite("disk", .onSites) struct DiskTests {
    @Test(
        "cp onto a full disk leaves valid YAML with half the steps: it never runs",
        .enabled(if: SmallDisk.isPossible, "needs the right to mount a tmpfs"))
    func truncatedByFullDisk() throws {
        let place = TestSite.freshPath(), source = TestSite.freshPath()
        try Disk.makeDirectory(place)
        let disk = try SmallDisk(place, bytes: "64m")
        defer { disk.unmount(); Disk.removeTree(place) }
        try TestSite.use(environment: ["BOBBIN_ARRIVAL_PATIENCE": "2s"], below: place) { site in
            try site.up()
            // Whole lines until the last byte that fits, so that what is left parses.
            let line = "  - \(site.effect("full"))\n"
            let text = job([]) + String(repeating: line, count: 40_000 / line.utf8.count)
            try Disk.write(text, to: source)
            defer { Disk.remove(source) }
            try fill(site.outside("ballast"), leaving: 16_384, of: site.path)
            site.expect("full.yaml")
            let copied = try Program.call([source, "\(site.lane())/full.yaml"], path: "/bin/cp")
            #expect(copied.code != 0, "the disk was not full")
            // Cut it at a line, as a program that writes whole lines would have left it.
            let kept =
                (Disk.text("\(site.lane())/full.yaml") ?? "").split(
                    separator: "\n", omittingEmptySubsequences: false
                ).dropLast().joined(separator: "\n") + "\n"
            try Disk.check(
                "truncate", "full.yaml", truncate("\(site.lane())/full.yaml", off_t(kept.utf8.count)))
            let status = try Papers.parse(site.bobbin("status", "--json").out)
            #expect(status.text("disk_full") == "true")
            Disk.remove(site.outside("ballast"))
            let reason = try site.reason(of: "full.yaml")
            #expect(
                reason.code == "E-ARR-INCOMPLETE" && reason["message"]?.contains("full") == true, "\(reason)")
            #expect(site.count("full", "once") == 0)
            try site.fence("after.yaml", "default")
        }
    }

    @Test(
        "a kernel without a call that we need: a sentence at the start, no weaker way",
        arguments: ["openat2", "close_range"])
    func oldKernel(call: String) throws {
        try TestSite.use { site in
            let runner = try site.launch(
                "main", ["run", "--until-idle"], ["BOBBIN_FAULT": "\(call):1+:\(ENOSYS)"])
            #expect(try runner.end() == 69)
            #expect(
                runner.said.contains("the kernel has no `\(call)`") && runner.said.contains("E-KERNEL"),
                "\(runner.said)")
        }
    }

    @Test(
        "a disk short of room stops the claims, says so, and goes on by itself; what was whole stays whole",
        .enabled(if: SmallDisk.isPossible, "needs the right to mount a tmpfs"))
    func shortOfRoom() throws {
        let place = TestSite.freshPath()
        try Disk.makeDirectory(place)
        let disk = try SmallDisk(place, bytes: "64m")
        defer { disk.unmount(); Disk.removeTree(place) }
        try TestSite.use(environment: ["BOBBIN_ARRIVAL_PATIENCE": "2s"], below: place) { site in
            try site.up()
            try site.drop("first.yaml", job([site.effect("first")]))
            try site.waitForEffect("first", "once")
            // Not full, but below the reserve: drops can still be written whole.
            try fill(site.outside("ballast"), leaving: 600_000, of: site.path)
            for number in 1...5 {
                site.expect("w\(number).yaml")
                try Disk.write(job([site.effect("w\(number)")]), to: "\(site.lane())/w\(number).yaml")
            }
            _ = try site.waitForLog("nothing new begins for now: the disk has")
            let status = try Papers.parse(site.bobbin("status", "--json").out)
            #expect(status.text("disk_full") == "false")
            #expect(try site.bobbin("status").out.contains("begins nothing new: the disk has 0."))
            // Now nothing at all is left, and whole drops of before must not suffer for it.
            try fill(site.outside("ballast-2"), leaving: 0, of: site.path)
            #expect(site.count("w1", "once") == 0)
            Disk.remove(site.outside("ballast-2"))
            Disk.remove(site.outside("ballast"))
            _ = try site.waitForLog("that is over: work goes on")
            for number in 1...5 { try site.waitForEffect("w\(number)", "once") }
            try site.settle()
            #expect(try !site.bobbin("status").out.contains("begins nothing new"))
        }
    }

    @Test(
        "a disk that is getting short lets runs go one at a time, says so, and all of them again",
        .enabled(if: SmallDisk.isPossible, "needs the right to mount a tmpfs"))
    func gettingShort() throws {
        let place = TestSite.freshPath()
        try Disk.makeDirectory(place)
        let disk = try SmallDisk(place, bytes: "64m")
        defer { disk.unmount(); Disk.removeTree(place) }
        try TestSite.use(below: place) { site in
            try site.up()
            // The reserve of so small a disk is 1 MiB, and four of them are little.
            try fill(site.outside("ballast"), leaving: 3 << 20, of: site.path)
            _ = try site.waitForLog("runs go one at a time: the disk has")
            #expect(try site.bobbin("status").out.contains("runs go one at a time. Make room"))
            try site.drop("first.yaml", job([site.gate("one")]))
            try site.waitForEffect("one", "gate")
            try site.drop("second.yaml", job([site.effect("second")]))
            // What the main loop does behind it tells that it has seen the second, and given it to nobody.
            #expect(try site.bobbin("pause", "background").code == 0)
            _ = try site.waitForLog("queue background is paused")
            #expect(try site.bobbin("resume", "background").code == 0)
            _ = try site.waitForLog("queue background goes on")
            try site.open(gate: "one")
            let first = try site.result(of: "first.yaml"), second = try site.result(of: "second.yaml")
            let ended = try #require(first["ended_at"]), began = try #require(second["started_at"])
            #expect(ended <= began, "the first ended at \(ended), the second began at \(began)")
            Disk.remove(site.outside("ballast"))
            _ = try site.waitForLog("there is room again")
            try site.drop("third.yaml", job([site.gate("three")]))
            try site.waitForEffect("three", "gate")
            try site.drop("fourth.yaml", job([site.effect("fourth")]))
            try site.result(of: "fourth.yaml")
            try site.open(gate: "three")
            try site.result(of: "third.yaml")
        }
    }

    @Test(
        "a machine without processes fails no job: the step waits, and no try is counted",
        arguments: [11, 12, 24])
    func withoutProcesses(_ errno: Int) throws {
        try TestSite.use { site in
            try site.drop("p.yaml", job([site.effect("p")]))
            let runner = try site.launch(
                "main", ["run", "--until-idle"], ["BOBBIN_FAULT": "spawn:1:\(errno)"])
            #expect(try runner.end() == 0, "\(runner.said)")
            let log = Disk.text(site.log) ?? ""
            #expect(
                log.contains("nothing new begins") && log.contains("that is over: work goes on"), "\(log)")
            #expect(site.count("p", "once") == 1)
            try site.up()
            try site.settle()
        }
    }

    private func fill(_ path: String, leaving: UInt64, of site: String) throws {
        let fd = try Disk.check("open", path, open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600))
        defer { close(fd) }
        let directory = try Directory.open(site)
        let block = [UInt8](repeating: 0, count: 4096)
        while try directory.fileSystem().freeBytes > leaving {
            guard write(fd, block, block.count) == block.count else { break }
        }
    }

    @Test("a rename that fails is told, and the work ends all the same", arguments: [5, 28], 1...6)
    func failedRename(_ errno: Int, _ number: Int) throws {
        try TestSite.use { site in
            for number in 1...3 { try site.drop("f\(number).yaml", job([site.effect("f\(number)")])) }
            let runner = try site.launch(
                "main", ["run", "--until-idle"], ["BOBBIN_FAULT": "renameat2:\(number):\(errno)"])
            let code = try runner.end()
            let told = runner.said + (Disk.text(site.log) ?? "")
            #expect(code == 0 || code == 74 && told.contains("renameat2"), "\(code): \(told)")
            try site.up()
            try site.settle()
            for number in 1...3 { #expect(site.count("f\(number)", "once") == 1) }
        }
    }

    @Test(
        "a failed sync stops the process with 74, and a restart loses nothing",
        arguments: ["fdatasync:1:5", "fdatasync:2:5", "fdatasync:3:28"])
    func failedSync(_ fault: String) throws {
        try TestSite.use { site in
            for number in 1...3 { try site.drop("s\(number).yaml", job([site.effect("s\(number)")])) }
            let runner = try site.launch("main", ["run", "--until-idle"], ["BOBBIN_FAULT": fault])
            let code = try runner.end()
            #expect(code == 74 || code == 0, "\(fault): \(code) \(runner.said)")
            #expect(code == 0 || runner.said.contains("fdatasync"), "\(runner.said)")
            try site.up()
            try site.settle()
        }
    }
}
