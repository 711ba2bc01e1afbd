// What this is: hostile values in every place where a value of a job can reach a program, a shell, a protocol or a file name.
// Owns: the table of values and the table of places; the control that shows that the values would bite.
// Never: leaves the site: `ssh` and `sendmail` are programs of the test, and `ssh` obeys its last argument as a far shell would.
// On failure: names the place.
import LinuxSystem
import Testing

@Suite("injection", .onSites) struct InjectionTests {
    /// Each would make a file `pwned…` if any of it were obeyed.
    private static let values = [
        "'; touch pwned1; '", "\"; touch pwned2; \"", "$(touch pwned3)", "`touch pwned4`", "x; touch pwned5",
        "x | touch pwned6",
        "x\ntouch pwned7\n", "x && touch pwned8 #", "'\u{301}; touch pwned9; '\u{301}",
        "${IFS}$(touch${IFS}pwned10)",
        "\\'; touch pwned11; \\'", "-oProxyCommand=touch${IFS}pwned12", "--output=pwned13",
        "x\r\nBcc: a@b\r\noutput = pwned14",
        "x\"\noutput = \"pwned15", "$'\\x27; touch pwned16 #'", "x'; ATTACH 'pwned17' AS y; --",
        "EOF\ntouch pwned18\n",
        "\u{2028}touch pwned19", "{{ '$(touch pwned20)' }}", "\") ; touch pwned21", "*/;touch pwned22",
        "~/../../pwned23/x; touch pwned23",
    ]

