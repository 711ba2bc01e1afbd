// What this is: ops/schedules.yaml, watchers.yaml and webhooks.yaml: what people write, with its mistakes.
// Owns: one line of YAML a case, and what must be said of it.
// Never: starts anything.
// On failure: shows what was said.
import JobModel
import SpoolQueue
import Testing
import Triggers

@testable import BobbinDaemon

@Suite struct TriggerFileTests {
    private let queues = [QueuePolicy(name: .standard, maxConcurrent: 3)]
    private func schedules(_ text: String) throws -> [Schedule] {
        try ScheduleFile.read(Array(text.utf8), queues: queues, spool: "S").schedules
    }
    private func problem(_ body: () throws -> Void) -> String {
        do { try body() } catch { return (error as? ConfigurationProblem)?.text ?? "\(error)" }
        return ""
    }

    @Test(arguments: [
        ("cron: '0 25 * * *'", "3:15: error: hours: 25 is not from 0 to 23"),
        ("cron: 0 0 30 2 *", "never comes: no day fits"), ("every: 0s", "at least one"),
        ("every: 1500ms", "whole number of seconds"),
        ("cron: '@daily', every: 1h", "needs either `cron` or `every`"),
        ("croon: '@daily'", "did you mean `cron`?"),
        ("cron: '@daily', timezone: Europe/Nowhere", "there is no time zone `Europe/Nowhere`"),
        ("cron: '@daily', queue: fast", "there is no queue `fast`"),
        ("cron: '@daily', priority: 0", "from 1 to 9"),
        ("cron: '@daily', enabled: no", "`enabled` must be true or false"),
        ("cron: '@daily', overlap: skipp", "did you mean `skip`?"),
        ("cron: '@daily', catch_up: {mode: al}", "did you mean `all`?"),
        ("cron: '@daily', calendar: [2026-13-01]", "is no day and no calendar"),
        ("cron: '@daily', until: soon", "an instant or a day"),
        ("cron: '@daily', variables: [x]", "`variables` must be a map"),
        ("cron: '@daily', name: [x]", "`name` must be a text"),
        ("cron: '@daily', description: {a: b}", "`description` must be a text"),
    ]) func aScheduleWithAMistake(_ entry: String, _ wanted: String) {
        let said = problem {
            _ = try schedules("schedules:\n  - {id: a, template: t.yaml,\n     \(entry)}\n")
        }
        #expect(said.contains(wanted) && said.hasPrefix("ops/schedules.yaml:"), "\(said)")
    }

    @Test func nothingButCommentsIsNothing() throws {
        for text in ["", "# schedules:\n#  - id: a\n", "schedules:\n", "schedules: []\n", "{}\n"] {
            #expect(try schedules(text).isEmpty, "\(text)")
            #expect(try WatcherFile.read(Array("# none\n".utf8), queues: queues, site: "/s").watchers.isEmpty)
            #expect(try WebhookFile.read(Array("# none\n".utf8), queues: queues).webhooks.isEmpty)
        }
    }

    @Test func aWindowThatIsOverOrNotYetOpenIsNoMistake() throws {
        for window in [
            "until: 2000-01-01", "not_before: 2100-01-01", "until: 2100-01-01",
            "not_before: 2026-11-28, until: 2026-11-28",
        ] {
            let found = try schedules(
                "schedules:\n  - {id: a, template: t.yaml, cron: '0 9 * * 1', \(window)}\n")
            #expect(found.count == 1, "\(window)")
        }
        let all = try schedules(
            "schedules:\n  - {id: a, template: t.yaml, cron: '@daily', timezone: Asia/Tokyo, not_before: 2026-12-01, until: 2026-12-01}\n"
        )
        #expect(all[0].notBefore?.rfc3339 == "2026-11-30T15:00:00.000Z")
        #expect(all[0].until?.rfc3339 == "2026-12-01T14:59:59.000Z")
    }

    @Test func variablesAreOfTheInstantAndItsClock() throws {
        let text =
            "schedules:\n  - {id: a, template: t.yaml, cron: '@daily', timezone: Asia/Tokyo, variables: {day: \"{{ date }}\", at: \"{{ now() }}\", same: \"{{ schedule.date }}\"}}\n"
        let job = ScheduleDrop.text(
            try schedules(text)[0], Timestamp(rfc3339: "2026-11-28T15:00:00Z") ?? .init(seconds: 0))
        #expect(job.contains(#""day":"2026-11-29""#) && job.contains(#""same":"2026-11-29""#), "\(job)")
        #expect(job.contains("2026-11-2") && !job.contains("{{"))
    }

