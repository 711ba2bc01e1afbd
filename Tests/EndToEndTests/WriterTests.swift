// What this is: what helps who writes jobs, in the built program: new, schema, check of directories and while editing,
// executables as step types.
// Owns: one small program that speaks JSON.
// Never: compares whole texts.
// On failure: shows what was printed.
import Glibc
import LinuxSystem
import Testing

@Suite("writers", .onSites) struct WriterTests {
    private func program(_ site: TestSite) throws {
        let folder = "\(site.path)/templates/steps"
        if !Disk.exists(folder) { try Disk.makeDirectory(folder) }
        // The name is cut out of the line that it gets; what it prints in between is for people.
        try Disk.write(
            """
            #!/bin/sh
            read -r line
            name=$(printf '%s' "$line" | sed 's/.*"name": *"\\([^"]*\\)".*/\\1/')
            echo "greeting $name"
            echo '{"progress": 0.5, "message": "half"}'
            case "$name" in
                bad) echo '{"error": {"code": "E-HELLO", "message": "no such name", "retry": "never"}}'; exit 3 ;;
                mute) exit 0 ;;
            esac
            echo "{\\"greeting\\": \\"hello $name\\"}"

            """, to: "\(folder)/hello", mode: 0o755)
        try Disk.write(
            "dsl_version: \"1.1\"\ndescription: Greets somebody.\nparams: {name: {type: string}}\nprogram: hello\nidempotent: true\noutputs: {greeting: the words}\n",
            to: "\(folder)/hello.yaml")
    }

