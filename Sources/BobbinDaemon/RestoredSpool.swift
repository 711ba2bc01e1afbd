// What this is: what makes a spool out of a bundle's files fit to be worked on: nothing of it begins by itself.
// Owns: holding what was unfinished, asking anew what people were asked, settling keys, pausing all queues, the mark.
// Never: drops a run; lets an answer count that was given to the questions of before.
// On failure: JournalDamage or SystemError; the spool is in nobody's place yet.
import Bundles
import JobModel
import LinuxSystem
import RunJournal
import SpoolQueue

/// Whatever was unfinished may have been finished since the bundle was made, on the machine that is lost. So a person looks.
public struct RestoredSpool: Sendable {
    public private(set) var held = 0
    public private(set) var askedAnew = 0
    public private(set) var paused: [QueueName] = []
    /// Drops in queues and in inbox/.
    public private(set) var waiting = 0

    /// The runner that has the restored runs until one that lives takes them over.
    static let runner = "restored"

    init(preparing site: Directory, _ manifest: BundleManifest, name: String, now: Timestamp) throws {
        let root = try site.directory(SpoolName.spool), state = try root.directory(SpoolName.state)
        try holdRuns(root, state, now)
        try settleKeys(root, manifest)
        try pauseQueues(site, root, manifest, name)
        try Restored(bundle: name, takenAt: manifest.takenAt, restoredAt: now, epoch: manifest.epoch + 1)
            .write(state)
    }

    private mutating func holdRuns(_ root: Directory, _ state: Directory, _ now: Timestamp) throws {
        let runners = try state.directory(SpoolName.runners)
        guard try runners.statusIfPresent(BundlePlan.runner) != nil else { return }
        let packed = try runners.directory(BundlePlan.runner),
            journal = try packed.directory(SpoolName.journal)
        let replay = try Replay.read(journal)
        let records = replay.live.values.sorted { $0.id < $1.id }.map { hold($0, now) }
        let home = try runners.makeDirectory(RestoredSpool.runner, mode: 0o700)
        try JournalCopy.write(
            records, to: home.makeDirectory(SpoolName.journal, mode: 0o700), salt: Clocks.randomBits().1)
        for record in records { try putJob(record, root) }
        for name in replay.segments { try journal.removeIfPresent(name) }
        try packed.removeDirectory(SpoolName.journal)
        try runners.removeDirectory(BundlePlan.runner)
    }
    private mutating func hold(_ record: RunRecord, _ now: Timestamp) -> RunRecord {
        var record = record
        askAnew(&record)
        switch record.state {
        case .ended: return record
        case .waiting(let wait) where wait.reason == .interrupted: break
        case .waiting(let wait): record.apply(.parked(Wait(.held, since: now, nextAttempt: wait.nextAttempt)))
        case .queued, .running: record.apply(.parked(Wait(.held, since: now, nextAttempt: record.attempt)))
        }
        held += 1
        return record
    }
    /// Another nonce is another question: its time begins anew, and answers to the old one are refused.
    private mutating func askAnew(_ record: inout RunRecord) {
        for gate in record.gates {
            guard let index = record.steps.lastIndex(where: { $0 == gate.step }) else { continue }
            record.steps[index].outputs["nonce"] = .string(Clocks.nonce())
            askedAnew += 1
        }
    }
    /// Its job file, where its record says; what was accepted is in the journal.
    private func putJob(_ record: RunRecord, _ root: Directory) throws {
        let folder: Directory
        if case .waiting(let wait) = record.state {
            folder = try root.directory("\(SpoolName.parked)/\(wait.reason.rawValue)")
        } else {
            folder = try root.directory(SpoolName.claimed).makeDirectory(RestoredSpool.runner)
        }
        let file = try folder.create(ClaimedName(record.acceptance).text)
        try file.append(record.acceptance.snapshot)
    }

    /// All of them, also those without drops: schedules, events and inbox/ bring work of their own.
    private mutating func pauseQueues(
        _ site: Directory, _ root: Directory, _ manifest: BundleManifest, _ name: String
    ) throws {
        var queues = Set(try RestoredSpool.configured(site))
        for row in manifest.rows where row.kind == .work {
            let parts = row.path.split(separator: "/").map(String.init)
            guard parts.count > 2, ![SpoolName.control, SpoolName.events].contains(parts[1]) else { continue }
            waiting += 1
            if let queue = QueueName(parts[1]), parts.count == 4, parts[1] != SpoolName.intake {
                queues.insert(queue)
            }
        }
        let control = try root.directory(SpoolName.control)
        for queue in queues.sorted(by: { $0.text < $1.text }) {
            paused.append(queue)
            let file = ControlFile.pause(queue).name
            guard try control.statusIfPresent(file) == nil else { continue }
            let text = """
                restored from \(name), taken at \(manifest.takenAt.rfc3339)
                What waits in spool/\(queue)/ may have run since then. Look, take out what must not run again, then: bobbin resume \(queue)

                """
            try control.create(file).append(Array(text.utf8))
        }
    }
    private static func configured(_ site: Directory) throws -> [QueueName] {
        guard try site.statusIfPresent(SpoolName.configuration) != nil else {
            return Configuration.standard.queues.map(\.name)
        }
        let (folder, name) = BundlePath.split(SpoolName.configuration)
        let bytes = try site.directory(folder).openForReading(name).read(upTo: 1 << 20)
        // With mistakes no runner starts; mended, it has perhaps other queues than these.
        return ((try? Configuration.read(bytes, name: SpoolName.configuration)) ?? .standard).queues.map(
            \.name)
    }

    /// A key that was taken by a run which the bundle knows no more as one in flight is what its result says.
    private func settleKeys(_ root: Directory, _ manifest: BundleManifest) throws {
        let once = "\(SpoolName.spool)/\(SpoolName.state)/\(SpoolName.once)/"
        let keys = manifest.rows.filter { $0.path.hasPrefix(once) }
        guard !keys.isEmpty else { return }
        var results: [String: String] = [:]
        for row in manifest.rows where row.kind == .results && row.path.hasSuffix(FinalName.resultEnding) {
            results[String(BundlePath.split(row.path).name.prefix(RunID.length))] = row.path
        }
        let flying = Set(manifest.inFlight.map(\.run))
        let state = try root.directory(SpoolName.state)
        for row in keys {
            let (folder, name) = BundlePath.split(
                String(row.path.dropFirst(SpoolName.spool.count + SpoolName.state.count + 2)))
            let directory = try state.directory(folder)
            let bytes = try directory.openForReading(name).read(upTo: 4_096)
            let words = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isWhitespace).map(
                String.init)
            guard words.count == 2, !flying.contains(words[0]) else { continue }
            var ended: RunRecord?
            if let path = results[words[0]] {
                let place = BundlePath.split(String(path.dropFirst(SpoolName.spool.count + 1)))
                ended = ResultFile.read(
                    try root.directory(place.folder).openForReading(place.name).read(upTo: ResultFile.largest)
                )
            }
            try directory.remove(name)
            guard let ended, ended.finalState == .succeeded, let at = ended.endedAt else { continue }
            try directory.create(name, mode: 0o600).append(
                Array("\(words[0]) \(words[1]) \(at.rfc3339)\n".utf8))
        }
    }
}
