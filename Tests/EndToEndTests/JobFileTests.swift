// What this is: the job's own file: whose it is, who took it away, what a cut rename left of it.
// Owns: that a job lies beside its result whatever became of the drop, and that no remainder runs again.
// Never: tells how drops are judged (ArrivalTests do).
// On failure: shows the log and the files.
import Glibc
import LinuxSystem
import Testing

@Suite("the job's file", .onSites) struct JobFileTests {
    private func jobPath(beside result: Paper) -> String {
        String(result.path.dropLast(".result.yaml".count)) + ".yaml"
    }
    private func jobBeside(_ result: Paper) -> String? {
        Disk.text(jobPath(beside: result))
    }

    @Test("somebody took the file away while it ran: a copy of what was accepted lies beside the result")
    func takenAway() throws {
        try TestSite.use { site in
            try site.up()
            let text = try job([site.gate("a"), "log: done"])
            try site.drop("a.yaml", text)
            try site.waitForEffect("a", "gate")
            let claimed = try #require(site.find("a.yaml").first?.path)
            Disk.remove(claimed)
            try site.open(gate: "a")
            let result = try site.result(of: "a.yaml")
            #expect(result.state == "succeeded" && jobBeside(result) == text, "\(result)")
        }
    }

    /// Their file could be changed by them at any time; what lies beside the result is what ran.
    @Test(
        "another user's drop: a copy lies beside the result, the drop is gone", .enabled(if: geteuid() == 0))
    func foreign() throws {
        try TestSite.use { site in
            let text = job(["log: hello"])
            try site.drop("f.yaml", text)
            let path = "\(site.lane())/f.yaml"
            try Disk.check("chown", path, chown(path, 65534, 65534))
            try site.up()
            let result = try site.result(of: "f.yaml")
            #expect(result.state == "succeeded" && jobBeside(result) == text, "\(result)")
            #expect(result["drop.uid"] == "65534", "\(result)")
            var facts = stat()
            #expect(
                lstat(jobPath(beside: result), &facts) == 0 && facts.st_uid == 0)
            #expect(Disk.names("\(site.spool)/claimed/main").isEmpty)
        }
    }

    /// Some file systems show a file in both directories when the power went in the middle of a rename.
    @Test(
        "the remainder of a claim that a power cut left in the queue is no second job",
        arguments: [true, false])
    func remainder(isRecorded: Bool) throws {
        try TestSite.use { site in
            let runner = try site.up()
            try site.drop("r.yaml", job([try site.gate("r") + "\n    idempotent: true"]))
            try site.waitForEffect("r", "gate")
            let claimed = try #require(site.find("r.yaml").first?.path)
            try runner.killNow()
            let left = "\(site.lane())/r.yaml"
            try Disk.check("link", left, link(claimed, left))
            if !isRecorded {
                // The claim was cut off before its record: it is adopted.
                let journal = "\(site.spool)/.bobbin/runners/main/journal"
                for name in Disk.names(journal) { Disk.remove("\(journal)/\(name)") }
            }
            try site.up()
            try site.wait("the end of the remainder", in: [site.lane()]) { Disk.exists(left) ? nil : () }
            try site.waitForEffect("r", "gate", times: 2)
            try site.open(gate: "r")
            // Where the record was lost nobody knows of the first life's step, which waits at the same gate.
            try site.open(gate: "r")
            #expect(try site.result(of: "r.yaml").state == "succeeded")
            #expect(try site.results(of: "r.yaml").count == 1)
        }
    }

    /// The rename did not survive, the record did: the claim is written anew, and the drop is a remainder.
    @Test("a claim whose rename was lost is one run") func lostRename() throws {
        try TestSite.use { site in
            let runner = try site.up()
            // Not repeatable: its start is on the disk, and the acceptance before it.
            try site.drop("l.yaml", job([site.gate("l"), site.effect("l")]))
            try site.waitForEffect("l", "gate")
            let claimed = try #require(site.find("l.yaml").first?.path)
            try runner.killNow()
            let left = "\(site.lane())/l.yaml"
            try Disk.move(claimed, to: left)
            try site.up()
            let parked = try site.parked("l.yaml", "interrupted")
            try site.wait("the end of the remainder", in: [site.lane()]) { Disk.exists(left) ? nil : () }
            #expect(try site.bobbin("resolve", parked.id, "--skip").code == 0)
            #expect(try site.result(of: "l.yaml").state == "succeeded")
            try site.fence("after.yaml")
            #expect(site.count("l", "gate") == 1 && site.count("l", "once") == 1)
            #expect(try site.results(of: "l.yaml").count == 1)
        }
    }

    /// It has the inode and the name of a file that a crash might have left; but it lies nowhere else.
    @Test("a job of a recovered run, moved back from failed/, runs again") func movedBack() throws {
        try TestSite.use { site in
            let runner = try site.up()
            try site.drop("b.yaml", job([site.gate("b"), "fail: on purpose"]))
            try site.waitForEffect("b", "gate")
            try runner.killNow()
            try site.up()
            let parked = try site.parked("b.yaml", "interrupted")
            #expect(try site.bobbin("resolve", parked.id, "--skip").code == 0)
            let result = try site.result(of: "b.yaml")
            #expect(result.state == "failed", "\(result)")
            try Disk.move(jobPath(beside: result), to: "\(site.lane())/b.yaml")
            try site.waitForEffect("b", "gate", times: 2)
            try site.open(gate: "b")
            let second = try site.result(of: "b.yaml")
            #expect(second.path != result.path && second.state == "failed", "\(second)")
            // It has no job beside it any more, since that was moved alone.
            Disk.remove(result.path)
        }
    }

    @Test("half-written files of processes that are gone are removed, those of the living are not")
    func temporaries() throws {
        try TestSite.use { site in
            let mine = "\(site.spool)/control/.\(getpid())-1.tmp",
                dead = "\(site.spool)/control/.99999999-1.tmp"
            for path in [mine, dead] { try Disk.write("half", to: path) }
            try site.up()
            try site.wait("the end of \(dead)", in: ["\(site.spool)/control"]) {
                Disk.exists(dead) ? nil : ()
            }
            #expect(Disk.exists(mine))
            Disk.remove(mine)
        }
    }
}
