// What this is: the durable write of a whole file, each step with its reason.
// Owns: temporary name, write, sync, rename, sync of the directory.
// Never: leaves a half file under the final name.
// On failure: SystemError; the temporary file is removed, and a stale one is replaced by the next try.
import Glibc

public enum AtomicFile {
    public enum Existing: Sendable { case fail, replace }
    /// Tells the writers of one process apart.
    private static let serial = Counter()

    /// Writes `bytes` under a new name that is seen whole or not at all, and syncs nothing: whoever has many to write syncs
    /// the files that are given back, and the directory, when all of them are there. They are open for reading only: who sees
    /// the name finds nobody writing.
    public static func place(_ bytes: [UInt8], as name: String, in directory: Directory, mode: UInt32 = 0o644)
        throws(SystemError) -> OpenFile
    {
        let temporary = ".\(getpid())-\(serial.increment()).tmp"
        do {
            try createAnew(temporary, in: directory, mode: mode).append(bytes)
            let file = try directory.openForReading(temporary)
            try directory.rename(temporary, to: directory, name)
            return file
        } catch {
            // The write already failed and is reported; a leftover dot file harms nobody.
            try? directory.remove(temporary)
            throw error
        }
    }
    /// A dead process of our number may have left one.
    private static func createAnew(_ name: String, in directory: Directory, mode: UInt32) throws(SystemError)
        -> OpenFile
    {
        do { return try directory.create(name, mode: mode) } catch {
            guard error.isExisting else { throw error }
            try directory.removeIfPresent(name)
            return try directory.create(name, mode: mode)
        }
    }

    /// Writes `bytes` for somebody who takes the file away as soon as it is there: a drop. When it has its name and the directory
    /// cannot be synced, it is taken back, and was never there. If it has been taken away by then, it was delivered: whoever
    /// has it has written that down, and a second one would be one too many.
    public static func hand(
        _ bytes: [UInt8], to name: String, in directory: Directory, mode: UInt32 = 0o644
    ) throws(SystemError) {
        try put(bytes, name, directory, mode, .fail, durable: true)
        do { try directory.sync() } catch {
            do throws(SystemError) { try directory.remove(name) } catch let gone {
                if gone.isMissing { return }
                // It stays, and may yet be delivered: a disk that refuses both has no better answer. The first error is told.
            }
            throw error
        }
    }

    /// Writes `bytes` as `name` in `directory`. With `durable`, data is on disk before the name appears and the
    /// name before this returns; without, readers still never see a part.
    public static func write(
        _ bytes: [UInt8], to name: String, in directory: Directory, mode: UInt32 = 0o644,
        existing: Existing = .fail, durable: Bool = true
    ) throws(SystemError) {
        try put(bytes, name, directory, mode, existing, durable: durable)
        if durable { try directory.sync() }
    }
    private static func put(
        _ bytes: [UInt8], _ name: String, _ directory: Directory, _ mode: UInt32, _ existing: Existing,
        durable: Bool
    ) throws(SystemError) {
        // A dot name: no scan, watcher or person takes it for the file.
        let temporary = ".\(getpid())-\(serial.increment()).tmp"
        try directory.removeIfPresent(temporary)
        do {
            let file = try directory.create(temporary, mode: mode)
            try file.append(bytes)
            if durable { try file.syncData() }
            switch existing {
            case .fail: try directory.rename(temporary, to: directory, name)
            case .replace: try directory.renameReplacing(temporary, to: directory, name)
            }
        } catch {
            // The write already failed and is reported; a leftover dot file harms nobody.
            try? directory.remove(temporary)
            throw error
        }
    }
}
