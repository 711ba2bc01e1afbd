// What this is: the mark of a spool that was made from a bundle: which, when, how often before.
// Owns: .bobbin/restored.json.
// Never: decides anything about runs.
// On failure: a mark that cannot be read is none: the number of restores begins anew.
import JobModel
import LinuxSystem
import SpoolQueue

public struct Restored: Hashable, Sendable {
    public var bundle: String
    public var takenAt: Timestamp
    public var restoredAt: Timestamp
    /// How often this spool has been made from a bundle.
    public var epoch: Int

    static func read(_ state: Directory) -> Restored? {
        // A guest may not read it; and one that is damaged says nothing.
        guard let bytes = try? state.openForReading(SpoolName.restored).read(upTo: 1 << 16),
            let map = (try? JSONReader.read(bytes))?.mapValue, let bundle = map["bundle"]?.stringValue,
            let taken = map["taken_at"]?.stringValue.flatMap(Timestamp.init(rfc3339:)),
            let at = map["restored_at"]?.stringValue.flatMap(Timestamp.init(rfc3339:)),
            let epoch = map["epoch"]?.intValue
        else { return nil }
        return Restored(bundle: bundle, takenAt: taken, restoredAt: at, epoch: epoch)
    }
    func write(_ state: Directory) throws(SystemError) {
        let text = JSONText.write(
            .map([
                "bundle": .string(bundle), "taken_at": .string(takenAt.rfc3339),
                "restored_at": .string(restoredAt.rfc3339), "epoch": .int(epoch),
            ]), pretty: true)
        try AtomicFile.write(
            Array((text + "\n").utf8), to: SpoolName.restored, in: state, mode: 0o600, existing: .replace)
    }
}
