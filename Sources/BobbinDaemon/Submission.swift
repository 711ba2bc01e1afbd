// What this is: a drop that somebody makes on purpose: by `submit`, by `schedule run`.
// Owns: its name and its ticket; where it goes on a site for many: into his own intake, which proves that he meant it.
// Never: checks the job (the caller has); waits for it.
// On failure: SpoolProblem where the site has no such queue, or the person no intake; SystemError of the disk.
import JobModel
import LinuxSystem
import SpoolQueue

public struct Submission {
    public var ticket: String
    /// Below the site, where it will be.
    public var path: String

    public static func drop(
        _ bytes: [UInt8], stem: String, _ queue: QueueName, _ priority: Priority, _ site: Site
    )
        throws -> Submission
    {
        guard let policy = try site.configuration().policy(queue),
            let lane = try site.spool.dropDirectories(of: policy).first(where: { $0.0 == priority })?.1
        else {
            throw SpoolProblem(
                "E-QUEUE", "this site has no queue \(queue) with priority \(priority.level)",
                whatToDo: "`bobbin queues` lists them")
        }
        let ticket = Identities.fresh().text
        let intake = try SharedSite.intake(site)
        let drop = "\(DropName.escaped(stem, limit: 100)).\(ticket).yaml"
        if let intake {
            // Into which nobody else can put anything: so it is certain that we meant it.
            let meant = SharedSite.intakeName(queue, priority, drop)
            try AtomicFile.hand(bytes, to: meant, in: intake, mode: 0o640)
        } else {
            try AtomicFile.hand(bytes, to: drop, in: lane)
        }
        return Submission(ticket: ticket, path: "spool/\(queue)/\(priority.directory)/\(drop)")
    }
}
