// What this is: the appearance of result files: a whole file or none, for one run or for a group with shared syncs.
// Owns: the temporary names, the sync of data before the rename and of the directory after it.
// Never: shows a part. A result that exists with other bytes was torn or edited: the journal's bytes replace it.
// On failure: SystemError; ENOSPC leaves the result in the journal, and the publisher tries again.
import JobModel
import LinuxSystem

public struct Publication: Sendable {
    public var acceptance: Acceptance
    public var bytes: [UInt8]
    public var directory: Directory
    public init(acceptance: Acceptance, bytes: [UInt8], directory: Directory) {
        self.acceptance = acceptance
        self.bytes = bytes
        self.directory = directory
    }
}

public struct Publish: Sendable {
    let temporary: Directory
    /// From this many files one syncfs is cheaper than one fdatasync each (docs/decisions/0004-syncs.md).
    static let groupFrom = 6

    public init(temporary: Directory) { self.temporary = temporary }

    /// Publishes all; when this returns every result is visible and durable.
    public func publish(_ group: [Publication]) throws(SystemError) {
        var files: [OpenFile] = []
        for item in group { files.append(try write(item)) }
        if group.count >= Publish.groupFrom {
            try temporary.syncFileSystem()
        } else {
            for file in files { try file.syncData() }
        }
        for item in group { try appear(item) }
        var synced: Set<ObjectIdentifier> = []
        for item in group where synced.insert(ObjectIdentifier(item.directory)).inserted {
            try item.directory.sync()
        }
    }

    /// Puts a job's bytes beside its result, where the file itself is not there to be moved. Through the runner's own
    /// directory: what a crash leaves there goes at the next start.
    public func placeJob(_ acceptance: Acceptance, in directory: Directory) throws(SystemError) {
        let name = ".job-\(acceptance.id)"
        try temporary.removeIfPresent(name)
        let file = try temporary.create(name, mode: 0o440)
        try file.append(acceptance.snapshot)
        try file.syncData()
        try temporary.rename(name, to: directory, FinalName.job(acceptance))
    }

    private func write(_ item: Publication) throws(SystemError) -> OpenFile {
        let name = item.acceptance.id.text
        let file: OpenFile
        do {
            file = try temporary.create(name)
        } catch  where error.isExisting {
            // Left by a life that ended between write and rename.
            try temporary.remove(name)
            file = try temporary.create(name)
        }
        try file.append(item.bytes)
        return file
    }

    private func appear(_ item: Publication) throws(SystemError) {
        let name = FinalName.result(item.acceptance)
        do {
            try temporary.rename(item.acceptance.id.text, to: item.directory, name)
        } catch  where error.isExisting {
            let there = try item.directory.openForReading(name).read(upTo: item.bytes.count + 1)
            if there == item.bytes { return try temporary.remove(item.acceptance.id.text) }
            // Torn by a power cut before the journal was replayed: the journal's bytes are the result.
            try temporary.renameReplacing(item.acceptance.id.text, to: item.directory, name)
        }
    }
}
