// What this is: spools that earlier versions left behind, taken up by this one.
// Owns: what must become of each run in them.
// Never: makes a fixture anew (Tests/Fixtures/README.md).
// On failure: shows the site's story.
import Glibc
import Testing

@Suite("frozen spools", .onSites) struct FrozenTests {
    private let fixtures =
        "\(#filePath)".split(separator: "/").dropLast(2).map { "/" + $0 }.joined() + "/Fixtures"

    @Test("a spool of format 1, killed in the middle of its work, goes on") func formatOne() throws {
        try TestSite.use { site in
            Disk.removeTree(site.spool)
            let unpacked = try Program.call(
                [
                    "-xzf", "\(fixtures)/format-1.tar.gz", "-C", site.path, "--strip-components=1",
                    "--no-same-owner",
                ], path: "/bin/tar")
            try #require(unpacked.code == 0, "\(unpacked)")
            for name in ["ok", "fails", "bad", "later", "open", "waiting", "held"] {
                site.expect("\(name).yaml")
            }
            let before = try site.results(of: "ok.yaml").map(\.description)
            #expect(before.count == 1 && before[0].contains("answer: 42"))
            #expect(try site.bobbin("journal", "verify").code == 0)
            try site.up()
            let held = try site.parked("held.yaml", "held")
            #expect(try site.bobbin("release", held.id).code == 0)
            // Its hour may be over by now; then it goes on by itself.
            if let later = site.find("later.yaml", [.parked]).first {
                _ = try site.bobbin("release", later.id)
            }
            #expect(try site.settle() == 1, "one run was in a step that must not run twice")
            for (run, step) in [
                ("ok", "once"), ("fails", "once"), ("open", "once"), ("open", "after"), ("later", "once"),
                ("later", "twice"), ("held", "before"), ("held", "after"), ("waiting", "once"),
            ] {
                #expect(site.count(run, step) == 1, "\(run) \(step)")
            }
            for name in ["later", "open", "held", "waiting"] {
                #expect(try site.result(of: "\(name).yaml").state == "succeeded")
            }
            #expect(try site.results(of: "ok.yaml").map(\.description) == before, "a result never changes")
            #expect(try site.bobbin("runs", "--json").out.contains("fails"))
        }
    }
}
