// What this is: the events at work: payload files of spool/events/<source>/, judged by ops/webhooks.yaml, and the drops they become.
// Owns: when a payload is whole, its signature file, what was taken before a crash, where a payload goes afterwards.
// Never: deletes a payload: it is in events/closed/, or in rejected/ with a reason. Takes one of a source that no entry names.
// On failure: a payload that is no good is sent back and stops no other; a file with errors changes nothing.
import AccessControl
import Crypto
import JobModel
import LinuxSystem
import SecretStore
import SpoolQueue
import Triggers
import YamlText

final class EventDesk {
    private struct Waiting {
        var evidence: Evidence
        var lookAt: Int64
        /// Until when it may become whole, or be signed.
        var patience: Int64
    }
    private struct Source {
        var directory: Directory
        var inode: UInt64
        var tag: Int
        var waiting: [String: Waiting] = [:]
    }
    /// One payload that is decided.
    private struct Taken {
        var source: String
        var name: String
        var identity: InodeIdentity
        var evidence: Evidence
        /// As they were judged.
        var bytes: [UInt8]?
        var sidecar: [UInt8]?
        var closed: String
        var fires: [Fire] = []
        var facts: [String: ValueMap?] = [:]
        var told: [(ValueMap, String)] = []
        /// Jobs by webhook.
        var counts: [String: Int] = [:]

        mutating func add(_ other: Taken) {
            fires += other.fires
            facts.merge(other.facts) { $1 }
            told += other.told
            counts.merge(other.counts) { $0 + $1 }
        }
    }
    private enum Outcome {
        case taken(Taken)
        case later(Int64)
        case refused(Failure)
    }

    private let core: RunnerCore
    private let drops: TriggerDrops
    private let history: HistoryFile
    private let watch: DirectoryWatch
    private var sources: [String: Source] = [:]
    private var webhooks: [Webhook] = []
    private var bytes: [UInt8]?
    private var queues: [QueuePolicy] = []
    private var isRead = false
    /// A file without errors was read in this life.
    private var hasRead = false
    private var nextTag = 1
    private var nextSweep: Int64 = 0
    private var restUntil: Int64 = 0
    /// When each webhook has fired, for its rate.
    private var fired: [String: [Int64]] = [:]
    private var counts: [String: Int] = [:]

    private static let sweepEvery = Span.seconds(30).nanoseconds
    private static let patience = Span.seconds(60).nanoseconds
    private static let signaturePatience = Span.seconds(10).nanoseconds
    private static let again = Span.seconds(1).nanoseconds
    private static let lookAgainAtTrouble = Span.seconds(5).nanoseconds
    private static let most = 200
    private static let sidecarEnding = ".sig", largestSidecar = 4096
    /// A payload of this size goes into the job itself; a larger one is read from its file.
    private static let largestInside = 128 << 10

    init(_ core: RunnerCore, _ drops: TriggerDrops) throws {
        self.core = core
        self.drops = drops
        history = HistoryFile(core.site.spool, core.log)
        watch = try DirectoryWatch()
        for (key, fact) in drops.log.facts where key.hasPrefix(WebhookFile.key("")) {
            counts[String(key.dropFirst(WebhookFile.key("").utf8.count))] = fact["fires"]?.intValue
        }
    }

    // MARK: the file

