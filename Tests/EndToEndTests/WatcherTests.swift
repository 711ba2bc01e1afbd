// What this is: ops/watchers.yaml with real folders: arrivals, bursts into a stopped reader, restarts and kills, edits, the sample.
// Owns: a folder outside of the spool, and the book of which file was processed how often.
// Never: waits for time where a file or a line can tell.
// On failure: shows the log and the files.
import Glibc
import LinuxSystem
import Testing

@Suite("watchers", .onSites) struct WatcherTests {
    private func site(_ entry: String, _ body: (TestSite) throws -> Void) throws {
        try TestSite.use { site in
            site.mayHaveChildren = true
            try Disk.makeDirectory("\(site.path)/in")
            try Disk.write(
                """
                dsl_version: "1.1"
                name: seen
                params: {file: {type: string}}
                steps: [{run: [\(site.path)/effect, "{{ file }}", "{{ trigger.event }}"], idempotent: true}]
                outputs: {name: "{{ trigger.name }}", dir: "{{ trigger.dir }}", size: "{{ trigger.size }}", sha256: "{{ trigger.sha256 }}", count: "{{ trigger.count }}"}

                """, to: "\(site.path)/templates/seen.yaml")
            try write(entry, site)
            try body(site)
        }
    }
    private func write(_ entry: String, _ site: TestSite) throws {
        try Disk.write(
            "watchers:\n  - {id: w, watch_path: in, template: seen.yaml, debounce_ms: 50, settle: 200ms, variables: {file: \"{{ trigger.name }}\"}, \(entry)}\n",
            to: "\(site.path)/ops/.new")
        try Disk.move("\(site.path)/ops/.new", to: "\(site.path)/ops/watchers.yaml")
    }
    private func put(_ name: String, _ text: String, _ site: TestSite) throws {
        try Disk.write(text, to: "\(site.path)/in/\(name)")
    }
    private func seen(_ site: TestSite) -> [String] {
        Disk.lines(site.effects).map { $0.split(separator: " ").prefix(2).joined(separator: " ") }
    }
    private func wait(_ count: Int, _ site: TestSite, seconds: Int = Signals.patience) throws {
        try site.wait("\(count) files", in: [site.path], seconds: seconds) {
            seen(site).count >= count ? () : nil
        }
    }

