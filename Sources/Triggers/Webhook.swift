// What this is: one entry of ops/webhooks.yaml as values, and its judgement of an event: whose it is, whether it counts, what it gives.
// Owns: filters, addresses, extracted variables, the ids of events, the rate; the one source that is known by name (Alertmanager).
// Never: reads YAML, a file or a clock; makes a drop.
// On failure: Failure with a code; an event that does not match is no failure.
import Crypto
import JobModel
import LinuxSystem

public struct Webhook: Hashable, Sendable {
    public enum Format: String, Sendable, CaseIterable { case plain, alertmanager }
    public enum Secret: Hashable, Sendable {
        case named(SecretName)
        /// It stands in the file in the clear.
        case literal(String)
    }
    public struct Deduplication: Hashable, Sendable {
        /// A dotted path, or `content`; nil: the envelope's id, or the alert's fingerprint.
        public var by: String?
        public var within: Span
        public init(by: String? = nil, within: Span) {
            self.by = by
            self.within = within
        }
    }

    public var id: String
    public var name: String
    /// The directory below spool/events/.
    public var source: String
    public var endpoint: String
    public var template: String
    public var queue: QueueName
    public var priority: Priority
    public var isEnabled = true
    public var format = Format.plain
    public var secret: Secret?
    public var signatureHeader = "X-Signature-256"
    public var signaturePrefix = "sha256="
    public var allowedIPs: [AddressRange] = []
    public var extract: [String] = []
    public var variables: ValueMap = [:]
    /// A dotted path and what it may be: values, or texts with `*`.
    public var match: [String: [String]] = [:]
    public var deduplication = Deduplication(within: .seconds(86_400))
    public var rate: (limit: Int, per: Span)? {
        get { rateLimit.map { ($0, ratePer) } }
        set {
            rateLimit = newValue?.limit
            ratePer = newValue?.per ?? .zero
        }
    }
    private var rateLimit: Int?
    private var ratePer = Span.zero

    public init(
        id: String, name: String, source: String, endpoint: String, template: String, queue: QueueName,
        priority: Priority
    ) {
        self.id = id
        self.name = name
        self.source = source
        self.endpoint = endpoint
        self.template = template
        self.queue = queue
        self.priority = priority
    }

    /// What starts one job.
    public struct Call: Sendable {
        /// Of `extract_variables`: data from outside.
        public var extracted: ValueMap
        /// What `{{ trigger… }}` has beside what every event has.
        public var facts: ValueMap
        /// What makes it the same as another one; nil: it is like no other.
        public var key: String?
    }

    // MARK: judging

    /// Whether the address may send: only where a signature covers it.
    public func judgeAddress(_ event: EventPayload, _ proof: EventPayload.Proof) throws(Failure) {
        guard !allowedIPs.isEmpty else { return }
        guard proof == .ofAll, let address = event.sourceIP else {
            throw Failure(
                "E-EVENT-ADDRESS",
                event.sourceIP == nil
                    ? "the webhook `\(id)` takes only some addresses, and the event has no `source_ip`"
                    : "the event's `source_ip` is covered by no signature, so it says nothing",
                whatToDo: "Write an envelope and sign all of it (docs/TRIGGERS.md, section 3).", retry: .never
            )
        }
        guard allowedIPs.contains(where: { $0.contains(address) }) else {
            throw Failure(
                "E-EVENT-ADDRESS", "\(address) is not one of the addresses of the webhook `\(id)`",
                whatToDo: "See `allowed_ips` in ops/webhooks.yaml.", retry: .never)
        }
    }

    /// The jobs that an event starts; none where it does not match.
    public func calls(_ event: EventPayload, _ proof: EventPayload.Proof = .none) throws(Failure) -> [Call] {
        switch format {
        case .plain: return [call(event.payload, event, proof)].compactMap { $0 }
        case .alertmanager:
            guard case .list(let alerts)? = EventPayload.value("alerts", in: event.payload),
                EventPayload.value("version", in: event.payload)?.text == "4"
            else {
                throw Failure(
                    "E-EVENT-PAYLOAD", "this is no payload of Alertmanager, version 4",
                    whatToDo: "It has `version: \"4\"` and a list of `alerts`.", retry: .never)
            }
            guard alerts.count <= Webhook.mostAlerts else {
                throw Failure(
                    "E-EVENT-PAYLOAD",
                    "one payload with \(alerts.count) alerts; \(Webhook.mostAlerts) are the most",
                    whatToDo: "Group them more finely in Alertmanager (group_by, max_alerts).", retry: .never)
            }
            var calls: [Call] = []
            for alert in alerts {
                guard case .map(let map) = alert else {
                    throw Failure("E-EVENT-PAYLOAD", "an alert in this payload is no map", retry: .never)
                }
                if let call = call(.map(Webhook.alert(map)), event, proof) { calls.append(call) }
            }
            return calls
        }
    }