    /// `{{ item }}` is the value. What a place refuses is as good as what it passes on unharmed.
    private static let places: [(name: String, step: String)] = [
        ("shell bare", "shell: \"echo {{ item }}\""),
        ("shell in double quotes", "shell: 'echo \"a {{ item }} b\"'"),
        ("shell in single quotes", "shell: \"echo 'a {{ item }} b'\""),
        ("shell in a substitution", "shell: 'echo \"$(echo {{ item }})\"'"),
        ("shell in a test", "shell: 'if [ {{ item }} = x ]; then echo; fi'"),
        ("shell as an assignment", "shell: 'x={{ item }}; echo \"$x\"'"),
        ("shell in a here-document", "shell: {script: \"cat <<EOF\\n{{ item }}\\nEOF\\n\"}"),
        ("shell environment", "{shell: 'echo \"$X\"', env: {X: \"{{ item }}\"}}"),
        ("shell directory", "shell: {script: pwd, cwd: \"{{ item }}\"}"),
        ("shell input", "shell: {script: cat, stdin: \"{{ item }}\"}"),
        ("argument", "run: [echo, \"{{ item }}\"]"), ("program", "run: [\"{{ item }}\", x]"),
        ("environment of a program", "{run: [env], env: {X: \"{{ item }}\"}}"),
        ("directory of a program", "run: {argv: [pwd], cwd: \"{{ item }}\"}"),
        ("ssh argument", "ssh: {host: h, argv: [echo, \"{{ item }}\"]}"),
        ("ssh program", "ssh: {host: h, argv: [\"{{ item }}\"]}"),
        ("ssh host", "ssh: {host: \"{{ item }}\", argv: [date]}"),
        ("ssh user", "ssh: {host: h, user: \"{{ item }}\", argv: [date]}"),
        ("ssh identity", "ssh: {host: h, identity: \"{{ item }}\", argv: [date]}"),
        ("ssh known hosts", "ssh: {host: h, known_hosts: \"{{ item }}\", argv: [date]}"),
        ("url", "make_request: {url: \"http://127.0.0.1:1/{{ item }}\", timeout: 2s}"),
        ("host", "make_request: {url: \"http://{{ item }}/\", timeout: 2s}"),
        ("header", "make_request: {url: \"http://127.0.0.1:1/\", headers: {X: \"{{ item }}\"}, timeout: 2s}"),
        (
            "body",
            "make_request: {url: \"http://127.0.0.1:1/\", method: POST, body: \"{{ item }}\", timeout: 2s}"
        ),
        ("download", "make_request: {url: \"http://127.0.0.1:1/\", save_to: \"{{ item }}\", timeout: 2s}"),
        ("mail address", "send_email: {to: \"{{ item }}\", subject: s, body: b}"),
        ("mail sender", "send_email: {to: a@example.com, from: \"{{ item }}\", subject: s, body: b}"),
        ("mail subject", "send_email: {to: a@example.com, subject: \"{{ item }}\", body: \"{{ item }}\"}"),
        (
            "mail server",
            "send_email: {to: a@example.com, server: \"smtp://{{ item }}\", subject: s, body: b, timeout: 2s}"
        ),
        (
            "mail account",
            "send_email: {to: a@example.com, server: \"smtp://127.0.0.1:1\", user: \"{{ item }}\", password: \"{{ item }}\", subject: s, body: b, timeout: 2s}"
        ),
        (
            "mail attachment",
            "send_email: {to: a@example.com, subject: s, body: b, attachments: [\"{{ item }}\"]}"
        ),
        ("sql value", "sql: {database: data.db, query: \"SELECT $1 AS v\", params: [\"{{ item }}\"]}"),
        ("sql database", "sql: {database: \"{{ item }}\", query: \"SELECT 1\"}"),
        ("postgres address", "sql: {database: \"postgres://127.0.0.1:1/{{ item }}\", query: \"SELECT 1\"}"),
        (
            "postgres value",
            "sql: {database: \"postgres://127.0.0.1:1/x\", query: \"SELECT $1\", params: [\"{{ item }}\"]}"
        ),
        ("file name read", "read_file: \"{{ item }}\""),
        ("text of a file", "write_file: {path: out.txt, content: \"{{ item }}\"}"),
        ("row of a file", "write_file: {path: rows.csv, format: csv, content: [{a: \"{{ item }}\"}]}"),
        ("folder searched", "find_files: {roots: [\"{{ item }}\"], query: \"name:*\"}"),
        ("search", "find_files: {roots: [.], query: \"name:'{{ item }}'\", recursive: false}"),
        ("copy source", "copy_to: {files: \"{{ item }}\", dest: copies}"),
        ("archive", "extract: {archive: \"{{ item }}\", dest: x}"),
        ("zip source", "zip_folder: {folder: \"{{ item }}\", out: x.zip}"),
        ("pdf", "pdf_merge: {inputs: [\"{{ item }}\"], out: x.pdf}"),
        ("pages", "pdf_extract_pages: {input: a.pdf, pages: \"{{ item }}\", out: x.pdf}"),
        ("rename rule", "rename: {files: [a.pdf], rule: \"{{ item }}/{basename}\"}"),
        ("checksum", "checksum: {files: \"{{ item }}\"}"),
        ("template text", "render: {template: letter.txt, dest: letter.out, values: {name: \"{{ item }}\"}}"),
        ("notifier", "notify: {to: \"{{ item }}\", message: x}"),
        ("notice", "notify: {to: ops, message: \"{{ item }}\"}"),
        ("log", "log: \"{{ item }}\""),
        ("event", "log_event: {level: info, message: \"{{ item }}\", details: {x: \"{{ item }}\"}}"),
        ("artifact", "keep_artifacts: [\"{{ item }}\"]"),
        ("program of the site", "step_program: {program: \"{{ item }}\", input: {x: 1}}"),
        ("input of a program of the site", "step_program: {program: echo-input, input: {x: \"{{ item }}\"}}"),
        ("value of a condition", "assert: \"'{{ item }}' != 'x'\""),
        ("value of a template", "call: {template: inner.yaml, variables: {x: \"{{ item }}\"}}"),
        ("child", "submit: {template: inner.yaml, variables: {x: \"{{ item }}\"}, name: \"{{ item }}\"}"),
        ("instant", "wait_until: \"{{ item }}\""),
        ("file waited for", "wait_for_file: {path: \"{{ item }}\", within: 10ms}"),
    ]

    /// Anything whose name begins with `pwned`, two levels deep, but for what lies in `control/`.
    private func bites(_ site: TestSite) -> [String] {
        let folders = ["", "in", "copies", "spool", "templates", "ops", "bin"]
        return folders.flatMap { folder in
            Disk.names("\(site.path)/\(folder)").filter { $0.hasPrefix("pwned") }
        }
    }

