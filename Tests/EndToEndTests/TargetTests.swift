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
                "#!/bin/sh\necho call >> \(site.path)/calls\n[ ! -e \(site.path)/down ] || { echo refused >&2; exit 255; }\n",
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

    @Test("patience ends, and a runner that dies while runs wait for a service leaves nothing unknown")
    func patience() throws {
        try site("{web1: {breaker: {failures: 1, open_for: 1h, patience: 1s}}}") { site in
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
}