    private func call(_ value: Value, _ event: EventPayload, _ proof: EventPayload.Proof) -> Call? {
        for (path, allowed) in match {
            guard let found = EventPayload.value(path, in: value)?.text,
                allowed.contains(where: { $0 == found || NamePattern.fits($0, whole: found) })
            else { return nil }
        }
        var extracted = ValueMap()
        for path in extract {
            if let found = EventPayload.value(path, in: value) { extracted[Webhook.variable(path)] = found }
        }
        var facts: ValueMap = [:]
        if format == .alertmanager, case .map(let map) = value { facts = map }
        return Call(extracted: extracted, facts: facts, key: key(value, event, proof))
    }
    /// `head_commit.id` is `head_commit_id`.
    public static func variable(_ path: String) -> String { path.replacing(".", with: "_") }

    private func key(_ value: Value, _ event: EventPayload, _ proof: EventPayload.Proof) -> String? {
        switch deduplication.by {
        case "content"?: return contentKey(value, event)
        case let path?: return EventPayload.value(path, in: value).map(\.text)
        case nil where format == .alertmanager:
            // The same alert in the same state, however often it is sent.
            return ["fingerprint", "status", "starts_at"].map {
                EventPayload.value($0, in: value)?.text ?? ""
            }
            .joined(separator: " ")
        // Where no signature covers the id, whoever has seen a signed body could send it again under another one.
        case nil where secret != nil && proof != .ofAll: return contentKey(value, event)
        case nil:
            return event.id ?? event.headers["x-github-delivery"]
                ?? (secret != nil ? contentKey(value, event) : nil)
        }
    }
    /// Of a payload of many alerts each is a content of its own.
    private func contentKey(_ value: Value, _ event: EventPayload) -> String {
        let bytes = format == .plain ? event.body : JSONText.bytes(value)
        return SHA256.hash(data: bytes).hexadecimal
    }
    public static let mostAlerts = 1000

    // MARK: Alertmanager

    /// One alert with the names that jobs use. The host is `labels.hostname`, else `labels.instance` without its port.
    private static func alert(_ alert: ValueMap) -> ValueMap {
        let labels = alert["labels"]?.mapValue ?? [:]
        var out: ValueMap = [
            "status": alert["status"] ?? "firing", "alertname": labels["alertname"] ?? .null,
            "severity": labels["severity"] ?? .null, "host": .string(host(labels)),
            "fingerprint": .string(fingerprint(alert, labels)), "labels": .map(labels),
            "annotations": alert["annotations"] ?? .map([:]), "starts_at": alert["startsAt"] ?? .null,
            "ends_at": alert["endsAt"] ?? .null, "generator_url": alert["generatorURL"] ?? .null,
        ]
        out["resolved"] = .bool(alert["status"]?.text == "resolved")
        return out
    }
    static func host(_ labels: ValueMap) -> String {
        if let name = labels["hostname"]?.text, !name.isEmpty { return name }
        let instance = labels["instance"]?.text ?? ""
        if instance.hasPrefix("["), let end = instance.firstIndex(of: "]") {
            return String(instance[instance.index(after: instance.startIndex)..<end])
        }
        // More than one colon without brackets: an IPv6 address without a port.
        guard let colon = instance.firstIndex(of: ":"), instance.lastIndex(of: ":") == colon else {
            return instance
        }
        let port = instance[instance.index(after: colon)...]
        return !port.isEmpty && port.utf8.allSatisfy { (0x30...0x39).contains($0) }
            ? String(instance[..<colon]) : instance
    }
    /// Older senders leave it out: then the labels say which alert it is.
    private static func fingerprint(_ alert: ValueMap, _ labels: ValueMap) -> String {
        if let known = alert["fingerprint"]?.stringValue, !known.isEmpty { return known }
        let text = labels.entries.map { "\($0.key)=\($0.value.text)" }.sorted().joined(separator: "\n")
        return SHA256.hash(data: Array(text.utf8)).prefix(8).hexadecimal
    }
}
