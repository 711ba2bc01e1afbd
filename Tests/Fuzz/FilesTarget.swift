// What this is: any bytes as a result file and as the configuration.
// Owns: what holds: a result that was read is written and read as the same; settings are within their ranges.
// Never: opens a site.
// On failure: must() traps.
import BobbinDaemon
import JobModel

enum FilesTarget {
    @Sendable static func run(_ bytes: [UInt8]) {
        if let record = ResultFile.read(bytes) { checkResult(record) }
        do throws(ConfigurationProblem) {
            checkConfiguration(try Configuration.read(bytes, name: "ops/orchestrator.yaml"))
        } catch {
            must(!error.text.isEmpty, "refused without a word")
            must(!error.text.utf8.contains { $0 < 0x20 && $0 != 0x0A || $0 == 0x7F }, error.text)
        }
    }

    private static func checkResult(_ record: RunRecord) {
        // The first writing cuts times to milliseconds; after it nothing changes any more.
        guard let first = ResultFile.read(ResultFile.render(record)) else {
            return must(!isSane(record), "what was written is no result: \(record)")
        }
        let text = ResultFile.render(first)
        guard let second = ResultFile.read(text) else { return must(false, "\(first) is not read back") }
        must(ResultFile.render(second) == text, String(decoding: text, as: UTF8.self))
    }
    /// Times that an offset led out of the readable years are lost.
    private static func isSane(_ record: RunRecord) -> Bool {
        Timestamp(rfc3339: record.acceptance.acceptedAt.rfc3339) != nil
    }

    private static func checkConfiguration(_ configuration: Configuration) {
        must(configuration.policy(.standard) != nil, "no default queue")
        must(Set(configuration.queues.map(\.name)).count == configuration.queues.count, "a queue twice")
        must(configuration.killGrace >= .zero && configuration.shutdownGrace >= .zero, "a time below zero")
        for queue in configuration.queues {
            must(
                (1...1000).contains(queue.maxConcurrent) && (1...9).contains(queue.priorityLevels), "\(queue)"
            )
            for attempt in 1...queue.retry.maxAttempts {
                must(queue.retry.delay(afterAttempt: attempt, random: 0.9999) >= .zero, "a delay below zero")
            }
        }
    }
}