    func reread() {
        do {
            let bytes = try WebhookFile.bytes(core.site)
            let queues = core.configuration.queues
            guard !isRead || bytes != self.bytes || queues != self.queues else { return }
            (self.bytes, self.queues, isRead) = (bytes, queues, true)
            webhooks = try WebhookFile.read(bytes, queues: queues).webhooks
            hasRead = true
            let active = webhooks.filter(\.isEnabled)
            core.log.info(
                "event", "\(WebhookFile.path): \(active.count) webhook\(active.count == 1 ? "" : "s")")
            for webhook in active {
                if let why = WebhookFile.trouble(webhook, core.site) {
                    core.log.warn("event", "\(webhook.id): its job would be sent back: \(why)")
                }
                if case .literal? = webhook.secret {
                    core.log.warn(
                        "event",
                        "\(webhook.id): its secret stands in \(WebhookFile.path) in the clear; keep it with `bobbin secrets set \(webhook.id)/key` and write secret: secrets://\(webhook.id)/key"
                    )
                }
            }
            for name in sources.keys where !active.contains(where: { $0.source == name }) { leave(name) }
            nextSweep = 0
        } catch let problem as ConfigurationProblem {
            core.log.error(
                "event",
                "the new \(WebhookFile.path) is not used, \(hasRead ? "the webhooks of before hold" : "no event is taken until it is corrected"): \(problem.text)"
            )
        } catch {
            isRead = false
            core.triggerTrouble(WebhookFile.path, error)
        }
    }

    // MARK: directories

    private func leave(_ name: String) {
        if let source = sources[name] { watch.remove(tag: source.tag) }
        sources[name] = nil
    }
    private func open(_ name: String) throws {
        let root = try core.site.spool.root.makeDirectory(SpoolName.events)
        let directory = try root.makeDirectory(name)
        let inode = try directory.status().inode
        if let known = sources[name] {
            if known.inode == inode { return }
            leave(name)
        }
        // What a crash left between the two steps of putting away.
        for aside in try directory.names() where aside.hasPrefix(EventDesk.asidePrefix) {
            try settle(aside, in: directory) { drops.log.facts[EventDesk.takenFact(name, $0)] != nil }
        }
        // Watched before it is looked through.
        try watch.add(directory, tag: nextTag)
        sources[name] = Source(directory: directory, inode: inode, tag: nextTag)
        nextTag += 1
    }

    private func sweep(_ now: Int64) {
        for name in Set(webhooks.filter(\.isEnabled).map(\.source)).sorted() {
            do {
                try open(name)
                for file in try sources[name]?.directory.names().sorted() ?? [] {
                    note(name, file, .seen, now)
                }
            } catch {
                // What stands in the way of one source is nothing to the others.
                core.triggerTrouble("spool/\(SpoolName.events)/\(name)", error)
            }
        }
    }
    private func note(_ source: String, _ file: String, _ evidence: Evidence, _ now: Int64) {
        if file.hasSuffix(EventDesk.sidecarEnding) {
            // Its payload may have waited for it.
            let payload = String(file.dropLast(EventDesk.sidecarEnding.count))
            if sources[source]?.waiting[payload] != nil { sources[source]?.waiting[payload]?.lookAt = now }
            return
        }
        guard DropName.judge(file) != .ignored else { return }
        let known = sources[source]?.waiting[file]
        if known != nil, evidence == .seen { return }
        sources[source]?.waiting[file] = Waiting(
            evidence: max(evidence, known?.evidence ?? .seen), lookAt: now,
            patience: known?.patience ?? now + EventDesk.patience)
    }

    var descriptor: Int32 { watch.fd }
    func takeHints() {
        let now = Clocks.monotonic
        // Unreadable: the sweep finds what it would have said.
        guard let report = try? watch.drain(), !report.overflowed else {
            nextSweep = 0
            return
        }
        for (tag, hint) in report.hints {
            guard let source = sources.first(where: { $0.value.tag == tag })?.key else { continue }
            switch hint {
            case .movedIn(let name): note(source, name, .movedIn, now)
            case .closed(let name): note(source, name, .closed, now)
            case .appeared(let name): note(source, name, .seen, now)
            case .removed: break
            case .gone: nextSweep = 0
            }
        }
    }

    // MARK: at work

    var nextLook: Int64 {
        let nearest = sources.values.flatMap { $0.waiting.values.map(\.lookAt) }.min() ?? .max
        return max(restUntil, min(nextSweep, nearest))
    }

