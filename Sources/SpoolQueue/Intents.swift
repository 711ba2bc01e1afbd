// What this is: proofs that a drop was meant: each came out of an intake into which nobody but its owner can write.
// Owns: `.bobbin/intents/`, one empty file for each such drop, named after its inode and the moment of its birth.
// Never: judges who may do what; outlives the run or the rejection of its drop.
// On failure: SystemError; without a proof a drop has fewer rights, never more.
import JobModel
import LinuxSystem

public struct Intents: Sendable {
    public static let folder = "intents"
    private let spool: Spool
    public init(_ spool: Spool) { self.spool = spool }

    private static func name(_ identity: InodeIdentity) -> String {
        "\(identity.inode)-\(identity.birthNanoseconds)"
    }
    /// Nil on a site that has none.
    private func directory() throws(SystemError) -> Directory? {
        try spool.state.statusIfPresent(Intents.folder) == nil ? nil : spool.state.directory(Intents.folder)
    }

    /// Before the drop leaves its intake.
    public func note(_ identity: InodeIdentity) throws(SystemError) {
        let directory = try spool.state.makeDirectory(Intents.folder, mode: 0o700)
        do throws(SystemError) {
            try AtomicFile.write([], to: Intents.name(identity), in: directory, mode: 0o600)
        } catch {
            // A crash between this and the rename left it.
            guard error.isExisting else { throw error }
        }
    }
    public func has(_ identity: InodeIdentity) throws(SystemError) -> Bool {
        try directory()?.statusIfPresent(Intents.name(identity)) != nil
    }
    /// Its run has ended, or it was sent back.
    public func spend(_ identity: InodeIdentity) throws(SystemError) {
        try directory()?.removeIfPresent(Intents.name(identity))
    }
}
