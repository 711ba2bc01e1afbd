// What this is: inbox/: drops whose own words decide where they go; the leader re-files them by rename.
// Owns: when inbox/ is looked at again because a file was not whole yet.
// Never: claims: after the rename the file is a drop like any other.
// On failure: a file that is no job is rejected from here; an error of the disk leaves it for the next sweep.
import JobModel
import LinuxSystem
import SpoolQueue

final class Inbox {
    private let core: RunnerCore
    private static let atOnce = 64
    /// Where the next turn begins, in an intake that holds more.
    private var turn = 0
    /// Monotonic: since when a file has been incomplete.
    private var firstSeen: [String: Int64] = [:]
    /// Monotonic; .max when nothing is on its way.
    private(set) var lookAgain = Int64.max
    /// Files that may still become drops.
    var hasWaiting: Bool { lookAgain != .max }
    init(_ core: RunnerCore) { self.core = core }

    func sweep() {
        lookAgain = .max
        sweepIntakes()
        let names: [String]
        do {
            names = try core.site.spool.inbox.names().sorted().filter { DropName.judge($0) != .ignored }
        } catch {
            return core.diskTrouble("reading inbox/", error)
        }
        guard names.isEmpty || core.mayBegin() else { return waitOn() }
        firstSeen = firstSeen.filter { names.contains($0.key) }
        for name in names {
            do { try take(name, .seen) } catch { core.diskTrouble("inbox/\(name)", error) }
        }
    }

    /// Nothing may begin: nobody looks at the files, and their patience does not run.
    private func waitOn() {
        firstSeen = [:]
        lookAgain = Clocks.monotonic + Span.seconds(1).nanoseconds
    }

    /// Refuses a file that did not become a drop in time; until then it is looked at again.
    private func keepWaiting(_ name: String, _ why: String, _ span: Span) throws {
        let now = Clocks.monotonic
        if ArrivalGate.isBeingWritten(why) { firstSeen[name] = now }
        let since = firstSeen[name] ?? now
        firstSeen[name] = since
        guard now - since < DropWatch.patience else {
            return try refuse(
                name, ArrivalGate.incomplete(requireEnd: false, why: why),
                Rejecter(spool: core.site.spool, log: core.log))
        }
        lookAgain = min(lookAgain, now + max(span.nanoseconds, 50_000_000))
    }

    func take(_ hint: DirectoryWatch.Hint) {
        // What is not taken now is found by a sweep.
        guard core.mayBegin() else { return waitOn() }
        do {
            switch hint {
            case .movedIn(let name): try take(name, .movedIn)
            case .closed(let name): try take(name, .closed)
            case .appeared: lookAgain = min(lookAgain, Clocks.monotonic + ArrivalGate.settle.nanoseconds)
            case .removed, .gone: break
            }
        } catch {
            core.diskTrouble("reading inbox/", error)
        }
    }

    private func take(_ name: String, _ evidence: Evidence) throws {
        let inbox = core.site.spool.inbox
        let rejecter = Rejecter(spool: core.site.spool, log: core.log)
        switch DropName.judge(name) {
        case .unfit(let why):
            return try refuse(
                name, Failure("E-NAME", "the file's name is not fit for a job: \(why)"), rejecter)
        case .notAJob:
            return try refuse(
                name, Failure("E-NOT-A-JOB", "this is a result or reason file, not a job"), rejecter)
        case .unknownEnding:
            return try keepWaiting(name, "its name does not end in .yaml, .yml or .json", .seconds(10))
        case .ignored: return
        case .job: break
        }
        let gate = ArrivalGate(
            requireEnd: false, full: evidence == .movedIn ? [] : core.pressure.full,
            now: Timestamp(nanoseconds: Clocks.wall))
        switch gate.examine(name, in: inbox, evidence: evidence) {
        case .gone: return
        case .arriving(let why, let span): try keepWaiting(name, why, span)
        case .hostTrouble(let error):
            core.strike(error)
            waitOn()
        case .directory: core.warnOnce("inbox/\(name) is a directory: it stays where it is")
        case .refused(let failure): try refuse(name, failure, rejecter)
        case .complete(let drop):
            defer { drop.file.dropLease() }
            try refile(drop, rejecter)
        }
    }

    // MARK: intakes of a site for many

