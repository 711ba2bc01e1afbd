// What this is: events: envelopes, signatures, addresses, filters, Alertmanager's payload, and the agenda of what to look at.
// Owns: vectors of others: RFC 4231 for HMAC, RFC 4291 forms of addresses.
// Never: reads a file.
// On failure: the case is in the message.
import Crypto
import JobModel
import LinuxSystem
import TestKit
import Testing

@testable import Triggers

@Suite struct EventTests {
    private func payload(_ text: String) throws -> EventPayload {
        try EventPayload(Array(text.utf8)) { (bytes) throws(Failure) -> Value in
            do throws(JSONProblem) { return try JSONReader.read(bytes) } catch {
                throw Failure("E-EVENT-PAYLOAD", "\(error)")
            }
        }
    }
    private func code(_ body: () throws -> Void) -> String? {
        do { try body() } catch { return (error as? Failure)?.code }
        return nil
    }
    private let key = SecretBytes(copying: Array("Jefe".utf8))

    @Test func theSignatureOfTheRFC() throws {
        // RFC 4231, test case 2; the quotes make it JSON, so it goes in as a body.
        let event = try payload(#"{"envelope": "1", "body": "\"x\"", "headers": {"X-Sig": "z"}}"#)
        var changed = event
        changed.body = Array("what do ya want for nothing?".utf8)
        let right = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        for given in ["sha256=" + right, right, right.uppercased(), "v1:" + right] {
            changed.headers["x-sig"] = given
            #expect(try changed.proof(key, sidecar: nil, header: "X-Sig", prefix: "v1:") == .ofBody)
        }
        for given in ["", "sha256=", right.dropLast() + "4", "md5=" + right, right + "00", " " + right] {
            changed.headers["x-sig"] = String(given)
            #expect(
                code { _ = try changed.proof(key, sidecar: nil, header: "X-Sig", prefix: "v1:") }
                    == "E-EVENT-SIGNATURE", "\(given)")
        }
    }

