// What this is: the keys that say on what terms a job runs, read from the file and agreed when it is accepted.
// Owns: concurrency_key, idempotency_key, not_before, expires_at, rate_limit, tags, environment, parent; what counts as an instant.
// Never: reads a clock: the instant of acceptance comes in.
// On failure: findings; what turns out wrong when it is rendered is a Failure, and the drop is rejected.
import JobModel
import YamlText

struct TermReader {
    static let keys = [
        "concurrency_key", "idempotency_key", "not_before", "expires_at", "rate_limit", "tags", "environment",
        "parent",
    ]
    /// Those whose texts are rendered.
    static let rendered = ["concurrency_key", "idempotency_key", "not_before", "expires_at", "rate_limit"]
    let fields: FieldReader

    func read() -> TermSpec {
        var terms = TermSpec()
        (terms.concurrencyKey, terms.whenBusy) = concurrency()
        (terms.idempotencyKey, terms.within) = idempotency()
        terms.notBefore = instant("not_before")
        terms.expiresAt = instant("expires_at")
        terms.rate = rate()
        terms.tags = tags()
        terms.environment = fields.text("environment")
        if let name = terms.environment, let node = fields.field("environment"), !TermReader.isLabel(name) {
            fields.findings.error(
                "E-TYPE", "`\(name)` cannot name an environment", hint: "letters, digits, . _ and -",
                at: node.start)
        }
        terms.parent = parent()
        return terms
    }

    private func keyText(_ key: String, inside inner: FieldReader) -> String? {
        guard let text = inner.text(key), let node = inner.field(key) else { return nil }
        guard text.contains(where: { !$0.isWhitespace }) else {
            inner.findings.error("E-KEY-TEXT", "`\(key)` is empty", at: node.start)
            return nil
        }
        return text
    }

    private func concurrency() -> (String?, BusyKey) {
        let name = "concurrency_key"
        guard let node = fields.field(name) else { return (nil, .queue) }
        guard node.pairs != nil else { return (keyText(name, inside: fields), .queue) }
        guard let inner = FieldReader(node, "`\(name)`", fields.findings) else { return (nil, .queue) }
        inner.refuseUnknown(["key", "when_busy"])
        if inner.field("key") == nil {
            inner.findings.error("E-KEY-TEXT", "`\(name)` needs `key`", at: node.start)
        }
        var busy = BusyKey.queue
        if let word = inner.text("when_busy"), let place = inner.field("when_busy") {
            if let known = BusyKey(rawValue: word) {
                busy = known
            } else {
                inner.findings.error(
                    "E-TYPE",
                    "`when_busy` must be \(BusyKey.allCases.map(\.rawValue).joined(separator: ", "))",
                    at: place.start)
            }
        }
        return (keyText("key", inside: inner), busy)
    }

    private func idempotency() -> (String?, Span?) {
        let name = "idempotency_key"
        guard let node = fields.field(name) else { return (nil, nil) }
        guard node.pairs != nil else { return (keyText(name, inside: fields), nil) }
        guard let inner = FieldReader(node, "`\(name)`", fields.findings) else { return (nil, nil) }
        inner.refuseUnknown(["key", "within"])
        if inner.field("key") == nil {
            inner.findings.error("E-KEY-TEXT", "`\(name)` needs `key`", at: node.start)
        }
        return (keyText("key", inside: inner), inner.span("within"))
    }

    private func instant(_ key: String) -> String? {
        guard let text = fields.text(key), let node = fields.field(key) else { return nil }
        // A text with expressions is judged when the job is accepted.
        if !TemplateParts.mayHold(text), Instant(text) == nil {
            fields.findings.error("E-TYPE", "`\(key)` must be an instant", hint: Instant.hint, at: node.start)
        }
        return text
    }

    private func rate() -> TermSpec.Rate? {
        guard let node = fields.field("rate_limit"),
            let inner = FieldReader(node, "`rate_limit`", fields.findings)
        else { return nil }
        inner.refuseUnknown(["limit", "per", "key"])
        for key in ["limit", "per"] where inner.field(key) == nil {
            inner.findings.error(
                "E-TYPE", "`rate_limit` needs `\(key)`", hint: "write rate_limit: {limit: 10, per: 1m}",
                at: node.start)
        }
        guard let limit = inner.integer("limit", in: 1...10_000), let per = inner.span("per") else {
            return nil
        }
        return TermSpec.Rate(
            key: inner.field("key") == nil ? nil : keyText("key", inside: inner), limit: limit, per: per)
    }

    private func tags() -> [String] {
        guard let node = fields.field("tags") else { return [] }
        guard case .list(let items)? = Parameter.Kind.texts.accept(Value(node)) else {
            fields.wrong("tags", "list of texts", node)
            return []
        }
        var tags: [String] = []
        for (index, item) in items.enumerated() {
            guard TermReader.isLabel(item.text) else {
                fields.findings.error(
                    "E-TYPE", "`\(item.text.prefix(80))` cannot be a tag",
                    hint: "letters, digits, . _ : / and -",
                    at: node.items?[index].start ?? node.start)
                continue
            }
            if !tags.contains(item.text) { tags.append(item.text) }
        }
        if tags.count > 32 { fields.findings.error("E-TYPE", "more than 32 tags", at: node.start) }
        return tags
    }
    private static func isLabel(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count)
            && text.unicodeScalars.allSatisfy {
                $0.properties.isAlphabetic || ("0"..."9").contains($0) || "._:/-".unicodeScalars.contains($0)
            }
    }

    private func parent() -> Parent? {
        guard let node = fields.field("parent"),
            let inner = FieldReader(node, "`parent` (which the step `submit` writes)", fields.findings)
        else { return nil }
        inner.refuseUnknown(["run", "step", "depth", "waits"])
        guard let run = inner.text("run"), RunID(run) != nil, let step = inner.text("step"),
            let depth = inner.integer("depth", in: 1...Limits.submitDepth)
        else {
            inner.findings.error(
                "E-TYPE", "`parent` must be as the step `submit` writes it", hint: "leave it out",
                at: node.start)
            return nil
        }
        return Parent(run: run, step: step, depth: depth, waits: inner.flag("waits") ?? false)
    }
}

