// What this is: every example of the documents and of the step table, run by a runner on a site that has what they name.
// Owns: that small world: files, programs that stand in for those of other people, and which example ends otherwise.
// Never: leaves the site: `/srv` and `/tmp` of an example are directories of it.
// On failure: names the example and shows its result.
import Glibc
import LinuxSystem
import Testing
import YamlText

@Suite("examples", .onSites) struct ExampleTests {
    private static let configuration = """
        queues:
          default: {max_concurrent: 16, retry_policy: {max_attempts: 1}}
          high_priority: {max_concurrent: 4}
          background: {max_concurrent: 4}

        """
    /// What stands in for programs of other people.
    private static let programs = [
        "rsync": "exit 0", "make": "exit 0", "ssh": "echo done",
        "sendmail": "cat > /dev/null",
        "qpdf":
            "if [ \"$1\" = --show-npages ]; then echo 12; else for last in \"$@\"; do :; done; echo pdf > \"$last\"; fi",
        // Answers as curl would, where it is asked by make_request: a header file, a body, a line of our own.
        "curl": """
        [ "$1" = -q ] || exit 0
        headers=$(sed -n 's/^dump-header = "\\(.*\\)"$/\\1/p')
        printf 'HTTP/1.1 200 OK\\r\\ncontent-type: text/plain\\r\\n\\r\\n' > "$headers"
        printf taken
        echo 'bobbin-http 200 0.01 https://api.example.com/intake' >&2
        """,
    ]
    private static let files = [
        "input.txt": "b\na\nb\n", "in/customers.csv": "id,name\n7,Ada\n", "in/image.iso": "image",
        "in/ledger.csv": "x\n",
        "in/cover.pdf": "pdf", "in/report.pdf": "pdf", "in/a.png": "png", "out/whole.pdf": "pdf",
        "out/summary.txt": "Total 7 EUR\n", "out/report.pdf": String(repeating: "x", count: 2048),
        "out/2026-11/day.txt": "1\n",
        "srv/invoices/new.pdf": "pdf", "srv/in/one": "1", "srv/export/a.csv": "1\n2\n",
        "srv/archive/.keep": "", "srv/out/.keep": "",
        "templates/texts/letter.txt": "Dear {{ name }}\n", "tmp/.keep": "", "data/.keep": "",
    ]
    /// Steps that must come before an example: it uses what they leave.
    private static let before = [
        "attach_files": "  - compose_mail: {to: a@example.com, subject: s, body: b}\n",
        "save_draft": "  - compose_mail: {to: a@example.com, subject: s, body: b}\n",
    ]
    /// Examples that end otherwise than well, as they say.
    private static let otherwise = ["fail": "failed", "wait_until": "cancelled"]