    /// What lies in an intake was put there by its owner: nobody else can.
    private func sweepIntakes() {
        guard core.access.isShared else { return }
        do {
            let root = try core.site.spool.root.directory(SpoolName.intake)
            for account in try root.names() where !account.hasPrefix(".") {
                let directory = try root.directory(account)
                // So many of each account's in one turn: a crowd of one delays the others' little.
                let names = try directory.names().filter {
                    // A directory is none, and never will be; one that is gone is nobody's.
                    !$0.hasPrefix(".") && (try? directory.status($0).kind) != .directory
                }.sorted()
                let first = names.isEmpty ? 0 : turn % names.count
                if names.count > Inbox.atOnce {
                    lookAgain = min(lookAgain, Clocks.monotonic + Span.milliseconds(10).nanoseconds)
                    turn = first + Inbox.atOnce
                }
                for name in (names[first...] + names[..<first]).prefix(Inbox.atOnce) {
                    // One file's trouble is not the others'.
                    do { try takeIn(name, directory, account) } catch {
                        core.diskTrouble("spool/\(SpoolName.intake)/\(account)/\(name)", error)
                    }
                }
            }
        } catch { core.diskTrouble("reading spool/\(SpoolName.intake)", error) }
    }

    private func takeIn(_ name: String, _ directory: Directory, _ account: String) throws {
        let rejecter = Rejecter(spool: core.site.spool, log: core.log)
        guard core.mayBegin() else { return waitOn() }
        guard let (key, plain) = SharedSite.read(intakeName: name), DropName.judge(plain) == .job,
            let lane = core.lane(key)
        else {
            let failure = Failure(
                "E-INTAKE", "this is no drop of `bobbin submit`, or of a queue that this site does not have",
                whatToDo: "Use bobbin submit; files of your own go into spool/<queue>/p1 … p9.")
            try rejecter.reject(name, from: directory, Rejection(failure))
            return
        }
        let gate = ArrivalGate(requireEnd: false, now: Timestamp(nanoseconds: Clocks.wall))
        switch gate.examine(name, in: directory, evidence: .movedIn) {
        case .gone, .directory: return
        case .arriving(_, let span):
            lookAgain = min(lookAgain, Clocks.monotonic + max(span.nanoseconds, 50_000_000))
        case .hostTrouble(let error):
            core.strike(error)
            waitOn()
        case .refused(let failure): try rejecter.reject(name, from: directory, Rejection(failure))
        case .complete(let drop):
            defer { drop.file.dropLease() }
            guard Host.userName(drop.status.uid) == account else {
                let failure = Failure(
                    "E-OWN", "this file is not \(account)'s own", whatToDo: "Each submits his own jobs.",
                    retry: .never)
                try rejecter.reject(name, from: directory, Rejection(failure))
                return
            }
            try Intents(core.site.spool).note(drop.identity)
            _ = try Move(core.site.spool).refile(name, from: directory, to: lane, as: plain)
        }
    }

    private func refuse(_ name: String, _ failure: Failure, _ rejecter: Rejecter) throws {
        try rejecter.reject(name, from: core.site.spool.inbox, Rejection(failure))
    }

    private func refile(_ drop: Drop, _ rejecter: Rejecter) throws {
        let reading = core.site.reader().read(drop.bytes, name: drop.name, stem: drop.name)
        guard let job = reading.job else {
            try rejecter.reject(
                drop.name, from: core.site.spool.inbox,
                Rejection(reading.findings, queueName: SpoolName.inbox))
            return
        }
        let queue = job.queue ?? .standard, priority = job.priority ?? .normal
        guard let directory = core.lane(LaneKey(queue: queue, priority: priority)) else {
            return try refuse(
                drop.name,
                Failure(
                    "E-QUEUE",
                    "the job asks for queue \(queue), priority \(priority.level), which this site does not have",
                    whatToDo: "Add the queue to ops/orchestrator.yaml, or name another."), rejecter)
        }
        do {
            _ = try Move(core.site.spool).refile(
                drop.name, from: core.site.spool.inbox, to: directory, as: drop.name)
        } catch {
            guard error.isExisting else { throw error }
            let name = "\(drop.name.prefix(Limits.nameBytes - 40)).\(Identities.fresh()).yaml"
            _ = try Move(core.site.spool).refile(
                drop.name, from: core.site.spool.inbox, to: directory, as: name)
        }
    }
}
