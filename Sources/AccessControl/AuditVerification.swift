// What this is: whether the audit log is as it was written: every line, the chain, every signed checkpoint.
// Owns: the walk over the files and what it says of the first thing that is wrong.
// Never: repairs; believes a log without a checkpoint kept elsewhere to be whole at its end, and says so.
// On failure: SystemError where a file cannot be read; damage is an answer, not an error.
import JobModel
import LinuxSystem

public struct AuditVerification: Sendable {
    public var records = 0
    public var checkpoints = 0
    /// Up to which record a valid signature vouches.
    public var signedUpTo = 0
    /// The first thing that is wrong, with file and line.
    public var damage: String?
    public var isWhole: Bool { damage == nil }

    /// `outside`: a note that was kept elsewhere. `origin`: of this site.
    public init(ops: Directory, origin: String, outside: String? = nil) throws(SystemError) {
        guard try ops.statusIfPresent(AuditLog.folder) != nil else {
            damage =
                outside == nil ? nil : "there is no audit log, but the checkpoint says that there was one"
            return
        }
        let directory = try ops.directory(AuditLog.folder)
        let shown = try AuditVerification.publicKey(directory)
        var heads: [Int: String] = [:]
        var previous = AuditRecord.noHash
        for name in try AuditLog.files(directory) where damage == nil {
            let (whole, torn) = try AuditLog.lines(name, directory)
            if Int(name.dropLast(AuditLog.ending.count)) != records + 1 {
                damage = "\(name): it should begin with record \(records + 1)"
                break
            }
            for (index, line) in whole.enumerated() where damage == nil {
                let place = "\(name):\(index + 1)"
                guard let record = AuditRecord(line: line) else {
                    damage = "\(place): the line is not as it was written"
                    break
                }
                guard record.sequence == records + 1, record.previous == previous else {
                    damage = "\(place): record \(record.sequence) does not follow record \(records)"
                    break
                }
                if record.entry.action == AuditLog.checkpointAction {
                    guard
                        let note = shown.flatMap({ AuditKey.read(record.entry.why, publicKey: $0) }),
                        note.origin == origin, note.size == records, note.head == previous
                    else {
                        damage =
                            "\(place): the checkpoint is not signed with this site's key, or not for this log"
                        break
                    }
                    checkpoints += 1
                    signedUpTo = records
                }
                records += 1
                previous = record.hash
                heads[records] = previous
            }
            if damage == nil, torn > 0 { damage = "\(name): the last line is cut off" }
        }
        guard damage == nil else { return }
        if let latest = try AuditVerification.latest(directory) {
            check(latest, shown, origin, heads, "checkpoint.txt")
        }
        if damage == nil, let outside {
            check(outside, shown, origin, heads, "the checkpoint that was given")
        }
    }

    private mutating func check(
        _ note: String, _ shown: String?, _ origin: String, _ heads: [Int: String], _ what: String
    ) {
        guard let checkpoint = shown.flatMap({ AuditKey.read(note, publicKey: $0) }),
            checkpoint.origin == origin
        else {
            damage = "\(what) is not signed with this site's key"
            return
        }
        guard let head = heads[checkpoint.size] else {
            damage =
                "\(what) knows of \(checkpoint.size) records, but the log has \(records): its end is missing"
            return
        }
        if head != checkpoint.head {
            damage = "\(what) knows another record \(checkpoint.size): the log was written anew"
        }
    }

    private static func publicKey(_ directory: Directory) throws(SystemError) -> String? {
        guard try directory.statusIfPresent(AuditKey.publicFile) != nil else { return nil }
        return String(
            decoding: try directory.openForReading(AuditKey.publicFile).read(upTo: 256), as: UTF8.self)
    }
    private static func latest(_ directory: Directory) throws(SystemError) -> String? {
        guard try directory.statusIfPresent(AuditLog.checkpointFile) != nil else { return nil }
        return String(
            decoding: try directory.openForReading(AuditLog.checkpointFile).read(upTo: 4096), as: UTF8.self)
    }
}