    private func furnish(_ site: TestSite) throws {
        func write(_ text: String, _ name: String, mode: mode_t = 0o644) throws {
            var folder = site.path
            for part in name.split(separator: "/").dropLast() {
                folder += "/\(part)"
                if !Disk.exists(folder) { try Disk.makeDirectory(folder) }
            }
            try Disk.write(text, to: "\(site.path)/\(name)", mode: mode)
        }
        for (name, text) in Self.files { try write(text, name) }
        for folder in ["templates", "templates/steps"] {
            for name in Disk.names("\(Program.repository)/\(folder)") where name.hasSuffix(".yaml") {
                try write(#require(Disk.text("\(Program.repository)/\(folder)/\(name)")), "\(folder)/\(name)")
            }
        }
        try write("example\n", "templates/examples/one.txt")
        for (name, script) in Self.programs {
            try write("#!/bin/sh\n\(script)\n", "bin/\(name)", mode: 0o755)
        }
        for name in ["fetch", "fetch-orders"] { try write("#!/bin/sh\nexit 0\n", name, mode: 0o755) }
        try write("#!/bin/sh\ncat > /dev/null\n", "ops/notify.d/ops", mode: 0o755)
        try write(
            "#!/bin/sh\ncat > /dev/null\necho '{\"path\": \"out/small.png\"}'\n", "templates/steps/thumbnail",
            mode: 0o755)
    }

    /// The same below the site.
    private func own(_ text: String, _ site: TestSite) -> String {
        // The site may itself lie below /tmp.
        text.replacing("/tmp/", with: "\(site.path)/tmp/").replacing("/srv/", with: "\(site.path)/srv/")
    }

    /// What the step table shows, by the name of its type.
    private func ofSteps(_ site: TestSite) throws -> [(name: String, job: String)] {
        let table = try Papers.parse(site.bobbin("steps", "--json").out).items ?? []
        #expect(table.count > 35)
        return try table.compactMap { type in
            // A site's own types have templates for examples.
            guard let name = type.text("name"), let example = type.text("example"),
                !["prepare_deployment", "deploy_to_production"].contains(name)
            else { return nil }
            let lines = example.split(separator: "\n").enumerated().map { ($0 == 0 ? "  - " : "    ") + $1 }
            var head = "dsl_version: \"1.1\"\nsteps:\n" + (Self.before[name] ?? "")
            if example.contains("steps.found") {
                let folder = "\(site.path)/found/\(name)"
                if !Disk.exists("\(site.path)/found") { try Disk.makeDirectory("\(site.path)/found") }
                try Disk.makeDirectory(folder)
                try Disk.write("found", to: "\(folder)/found.txt")
                head += "  - {id: found, find_files: {roots: [\"\(folder)\"], query: \"name:*\"}}\n"
            }
            return (name, head + own(lines.joined(separator: "\n") + "\n", site))
        }
    }

    /// The whole jobs of the documents, by document and count.
    private func ofDocuments(_ site: TestSite) throws -> [(name: String, job: String)] {
        var found: [(name: String, job: String)] = []
        for name in ["README.md", "docs/JOBFILE.md", "docs/OPERATING.md", "templates/README.md"] {
            let text = try #require(Disk.text("\(Program.repository)/\(name)"))
            let blocks = TextBlocks.yaml(text)
            for (index, block) in blocks.enumerated()
            where block.hasPrefix("dsl_version") && block.contains("\nsteps:") || block.hasPrefix("template:")
                || block.hasPrefix("extends:")
            {
                let plain = name.replacing("/", with: "-").replacing(".md", with: "")
                found.append(("\(plain)-\(index + 1)", own(block, site)))
            }
        }
        #expect(found.count > 12)
        return found
    }

    @Test("every example of the documents and of the step table does what it says") func all() throws {
        try TestSite.use(Self.configuration) { site in
            site.mayHaveChildren = true
            try furnish(site)
            try site.up([
                "PATH": "\(site.path)/bin:\(Host.environment("PATH") ?? "/usr/bin:/bin")",
                "BOBBIN_SECRET_ERP_API_KEY": "the key of an example",
            ])
            try site.drop(
                "ledger.yaml",
                job([
                    "sql: {database: data/ledger.db, query: \"CREATE TABLE entries (day TEXT, n INTEGER)\", write: true, create: true}",
                    "zip_folder: {folder: in, out: in/delivery.zip}",
                    // For the drill, which needs one.
                    "backup: {}",
                ]))
            #expect(try site.result(of: "ledger.yaml").state == "succeeded")
            let examples = try ofSteps(site) + ofDocuments(site)
            for example in examples {
                if example.job.contains("\nqueue:") {
                    try Disk.write(example.job, to: "\(site.spool)/inbox/.\(example.name)")
                    try Disk.move(
                        "\(site.spool)/inbox/.\(example.name)", to: "\(site.spool)/inbox/\(example.name).yaml"
                    )
                    site.expect("\(example.name).yaml")
                } else {
                    try site.drop("\(example.name).yaml", example.job)
                }
            }
            let waiting = try site.parked("wait_until.yaml", "scheduled")
            #expect(try site.bobbin("cancel", waiting.id).code == 0)
            // Somebody says yes to whoever asks; in documents they may ask more than once.
            for example in examples where example.job.contains("human_confirm") {
                let id = try site.request(of: "\(example.name).yaml")
                let inputs = example.job.contains("reason:") ? ["--input", "reason=because"] : []
                let said = try Program.call(["approve", id, "--site", site.path] + inputs)
                #expect(said.code == 0, "\(example.name): \(said.both)")
            }
            for example in examples {
                let result = try site.result(of: "\(example.name).yaml")
                let expected = Self.otherwise[example.name] ?? "succeeded"
                #expect(result.state == expected, "\(example.name):\n\(example.job)\n\(result)")
            }
        }
    }
}

enum TextBlocks {
    /// The fenced blocks of a document that call themselves YAML.
    static func yaml(_ text: String) -> [String] {
        var blocks: [String] = []
        var open: String?
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if let block = open {
                if line.hasPrefix("```") {
                    blocks.append(block)
                    open = nil
                } else {
                    open = block + line + "\n"
                }
            } else if line == "```yaml" {
                open = ""
            }
        }
        return blocks
    }
}