    func tick(isDraining: Bool) {
        let now = Clocks.monotonic
        guard now >= restUntil, !isDraining else { return }
        do {
            if now >= nextSweep {
                nextSweep = now + EventDesk.sweepEvery
                sweep(now)
                try forgetOld()
            }
            try serve(now)
        } catch {
            restUntil = now + EventDesk.again
            core.triggerTrouble("spool/\(SpoolName.events)", error)
        }
    }

    private func serve(_ now: Int64) throws {
        let due = sources.flatMap { name, source in
            source.waiting.filter { $0.value.lookAt <= now }.keys.sorted().map { (name, $0) }
        }.prefix(EventDesk.most)
        guard !due.isEmpty else { return }
        var keys = Keys(self)
        var taken: [Taken] = []
        for (source, file) in due {
            guard let waiting = sources[source]?.waiting[file] else { continue }
            switch judge(source, file, waiting, now, &keys, among: taken) {
            case nil: sources[source]?.waiting[file] = nil
            case .taken(let one)?: taken.append(one)
            case .later(let instant)?: sources[source]?.waiting[file]?.lookAt = instant
            case .refused(let failure)?:
                do { try refuse(source, file, failure) } catch {
                    sources[source]?.waiting[file]?.lookAt = now + EventDesk.lookAgainAtTrouble
                    core.triggerTrouble("sending \(source)/\(file) back", error)
                }
            }
        }
        try finish(taken)
    }

    /// Decided, made, put away.
    private func finish(_ taken: [Taken]) throws {
        guard !taken.isEmpty else { return }
        var facts: [String: ValueMap?] = [:]
        for one in taken { facts.merge(one.facts) { $1 } }
        try drops.make(taken.flatMap(\.fires), facts: facts)
        for (id, count) in taken.flatMap({ Array($0.counts) }) {
            counts[id, default: 0] += count
            fired[id, default: []] += [Int64](repeating: Clocks.monotonic, count: count)
        }
        let wall = Timestamp(nanoseconds: Clocks.wall)
        core.log.write(taken.flatMap(\.told).map { core.log.line(.info, "event", $0.1, nil) })
        history.append(taken.flatMap(\.told).map(\.0), at: wall)
        var done: [String: ValueMap?] = [:]
        for one in taken {
            do { try putAway(one) } catch {
                // It is known as taken: the next look tries only this again.
                sources[one.source]?.waiting[one.name]?.lookAt =
                    Clocks.monotonic + EventDesk.lookAgainAtTrouble
                core.triggerTrouble("putting \(one.source)/\(one.name) away", error)
                continue
            }
            for key in one.facts.keys where key.hasPrefix(EventDesk.takenKey) { done[key] = .some(nil) }
            if sources[one.source]?.waiting[one.name]?.evidence == one.evidence {
                sources[one.source]?.waiting[one.name] = nil
            }
        }
        try drops.log.made([], facts: done)
    }

    /// What is kept is what was judged, as a file of ours; the payload itself goes. One that has come in its name since then is
    /// another event and stays.
    private func putAway(_ one: Taken) throws {
        guard let directory = sources[one.source]?.directory else { return }
        let day = String(one.closed.split(separator: "/")[0])
        let root = try core.site.spool.root.makeDirectory(SpoolName.events).makeDirectory(SpoolName.closed)
        let target = try root.makeDirectory(day)
        let name = String(one.closed.dropFirst(day.utf8.count + 1))
        for (ending, bytes) in [("", one.bytes), (EventDesk.sidecarEnding, one.sidecar)] {
            guard let bytes, try target.statusIfPresent(name + ending) == nil else { continue }
            try AtomicFile.write(bytes, to: name + ending, in: target, mode: 0o440)
        }
        try remove(one.name, from: directory, ifStill: one.identity)
        // Another event of the name may have brought a signature of its own.
        let signature = one.name + EventDesk.sidecarEnding
        if let sidecar = one.sidecar, try directory.statusIfPresent(signature) != nil,
            try directory.openForReading(signature).read(upTo: EventDesk.largestSidecar) == sidecar
        {
            try directory.removeIfPresent(signature)
        }
    }
    private func remove(_ name: String, from directory: Directory, ifStill identity: InodeIdentity) throws {
        let aside = EventDesk.asidePrefix + name
        guard try Move(core.site.spool).set(event: name, in: directory, aside: aside) else { return }
        try settle(aside, in: directory) { $0 == identity }
    }
    /// What was set aside goes if it is what was taken; another event goes back to its name, or beside the next one of it.
    private func settle(_ aside: String, in directory: Directory, _ isTaken: (InodeIdentity) -> Bool) throws {
        let status = try directory.status(aside)
        if isTaken(InodeIdentity(inode: status.inode, birthNanoseconds: status.birth)) {
            return try directory.removeIfPresent(aside)
        }
        let move = Move(core.site.spool), name = String(aside.dropFirst(EventDesk.asidePrefix.count))
        do throws(SystemError) { _ = try move.set(event: aside, in: directory, aside: name) } catch {
            guard error.isExisting else { throw error }
            _ = try move.set(event: aside, in: directory, aside: "\(Identities.fresh())-\(name)")
        }
        nextSweep = 0
    }
    /// A dot name: nobody takes it for an event.
    private static let asidePrefix = ".taken~"

