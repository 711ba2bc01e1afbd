// What this is: secrets in jobs with the built program: given to the one step that names them, seen nowhere else.
// Owns: that neither the site's files, nor the list of processes, nor any other process's environment shows a value.
// Never: takes our own word for a form: base64, od, python and sed of this machine write them.
// On failure: names the file or the process in which the value stands.
import Foundation
import LinuxSystem
import Testing

@Suite("secrets in jobs", .onSites) struct SecretJobTests {
    private static let value = "k3y/Of+The Erp=\"9f2\"&'x'"
    private func home(_ site: TestSite) -> String { site.path + "-home" }
    private func bobbin(_ site: TestSite, _ arguments: String..., input: String = "") throws -> Outcome {
        try Program.call(arguments + ["--site", site.path], environment: ["HOME": home(site)], input: input)
    }
    private func use(
        _ configuration: String = TestSite.configuration, _ more: [String: String] = [:],
        _ body: (TestSite) throws -> Void
    ) throws {
        let site = try TestSite(configuration)
        site.environment = ["HOME": home(site)].merging(more) { $1 }
        try TestSite.use(site) { site in
            try Disk.makeDirectory(home(site))
            defer { Disk.removeTree(home(site)) }
            #expect(try bobbin(site, "secrets", "keygen").code == 0)
            #expect(try bobbin(site, "secrets", "set", "erp/api_key", input: Self.value).code == 0)
            try body(site)
        }
    }
    private func result(_ site: TestSite, _ name: String) throws -> String {
        try site.result(of: name).description
    }
    /// Of every file of the site, those that hold the text.
    private func holders(_ text: String, _ site: TestSite) throws -> [String] {
        try FileManager.default.subpathsOfDirectory(atPath: site.path).filter {
            // Bytes, since a journal is no text.
            Data(Disk.bytes("\(site.path)/\($0)") ?? []).range(of: Data(text.utf8)) != nil
        }
    }

