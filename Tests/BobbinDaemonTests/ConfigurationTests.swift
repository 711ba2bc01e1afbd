// What this is: tests of ops/orchestrator.yaml: the guide's queues, defaults, and what a mistake says.
// Owns: the table of mistakes with their places.
// Never: starts a runner.
// On failure: shows the text a person would have read.
import JobModel
import Testing

@testable import BobbinDaemon

@Suite struct ConfigurationTests {
    private func read(_ text: String) throws -> Configuration {
        try Configuration.read(Array(text.utf8), name: "ops/orchestrator.yaml")
    }
    private func problem(_ text: String) -> String {
        do {
            _ = try read(text)
            return ""
        } catch { return (error as? ConfigurationProblem)?.text ?? "\(error)" }
    }

    @Test("the shipped file holds the guide's queues") func shipped() throws {
        let configuration = try read(Configuration.initialText)
        let table = configuration.queues.map {
            "\($0.name) \($0.maxConcurrent) \($0.priorityLevels) \($0.retry.maxAttempts) \($0.retry.backoffMultiplier)"
        }
        #expect(table == ["default 3 9 3 1.5", "high_priority 5 9 3 1.5", "background 1 9 3 1.5"])
    }

    @Test("a queue that gives no policy inherits default's") func inheritance() throws {
        let configuration = try read(
            """
            queues:
              other: {max_concurrent: 2}
              default: {retry_policy: {max_attempts: 7, base_delay: 1s}}
            """)
        let other = try #require(configuration.queues.first { $0.name.text == "other" })
        #expect(other.retry.maxAttempts == 7)
        #expect(other.retry.baseDelay == .seconds(1))
    }

    @Test("a named target takes over what it does not say from `*`, wherever that stands") func targets()
        throws
    {
        let targets = try read(
            """
            targets:
              API.example.com: {rate_limit: {limit: 10, per: 1s}}
              "*": {breaker: {failures: 2, open_for: 10s}}
              api.example.com:8443: {breaker: false}
            """
        ).targets
        let api = targets.policy("api.example.com:443")
        #expect(api.failures == 2 && api.openFor == .seconds(10) && api.patience == .seconds(3600))
        #expect(api.rate == RateLimit(limit: 10, per: .seconds(1)))
        #expect(targets.policy("api.example.com:8443").failures == 0)
        #expect(targets.policy("other:22").failures == 2 && targets.policy("other:22").rate == nil)
        #expect(try read("queues: {}").targets.standard.failures == 5)
    }

    @Test("default exists even where the file does not name it") func implicitDefault() throws {
        #expect(try read("queues: {night: {}}").queues.map(\.name.text) == ["default", "night"])
    }

    @Test(
        "mistakes are named with line and column",
        arguments: [
            ("queues:\n  default: {max_concurrent: 0}\n", "orchestrator.yaml:2:29"),
            ("queues:\n  Default: {}\n", "orchestrator.yaml:2:3"),
            ("queues:\n  done: {}\n", "it is a directory of the spool"),
            ("queues:\n  default: {max_concurent: 3}\n", "did you mean `max_concurrent`?"),
            ("queues: [default]\n", "orchestrator.yaml:1:9"),
            ("queues:\n  default: {require_end: yes}\n", "must be true or false"),
            ("shutdown_grace: soon\n", "must be a duration"),
            ("queues:\n\tdefault: {}\n", "E-YAML-TAB"),
            ("targets: [a]\n", "`targets` must be a map of hosts"),
            ("targets:\n  a/b: {}\n", "orchestrator.yaml:2:3"),
            ("targets:\n  a: {breaker: {failure: 3}}\n", "did you mean `failures`?"),
            ("targets:\n  a: {rate_limit: {limit: 3}}\n", "`rate_limit` needs `limit` and `per`"),
            ("targets:\n  a: {rate_limit: {limit: 3, per: 0s}}\n", "must be longer than nothing"),
        ])
    func mistakes(_ text: String, _ expected: String) {
        #expect(problem(text).contains(expected), "\(problem(text))")
    }

    @Test("every mistake is listed, not only the first") func all() {
        let text = problem("queues:\n  a: {max_concurrent: 0}\n  b: {priority_levels: 10}\n")
        #expect(text.contains(":2:") && text.contains(":3:"))
    }
}
