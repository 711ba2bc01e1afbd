// What this is: what the step `submit` asks of the spool: to drop a job, to find it again, to have it cancelled.
// Owns: where a ticket is looked for, in which order.
// Never: claims, waits, or runs anything.
// On failure: E-CHILD-JOB where the job is no good; E-DISK where the spool cannot be read.
import JobLanguage
import JobModel
import LinuxSystem
import SpoolQueue
import StepLibrary
import YamlText

enum ChildJobs {
    static let ports = JobPorts(drop: drop, find: find, cancel: cancel)

    private static func onDisk<Out>(_ body: () throws -> Out) throws(Failure) -> Out {
        do { return try body() } catch let failure as Failure { throw failure } catch {
            throw Failure("E-DISK", "the spool cannot be used: \(error)", retry: .transient)
        }
    }

    @Sendable private static func drop(_ path: String, _ drop: JobDrop) throws(Failure) -> String {
        try onDisk {
            let site = try Site(path: path, mayFoundSpool: false)
            let bytes = Array((JSONText.write(.map(drop.job), pretty: true) + "\n").utf8)
            let reading = site.reader().read(bytes, name: "\(drop.stem).yaml", stem: drop.stem)
            guard let job = reading.job else {
                let first = reading.errors.first?.diagnostic
                throw Failure(
                    "E-CHILD-JOB",
                    "the submitted job is not valid: \(first?.message ?? "") [\(first?.code ?? "")]",
                    whatToDo: first?.hint ?? "", retry: .never)
            }
            let (queue, priority) = (job.queue ?? .standard, job.priority ?? .normal)
            // The directories, not the configuration: an edit with a mistake in it stops nobody.
            guard
                let lane = try TicketsOnTheirWay.lanes(site.spool).first(where: {
                    $0.queue == queue && $0.level == priority.level
                })
            else {
                throw Failure(
                    "E-CHILD-JOB", "this site has no queue \(queue) with priority \(priority.level)",
                    whatToDo: "`bobbin queues` lists them", retry: .never)
            }
            let name = "\(DropName.escaped(drop.stem, limit: 100)).\(drop.ticket).yaml"
            // An earlier start of the step may have written it.
            do throws(SystemError) { try AtomicFile.hand(bytes, to: name, in: lane.directory) } catch {
                guard error.isExisting else { throw error }
            }
            return "spool/\(queue)/\(priority.directory)/\(name)"
        }
    }

    private static func writeOnce(_ bytes: [UInt8], _ name: String, _ directory: Directory) throws {
        do { try AtomicFile.write(bytes, to: name, in: directory) } catch {
            guard error.isExisting else { throw error }
        }
    }

    @Sendable private static func cancel(_ path: String, _ ticket: String) throws(Failure) {
        try onDisk {
            let site = try Site(path: path, mayFoundSpool: false)
            let name = ControlFile.command(.cancel, subject: ticket).name
            // Somebody may have asked for the same.
            try writeOnce(Array("its parent was cancelled\n".utf8), name, site.spool.control)
        }
    }

    /// Everything that has a ticket and has not ended, by ticket.
    private struct OnTheirWay: Sendable {
        var taken: Int64
        var names: [String: String]
    }
    /// Of the last look at a site: a parent of many asks about all of them in one moment.
    private static let looks = Monitor<[String: OnTheirWay]>([:])
    private static let freshness = Span.milliseconds(250).nanoseconds

    private static func onTheirWay(_ path: String, _ spool: Spool, mayBeOld: Bool) throws -> OnTheirWay {
        if mayBeOld, let known = looks.with({ $0[path] }), Clocks.monotonic - known.taken < freshness {
            return known
        }
        let look = OnTheirWay(taken: Clocks.monotonic, names: try TicketsOnTheirWay.find(in: spool))
        looks.with { looks in
            if looks.count > 16 { looks.removeAll() }
            looks[path] = look
        }
        return look
    }

    @Sendable private static func find(_ path: String, _ text: String, _ parent: RunID, _ isKnown: Bool)
        throws(Failure)
        -> JobFound?
    {
        guard let ticket = RunID(text) else { return nil }
        return try onDisk {
            let spool = try Site(path: path, mayFoundSpool: false).spool
            // An old look may say that it is there; that it is not, only a new one.
            let old = isKnown ? try onTheirWay(path, spool, mayBeOld: true).names[text] : nil
            if let name = try old ?? onTheirWay(path, spool, mayBeOld: false).names[text] {
                guard let claimed = ClaimedName(name) else { return JobFound(state: .waiting) }
                return JobFound(state: .running, run: claimed.run.text)
            }
            if let found = ended(ticket, parent, spool) { return found }
            return try rejected(text, spool)
        }
    }

    private static func ended(_ ticket: RunID, _ parent: RunID, _ spool: Spool) -> JobFound? {
        let files = FinalFiles(spool)
        let own = files.all(ticket: ticket).compactMap(files.read).first {
            $0.acceptance.terms.parent?.run == parent.text
        }
        guard let record = own, let state = record.finalState else { return nil }
        return JobFound(
            state: .ended(state), run: record.id.text, outputs: record.outputs, failure: record.failure)
    }
    private static func rejected(_ ticket: String, _ spool: Spool) throws -> JobFound? {
        let names = try spool.rejected.names().filter { $0.contains(".\(ticket).") && !$0.hasPrefix(".") }
        guard let reason = names.first(where: { $0.hasSuffix(FinalName.reasonEnding) }) else {
            return names.isEmpty ? nil : JobFound(state: .rejected)
        }
        let bytes = try spool.rejected.openForReading(reason).read(upTo: 1 << 20)
        // A reason that cannot be read is still a rejection.
        let map = (try? YamlReader.parse(bytes)).flatMap { Value($0).mapValue } ?? [:]
        let failure = Failure(
            map["code"]?.text ?? "E-REJECTED", map["message"]?.text ?? "see spool/rejected/\(reason)")
        return JobFound(state: .rejected, failure: failure)
    }
}
