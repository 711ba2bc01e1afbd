// What this is: whether an accepted run may begin, on the terms of its job: time, idempotency, rate, concurrency key.
// Owns: the order of these questions, and who waits for which key in which order.
// Never: lets two runs with one concurrency key work at one time; holds a slot for one that waits.
// On failure: SystemError to the worker: the run waits a little and is asked again.
import JobModel
import LinuxSystem
import RunJournal
import SpoolQueue

final class StartGate: Sendable {
    enum Decision {
        case go
        case wait(Wait)
        case end(FinalState, Failure, outputs: ValueMap)
    }
    private struct Line {
        var waiting: [RunID] = []
        /// Another runner has the key: look again.
        var isElsewhere = false
    }
    private let keys: KeyLocks
    private let once: OnceKeys
    private let rates: RateBook
    private let journal: Journal
    private let lines = Monitor<[String: Line]>([:])
    /// Tells the main loop that a run has got its key.
    private let callUp: @Sendable (RunID) -> Void
    /// Asks for the end of a run, ours or another runner's.
    private let cancel: @Sendable (RunID) -> Void

    init(
        _ spool: Spool, _ journal: Journal, callUp: @escaping @Sendable (RunID) -> Void,
        cancel: @escaping @Sendable (RunID) -> Void
    ) throws(SystemError) {
        keys = try KeyLocks(spool.slots)
        once = try OnceKeys(spool.state)
        rates = try RateBook(spool.state)
        self.journal = journal
        self.callUp = callUp
        self.cancel = cancel
    }

    private static func digest(_ key: String) -> String { Digest.sha256(Array(key.utf8)) }

    // MARK: before a run begins or goes on

    func decide(_ record: RunRecord) throws(SystemError) -> Decision {
        let terms = record.acceptance.terms
        guard terms.bindStart else { return .go }
        let now = Timestamp(nanoseconds: Clocks.wall)
        if record.startedAt == nil, let early = try beforeFirstStep(record, terms, now) { return early }
        guard let key = terms.concurrencyKey else { return .go }
        let decision = try take(key, record, terms, now)
        if case .wait = decision, let rate = terms.rate, record.startedAt == nil {
            // It begins when it has its key, and takes its turn then.
            try rates.giveBack(StartGate.digest(rate.key), record.id)
        }
        return decision
    }

    private func beforeFirstStep(_ record: RunRecord, _ terms: Terms, _ now: Timestamp) throws(SystemError)
        -> Decision?
    {
        if let end = terms.expiresAt, end <= now {
            return .end(
                .timedOut,
                Failure(
                    "E-EXPIRED", "the job had to begin before \(end.rfc3339)",
                    whatToDo: "Drop it again with a later `expires_at`, if it is still wanted.",
                    kind: .timedOut,
                    retry: .never), outputs: [:])
        }
        if let key = terms.idempotencyKey {
            let first = try once.claim(
                StartGate.digest(key), for: record.id, at: record.acceptance.acceptedAt, within: terms.within)
            if let first {
                return .end(
                    .skipped,
                    Failure(
                        "E-DUPLICATE",
                        "run \(first.run) was accepted first with the idempotency_key `\(key)`",
                        whatToDo: "bobbin show \(first.run)", kind: .cancelled, retry: .never),
                    outputs: ["duplicate_of": .string(first.run.text)])
            }
        }
        if let begin = terms.notBefore, begin > now {
            return .wait(Wait(.scheduled, until: begin, since: now, nextAttempt: record.attempt))
        }
        if let rate = terms.rate {
            let digest = StartGate.digest(rate.key)
            if wasReleased(record) {
                try rates.begin(digest, record.id, now: now)
            } else if let due = try rates.ask(
                digest, record.id, RateLimit(limit: rate.limit, per: rate.per), now: now)
            {
                let until = min(due, terms.expiresAt ?? due)
                return .wait(Wait(.rate, until: until, since: now, nextAttempt: record.attempt))
            }
        }
        return nil
    }

    /// A person let it go before its turn; who holds a run and releases it has only given it back to its turn.
    private func wasReleased(_ record: RunRecord) -> Bool {
        guard let last = record.waits.last, last.wait.reason == .rate, let ended = last.endedAt,
            let until = last.wait.until
        else { return false }
        return ended < until
    }

    private func take(_ key: String, _ record: RunRecord, _ terms: Terms, _ now: Timestamp)
        throws(SystemError)
        -> Decision
    {
        let digest = StartGate.digest(key)
        // Who has worked under the key, and may have lost it with its runner, does not queue again.
        let isFirst = record.startedAt != nil || first(in: digest).map { $0 == record.id } ?? true
        if isFirst || keys.holder(digest) == record.id, try keys.take(digest, for: record.id) {
            lines.with { $0[digest]?.waiting.removeAll { $0 == record.id } }
            return .go
        }
        let holder = keys.holder(digest) ?? keys.named(digest)
        if let holder, isWaitedFor(holder, by: record) {
            return .end(
                .failed,
                Failure(
                    "E-DEADLOCK", "run \(holder) has the concurrency_key `\(key)` and waits for this run",
                    whatToDo: "Give the submitted job another key.", retry: .never), outputs: [:])
        }
        switch terms.whenBusy {
        case .skip where record.startedAt == nil:
            return .end(
                .skipped,
                Failure(
                    "E-KEY-BUSY",
                    "\(holder.map { "run \($0)" } ?? "another run") has the concurrency_key `\(key)`",
                    whatToDo: "Nothing: the job says `when_busy: skip`.", kind: .cancelled, retry: .never),
                outputs: holder.map { ["skipped_for": .string($0.text)] } ?? [:])
        case .replace where record.startedAt == nil:
            // Out of the line at once: the key must not come to one of them before its end does.
            let older = lines.with { lines -> [RunID] in
                let older = lines[digest]?.waiting.filter { $0 < record.id } ?? []
                lines[digest]?.waiting.removeAll { older.contains($0) }
                return older
            }
            for run in older + [holder].compactMap({ $0 }) where run != record.id { cancel(run) }
        default: break
        }
        // Before the wait is told: a `replace` that comes meanwhile must find it in the line.
        join(digest, record.id)
        return .wait(
            Wait(
                .key, until: record.startedAt == nil ? terms.expiresAt : nil, since: now,
                nextAttempt: record.attempt))
    }