    @Test func whatIsSignedByWhom() throws {
        func hex(_ bytes: [UInt8]) -> String {
            HMAC<SHA256>.authenticationCode(for: bytes, using: SymmetricKey(data: Array("Jefe".utf8)))
                .map { String(UInt16($0) + 0x100, radix: 16).dropFirst() }.joined()
        }
        let bare = #"{"a": 1}"#
        let event = try payload(bare)
        #expect(!event.isEnvelope && event.payload == .map(["a": .int(1)]))
        #expect(try event.proof(key, sidecar: nil, header: "X", prefix: "sha256=") == .none)
        let sidecar = Array((hex(Array(bare.utf8)) + "\n").utf8)
        #expect(try event.proof(key, sidecar: sidecar, header: "X", prefix: "sha256=") == .ofAll)

        var envelope = try payload(
            #"{"envelope": "1", "id": "7", "received_at": "t", "source_ip": "10.0.0.1", "body": "{\"a\": 1}"}"#
        )
        #expect(envelope.payload == .map(["a": .int(1)]))
        #expect(envelope.signedText == Array("bobbin-envelope-1\n7\nt\n10.0.0.1\n{\"a\": 1}".utf8))
        envelope.signature = "sha256=" + hex(envelope.signedText)
        #expect(try envelope.proof(key, sidecar: nil, header: "X", prefix: "sha256=") == .ofAll)
        // Another address, another signature.
        envelope.sourceIP = "10.0.0.2"
        #expect(
            code { _ = try envelope.proof(key, sidecar: nil, header: "X", prefix: "sha256=") }
                == "E-EVENT-SIGNATURE")
        // One that is right does not make up for one that is wrong.
        envelope.headers["x"] = hex(envelope.body)
        #expect(
            code { _ = try envelope.proof(key, sidecar: nil, header: "X", prefix: "sha256=") }
                == "E-EVENT-SIGNATURE")
    }

    @Test(arguments: [
        #"{"envelope": "2", "body": "{}"}"#, #"{"envelope": "1"}"#, #"{"envelope": "1", "body": {}}"#,
        #"{"envelope": "1", "body": "not json"}"#, #"{"envelope": "1", "body": "{}", "id": "a\nb"}"#,
        #"{"envelope": "1", "body": "{}", "source_ip": "10.0.0.1\n"}"#,
        #"{"envelope": "1", "body": "{}", "bodi": 1}"#, "{",
    ]) func anEnvelopeThatIsNone(_ text: String) {
        #expect(code { _ = try payload(text) } == "E-EVENT-PAYLOAD")
    }

    @Test func aSignatureAsProgramsWriteIt() throws {
        let event = try payload("{}")
        let right = HMAC<SHA256>.authenticationCode(
            for: Array("{}".utf8), using: SymmetricKey(data: Array("Jefe".utf8))
        ).map { String(UInt16($0) + 0x100, radix: 16).dropFirst() }.joined()
        for text in [
            right, "sha256=\(right)\n", "\(right)  file.json\n", "\(right) *file",
            "HMAC-SHA2-256(f)= \(right)\n",
        ] {
            #expect(
                try event.proof(key, sidecar: Array(text.utf8), header: nil, prefix: "") == .ofAll, "\(text)")
            #expect(EventPayload.isSignature(Array(text.utf8), prefix: "sha256="))
        }
        #expect(!EventPayload.isSignature(Array(right.prefix(20).utf8), prefix: ""))
    }

    @Test func aBodyThatWasSeenIsNotSentAgainUnderAnotherID() throws {
        var event = try payload(#"{"envelope": "1", "id": "7", "body": "{}"}"#)
        let hook = webhook { $0.secret = .literal("x") }
        let first = try hook.calls(event, .ofBody).first?.key
        event.id = "8"
        event.headers["x-github-delivery"] = "9"
        #expect(try first != nil && hook.calls(event, .ofBody).first?.key == first)
        #expect(try hook.calls(event, .ofAll).first?.key == "8")
    }

    @Test func tooManyAlertsAreOnePayloadTooMany() throws {
        let alerts = (0...Webhook.mostAlerts).map { _ in "{}" }.joined(separator: ",")
        let event = try payload("{\"version\": \"4\", \"alerts\": [\(alerts)]}")
        #expect(code { _ = try webhook { $0.format = .alertmanager }.calls(event) } == "E-EVENT-PAYLOAD")
    }

    private func webhook(_ change: (inout Webhook) -> Void = { _ in }) -> Webhook {
        var webhook = Webhook(
            id: "w", name: "w", source: "s", endpoint: "/s", template: "t.yaml", queue: .standard,
            priority: .normal)
        change(&webhook)
        return webhook
    }

    @Test func anAddressCountsOnlyWhereItIsSigned() throws {
        let hook = webhook { $0.allowedIPs = ["192.30.252.0/22"].compactMap { AddressRange($0) } }
        func judged(_ ip: String?, _ proof: EventPayload.Proof) throws -> String? {
            var event = try payload("{}")
            event.sourceIP = ip
            return code { try hook.judgeAddress(event, proof) }
        }
        #expect(try judged("192.30.253.7", .ofAll) == nil)
        #expect(try judged("192.30.253.7", .ofBody) == "E-EVENT-ADDRESS")
        #expect(try judged("192.30.253.7", .none) == "E-EVENT-ADDRESS")
        #expect(try judged("192.31.0.1", .ofAll) == "E-EVENT-ADDRESS")
        #expect(try judged(nil, .ofAll) == "E-EVENT-ADDRESS" && judged("x", .ofAll) == "E-EVENT-ADDRESS")
    }

    @Test(arguments: [
        ("192.30.252.0/22", "192.30.252.0", true), ("192.30.252.0/22", "192.30.255.255", true),
        ("192.30.252.0/22", "192.30.251.255", false), ("192.30.252.0/22", "193.30.252.0", false),
        ("10.0.0.7", "10.0.0.7", true), ("10.0.0.7", "10.0.0.8", false), ("0.0.0.0/0", "8.8.8.8", true),
        ("2001:db8::/32", "2001:db8:ffff::1", true), ("2001:db8::/32", "2001:db9::1", false),
        ("::1", "::1", true), ("::/0", "10.0.0.1", false), ("10.0.0.0/8", "::ffff:10.1.2.3", true),
        ("10.0.0.0/8", "::1", false), ("fe80::/10", "fe80::1", true),
    ]) func addressesAndRanges(_ range: String, _ address: String, _ isIn: Bool) throws {
        #expect(try #require(AddressRange(range)).contains(address) == isIn)
    }
    @Test(arguments: [
        "", "/", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/-1", "10.0.0.0/+8", "a",
        "1.2.3.4/8/8",
    ])
    func noAddress(_ text: String) { #expect(AddressRange(text) == nil) }

    @Test func filtersAndExtraction() throws {
        let event = try payload(
            #"{"ref": "refs/heads/main", "n": 3, "ok": true, "repository": {"name": "bob"}, "list": [{"x": "y"}]}"#
        )
        let hook = webhook {
            $0.extract = ["repository.name", "list.0.x", "n", "nothing.here", "repository"]
        }
        let call = try #require(try hook.calls(event).first)
        #expect(
            call.extracted == [
                "repository_name": "bob", "list_0_x": "y", "n": .int(3), "repository": .map(["name": "bob"]),
            ])
        let cases: [([String: [String]], Bool)] = [
            (["ref": ["refs/heads/main"]], true), (["ref": ["refs/heads/*"]], true),
            (["ref": ["main"]], false),
            (["n": ["3"], "ok": ["true"]], true), (["n": ["4", "3"]], true), (["missing": ["*"]], false),
            (["ref": ["refs/*"], "n": ["4"]], false),
        ]
        for (match, fits) in cases {
            #expect(try webhook { $0.match = match }.calls(event).isEmpty != fits, "\(match)")
        }
    }

    @Test func whatMakesAnEventTheSame() throws {
        var event = try payload(#"{"envelope": "1", "id": "7", "body": "{\"a\": {\"b\": 5}}"}"#)
        #expect(try webhook().calls(event).first?.key == "7")
        #expect(try webhook { $0.deduplication.by = "a.b" }.calls(event).first?.key == "5")
        #expect(try webhook { $0.deduplication.by = "content" }.calls(event).first?.key?.count == 64)
        event.id = nil
        #expect(try webhook().calls(event).first?.key == nil)
        event.headers["x-github-delivery"] = "d"
        #expect(try webhook().calls(event).first?.key == "d")
    }

    @Test func alertmanagersPayload() throws {
        let hook = webhook { $0.format = .alertmanager }
        let text = """
            {"version": "4", "status": "firing", "alerts": [
              {"status": "firing", "labels": {"alertname": "DiskFull", "instance": "db1:9100", "severity": "critical"},
               "annotations": {"summary": "s"}, "startsAt": "2026-11-28T00:00:00Z", "fingerprint": "f1"},
              {"status": "resolved", "labels": {"alertname": "DiskFull", "hostname": "db2", "instance": "x:1"}, "fingerprint": "f2"},
              {"status": "firing", "labels": {"alertname": "A"}}, {"status": "firing", "labels": {"alertname": "B"}}]}
            """
        let calls = try hook.calls(payload(text))
        #expect(calls.map { $0.facts["host"] } == ["db1", "db2", "", ""])
        #expect(
            calls.map { $0.facts["resolved"] } == [.bool(false), .bool(true), .bool(false), .bool(false)])
        #expect(calls[0].facts["severity"] == "critical" && calls[0].key == "f1 firing 2026-11-28T00:00:00Z")
        #expect(Set(calls.compactMap(\.key)).count == 4)
        let critical = webhook {
            $0.format = .alertmanager
            $0.match = ["severity": ["critical"]]
            $0.extract = ["labels.instance", "host"]
        }
        #expect(
            try critical.calls(payload(text)).map(\.extracted) == [
                ["labels_instance": "db1:9100", "host": "db1"]
            ])
        for bad in [
            "{}", #"{"version": "3", "alerts": []}"#, #"{"version": "4", "alerts": [1]}"#,
            #"{"version": "4"}"#,
        ] {
            #expect(code { _ = try hook.calls(payload(bad)) } == "E-EVENT-PAYLOAD", "\(bad)")
        }
        for (instance, host) in [
            ("db1:9100", "db1"), ("[::1]:9100", "::1"), ("fe80::1", "fe80::1"), ("host", "host"),
            ("a:b", "a:b"),
            ("10.0.0.1:80", "10.0.0.1"), ("host:", "host:"), ("[broken", "[broken"),
        ] { #expect(Webhook.host(["instance": .string(instance)]) == host, "\(instance)") }
    }

    @Test func theAgendaIsSorted() {
        var random = SeededRandom(seed: 5)
        var agenda = Agenda(), model: [String: Int64] = [:]
        for _ in 0..<20_000 {
            let path = "p\(random.below(300))"
            switch random.below(5) {
            case 0:
                agenda.remove(path)
                model[path] = nil
            case 1:
                let now = Int64(random.below(1000))
                let nearest = model.values.min()
                #expect(agenda.next == nearest)
                if let popped = agenda.pop(now: now) {
                    #expect(model[popped] == nearest && (nearest ?? .max) <= now)
                    model[popped] = nil
                } else {
                    #expect(nearest.map { $0 > now } ?? true)
                }
            default:
                let due = Int64(random.below(1000))
                agenda.set(path, due)
                model[path] = due
            }
        }
        #expect(agenda.count == model.count)
        for (path, due) in model { #expect(agenda.dues[path] == due) }
    }
}
