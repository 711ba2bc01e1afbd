// What this is: a site for many people with real accounts (Shared/shared-site.sh), and what of roles a private site has.
// Owns: the mount namespace in which the accounts exist; without root the script is counted as not run.
// Never: makes an account on the host.
// On failure: each line of the script that says `not ok`, with what was seen.
import Foundation
import Glibc
import LinuxSystem
import Testing

@Suite("roles", .onSites) struct SharedSiteTests {
    private static let script = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "Shared/shared-site.sh").path

    @Test(
        "four people and a service: rights, intent, submitters, confinement, forged approvals and commands",
        .enabled(if: geteuid() == 0, "needs root, for accounts in a mount namespace of its own"))
    func people() throws {
        // Outside of what is private to an account: all of them must get there.
        let place = TestSite.freshPath(below: "/tmp")
        defer { Disk.removeTree(place) }
        let said = try Program.call(
            ["--mount", "bash", Self.script, Program.path, place], path: "/usr/bin/unshare", within: 300)
        #expect(said.code != 77, "no private mounts here: \(said.err)")
        let lines = said.out.split(separator: "\n").map(String.init)
        let good = lines.filter { $0.hasPrefix("ok ") }
        #expect(lines.last == "end", "\(said.both.suffix(2000))")
        #expect(lines.filter { $0.hasPrefix("not ok ") } == [], "\(said.err.suffix(1000))")
        #expect(Set(good).count == good.count && good.count >= 59, "\(good.count) checks")
        print("shared site: \(good.count) checks with real accounts")
    }

    @Test(
        "a private site may have roles too; a broken access.yaml starts nothing, and changes nothing that works"
    )
    func rules() throws {
        try TestSite.use { site in
            let file = "\(site.path)/ops/access.yaml"
            try Disk.write("users: {anna: Editr}\nqueus: {}\n", to: file)
            let refused = try site.bobbin("run", "--until-idle")
            #expect(refused.code == 65 && refused.both.contains("did you mean `Editor`?"), "\(refused.both)")
            #expect(
                refused.both.contains("did you mean `queues`?") && refused.both.contains("ops/access.yaml:1:")
            )
            try Disk.write("users: {nobody: Viewer}\neverybody: none\n", to: file)
            try site.up()
            try site.drop("own.yaml", job(["log: x"]))
            #expect(try site.result(of: "own.yaml").state == "succeeded", "the service's own")
            #expect(try site.bobbin("access", "can", "nobody", "read_runs").code == 0)
            let no = try site.bobbin("access", "can", "nobody", "queue:default")
            #expect(no.code == 1 && no.both.contains("Runner or higher"), "\(no.both)")
            // A misspelt name must not be answered with yes.
            for name in ["queue:defualt", "step:shel", "template:none.yaml"] {
                #expect(try site.bobbin("access", "can", "root", name).code == 2, "\(name)")
            }
            let told = try site.bobbin("access", "can", "nobody", "queue:default", "--json")
            #expect(told.code == 1 && told.out.contains("\"may\": false"), "\(told.both)")
            try Disk.write("users: {nobody: Viewr}\n", to: file)
            try site.waitForLog("the old rules stay")
            try site.drop("still.yaml", job(["log: x"]))
            #expect(try site.result(of: "still.yaml").state == "succeeded")
            // The verbs that look at the end ask who may do what.
            try Disk.write("everybody: none\n", to: file)
        }
    }
}