    private func refuse(_ source: String, _ file: String, _ failure: Failure) throws {
        guard let directory = sources[source]?.directory else { return }
        let rejecter = Rejecter(spool: core.site.spool, log: core.log)
        try rejecter.reject(file, from: directory, Rejection(failure))
        sources[source]?.waiting[file] = nil
        let sidecar = file + EventDesk.sidecarEnding
        if try directory.statusIfPresent(sidecar) != nil {
            try rejecter.reject(
                sidecar, from: directory,
                Rejection(
                    Failure(
                        "E-EVENT-SIDECAR", "the payload that it signs was sent back",
                        whatToDo: "Sign the payload anew when it is sent anew.", retry: .never)))
        }
        history.append(
            [
                [
                    "kind": "trigger.refused", "trigger": .string("event/\(source)"),
                    "file": .string(file), "code": .string(failure.code),
                ]
            ], at: Timestamp(nanoseconds: Clocks.wall))
    }

    // MARK: judging

    private static let takenKey = "taken/", seenKey = "seen/"
    private static func takenFact(_ source: String, _ identity: InodeIdentity) -> String {
        "\(takenKey)\(source)/\(identity.inode)-\(identity.birthNanoseconds)"
    }

    /// Nil: it is gone, or no payload.
    private func judge(
        _ source: String, _ file: String, _ waiting: Waiting, _ now: Int64, _ keys: inout Keys,
        among batch: [Taken]
    ) -> Outcome? {
        guard let directory = sources[source]?.directory else { return nil }
        let gate = ArrivalGate(requireEnd: false, now: Timestamp(nanoseconds: Clocks.wall))
        switch gate.examine(file, in: directory, evidence: waiting.evidence) {
        case .complete(let drop):
            defer { drop.file.dropLease() }
            do throws(Failure) {
                return try judge(source, drop, waiting, now, &keys, among: batch)
            } catch {
                guard error.retry == .transient else { return .refused(error) }
                // A secret that is not there yet, a disk that is full: nothing is wrong with the event.
                core.warnOnce(
                    "the event \(source)/\(file) waits: \(error.message) [\(error.code)]: \(error.whatToDo)")
                return .later(now + EventDesk.lookAgainAtTrouble)
            }
        case .arriving(let why, let span):
            guard now < waiting.patience || ArrivalGate.isBeingWritten(why) else {
                return .refused(ArrivalGate.incomplete(requireEnd: false, why: why))
            }
            return .later(now + span.nanoseconds)
        case .refused(let failure): return .refused(failure)
        case .directory, .gone: return nil
        case .hostTrouble: return .later(now + EventDesk.again)
        }
    }