    @Test("a step gets it by environment, file and input; outputs, logs and every file of the site show ***")
    func given() throws {
        try use { site in
            try site.up()
            try site.drop(
                "given.yaml",
                #"""
                dsl_version: "1.1"
                steps:
                  - shell:
                      stdin: "{{ secrets://erp/api_key }}"
                      secret_files: {FILE: "{{ secrets://erp/api_key }}"}
                      script: |
                        printf '%s' "$TOKEN" | cmp - "$FILE" && printf '%s' "$TOKEN" | cmp - /dev/stdin && echo same
                        printf '%s' "$TOKEN" | sha256sum; sha256sum <"$FILE"
                        printf '%s\n' "$TOKEN"
                        printf 'xy%s' "$TOKEN" | base64 -w 20
                        printf '%s' "$TOKEN" | od -An -tx1
                        printf '%s' "$TOKEN" >&2
                    id: a
                    env: {TOKEN: "{{ secrets://erp/api_key }}"}
                  - shell: |
                      printf '%s' "$TOKEN" | python3 -c 'import sys,json,urllib.parse,shlex,base64,html
                      t=sys.stdin.read()
                      print(json.dumps(t),urllib.parse.quote(t),urllib.parse.quote_plus(t),shlex.quote(t),base64.urlsafe_b64encode(t.encode()).decode(),html.escape(t),repr(t),t.encode().hex().upper(),sep="\n")'
                      exit 3
                    id: b
                    continue_on_error: true
                    env: {TOKEN: "{{ secrets://erp/api_key }}"}
                outputs: {said: "{{ steps.a.stdout }}"}
                """#)
            let text = try result(site, "given.yaml")
            #expect(text.contains("state: succeeded"), "\(text)")
            #expect(text.contains("same") && text.contains("***"), "\(text)")
            let data = Data(Self.value.utf8)
            for form in [
                Self.value, "k3y/Of", "k3y%2FOf", data.base64EncodedString(),
                data.map { String(format: "%02x", $0) }.joined(),
                data.map { String(format: "%02X", $0) }.joined(), "6b 33 79 2f",
                String((Data("xy".utf8) + data).base64EncodedString().dropFirst(4).prefix(12)),
            ] {
                let found = try holders(form, site)
                #expect(found == [], "\(form): \(found)")
            }
            let audit = try bobbin(site, "audit", "search", "--action", "secret.read").out
            #expect(audit.contains("erp/api_key") && audit.contains("files"))
            let metrics = try bobbin(site, "secrets", "metrics", "--json").out
            #expect(
                metrics.contains("\"secrets_lookups_24h\": 1") && metrics.contains("\"erp/api_key\": 1"),
                "\(metrics)")
        }
    }

    @Test("while a step works, its value is in no argv, and in no environment but the step's own")
    func elsewhere() throws {
        try use { site in
            // Other tests run beside this one, and their steps have theirs.
            let value = "held by \(Clocks.randomBits().0)"
            #expect(try bobbin(site, "secrets", "set", "erp/api_key", input: value).code == 0)
            try site.up()
            try site.drop(
                "held.yaml",
                """
                dsl_version: "1.1"
                steps:
                  - \(try site.gate("held"))
                    env: {TOKEN: "{{ secrets://erp/api_key }}"}
                  - make_request: {url: "http://127.0.0.1:9/{{ secrets://erp/api_key | url_encode }}", headers: {X-Key: "{{ secrets://erp/api_key }}"}}
                    continue_on_error: true
                """)
            try Signals.wait("the step", in: [site.path]) { site.count("held", "gate") == 1 ? () : nil }
            var own = 0
            for pid in try FileManager.default.contentsOfDirectory(atPath: "/proc").compactMap({ Int32($0) })
            {
                let argv = Data(Disk.bytes("/proc/\(pid)/cmdline") ?? [])
                #expect(argv.range(of: Data(value.utf8)) == nil, "argv of \(pid)")
                let environment = String(decoding: Disk.bytes("/proc/\(pid)/environ") ?? [], as: UTF8.self)
                guard environment.contains(value) else { continue }
                #expect(environment.contains("BOBBIN_STEP=1\0"), "environment of \(pid)")
                own += 1
            }
            #expect(own > 0, "the step itself has it")
            try site.open(gate: "held")
            let text = try result(site, "held.yaml")
            #expect(
                text.contains("E-HTTP-CONNECT") && !text.contains("held by") && !text.contains("held%20by"),
                "\(text)")
        }
    }

    @Test("a secret that is not there ends the run before its first step; finally still runs") func missing()
        throws
    {
        try use { site in
            try site.up()
            try site.drop(
                "missing.yaml",
                """
                dsl_version: "1.1"
                steps:
                  - \(site.effect("never"))
                  - run: {argv: [cat], stdin: "{{ secrets://erp/none }}"}
                finally: [{\(site.effect("after"))}]
                """)
            let text = try result(site, "missing.yaml")
            #expect(
                text.contains("code: E-SECRET\n") && text.contains("bobbin secrets set erp/none"), "\(text)")
            #expect(site.count("never", "once") == 0 && site.count("after", "once") == 1)
            #expect(
                try bobbin(site, "audit", "search", "--action", "secret.missing").out.contains("erp/none"))
        }
    }

    @Test("sources in their order; too short, binary, for somebody else, switched off") func sources() throws
    {
        let configuration =
            TestSite.configuration + "secrets: {sources: [files, environment], unmasked: [pin]}\n"
        try use(
            configuration,
            [
                "BOBBIN_SECRET_FROM_HERE": "from-the-environment",
                "DESKTOP_AGENT_SECRET_OLD": "from-the-guide", "BOBBIN_SECRET_ERP_API_KEY": "never asked",
            ]
        ) { site in
            try site.up()
            for (name, value) in [("short", "1234567"), ("pin", "4711"), ("binary", "abc\u{0}defgh")] {
                #expect(try bobbin(site, "secrets", "set", name, input: value).code == 0)
            }
            for (name, wanted) in [
                ("from_here", "length 20"), ("old", "length 14"),
                ("erp/api_key", "length \(Self.value.utf8.count)"),
                ("short", "E-SECRET-SHORT"), ("pin", "length 4"), ("binary", "E-SECRET-TEXT"),
                ("nowhere", "E-SECRET\n"),
            ] {
                let file = "\(name.replacing("/", with: "-")).yaml"
                try site.drop(
                    file,
                    "dsl_version: \"1.1\"\nsteps:\n  - shell: printf 'length %s' \"$(printf %s \"$T\" | wc -c)\"\n    env: {T: \"{{ secrets://\(name) }}\"}\n"
                )
                #expect(try result(site, file).contains(wanted), "\(name)")
            }
            #expect(try holders("from-the-environment", site) == [])
        }
    }

    @Test("the keyring, by the attributes of its items; a stand-in for secret-tool says what it is asked")
    func keyring()
        throws
    {
        let place = TestSite.freshPath() + "-bin"
        try Disk.makeDirectory(place)
        defer { Disk.removeTree(place) }
        let script = """
            #!/bin/sh
            echo "$*" >>"\(place)/asked"
            case "$*" in
            "lookup service erp account token") printf 'token of the erp' ;;
            "lookup service com.axion.desktop-agent account old") printf 'an older one' ;;
            "lookup service hangs account x") sleep 100 ;;
            *) exit 1 ;;
            esac
            """
        try Disk.write(script + "\n", to: "\(place)/secret-tool", mode: 0o755)
        let path = "\(place):\(Host.environment("PATH") ?? "/usr/bin:/bin")"
        try use(TestSite.configuration + "secrets: {sources: [keyring, files]}\n", ["PATH": path]) { site in
            try site.up()
            for (name, wanted) in [
                ("erp/token", "length 16"), ("old", "length 12"), ("nowhere", "code: E-SECRET\n"),
                // The next source has it.
                ("erp/api_key", "length \(Self.value.utf8.count)"), ("hangs/x", "code: E-SECRET-KEYRING"),
            ] {
                let file = "\(name.replacing("/", with: "-")).yaml"
                try site.drop(
                    file,
                    "dsl_version: \"1.1\"\nsteps:\n  - shell: printf 'length %s' \"$(printf %s \"$T\" | wc -c)\"\n    env: {T: \"{{ secrets://\(name) }}\"}\n"
                )
                #expect(try result(site, file).contains(wanted), "\(name)")
            }
            #expect(
                Disk.lines("\(place)/asked").contains("lookup service bobbin account old"),
                "our own name first")
        }
    }

    @Test("after a wait it is looked up again; what waits shows its name and not its value")
    func acrossAWait() throws {
        try use { site in
            try site.up()
            try site.drop(
                "asks.yaml",
                """
                dsl_version: "1.1"
                steps:
                  - run: {argv: [cat], stdin: "{{ secrets://erp/api_key }}"}
                  - human_confirm: {message: go on?}
                  - run: {argv: [wc, -c], stdin: "{{ secrets://erp/api_key }}"}
                    id: count
                outputs: {count: "{{ steps.count.stdout }}"}
                """)
            let request = try Signals.wait("the request", in: ["\(site.spool)/approvals/requests"]) {
                Disk.names("\(site.spool)/approvals/requests").first { $0.hasSuffix(".yaml") }
            }
            let shown = String(
                decoding: Disk.bytes("\(site.spool)/approvals/requests/\(request)") ?? [], as: UTF8.self)
            #expect(shown.contains("secrets://erp/api_key") && !shown.contains("k3y"), "\(shown)")
            // Exchanged while it waits: the new one counts.
            #expect(
                try bobbin(site, "secrets", "set", "erp/api_key", input: "a new one of 23 bytes!!").code == 0)
            #expect(try bobbin(site, "approve", String(request.dropLast(5))).code == 0)
            #expect(
                try result(site, "asks.yaml").contains("count: 23")
                    || result(site, "asks.yaml").contains("count: \"23\""))
            #expect(try holders("k3y/Of", site) == [])
        }
    }
}
