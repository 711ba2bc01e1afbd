// What this is: jobs in the words of the language's origin, which mean what they mean in ours.
// Owns: pairs of texts that must be the same job.
// Never: tells what the words do.
// On failure: both readings are in the message.
import JobLanguage
import JobModel
import Testing

@Suite struct OriginTests {
    private static let catalogue = StepCatalogue([
        StepType(
            "log", "x.", parameters: [Parameter("message", .any, "x")], shorthand: "message",
            example: "log: x"),
        StepType(
            "set", "x.", parameters: [Parameter("values", .map, "x")], shorthand: "values",
            example: "set: {a: 1}"),
        StepType(
            "make_request", "x.",
            parameters: [
                Parameter("url", .text, "x"), Parameter("body", .any, "x"), Parameter("timeout", .span, "x"),
            ],
            shorthand: "url", example: "make_request: x"),
    ])
    private func read(_ text: String) throws -> JobSpec {
        let reader = JobReader(catalogue: Self.catalogue, templates: { _ in nil })
        let reading = reader.read(Array("dsl_version: \"1.1\"\n\(text)".utf8), name: "j.yaml", stem: "j")
        var job = try #require(reading.job, "\(reading.findings)")
        for index in job.steps.indices { job.steps[index].line = 0 }
        return job
    }

    @Test(arguments: [
        (
            "execution: {queue: reports, priority: 2, concurrency_tag: \"web-{{ date }}\"}\nsteps: [{log: x}]\n",
            "queue: reports\npriority: 2\nconcurrency_key: \"web-{{ date }}\"\nsteps: [{log: x}]\n"
        ),
        (
            "execution: {retry: {attempts: 2, backoff_ms: 1500, backoff_multiplier: 2.0, only_idempotent: true}}\nsteps: [{log: x}]\n",
            "retry: {max_attempts: 2, base_delay: 1500ms, backoff_multiplier: 2.0, only_idempotent: true}\nsteps: [{log: x}]\n"
        ),
        ("execution: {retry: {max_attempts: 4}}\nsteps: [{log: x}]\n", "retry: 4\nsteps: [{log: x}]\n"),
        (
            "steps: [{log: a, id: a}, {log: {message: b, when: \"{{steps[0].message}} == 1\", idempotent: false}}]\n",
            "steps: [{log: a, id: a}, {log: b, when: \"{{steps[0].message}} == 1\", idempotent: false}]\n"
        ),
        (
            "steps: [{make_request: {url: \"http://x/\", data: {a: 1}, timeout_seconds: 5, store_result: answer}}]\n",
            "steps: [{make_request: {url: \"http://x/\", body: {a: 1}, timeout: 5s}, id: answer}]\n"
        ),
        // A value is a value, whatever its keys are called.
        ("steps: [{set: {when: 1, data: 2}}]\n", "steps: [{set: {values: {when: 1, data: 2}}}]\n"),
    ]) func theSameJob(origin: String, ours: String) throws {
        let (first, second) = (try read(origin), try read(ours))
        #expect(first == second, "\(first)\n\(second)")
    }
}