    private func judge(
        _ source: String, _ drop: Drop, _ waiting: Waiting, _ now: Int64, _ keys: inout Keys,
        among batch: [Taken]
    ) throws(Failure) -> Outcome {
        let wall = Timestamp(nanoseconds: Clocks.wall)
        let sidecar = try self.sidecar(source, drop.name)
        let identity = EventDesk.takenFact(source, drop.identity)
        var taken = Taken(
            source: source, name: drop.name, identity: drop.identity, evidence: waiting.evidence,
            bytes: drop.bytes,
            sidecar: sidecar,
            closed:
                "\(wall.utcDay)/\(Identities.fresh())~\(source)~\(DropName.escaped(drop.name, limit: 150))")
        if let known = drops.log.facts[identity] {
            // Decided before a crash: it only has to go.
            taken.closed = known["closed"]?.text ?? taken.closed
            taken.facts[identity] = known
            return .taken(taken)
        }
        try judgeOwner(drop)
        let event: EventPayload
        do throws(Failure) {
            event = try EventPayload(drop.bytes) { (bytes) throws(Failure) -> Value in
                try EventDesk.read(bytes, drop.name)
            }
        } catch {
            // JSON without a newline is whole when it can be read; until then it may still grow.
            if drop.isTentative, now < waiting.patience { return .later(now + EventDesk.again) }
            throw error
        }
        var failures: [(Webhook, Failure)] = []
        var isRight = false
        for webhook in webhooks where webhook.isEnabled && webhook.source == source {
            do throws(Failure) {
                switch try look(webhook, event, sidecar, waiting, now, &keys, among: batch) {
                // A payload lies in one place: where one of its webhooks must wait, all do, and nothing is noted yet.
                case .later(let instant): return .later(instant)
                case .calls(let calls, let proof):
                    taken.add(try fires(calls, webhook, event, proof, drop, taken, wall, among: batch))
                    isRight = true
                }
            } catch {
                if error.retry == .transient { throw error }
                failures.append((webhook, error))
            }
        }
        if !isRight, let failure = failures.first?.1 { throw failure }
        for (webhook, failure) in failures {
            taken.told.append(
                (
                    [
                        "kind": "trigger.refused", "trigger": .string("event/\(webhook.id)"),
                        "file": .string(drop.name), "code": .string(failure.code),
                    ],
                    "\(webhook.id): did not take \(source)/\(drop.name): \(failure.message) [\(failure.code)]"
                ))
        }
        if taken.told.isEmpty {
            taken.told.append(
                (
                    [
                        "kind": "trigger.ignored", "trigger": .string("event/\(source)"),
                        "file": .string("\(SpoolName.events)/\(SpoolName.closed)/\(taken.closed)"),
                    ],
                    "\(source)/\(drop.name): no webhook's `match` fits it; it is in \(SpoolName.events)/\(SpoolName.closed)/"
                ))
        }
        taken.facts[identity] = ["closed": .string(taken.closed), "at": .int(Int(wall.seconds))]
        return .taken(taken)
    }

    private enum Look {
        case later(Int64)
        case calls([Webhook.Call], EventPayload.Proof)
    }
    private func look(
        _ webhook: Webhook, _ event: EventPayload, _ sidecar: [UInt8]?, _ waiting: Waiting, _ now: Int64,
        _ keys: inout Keys, among batch: [Taken]
    ) throws(Failure) -> Look {
        let isPatient = now < waiting.patience - EventDesk.patience + EventDesk.signaturePatience
        if isPatient, webhook.secret != nil, let sidecar,
            !EventPayload.isSignature(sidecar, prefix: webhook.signaturePrefix)
        {
            // It is being written, perhaps.
            return .later(now + EventDesk.again)
        }
        let proof = try proof(webhook, event, sidecar, &keys)
        if webhook.secret != nil, proof == .none {
            let until = waiting.patience - EventDesk.patience + EventDesk.signaturePatience
            if sidecar == nil, now < until { return .later(min(until, now + EventDesk.again)) }
            throw EventDesk.unsigned(webhook)
        }
        try webhook.judgeAddress(event, proof)
        let calls = try webhook.calls(event, proof)
        if !calls.isEmpty, let instant = isTooFast(webhook, calls.count, now, among: batch) {
            return .later(instant)
        }
        return .calls(calls, proof)
    }

