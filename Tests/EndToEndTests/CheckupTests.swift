// What this is: the daily, weekly and monthly check, dropped as their schedules do, and what the pages say.
// Owns: a site on which something is wrong, and on which it was mended.
// Never: judges the machine: how full its disk is.
// On failure: shows the page.
import LinuxSystem
import Testing

@Suite("checkup", .onSites) struct CheckupTests {
    private func page(_ site: TestSite, _ list: String, _ number: Int) throws -> String {
        let name = "check\(number)-\(list).yaml"
        try site.drop(name, "template: checkup.yaml\nvariables: {list: \(list)}\n")
        let result = try site.result(of: name)
        #expect(result.state == "succeeded", "\(result)")
        let text = try #require(Disk.text(result["outputs.page"] ?? ""))
        #expect(
            text.split(separator: "\n").count { $0.hasPrefix("- [ ]") } == Int(result["outputs.open"] ?? ""))
        return text
    }

    @Test("each list names what is wrong, and ticks it off when it is mended") func lists() throws {
        try TestSite.use { site in
            let tree = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
            for name in ["checkup", "backup_drill", "prune"] {
                try Disk.write(
                    try #require(Disk.text("/\(tree)/templates/\(name).yaml")),
                    to: "\(site.path)/templates/\(name).yaml")
            }
            try site.up()
            try site.drop("bad.yaml", job(["fail: \"the ledger is locked\""]))
            try site.result(of: "bad.yaml")
            try Signals.ask("the index") { try site.bobbin("runs").out.contains("bad") }
            let first = try page(site, "daily", 1)
            #expect(first.contains("1 runs in 24 hours, 1 failed. To do: bobbin clusters"), "\(first)")
            #expect(first.contains("- [ ] 1 × ") && first.contains("the ledger is locked"), "\(first)")
            #expect(first.contains("- [ ] there is no bundle of the whole site. To do: bobbin backup create"))
            #expect(!first.contains("## By hand") && !first.contains("drill"))
            let weekly = try page(site, "weekly", 1)
            #expect(weekly.contains("- [ ] nobody has tried to bring a bundle back"), "\(weekly)")
            #expect(weekly.contains("- [ ] old files were never cleaned up. To do: bobbin prune"))

            #expect(try site.bobbin("backup", "create").code == 0)
            for name in ["backup_drill", "prune"] {
                try site.drop("\(name)-1.yaml", "template: \(name).yaml\n")
                #expect(try site.result(of: "\(name)-1.yaml").state == "succeeded")
            }
            // The leader reads what was written down in its next round; a fence of its own kind is the rebuilt index.
            try site.stop()
            #expect(try site.bobbin("index", "rebuild").code == 0)
            try site.up()
            let mended = try page(site, "monthly", 2)
            #expect(mended.contains("- [x] the newest bundle, bobbin_"), "\(mended)")
            #expect(mended.contains("- [x] the last restore drill, 0 h ago, went well"), "\(mended)")
            #expect(
                mended.contains("- [x] old files were cleaned up 0 h ago: 0 went, 0 runs were packed"),
                "\(mended)")
            #expect(mended.contains("- [x] 0 secrets were last set more than 90 days ago"), "\(mended)")
            #expect(mended.contains("## By hand\n\n- [ ] security updates"), "\(mended)")
        }
    }
}
