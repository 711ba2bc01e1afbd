// What this is: the keys that say on what terms a job runs, as they are read and agreed.
// Owns: a zone with a gap and a fold, made of numbers.
// Never: reads a clock.
// On failure: the text is in the message.
import JobModel
import Testing
import YamlText

@testable import JobLanguage

@Suite struct TermReadingTests {
    private static let reader = JobReader(
        catalogue: StepCatalogue([
            StepType(
                "log", "x.", parameters: [Parameter("message", .any, "x")], shorthand: "message",
                example: "log: x")
        ]), templates: { _ in nil })
    private func read(_ head: String) -> JobReader.Reading {
        let text = "dsl_version: \"1.1\"\nvariables: {n: 3, empty: \"\"}\n\(head)\nsteps: [{log: x}]\n"
        return TermReadingTests.reader.read(Array(text.utf8), name: "j.yaml", stem: "j")
    }
    private func scope(_ job: JobSpec, at seconds: Int64 = 1_763_719_200) -> Scope {
        Scope(
            variables: job.variables, run: ["queue": "default"], now: Timestamp(seconds: seconds),
            localDate: "2025-11-21", zoneOffset: { _ in 3600 })
    }

    @Test func whatIsAgreed() throws {
        let reading = read(
            """
            concurrency_key: "inv-{{ n }}"
            idempotency_key: {key: "{{ date }}-{{ run.queue }}", within: 2d}
            not_before: 2025-11-21 12:00
            expires_at: "+1d"
            rate_limit: {limit: 4, per: 1m}
            tags: [a, b/c, a]
            environment: staging
            """)
        let job = try #require(reading.job, "\(reading.findings)")
        let terms = try job.terms.agreed(scope(job), job: job.name)
        #expect(terms.concurrencyKey == "inv-3" && terms.whenBusy == .queue)
        #expect(terms.idempotencyKey == "2025-11-21-default" && terms.within == .seconds(172_800))
        #expect(terms.notBefore?.rfc3339 == "2025-11-21T11:00:00.000Z")
        #expect(terms.expiresAt == Timestamp(seconds: 1_763_719_200 + 86_400))
        #expect(terms.rate == Terms.Rate(key: "j", limit: 4, per: .seconds(60)))
        #expect(terms.tags == ["a", "b/c"] && terms.environment == "staging")
        // As the journal and the result keep them.
        #expect(Terms(terms.fields) == terms)
    }

    @Test(arguments: [
        ("concurrency_key: \"\"", "E-KEY-TEXT"), ("concurrency_key: {key: a, when_busy: wait}", "E-TYPE"),
        ("concurrency_key: {when_busy: skip}", "E-KEY-TEXT"), ("concurrency_key: [a]", "E-TYPE"),
        ("concurrency_key: \"{{ x }}\"", "E-UNDEFINED"),
        ("concurrency_key: \"{{ steps[0].a }}\"", "E-UNDEFINED"),
        ("idempotency_key: {key: a, whithin: 1h}", "E-KEY"),
        ("idempotency_key: {key: a, within: soon}", "E-TYPE"),
        ("not_before: tomorrow", "E-TYPE"), ("expires_at: 2025-02-30", "E-TYPE"),
        ("not_before: \"+soon\"", "E-TYPE"),
        ("rate_limit: 5", "E-TYPE"), ("rate_limit: {limit: 0, per: 1m}", "E-TYPE"),
        ("rate_limit: {limit: 3}", "E-TYPE"),
        ("tags: [\"a b\"]", "E-TYPE"), ("tags: {a: b}", "E-TYPE"), ("environment: \"a b\"", "E-TYPE"),
        ("parent: {run: x}", "E-TYPE"),
    ]) func whatTheCheckerRefuses(head: String, code: String) {
        #expect(
            read(head).errors.map(\.diagnostic.code).contains(code), "\(head)")
    }

    @Test func whatOnlyTheRunnerCanRefuse() throws {
        let cases = [
            ("concurrency_key: \"{{ empty }}\"", "E-KEY-TEXT"), ("not_before: \"{{ n }}\"", "E-TYPE"),
            ("not_before: \"+2h\"\nexpires_at: \"+1h\"", "E-EXPIRED"),
            ("concurrency_key: \"{{ run.nope }}\"", "E-UNDEFINED"),
        ]
        for (head, code) in cases {
            let job = try #require(read(head).job, "\(head)")
            #expect(throws: Failure.self, "\(head)") { try job.terms.agreed(scope(job), job: "j") }
            do { _ = try job.terms.agreed(scope(job), job: "j") } catch {
                #expect(error.code == code, "\(head): \(error)")
            }
        }
    }

    /// UTC+1 until 1,000,000, then UTC+2 until 2,000,000, then UTC+1.
    private func zone(_ seconds: Int64) -> Int { (1_000_000..<2_000_000).contains(seconds) ? 7200 : 3600 }

    @Test func localTimesThatAreSkippedOrShownTwice() {
        func resolved(_ local: Int64) -> Int64 {
            Instant.local(local).resolved(from: Timestamp(seconds: 0), zoneOffset: zone).seconds
        }
        #expect(resolved(500_000) == 500_000 - 3600)
        #expect(resolved(1_500_000) == 1_500_000 - 7200)
        // The clock goes from 1,003,600 to 1,007,200: what lies between happens when it goes.
        #expect(resolved(1_005_000) == 1_005_000 - 3600)
        // It shows 2,003,600 to 2,007,200 twice: the first counts.
        #expect(resolved(2_005_000) == 2_005_000 - 7200)
        #expect(
            Instant("2026-11-21") == .local(1_795_219_200) && Instant("x") == nil
                && Instant("+90m") == .after(.seconds(5400)))
        #expect(Instant("2026-11-21T10:00") == .local(1_795_255_200))
        // The next time that the clock shows it: later today, else tomorrow, whatever the clocks do meanwhile.
        func next(_ text: String, _ now: Int64) -> Int64? {
            Instant(text)?.resolved(from: Timestamp(seconds: now), zoneOffset: zone).seconds
        }
        #expect(next("09:00", 0) == 9 * 3600 - 3600 && next("00:30", 0) == 86_400 + 1800 - 3600)
        #expect(next("01:00:00", 0) == 86_400 && Instant("25:00") == nil && Instant("9:00") == nil)
        let summer: Int64 = 12 * 86_400 + 9 * 3600 - 7200
        #expect(next("09:00", 995_000) == summer)
    }

    @Test func outputsHaveTypes() throws {
        let reading = read("outputs: {a: {value: 7, type: string}, b: {value: x, kind: y}, c: 3}")
        let job = try #require(reading.job, "\(reading.findings)")
        #expect(job.outputs["a"] == .int(7) && job.outputKinds == ["a": .string])
        #expect(job.outputs["b"] == .map(["value": "x", "kind": "y"]))
        #expect(try job.outputs.judged(as: job.outputKinds)["a"] == .string("7"))
        #expect(throws: Failure.self) { try (["a": .string("x")] as ValueMap).judged(as: ["a": .integer]) }
        #expect(read("outputs: {a: {value: 1, type: text}}").errors.count == 1)
    }
}