    private func furnish(_ site: TestSite) throws {
        for folder in ["bin", "in", "copies", "controlled", "templates/steps", "ops/notify.d"]
        where !Disk.exists("\(site.path)/\(folder)") {
            try Disk.makeDirectory("\(site.path)/\(folder)")
        }
        let programs = [
            "bin/ssh": "for last in \"$@\"; do :; done; exec /bin/sh -c \"$last\"",
            "bin/sendmail": "cat > /dev/null",
            "bin/qpdf": "echo 3", "ops/notify.d/ops": "cat", "templates/steps/echo-input": "cat",
        ]
        for (name, script) in programs {
            try Disk.write("#!/bin/sh\n\(script)\n", to: "\(site.path)/\(name)", mode: 0o755)
        }
        try Disk.write("[\(Self.values.map(quoted).joined(separator: ", "))]", to: "\(site.path)/evil.json")
        for (name, text) in ["a.pdf": "pdf", "letter.txt": "Dear {{ name }}\n", "data.db": ""] {
            try Disk.write(text, to: "\(site.path)/\(name)")
        }
        try Disk.write(
            "dsl_version: \"1.1\"\nvariables: {x: y}\nsteps:\n  - shell: 'echo {{ x }} \"{{ x }}\"'\n",
            to: "\(site.path)/templates/inner.yaml")
    }

    private func hostile(_ step: String) -> String {
        // They come from outside, as data does: in a variable of the job `{{ }}` would be refused.
        """
        dsl_version: "1.1"
        steps:
          - {id: evil, read_file: {path: evil.json, parse: json}}
          - foreach:
              items: "{{ steps.evil.json }}"
              continue_on_error: true
              steps:
                - \(step)
            continue_on_error: true

        """
    }
    /// A JSON text.
    private func quoted(_ text: String) -> String {
        var out = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": out += "\\\\"
            case "\"": out += "\\\""
            case "\n": out += "\\n"
            case "\r": out += "\\r"
            case "\u{2028}": out += "\\u2028"
            default: out.unicodeScalars.append(scalar)
            }
        }
        return "\"\(out)\""
    }

    @Test("no value is obeyed, in whatever place it stands") func nothingIsObeyed() throws {
        try TestSite.use(
            "queues: {default: {max_concurrent: 8, retry_policy: {max_attempts: 1}}}\ntargets: {\"*\": {breaker: false}}\n"
        ) { site in
            site.mayHaveChildren = true
            try furnish(site)
            try site.up(["PATH": "\(site.path)/bin:\(Host.environment("PATH") ?? "/usr/bin:/bin")"])
            // The control: where a job asks a shell to obey a value, the values do bite.
            try site.drop("control.yaml", hostile("run: {argv: [sh, -c, \"{{ item }}\"], cwd: controlled}"))
            _ = try site.result(of: "control.yaml")
            #expect(Disk.names("\(site.path)/controlled").count { $0.hasPrefix("pwned") } >= 5)
            for (index, place) in Self.places.enumerated() {
                try site.drop("place\(index).yaml", hostile(place.step))
            }
            for (index, place) in Self.places.enumerated() {
                let result = try site.result(of: "place\(index).yaml")
                #expect(result.state == "succeeded", "\(place.name): \(result)")
                // What a value must not be, says so; that it was looked at at all is shown by one record for each.
                #expect(
                    (result.node("steps")?.items?.count ?? 0) > Self.values.count, "\(place.name): \(result)")
            }
            #expect(bites(site).isEmpty, "\(bites(site))")
            // Names of drops are values, too.
            for (index, value) in ["$(touch pwned30)", "`touch pwned31`;", "-rf", "'; touch pwned32; '"]
                .enumerated()
            {
                let name = "\(value)\(index).yaml"
                try Disk.write(
                    job(["shell: 'echo {{ run.file }} \"{{ run.name }}\"'"]), to: "\(site.path)/.drop")
                try Disk.move("\(site.path)/.drop", to: "\(site.lane())/\(name)")
                site.expect(name)
                _ = try site.wait(
                    "what became of \(name)",
                    in: ["\(site.spool)/done/*", "\(site.spool)/failed/*", "\(site.spool)/rejected"]
                ) {
                    site.find(name, [.done, .failed, .rejected]).first
                }
            }
            #expect(bites(site).isEmpty, "\(bites(site))")
        }
    }
}
