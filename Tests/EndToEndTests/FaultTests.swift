// What this is: one small scene, ended or disturbed before each system call of the durable path in turn.
// Owns: the scene, the points that were tried, the time they may take.
// Never: counts calls of another thread's luck: a point is a number, what it hits may differ from run to run.
// On failure: names the point; BOBBIN_FAULT with it in a shell shows the same.
import Glibc
import LinuxSystem
import Testing

@Suite("faults", .onSites) struct FaultTests {
    /// Two runs, a rejection, a job by way of the inbox, a command nobody can carry out.
    private func prepare() throws -> TestSite {
        let site = try TestSite()
        let steps = [
            site.effect("one", "once1"), site.effect("one", "again") + "\n    idempotent: true", "log: x",
            site.effect("one", "once2"),
        ]
        try site.drop("one.yaml", job(steps, tail: "finally: [{log: bye}]\n"))
        try site.drop("two.yaml", job([site.effect("two", "once"), "fail: on purpose"]), "background", 2)
        try site.drop("bad.yaml", job(["logg: x"]))
        site.expect("in.yaml")
        try Disk.write(job([site.effect("in", "once")]), to: "\(site.spool)/inbox/in.yaml")
        try Disk.write("", to: "\(site.spool)/control/cancel-01KAJ0000000000000000000AA")
        return site
    }
    private func run(_ site: TestSite, _ fault: String) throws -> Int32 {
        try site.launch("main", ["run", "--until-idle"], ["BOBBIN_FAULT": fault]).end()
    }

    /// How many calls the scene makes when nothing disturbs it, roughly.
    private func calls() throws -> Int {
        var (low, high) = (128, 256)
        while try !survives(high) { (low, high) = (high, high * 2) }
        while high - low > 16 {
            let middle = (low + high) / 2
            if try survives(middle) { high = middle } else { low = middle }
        }
        return high
    }
    private func survives(_ point: Int) throws -> Bool {
        let site = try prepare()
        defer { site.remove() }
        return try run(site, "any:\(point):kill") == 0
    }

    /// Goes through the points in random order until the time is over; BOBBIN_CAMPAIGN gives it other seconds.
    private func campaign(_ name: String, seconds: Int, _ one: (TestSite, Int) throws -> Void) throws {
        let seconds = Host.environment("BOBBIN_CAMPAIGN").flatMap { Int($0) } ?? seconds
        let end = Moment.after(milliseconds: seconds * 1000)
        var chance = Chance(name)
        let last = try calls()
        let points = Array(1...last).shuffled(using: &chance)
        // Made ahead, so that a drop found by a scan is old enough to be whole.
        var ready: [TestSite] = []
        var tried = 0
        for point in points where Clocks.monotonic < end {
            while ready.count < 8 { ready.append(try prepare()) }
            let site = ready.removeFirst()
            try TestSite.use(site) { try one($0, point) }
            tried += 1
        }
        for site in ready { site.remove() }
        print("\(name): \(tried) points of about \(last) calls")
        #expect(tried > 0)
    }

    @Test("every call interrupted, every write and read cut in half: nothing differs") func interrupted()
        throws
    {
        try TestSite.use(try prepare()) { site in
            let code = try site.launch(
                "main", ["run", "--until-idle"], ["BOBBIN_FAULT": "any:1+:\(EINTR)", "BOBBIN_SHORT": "1"]
            ).end()
            #expect(code == 0)
            for (name, state) in [("one", "succeeded"), ("two", "failed"), ("in", "succeeded")] {
                #expect(try site.result(of: "\(name).yaml").state == state)
                #expect(site.count(name, name == "one" ? "once2" : "once") == 1)
            }
            #expect(site.find("bad.yaml").first?.place == .rejected)
        }
    }

    @Test("kill -9 before a call, again in the recovery, then peace") func kill() throws {
        try campaign("kill -9 before a call", seconds: 60) { site, point in
            let code = try run(site, "any:\(point):kill")
            #expect(code == 137 || code == 0, "call \(point): \(code)")
            _ = try run(site, "any:\(point):kill")
            try rest(site, "killed before call \(point)")
            let result = try #require(try site.results(of: "one.yaml").first)
            guard result.node("waits") == nil else { return }
            #expect(result.state == "succeeded", "call \(point): \(result)")
            #expect(
                site.count("one", "once1") == 1 && site.count("one", "once2") == 1
                    && site.count("one", "again") >= 1, "call \(point)")
        }
    }

    @Test(
        "a call that fails: nothing lost, nothing twice, no crash", arguments: [("ENOSPC", 28), ("EIO", 5)])
    func error(_ name: String, _ errno: Int) throws {
        try campaign("\(name) at a call", seconds: 40) { site, point in
            let code = try run(site, "any:\(point):\(errno)")
            #expect(
                code < 128,
                "\(name) at call \(point): ended by signal \(code - 128): \(site.runners.map(\.said))")
            try rest(site, "\(name) at call \(point)")
        }
    }

    private func rest(_ site: TestSite, _ what: String) throws {
        do {
            try site.up()
            try site.settle(seconds: 20)
        } catch { throw Trouble("\(what): \(error)") }
    }
}
