// What this is: the steps `archive` and `extract` as two ends of one way, and what tar says of it.
// Owns: a small tree with every kind of name.
// Never: packs a link.
// On failure: the form and the file that differs.
import LinuxSystem
import Testing

@Suite("archives", .onSites) struct ArchiveTests {
    /// The last two look alike.
    private static let files: [(String, String)] = [
        ("plain.txt", "one\n"), ("deep/er/two words.csv", "a,b\n"), ("empty", ""), ("Größe.txt", "composed"),
        ("Gro\u{0308}ße.txt", "decomposed"), (String(repeating: "long", count: 40) + ".txt", "x"),
    ]

    @Test(
        "each form: packed, compared, unpacked, the same; sources go only when asked",
        arguments: ["zip", "tar", "tar.gz", "tgz", "tar.zst"])
    func forms(_ form: String) throws {
        try TestSite.use { site in
            let source = site.outside("in")
            // A zip has names as text, in one form of Unicode.
            let files = ArchiveTests.files.filter { form != "zip" || $0.1 != "decomposed" }
            for (name, text) in files {
                var folder = source
                if !Disk.exists(folder) { try Disk.makeDirectory(folder) }
                for part in name.split(separator: "/").dropLast() {
                    folder += "/\(part)"
                    if !Disk.exists(folder) { try Disk.makeDirectory(folder) }
                }
                try Disk.write(text, to: "\(source)/\(name)")
            }
            try Disk.makeDirectory("\(source)/nothing in it")
            try site.up()
            try site.drop(
                "pack.yaml",
                job(
                    [
                        "{id: a, archive: {folder: outside/in, out: \"outside/x.\(form)\", remove_sources: true}}",
                        "extract: {archive: \"{{ steps.a.archive }}\", dest: outside/back}",
                    ], tail: "outputs: {files: \"{{ steps.a.files }}\", removed: \"{{ steps.a.removed }}\"}\n"
                ))
            let result = try site.result(of: "pack.yaml")
            #expect(result.state == "succeeded", "\(result)")
            #expect(
                result["outputs.files"] == "\(files.count)" && result["outputs.removed"] == "\(files.count)",
                "\(result)")
            for (name, text) in files {
                #expect(Disk.text("\(site.outside("back"))/\(name)") == text, "\(name)")
                #expect(!Disk.exists("\(source)/\(name)"))
            }
            #expect(Disk.exists("\(site.outside("back"))/nothing in it"))
            if form == "tar" || form == "tgz" {
                let answer = try #require(
                    try BriefProcess.ask(["tar", "-tf", site.outside("x.\(form)")], patience: 60))
                #expect(answer.isGood && String(decoding: answer.output, as: UTF8.self).contains("plain.txt"))
            }
            try site.drop("odd.yaml", job(["archive: {folder: outside/back, out: outside/x.rar}"]))
            #expect(try site.result(of: "odd.yaml").state == "failed")
        }
    }
}
