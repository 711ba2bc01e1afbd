// What this is: a journal that no runner writes: runs in flight as a bundle keeps them, and as a restored site begins with them.
// Owns: one segment of exactly its records.
// Never: touches a journal that is there.
// On failure: SystemError of the disk; the directory is then worthless.
import JobModel
import LinuxSystem

public enum JournalCopy {
    /// Durable when it returns. `directory`: empty.
    public static func write(_ records: [RunRecord], to directory: Directory, salt: UInt64)
        throws(SystemError)
    {
        let file = try directory.create(Committer.name(1), mode: 0o600)
        let header = SegmentHeader(number: 1, firstSequence: 1, salt: salt, carried: records.count)
        var bytes = header.bytes
        for (index, record) in records.enumerated() {
            let coded = EventCoding.encode(.carried(record), of: record.id)
            Frame.write(
                kind: coded.kind, sequence: UInt64(index + 1), durable: 0, payload: coded.payload, salt: salt,
                into: &bytes)
            guard bytes.count > 4 << 20 else { continue }
            try file.append(bytes)
            bytes = []
        }
        try file.append(bytes)
        try file.sync()
        try directory.sync()
    }
}
