// What this is: where the drops of the triggers have got to, told by their tickets.
// Owns: the order of looking, so that what moves meanwhile is seen at least once.
// Never: opens a file; asks the index.
// On failure: SystemError: then nothing is known, and who asks asks again.
import Bundles
import JobModel
import LinuxSystem
import SpoolQueue

struct DropTraces {
    private let spool: Spool
    init(_ spool: Spool) { self.spool = spool }

    /// The directory of a queue and priority; nil where this spool has none.
    func lane(_ queue: QueueName, _ priority: Priority) throws -> Directory? {
        do throws(SystemError) { return try spool.root.directory("\(queue)/\(priority.directory)") } catch {
            guard error.isMissing else { throw error }
            return nil
        }
    }

    /// Whether a drop waits, or its run has not ended.
    func isLive(lane: String, name: String, ticket: String) throws -> Bool {
        let directory: Directory?
        do throws(SystemError) { directory = try spool.root.directory(lane) } catch {
            guard error.isMissing else { throw error }
            directory = nil
        }
        if try directory?.statusIfPresent(name) != nil { return true }
        if try isTaken(ticket) { return true }
        // It may have gone back, or from one runner to another.
        if try directory?.statusIfPresent(name) != nil { return true }
        return try isTaken(ticket)
    }
    private func isTaken(_ ticket: String) throws -> Bool {
        let ending = ".\(ticket).yaml"
        func has(_ directory: Directory) throws(SystemError) -> Bool {
            try directory.names().contains { $0.hasSuffix(ending) }
        }
        for runner in try spool.claimed.names() {
            do throws(SystemError) { if try has(spool.claimed.directory(runner)) { return true } } catch {
                // It was just taken over: its claims are in another by now.
                guard error.isMissing else { throw error }
            }
        }
        for parked in spool.parked.values where try has(parked) { return true }
        return false
    }

    /// Which of these are anywhere: waiting, at work, ended, or sent back.
    func known(_ tickets: Set<String>) throws -> Set<String> {
        guard let first = tickets.min(), let oldest = RunID(first)?.time.utcDay else { return [] }
        var found = Set(try TicketsOnTheirWay.find(in: spool).keys.filter(tickets.contains))
        func take(_ directory: Directory) throws {
            for name in try directory.names() {
                if let ticket = DropTraces.ticket(name), tickets.contains(ticket) { found.insert(ticket) }
            }
        }
        for root in spool.finalRoots() {
            for name in try root.names() where PackedDay.day(of: name) ?? name >= oldest {
                if PackedDay.day(of: name) != nil {
                    // One that cannot be read may hold the run of any of them: then nothing is dropped twice, and it is told.
                    for row in try PackedDay(name, in: root).rows() {
                        let file = BundlePath.split(row.path).name
                        if let ticket = DropTraces.ticket(file), tickets.contains(ticket) {
                            found.insert(ticket)
                        }
                    }
                } else if try root.statusIfPresent(name)?.kind == .directory {
                    try take(root.directory(name))
                }
            }
        }
        try take(spool.rejected)
        // One that ended while the final directories were read is on its way in neither.
        found.formUnion(try TicketsOnTheirWay.find(in: spool).keys.filter(tickets.contains))
        return found
    }
    /// In `<run>~<stem>.<ticket>.yaml`, `….result.yaml` and the names of what was sent back.
    private static func ticket(_ name: String) -> String? {
        name.parts(at: ".").last { RunID($0) != nil }
    }
}