    private static func unsigned(_ webhook: Webhook) -> Failure {
        Failure(
            "E-EVENT-UNSIGNED", "the webhook `\(webhook.id)` takes signed events only, and this one is not",
            whatToDo: "Write the HMAC-SHA256 of the file beside it, as <name>.sig, or sign an envelope.",
            retry: .never)
    }

    /// On a site for many, who may have nothing run may send nothing.
    private func judgeOwner(_ drop: Drop) throws(Failure) {
        let policy = core.access
        guard policy.isShared, drop.status.uid != policy.service else { return }
        if let role = policy.role(of: drop.status.uid), role >= .runner { return }
        throw Failure(
            "E-ACCESS",
            "\(Host.userName(drop.status.uid)) may have nothing run here, so his events count for nothing",
            whatToDo: "See ops/access.yaml.", retry: .never)
    }

    private static func read(_ bytes: [UInt8], _ name: String) throws(Failure) -> Value {
        let first = bytes.first { ![0x20, 0x09, 0x0A, 0x0D].contains($0) }
        if name.hasSuffix(".json") || first == 0x7B || first == 0x5B {
            do throws(JSONProblem) { return try JSONReader.read(bytes) } catch {
                throw Failure(
                    "E-EVENT-PAYLOAD", "the payload is no JSON: \(error)",
                    whatToDo: "Send JSON, or YAML in a file that ends in .yaml.", retry: .never)
            }
        }
        do throws(YamlError) { return Value(try YamlReader.parse(bytes)) } catch {
            let source = SourceFile(name: name, bytes: bytes)
            throw Failure(
                "E-EVENT-PAYLOAD", "the payload is no YAML: \(source.render(Diagnostic(error)))",
                whatToDo: "Send JSON or YAML.", retry: .never)
        }
    }

    private func sidecar(_ source: String, _ name: String) throws(Failure) -> [UInt8]? {
        guard let directory = sources[source]?.directory else { return nil }
        do throws(SystemError) {
            let file = name + EventDesk.sidecarEnding
            guard let status = try directory.statusIfPresent(file), status.kind == .regular, status.size > 0
            else {
                return nil
            }
            return try directory.openForReading(file).read(upTo: EventDesk.largestSidecar)
        } catch {
            throw Failure("E-IO", "the signature of \(name) cannot be read: \(error)", retry: .transient)
        }
    }

    private func proof(_ webhook: Webhook, _ event: EventPayload, _ sidecar: [UInt8]?, _ keys: inout Keys)
        throws(Failure) -> EventPayload.Proof
    {
        guard let secret = webhook.secret else { return .none }
        let key = try keys.key(secret, webhook)
        // GitHub's own name for its header is known without being configured.
        let header =
            event.headers[webhook.signatureHeader.lowercased()] == nil
                && event.headers["x-hub-signature-256"] != nil
            ? "X-Hub-Signature-256" : webhook.signatureHeader
        return try event.proof(key, sidecar: sidecar, header: header, prefix: webhook.signaturePrefix)
    }

    // MARK: taking