    @Test("a file that arrives starts a job, which sees it; one that is still written does not")
    func arrival() throws {
        try site("patterns: [\"*.dat\"]") { site in
            try put("before.dat", "0123456789", site)
            try site.up()
            try wait(1, site)
            let fd = open("\(site.path)/in/slow.dat", O_WRONLY | O_CREAT, 0o644)
            try put("other.txt", "x", site)
            try put("quick.dat", "x", site)
            try wait(2, site)
            #expect(seen(site) == ["before.dat created", "quick.dat created"])
            close(fd)
            try wait(3, site)
            try site.stop()
            let day = try #require(Disk.names("\(site.spool)/done").first)
            let results = Disk.names("\(site.spool)/done/\(day)").filter { $0.hasSuffix(".result.yaml") }
                .sorted()
            let paper = try Papers.read("\(site.spool)/done/\(day)/\(results[0])")
            #expect(paper["outputs.name"] == "before.dat" && paper["outputs.size"] == "10")
            #expect(paper["outputs.dir"] == "\(site.path)/in" && paper["outputs.count"] == "1")
            #expect(
                paper["outputs.sha256"] == "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882")
            #expect(paper["tags.0"] == "watcher:w")
        }
    }

    @Test(
        "a burst of 5,000 files into a tree with a stopped reader: none is missed, none twice, over a kill as well"
    )
    func burst() throws {
        try site("recursive: true, batch: {max_files: 100, max_wait: 1s}, checksum: false") { site in
            // One job for a hundred files writes a line for each.
            try Disk.write(
                """
                dsl_version: "1.1"
                name: seen
                params: {file: {type: string}}
                steps:
                  - foreach:
                      items: "{{ trigger.files }}"
                      steps: [{run: [\(site.path)/effect, "{{ item.name }}", "{{ item.event }}"], idempotent: true}]

                """, to: "\(site.path)/templates/seen.yaml")
            for folder in 0..<50 { try Disk.makeDirectory("\(site.path)/in/d\(folder)") }
            let runner = try site.up()
            _ = try site.waitForLog("ops/watchers.yaml: 1 watcher")
            runner.signal(SIGSTOP)
            // More than the kernel queues for one reader: each file is three events.
            for number in 0..<5000 { try put("d\(number % 50)/f\(number)", "", site) }
            for number in 0..<2000 { try put("d\(number % 50)/f\(number)", "x", site) }
            runner.signal(SIGCONT)
            try wait(200, site)
            _ = try runner.killNow()
            try site.up()
            try wait(5000, site, seconds: 120)
            _ = try site.settle()
            try site.stop()
            // A run that the kill cut off is repeated from the round that it was in: that one line may be there twice.
            let names = seen(site).map { String($0.split(separator: " ")[0]) }
            #expect(Set(names).count == 5000)
            #expect(names.count - 5000 <= 6, "\(names.count)")
            let files = Disk.names("\(site.spool)/done").reduce(0) { sum, day in
                sum + Disk.names("\(site.spool)/done/\(day)").count { $0.hasSuffix(".result.yaml") }
            }
            #expect(files >= 50)
        }
    }

    @Test("what came while nobody worked is found, once") func whileDown() throws {
        try site("events: [created, modified, deleted]") { site in
            try put("a", "1", site)
            try site.up()
            try wait(1, site)
            try site.stop()
            try put("a", "22", site)
            try put("b", "1", site)
            try site.up()
            try wait(3, site)
            Disk.remove("\(site.path)/in/b")
            try wait(4, site)
            for _ in 0..<2 {
                try site.stop()
                try site.up()
            }
            _ = try site.settle()
            #expect(seen(site).sorted() == ["a created", "a modified", "b created", "b deleted"])
        }
    }

    @Test("an edit of the file holds at once, a bad one is told, a folder that is missing is waited for")
    func edits() throws {
        try site("enabled: false") { site in
            try site.up()
            _ = try site.waitForLog("ops/watchers.yaml: 0 watchers")
            try put("a", "1", site)
            try write("pattern: \"*\"", site)
            let line = try site.waitForLog("the watchers of before hold")
            #expect(line.contains("did you mean `patterns`?"), "\(line)")
            #expect(try site.bobbin("status").out.contains("did you mean `patterns`?"))
            try write("recursive: false", site)
            try wait(1, site)
            try Disk.write(
                "watchers:\n  - {id: gone, watch_path: \(site.path)/later, template: seen.yaml, debounce_ms: 50, settle: 200ms, variables: {file: \"{{ trigger.name }}\"}}\n",
                to: "\(site.path)/ops/watchers.yaml")
            _ = try site.waitForLog("gone: \(site.path)/later: it is not there")
            try Disk.makeDirectory("\(site.path)/later")
            try Disk.write("x", to: "\(site.path)/later/b")
            try wait(2, site)
            let listed = try site.bobbin("triggers", "--json")
            #expect(listed.code == 0 && listed.out.contains("\"id\": \"gone\""))
        }
    }

    @Test("folders that would feed themselves are refused") func loops() throws {
        try TestSite.use { site in
            for path in ["spool/done", "spool", "\(site.path)/spool/default"] {
                try Disk.write(
                    "watchers:\n  - {id: w, watch_path: \(path), template: t.yaml}\n",
                    to: "\(site.path)/ops/watchers.yaml")
                let said = try site.bobbin("triggers")
                #expect(said.code == 65 && said.err.contains("is in the spool"), "\(path): \(said.both)")
            }
            try Disk.write(
                "watchers:\n  - {id: w, watch_path: ., recursive: true, template: t.yaml}\n",
                to: "\(site.path)/ops/watchers.yaml")
            #expect(try site.bobbin("triggers").err.contains("holds the spool"))
        }
    }

    @Test("the sample: an invoice that arrives is checked and filed by its month") func sample() throws {
        try TestSite.use { site in
            site.mayHaveChildren = true
            let shipped = try #require(Disk.text("\(Program.repository)/ops/watchers.yaml"))
            let invoices = "\(site.path)/outside/invoices"
            try Disk.makeDirectory(invoices)
            try Disk.write(
                shipped.replacing("/srv/invoices", with: invoices).replacing(
                    "enabled: false", with: "enabled: true"
                )
                .replacing("debounce_ms: 5000", with: "debounce_ms: 50"), to: "\(site.path)/ops/watchers.yaml"
            )
            try Disk.write(
                try #require(Disk.text("\(Program.repository)/templates/process_invoice.yaml")),
                to: "\(site.path)/templates/process_invoice.yaml")
            try site.up()
            try Disk.write("%PDF-1.7 an invoice\n", to: "\(invoices)/4711.pdf")
            try Disk.write("no pdf at all\n", to: "\(invoices)/fake.pdf")
            try site.waitForDone(1)
            try site.wait(
                "the one that is none to fail", in: ["\(site.spool)/failed", "\(site.spool)/failed/*"]
            ) {
                Disk.names("\(site.spool)/failed").isEmpty ? nil : ()
            }
            let archive = "\(site.path)/reports/invoices"
            let months = Disk.names(archive)
            #expect(months.count == 1 && Disk.names("\(archive)/\(months.first ?? "")") == ["4711.pdf"])
        }
    }
}
