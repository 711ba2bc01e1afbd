// What this is: the places of a site that no step may write, whoever wrote the job.
// Owns: the list, and the comparison by the directories themselves (device and inode), not by text.
// Never: follows the last part of a path.
// On failure: E-PATH-PROTECTED; a site that cannot be read at all refuses every write.
import JobModel
import LinuxSystem

public struct ProtectedPaths {
    public static let names = [
        ".bobbin", "ops", "secrets", "spool/.bobbin", "spool/approvals", "spool/control", "spool/claimed",
        "spool/parked", "spool/intake",
    ]
    /// Those that exist.
    private var present: [FileIdentity: String] = [:]
    /// Their names in their parents, so that one that is missing cannot be made by a step.
    private var entries: [Entry: String] = [:]

    private struct Entry: Hashable {
        var parent: FileIdentity
        var name: String
    }

    init(_ context: any StepContext) throws(Failure) {
        let site = try onDisk(
            "look at the site", { () throws(SystemError) in try Directory.open(context.baseDirectory) })
        for path in ProtectedPaths.names {
            let parts = path.parts(at: "/")
            let above = parts.count > 1 ? parts[0] + "/." : "."
            // `/.` follows a link here: an operator may keep `ops` elsewhere, and elsewhere is protected too.
            if let parent = ProtectedPaths.identity(site, above) {
                entries[Entry(parent: parent, name: parts[parts.count - 1])] = path
            }
            if let own = ProtectedPaths.identity(site, path + "/.") { present[own] = path }
        }
    }

    /// Refuses a write of `name` in `directory`: the entry itself and everything below a protected directory.
    func check(_ directory: Directory, _ name: String) throws(Failure) {
        guard let own = ProtectedPaths.identity(directory, ".") else {
            throw refusal("a directory that cannot be read")
        }
        if let found = entries[Entry(parent: own, name: name)] { throw refusal(found) }
        try check(directory, own)
    }

    private func check(_ directory: Directory, _ own: FileIdentity) throws(Failure) {
        var (below, climb) = (own, "..")
        while true {
            if let found = present[below] { throw refusal(found) }
            // Asking by `../..` needs no right to read the directories above.
            guard let above = ProtectedPaths.identity(directory, climb), climb.utf8.count < 4000 else {
                throw refusal("a directory whose place is not known")
            }
            if above == below { return }
            below = above
            climb += "/.."
        }
    }

    private func refusal(_ place: String) -> Failure {
        Failure(
            "E-PATH-PROTECTED", "steps do not write in \(place) of the site",
            whatToDo: "choose another place; a person or the service's own commands change what is there",
            retry: .never)
    }

    private static func identity(_ directory: Directory, _ name: String) -> FileIdentity? {
        // nil: it is not there, or may not be looked at; the callers decide which side is the safe one.
        try? directory.status(name).identity
    }
}
