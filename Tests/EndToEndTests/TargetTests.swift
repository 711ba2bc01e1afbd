// What this is: services outside in the built program: one that is down, one that may be called now and then.
// Owns: that a service that is down costs one attempt at a time, and that those who wait for it come back by themselves.
// Never: leaves the machine: `ssh` is a program of the test.
// On failure: shows the log and the files.
import LinuxSystem
import Testing

@Suite("targets", .onSites) struct TargetTests {
    /// The stand-in fails like the real one while the file `down` is there.
    private func site(_ settings: String, _ body: (TestSite) throws -> Void) throws {
        try TestSite.use { site in
            try Disk.makeDirectory("\(site.path)/bin")
            try Disk.write(
                "#!/bin/sh\necho call >> \(site.path)/calls\n[ ! -e \(site.path)/down ] || { echo \"ssh: connect to host web1 port 22: Connection refused\" >&2; exit 255; }\n",
                to: "\(site.path)/bin/ssh", mode: 0o755)
            try Disk.write("", to: "\(site.path)/calls")
            try Disk.write(
                "queues: {default: {max_concurrent: 4, retry_policy: {max_attempts: 1}}}\ntargets: \(settings)\n",
                to: "\(site.path)/ops/orchestrator.yaml")
            let path = Host.environment("PATH") ?? "/usr/bin:/bin"
            try site.up(["PATH": "\(site.path)/bin:\(path)"])
            try body(site)
        }
    }
    private let call = job(["ssh: {host: web1, argv: [date]}"])

    @Test("a service that is down: runs wait without a slot, one tries, and all go when it answers")
    func down() throws {
        try site("{\"*\": {breaker: {failures: 2, open_for: 3s}}}") { site in
            try Disk.write("", to: "\(site.path)/down")
            for name in ["a.yaml", "b.yaml"] {
                try site.drop(name, call)
                #expect(try site.result(of: name)["error.code"] == "E-SSH")
            }
            _ = try site.waitForLog("web1:22 is not called before")
            for name in ["c.yaml", "d.yaml", "e.yaml"] { try site.drop(name, call) }
            let parked = try ["c.yaml", "d.yaml", "e.yaml"].map { try site.parked($0, "target") }
            #expect(Disk.lines("\(site.path)/calls").count == 2)
            let status = try site.bobbin("status").out
            #expect(status.contains("services in trouble") && status.contains("web1:22"), "\(status)")
            #expect(try site.bobbin("show", parked[0].id).out.contains("waits (target, step 1) from"))
            Disk.remove("\(site.path)/down")
            for name in ["c.yaml", "d.yaml", "e.yaml"] {
                #expect(try site.result(of: name).state == "succeeded")
            }
            _ = try site.waitForLog("web1:22 answers again")
            #expect(Disk.lines("\(site.path)/calls").count == 5)
            #expect(try site.bobbin("targets").out.contains("none has failed"))
        }
    }

    @Test(
        "a runner that dies while runs wait for a service leaves nothing unknown; who is forgotten is called again"
    )
    func patience() throws {
        try site("{web1: {breaker: {failures: 1, open_for: 1h, patience: 2h}}}") { site in
            try Disk.write("", to: "\(site.path)/down")
            try site.drop("a.yaml", call)
            _ = try site.result(of: "a.yaml")
            try site.drop("b.yaml", call)
            let parked = try site.parked("b.yaml", "target")
            _ = try site.runners[0].killNow()
            #expect(try site.bobbin("targets", "--forget", "web1:22").code == 0)
            Disk.remove("\(site.path)/down")
            try site.up(["PATH": "\(site.path)/bin:\(Host.environment("PATH") ?? "/usr/bin:/bin")"])
            // It waits as it was told to, until somebody calls it.
            #expect(try site.bobbin("release", parked.id).code == 0)
            #expect(try site.result(of: "b.yaml").state == "succeeded")
        }
    }

    @Test(
        "patience ends; a cancelled run gives its turns back; a far program's own 255 is no fault of the service"
    )
    func patienceAndTurns() throws {
        try site(
            "{web1: {breaker: {failures: 1, open_for: 1h, patience: 3s}}, web2: {rate_limit: {limit: 1, per: 1h}}}"
        ) { site in
            try Disk.write("", to: "\(site.path)/down")
            try site.drop("a.yaml", call)
            _ = try site.result(of: "a.yaml")
            try site.drop("b.yaml", call)
            // It waits as long as the service has patience, and no longer, whatever `open_for` says.
            try site.parked("b.yaml", "target")
            #expect(try site.result(of: "b.yaml")["error.code"] == "E-TARGET-DOWN")
            let many = job([
                "foreach: {items: [1, 2, 3, 4, 5, 6], concurrency: 3, steps: [{ssh: {host: web2, argv: [date]}}]}"
            ])
            Disk.remove("\(site.path)/down")
            try site.drop("many.yaml", many)
            let parked = try site.parked("many.yaml", "target")
            #expect(try site.bobbin("cancel", parked.id).code == 0)
            #expect(try site.result(of: "many.yaml").state == "cancelled")
            let targets = try Papers.parse(site.bobbin("targets", "--json").out)
            let web2 = try #require(targets.items?.first { $0.text("target") == "web2:22" })
            #expect(web2.text("turns_ahead") == "0")
            try Disk.write(
                "#!/bin/sh\necho 'no such file' >&2\nexit 255\n", to: "\(site.path)/bin/ssh", mode: 0o755)
            let other = job(["ssh: {host: web3, argv: [date]}"])
            for name in ["x.yaml", "y.yaml"] {
                try site.drop(name, other)
                #expect(try site.result(of: name)["error.code"] == "E-SSH")
            }
            #expect(try !site.bobbin("targets").out.contains("web3"))
        }
    }
}
