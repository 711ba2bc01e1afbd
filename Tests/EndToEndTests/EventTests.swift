// What this is: ops/webhooks.yaml with real payload files: signatures, envelopes, addresses, duplicates, rates, kills.
// Owns: a sender that signs with another program (python's hmac).
// Never: waits for time where a file or a line can tell.
// On failure: shows the log and the files.
import Glibc
import LinuxSystem
import Testing

@Suite("events", .onSites) struct EventTests {
    private func site(_ webhooks: String, _ body: (TestSite) throws -> Void) throws {
        try TestSite.use { site in
            site.mayHaveChildren = true
            try Disk.write(
                """
                dsl_version: "1.1"
                name: got
                params: {repository_name: {type: string, default: none}}
                steps: [{run: [\(site.path)/effect, "{{ repository_name }}", "{{ trigger.signed }}"], idempotent: true}]
                outputs: {ip: "{{ trigger.client_ip }}", file: "{{ trigger.file }}", payload: "{{ trigger.payload }}"}

                """, to: "\(site.path)/templates/got.yaml")
            try Disk.write("webhooks:\n" + webhooks, to: "\(site.path)/ops/webhooks.yaml")
            try body(site)
        }
    }
    private func begin(_ site: TestSite, _ source: String = "hook") throws {
        try site.up()
        try site.wait("the directory of the source", in: ["\(site.spool)/events"]) {
            Disk.exists("\(site.spool)/events/\(source)") ? () : nil
        }
    }
    private func send(_ name: String, _ text: String, _ site: TestSite, _ source: String = "hook") throws {
        try Disk.write(text, to: site.outside(name))
        try Disk.move(site.outside(name), to: "\(site.spool)/events/\(source)/\(name)")
    }
    private func hmac(_ text: String, _ key: String = "s3cret-of-the-hook") throws -> String {
        let said = try Program.call(
            [
                "-c",
                "import hmac,hashlib,sys; print(hmac.new(sys.argv[1].encode(), sys.stdin.buffer.read(), hashlib.sha256).hexdigest())",
                key,
            ],
            path: try #require(Host.program("python3", path: Host.environment("PATH") ?? "")), input: text)
        return String(said.out.prefix(64))
    }
    private func envelope(_ id: String, _ ip: String, _ body: String) throws -> String {
        let signature = try hmac("bobbin-envelope-1\n\(id)\n2026-11-28T00:00:00Z\n\(ip)\n\(body)")
        let quoted = body.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
        return
            "{\"envelope\": \"1\", \"id\": \"\(id)\", \"received_at\": \"2026-11-28T00:00:00Z\", \"source_ip\": \"\(ip)\", \"body\": \"\(quoted)\", \"signature\": \"sha256=\(signature)\"}"
    }
    private func rejected(_ site: TestSite) -> [String] {
        Disk.names("\(site.spool)/rejected").filter { $0.hasSuffix(".reason.yaml") }.sorted().compactMap {
            Disk.text("\(site.spool)/rejected/\($0)").flatMap { text in
                text.split(separator: "\n").first { $0.hasPrefix("code: ") }.map(String.init)
            }
        }
    }
    private func waitForRejected(_ count: Int, _ site: TestSite) throws {
        try site.wait("\(count) rejections", in: ["\(site.spool)/rejected"]) {
            rejected(site).count >= count ? () : nil
        }
    }
    private func closed(_ site: TestSite) -> [String] {
        Disk.names("\(site.spool)/events/closed").flatMap { Disk.names("\(site.spool)/events/closed/\($0)") }
            // What a kill left of a write has a dot name.
            .filter { !$0.hasPrefix(".") }
    }

    @Test("a payload starts a job with what was extracted, and is kept in closed/") func plain() throws {
        try site(
            "  - {id: h, endpoint: /webhooks/hook, template: got.yaml, extract_variables: [repository.name]}\n"
        ) { site in
            try begin(site)
            try send("a.json", #"{"repository": {"name": "bob{{x}}"}}"#, site)
            try send("b.yaml", "repository: {name: yaml}\n", site)
            try site.waitForDone(2)
            #expect(
                Set(Disk.lines(site.effects).map { $0.split(separator: " false")[0] }) == [
                    "bob{{x}}", "yaml",
                ])
            #expect(closed(site).count == 2 && Disk.names("\(site.spool)/events/hook").isEmpty)
            // What is no payload is sent back, and stops nothing.
            try send("bad.json", #"{"repository": "#, site)
            try send("c.yaml", "repository: {name: after}\n", site)
            try site.waitForDone(3)
            try waitForRejected(1, site)
            site.expect("bad.json")
            #expect(rejected(site) == ["code: E-EVENT-PAYLOAD"])
        }
    }

    @Test("with a secret only what is signed counts, by a file beside it or in its envelope")
    func signatures() throws {
        try site(
            "  - {id: h, endpoint: hook, template: got.yaml, secret: s3cret-of-the-hook, allowed_ips: [192.30.252.0/22], extract_variables: [repository.name]}\n  - {id: open, endpoint: open, template: got.yaml, secret: s3cret-of-the-hook, extract_variables: [repository.name]}\n"
        ) { site in
            try begin(site)
            let body = #"{"repository": {"name": "good"}}"#
            try send("1.json", try envelope("1", "192.30.253.1", body), site)
            try site.waitForDone(1)
            #expect(
                Disk.lines(site.effects).map { $0.split(separator: " ").prefix(2) } == [["good", "true"]])
            // Another address than the one that was signed; one that is not allowed; none; a wrong signature.
            try send(
                "2.json", try envelope("2", "192.30.253.1", body).replacing("253.1", with: "253.2"), site)
            try send("3.json", try envelope("3", "10.0.0.1", body), site)
            try waitForRejected(2, site)
            // The file beside it may come after the payload.
            try send("4.json", body, site, "open")
            try send("4.json.sig", "sha256=" + hmac(body) + "\n", site, "open")
            try site.waitForDone(2)
            try send("5.json.sig", try hmac(body + " "), site, "open")
            try send("5.json", body, site, "open")
            try waitForRejected(4, site)
            for name in ["2.json", "3.json", "5.json", "5.json.sig"] { site.expect(name) }
            #expect(
                rejected(site).sorted() == [
                    "code: E-EVENT-ADDRESS", "code: E-EVENT-SIDECAR", "code: E-EVENT-SIGNATURE",
                    "code: E-EVENT-SIGNATURE",
                ])
            #expect(closed(site).count { $0.hasSuffix(".sig") } == 1)
            let log = Disk.text(site.log) ?? ""
            #expect(
                !log.contains("s3cret-of-the-hook")
                    && log.contains("its secret stands in ops/webhooks.yaml in the clear"))
        }
    }

    @Test("the same event twice is one, another is not, and what does not match is put away")
    func duplicates() throws {
        try site(
            "  - {id: h, endpoint: hook, template: got.yaml, deduplicate: {by: id}, match: {kind: [push, tag*]}, extract_variables: [repository.name]}\n"
        ) { site in
            try begin(site)
            func text(_ id: Int, _ kind: String) -> String {
                "{\"id\": \(id), \"kind\": \"\(kind)\", \"repository\": {\"name\": \"r\(id)\"}}"
            }
            for (number, event) in [text(1, "push"), text(1, "push"), text(2, "tagged"), text(3, "other")]
                .enumerated()
            {
                try send("\(number).json", event, site)
            }
            try site.waitForDone(2)
            try site.stop()
            try site.up()
            try send("again.json", text(1, "push"), site)
            try send("new.json", text(4, "push"), site)
            try site.waitForDone(3)
            _ = try site.waitForLog("no webhook's `match` fits it")
            #expect(
                Disk.lines(site.effects).map { String($0.split(separator: " ")[0]) }.sorted() == [
                    "r1", "r2", "r4",
                ])
            #expect(closed(site).count == 6 && rejected(site).isEmpty)
        }
    }

    @Test("alerts: one job for each, firing and resolved; a secret that is missing is waited for")
    func alerts() throws {
        try site(
            "  - {id: a, endpoint: /api/v1/webhooks/alertmanager, template: got.yaml, secret: secrets://alerts/key, variables: {repository_name: \"{{ trigger.host }}/{{ trigger.status }}\"}}\n"
        ) { site in
            try begin(site, "alertmanager")
            let payload =
                #"{"version":"4","alerts":[{"status":"firing","labels":{"alertname":"A","instance":"db1:9100"},"fingerprint":"f"},{"status":"resolved","labels":{"alertname":"B","hostname":"db2"},"fingerprint":"g"}]}"#
            try send("x.json", payload, site, "alertmanager")
            try send("x.json.sig", try hmac(payload, "0123456789abcdef"), site, "alertmanager")
            _ = try site.waitForLog("there is no secret `alerts/key`")
            try site.stop()
            site.environment["BOBBIN_SECRET_ALERTS_KEY"] = "0123456789abcdef"
            try site.up()
            try site.waitForDone(2)
            #expect(
                Disk.lines(site.effects).map { String($0.split(separator: " ")[0]) }.sorted()
                    == ["db1/firing", "db2/resolved"])
        }
    }

    @Test("no more in a time than the rate allows; what is more waits") func rate() throws {
        try site(
            "  - {id: h, endpoint: hook, template: got.yaml, rate_limit: {limit: 2, per: 2s}, extract_variables: [repository.name]}\n"
        ) { site in
            try begin(site)
            for number in 0..<5 {
                try send("\(number).json", "{\"repository\": {\"name\": \"r\(number)\"}}", site)
            }
            try site.waitForDone(2)
            #expect(!Disk.names("\(site.spool)/events/hook").isEmpty)
            try site.waitForDone(5)
            #expect(Set(Disk.lines(site.effects)).count == 5)
        }
    }

    @Test("killed at any moment, an event is neither lost nor taken twice") func killed() throws {
        try site("  - {id: h, endpoint: hook, template: got.yaml, extract_variables: [repository.name]}\n") {
            site in
            try begin(site)
            try site.stop()
            for number in 0..<120 {
                try send("\(number).json", "{\"repository\": {\"name\": \"r\(number)\"}}", site)
            }
            var chance = Chance("events, killed")
            for _ in 0..<4 {
                let runner = try site.up()
                _ = Signals.poll([], until: Moment.after(milliseconds: 20 + Int(chance.next() % 250)))
                _ = try runner.killNow()
            }
            try site.up()
            try site.waitForDone(120)
            try site.stop()
            let names = Disk.lines(site.effects).map { String($0.split(separator: " ")[0]) }
            #expect(Set(names).count == 120 && closed(site).count == 120)
            let runs = Disk.names("\(site.spool)/done").flatMap { Disk.names("\(site.spool)/done/\($0)") }
            #expect(runs.count { $0.hasSuffix(".result.yaml") } == 120)
        }
    }

    @Test(
        "a payload that cannot be rendered is sent back and may come again; two webhooks of one source judge for themselves"
    )
    func severalWebhooks() throws {
        try site(
            """
              - {id: a, endpoint: hook, template: got.yaml, deduplicate: {by: id}, variables: {repository_name: "{{ trigger.payload.head.id }}"}}
              - {id: late, endpoint: two, template: got.yaml, secret: secrets://late/key, variables: {repository_name: late}}
              - {id: open, endpoint: two, template: got.yaml, variables: {repository_name: open}}
              - {id: other, endpoint: three, template: got.yaml, match: {kind: x}, variables: {repository_name: "{{ trigger.payload.kind }}"}}
              - {id: odd, endpoint: three, template: got.yaml, variables: {repository_name: "{{ trigger.payload.no.such }}"}}

            """
        ) { site in
            // A file where a source should be hinders that source alone.
            try Disk.write("x", to: "\(site.spool)/events/three")
            try begin(site)
            try send("1.json", #"{"id": 7, "head": null}"#, site)
            try waitForRejected(1, site)
            #expect(rejected(site) == ["code: E-TRIGGER-VARIABLE"])
            site.expect("1.json")
            try send("2.json", #"{"id": 7, "head": {"id": "again"}}"#, site)
            try site.waitForDone(1)
            // One of the two cannot look its secret up: the payload waits for both.
            try send("3.json", #"{}"#, site, "two")
            _ = try site.waitForLog("there is no secret `late/key`")
            #expect(Disk.exists("\(site.spool)/events/two/3.json"))
            try site.stop()
            site.environment["BOBBIN_SECRET_LATE_KEY"] = "0123456789abcdef"
            Disk.remove("\(site.spool)/events/three")
            try site.up()
            // Unsigned for one, good for the other: it is taken, and the refusal is told.
            try site.waitForDone(2)
            _ = try site.waitForLog("late: did not take two/3.json")
            try site.wait("the directory of the source", in: ["\(site.spool)/events"]) {
                Disk.exists("\(site.spool)/events/three/.") ? () : nil
            }
            try send("4.json", #"{"kind": "x"}"#, site, "three")
            try site.waitForDone(3)
            _ = try site.waitForLog("odd: did not take three/4.json")
            #expect(
                Disk.lines(site.effects).map { String($0.split(separator: " ")[0]) }.sorted()
                    == ["again", "open", "x"])
        }
    }

    @Test("what is kept is what was judged: an event that comes in the name of another is another event")
    func overwritten() throws {
        try site("  - {id: h, endpoint: hook, template: got.yaml, extract_variables: [repository.name]}\n") {
            site in
            try begin(site)
            for number in 0..<400 {
                try send("same.json", "{\"repository\": {\"name\": \"r\(number)\"}}", site)
            }
            try send("last.json", #"{"repository": {"name": "last"}}"#, site)
            try site.waitForEffect("last", "false")
            _ = try site.settle()
            try site.stop()
            let ran = Set(Disk.lines(site.effects).map { String($0.split(separator: " ")[0]) })
            var kept: Set<String> = []
            for day in Disk.names("\(site.spool)/events/closed") {
                for name in Disk.names("\(site.spool)/events/closed/\(day)") where !name.hasPrefix(".") {
                    let text = Disk.text("\(site.spool)/events/closed/\(day)/\(name)") ?? ""
                    kept.insert(String(text.split(separator: "\"").dropFirst(5).first ?? ""))
                }
            }
            // Those that were replaced before anybody looked are gone with the rename of their sender.
            #expect(kept == ran && ran.contains("r399"), "\(ran.count) ran, \(kept.count) kept")
        }
    }

    @Test("a long name, a signature in two pieces and a payload that is too large for a job stop nothing")
    func odds() throws {
        let source = String(repeating: "s", count: 64)
        try site(
            "  - {id: long, endpoint: \(source), template: got.yaml, variables: {repository_name: long}}\n  - {id: hook, endpoint: hook, template: got.yaml, secret: s3cret-of-the-hook, variables: {repository_name: hook}}\n"
        ) { site in
            try begin(site)
            let name = String(repeating: "a", count: 120) + String(repeating: "=", count: 20) + ".json"
            try send(name, "{}", site, source)
            let nested =
                String(repeating: "[", count: 60) + String(repeating: "1,", count: 60_000) + "1"
                + String(repeating: "]", count: 60)
            try send("large.json", nested, site, source)
            let signature = try hmac("{}")
            try Disk.write(String(signature.prefix(20)), to: "\(site.spool)/events/hook/p.json.sig")
            try send("p.json", "{}", site)
            try site.waitForDone(2)
            try Disk.write(signature + "\n", to: "\(site.spool)/events/hook/p.json.sig")
            try site.waitForDone(3)
            #expect(closed(site).count == 4 && rejected(site).isEmpty)
        }
    }
}
