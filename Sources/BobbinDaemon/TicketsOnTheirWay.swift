// What this is: which drops and runs with a ticket have not ended, wherever in the spool they are and whoever's they are.
// Owns: the order in which the directories are read, so that what moves meanwhile is seen at least once.
// Never: says that a ticket has ended: one that is not here may have, or was never dropped, or was sent back.
// On failure: SystemError; nothing can be said then.
import JobModel
import LinuxSystem
import SpoolQueue

enum TicketsOnTheirWay {
    /// The name of the file of each, by ticket.
    static func find(in spool: Spool) throws -> [String: String] {
        var names = try spool.inbox.names()
        for lane in try lanes(spool) { names += try lane.directory.names() }
        // Between these a run goes to and fro, so they are read twice.
        for _ in 0..<2 {
            for runner in try spool.claimed.names() {
                do throws(SystemError) { names += try spool.claimed.directory(runner).names() } catch {
                    // It was just taken over: its claims are in another by now.
                    guard error.isMissing else { throw error }
                }
            }
            for parked in spool.parked.values { names += try parked.names() }
        }
        var byTicket: [String: String] = [:]
        for name in names {
            if let ticket = DropName.ticket(in: ClaimedName(name)?.name ?? name) { byTicket[ticket] = name }
        }
        return byTicket
    }

    /// The drop directories that are there. The configuration is not asked: a mistake in an edit of it hides no job.
    static func lanes(_ spool: Spool) throws -> [(queue: QueueName, level: Int, directory: Directory)] {
        var lanes: [(queue: QueueName, level: Int, directory: Directory)] = []
        for name in try spool.root.names() {
            guard let queue = QueueName(name), try spool.root.status(name).kind == .directory else {
                continue
            }
            let directory = try spool.root.directory(name)
            for priority in Priority.all where try directory.statusIfPresent(priority.directory) != nil {
                lanes.append((queue, priority.level, try directory.directory(priority.directory)))
            }
        }
        return lanes
    }
}
