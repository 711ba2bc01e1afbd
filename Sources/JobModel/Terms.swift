// What this is: on what terms a job runs: when, beside which others, how often; and the labels it carries.
// Owns: TermSpec (as written) and Terms (as agreed when the job was accepted), and their one form as a map.
// Never: renders a text or reads a clock; keeps anybody waiting (BobbinDaemon's StartGate does).
// On failure: a map that is none of ours gives what can be read of it.

public enum BusyKey: String, Sendable, CaseIterable {
    /// What to do while another run has the key: wait for it, end as skipped, or cancel the other.
    case queue, skip, replace
}

/// As the job file says it, with templates unrendered.
public struct TermSpec: Hashable, Sendable {
    public var concurrencyKey: String?
    public var whenBusy = BusyKey.queue
    public var idempotencyKey: String?
    public var within: Span?
    public var notBefore: String?
    public var expiresAt: String?
    public var rate: Rate?
    public var tags: [String] = []
    public var environment: String?
    public var parent: Parent?

    public struct Rate: Hashable, Sendable {
        /// Nil: the job's name.
        public var key: String?
        public var limit: Int
        public var per: Span
        public init(key: String?, limit: Int, per: Span) {
            self.key = key
            self.limit = limit
            self.per = per
        }
    }
    public init() {}

    /// As written, for people.
    public var shown: [(name: String, text: String)] {
        var rows: [(name: String, text: String)] = []
        if !tags.isEmpty { rows.append(("tags", tags.joined(separator: ", "))) }
        if let environment { rows.append(("environment", environment)) }
        if let concurrencyKey {
            rows.append(
                ("concurrency_key", "\(concurrencyKey); while another run has it: \(whenBusy.rawValue)"))
        }
        if let idempotencyKey {
            rows.append(("idempotency_key", idempotencyKey + (within.map { ", for \($0.text)" } ?? "")))
        }
        if let notBefore { rows.append(("not_before", notBefore)) }
        if let expiresAt { rows.append(("expires_at", expiresAt)) }
        if let rate {
            rows.append(
                ("rate_limit", "\(rate.limit) in \(rate.per.text), key \(rate.key ?? "the job's name")"))
        }
        return rows
    }

    /// Its keys that only a spool can honour.
    public var keysOfSpool: [String] {
        [
            ("concurrency_key", concurrencyKey != nil), ("idempotency_key", idempotencyKey != nil),
            ("not_before", notBefore != nil), ("expires_at", expiresAt != nil), ("rate_limit", rate != nil),
            ("environment", environment != nil),
        ].filter(\.1).map(\.0)
    }

    /// These, and where they say nothing, those of `base`.
    public func over(_ base: TermSpec) -> TermSpec {
        var terms = base
        if let concurrencyKey { (terms.concurrencyKey, terms.whenBusy) = (concurrencyKey, whenBusy) }
        if let idempotencyKey { (terms.idempotencyKey, terms.within) = (idempotencyKey, within) }
        terms.notBefore = notBefore ?? base.notBefore
        terms.expiresAt = expiresAt ?? base.expiresAt
        terms.rate = rate ?? base.rate
        terms.tags += tags.filter { !base.tags.contains($0) }
        terms.environment = environment ?? base.environment
        terms.parent = parent ?? base.parent
        return terms
    }
}

/// The step of another run that submitted this one.
public struct Parent: Hashable, Sendable {
    public var run: String
    public var step: String
    /// 1 for what a run submits that nobody submitted.
    public var depth: Int
    /// Whether that step waits for this run.
    public var waits: Bool
    public init(run: String, step: String, depth: Int, waits: Bool) {
        self.waits = waits
        self.run = run
        self.step = step
        self.depth = depth
    }
}

public struct Terms: Hashable, Sendable {
    public var concurrencyKey: String?
    public var whenBusy = BusyKey.queue
    public var idempotencyKey: String?
    /// How long the key of a run that succeeded counts; nil: as long as it is kept.
    public var within: Span?
    public var notBefore: Timestamp?
    public var expiresAt: Timestamp?
    public var rate: Rate?
    public var tags: [String] = []
    public var environment: String?
    public var parent: Parent?
    /// On a site for many: that its submitter himself dropped it is proven, so it may have all his rights.
    public var isMeant = false

    public struct Rate: Hashable, Sendable {
        public var key: String
        public var limit: Int
        public var per: Span
        public init(key: String, limit: Int, per: Span) {
            self.key = key
            self.limit = limit
            self.per = per
        }
    }
    public init() {}

    /// Whether the run may have to wait, or not to run at all, before its first step.
    public var bindStart: Bool {
        concurrencyKey != nil || idempotencyKey != nil || notBefore != nil || expiresAt != nil || rate != nil
    }

    /// In the result file and in the journal; empty where there is nothing to say.
    public var fields: ValueMap {
        var map = ValueMap()
        if !tags.isEmpty { map["tags"] = .list(tags.map(Value.string)) }
        map["environment"] = environment.map(Value.string)
        if isMeant { map["meant"] = .bool(true) }
        if let parent {
            map["parent"] = .map([
                "run": .string(parent.run), "step": .string(parent.step), "depth": .int(parent.depth),
                "waits": .bool(parent.waits),
            ])
        }
        map["concurrency_key"] = concurrencyKey.map(Value.string)
        if whenBusy != .queue { map["when_busy"] = .string(whenBusy.rawValue) }
        map["idempotency_key"] = idempotencyKey.map(Value.string)
        map["within"] = within.map { .string($0.text) }
        map["not_before"] = notBefore.map { .string($0.rfc3339) }
        map["expires_at"] = expiresAt.map { .string($0.rfc3339) }
        if let rate {
            map["rate_limit"] = .map([
                "key": .string(rate.key), "limit": .int(rate.limit), "per": .string(rate.per.text),
            ])
        }
        return map
    }

    public init(_ map: ValueMap) {
        guard !map.isEmpty else { return }
        tags = (map["tags"]?.listValue ?? []).compactMap(\.stringValue)
        environment = map["environment"]?.stringValue
        isMeant = map["meant"]?.boolValue ?? false
        if let parent = map["parent"]?.mapValue, let run = parent["run"]?.stringValue {
            self.parent = Parent(
                run: run, step: parent["step"]?.text ?? "", depth: parent["depth"]?.intValue ?? 1,
                waits: parent["waits"]?.boolValue ?? false)
        }
        concurrencyKey = map["concurrency_key"]?.stringValue
        whenBusy = map["when_busy"]?.stringValue.flatMap(BusyKey.init) ?? .queue
        idempotencyKey = map["idempotency_key"]?.stringValue
        within = map["within"].flatMap { Span($0) }
        notBefore = map["not_before"]?.stringValue.flatMap(Timestamp.init(rfc3339:))
        expiresAt = map["expires_at"]?.stringValue.flatMap(Timestamp.init(rfc3339:))
        if let rate = map["rate_limit"]?.mapValue, let limit = rate["limit"]?.intValue,
            let per = rate["per"].flatMap({ Span($0) }), limit > 0
        {
            self.rate = Rate(key: rate["key"]?.text ?? "", limit: limit, per: per)
        }
    }
}