    @Test func aVariableThatCannotBeMadeIsAJobThatFailsAndSaysSo() throws {
        let text =
            "schedules:\n  - {id: a, template: t.yaml, cron: '@daily', variables: {x: \"{{ trigger.nothing }}\"}}\n"
        let job = ScheduleDrop.text(try schedules(text)[0], Timestamp(seconds: 0))
        #expect(
            job.contains("E-TRIGGER-VARIABLE") && job.contains("assert") && !job.contains("\"template\""),
            "\(job)")
    }

    @Test(arguments: [
        ("secret: \"hunter2-topsecret\" x", "error"),
        ("secret: hunter2-topsecret, endpint: /x", "did you mean `endpoint`?"),
        ("secret: \"{{ hunter2-topsecret }}\", endpoint: /x", "taken as it is written"),
        ("secret: [hunter2-topsecret], endpoint: /x", "must be a text"),
        ("endpoint: /x, allowed_ips: [10.0.0.0/8]", "needs a `secret`"),
        ("endpoint: /x, secret: secrets://../x", "cannot name a secret"),
        ("endpoint: /Big, secret: hunter2-topsecret", "names no directory"),
        ("endpoint: /closed", "names no directory"),
        ("endpoint: /x, rate_limit: {limit: 3}", "needs `limit` and `per`"),
        ("endpoint: /x, match: [a]", "`match` must be a map"),
        ("endpoint: /x, deduplicate: {by: [a]}", "`by` must be a text"),
    ]) func aWebhookWithAMistakeShowsNoSecret(_ entry: String, _ wanted: String) {
        let said = problem {
            _ = try WebhookFile.read(
                Array("webhooks:\n  - {id: a, template: t.yaml, \(entry)}\n".utf8), queues: queues)
        }
        #expect(said.contains(wanted) && !said.contains("hunter2"), "\(said)")
    }

    @Test(arguments: [
        ("watch_path: /x, pattern: '*'", "did you mean `patterns`?"),
        ("watch_path: spool", "is in the spool"),
        ("watch_path: /, recursive: true", "holds the spool"), ("patterns: ['*']", "needs `watch_path`"),
        ("watch_path: /x, events: [create]", "did you mean `created`?"),
        ("watch_path: /x, events: []", "`events` is empty"),
        ("watch_path: /x, debounce: 1s, debounce_ms: 5", "leave one out"),
        ("watch_path: /x, once: content, checksum: false", "cannot do without a checksum"),
        ("watch_path: /x, batch: 5", "`batch` must be a map"),
    ]) func aWatcherWithAMistake(_ entry: String, _ wanted: String) {
        let said = problem {
            _ = try WatcherFile.read(
                Array("watchers:\n  - {id: a, template: t.yaml, \(entry)}\n".utf8), queues: queues,
                site: "/srv/site")
        }
        #expect(
            said.contains(wanted)
                && !said.contains("is no event: created, modified, deleted, moved\n  hint: \n"), "\(said)")
    }

    @Test func oneWordIsChangedAndNothingElse() throws {
        let cases: [(String, String?)] = [
            (
                "schedules:\n  - id: a   # note\n    cron: '@daily'\n",
                "schedules:\n  - id: a   # note\n    enabled: false\n    cron: '@daily'\n"
            ),
            (
                "schedules: [{id: a, cron: '@daily'}]\n",
                "schedules: [{id: a, enabled: false, cron: '@daily'}]\n"
            ),
            (
                "{\"schedules\": [{\"id\": \"a\"}]}\n",
                "{\"schedules\": [{\"id\": \"a\", \"enabled\": false}]}\n"
            ),
            ("schedules:\n- enabled: true # on\n  id: a\n", "schedules:\n- enabled: false # on\n  id: a\n"),
            (
                "schedules:\n  - cron: '@daily'\n    id: a",
                "schedules:\n  - cron: '@daily'\n    id: a\n    enabled: false"
            ),
            ("schedules:\n  - {id: b}\n", nil),
        ]
        for (text, wanted) in cases {
            let out = EnabledEdit.apply(Array(text.utf8), list: "schedules", id: "a", to: false)
            #expect(out.map { String(decoding: $0, as: UTF8.self) } == wanted, "\(text)")
        }
    }
}
