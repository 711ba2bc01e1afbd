// What this is: any bytes as what the triggers read: cron, zone rules, zone files, envelopes, the three files of ops/.
// Owns: what must hold of an answer: instants rise, a stretch holds its instant, a finding has its file.
// Never: looks at a disk.
// On failure: must() traps.
import BobbinDaemon
import JobModel
import LinuxSystem
import Triggers

enum TriggerTarget {
    /// The first byte says what the rest is.
    @Sendable static func run(_ bytes: [UInt8]) {
        guard let kind = bytes.first else { return }
        let rest = Array(bytes.dropFirst())
        switch kind % 6 {
        case 0: cron(String(decoding: rest, as: UTF8.self))
        case 1: if let zone = Zone(tzif: rest, name: "x") { look(zone) }
        case 2: if let zone = Zone(rule: String(decoding: rest, as: UTF8.self)) { look(zone) }
        case 3: event(rest)
        case 4: _ = AddressRange(String(decoding: rest, as: UTF8.self))?.contains("10.0.0.1")
        default: files(rest)
        }
    }

    private static func cron(_ text: String) {
        guard let expression = try? CronExpression(text) else { return }  // a refusal is an answer
        for zone in [Zone.utc, Zone(rule: "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0") ?? .utc] {
            let search = CronSearch(expression, in: zone)
            var at: Int64 = 1_700_000_000
            for _ in 0..<5 {
                guard let next = search.next(after: at) else { break }
                must(next.instant > at, "\(text) goes back from \(at) to \(next.instant)")
                at = next.instant
            }
        }
    }
    private static func look(_ zone: Zone) {
        for instant in [-5_000_000_000, 0, 1_700_000_000, 9_000_000_000] as [Int64] {
            let stretch = zone.stretch(at: instant)
            must(stretch.start <= instant && instant < stretch.end, "\(instant) is not in \(stretch)")
        }
    }
    private static func event(_ bytes: [UInt8]) {
        let event = try? EventPayload(bytes) { (bytes) throws(Failure) -> Value in
            do throws(JSONProblem) { return try JSONReader.read(bytes) } catch {
                throw Failure("E-EVENT-PAYLOAD", "\(error)")
            }
        }
        guard let event else { return }  // a refusal is an answer
        let key = SecretBytes(copying: Array("key".utf8))
        // Nobody guesses a signature.
        let proof = try? event.proof(key, sidecar: nil, header: "X-Signature-256", prefix: "sha256=")
        must(proof == nil || proof == EventPayload.Proof.none, "unsigned, and taken: \(event.payload)")
        var hook = Webhook(
            id: "w", name: "w", source: "s", endpoint: "/s", template: "t.yaml", queue: .standard,
            priority: .normal)
        hook.extract = ["a.b", "0", "a.0.b"]
        for format in Webhook.Format.allCases {
            hook.format = format
            _ = try? hook.calls(event)  // a refusal is an answer
        }
    }
    private static func files(_ bytes: [UInt8]) {
        let queues = [QueuePolicy(name: .standard, maxConcurrent: 1)]
        for read in [
            { _ = try ScheduleFile.read(bytes, queues: queues, spool: "S") },
            { _ = try WatcherFile.read(bytes, queues: queues, site: "/nowhere") },
            { _ = try WebhookFile.read(bytes, queues: queues) },
        ] as [() throws -> Void] {
            do { try read() } catch let problem as ConfigurationProblem {
                must(problem.text.contains("ops/"), "a finding without its file: \(problem.text)")
            } catch { must(false, "\(error)") }
        }
    }
}
