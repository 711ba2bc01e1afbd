// What this is: the names of services, as steps find them in their arguments, and what their answers say of them.
// Owns: nothing.
// Never: leaves 127.0.0.1.
// On failure: the step and its arguments are in the message.
import JobModel
import LinuxSystem
import Testing

@testable import StepLibrary

@Suite struct TargetNameTests {
    @Test(arguments: [
        ("make_request", "url", "https://API.example.com/x?y=http://z/", "api.example.com:443"),
        ("make_request", "url", "http://u:p@ss@h:8080/x", "h:8080"),
        ("make_request", "url", "HTTP://h?q", "h:80"),
        ("make_request", "url", "http://[::1]:81/", "[::1]:81"),
        ("make_request", "url", "http://[::1]", "[::1]:80"),
        ("make_request", "url", "http://h:/x", "h:80"),
        ("send_email", "server", "smtps://mail", "mail:465"),
        ("send_email", "server", "smtp://mail:587", "mail:587"),
        ("sql", "database", "postgresql://u@db/name", "db:5432"), ("ssh", "host", "web1", "web1:22"),
        ("ssh", "host", "::1", "[::1]:22"),
    ]) func whereAStepGoes(type: String, key: String, text: String, expected: String) throws {
        let action = try #require(TestSite.actions.first { $0.type.name == type })
        #expect(action.target([key: .string(text)]) == expected, "\(type) \(text)")
    }

    @Test(arguments: [
        ("make_request", "url", "ftp://h/"), ("make_request", "url", "h:80"),
        ("make_request", "url", "http:///x"),
        ("make_request", "url", "http://h:99x/"), ("make_request", "url", "http://a b/"),
        ("sql", "database", "data/a.db"),
        ("sql", "database", "postgres:///name"), ("send_email", "subject", "x"), ("ssh", "host", "a/b"),
        ("log", "message", "x"),
    ]) func whoGoesNowhere(type: String, key: String, text: String) throws {
        let action = try #require(TestSite.actions.first { $0.type.name == type })
        #expect(action.target([key: .string(text)]) == nil, "\(type) \(text)")
    }

    @Test(
        .enabled(
            if: Host.program("curl", path: "/usr/local/bin:/usr/bin:/bin") != nil, "curl is not installed"),
        arguments: [
            ("503 X", "", TargetOutcome.down("HTTP 503")),
            ("503 X", "Retry-After: 120", .rest(.seconds(120))),
            ("429 X", "Retry-After: Sun, 06 Nov 1994 08:49:37 GMT", .rest(.seconds(60))),
            ("429 X", "Retry-After: soon", .down("HTTP 429")),
            ("429 X", "Retry-After: -5", .down("HTTP 429")),
            ("500 X", "", .answered), ("404 X", "", .answered),
        ]) func whatAnAnswerSaysOfTheService(status: String, header: String, expected: TargetOutcome) throws
    {
        let server = try HttpServer { _ in
            HttpServer.answer(
                status, "", headers: ["Date: Sun, 06 Nov 1994 08:48:37 GMT", header].filter { !$0.isEmpty })
        }
        let failure = try TestSite().failure("make_request", ["url": .string(server.url)])
        #expect(failure.target == expected)
    }

    @Test func aServiceThatIsNotThereIsDown() throws {
        let failure = try TestSite().failure("make_request", ["url": .string("http://127.0.0.1:1/")])
        #expect(failure.target == .down("E-HTTP-CONNECT") || failure.code == "E-HTTP-TOOL")
    }
}