    @Test("explain: where, in what order, with which values, calling whom; secrets are masked") func explain()
        throws
    {
        try TestSite.use { site in
            let path = site.outside("plan.yaml")
            try Disk.write(
                """
                dsl_version: "1.1"
                queue: background
                params:
                  who: {type: string}
                  api_token: {type: string, default: hush}
                steps:
                  - {id: a, log: "for {{ who }}"}
                  - {id: b, needs: [a], make_request: {url: "https://api.example.com/{{ who }}", headers: {Authorization: "Bearer {{ api_token }}"}}}
                  - {id: c, needs: [a], foreach: {items: [1, 2], steps: [{write_file: {path: "out/{{ item }}", content: "{{ steps.a.state }}"}}]}}
                  - {log: done}

                """, to: path)
            let open = try site.bobbin("explain", path)
            #expect(open.code == 0 && open.out.contains("must be given: who"), "\(open.out)\(open.err)")
            #expect(open.out.contains("{{ who }}") && !open.out.contains("hush"))
            let plan = try site.bobbin("explain", path, "--var", "who=ada")
            for part in [
                "where: spool/background/p5/", "writes files (low)", "calls: api.example.com:443",

                "order: 1 > (2 | 3) > 4", "message: for ada", "url: https://api.example.com/ada",
                "\"Authorization\":\"***\"",
                "path: out/{{ item }}", "content: {{ steps.a.state }}",
            ] { #expect(plan.out.contains(part), "\(part) is not in\n\(plan.out)") }
            let json = try Papers.parse(site.bobbin("explain", path, "--var", "who=ada", "--json").out)
            #expect(json.text("steps.1.target") == "api.example.com:443" && json.text("waves.1.1") == "3")
            #expect(try site.bobbin("explain", path, "--var", "hwo=x").err.contains("did you mean `who`?"))
        }
    }

    @Test("an executable with a manifest is a step type: listed, checked, run, and its error told")
    func executables()
        throws
    {
        try TestSite.use { site in
            try program(site)
            #expect(try site.bobbin("steps").out.contains("hello"))
            #expect(try site.bobbin("schema").out.contains("\"hello\""))
            try site.up()
            try site.drop(
                "good.yaml",
                job(["{hello: Ada, id: h}"], tail: "outputs: {said: \"{{ steps.h.greeting }}\"}\n"))
            let good = try site.result(of: "good.yaml")
            #expect(good["outputs.said"] == "hello Ada", "\(good)")
            let said = try site.bobbin("log", good["run"] ?? "")
            #expect(said.out.contains("greeting Ada"), "\(said)")
            try site.drop("bad.yaml", job(["hello: bad"]))
            let bad = try site.result(of: "bad.yaml")
            #expect(bad["error.code"] == "E-HELLO" && bad["error.exit_code"] == "3", "\(bad)")
            try site.drop("mute.yaml", job(["hello: mute"]))
            #expect(try site.result(of: "mute.yaml")["error.code"] == "E-PROGRAM")
            try site.drop("unknown.yaml", job(["hello: {nmae: x}"]))
            #expect(try site.reason(of: "unknown.yaml")["code"] == "E-KEY")
        }
    }

    @Test("new writes a job that is valid, and never over one") func starters() throws {
        try TestSite.use { site in
            try program(site)
            let types = try site.bobbin("steps", "--json")
            #expect(types.code == 0)
            let file = "\(site.path)/n.yaml"
            for words in [
                ["new", file], ["new", file, "--step", "find_files", "--step", "hello", "--step", "assert"],
            ] {
                let made = try Program.call(words + ["--site", site.path])
                #expect(made.code == 0, "\(made)")
                let checked = try site.bobbin("check", file)
                #expect(checked.code == 0, "\(checked)")
                #expect(try site.bobbin("new", file).code == 73)
                unlink(file)
            }
            try Disk.write(
                "dsl_version: \"1.1\"\nparams: {to: {type: string}, n: {type: integer, default: 3}}\nsteps: [{log: \"{{ to }} {{ n }}\"}]\n",
                to: "\(site.path)/templates/t.yaml")
            #expect(try site.bobbin("new", file, "--template", "t.yaml").code == 0)
            let text = Disk.text(file) ?? ""
            #expect(text.contains("to:") && text.contains("# n: 3"), "\(text)")
            #expect(try site.bobbin("new", "-", "--step", "nonsense").code == 2)
            #expect(try site.bobbin("new", "-", "--template", "none.yaml").code == 2)
        }
    }

    @Test("a directory stands for the jobs in it; --watch checks again what was saved") func watching() throws
    {
        try TestSite.use { site in
            let folder = "\(site.path)/jobs"
            try Disk.makeDirectory(folder)
            for number in 1...100 { try Disk.write(job(["log: x"]), to: "\(folder)/j\(number).yaml") }
            try Disk.write("no job", to: "\(folder)/notes.txt")
            #expect(try site.bobbin("check", folder).out.split(separator: "\n").count == 100)
            #expect(try site.bobbin("check", "-q", folder).both.isEmpty)
            try Disk.write(job(["lgo: x"]), to: "\(folder)/j7.yaml")
            let bad = try site.bobbin("check", "-q", folder)
            #expect(bad.code == 65 && bad.out.contains("j7.yaml"), "\(bad)")
            let watch = try ChildProcess.start(
                path: "/bin/sh",
                arguments: [
                    "sh", "-c",
                    "exec \"$0\" check --watch -q '\(folder)' --site '\(site.path)' >'\(site.path)/watched' 2>&1",
                    Program.path,
                ], environment: Program.environment([:]), directory: nil)
            defer {
                kill(watch.pid, SIGKILL)
                _ = try? watch.reap()
            }
            let seen = { Disk.text("\(site.path)/watched") ?? "" }
            try site.wait("the first check", in: [site.path]) { seen().contains("E-STEP-TYPE") ? () : nil }
            try Disk.write(job(["log: x"]), to: "\(folder)/j7.yaml")
            try site.wait("a check without a finding", in: [site.path]) {
                seen().contains("\n-- ") ? () : nil
            }
            try Disk.write(job(["log: {level: x}"]), to: "\(folder)/j8.yaml")
            try site.wait("the new finding", in: [site.path]) { seen().contains("j8.yaml") ? () : nil }
        }
    }
}