    /// The drops of one webhook: all that it makes of an event, or a failure and nothing.
    private func fires(
        _ calls: [Webhook.Call], _ webhook: Webhook, _ event: EventPayload, _ proof: EventPayload.Proof,
        _ drop: Drop, _ taken: Taken, _ wall: Timestamp, among batch: [Taken]
    ) throws(Failure) -> Taken {
        var own = taken
        (own.fires, own.facts, own.told, own.counts) = ([], [:], [], [:])
        for call in calls {
            if let key = call.key {
                let fact = "\(EventDesk.seenKey)\(webhook.id)/\(Digest.sha256(Array(key.utf8)))"
                let isBefore = own.facts[fact] != nil || batch.contains { $0.facts[fact] != nil }
                if isBefore || isKnown(fact, webhook, wall) {
                    own.told.append(
                        (
                            [
                                "kind": "trigger.duplicate", "trigger": .string("event/\(webhook.id)"),
                                "event": .string(key),
                            ],
                            "\(webhook.id): \(key) has been taken already; it is in \(SpoolName.events)/\(SpoolName.closed)/"
                        ))
                    continue
                }
                own.facts[fact] = ["at": .int(Int(wall.seconds))]
            }
            let fire = try fire(call, webhook, event, proof, drop, taken.closed, wall)
            own.fires.append(fire)
            own.counts[webhook.id, default: 0] += 1
            own.told.append(
                (
                    [
                        "kind": "trigger.fired", "trigger": .string(fire.trigger),
                        "ticket": .string(fire.ticket), "event": .string(call.key ?? ""),
                        "drop": .string("\(fire.lane)/\(fire.name)"),
                    ], "\(webhook.id): dropped \(fire.lane)/\(fire.name)"
                ))
        }
        return own
    }
    /// Within the limits of a job: its size, and how much and how deep the reader goes.
    private static func isReadable(_ job: String) -> Bool {
        guard job.utf8.count <= Limits.dropBytes else { return false }
        do throws(YamlError) {
            _ = try YamlReader.parse(Array(job.utf8))
            return true
        } catch {
            // What it says is of the reader, not of the event.
            return false
        }
    }
    private func isKnown(_ fact: String, _ webhook: Webhook, _ wall: Timestamp) -> Bool {
        guard let at = drops.log.facts[fact]?["at"]?.intValue else { return false }
        let age = wall.seconds - Int64(at)
        // One from the future was noted by a clock that was wrong.
        return age > -3600 && age < webhook.deduplication.within.nanoseconds / 1_000_000_000
    }

    private func fire(
        _ call: Webhook.Call, _ webhook: Webhook, _ event: EventPayload, _ proof: EventPayload.Proof,
        _ drop: Drop,
        _ closed: String, _ wall: Timestamp
    ) throws(Failure) -> Fire {
        var trigger: ValueMap = [
            "kind": "event", "id": .string(webhook.id), "source": .string(webhook.source),
            "endpoint": .string(webhook.endpoint), "at": .string(wall.rfc3339),
            "event_id": event.id.map(Value.string) ?? .null,
            "received_at": .string(event.receivedAt ?? wall.rfc3339),
            // Only where a signature covers it does it say anything.
            "client_ip": proof == .ofAll ? event.sourceIP.map(Value.string) ?? .null : .null,
            "user_agent": event.userAgent.map(Value.string) ?? .null, "signed": .bool(proof != .none),
            "file": .string("\(core.site.path)/spool/\(SpoolName.events)/\(SpoolName.closed)/\(closed)"),
            "sent_by": .string(Host.userName(drop.status.uid)),
        ]
        trigger.merge(call.facts)
        let isInside = event.body.count <= EventDesk.largestInside && webhook.format == .plain
        trigger["payload"] = isInside ? event.payload : .null
        trigger["sha256"] = .string(Digest.sha256(event.file))
        var variables = try TriggerCall.rendered(webhook.variables, trigger, at: .now)
        variables.merge(call.extracted)
        let ticket = Identities.fresh()
        func text() -> String {
            TriggerCall.text(
                template: webhook.template, variables: variables, tag: "event:\(webhook.id)", trigger: trigger
            )
        }
        var job = text()
        if !EventDesk.isReadable(job) {
            // What is in the file need not be in the job.
            trigger["payload"] = .null
            job = text()
        }
        guard EventDesk.isReadable(job) else {
            throw Failure(
                "E-EVENT-SIZE",
                "what is taken out of this event makes a job that is too large or too deep (\(job.utf8.count) bytes)",
                whatToDo: "Extract less: a job may read {{ trigger.file }}.", retry: .never)
        }
        return Fire(
            trigger: "event/\(webhook.id)", ticket: ticket.text, queue: webhook.queue,
            priority: webhook.priority,
            name: "\(DropName.escaped(webhook.id, limit: 100)).\(ticket).yaml", text: job)
    }