/// When something is to happen, as people write it.
public enum Instant: Hashable, Sendable {
    case at(Timestamp)
    /// Seconds since 1970 as if the site's clock showed UTC.
    case local(Int64)
    case after(Span)
    /// The next time that the site's clock shows it; seconds since midnight.
    case next(Int64)

    public static let hint =
        "write 2026-11-21T09:00:00Z, in the site's zone 2026-11-21 09:00, the next 09:00, or +2h"

    public init?(_ text: String) {
        let text = text.trimmed
        if text.hasPrefix("+") {
            guard let span = Span(String(text.dropFirst())) else { return nil }
            self = .after(span)
        } else if let instant = Timestamp(rfc3339: text) {
            self = .at(instant)
        } else {
            var date = text.split(separator: " ").joined(separator: "T")
            switch date.utf8.count {
            case 5, 8:
                let clock = date.utf8.count == 5 ? date + ":00" : date
                guard let known = Timestamp(rfc3339: "1970-01-01T\(clock)Z") else { return nil }
                self = .next(known.seconds)
                return
            case 10: date += "T00:00:00"
            case 16: date += ":00"
            default: break
            }
            guard date.utf8.count == 19, let known = Timestamp(rfc3339: date + "Z") else { return nil }
            self = .local(known.seconds)
        }
    }

    /// Of a local time that the clocks skip, the instant at which they skip it; of one they show twice, the first.
    public func resolved(from now: Timestamp, zoneOffset: (Int64) -> Int) -> Timestamp {
        switch self {
        case .at(let instant): return instant
        case .after(let span): return now.adding(span)
        case .next(let second):
            let today = Timestamp.floorDivide(now.seconds + Int64(zoneOffset(now.seconds)), 86_400).quotient
            let first = Instant.local(today * 86_400 + second).resolved(from: now, zoneOffset: zoneOffset)
            if first > now { return first }
            return Instant.local((today + 1) * 86_400 + second).resolved(from: now, zoneOffset: zoneOffset)
        case .local(let seconds):
            let before = seconds - Int64(zoneOffset(seconds - 86_400)),
                after = seconds - Int64(zoneOffset(seconds + 86_400))
            for candidate in [min(before, after), max(before, after)]
            where candidate + Int64(zoneOffset(candidate)) == seconds {
                return Timestamp(seconds: candidate)
            }
            return Timestamp(seconds: max(before, after))
        }
    }
}

extension TermSpec {
    /// What they come to for a job that is accepted now.
    public func agreed(_ scope: Scope, job: String) throws(Failure) -> Terms {
        var terms = Terms()
        terms.tags = tags
        terms.environment = environment
        terms.parent = parent
        terms.whenBusy = whenBusy
        terms.within = within
        terms.concurrencyKey = try key(concurrencyKey, "concurrency_key", scope)
        terms.idempotencyKey = try key(idempotencyKey, "idempotency_key", scope)
        terms.notBefore = try instant(notBefore, "not_before", scope)
        terms.expiresAt = try instant(expiresAt, "expires_at", scope)
        if let rate {
            terms.rate = Terms.Rate(
                key: try key(rate.key, "rate_limit.key", scope) ?? job, limit: rate.limit, per: rate.per)
        }
        if let begin = terms.notBefore, let end = terms.expiresAt, end <= begin {
            throw Failure(
                "E-EXPIRED", "the job expires (\(end.rfc3339)) before it may begin (\(begin.rfc3339))",
                whatToDo: "correct `not_before` or `expires_at`", retry: .never)
        }
        return terms
    }

    private func text(_ text: String, _ name: String, _ scope: Scope) throws(Failure) -> String {
        guard TemplateParts.mayHold(text) else { return text }
        do throws(ExpressionError) { return try Template.parse(text).render(scope).text } catch {
            throw Failure(error.code, "`\(name)`: \(error.message)", whatToDo: error.hint, retry: .never)
        }
    }
    private func key(_ given: String?, _ name: String, _ scope: Scope) throws(Failure) -> String? {
        guard let given else { return nil }
        let key = try text(given, name, scope)
        guard key.contains(where: { !$0.isWhitespace }), key.utf8.count <= 1000 else {
            throw Failure(
                "E-KEY-TEXT",
                "`\(name)` came out \(key.utf8.count > 1000 ? "longer than 1000 bytes" : "empty")",
                whatToDo: "look at the values in it", retry: .never)
        }
        return key
    }
    private func instant(_ given: String?, _ name: String, _ scope: Scope) throws(Failure) -> Timestamp? {
        guard let given else { return nil }
        let rendered = try text(given, name, scope)
        guard let instant = Instant(rendered) else {
            throw Failure(
                "E-TYPE", "`\(name)` is no instant: \(rendered.prefix(80))", whatToDo: Instant.hint,
                retry: .never)
        }
        return instant.resolved(from: scope.now, zoneOffset: scope.zoneOffset)
    }
}