    /// Whether a run waits for this one, which it has submitted, or for one that waits for this one.
    private func isWaitedFor(_ holder: RunID, by record: RunRecord) -> Bool {
        var parent = record.acceptance.terms.parent
        while let known = parent, known.waits, let above = RunID(known.run) {
            if above == holder { return true }
            parent = journal.record(above)?.acceptance.terms.parent
        }
        return false
    }

    // MARK: waiting for a key

    /// The run is parked: from now on the key comes to it. It may have become free meanwhile.
    func enqueue(_ record: RunRecord) {
        guard let key = record.acceptance.terms.concurrencyKey else { return }
        let digest = StartGate.digest(key)
        // It came while the run was on its way aside, or could not be used then.
        if keys.holder(digest) == record.id { return callUp(record.id) }
        join(digest, record.id)
        callNext(digest)
    }

    private func join(_ digest: String, _ run: RunID) {
        lines.with { lines in
            if lines[digest]?.waiting.contains(run) != true {
                lines[digest, default: Line()].waiting.append(run)
                lines[digest]?.waiting.sort()
            }
        }
    }

    /// The run has ended: what it held goes to the next, and a turn that it never used is free.
    func ended(_ record: RunRecord) {
        release(record)
        guard let rate = record.acceptance.terms.rate, record.startedAt == nil else { return }
        // A turn that cannot be given back is one that the others wait through.
        try? rates.release(StartGate.digest(rate.key), record.id)
    }

    /// The run has ended, or will never wait again: what it held goes to the next.
    func release(_ record: RunRecord) {
        guard let key = record.acceptance.terms.concurrencyKey else { return }
        let digest = StartGate.digest(key)
        lines.with { lines in
            lines[digest]?.waiting.removeAll { $0 == record.id }
            if lines[digest]?.waiting.isEmpty == true { lines[digest] = nil }
        }
        guard keys.holder(digest) == record.id else { return }
        // The lock goes with its file's descriptor in any case; a file that cannot be removed is taken again by the next.
        try? keys.release(digest)
        callNext(digest)
    }

    /// Keys that another runner has may be free by now.
    func lookAgain() {
        let elsewhere = lines.with { lines in lines.filter(\.value.isElsewhere).map(\.key) }
        for digest in elsewhere { callNext(digest) }
    }
    /// Whether that is worth a look now and then.
    var hasLinesElsewhere: Bool { lines.with { $0.values.contains(where: \.isElsewhere) } }

    private func callNext(_ digest: String) {
        // Somebody of ours has it, and calls the next when it ends.
        guard keys.holder(digest) == nil else { return }
        guard let next = first(in: digest) else { return }
        // Where no file can be made now, it counts as elsewhere: the next look tries again.
        let isOurs = (try? keys.take(digest, for: next)) ?? false
        lines.with { lines in
            lines[digest]?.isElsewhere = !isOurs
            if isOurs { lines[digest]?.waiting.removeAll { $0 == next } }
        }
        if isOurs { callUp(next) }
    }

    /// Who really waits for the key: one that is held, or on its way to its end, is passed over.
    private func first(in digest: String) -> RunID? {
        lines.with { $0[digest]?.waiting ?? [] }.first { run in
            guard case .waiting(let wait) = journal.record(run)?.state else { return false }
            return wait.reason == .key
        }
    }

    // MARK: starting and ending

    /// Runs of an earlier life: those that had begun have their keys again before anything else begins.
    func restore(_ records: [RunRecord]) {
        let bound = records.filter { $0.finalState == nil && $0.acceptance.terms.concurrencyKey != nil }
        for record in bound.sorted(by: { $0.id < $1.id }) where record.startedAt != nil {
            guard let key = record.acceptance.terms.concurrencyKey else { continue }
            // Another runner's run may have it by now, or no file can be made: then this one asks again when it goes on.
            _ = try? keys.take(StartGate.digest(key), for: record.id)
        }
        for record in bound.sorted(by: { $0.id < $1.id }) {
            if case .waiting(let wait) = record.state, wait.reason == .key { enqueue(record) }
        }
    }

    /// Before the result of a run is shown: a key of one that did not succeed is free for another try, and from the end of
    /// one that did its `within` counts.
    func settle(_ record: RunRecord) throws(SystemError) {
        guard let key = record.acceptance.terms.idempotencyKey else { return }
        if record.finalState == .succeeded {
            try once.keep(
                StartGate.digest(key), of: record.id, at: record.acceptance.acceptedAt,
                ended: record.endedAt ?? record.acceptance.acceptedAt)
        } else {
            try once.forget(StartGate.digest(key), of: record.id)
        }
    }
}
