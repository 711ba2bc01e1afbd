// What this is: make_request with the real curl against a server of this test.
// Owns: nothing.
// Never: leaves 127.0.0.1.
// On failure: what the server received is in the message.
import JobModel
import LinuxSystem
import Testing

@testable import StepLibrary

@Suite(
    .enabled(if: Host.program("curl", path: "/usr/local/bin:/usr/bin:/bin") != nil, "curl is not installed"))
struct MakeRequestTests {
    @Test func anAnswerArrivesWhole() throws {
        let server = try HttpServer { _ in
            HttpServer.answer(
                "200 OK", "{\"n\": 1}",
                headers: ["Content-Type: application/json; charset=utf-8", "X-A: 1", "x-a: 2"])
        }
        let site = try TestSite()
        let context = FakeContext(site)
        let outputs = try site.perform(
            "make_request",
            ["url": .string(server.url + "/a?q=[1]{2}"), "headers": .map(["X-Test": .int(7)])], context)
        #expect(outputs["status"] == .int(200) && outputs["json"] == .map(["n": .int(1)]))
        #expect(outputs["body"] == .string("{\"n\": 1}") && outputs["bytes"] == .int(8))
        #expect(outputs["headers"]?.mapValue?["x-a"] == .string("1, 2"))
        #expect(outputs["url"] == .string(server.url + "/a?q=[1]{2}"))
        #expect((outputs["seconds"]?.doubleValue ?? -1) >= 0)
        #expect(
            server.requests[0].line == "GET /a?q=[1]{2} HTTP/1.1"
                && server.requests[0].headers["x-test"] == "7")
        // Neither the command line nor a file left behind shows the request.
        #expect(context.requests[0].arguments == ["curl", "-q", "--config", "-"])
        #expect(try site.folder("spool/runs/\(context.runID)").names() == [])
    }

    static let awkward = "quote\" back\\slash \\n 'single' %2f $HOME `id` @file ; # ünïcode\ttab"

    @Test func headersAndBodiesAreNeverOptions() throws {
        let server = try HttpServer { _ in HttpServer.answer("204 No Content") }
        let site = try TestSite()
        let text = "@/etc/passwd\noutput = \"pwned\"\n" + MakeRequestTests.awkward + "\r\n\u{B}"
        let outputs = try site.perform(
            "make_request",
            [
                "url": .string(server.url), "method": .string("POST"), "body": .string(text),
                "headers": .map(["X-Odd": .string(MakeRequestTests.awkward), "X-Empty": .string("")]),
            ])
        #expect(outputs["status"] == .int(204) && outputs["json"] == nil)
        let request = try #require(server.requests.first)
        #expect(String(decoding: request.body, as: UTF8.self) == text)
        #expect(request.headers["x-odd"] == MakeRequestTests.awkward && request.headers["x-empty"] == "")
        #expect(request.headers["content-type"] == "text/plain; charset=utf-8")
        #expect(!site.exists("pwned"))
    }

    @Test(arguments: ["a\r\nX-Evil: 1", "a\nb", "a\rb", "a\0b"])
    func lineEndsAreRefused(value: String) throws {
        let site = try TestSite()
        let url = Value.string("http://127.0.0.1:1/")
        let header = try site.failure("make_request", ["url": url, "headers": .map(["X": .string(value)])])
        #expect(header.code == "E-HTTP-HEADER" && header.retry == .never)
        let name = try site.failure("make_request", ["url": url, "headers": .map([value: .string("1")])])
        #expect(name.code == "E-HTTP-HEADER")
        let inURL = try site.failure("make_request", ["url": .string("http://127.0.0.1:1/" + value)])
        #expect(inURL.code == "E-HTTP-HEADER")
    }

    @Test(arguments: ["file:///etc/passwd", "ftp://x/", "-o /tmp/x", "http://a b/", "", "gopher://x"])
    func otherURLsAreRefused(url: String) throws {
        let failure = try TestSite().failure("make_request", ["url": .string(url)])
        #expect(failure.code == "E-HTTP-URL" && failure.retry == .never)
    }
    @Test(arguments: ["@file", "A:B", "A B", "", "Ü"]) func otherHeaderNamesAreRefused(name: String) throws {
        let wrong: ValueMap = ["url": .string("http://127.0.0.1:1/"), "headers": .map([name: .string("1")])]
        #expect(try TestSite().failure("make_request", wrong).code == "E-HTTP-HEADER")
    }

    @Test func mapsAreSentAsJSON() throws {
        let server = try HttpServer { _ in HttpServer.answer("200 OK") }
        _ = try TestSite().perform(
            "make_request",
            ["url": .string(server.url), "method": .string("PUT"), "body": .map(["a": .list([.null])])])
        #expect(String(decoding: server.requests[0].body, as: UTF8.self) == "{\"a\":[null]}")
        #expect(
            server.requests[0].method == "PUT"
                && server.requests[0].headers["content-type"] == "application/json")
    }

    @Test(arguments: ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"])
    func everyMethodArrives(method: String) throws {
        let server = try HttpServer {
            $0.method == "HEAD" ? HttpServer.answer("200 OK") : HttpServer.answer("200 OK", "b")
        }
        let outputs = try TestSite().perform(
            "make_request", ["url": .string(server.url), "method": .string(method)])
        #expect(server.requests[0].method == method)
        #expect(outputs["body"] == .string(method == "HEAD" ? "" : "b"))
    }

    @Test func aLargeBodyTravelsInAPrivateFile() throws {
        let server = try HttpServer { _ in HttpServer.answer("200 OK") }
        let site = try TestSite()
        let context = FakeContext(site)
        let text = String(repeating: "line \"\\\n", count: 40_000) + "\0"
        _ = try site.perform(
            "make_request", ["url": .string(server.url), "method": .string("POST"), "body": .string(text)],
            context)
        #expect(server.requests[0].body == Array(text.utf8))
        #expect(try site.folder("spool/runs/\(context.runID)").names() == [])
    }

    @Test(arguments: [
        (404, Failure.Retry.permanent), (408, .transient), (425, .transient), (429, .transient),
        (500, .transient), (503, .transient), (301, .permanent),
    ])
    func aStatusThatIsNotExpectedFails(status: Int, retry: Failure.Retry) throws {
        let server = try HttpServer { _ in HttpServer.answer("\(status) X", "sorry") }
        let failure = try TestSite().failure("make_request", ["url": .string(server.url + "/p?key=secret")])
        #expect(failure.code == "E-HTTP-STATUS" && failure.retry == retry)
        #expect(failure.message == "GET \(server.url)/p answered \(status): sorry")
        let accepted = try TestSite().perform(
            "make_request", ["url": .string(server.url), "expect_status": .texts(["2xx", String(status)])])
        #expect(accepted["status"] == .int(status))
    }

    @Test func redirectsAreFollowedAFewTimes() throws {
        let server = try HttpServer { request in
            switch request.path {
            case "/end": HttpServer.answer("200 OK", "there", headers: ["X-Last: yes"])
            case "/loop": HttpServer.answer("302 Found", headers: ["Location: /loop"])
            case "/file": HttpServer.answer("302 Found", headers: ["Location: file:///etc/passwd"])
            default: HttpServer.answer("302 Found", headers: ["Location: /end", "X-First: yes"])
            }
        }
        let site = try TestSite()
        let outputs = try site.perform("make_request", ["url": .string(server.url)])
        #expect(outputs["url"] == .string(server.url + "/end") && outputs["body"] == .string("there"))
        #expect(outputs["headers"]?.mapValue?["x-last"] == .string("yes"))
        #expect(outputs["headers"]?.mapValue?["x-first"] == nil)
        #expect(
            try site.failure("make_request", ["url": .string(server.url + "/loop")]).code == "E-HTTP-REDIRECT"
        )
        #expect(try site.failure("make_request", ["url": .string(server.url + "/file")]).code == "E-HTTP-URL")
        let stay = try site.perform(
            "make_request",
            ["url": .string(server.url), "follow_redirects": .bool(false), "expect_status": .string("302")])
        #expect(stay["status"] == .int(302))
    }

    @Test func theWorldOutsideHasItsCodes() throws {
        let site = try TestSite()
        let silent = try HttpServer { _ in nil }
        let timeout = try site.failure(
            "make_request", ["url": .string(silent.url), "timeout": .string("300ms")])
        #expect(timeout.code == "E-HTTP-TIMEOUT" && timeout.retry == .transient)
        let closed = try site.failure("make_request", ["url": .string("http://127.0.0.1:1/")])
        #expect(closed.code == "E-HTTP-CONNECT" && closed.retry == .transient)
        let unknown = try site.failure("make_request", ["url": .string("http://no-such-host.invalid/")])
        #expect(unknown.code == "E-HTTP-DNS")
        let tls = try site.failure(
            "make_request", ["url": .string("https" + silent.url.dropFirst(4)), "timeout": .string("300ms")])
        #expect(["E-HTTP-TLS", "E-HTTP-TIMEOUT"].contains(tls.code))
        let broken = try HttpServer { _ in Array("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc".utf8) }
        #expect(try site.failure("make_request", ["url": .string(broken.url)]).code == "E-HTTP-CONNECT")
    }

    @Test(arguments: [true, false]) func aBodyIsBounded(saysItsLength: Bool) throws {
        let body = String(repeating: "x", count: 3 << 20)
        let server = try HttpServer { _ in
            saysItsLength ? HttpServer.answer("200 OK", body) : Array(("HTTP/1.1 200 OK\r\n\r\n" + body).utf8)
        }
        let site = try TestSite()
        var arguments: ValueMap = ["url": .string(server.url), "size_limit": .string("2MiB")]
        #expect(try site.failure("make_request", arguments).code == "E-HTTP-SIZE")
        arguments["save_to"] = .string("out/x")
        #expect(try site.failure("make_request", arguments).code == "E-HTTP-SIZE")
        #expect(try site.folder("out").names() == [])
        arguments["save_to"] = nil
        arguments["size_limit"] = .string("4MiB")
        #expect(try site.failure("make_request", arguments).code == "E-OUTPUT-SIZE")
    }

    @Test func aBodyIsSavedWhole() throws {
        let body = String(repeating: "x", count: 2 << 20)
        let server = try HttpServer { request in
            request.path == "/no"
                ? HttpServer.answer("500 X", "bad")
                : HttpServer.answer("200 OK", request.path == "/empty" ? "" : body)
        }
        let site = try TestSite()
        var arguments: ValueMap = [
            "url": .string(server.url), "save_to": .string("out/x.bin"), "size_limit": .string("2MiB"),
        ]
        let outputs = try site.perform("make_request", arguments)
        #expect(outputs["path"] == .string(site.path + "/out/x.bin") && outputs["bytes"] == .int(2 << 20))
        #expect(site.text("out/x.bin") == body && outputs["body"] == nil)
        arguments["url"] = .string(server.url + "/no")
        #expect(try site.failure("make_request", arguments).code == "E-HTTP-STATUS")
        #expect(site.text("out/x.bin") == body)
        arguments["url"] = .string(server.url + "/empty")
        #expect(try site.perform("make_request", arguments)["bytes"] == .int(0))
        #expect(site.text("out/x.bin") == "")
        #expect(try site.folder("out").names() == ["x.bin"])
    }

    @Test func whatCallsItselfJSONMayBeWrong() throws {
        let server = try HttpServer { _ in
            HttpServer.answer("200 OK", "<html>", headers: ["Content-Type: application/json"])
        }
        let site = try TestSite()
        let outputs = try site.perform("make_request", ["url": .string(server.url)])
        #expect(outputs["body"] == .string("<html>") && outputs["json"] == nil)
        #expect(
            try site.failure("make_request", ["url": .string(server.url), "json": .string("always")]).code
                == "E-HTTP-JSON")
    }

    @Test func withoutCurlTheAdviceIsToInstallIt() throws {
        let site = try TestSite()
        let context = FakeContext(site)
        context.searchPath = site.path
        let failure = try site.failure("make_request", ["url": .string("http://127.0.0.1:1/")], context)
        #expect(failure.code == "E-HTTP-TOOL" && failure.whatToDo == "apt-get install curl")
    }

    @Test func messagesShowNoSecretsOfAURL() throws {
        let request = try CurlRequest([
            "url": .string("https://u:p@host:1/a@b/c?key=1#f"), "method": .string("GET"),
        ])
        #expect(request.title == "GET https://host:1/a@b/c")
    }
}