    /// For `bobbin triggers`: how many jobs each has dropped.
    func keepStatus() {
        var facts: [String: ValueMap?] = [:]
        for (id, count) in counts where drops.log.facts[WebhookFile.key(id)]?["fires"] != .int(count) {
            facts[WebhookFile.key(id)] = ["fires": .int(count)]
        }
        do throws(SystemError) { try drops.log.made([], facts: facts) } catch {
            core.triggerTrouble("spool/.bobbin/\(SpoolName.triggers)", error)
        }
    }
    /// When it may come, where it may not come now.
    private func isTooFast(_ webhook: Webhook, _ calls: Int, _ now: Int64, among batch: [Taken]) -> Int64? {
        guard let (limit, per) = webhook.rate else { return nil }
        let recent = (fired[webhook.id] ?? []).filter { $0 > now - per.nanoseconds }
        fired[webhook.id] = recent
        let deciding = batch.reduce(0) { $0 + ($1.counts[webhook.id] ?? 0) }
        let count = recent.count + deciding
        // One payload of more calls than the limit comes whole, at a time when nothing else has come.
        guard count > 0, count + calls > limit else { return nil }
        return (recent.first ?? now) + per.nanoseconds
    }

    /// Ids past their window.
    private func forgetOld() throws {
        let now = Clocks.wall / 1_000_000_000
        let longest = (webhooks.map(\.deduplication.within.nanoseconds).max() ?? 0) / 1_000_000_000
        var old: [String: ValueMap?] = [:]
        for (key, fact) in drops.log.facts {
            let age = now - Int64(fact["at"]?.intValue ?? 0)
            // A payload that was decided and is still there after a day was put back by somebody.
            if key.hasPrefix(EventDesk.seenKey) && age > longest
                || key.hasPrefix(EventDesk.takenKey) && age > 86_400
            {
                old[key] = .some(nil)
            }
        }
        try drops.log.made([], facts: old)
    }

    // MARK: secrets

    /// Keys for as long as one handful of events is judged: no value is kept longer.
    private struct Keys {
        private let desk: EventDesk
        private var known: [SecretName: SecretBytes] = [:]
        init(_ desk: EventDesk) { self.desk = desk }

        mutating func key(_ secret: Webhook.Secret, _ webhook: Webhook) throws(Failure) -> SecretBytes {
            switch secret {
            case .literal(let text): return SecretBytes(copying: Array(text.utf8))
            case .named(let name):
                if let value = known[name] { return value }
                let value = try desk.lookUp(name, webhook)
                known[name] = value
                return value
            }
        }
    }
    private func lookUp(_ name: SecretName, _ webhook: Webhook) throws(Failure) -> SecretBytes {
        let found: SecretSources.Found?
        do {
            found = try SecretLookup.sources(site: core.site.path, core.configuration.secrets).find(name)
        } catch {
            throw Failure(
                "E-SECRET", "\(name.text) cannot be looked up: \(error)", whatToDo: "See bobbin doctor.",
                retry: .transient)
        }
        let entry = AuditEntry(
            found == nil ? SecretLookup.missing : "secret.used", name.text, by: nil,
            outcome: found?.source.rawValue ?? "E-SECRET", why: "to check events of the webhook \(webhook.id)"
        )
        do throws(SystemError) {
            try core.audit.append([entry], at: Timestamp(nanoseconds: Clocks.wall))
        } catch {
            throw Failure(
                "E-AUDIT", "that a secret was used cannot be recorded: \(error)",
                whatToDo: "Look at ops/audit/ (bobbin doctor).", retry: .transient)
        }
        guard let found else {
            throw Failure(
                "E-SECRET",
                "there is no secret `\(name.text)`, which the webhook `\(webhook.id)` checks its events with",
                whatToDo: "bobbin secrets set \(name.text)", retry: .transient)
        }
        return found.value
    }
}
